"""MagicsProvider, and how a duct's magics are declared.

A method with its signature and its docstring is the declaration of a magic::

    class MyClient(Duct, MagicsProvider):
        @line_magic("ping")
        def _ping_magic(self, call: MagicCall, times: int = 1) -> str:
            '''Ask whether the service is awake.'''

gives ``%NAME.ping 3`` and ``%NAME.ping times=3``, their help (``%NAME.ping?``), their completion and
their error messages. The parameters after `call` (and after the cell's text, for a cell magic) are
those of the line: positional ones are words, keyword-only ones are ``key=value``.
"""

from __future__ import annotations

import sys
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar

__all__ = ["Declared", "MagicCall", "MagicsProvider", "Rest", "cell_magic", "declared_magics", "line_magic"]

Rest = Annotated[str, "rest of the line"]
"""Annotates the last word of a magic whose line is not omniduct's to read: a shell command, say."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_MARK = "__omniduct_magics__"


@dataclass(frozen=True)
class Declared:
    """A magic that a method declares: ``%NAME.suffix`` or ``%%NAME.suffix``, or without a suffix."""

    kind: Literal["line", "cell"]
    suffix: str
    attribute: str
    function: Callable[..., Any]

    def name(self, base_name: str) -> str:
        """The name of the magic for a duct that is called `base_name`."""
        return f"{base_name}.{self.suffix}" if self.suffix else base_name


class MagicCall(Protocol):
    """What a magic's method may do with the session it is called from."""

    @property
    def namespace(self) -> Mapping[str, Any]:
        """The user's variables."""

    def assign(self, name: str, value: object) -> None:
        """Give a variable of the user's a value."""

    def show(self, value: object) -> None:
        """Display a value below the cell."""

    def note(self, text: str) -> None:
        """Print a line below the cell."""


def line_magic(suffix: str = "") -> Callable[[_Function], _Function]:
    """Declare the method as ``%NAME.suffix``, called with `call` and what stands on the line."""
    return _marker("line", suffix)


def cell_magic(suffix: str = "") -> Callable[[_Function], _Function]:
    """Declare the method as ``%%NAME.suffix``, called with `call`, the cell's text and the line's."""
    return _marker("cell", suffix)


def _marker(kind: str, suffix: str) -> Callable[[_Function], _Function]:
    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, [*getattr(function, _MARK, []), (kind, suffix)])
        return function

    return mark


def declared_magics(cls: type) -> list[Declared]:
    """The magics that a class and those above it declare; found once a class."""
    found: list[Declared] | None = cls.__dict__.get("_omniduct_declared")
    if found is None:
        found = list(_declared(cls))
        cls._omniduct_declared = found  # type: ignore[attr-defined]
    return found


def _declared(cls: type) -> Iterator[Declared]:
    seen: set[str] = set()
    for base in cls.__mro__:
        for attribute, value in base.__dict__.items():
            if attribute not in seen and hasattr(value, _MARK):
                for kind, suffix in getattr(value, _MARK):
                    yield Declared(kind, suffix, attribute, value)
            seen.add(attribute)


class MagicsProvider(ABC):  # noqa: B024
    """A duct that has magics of its own in IPython."""

    def register_magics(self, base_name: str | None = None) -> None:
        """Register this duct's magics under `base_name` (by default its name).

        Outside IPython this does nothing. A magic that is not omniduct's own is never replaced: the
        person is told once instead.
        """
        if "IPython" not in sys.modules:
            return
        from omniduct.ipython.magics import register

        register(self, base_name or self.name)  # type: ignore[attr-defined]

    def _unregister_magics(self) -> None:
        """Take this duct's declared magics back, under whatever names it has them."""
        if "IPython" not in sys.modules:
            return
        from omniduct.ipython.magics import unregister

        unregister(self)

    def _complete_magic(self, declared: Declared, before: str) -> list[str]:
        """The words that may follow `before` on the line of a magic, for completion by Tab; no key.

        It must not connect.
        """
        return []

    def _register_magics(self, base_name: str) -> None:
        """Register magics; by default those that the class declares. May be overridden."""
        from omniduct.ipython.magics import register_declared

        register_declared(self, base_name)
