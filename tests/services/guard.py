"""A process that outlives the tests, however they end, to end the servers they started and remove a folder.

It is told of each process by a line with its id and the signal that ends it; `user` and an id is a user whose
processes are all killed. psutil knows a process from a later one with the same id.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

POLITE = 10.0  # seconds that a process has to end of itself
PAUSE = 0.2  # seconds between two looks at whether the run has ended
CLOSE = "close"  # the line that says that it need not wait
USER = "user "  # what a line begins with that tells of a user


class Guard:
    """Guards a folder, and the processes it is told of, until `close` or until this process has ended.

    With `run_pid` it is until that process has ended, whatever becomes of this one.
    """

    def __init__(self, folder: str, run_pid: int | None = None) -> None:
        own = [] if run_pid is None else [str(run_pid)]
        # In a session of its own it sees no Control and C; its input ends when we do, even if we are killed.
        self._process = subprocess.Popen(
            [sys.executable, __file__, folder, *own],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def watch(self, pid: int, end: signal.Signals) -> None:
        """Tell it of a process, and of the signal that ends it."""
        self._tell(f"{pid} {end.value}\n")

    def own(self, uid: int) -> None:
        """Tell it of a user of ours alone: what that one runs is killed, whoever started it."""
        self._tell(f"{USER}{uid}\n")

    def close(self) -> None:
        """End the processes, and remove the folder."""
        self._process.communicate(f"{CLOSE}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, of those that are there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def of_user(uid: int) -> list[psutil.Process]:
    """The processes that a user runs now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.uids().real == uid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def send(processes: list[psutil.Process], *signals: signal.Signals) -> None:
    """Send signals to each of the processes."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in signals:
                process.send_signal(each)


def have_ended(processes: list[psutil.Process], patience: float) -> bool:
    """Wait until all the processes have ended, and whether that came."""
    deadline = time.monotonic() + patience
    while any(not _has_ended(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(watched: list[tuple[psutil.Process, signal.Signals]]) -> None:
    """End processes and what they started, frozen or not."""
    processes = []
    for process, how in watched:
        if process.is_running():
            family = tree(process.pid)
            # Asked to quit, PostgreSQL gives its shared memory back, which it keeps if it is killed.
            send(family, how, signal.SIGCONT)
            processes += family
    if not have_ended(processes, POLITE):
        send(processes, signal.SIGKILL)
        have_ended(processes, POLITE)


def end_user(uid: int) -> None:
    """Kill what a user runs, until there is nothing."""
    deadline = time.monotonic() + POLITE
    while (processes := of_user(uid)) and time.monotonic() < deadline:
        send(processes, signal.SIGKILL)
        have_ended(processes, POLITE)


def lines(run: list[psutil.Process] | None) -> Iterator[str]:
    """The lines that it is told until there will be no more; with a run, all until that has ended."""
    rest = ""
    while True:
        is_over = run is not None and have_ended(run, 0)
        if select.select([sys.stdin], [], [], 0 if is_over else PAUSE)[0]:
            said = os.read(sys.stdin.fileno(), 4096).decode()
            *whole, rest = (rest + said).split("\n")
            yield from whole
            if said:
                continue
            if run is None:
                return
            time.sleep(PAUSE)
        if is_over:
            return


def guard(folder: str, run_pid: int | None) -> None:
    """Do what a `Guard` is for."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watched: list[tuple[psutil.Process, signal.Signals]] = []
    users = []
    for line in lines(None if run_pid is None else tree(run_pid)[:1]):
        if line == CLOSE:
            break
        if line.startswith(USER):
            users.append(int(line[len(USER) :]))
            continue
        pid, how = map(int, line.split())
        with contextlib.suppress(psutil.NoSuchProcess):
            watched.append((psutil.Process(pid), signal.Signals(how)))
    end(watched)
    for uid in users:
        end_user(uid)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else None)
