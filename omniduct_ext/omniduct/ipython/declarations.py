"""What a function's signature says of the line of the magic that it declares."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Annotated, Literal

from omniduct.utils.magics import Rest

__all__ = ["Declaration", "Parameter", "Rest"]

_REQUIRED = inspect.Parameter.empty

# What an annotation takes: numbers by their abstract type, so that numpy's are numbers too.
_TYPES: dict[object, type] = {
    None: type(None),
    type(None): type(None),
    bool: bool,
    int: Integral,
    float: Real,
    str: str,
    dict: Mapping,
    Mapping: Mapping,
    list: list,
}
_DESCRIPTIONS: dict[type, str] = {
    type(None): "None",
    bool: "True or False",
    Integral: "a whole number",
    Real: "a number",
    str: "text",
    Mapping: "a dict",
    list: "a list",
}
# How a word is read, the narrowest first: `int | str` takes 20 for a number.
_READERS: tuple[tuple[type, Callable[[str], object]], ...] = (
    (type(None), {"None": None}.__getitem__),
    (bool, {"True": True, "False": False}.__getitem__),
    (Integral, int),
    (Real, float),
    (str, str),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument that a magic's line can give.

    Attributes
    ----------
    name : str
    kind : {'word', 'key'}
        A word may also be given as ``name=value``; a key only so.
    annotation : object
        With strings resolved; ``object`` where that fails.
    default : object
        ``inspect.Parameter.empty`` if it has to be given.
    choices : tuple
        The values that a ``Literal`` in the annotation lists.
    takes_rest : bool
        It is the rest of the line, as typed (see `Rest`).
    types : tuple of type, optional
        What a value is an instance of when it is none of the choices; None: anything will do.
    many : bool
        It takes all the words that are left (``*words``).
    """

    name: str
    kind: Literal["word", "key"]
    annotation: object
    default: object
    choices: tuple[object, ...]
    takes_rest: bool
    types: tuple[type, ...] | None = None
    many: bool = False

    @property
    def required(self) -> bool:
        """Whether the line has to give it."""
        return self.default is _REQUIRED and not self.many

    @property
    def takes_text(self) -> bool:
        """Whether any text will do."""
        return self.types is None or str in self.types

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        kinds = [repr(choice) for choice in self.choices]
        kinds += [_DESCRIPTIONS[kind] for kind in self.types or ()]
        return " or ".join([", ".join(kinds[:-1])] * (len(kinds) > 1) + kinds[-1:])

    @property
    def usage(self) -> str:
        """How it stands on the line."""
        name, default = self.name, self.default
        if self.many:
            return f"[{name} ...]"
        if self.takes_rest:
            return f"{name}..." if self.required else f"[{name}...]"
        if self.kind == "key":
            return f"{name}=" + ("<value>" if self.required else _default(default))
        if self.required:
            return name
        return f"[{name}]" if default is None else f"[{name}={_default(default)}]"

    def accepts(self, value: object) -> bool:
        """Whether the value of an expression may be given."""
        if self.types is None or value is self.default or any(_same(value, each) for each in self.choices):
            return True
        if isinstance(value, bool):  # an int to Python, but not what somebody means by a number
            return bool in self.types
        return isinstance(value, self.types)

    def from_text(self, text: str, quoted: bool = False) -> object:
        """Read a word; a ValueError if what it stands for may not be given."""
        for choice in self.choices:
            if text == str(choice):
                return choice
        if self.types is None or (quoted and str in self.types):
            return text
        for kind, read in _READERS:
            if kind in self.types:
                try:
                    return read(text)
                except (KeyError, ValueError):
                    continue
        raise ValueError(text)


