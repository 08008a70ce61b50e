"""PostgreSQL's errors in the sentences that people need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omniduct.core import failures
from omniduct.core.endpoints import where
from omniduct.databases.session.explaining import Explanation
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
)

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["missing_database", "of_connecting", "of_statement"]

_LEAD = re.compile(
    r"^(?:\w+: )?(?:\[libpq\] )?(?:Failed to connect: )?(?:connection to server .*? failed: )?(?:FATAL:\s+)?",
    re.DOTALL,
)
_NO_DATABASE = re.compile(r'database "(.*)" does not exist')
_REFUSED = (
    "password authentication failed",
    "no password supplied",
    "role ",
    "pg_hba.conf",
    "SASL",
    "GSSAPI",
)
_NO_TABLE = re.compile(r'(?:relation|table|view) "(.*?)" does not exist')
_NO_COLUMN = re.compile(r'column (?:"(.*?)"|(\S+)) (?:of relation .*? )?does not exist')
_CUT = re.compile(
    r"closed the connection|no connection to the server|connection (?:not open|reset|timed out)|SSL SYSCALL|"
    r"could not receive data|could not send data|terminating connection|Broken pipe",
    re.IGNORECASE,
)
_SHUTDOWN = "57P"  # the class of SQLSTATEs by which an administrator ends a connection


def missing_database(said: str) -> str | None:
    """The name of the database that there is none of, if that is what it says."""
    found = _NO_DATABASE.search(said)
    return found[1] if found else None


def of_connecting(client: DatabaseClient, said: str, near: str = "") -> DuctError:
    """What to tell of a connection that could not be made."""
    at = f" to {where(client)}" if where(client) else ""
    reason = failures.redact(client, _LEAD.sub("", said.strip()).strip().replace("\n\t", " "))
    kind: type[DuctError] = DuctConnectionError
    if any(mark in reason for mark in _REFUSED):
        kind = DuctAuthenticationError
        if "no password supplied" in reason:
            reason = (
                "the password that was given is empty"
                if client._password
                else "the server wants a password, and there is none: set password (True asks for it)"
            )
    elif "timeout expired" in reason or "could not translate host name" in reason:
        kind = DuctServerUnreachable
    return kind(f"{client.name}: could not connect{at}: {reason}{near}")


def of_statement(error: Exception, statement: str) -> Explanation:
    """What to tell of a statement that failed."""
    details = {key: _text(value) for key, value in getattr(error, "details", None) or ()}
    text = str(error)
    said = details.get(b"PG_DIAG_MESSAGE_PRIMARY") or _primary(text)
    state = getattr(error, "sqlstate", None) or ""
    if _CUT.search(said) or (state.startswith(_SHUTDOWN) and "terminat" in said):
        return Explanation(
            "the connection was lost while the statement ran, so it may or may not have taken effect "
            f"({_short(said)}). The next statement connects anew",
            kind=DuctConnectionError,
            lost=True,
        )
    notes = [details.get(key) for key in (b"PG_DIAG_MESSAGE_DETAIL", b"PG_DIAG_MESSAGE_HINT")]
    sentence = ". ".join([said, *(note.rstrip(".") for note in notes if note)])
    table, column = _NO_TABLE.search(said), _NO_COLUMN.search(said)
    hinted = "Perhaps you meant" in sentence
    return Explanation(
        sentence,
        _position(details, text),
        table=table[1] if table and not hinted else None,
        column=(column[1] or column[2]) if column and not hinted else None,
        kind=DuctStatementError,
    )


def _short(said: str) -> str:
    """What libpq says of a lost connection, without what the driver did and what it guesses."""
    said = re.sub(r"^(?:Failed to \w+ query: |could not begin COPY: |PQ\w+\(\) failed: )+", "", said)
    return said.partition(" This probably means")[0]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _primary(text: str) -> str:
    """The sentence in a message of the driver that has no details."""
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*?)(?:\n|$)", text)
    if found:
        return found[1]
    text = re.sub(r"^(?:\w+: )?(?:\[libpq\] )?", "", text)
    return " ".join(text.partition("Query was:")[0].split())


def _position(details: dict[bytes, str], text: str) -> int | None:
    """Where in the statement, in characters from 0; the driver may have put it into a COPY."""
    said = details.get(b"PG_DIAG_STATEMENT_POSITION")
    if said is None or not said.isdigit():
        return None
    return int(said) - 1 - (len("COPY (") if "could not begin COPY" in text else 0)
