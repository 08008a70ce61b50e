"""What a duct's constructor takes, and complaints about what it was given."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from omniduct.core.endpoints import port_number
from omniduct.credentials import Secret
from omniduct.errors import DuctArgumentError, DuctConfigError

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["Accepted", "accepted", "article", "check", "configured", "did_you_mean", "fits", "objection"]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that names the nearest of some words, whatever their case; else empty.

    >>> did_you_mean("protcol", ["protocol", "port"])
    "; did you mean 'protocol'?"
    >>> did_you_mean("DuckDB", ["duckdb"])
    "; did you mean 'duckdb'?"
    """
    wanted, spelled = word.casefold(), {each.casefold(): each for each in words}
    close = difflib.get_close_matches(wanted, spelled, n=3)
    alike = [difflib.SequenceMatcher(None, each, wanted).ratio() for each in close]
    near = [spelled[each] for each, ratio in zip(close, alike, strict=True) if ratio > alike[0] - 0.1]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


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
            known = sorted(takes.names.keys() - {"name", "protocol", "registry"})
            hint = did_you_mean(name, known) or f"; it takes {', '.join(known)}"
            raise DuctArgumentError(f"{duct.name}: {cls} takes no argument {name!r}{hint}")
    for name, parameter in takes.own.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and name not in own:
            raise DuctArgumentError(f"{duct.name}: {cls} needs the argument {name!r}")
    for name, value in duct._arguments.items():
        if reason := objection(name, value, takes.names.get(name, inspect.Parameter.empty)):
            raise DuctArgumentError(f"{duct.name}: {reason}")


def objection(name: str, value: object, annotation: object) -> str:
    """Why a value cannot be given for an argument; empty when it can.

    >>> objection("catalog", 5, str | None)
    'catalog cannot be 5; it takes a text'
    """
    if not fits(value, annotation):
        spoken = _spoken(annotation)
        return f"{name} cannot be {_shown(name, value)}" + (f"; it takes {spoken}" if spoken else "")
    if name == "port" and isinstance(value, (int, str)):
        try:
            port_number("", value)
        except DuctConfigError as error:
            return str(error).removeprefix(": ")
    return ""


def configured(name: object, value: object) -> object:
    """A configured value as an argument: a password wrapped; what was wrapped by mistake as it was."""
    if name == "password":
        return Secret.wrap(value)
    return value if name == "username" else _revealed(value)


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {key: _revealed(each) for key, each in value.items()}
    return list(map(_revealed, value)) if type(value) is list else value


def _shown(name: str, value: object) -> str:
    """A value in a message: neither a login, nor what may hold one."""
    if name in ("username", "password") or not isinstance(value, (str, bool, int, float)):
        return article(value)
    text = repr(re.sub(r"//[^/@\s]*@", "//***@", value) if isinstance(value, str) else value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def article(value: object) -> str:
    """What kind of thing a value is, without showing it: it may hold a login.

    >>> article("swordfish"), article(None), article({})
    ('a text', 'nothing', 'a mapping')
    """
    return next((word for kind, word in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


_MOST_SHOWN = 60
_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "nothing"),
    (bool, "true or false"),
    ((int, float), "a number"),
    ((str, Secret), "a text"),
    (Mapping, "a mapping"),
    ((list, tuple), "a list"),
)
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
    Mapping: "a mapping",
    Sequence: "a list",
    Callable: "a function",
}


def _spoken(annotation: object) -> str:
    """What an annotation takes, in words; nothing is said of None, which always fits."""
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(map(repr, options))
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(_spoken(option) for option in options if option is not type(None))
        return " or ".join(filter(None, words))
    if origin is typing.Annotated:
        return _spoken(options[0])
    kind = origin or annotation
    if kind is Secret:  # what a text becomes
        return ""
    return _WORDS.get(kind) or (f"a {kind.__name__}" if isinstance(kind, type) else "")


def fits(value: object, annotation: object) -> bool:
    """Whether a value is of an annotated type, as far as simple annotations say; callables always fit.

    >>> fits(3, int | None), fits("3", int), fits(True, int), fits([1, 2], tuple[int, ...])
    (True, False, False, True)
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
    return _is_a(value, origin or annotation)


def _is_a(value: object, kind: object) -> bool:
    if not isinstance(kind, type):
        return True
    if isinstance(value, bool):
        return kind is bool
    wider: Any = {float: (int, float), tuple: (list, tuple)}.get(kind, kind)  # YAML has lists, and 1 for 1.0
    try:
        return isinstance(value, wider)
    except TypeError:  # a TypedDict, a Protocol: only a type checker can tell
        return True
