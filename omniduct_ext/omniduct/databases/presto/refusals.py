"""Answers that are none of the protocol's, and connections that broke, as sentences for people."""

from __future__ import annotations

import html
import http
import re
from collections.abc import Iterator
from typing import Literal

from omniduct.databases.session.explaining import Explanation
from omniduct.databases.statements import first_word
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
)

__all__ = ["JAVA_CLASSES", "READS", "During", "never_arrived", "of_answer", "of_lost", "reason_of"]

During = Literal["connecting", "sending", "untaken", "reading"]

_LONGEST = 200  # characters of an answer that are shown
_AMISS = (404, 405, 410, 501)  # what servers say that know nothing of the protocol
_TOO_LONG = (413, 414, 431)
_AWAY = (502, 503, 504)
JAVA_CLASSES = re.compile(r"^(?:(?:[a-z]\w*\.)+[A-Z][\w$]*: )+")
"""What Java writes before what an exception says."""

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC"})
"""What statements begin with that change nothing."""


def of_answer(status: int, body: str, statement: str, during: During, at: str = "") -> Explanation:
    """What to tell of an answer of a status that is none of the protocol's.

    Parameters
    ----------
    body : str
        Of the answer.
    statement : str
        The statement, if there was one.
    during : {"connecting", "sending", "untaken", "reading"}
        Whether it was asked what it is, sent a statement, sent one that it has certainly not taken, or asked
        for a page of a result.
    at : str
        Where the server is, as ``http://host:port``.
    """
    answer = _answer(status, body)
    server = at or "the server"
    if during != "reading" and (status < 400 or status in _AMISS):
        return _of_connection(f"{server} answers, but is no Trino or Presto ({answer}): check host and port")
    if status in (404, 410):
        return _of_connection(
            f"the server does not know the query any more, as after a restart ({answer}): {_fate(statement)}"
        )
    if status == 401:
        return Explanation(f"{server} refuses the login ({answer})", kind=DuctAuthenticationError)
    if status in _AWAY or status == 429:
        return _of_connection(f"{server} is not available ({answer}){_became(during, statement)}")
    if status in _TOO_LONG:
        return Explanation(
            f"the statement is too long for the server, or for a gateway before it ({answer}). Put long "
            "lists of values into a table"
        )
    kind: type[DuctError] = DuctConnectionError if during == "connecting" else DuctStatementError
    return Explanation(f"{server} {'failed' if status >= 500 else 'refuses'} ({answer})", kind=kind)


def _of_connection(said: str) -> Explanation:
    return Explanation(said, kind=DuctConnectionError)


def _became(during: During, statement: str) -> str:
    """What became of the statement; a gateway that gives up does not know."""
    if during == "connecting":
        return ""
    if during == "untaken":
        return ", so the statement was not run. Try again later"
    return f": {_fate(statement)}"


def _fate(statement: str) -> str:
    """What is known of a statement whose answer is lost."""
    if first_word(statement) in READS:
        return "the result is lost, and the statement can be run again"
    return "the statement may or may not have taken effect"


def _answer(status: int, body: str) -> str:
    """A status in words, and the first of what comes with it.

    >>> _answer(404, "Error 404 Not Found: Query not found")
    '404 Not Found: Query not found'
    >>> _answer(502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
    '502 Bad Gateway'
    """
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    again = rf"^(?:HTTP )?(?:ERROR )?(?:{status}\b ?)?(?:{phrase})?:? *"
    text = JAVA_CLASSES.sub("", re.sub(again, "", _text(body), flags=re.IGNORECASE))
    return f"{status} {phrase}".strip() + (f": {text}" if text else "")


def _text(body: str) -> str:
    """The first words of a page, or the first line of a text."""
    if re.match(r"\s*<", body):
        found = re.search(r"<(title|h1|h2)\b[^>]*>(.*?)</\1>", body, re.DOTALL | re.IGNORECASE)
        body = html.unescape(re.sub(r"<[^>]*>", " ", found[2] if found else body))
        text = " ".join(body.split())
    else:
        text = next((line.strip() for line in body.splitlines() if line.strip()), "")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def of_lost(error: Exception, statement: str = "") -> Explanation:
    """What to tell of a connection that broke, or could not be made, while a statement was under way."""
    reason = reason_of(error)
    if getattr(getattr(error, "request", None), "method", "") == "POST" and never_arrived(error):
        return Explanation(
            f"the server cannot be reached, so the statement was not run ({reason})",
            kind=DuctServerUnreachable,
        )
    return _of_connection(
        f"the connection was lost while the statement ran ({reason}): {_fate(statement)}. The next one "
        "connects anew"
    )


def never_arrived(error: Exception) -> bool:
    """Whether a request has certainly not reached the server."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    return any(isinstance(each, (ConnectTimeoutError, NewConnectionError)) for each in _chain(error))


def reason_of(error: Exception) -> str:
    """What the innermost of the exceptions says that libraries wrap one in the other."""
    last = [*_chain(error)][-1]
    return str(getattr(last, "strerror", None) or last).strip() or type(last).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: object = error
    while isinstance(each, BaseException) and id(each) not in seen:
        seen.add(id(each))
        yield each
        wrapped = [getattr(each, "reason", None), *each.args[:2], each.__cause__, each.__context__]
        each = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
