"""Services that all the processes of a test run use together.

The first process that asks for one starts it, and the others get a copy of what it knows. It ends with the
run, however that ends, and not with the process that started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.services.processes import Own, Service

STARTED: list[Service] = []  # what this process has started is not forgotten, as its port would be given back


@contextlib.contextmanager
def shared(make: Callable[[], Own], name: str, folders: pytest.TempPathFactory) -> Iterator[Own]:
    """A service of the whole run, which nobody stops, freezes or reconfigures."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers' folders are in one of the run, as the workers are children of one process.
        yield joined(make, folders.getbasetemp().parent / f"{name}.server", os.getppid())
    else:
        with make() as service:
            yield service


def joined(make: Callable[[], Own], file: Path, run_pid: int) -> Own:
    """The service of which the file tells, started if there is none; it ends with the process `run_pid`."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            _start(make(), file, run_pid)
        service: Own = pickle.loads(file.read_bytes())
        return service


def _start(service: Service, file: Path, run_pid: int) -> None:
    service.run_pid = run_pid
    service.start()
    STARTED.append(service)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(pickle.dumps(service))
    unfinished.rename(file)
