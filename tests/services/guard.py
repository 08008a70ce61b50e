"""A process that outlives the tests, however they end, to end the servers they started and remove a folder.

It is told of each process by a line with its id; psutil knows a process from a later one with the same id.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time

import psutil

POLITE = 10.0  # seconds that a process has to end of itself


class Guard:
    """Guards a folder, and the processes it is told of, until `close` or until this process has ended."""

    def __init__(self, folder: str) -> None:
        # In a session of its own it sees no Control and C; its input ends when we do, even if we are killed.
        self._process = subprocess.Popen(
            [sys.executable, __file__, folder],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def watch(self, pid: int) -> None:
        """Tell it of a process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{pid}\n")

    def close(self) -> None:
        """End the processes, and remove the folder."""
        self._process.communicate()


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, of those that are there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


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


def end(processes: list[psutil.Process]) -> None:
    """End processes, frozen or not."""
    # Asked to quit, PostgreSQL gives its shared memory back, which it keeps if it is killed.
    send(processes, signal.SIGQUIT, signal.SIGCONT)
    if not have_ended(processes, POLITE):
        send(processes, signal.SIGKILL)
        have_ended(processes, POLITE)


def guard(folder: str) -> None:
    """Do what a `Guard` is for."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watched: list[psutil.Process] = []
    for line in iter(sys.stdin.readline, ""):
        with contextlib.suppress(psutil.NoSuchProcess):
            watched.append(psutil.Process(int(line)))
    end([each for process in watched if process.is_running() for each in tree(process.pid)])
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(sys.argv[1])
