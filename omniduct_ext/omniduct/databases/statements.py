"""Statements as tokens: where one ends, when two are the same, where its bind parameters stand.

Nothing here parses: a text that no tokenizer can read is left as it is, for the service to judge.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence, Set, ValuesView
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from omniduct.databases.tokens import Token, Tokenizer, Untokenizable, duckdb_tokenizer, sqlglot_tokenizer
from omniduct.errors import DuctTemplateError

__all__ = [
    "BindValue",
    "Binding",
    "Statement",
    "Token",
    "Tokenizer",
    "Untokenizable",
    "cleanup",
    "duckdb_tokenizer",
    "first_word",
    "place",
    "shown",
    "split",
    "sqlglot_tokenizer",
    "statement_hash",
]


@dataclass(frozen=True, slots=True)
class Binding:
    """What a template binds at a marker: a value, and how the template calls it."""

    name: str
    value: object


@dataclass(frozen=True, slots=True)
class BindValue:
    """The value of one placeholder, under a name that no other value of the statement has."""

    name: str
    value: object


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with placeholders in its text, and their values in the order of the text."""

    text: str
    parameters: tuple[BindValue, ...]


# Splitting

# Those whose body may hold statements of its own, and what follows an END that closes no block.
_ROUTINES = frozenset("TRIGGER PROCEDURE FUNCTION PACKAGE EVENT".split())
_ENDS_NO_BLOCK = frozenset("IF LOOP WHILE REPEAT FOR".split())
_LEADING_WORDS = 8


_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(\w*)", re.DOTALL)


def first_word(statement: str) -> str:
    r"""The word that a statement begins with, in capitals, behind comments and parentheses.

    >>> first_word("-- all of it\n(select 1)")
    'SELECT'
    """
    found = _FIRST_WORD.match(statement)
    return found[1].upper() if found else ""


def split(text: str, tokenize: Tokenizer) -> list[str]:
    """The statements of a text, in order and without the ``;`` behind them.

    What holds nothing but comments is no statement; the comments of a statement stay in it. The body of a
    trigger or routine (``BEGIN ...; END``) belongs to its statement. A text that cannot be tokenized is one
    statement.

    Examples
    --------
    >>> split("select ';' as x; select 2; -- done", duckdb_tokenizer)
    ["select ';' as x", 'select 2']
    """
    body = text.strip().rstrip("; \t\r\n")
    if not body:
        return []
    # No tokens are needed for the most common text: one statement, that begins with no comment.
    if ";" not in body and (body[0].isalnum() or body[0] in "(_"):
        return [body]
    try:
        tokens = tokenize(text)
    except Untokenizable:
        return [text]
    return [text[start:end].strip() for start, end in _statements(text, tokens)]


