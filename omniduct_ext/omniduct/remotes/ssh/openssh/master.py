"""The process of OpenSSH that holds a connection for as long as we live, and no longer."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from omniduct.remotes.ssh.openssh.askpass import Asked, Desk
from omniduct.remotes.ssh.openssh.mux import Control, Refused

__all__ = ["Ended", "Master"]

# Runs a command ("$@"), and ends it when its own input ends: we alone hold the other end of that pipe, and so
# that comes however we end. Then it removes the folder ($0), into which the command's number was written.
_KEEPER = """
exec 3<&0 </dev/null
sh -c 'echo $$ >"$0/master" && exec "$@"' "$0" "$@" 3<&- &
command=$!
{
    read -r _ <&3
    kill "$command"
    kill -CONT "$command"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$command" || break
        sleep 0.1
    done
    kill -KILL "$command"
} 2>/dev/null &
watcher=$!
exec 3<&-
wait "$command"
code=$?
{ kill "$watcher"; wait "$watcher"; } 2>/dev/null
rm -rf "$0"
exit "$code"
"""
_LONGEST_FOLDER = 60  # bytes: with OpenSSH's own additions a socket's path has about a hundred
_TICK = 0.02  # seconds between two looks at one that starts
_PATIENCE = 60.0  # seconds in which a server has to take or refuse a login, without those of the person
_LINES = 100  # that are kept of what it complains of
_FAREWELL = 3.0  # seconds
_LAST_LINES = 0.5  # seconds, as a program on the way may hold the other end of the pipe still


class Ended(Exception):
    """The process has ended; with its exit code, and what it wrote on its standard error."""

    def __init__(self, exit_code: int | None, lines: Sequence[str]) -> None:
        super().__init__(f"ssh has ended with exit code {exit_code}")
        self.exit_code, self.lines = exit_code, list(lines)


class Master:
    """A connection that OpenSSH holds.

    Parameters
    ----------
    command : sequence of str
        The program with its options and the machine; what makes it a master is added.
    on_end : callable
        Called with it and what is said of it when it ends, from another thread, unless it was closed.
    """

    def __init__(self, command: Sequence[str], on_end: Callable[[Master, Ended], object]) -> None:
        self._on_end = on_end
        self._is_closed = False
        self._held = -1
        self._said: deque[str] = deque(maxlen=_LINES)
        self._folder = _folder()
        try:
            self._desk = Desk(self._folder)
            self._launch(command)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def control(self, timeout: float | None = None) -> Control:
        """What others ask it through."""
        return Control(self._folder / "ctl", timeout)

    def connect(self, answer: Callable[[Asked], str | None]) -> None:
        """Wait until it is connected; questions are answered in this thread.

        Raises
        ------
        Ended
            It could not connect.
        """
        try:
            self._await_connection(answer)
        except BaseException:
            self.close()
            raise
        finally:
            self._desk.close()
        self._waiter.start()

    def close(self) -> None:
        """End it, and all that it carries."""
        self._is_closed = True
        try:
            with contextlib.suppress(Refused, OSError):
                self.control(timeout=0.5).end()
        finally:
            self.forget()  # also when it is interrupted: without us it ends
        try:
            self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_FAREWELL)
        self._listener.join(_LAST_LINES)
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self) -> None:
        """Let go of it; it ends when all who hold it have. A forked child calls this alone."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def _launch(self, command: Sequence[str]) -> None:
        program, *words = command
        options = ["-M", "-S", str(self._folder / "ctl"), "-N", "-T", "-o", "ControlPersist=no"]
        ours, self._held = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, str(self._folder), program, *options, *words],
                stdin=ours,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **self._desk.environment()},
                start_new_session=True,  # so that it hears no Control and C
            )
        except BaseException:
            self.forget()
            raise
        finally:
            os.close(ours)
        self._listener = threading.Thread(target=self._listen, name="omniduct hears ssh", daemon=True)
        self._waiter = threading.Thread(target=self._wait, name="omniduct waits for ssh", daemon=True)
        self._listener.start()

    def _await_connection(self, answer: Callable[[Asked], str | None]) -> None:
        control = self._folder / "ctl"
        deadline = time.monotonic() + _PATIENCE
        while not control.exists():
            if self._process.poll() is not None:
                raise self._ended()
            if time.monotonic() > deadline:
                raise Ended(None, [*self._said, f"it has not taken the login within {_PATIENCE:g} s"])
            if select.select([self._desk], [], [], _TICK)[0]:
                begun = time.monotonic()
                self._desk.take(answer)
                deadline += time.monotonic() - begun
        try:
            self.control(_PATIENCE).pid()
        except OSError:
            raise self._ended() from None

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream, contextlib.suppress(OSError, ValueError):
            for line in stream:
                self._said.append(line.decode(errors="replace").rstrip())

    def _wait(self) -> None:
        self._process.wait()
        ended = self._ended()
        if not self._is_closed:
            self._on_end(self, ended)

    def _ended(self) -> Ended:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_FAREWELL)
        self._listener.join(_LAST_LINES)
        return Ended(self._process.poll(), self._said)


def _folder() -> Path:
    """A folder of our own, whose path is short, and in which programs may be run."""
    places = [tempfile.gettempdir(), "/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), os.path.expanduser("~")]
    for place in places:
        if not 0 < len(os.fsencode(place)) <= _LONGEST_FOLDER - len("/omniduct-12345678"):
            continue
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="omniduct-", dir=place)).absolute()
            if _may_run(folder):
                return folder
            shutil.rmtree(folder, ignore_errors=True)
    raise OSError(f"none of the folders {', '.join(filter(None, places))} takes a socket and a program")


def _may_run(folder: Path) -> bool:
    """Whether programs in a folder may be run: its filesystem may be mounted so that they may not."""
    trial = folder / "trial"
    trial.touch(0o700)
    may = os.access(trial, os.X_OK)
    trial.unlink()
    return may
