"""The tokens of a statement, by sqlglot's tokenizers or DuckDB's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

__all__ = ["Token", "Tokenizer", "Untokenizable", "duckdb_tokenizer", "sqlglot_tokenizer"]

Kind = Literal["word", "quoted", "string", "number", "operator"]


class Token(NamedTuple):
    """A piece of a statement, ``text[start:end]``; comments and white space are none."""

    start: int
    end: int
    kind: Kind


Tokenizer = Callable[[str], list[Token]]


class Untokenizable(Exception):
    """A tokenizer cannot read a text; what asks for its tokens leaves the text as it is."""


_WORD = re.compile(r"\S+")


def sqlglot_tokenizer(dialect: str | None) -> Tokenizer:
    """The tokenizer of one of sqlglot's dialects, by its name; None is its common one."""

    def tokenize(text: str) -> list[Token]:
        tokens: list[Token] = []
        reached = 0
        for token in _sqlglot_tokens(dialect, text):
            # What sqlglot reads as a cast (`5L`) is three tokens at one place.
            if token.start >= reached:
                reached = token.end + 1
                tokens += _typed(text, token.start, reached, _sqlglot_kind(token, text))
        return tokens

    return tokenize


def duckdb_tokenizer(text: str) -> list[Token]:
    """DuckDB's own tokenizer; for DuckDB before version 2 sqlglot's of PostgreSQL.

    The own one then left comments out, so that the end of a token before one could not be told. Up to that
    version DuckDB's lexical rules were those of PostgreSQL.

    Examples
    --------
    >>> text = "select 'a;b' -- and;"
    >>> [(text[token.start:token.end], token.kind) for token in duckdb_tokenizer(text)]
    [('select', 'word'), ("'a;b'", 'string')]
    """
    import duckdb

    if not _gives_comments():
        return sqlglot_tokenizer("postgres")(text)
    try:
        marks = duckdb.tokenize(text)
    except Exception as error:
        raise Untokenizable from error
    starts = [*_characters(text, [offset for offset, _ in marks]), len(text)]
    tokens: list[Token] = []
    # Its tokens have no end, but only white space can follow one.
    for (start, following), (_, mark) in zip(pairwise(starts), marks, strict=True):
        piece = text[start:following].strip()
        start = text.index(piece, start)
        if mark.name != "comment":
            tokens += _typed(text, start, start + len(piece), _duckdb_kind(mark.name, piece))
        elif piece.startswith("/*") and not piece.endswith("*/"):
            raise Untokenizable  # a comment that never ends: DuckDB refuses it, so it is not for us to drop
    return tokens


@lru_cache(maxsize=1)
def _gives_comments() -> bool:
    import duckdb

    return bool(duckdb.tokenize("--"))


def _sqlglot_tokens(dialect: str | None, text: str) -> list[Any]:
    try:
        return list(_sqlglot_class(dialect)(dialect=dialect).tokenize(text))
    except Exception as error:
        raise Untokenizable from error


@lru_cache
def _sqlglot_class(dialect: str | None) -> Any:
    """The dialect's tokenizer, reading on where sqlglot's parser would have it stop."""
    import logging

    from sqlglot import Dialect

    logger = logging.getLogger("sqlglot")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # it warns of what it only half knows; we leave that to the service
    known = Dialect.get_or_raise(dialect).tokenizer_class
    # In some versions a subclass forgets settings that do not stand in the class itself.
    settings = {name: value for name, value in vars(known).items() if name[0] != "_" and name.isupper()}
    # After one of the COMMANDS (SHOW, CALL, EXPLAIN) all up to the `;` would be a single token.
    return type(known.__name__, (known,), {**settings, "COMMANDS": set()})


def _sqlglot_kind(token: Any, text: str) -> Kind:
    name, first = token.token_type.name, text[token.start]
    if name.endswith("STRING"):
        return "string"
    if name == "NUMBER":
        return "number"
    if name == "VAR" or first.isalnum() or first == "_":
        return "word"
    return "quoted" if name == "IDENTIFIER" else "operator"


def _duckdb_kind(name: str, piece: str) -> Kind:
    if name in ("identifier", "keyword"):
        return "quoted" if piece[:1] in ('"', "`") else "word"
    if name == "string_const":
        return "string"
    return "number" if name == "numeric_const" and piece != "." else "operator"


def _typed(text: str, start: int, end: int, kind: Kind) -> Iterator[Token]:
    """The token; or the words in it, where ``ORDER BY``, or a word and a no-break space, are given as one."""
    if kind != "word":
        yield Token(start, end, kind)
    else:
        yield from (Token(*word.span(), kind) for word in _WORD.finditer(text, start, end))


def _characters(text: str, offsets: Sequence[int]) -> Sequence[int]:
    """Where the bytes at these offsets are in the text, which ascend."""
    if text.isascii():
        return offsets
    encoded, places, at, reached = text.encode(), [], 0, 0
    for offset in offsets:
        at += len(encoded[reached:offset].decode())
        reached = offset
        places.append(at)
    return places
