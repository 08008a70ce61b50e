"""What breaks between here and a database behind a bastion: when it is noticed, and when all works again.

It prints a Markdown table. For each row three processes have the same ducts, with the keepalive that is the
default: one uses them not at all, one is asked whether they are connected, one runs statements.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import servers
from notebook import MARK, Answer, Notebook

PROTOCOLS = ("ssh", "ssh_cli")
COLUMNS = (
    "what happens",
    "protocol",
    "noticed, unused",
    "a check says",
    "works again after",
    "what the person saw",
    "what is left",
)
LONGEST = 47.0  # seconds; what is not noticed by then is not noticed
SOON = 1.0  # seconds after which the person goes on
SETTLED = 3.0  # seconds after which nothing is about to end
GONE = 100.0  # seconds in which what is left may go by itself
PAUSE = 0.2  # seconds


@dataclass
class Machines:
    """A bastion and a database in networks of their own, and who reaches the one through the other."""

    network: Any
    bastion: Any
    database: Any
    notebooks: list[Notebook]

    def ducts(self, protocol: str) -> dict[str, Any]:
        """The ducts of a notebook."""
        where = {"host": self.bastion.host, "port": self.bastion.port, "username": self.bastion.user}
        pg = {"protocol": "postgresql", "remote": "bastion", **self.database.login}
        return {"bastion": {"protocol": protocol, **where}, "pg": pg}

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all that runs on the person's machine."""
        for process in marked():
            process.send_signal(number)

    def left(self) -> dict[str, int]:
        """What there is, here and there."""
        import psutil

        here = [each for process in marked() for each in process.net_connections()]
        reached = [each for each in psutil.net_connections("tcp") if each.raddr]
        return {
            "listening ports": sum(each.status == psutil.CONN_LISTEN for each in here),
            "connections": sum(each.raddr.ip == self.bastion.host for each in reached if is_open(each)),
            "processes": len(marked()) - len(self.notebooks),
            "sessions of sshd": self.bastion.connections(),
            "sessions of the database": self.database.connections(self.database.user),
            "running queries": len(self.database.running("pg_sleep")),
        }


def is_open(connection: Any) -> bool:
    """Whether it is more than a number that is not given out again for a while."""
    return bool(connection.status != "TIME_WAIT")


def marked() -> list[Any]:
    """The notebooks, and all that they have started."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == os.environ[MARK] and process.pid != os.getpid():
                found.append(process)
    return found


# What happens


@dataclass(frozen=True)
class Fault:
    """Something that breaks.

    Attributes
    ----------
    begin, end : callable
        Break it, and mend it.
    lasts : float
        Seconds between them; without any, the person goes on when it is mended.
    in_query : bool
        Whether a query runs when it breaks.
    """

    title: str
    begin: Callable[[Machines], None]
    end: Callable[[Machines], None]
    lasts: float = 0.0
    in_query: bool = False


def kill(machines: Machines) -> None:
    """End all of sshd, which tells nobody."""
    machines.bastion.stop(immediate=True)


def start(machines: Machines) -> None:
    """Start sshd."""
    machines.bastion.start()


def cut(machines: Machines) -> None:
    """Cut the bastion's link."""
    machines.network.cut("bastion")


def mend(machines: Machines) -> None:
    """Join it again."""
    machines.network.mend("bastion")


def sleep(machines: Machines) -> None:
    """Stop the person's machine for 30 s; the bastion is another one then."""
    machines.signal(signal.SIGSTOP)
    kill(machines)
    start(machines)
    time.sleep(30)


def wake(machines: Machines) -> None:
    """Let it go on."""
    machines.signal(signal.SIGCONT)


FAULTS = {
    "killed": Fault("sshd is killed, and started 5 s later", kill, start, lasts=5),
    "cut5": Fault("the link is cut for 5 s", cut, mend, lasts=5),
    "cut60": Fault("the link is cut for 60 s", cut, mend, lasts=60),
    "frozen": Fault(
        "sshd stands still for 60 s",
        lambda machines: machines.bastion.freeze(),
        lambda machines: machines.bastion.thaw(),
        lasts=60,
    ),
    "asleep": Fault("our machine sleeps for 30 s, the bastion is restarted meanwhile", sleep, wake),
    "query": Fault("the bastion is restarted while a query runs", kill, start, in_query=True),
}


# What is measured


@dataclass(frozen=True)
class Seen:
    """What came of a fault."""

    noticed: str
    check: str
    again: str
    saw: str
    left: str


