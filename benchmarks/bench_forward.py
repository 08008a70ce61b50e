"""500 MiB and a million rows of PostgreSQL through a forward of a port: ours, OpenSSH's and sshtunnel's."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import harness
import servers
import streams

ROWS = "1M rows of PostgreSQL to pandas"
DIRECT, FLOOR, GCM, PEER = "direct", "ssh -L", "ssh -L, aes128-gcm", "sshtunnel"
LOOPBACK = "127.0.0.1"
CALLS = 2


@contextlib.contextmanager
def machines() -> Iterator[Mapping[str, str]]:
    """Start what is reached through a forward, and the SSH server that it leads through."""
    with servers.ssh() as bastion, servers.postgresql() as database, streams.far_end() as far_end:
        yield {**bastion, **database, **far_end}


bench = harness.Benchmark(
    f"Forwards: {streams.DOWN}, {streams.UP}, and {servers.ROWS:,} rows of six columns to pandas",
    rounds=3,
    fixture=machines,
)
for stream in (streams.DOWN, streams.UP):
    bench.goal(stream, "ours, ssh_cli", 1.11, against=FLOOR)
    bench.goal(stream, "ours, ssh", 0.5, against=PEER)


def streamed(port: int) -> harness.Samples:
    """Measure both ways through a port of this machine; who reads and writes is no thread of this process."""
    ways = (streams.DOWN, streams.UP)
    return {way: [streams.seconds(way, port) for _ in range(CALLS)] for way in ways}


def queried(database: Any) -> harness.Samples:
    """Measure the rows."""
    shape = (servers.ROWS, 6)
    took = harness.times(
        lambda _: database.query("SELECT * FROM trips"), CALLS, warm_up=1, check=lambda df: df.shape == shape
    )
    return {ROWS: took}


@bench.side(DIRECT)
def direct() -> harness.Samples:
    """Without a forward."""
    return {**streamed(streams.far_port()), **queried(servers.ours())}


@contextlib.contextmanager
def opened(*options: str) -> Iterator[tuple[int, int]]:
    """Forward to both by OpenSSH's own program: the two local ports."""
    targets = (streams.far_port(), servers.given()["port"])
    ports = [unused_port() for _ in targets]
    forwards = [
        word
        for near, far in zip(ports, targets, strict=True)
        for word in ("-L", f"{LOOPBACK}:{near}:{LOOPBACK}:{far}")
    ]
    command = ["ssh", *options, "-o", "ExitOnForwardFailure=yes", *forwards, "far", "echo here; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline()  # it listens before it runs anything
        yield ports[0], ports[1]
        program.terminate()


def unused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as trial:
        trial.bind((LOOPBACK, 0))
        port: int = trial.getsockname()[1]
        return port


def by_program(*options: str) -> harness.Samples:
    """OpenSSH's own program."""
    with opened(*options) as (stream, database):
        return {**streamed(stream), **queried(servers.ours(host=LOOPBACK, port=database))}


@bench.side(FLOOR)
def program() -> harness.Samples:
    """As it comes."""
    return by_program()


@bench.side(GCM)
def program_gcm() -> harness.Samples:
    """With the cipher that ours prefers."""
    return by_program("-c", "aes128-gcm@openssh.com")


def by_duct(protocol: str) -> harness.Samples:
    """Ours, and a database that has it as its remote."""
    from omniduct.registry import DuctRegistry

    far = {"protocol": protocol, "host": "far"}
    registry = DuctRegistry({"far": far, "db": {**servers.given(), "remote": "far"}})
    remote: Any = registry["far"]
    stream = remote.port_forward(LOOPBACK, streams.far_port())
    samples = {**streamed(stream), **queried(registry["db"])}
    registry["db"].disconnect()
    remote.disconnect()
    return samples


@bench.side("ours, ssh_cli")
def ours_cli() -> harness.Samples:
    """Through OpenSSH's program."""
    return by_duct("ssh_cli")


@bench.side("ours, ssh")
def ours() -> harness.Samples:
    """Through paramiko."""
    servers.configure_home()
    return by_duct("ssh")


@bench.side(PEER)
def sshtunnel() -> harness.Samples:
    """As it comes."""
    import sshtunnel

    at = servers.bastion()
    with sshtunnel.SSHTunnelForwarder(
        (at["host"], at["port"]),
        ssh_username=at["username"],
        ssh_pkey=at["key"],
        ssh_config_file=None,
        allow_agent=False,
        host_pkey_directories=[],
        local_bind_address=(LOOPBACK, 0),
        remote_bind_address=(LOOPBACK, streams.far_port()),
    ) as forward:
        return streamed(forward.local_bind_port)


if __name__ == "__main__":
    bench.main()
