"""What a duct's constructor takes, and complaints about what it was given."""

from __future__ import annotations

import difflib
import functools
import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from omniduct.core.endpoints import port_number
from omniduct.credentials import Secret
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["Accepted", "accepted", "check", "did_you_mean", "fits"]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that names near misses; empty when there are none.

    >>> did_you_mean("protcol", ["protocol", "port"])
    "; did you mean 'protocol'?"
    """
    close = difflib.get_close_matches(word, list(words), n=3)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


class Accepted:
    """The keyword arguments that the constructor of one class takes.

    Attributes
    ----------
    names : dict
        Each argument's name and annotation, those of every ``__init__`` above it included.
    own : dict
        Those of its ``_init``, as parameters.
    open_ended : bool
        Whether its ``_init`` takes any further ones.
    """

    def __init__(self, cls: type[Duct]) -> None:
        self.names: dict[str, object] = {}
        for base in reversed(cls.__mro__):
            if "__init__" in base.__dict__ and base is not object:
                self._take(base.__dict__["__init__"])
        self.own = self._take(cls._init)
        self.open_ended = any(p.kind is p.VAR_KEYWORD for p in self.own.values())

    def _take(self, function: Any) -> dict[str, inspect.Parameter]:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                self.names[parameter.name] = _annotation(function, parameter)
        return {p.name: p for p in parameters}


@functools.cache
def accepted(cls: type[Duct]) -> Accepted:
    """What the constructor of a class takes, from the signatures of its ``__init__`` and ``_init``."""
    return Accepted(cls)


def _annotation(function: Any, parameter: inspect.Parameter) -> object:
    """The type itself; empty for one that only a type checker can look up."""
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    try:
        return eval(parameter.annotation, inspect.unwrap(function).__globals__)
    except Exception:
        return parameter.empty


def check(duct: Duct, own: Mapping[str, object]) -> None:
    """Complain about arguments that a duct's class does not take, lacks, or takes of another type.

    Parameters
    ----------
    own : Mapping
        What is left for the class's ``_init``.

    Raises
    ------
    DuctArgumentError
        It names the duct, the argument, the value (not of a credential) and what would fit.
    """
    cls, takes = type(duct).__name__, accepted(type(duct))
    for name in own:
        if name not in takes.own and not takes.open_ended:
            raise DuctArgumentError(
                f"{duct.name}: {cls} takes no argument {name!r}{did_you_mean(name, takes.names)}"
            )
    for name, parameter in takes.own.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and name not in own:
            raise DuctArgumentError(f"{duct.name}: {cls} needs the argument {name!r}")
    for name, value in duct._arguments.items():
        _check_type(duct.name, name, value, takes.names.get(name, inspect.Parameter.empty))


def _check_type(duct: str, name: str, value: object, annotation: object) -> None:
    if not fits(value, annotation):
        shown = f"a {type(value).__name__}" if name in ("username", "password") else repr(value)
        raise DuctArgumentError(f"{duct}: {name} cannot be {shown}; it takes {_spoken(annotation)}")
    if name == "port" and isinstance(value, (int, str)):
        port_number(duct, value)


_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    dict: "a mapping",
    list: "a list",
    Mapping: "a mapping",
}


def _spoken(annotation: object) -> str:
    """What an annotation takes, in words."""
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(annotation)))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [_spoken(o) for o in typing.get_args(annotation)]
        return " or ".join(dict.fromkeys(o for o in options if o))
    kind = typing.get_origin(annotation) or annotation
    return _WORDS.get(kind, "")  # type: ignore[call-overload, no-any-return]


def fits(value: object, annotation: object) -> bool:
    """Whether a value is of an annotated type, as far as simple annotations say; callables always fit.

    >>> fits(3, int | None), fits("3", int), fits(True, int)
    (True, False, False)
    """
    if annotation in (inspect.Parameter.empty, Any, object) or value is None or callable(value):
        return True
    if isinstance(value, Secret):
        return True
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(annotation))
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    if origin is typing.Annotated:
        return fits(value, typing.get_args(annotation)[0])
    kind = origin or annotation
    if not isinstance(kind, type):
        return True
    if kind is float:
        kind = (int, float)  # type: ignore[assignment]
    return isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