def measured(fault: Fault, machines: Machines) -> Seen:
    """Let something happen."""
    unused, checked, person = machines.notebooks
    before = machines.left()
    if fault.in_query:
        person.tell("sleep")
        wait(lambda: machines.database.running("pg_sleep"), LONGEST)
    begun = time.monotonic()
    fault.begin(machines)
    ended = begun
    if not fault.lasts:
        fault.end(machines)
        ended = time.monotonic()
        begun = begun if fault.in_query else ended  # who sleeps does not notice anything
    else:
        time.sleep(SOON)
    checked.tell("check")
    if not fault.in_query:
        person.tell("ask")
    if fault.lasts:
        time.sleep(max(0.0, begun + fault.lasts - time.monotonic()))
        fault.end(machines)
        ended = time.monotonic()
    tries = asked(person)
    noticed = noticing(unused, begun)
    says = checked.answer()
    for each in (unused, checked):
        healed = each.told("ask")
        assert healed.value == 42, healed.error
    return Seen(
        noticed,
        f"{'connected' if says.value else 'not connected'} ({says.took:.1f} s)" + says.error,
        f"{max(0.0, tries[-1].at - ended):.1f} s" if tries[-1].value == 42 else "not at all",
        saw(tries),
        leavings(machines, before),
    )


def asked(person: Notebook) -> list[Answer]:
    """What a person sees, who asks until there is an answer; the last one is that, unless there is none."""
    tries = [person.answer()]
    deadline = time.monotonic() + LONGEST
    while tries[-1].value != 42 and time.monotonic() < deadline:
        tries.append(person.told("ask"))
    return tries


def saw(tries: list[Answer]) -> str:
    """The messages, and how long it took for each to come."""
    errors = [f"after {each.took:.1f} s: {each.error}" for each in tries if each.error]
    return "; ".join(errors) or f"the answer, after {tries[-1].took:.1f} s"


def noticing(unused: Notebook, begun: float) -> str:
    """When both ducts were known to be lost, though nobody used them."""
    lost: dict[str, float] = {}

    def both() -> bool:
        lost.update(unused.told("lost").value)
        return len(lost) == 2

    if wait(both, begun + LONGEST - time.monotonic()):
        return f"{max(lost.values()) - begun:.1f} s"
    return f"{', '.join(lost)} alone" if lost else "no"


def leavings(machines: Machines, before: dict[str, int]) -> str:
    """What is there that was not, once all works again; and what is there once all has disconnected."""

    def added() -> dict[str, int]:
        return {name: count - before[name] for name, count in machines.left().items()}

    time.sleep(SETTLED)
    again = counted(added())
    if again:
        begun = time.monotonic()
        has_gone = wait(lambda: not counted(added()), GONE)
        again += f" ({'gone' if has_gone else 'still there'} {time.monotonic() - begun:.0f} s later)"
    for each in machines.notebooks:
        each.told("end")
    time.sleep(SETTLED)
    in_the_end = counted(machines.left())
    return "; after disconnecting: ".join(filter(None, [again or "nothing", in_the_end]))


def counted(found: dict[str, int]) -> str:
    """What there is, in words."""
    return ", ".join(f"{name}: {count}" for name, count in found.items() if count)


def wait(condition: Callable[[], object], patience: float) -> bool:
    """Wait for something; whether it came."""
    deadline = time.monotonic() + patience
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return bool(found)


# The machines


@contextlib.contextmanager
def network() -> Iterator[Machines]:
    """Start a bastion and a database, which a person's files know."""
    with servers.for_tests(), contextlib.ExitStack() as stack:
        import pytest
        from tests.services.networks import Network
        from tests.services.openssh import Files
        from tests.services.postgresql import PostgreSQL
        from tests.services.sshd import SSHD

        hosts = stack.enter_context(Network("bastion", "db"))
        bastion = stack.enter_context(hosts["bastion"].runs(SSHD()))
        database = stack.enter_context(hosts["db"].runs(PostgreSQL()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="omniduct-faults-")))
        patch.setenv("HOME", str(home))
        patch.setenv(MARK, home.name)
        files = Files(home, patch)
        files.configure(f"IdentityFile {bastion.key}\n")
        files.known_hosts.write_text(bastion.known_hosts())
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh" / "config").write_text(files.config.read_text())
        yield Machines(hosts, bastion, database, [])


@contextlib.contextmanager
def notebooks(machines: Machines, protocol: str) -> Iterator[None]:
    """Start the processes of a row; when they have ended, all is whole."""
    machines.notebooks = [Notebook(machines.ducts(protocol)) for _ in range(3)]
    try:
        for each in machines.notebooks:
            first = each.answer()
            assert first.value == 42, first.error
        yield
    finally:
        machines.signal(signal.SIGCONT)
        for each in machines.notebooks:
            each.close()
        machines.database.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE usename = '{machines.database.user}'"
        )


def main() -> None:
    """Measure what the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="these alone")
    parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    given = parser.parse_args()
    try:
        with network() as machines:
            row(COLUMNS)
            row(["---"] * len(COLUMNS))
            for name in given.only:
                for protocol in given.protocol:
                    with notebooks(machines, protocol):
                        seen = measured(FAULTS[name], machines)
                    row([FAULTS[name].title, protocol, *vars(seen).values()])
    except harness.Skipped as why:
        print(f"not measured: {why}")


def row(cells: Any) -> None:
    """Print one, as soon as it is there."""
    print(
        "|", " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells), "|", flush=True
    )


if __name__ == "__main__":
    main()