def _statements(text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Where each statement is, from behind the ``;`` before it."""
    start, depth, before = 0, 0, ""
    leading: list[str] = []
    for token in tokens:
        word = text[token.start : token.end].upper() if token.kind != "string" else ""
        if word == ";" and not depth:
            if leading:
                yield start, token.start
            start, before, leading = token.end, "", []
            continue
        if len(leading) < _LEADING_WORDS:
            leading.append(word)
        if leading[0] == "CREATE" and not _ROUTINES.isdisjoint(leading):
            depth = max(0, depth + _deeper(before, word))
        before = word
    if leading:
        yield start, len(text)


def _deeper(before: str, word: str) -> int:
    """By how many blocks a word leads deeper into a body."""
    if before == ".":
        return 0  # a column
    if before == "END":
        return 1 if word in _ENDS_NO_BLOCK else 0  # takes back what that END did
    if word == "END":
        return -1
    return 1 if word in ("BEGIN", "CASE") else 0


# Layout

# White space beside these never matters; beside all others it is kept as it is, for it may: `:name`, `$1`.
_BRACKETS = frozenset("( ) [ ] { } , ;".split())
_LOOSE = _BRACKETS | frozenset("= == <> != < > <= >= + - * / || :: -> ->>".split())
# A comment that the service obeys is part of the statement: `/*+ a hint */`, `/*! what only MySQL reads */`.
_COMMENT = re.compile(r"--[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_IS_OBEYED = re.compile(r"/\*(\+|M?!)")


def cleanup(statement: str, tokenize: Tokenizer) -> str:
    r"""The statement on one line, without comments; literals and quoted names are as they were.

    A statement that cannot be tokenized is returned as it is.

    Examples
    --------
    >>> cleanup("select  a,b -- both\nfrom t where x='1  2';", duckdb_tokenizer)
    "select a , b from t where x = '1  2'"
    """
    try:
        tokens = tokenize(statement)
    except Untokenizable:
        return statement
    while tokens and statement[tokens[-1].start : tokens[-1].end] == ";":
        tokens = tokens[:-1]
    if not tokens:
        return ""
    pieces = [statement[tokens[0].start : tokens[0].end]]
    for before, token in pairwise(tokens):
        pieces += _gap(statement, before, token), statement[token.start : token.end]
    above, beneath = _obeyed(statement[: tokens[0].start]), _obeyed(statement[tokens[-1].end :])
    return " ".join([*above, "".join(pieces), *beneath])


_cleanup = cleanup  # by the name that an argument of `statement_hash` does not hide


def statement_hash(statement: str, tokenize: Tokenizer, cleanup: bool = True) -> str:
    r"""The SHA-256 of a statement, in hex: the same for statements that differ only in layout and comments.

    Parameters
    ----------
    statement, tokenize
        What is hashed, and how its tokens are found.
    cleanup
        False: of the text as it is.

    Examples
    --------
    >>> one, other = "select a,b from t", "select a, b  -- both\nfrom t;"
    >>> statement_hash(one, duckdb_tokenizer) == statement_hash(other, duckdb_tokenizer)
    True
    """
    import hashlib

    text = _cleanup(statement, tokenize) if cleanup else statement
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _gap(statement: str, before: Token, after: Token) -> str:
    """What is put between two tokens."""
    gap = statement[before.end : after.start]
    if obeyed := _obeyed(gap):
        return f" {' '.join(obeyed)} "
    if before.kind == after.kind == "string" and "\n" in gap:
        return "\n"  # literals on two lines are one literal, side by side they are an error
    return " " if gap or _is_loose(statement, before, after) else ""


def _obeyed(gap: str) -> list[str]:
    return [comment for comment in _COMMENT.findall(gap) if _IS_OBEYED.match(comment)]


def _is_loose(statement: str, before: Token, after: Token) -> bool:
    """Whether white space between two tokens changes nothing."""
    operators = {statement[t.start : t.end] for t in (before, after) if t.kind == "operator"}
    if not operators <= _LOOSE or not operators:
        return False
    both = before.kind == after.kind == "operator"
    return not both or not operators.isdisjoint(_BRACKETS)


# Bind parameters

# In any case, so that an altered marker is found too; as it is made, both `lower` and `upper` alter it.
_MARKER = re.compile(r"__Bind_[0-9a-f]{16}_\d+__", re.IGNORECASE)

# A placeholder beside one of these would be read as something else: `$` + `$1` opens a literal.
_JOINS = frozenset(". $ @ # \\ `".split())


def marker(nonce: str, number: int) -> str:
    """What stands for a value in a rendered template; the nonce has 16 hex digits."""
    return f"__Bind_{nonce}_{number}__"


def marker_meant(found: str) -> str:
    """The marker that this one was before letters became others."""
    return f"__Bind{found[6:].lower()}"


def find_markers(text: str) -> set[str]:
    """Whatever looks like a marker, also when it is altered."""
    return set(_MARKER.findall(text))


def place(
    text: str,
    bindings: Mapping[str, Binding],
    tokenize: Tokenizer,
    placeholder: Callable[[int, str], str],
) -> Statement:
    """One statement with a placeholder for every marker in it; all else stays as it is.

    Parameters
    ----------
    text
        One statement of a rendered template (see `split`).
    bindings
        Marker -> what is bound there, of the whole template.
    tokenize
        How the statement's tokens are found.
    placeholder
        What the driver reads a value for, from its number in this statement, which begins at 1, and its name
        in it. A value that is bound twice has two numbers and one name.

    Raises
    ------
    DuctTemplateError
        A marker is not a token of its own, a list is empty, or a value is none that can be bound; the message
        names the variable.

    Examples
    --------
    >>> mark = marker('0123456789abcdef', 1)
    >>> bindings = {mark: Binding("n", 3)}
    >>> found = place(f"select 5 % {mark}", bindings, duckdb_tokenizer, lambda i, name: f"${i}")
    >>> found.text, found.parameters
    ('select 5 % $1', (BindValue(name='n', value=3),))
    """
    if not bindings:
        return Statement(text, ())
    parameters: list[BindValue] = []

    def write(value: BindValue) -> str:
        parameters.append(value)
        return placeholder(len(parameters), value.name)

    return Statement(_written(text, bindings, tokenize, write), tuple(parameters))


def shown(text: str, bindings: Mapping[str, Binding], tokenize: Tokenizer) -> str:
    """A rendered template for a person to read: ``:name`` at every marker, and the values beneath.

    Raises
    ------
    DuctTemplateError
        As `place`.

    Examples
    --------
    >>> mark = marker('0123456789abcdef', 1)
    >>> print(shown(f"select {mark}", {mark: Binding("n", 3)}, duckdb_tokenizer))
    select :n
    -- :n = 3
    """
    if not bindings:
        return text
    values: dict[str, object] = {}

    def write(value: BindValue) -> str:
        values[value.name] = value.value
        return f":{value.name}"

    written = _written(text, bindings, tokenize, write)
    # The repr of a value may have lines of its own, which must not leave the comment.
    notes = [f"-- :{name} = {' '.join(repr(value).splitlines())}" for name, value in values.items()]
    return "\n".join([written.rstrip(), *notes]) if notes else text


def _written(
    text: str, bindings: Mapping[str, Binding], tokenize: Tokenizer, write: Callable[[BindValue], str]
) -> str:
    """The text with what `write` gives for the values at each marker."""
    pieces: list[str] = []
    reached = 0
    values_of: dict[tuple[str, int], list[BindValue]] = {}
    taken: dict[str, int] = {}
    for start, end, binding in _markers(text, bindings, tokenize):
        # The same variable with the same value keeps its name wherever it stands.
        key = (binding.name, id(binding.value))
        if key not in values_of:
            values_of[key] = _bind_values(binding, taken)
        pieces += text[reached:start], ", ".join(map(write, values_of[key]))
        reached = end
    return "".join([*pieces, text[reached:]])


def _markers(
    text: str, bindings: Mapping[str, Binding], tokenize: Tokenizer
) -> Iterator[tuple[int, int, Binding]]:
    """Where the markers of a text are, and what is bound there."""
    found = [match for match in _MARKER.finditer(text) if marker_meant(match.group()) in bindings]
    if not found:
        return
    try:
        tokens = tokenize(text)
    except Untokenizable:
        name = bindings[marker_meant(found[0].group())].name
        raise DuctTemplateError(
            f"{name!r} cannot be bound: no end is found to a literal, quoted name or comment of the statement"
        ) from None
    for match in found:
        binding = bindings[marker_meant(match.group())]
        reason = _misplaced(text, match, tokens)
        if reason:
            raise DuctTemplateError(f"{binding.name!r} cannot be bound {reason}")
        yield *match.span(), binding


def _misplaced(text: str, match: re.Match[str], tokens: Sequence[Token]) -> str:
    """Why a marker is no token of its own, and what to do; empty when it is one."""
    start, end = match.span()
    at = bisect_right(tokens, start, key=lambda token: token.start) - 1
    if at < 0 or tokens[at].end <= start:
        return "inside a comment: to leave it out of the statement write {# #} around it"
    if tokens[at].kind == "string":
        return (
            "inside a literal: leave out the quotes, as in `x = {{ v | bind }}`; "
            "a text is joined to it by SQL, as in `'%' || {{ v | bind }}`"
        )
    if tokens[at].kind == "quoted":
        return "inside a quoted name: only values are bound, a name is written with `| identifier`"
    beside = [token for token in tokens[max(at - 1, 0) : at + 2] if start == token.end or end == token.start]
    joined = any(token.kind != "operator" or text[token.start : token.end] in _JOINS for token in beside)
    if joined or tokens[at] != (start, end, "word"):
        return "to what stands beside it: put a space between them; a name is written with `| identifier`"
    if match.group() != marker_meant(match.group()):
        return "when another filter follows: let `bind` be the last one"
    return ""


def _bind_values(binding: Binding, taken: dict[str, int]) -> list[BindValue]:
    """A binding's placeholders: several when it holds several values."""
    stem = re.sub(r"\W+", "_", binding.name).strip("_") or "value"
    values = _several(binding)
    if values is None:
        return [BindValue(_free(stem, taken), plain(binding.value))]
    if not values:
        raise DuctTemplateError(
            f"{binding.name!r} cannot be bound: it is empty, and `in ()` is no SQL. "
            f"Leave the condition out, as in {{% if {binding.name} %}} ... {{% endif %}}"
        )
    return [BindValue(_free(f"{stem}_{n}", taken), plain(value)) for n, value in enumerate(values, 1)]


def _free(name: str, taken: dict[str, int]) -> str:
    """The name, or the first of ``name_2``, ``name_3`` that is not taken; it is then.

    `taken` holds for each name the number that was tried last, so that thousands in a loop are no burden.
    """
    candidate = name
    while candidate in taken:
        taken[name] += 1
        candidate = f"{name}_{taken[name]}"
    taken[candidate] = 1
    return candidate


def _several(binding: Binding) -> list[object] | None:
    """The values of a list, set, array or column; None for a value that is one."""
    value: Any = binding.value
    if isinstance(value, (list, tuple, range, ValuesView)) and not hasattr(value, "n_sequence_fields"):
        return list(value)  # an interval of Arrow's is a tuple, too
    if isinstance(value, Set):
        return sorted(value, key=repr)  # the order of a set changes from one Python to the next
    if isinstance(value, (str, bytes)) or not (hasattr(value, "__array__") and hasattr(value, "__iter__")):
        return None
    dimensions = len(getattr(value, "shape", (0,)))
    if dimensions > 1:
        raise DuctTemplateError(
            f"{binding.name!r} cannot be bound: it is a table ({type(value).__name__}); bind one column of it"
        )
    return list(value) if dimensions else None


def plain(value: Any) -> object:
    """A value as drivers take it: numpy's, pandas' and Arrow's scalars as Python's own."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy" and hasattr(value, "item"):
        item = value.item()
        # Nanoseconds have no Python type, so numpy gives their count.
        if value.dtype.kind in "mM" and isinstance(item, int):
            return _counted(value)
        return item
    if package == "pandas":
        return _of_pandas(value)
    return value.as_py() if package == "pyarrow" and hasattr(value, "as_py") else value


def _counted(value: Any) -> object:
    """A time of numpy's; with parts of a microsecond it is pandas' own, which has them and is Python's, too.

    What neither can hold stays numpy's, for the driver to refuse.
    """
    import pandas as pd

    value = value[()]  # of an array that is one value
    try:
        found = pd.Timestamp(value) if value.dtype.kind == "M" else pd.Timedelta(value)
        return _of_pandas(found) if found.to_numpy() == value else value
    except (ValueError, OverflowError):  # of a year beyond 9999, or in months
        return value


def nanoseconds(value: Any) -> int:
    """The nanoseconds of a time beyond whole microseconds, which pandas' own have."""
    return int(getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0))


def _of_pandas(value: Any) -> object:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if nanoseconds(value):
        return value
    for name in ("to_pydatetime", "to_pytimedelta"):
        if hasattr(value, name):
            return getattr(value, name)()
    return value
