"""500 MiB to a machine that is reached by SSH, and back: over SFTP, from connecting to the end."""

from __future__ import annotations

import contextlib
import filecmp
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import servers

UP, DOWN = "500 MiB there", "500 MiB back"
SIZE = 500 << 20
FLOOR, GCM = "sftp", "sftp, aes128-gcm"
HERE = Path(tempfile.gettempdir())

Copy = Callable[[Path, str], object]


bench = harness.Benchmark(
    f"SFTP: {UP}, {DOWN}, with connecting, once a process", rounds=5, fixture=servers.ssh
)
for measure in (UP, DOWN):
    bench.goal(measure, "ours, ssh_cli", 1.1, against=FLOOR)
    bench.goal(measure, "ours, ssh", 2.5, against=FLOOR)


def measured(up: Copy, down: Copy) -> harness.Samples:
    """Measure both ways; what comes back is what was sent."""
    source, back, far = HERE / "source", HERE / "back", f"copy-{os.getpid()}"
    piece = os.urandom(1 << 20)
    with source.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(piece)
    samples = {}
    for name, copy, path in ((UP, up, source), (DOWN, down, back)):
        os.sync()  # else one side's writing to the disk is another's time
        start = time.perf_counter()
        copy(path, far)
        samples[name] = [time.perf_counter() - start]
    assert filecmp.cmp(source, back, shallow=False)
    back.unlink()
    source.unlink()
    return samples


def by_program(*options: str) -> harness.Samples:
    """OpenSSH's own program."""
    config = servers.bastion()["config"]

    def run(line: str) -> None:
        command = ["sftp", "-q", "-F", config, *options, "-b", "-", "far"]
        subprocess.run(command, input=line, text=True, check=True, capture_output=True)

    return measured(
        lambda path, far: run(f"put {path} {far}"), lambda path, far: run(f"get {far} {path}\nrm {far}")
    )


@bench.side(FLOOR)
def program() -> harness.Samples:
    """As it comes."""
    return by_program()


@bench.side(GCM)
def program_gcm() -> harness.Samples:
    """With the cipher that ours prefers."""
    return by_program("-c", "aes128-gcm@openssh.com")


def by_duct(protocol: str, **arguments: Any) -> harness.Samples:
    """Ours."""
    from omniduct.duct import Duct
    from omniduct.errors import DuctProtocolUnknown

    try:
        duct: Any = Duct.for_protocol(protocol)(name="far", **arguments)
    except DuctProtocolUnknown as unknown:
        raise harness.Skipped(str(unknown)) from unknown

    def up(path: Path, far: str) -> None:
        duct.upload(path, f"~/{far}")
        duct.disconnect()

    def down(path: Path, far: str) -> None:
        duct.download(f"~/{far}", path)
        duct.remove(f"~/{far}")
        duct.disconnect()

    return measured(up, down)


@bench.side("ours, ssh_cli")
def ours_cli() -> harness.Samples:
    """Through OpenSSH's program."""
    return by_duct("ssh_cli", host="far")


@bench.side("ours, ssh")
def ours() -> harness.Samples:
    """Through paramiko."""
    servers.configure_home()
    try:
        return by_duct("ssh", host="far")
    except NotImplementedError as missing:
        raise harness.Skipped(str(missing)) from missing


@bench.side("paramiko")
def paramiko() -> harness.Samples:
    """As it comes."""
    import paramiko

    at = servers.bastion()

    @contextlib.contextmanager
    def connected() -> Iterator[Any]:
        with paramiko.SSHClient() as client:
            client.load_host_keys(at["known_hosts"])
            client.connect(
                at["host"],
                at["port"],
                at["username"],
                key_filename=at["key"],
                look_for_keys=False,
                allow_agent=False,
            )
            yield client.open_sftp()

    def up(path: Path, far: str) -> None:
        with connected() as files:
            files.put(str(path), far)

    def down(path: Path, far: str) -> None:
        with connected() as files:
            files.get(far, str(path))
            files.remove(far)

    return measured(up, down)


if __name__ == "__main__":
    bench.main()
