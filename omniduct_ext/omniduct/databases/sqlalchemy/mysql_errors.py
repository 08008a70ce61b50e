"""What MySQL and MariaDB say, as sentences for people."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from omniduct.databases.session.explaining import Explanation, place_of
from omniduct.databases.sqlalchemy import errors as sqlalchemy_errors
from omniduct.databases.sqlalchemy.errors import parts, said
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
)

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["HIDDEN", "of_connecting", "of_statement"]

_SYNTAX = "1064"
_MANUAL = re.compile(
    r"; check the manual that corresponds to your \w+ server version for the right syntax to use",
    re.IGNORECASE,
)
_NEAR = re.compile(r"near '(.*)' at line (\d+)", re.DOTALL)
_NO_TABLE = {"1146": r"Table '(.+)' doesn't exist", "1051": r"Unknown table '(.+)'"}
_NO_COLUMN = {"1054": r"Unknown column '(.+?)' in"}
_LOST = frozenset(
    {"0", "1053", "1080", "1152", "1927", "2000", "2002", "2003", "2006", "2013", "2055", "4031"}
)
_REFUSED = frozenset({"1045", "1698", "1251", "1820", "2059", "3118", "3955", "4151"})
HIDDEN = frozenset({"1044", "1049", "1142"})
_SILENT = frozenset({"2002", "2003", "2013"})
_NO_DATABASE = frozenset({"1044", "1049"})


def of_statement(error: Exception, statement: str) -> Explanation:
    """What a failed statement means."""
    code, text = parts(error)
    if (code in _LOST and type(error).__name__ != "ProgrammingError") or isinstance(error, OSError):
        return sqlalchemy_errors.lost(said(code if code != "0" else "", text.strip()))
    if code == _SYNTAX:
        return Explanation(said(code, _MANUAL.sub("", text)), _place(text, statement))
    table, column = _named(_NO_TABLE, code, text), _named(_NO_COLUMN, code, text)
    missing = (table or column or "").rpartition(".")[2]
    place = place_of(missing, statement) if missing else None
    return Explanation(said(code, text) or type(error).__name__, place, table, column, DuctStatementError)


def _place(text: str, statement: str) -> int | None:
    """Where the part of a statement stands that the server quotes: its beginning, of up to 80 characters."""
    found = _NEAR.search(text)
    if found is None:
        return None
    quoted, line = found[1], int(found[2])
    return place_of(quoted, statement, line) if quoted else len(statement.rstrip())


def _named(patterns: dict[str, str], code: str, text: str) -> str | None:
    found = re.search(patterns[code], text) if code in patterns else None
    return found[1] if found else None


def of_connecting(duct: Duct, error: Exception, near: Callable[[], str]) -> DuctError:
    """What to tell the person of a connection that was refused; `near` gives databases that may be meant."""
    code, text = parts(error)
    if code in _NO_DATABASE:
        named = getattr(duct, "database", "")
        what = f"{duct.username!r} sees no database {named!r} there ({code}){near()}"
        return sqlalchemy_errors.failure(duct, DuctConnectionError, what)
    kind = sqlalchemy_errors.kind_of(text)
    if code in _REFUSED:
        kind = DuctAuthenticationError
    elif code in _SILENT:
        kind = DuctServerUnreachable
    return sqlalchemy_errors.failure(duct, kind, said(code, text))
