"""Every error that omniduct raises on purpose.

The tree, with when each is raised::

    DuctError (a RuntimeError)             never itself: catch it to catch all of them
    ├── DuctConnectionError                a connection could not be made, or was lost
    │   ├── DuctServerUnreachable          nothing answers at the host and port
    │   ├── DuctDriverMissing              the Python package that speaks the protocol is not installed
    │   └── DuctAuthenticationError        the service refused the login, or there is none to give
    │       └── DuctPromptUnavailable      a login has to be asked for and there is nobody to ask
    ├── DuctNotFound (a LookupError)       no duct, table or template of that name
    ├── DuctProtocolUnknown                no class offers that protocol, or it cannot be had yet
    ├── DuctConfigError (a ValueError)     a configuration or an argument cannot be used
    │   └── DuctArgumentError (a TypeError)   an argument that the duct does not take
    ├── DuctTimeout (a TimeoutError)       the result of a background statement is not there yet
    ├── DuctStatementError                 the service refused a statement, or the answer cannot be had
    ├── DuctTemplateError                  a template cannot be rendered, or a value cannot be bound
    ├── DuctCommandError                   a command of a magic ended with another exit code than 0
    ├── DuctMagicError                     a magic's line cannot be read
    └── omniduct.filesystems.errors.DuctFileError (an OSError)   a file operation failed; see there

Where a driver's exception is the reason it is chained as ``__cause__``, without its frames: their
local variables hold logins.
"""

from __future__ import annotations

import linecache
import os
import traceback
from types import TracebackType

__all__ = [
    "DuctArgumentError",
    "DuctAuthenticationError",
    "DuctCommandError",
    "DuctConfigError",
    "DuctConnectionError",
    "DuctDriverMissing",
    "DuctError",
    "DuctMagicError",
    "DuctNotFound",
    "DuctPromptUnavailable",
    "DuctProtocolUnknown",
    "DuctServerUnreachable",
    "DuctStatementError",
    "DuctTemplateError",
    "DuctTimeout",
    "DuctWarning",
]

_LIBRARIES = tuple(os.path.dirname(os.path.abspath(path)) + os.sep for path in (__file__, os.__file__))


class DuctError(RuntimeError):
    """The root of omniduct's errors.

    IPython shows one of these as the lines of the user's own code that led there and the message,
    whatever ``%xmode`` is: neither the frames of drivers nor any local variable.
    """

    undone = ""
    """What became undone with it: a transaction that was rolled back."""

    def _render_traceback_(self) -> list[str]:
        return [*_user_lines(self.__traceback__), f"{type(self).__name__}: {self}"]


class DuctConnectionError(DuctError):
    """A connection could not be made, or was lost."""


class DuctServerUnreachable(DuctConnectionError):
    """Nothing answers at the host and port of the service."""


class DuctDriverMissing(DuctConnectionError):
    """The Python package that speaks the protocol is not installed."""


class DuctAuthenticationError(DuctConnectionError):
    """The service refused the login, or there is none to give."""


class DuctPromptUnavailable(DuctAuthenticationError):
    """A login has to be asked for and there is nobody to ask."""


class DuctNotFound(DuctError, LookupError):
    """There is no duct, table or template of that name."""


class DuctProtocolUnknown(DuctError):
    """No class offers the protocol."""


class DuctConfigError(DuctError, ValueError):
    """A configuration or an argument cannot be used."""


class DuctArgumentError(DuctConfigError, TypeError):
    """An argument that the duct does not take."""


class DuctTimeout(DuctError, TimeoutError):
    """What was waited for has not come within the time that was given; it goes on."""


class DuctStatementError(DuctError):
    """The service refused a statement, or its answer cannot be had."""

    cancelled = False
    """Whether it was cancelled, by `cancel` or because the duct was disconnected."""


class DuctTemplateError(DuctError):
    """A template cannot be rendered, or a value cannot be bound."""


class DuctCommandError(DuctError):
    """A command on another machine ended with another exit code than 0; `returncode` is that."""

    def __init__(self, duct: str, returncode: int) -> None:
        ended = f"ended with exit code {returncode}" if returncode > 0 else "was ended by a signal"
        super().__init__(f"{duct}: the command {ended}")
        self.returncode = returncode


class DuctMagicError(DuctError):
    """A magic's line cannot be read."""


class Interrupted(KeyboardInterrupt):
    """The person interrupted; IPython shows no frame of ours."""

    _render_traceback_ = DuctError._render_traceback_


# Front ends and people look for the name that Python gives it.
Interrupted.__name__ = Interrupted.__qualname__ = "KeyboardInterrupt"


class DuctWarning(UserWarning):
    """Something of the user's that omniduct left as it was, or could not use."""


def _user_lines(tb: TracebackType | None) -> list[str]:
    """The frames of the user's own code, as text; none of a magic's, whose line they just typed."""
    lines = []
    for frame, number in traceback.walk_tb(tb):
        path = frame.f_code.co_filename
        if is_library(path):
            continue
        source = linecache.getline(path, number).strip()
        if not source or source.startswith("get_ipython().run_"):
            continue
        lines.append(f"{_place(path)}, line {number}, in {frame.f_code.co_name}\n    {source}")
    return lines


def is_library(path: str) -> bool:
    """Whether a file of code is none of the user's own."""
    return path.startswith(_LIBRARIES) or "site-packages" in path or path.startswith("<frozen")


def _place(path: str) -> str:
    """How IPython itself names a cell; a file by its path."""
    return "Cell" if "ipykernel_" in path or path.startswith("<ipython-input") else path
