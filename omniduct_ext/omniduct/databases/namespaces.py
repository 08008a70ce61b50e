"""The name of a table, read level by level."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from omniduct.errors import DuctConfigError

__all__ = ["ParsedNamespaces"]


class ParsedNamespaces:
    """The name of a table or of something above it (a schema, a catalog), one part a level.

    Every level is an attribute that holds its unquoted name, or None. ``str()`` is the name as it is
    written in a statement, every part quoted. An instance with no part at all is false.

    Parameters
    ----------
    parts
        Level -> unquoted name or None, from the outermost level to the innermost.
    quote_char
        What `render` puts around each part, unless told otherwise.
    separator
        What `render` puts between two parts, unless told otherwise.

    Examples
    --------
    >>> table = ParsedNamespaces.from_name('sales."2024.q1"', ['catalog', 'schema', 'table'])
    >>> table.schema, table.table, table.catalog
    ('sales', '2024.q1', None)
    >>> str(table)
    '"sales"."2024.q1"'
    >>> table.parent.render(quote_char='`')
    '`sales`'
    """

    __slots__ = ("_parts", "_quote_char", "_separator")

    def __init__(self, parts: Mapping[str, str | None], quote_char: str = '"', separator: str = ".") -> None:
        self._parts = dict(parts)
        self._quote_char = quote_char
        self._separator = separator

    @classmethod
    def from_name(
        cls,
        name: str | ParsedNamespaces | None,
        namespaces: Sequence[str],
        quote_char: str = '"',
        separator: str = ".",
        defaults: Mapping[str, str | None] | None = None,
    ) -> ParsedNamespaces:
        """Read a name, whose last part belongs to the last of the levels.

        Parameters
        ----------
        name
            As a person writes it: a part in quotes may hold separators, and quotes that are doubled.
            An instance is fitted to the levels by its parts; None or an empty text gives no part.
        namespaces
            The levels, from the outermost to the innermost.
        quote_char, separator
            How the name is written, and how `render` writes it.
        defaults
            Level -> name, for the levels that the name leaves out. A level above one that stays empty stays
            empty too: a name with a hole would be read as another name.

        Raises
        ------
        DuctConfigError
            There are more parts than levels, an empty part, or a quote that is not closed.

        Examples
        --------
        >>> str(ParsedNamespaces.from_name('trips', ['schema', 'table'], defaults={'schema': 'hive'}))
        '"hive"."trips"'
        """
        given = _given(name, quote_char, separator)
        if len(given) > len(namespaces):
            levels = separator.join(namespaces) or "none at all"
            raise DuctConfigError(
                f"{str(name)!r} has {len(given)} parts, but the levels here are {levels}: leave out the "
                f"outer ones, or write a part that holds {separator!r} in {quote_char or 'quotes'}"
            )
        parts: dict[str, str | None] = dict.fromkeys(namespaces)
        for level in reversed(namespaces):
            part = given.pop() if given else (defaults or {}).get(level)
            if not part and any(parts.values()):
                break
            parts[level] = part or None
        return cls(parts, quote_char, separator)

    @property
    def name(self) -> str | None:
        """The unquoted name of the innermost level that has one; None when none has."""
        return next((part for part in reversed(self._parts.values()) if part), None)

    @property
    def parent(self) -> ParsedNamespaces:
        """The levels above the innermost one."""
        above = dict(list(self._parts.items())[:-1])
        return type(self)(above, self._quote_char, self._separator)

    def as_dict(self) -> dict[str, str | None]:
        """Level -> unquoted name or None, from the outermost level to the innermost."""
        return dict(self._parts)

    def render(self, quote_char: str | None = None, separator: str | None = None) -> str:
        """The name as it is written in a statement; empty when there is no part.

        Parameters
        ----------
        quote_char
            Put around each part and doubled within; an empty text leaves the parts bare. None: the one that
            the name was read with.
        separator
            Put between the parts. None: the one that the name was read with.
        """
        quote = self._quote_char if quote_char is None else quote_char
        between = self._separator if separator is None else separator
        return between.join(_quoted(part, quote) for part in self._parts.values() if part)

    def __getattr__(self, level: str) -> str | None:
        # `copy` and `pickle` look for underscored names before `_parts` is there.
        if not level.startswith("_"):
            if level in self._parts:
                return self._parts[level]
            close = difflib.get_close_matches(level, self._parts, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the levels are {', '.join(self._parts)}"
            raise AttributeError(f"a name of {type(self).__name__} has no level {level!r}: {hint}")
        raise AttributeError(level)

    def __dir__(self) -> Iterator[str]:
        yield from super().__dir__()
        yield from self._parts

    def __bool__(self) -> bool:
        return any(self._parts.values())

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        levels = ", ".join(f"{level}={part!r}" for level, part in self._parts.items())
        return f"{type(self).__name__}({levels})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ParsedNamespaces):
            return NotImplemented
        return list(self._parts.items()) == list(other._parts.items())

    def __hash__(self) -> int:
        return hash(tuple(self._parts.items()))


def _given(name: str | ParsedNamespaces | None, quote_char: str, separator: str) -> list[str]:
    """The unquoted parts that a name has, outermost first."""
    if isinstance(name, ParsedNamespaces):
        return [part for part in name.as_dict().values() if part]
    if name is None or not name.strip():
        return []
    parts, at = [], 0
    while at <= len(name):
        part, at = _next_part(name, at, quote_char, separator)
        parts.append(part)
    return parts


def _next_part(name: str, start: int, quote_char: str, separator: str) -> tuple[str, int]:
    """The part that starts there, and where the next one does: beyond the end after the last."""
    at = start
    while name[at : at + 1].isspace():
        at += 1
    if quote_char and name.startswith(quote_char, at):
        part, at = _quoted_part(name, at, quote_char)
    else:
        part = None
    end = name.find(separator, at)
    end = len(name) if end < 0 else end
    rest = name[at:end].strip()
    if part is not None and rest:
        raise DuctConfigError(
            f"{name!r} has {rest!r} after a part in quotes: put {separator!r} between two parts"
        )
    part = rest if part is None else part
    if not part:
        raise DuctConfigError(f"{name!r} has an empty part: name every level between two {separator!r}")
    return part, end + len(separator)


def _quoted_part(name: str, start: int, quote_char: str) -> tuple[str, int]:
    """What stands between the quotes, and where the text goes on behind them."""
    part, at = "", start + len(quote_char)
    while True:
        end = name.find(quote_char, at)
        if end < 0:
            raise DuctConfigError(
                f"{name!r} has a {quote_char} that is not closed: add {quote_char} at its end"
            )
        part += name[at:end]
        at = end + len(quote_char)
        if not name.startswith(quote_char, at):
            return part, at
        part += quote_char
        at += len(quote_char)


def _quoted(part: str, quote_char: str) -> str:
    if not quote_char:
        return part
    return f"{quote_char}{part.replace(quote_char, quote_char * 2)}{quote_char}"
