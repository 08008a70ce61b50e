"""Hosts in network namespaces, joined by a router: links between them can really be cut.

A namespace lasts as long as somebody holds it open. All are held by the process that made them, and so end
with that, however it ends; with the router's namespace go all the links.
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
from dataclasses import dataclass
from types import TracebackType

import pytest
from tests.services.delays import Delay
from tests.services.ports import Port
from tests.services.processes import Own, program

# Shared address space (RFC 6598), in which machines seldom are: 64 addresses for each number of a port.
SPACE = int(ipaddress.ip_address("100.64.0.0"))
SIZE = 64
PATIENCE = 20.0  # seconds

# It passes packets on, also those that come from where the way back does not lead, as from a delay.
ROUTER = """
cd /proc/sys/net/ipv4
echo 1 >ip_forward
echo 0 >conf/all/rp_filter
echo 0 >conf/default/rp_filter
"""


@dataclass(frozen=True)
class Host:
    """A host of a network.

    Attributes
    ----------
    address : str
        Where the others reach it; its own 127.0.0.1 is nobody else's.
    namespace : str
        Its network namespace, as a path.
    """

    name: str
    address: str
    namespace: str
    link: str

    def runs(self, service: Own) -> Own:
        """The service, which is to run here, and to be reached at this host's address."""
        service.host, service.network = self.address, self.namespace
        return service

    def command(self, *words: str) -> list[str]:
        """A command, to be run here."""
        return ["nsenter", f"--net={self.namespace}", "--", *words]


class Network:
    """Hosts that reach one another, and are reached by the tests; a context manager.

    Parameters
    ----------
    *names
        The names of the hosts, as in `network["bastion"]`.

    Attributes
    ----------
    address : str
        Where the hosts reach the tests.
    """

    def __init__(self, *names: str) -> None:
        assert len(names) <= SIZE - 5, "a network has no room for so many"
        self._names = names
        self._port = Port()  # whose number nobody else has, so neither the addresses and the link
        self._link = f"od{self._port.number}"
        self._held: list[int] = []
        self._hosts: dict[str, Host] = {}
        self._delays: dict[str, Delay] = {}
        self.address = self._address(1)

    def __enter__(self) -> Network:
        self._ip = program("ip", package="iproute2")
        program("nsenter", package="util-linux")
        try:
            self._router = self._namespace()
            self._make_router()
            for number, name in enumerate(self._names, start=3):
                self._hosts[name] = self._host(name, number)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    @property
    def nowhere(self) -> str:
        """An address of nobody's: what the hosts send there is lost."""
        return self._address(SIZE - 2)

    def cut(self, host: str) -> None:
        """Cut a host's link: what is sent is lost, and nobody is told; no connection ends by that."""
        self._configure(self._router, f"link set {self[host].link} down")

    def mend(self, host: str) -> None:
        """Join it again."""
        self._configure(self._router, f"link set {self[host].link} up")

    def hide(self, host: str) -> None:
        """From now on the other hosts reach it, and the tests do not."""
        self._configure(self._router, f"rule add from {self.address} to {self[host].address} prohibit")

    def delay(self, host: str, seconds: float) -> None:
        """Let what comes to a host, and what comes from it, be late by that much."""
        if host in self._delays:
            self._delays[host].seconds = seconds
        else:
            self._delays[host] = self._new_delay(self[host], seconds)

    def close(self) -> None:
        """Remove it; what runs in it is not ended by that."""
        while self._delays:
            self._delays.popitem()[1].close()
        while self._held:
            os.close(self._held.pop())
        # It would go with the router, but a little later.
        subprocess.run([self._ip, "link", "delete", self._link], capture_output=True)
        self._port.close()

    def _address(self, number: int) -> str:
        return str(ipaddress.ip_address(SPACE + SIZE * self._port.number + number))

    @property
    def _subnet(self) -> str:
        return f"{self._address(0)}/26"

    def _namespace(self) -> str:
        """A new namespace, as a path."""
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        command = ["unshare", "--net", "cat"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin and process.stdout and process.stderr
            process.stdin.write(b"here\n")
            process.stdin.flush()
            if not process.stdout.readline():  # it ended, and is not in it
                pytest.skip(f"this machine gives no network namespaces: {process.stderr.read().decode()}")
            self._held.append(os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY))
            process.stdin.close()
        return f"/proc/{os.getpid()}/fd/{self._held[-1]}"

    def _make_router(self) -> None:
        own, router = self._address(1), self._address(2)
        _done(["nsenter", f"--net={self._router}", "--", "sh", "-ec", ROUTER])
        self._configure(
            "",
            f"link add {self._link} type veth peer name eth0 netns {self._router}",
            f"addr add {own} peer {router} dev {self._link}",
            f"link set {self._link} up",
            f"route add {self._subnet} via {router} dev {self._link}",
        )
        self._configure(
            self._router,
            "link set lo up",
            f"addr add {router} peer {own} dev eth0",
            "link set eth0 up",
            # Where a link is down: without it the router would say that there is no way.
            f"route add blackhole {self._subnet}",
        )

    def _host(self, name: str, number: int) -> Host:
        host = Host(name, self._address(number), self._namespace(), f"h{number}")
        router = self._address(2)
        self._configure(
            self._router,
            f"link add {host.link} type veth peer name eth0 netns {host.namespace}",
            f"addr add {router} peer {host.address} dev {host.link}",
            f"link set {host.link} up",
        )
        self._configure(
            host.namespace,
            "link set lo up",
            f"addr add {host.address} peer {router} dev eth0",
            "link set eth0 up",
            f"route add default via {router}",
        )
        return host

    def _new_delay(self, host: Host, seconds: float) -> Delay:
        """Lead the host's packets through a delay in the router; what comes back goes its usual way."""
        device, table = f"{self._link}{host.link}", host.link.lstrip("h")
        delay = Delay(device, seconds)
        self._configure("", f"link set {device} netns {self._router}")
        self._configure(
            self._router,
            f"link set {device} up txqueuelen 10000",
            f"route add default dev {device} table {table}",
            f"rule add pref 100 iif {device} lookup main",
            f"rule add pref 200 to {host.address} lookup {table}",
            f"rule add pref 200 from {host.address} lookup {table}",
        )
        return delay

    def _configure(self, namespace: str, *lines: str) -> None:
        """Give lines to the program `ip`, in a namespace or in the tests' own."""
        there = ["nsenter", f"--net={namespace}", "--"] if namespace else []
        _done([*there, self._ip, "-batch", "-"], "\n".join(lines))


def _done(command: list[str], said: str = "") -> None:
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{' '.join(command)} failed: {done.stderr}\n{said}"