class Declaration:
    """A function as the declaration of a magic's line. Its signature is read when first asked for.

    Parameters
    ----------
    function : callable
        Its positional parameters are the words of the line, its keyword-only ones the keys.
    name : str
        What the magic is called within its duct.
    skip : int
        How many leading parameters are not on the line: ``self``, the text of the cell.

    Examples
    --------
    >>> def head(self, table: str, n: int = 10, *, transpose: bool = False): ...
    >>> Declaration(head, "head", skip=1).usage("db.head", cell=False)
    '%db.head table [n=10] transpose=False'
    """

    def __init__(self, function: Callable[..., object], name: str, skip: int) -> None:
        self.function = function
        self.name = name
        self.skip = skip

    def __repr__(self) -> str:
        return f"Declaration({self.name!r})"

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every argument that the line can give, in the function's order."""
        namespace = getattr(inspect.unwrap(self.function), "__globals__", {})
        return tuple(
            _parameter(each, namespace)
            for each in self._declared[self.skip :]
            if each.kind is not inspect.Parameter.VAR_KEYWORD
        )

    @cached_property
    def accepts_any(self) -> bool:
        """Whether keys that are not declared are handed on too (``**options``)."""
        return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in self._declared)

    @cached_property
    def words(self) -> tuple[Parameter, ...]:
        """The parameters that take one word each; a last one may take the rest of the line."""
        return tuple(each for each in self.parameters if each.kind == "word" and not each.many)

    @cached_property
    def more_words(self) -> Parameter | None:
        """The parameter that takes all the words that are left, if there is one."""
        return next((each for each in self.parameters if each.many), None)

    @cached_property
    def keys(self) -> Mapping[str, Parameter]:
        """The parameters that can be given as ``name=value``."""
        if self.takes_rest:
            return {}
        by_place = {each.name for each in self._declared if each.kind is inspect.Parameter.POSITIONAL_ONLY}
        return {each.name: each for each in self.parameters if not each.many and each.name not in by_place}

    @cached_property
    def required(self) -> tuple[Parameter, ...]:
        """The parameters that have to be given."""
        return tuple(each for each in self.parameters if each.required)

    @cached_property
    def takes_rest(self) -> bool:
        """Whether the line ends in text that is not read any further (`Rest`)."""
        return any(each.takes_rest for each in self.parameters)

    def takes_key(self, name: str) -> bool:
        """Whether the line may give ``name=value``."""
        return name in self.keys or (self.accepts_any and name not in self._off_the_line)

    def usage(self, magic_name: str, cell: bool) -> str:
        """Show the line in short, as ``%%db [variable] show='head' ...``."""
        parts = ["%%" + magic_name if cell else "%" + magic_name]
        parts += [each.usage for each in self.parameters]
        return " ".join(parts + ["..."] * self.accepts_any)

    def help(self, magic_name: str, cell: bool) -> str:
        """Show the usage and the function's documentation."""
        usage = self.usage(magic_name, cell)
        documentation = inspect.getdoc(self.function)
        return f"{usage}\n\n{documentation}" if documentation else usage

    @cached_property
    def _declared(self) -> list[inspect.Parameter]:
        return list(_signature(self.function).parameters.values())

    @cached_property
    def _off_the_line(self) -> set[str]:
        # Python would find two values for these if they came through **options too.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return {each.name for each in self._declared[: self.skip] if each.kind is kind}


def _signature(function: Callable[..., object]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        # A name that is imported for type checkers only is no reason to fail.
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    else:
        return inspect.signature(function)


def _parameter(declared: inspect.Parameter, namespace: dict[str, object]) -> Parameter:
    annotation = _resolved(declared.annotation, namespace)
    accepted, choices = _understood(annotation)
    return Parameter(
        name=declared.name,
        kind="key" if declared.kind is inspect.Parameter.KEYWORD_ONLY else "word",
        annotation=annotation,
        default=declared.default,
        choices=choices,
        takes_rest=annotation == Rest or Rest in typing.get_args(annotation),
        types=accepted,
        many=declared.kind is inspect.Parameter.VAR_POSITIONAL,
    )


def _resolved(annotation: object, namespace: dict[str, object]) -> object:
    # One by one: typing.get_type_hints gives none at all when one cannot be resolved.
    if annotation is _REQUIRED:
        return object
    try:
        while isinstance(annotation, str):  # twice one where a quoted one is postponed
            annotation = eval(annotation, namespace)
    except Exception:
        return object
    return annotation


def _understood(annotation: object) -> tuple[tuple[type, ...] | None, tuple[object, ...]]:
    """The types (None: any) and the choices of an annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _understood(arguments[0])
    if origin is Literal:
        return (), arguments
    if origin in (typing.Union, types.UnionType):
        parts = [_understood(each) for each in arguments]
        choices = tuple(choice for _, chosen in parts for choice in chosen)
        if any(accepted is None for accepted, _ in parts):
            return None, choices
        return tuple(kind for accepted, _ in parts for kind in accepted or ()), choices
    plain = annotation if origin is None else origin
    known = _TYPES.get(plain) if plain is None or isinstance(plain, type) else None
    return (None if known is None else (known,)), ()


def _same(value: object, choice: object) -> bool:
    # Not by == alone: 1 is not True, and a frame compares cell by cell.
    return (
        isinstance(value, type(choice))
        and isinstance(value, bool) == isinstance(choice, bool)
        and value == choice
    )


def _default(value: object) -> str:
    return repr(value) if isinstance(value, (bool, int, float, str, list, dict, type(None))) else "..."
