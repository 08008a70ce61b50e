"""SSHRemote: what the clients of SSH have in common, whichever program carries the connection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from omniduct.errors import DuctConnectionError
from omniduct.remotes.base import RemoteClient
from omniduct.remotes.ssh.files import SFTPFiles
from omniduct.remotes.ssh.lookups import is_name

__all__ = ["LOOKS_FOR", "SSHRemote", "in_background", "is_over"]

_T = TypeVar("_T")

logger = logging.getLogger("omniduct")

LOOKS_FOR = 15.0  # seconds that a machine is given to reach a place, and to find its name before that
_ROUNDS = 3  # in which it is asked whether it is there, while it may be looking for a name
_MARGIN = 0.2  # seconds that a check has less than its caller waits


class SSHRemote(SFTPFiles, RemoteClient):
    """A machine that is reached by SSH; a subclass supplies the connection.

    Parameters
    ----------
    interactive : bool
        Kept for configurations that have it: the person is asked for what is needed, either way.
    check_known_hosts : bool
        Whether the machine's key has to be known; the person is asked about one that is not.
    keepalive : float
        Seconds between two questions whether the machine is still there. When three in a row get no answer,
        the connection is lost: by then about four times as long has passed. 0 asks none.
    **kwargs
        The arguments of `RemoteClient`.
    """

    IS_HEARD = True

    def __init__(
        self,
        interactive: bool = False,
        check_known_hosts: bool = True,
        keepalive: float = 10.0,
        **kwargs: Any,
    ) -> None:
        self.interactive = interactive
        self.check_known_hosts = check_known_hosts
        self.keepalive = keepalive
        super().__init__(**kwargs)

    def _arguments_now(self) -> dict[str, Any]:
        own = {
            "interactive": self.interactive,
            "check_known_hosts": self.check_known_hosts,
            "keepalive": self.keepalive,
        }
        return {**super()._arguments_now(), **own}

    def _runs_in(self, skip_cwd: bool) -> str | None:
        """Where a command runs; the home folder if that is not said."""
        return None if skip_cwd or self._cwd is None else self.path_cwd

    def _is_connected(self) -> bool:
        silence = self._silence(self.CHECK_TIMEOUT - _MARGIN)
        if silence:
            logger.debug("%s: its check: %s", self.name, silence)
        return not silence or self._is_looking()

    def _is_port_bound(self, host: str, port: int) -> bool:
        asked, sought = time.monotonic(), in_background(lambda: self._reaches(host, port))
        for _ in range(_ROUNDS if is_name(host) else 1):
            was_over = is_over(sought, self.CHECK_TIMEOUT)
            if was_over and sought.result():
                return True
            silence = self._silence(self.CHECK_TIMEOUT / 2)
            if not silence:  # the place alone is silent, unless its name was found a moment ago
                return is_over(sought, self.CHECK_TIMEOUT / 2) and sought.result()
            if was_over:
                break
        self._life.doubt()
        ago = f"{time.monotonic() - asked:.0f} s ago it was asked for {host}:{port}"
        perhaps = ", and may still be looking for the address of that name" if is_name(host) else ""
        raise DuctConnectionError(f"{self.name}: {silence}; {ago}{perhaps}")

    # What a subclass supplies

    def _reaches(self, host: str, port: int) -> bool:
        """Whether something answers at a place, seen from there; within `LOOKS_FOR`."""
        raise self._not_supplied("_reaches")

    def _silence(self, timeout: float) -> str:
        """Why the machine does not answer; nothing if it does."""
        raise self._not_supplied("_silence")

    def _is_looking(self) -> bool:
        """Whether it may be silent because it looks for a name: servers do nothing else meanwhile."""
        raise self._not_supplied("_is_looking")


def in_background(work: Callable[[], _T]) -> Future[_T]:
    """What comes of some work; nobody has to wait for it, not even the end of the program."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="omniduct seeks a place", daemon=True).start()
    return future


def is_over(future: Future[Any], timeout: float) -> bool:
    """Whether some work has ended, or does so within some seconds."""
    return bool(wait([future], timeout).done)
