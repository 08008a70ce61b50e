"""What SHOW CREATE says of a table: its comment, and the properties that stand behind WITH."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from omniduct.databases.tokens import Token, Untokenizable, sqlglot_tokenizer

__all__ = ["Definition", "read"]

_OPENING, _CLOSING = ("(", "["), (")", "]")
_PARTITIONED = ("partitioned_by", "partitioning")  # Hive and Delta Lake, Iceberg
_COLUMN = re.compile(r'(?:\w+\s*\(\s*)?("(?:[^"]|"")*"|[^\s,()"]+)')  # of a partition: in a transform or bare


@dataclass(frozen=True)
class Definition:
    """What a table was made with.

    Parameters
    ----------
    comment : str, optional
        Of the table.
    properties : dict
        Name -> value: a text as it is, several as the text of a JSON array, all else as it is written.
    """

    comment: str | None = None
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def partitions(self) -> list[str]:
        """The columns by which the table is partitioned.

        >>> Definition(properties={"partitioning": '["day(ts)", "bucket(c, 4)"]'}).partitions
        ['ts', 'c']
        """
        given = next((self.properties[name] for name in _PARTITIONED if name in self.properties), "[]")
        names = [_column(each) for each in json.loads(given)]
        return list(dict.fromkeys(names))


def _column(partition: str) -> str:
    found = _COLUMN.match(partition.strip())
    name = found[1] if found else partition
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def read(text: str) -> Definition:
    r"""What a CREATE TABLE says behind its columns; nothing if it cannot be read.

    >>> read("CREATE TABLE t (d date COMMENT ')')\nCOMMENT 'c'\nWITH (format = 'ORC', days = 3)")
    Definition(comment='c', properties={'format': 'ORC', 'days': '3'})
    """
    try:
        tokens = _behind_columns(text, sqlglot_tokenizer("trino")(text))
    except Untokenizable:
        return Definition()
    comment, properties = None, {}
    for place, token in enumerate(tokens):
        word = text[token.start : token.end].upper()
        if word == "COMMENT" and place + 1 < len(tokens):
            comment = _plain(text, tokens[place + 1])
        elif word == "WITH":
            properties = dict(_properties(text, tokens[place + 1 :]))
        if word in ("WITH", "AS"):  # behind AS is the query of a view
            break
    return Definition(comment, properties)


def _behind_columns(text: str, tokens: Sequence[Token]) -> Sequence[Token]:
    depth = 0
    for place, token in enumerate(tokens):
        mark = text[token.start : token.end]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        if mark in _CLOSING and depth == 0:
            return tokens[place + 1 :]
        if mark.upper() in ("COMMENT", "WITH", "AS") and depth == 0:  # a view, which names no columns
            return tokens[place:]
    return []


def _properties(text: str, tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """The properties between the parentheses, with which the tokens begin."""
    depth, begun = 0, 1
    for place, token in enumerate(tokens):
        mark = text[token.start : token.end]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        if (mark == "," and depth == 1) or depth == 0:
            name, _, *value = tokens[begun:place] or (token, token)
            if value:
                yield _plain(text, name), _value(text, value)
            begun = place + 1
        if depth == 0:
            return


def _value(text: str, tokens: Sequence[Token]) -> str:
    first, last = tokens[0], tokens[-1]
    if len(tokens) == 1:
        return _plain(text, first)
    strings = [_plain(text, token) for token in tokens if token.kind == "string"]
    marks = {text[token.start : token.end].upper() for token in tokens if token.kind != "string"}
    if marks <= {"ARRAY", "[", "]", ","}:
        return json.dumps(strings, ensure_ascii=False)
    return text[first.start : last.end]


def _plain(text: str, token: Token) -> str:
    """A token without its quotes."""
    written = text[token.start : token.end]
    quote = {"string": "'", "quoted": '"'}.get(token.kind)
    return written[1:-1].replace(quote * 2, quote) if quote else written
