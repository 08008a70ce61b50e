"""What the drivers under SQLAlchemy say, as sentences for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omniduct.core.endpoints import where
from omniduct.databases.session.explaining import Explanation, place_of
from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctError, DuctStatementError

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = [
    "driver_error",
    "failure",
    "is_lost",
    "kind_of",
    "lost",
    "of_connecting",
    "of_statement",
    "parts",
    "said",
]

# Nearly all services write names in quotes of some kind, and say these in some such words.
_QUOTED = r"[\"'`\[]?([\w$.\" ]+?)[\"'`\]]?"
_TABLES = (
    rf"no such table: {_QUOTED}$",
    rf"relation {_QUOTED} does not exist",
    rf"Invalid object name {_QUOTED}\.",
    rf"Table {_QUOTED} (?:doesn't|does not) exist",
    rf"Table with name {_QUOTED} does not exist",
    rf"Object {_QUOTED} does not exist or not authorized",
    rf"table or view {_QUOTED} does not exist",
    rf"Table unknown, {_QUOTED},",
)
_COLUMNS = (
    rf"no such column: {_QUOTED}$",
    rf"column {_QUOTED} does not exist",
    rf"Invalid column name {_QUOTED}\.",
    rf"Referenced column {_QUOTED} not found",
    rf"invalid identifier {_QUOTED}$",
    rf"{_QUOTED}: invalid identifier",
    rf"Column unknown, {_QUOTED},",
)
_PLACES = (
    r'near "(.+?)": syntax error',
    r'at or near "(.+?)"',
    r"[Ii]ncorrect syntax near (?:the keyword )?'(.+?)'",
    r"unexpected '(.+?)'",
)
_LINE_AND_COLUMN = re.compile(r"\bline (\d+), column (\d+)", re.IGNORECASE)
_LOGIN = re.compile(
    r"password authentication failed|access denied for user|login failed|logon denied|ORA-01017|ORA-28000"
    r"|incorrect username or password|user name and password are not defined|no password supplied",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"DB-Lib error message .*|Dynamic SQL Error\n-SQL error code = -?\d+\n-"
    r"|\(Background on this error at: .*\)|Help: https?://\S+"
)


def driver_error(error: Exception) -> Exception:
    """The driver's own exception, out of SQLAlchemy's."""
    found = getattr(error, "orig", None)
    return found if isinstance(found, Exception) else error


def parts(error: Exception) -> tuple[str, str]:
    """The code and the text of a driver's exception; the code may be empty."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)  # psycopg
    if primary:
        detail = "\n".join(filter(None, [error.diag.message_detail, error.diag.message_hint]))  # type: ignore[attr-defined]
        return str(getattr(error, "sqlstate", "") or ""), "\n".join(filter(None, [primary, detail]))
    given = list(error.args)
    if len(given) >= 2 and isinstance(given[0], (int, str)) and isinstance(given[1], (str, bytes)):
        return str(given[0]), _clean(given[1])
    if given and hasattr(given[0], "full_code"):  # oracledb
        return given[0].full_code, _clean(given[0].message)
    state = getattr(error, "sqlstate", None)  # Firebird's
    code = state if isinstance(state, str) else ""
    return code, _clean(given[0] if given and isinstance(given[0], (str, bytes)) else str(error))


def _clean(text: str | bytes) -> str:
    written = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _NOISE.sub("", written).strip().replace("\n-", ", ")  # so go on the texts of Firebird


def said(code: str, text: str) -> str:
    """A driver's text, with its code behind it unless it says it itself."""
    return f"{text} ({code})" if code and code not in text else text


def is_lost(dialect: Any, error: Exception) -> bool:
    """Whether an error means that the connection is gone."""
    if isinstance(error, OSError):
        return True
    try:
        return bool(dialect.is_disconnect(error, None, None))
    except Exception:  # it looked at the connection
        return False


def of_statement(error: Exception, statement: str, is_cut: bool = False) -> Explanation:
    """What a failed statement means."""
    code, text = parts(error)
    text = text or type(error).__name__
    if is_cut:
        return lost(said(code, text))
    position = getattr(getattr(error, "diag", None), "statement_position", None)
    place = int(position) - 1 if position else _place(text, statement)
    table, column = _first(_TABLES, text), _first(_COLUMNS, text)
    if place is None and (table or column):
        place = place_of((table or column or "").rpartition(".")[2], statement)
    return Explanation(said(code, text), place, table, None if table else column, DuctStatementError)


def _first(patterns: tuple[str, ...], text: str) -> str | None:
    for pattern in patterns:
        if found := re.search(pattern, text, re.IGNORECASE | re.MULTILINE):
            return found[1].strip("\"'`[]")
    return None


def _place(text: str, statement: str) -> int | None:
    quoted = _first(_PLACES, text)
    if quoted:
        return place_of(quoted, statement)
    at = _LINE_AND_COLUMN.search(text)
    lines = statement.splitlines(keepends=True)[: int(at[1])] if at else []
    return sum(map(len, lines[:-1])) + int(at[2]) - 1 if at and lines else None


def lost(what: str) -> Explanation:
    """A statement's connection is gone."""
    reason = f" ({what})" if what else ""
    return Explanation(
        f"the connection was lost while the statement ran, so it may or may not have taken effect{reason}. "
        "The next statement connects anew",
        kind=DuctConnectionError,
        lost=True,
    )


def of_connecting(duct: Duct, error: Exception) -> DuctError:
    """What to tell the person of a connection that was refused."""
    code, text = parts(error)
    kind = DuctAuthenticationError if code in ("28000", "28P01") else kind_of(text)
    return failure(duct, kind, said(code, text) or type(error).__name__)


def kind_of(text: str) -> type[DuctError]:
    """Whether a driver's text is about the login."""
    return DuctAuthenticationError if _LOGIN.search(text) else DuctConnectionError


def failure(duct: Duct, kind: type[DuctError], what: str) -> DuctError:
    """A connection that could not be made."""
    at = f" to {where(duct)}" if where(duct) else ""
    return kind(f"{duct.name}: could not connect{at}: {what}")
