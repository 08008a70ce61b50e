"""Presto's and Trino's errors in the sentences that people need."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from omniduct.core.arguments import did_you_mean
from omniduct.databases.presto.names import parts_of, references
from omniduct.databases.presto.refusals import JAVA_CLASSES, During, of_answer, of_lost
from omniduct.databases.session.explaining import Explanation, place_of
from omniduct.databases.session.progress import duration
from omniduct.databases.statements import first_word
from omniduct.errors import DuctConnectionError, DuctError, DuctStatementError

__all__ = ["of_http", "of_query", "of_statement"]

_LEAD = re.compile(r"^line \d+:\d+: ")
# A statement with bind values, which goes in a header where the server does not know EXECUTE IMMEDIATE.
_UNPREPARED = re.compile(r"Invalid X-\w+-Prepared-Statement header: line (\d+):(\d+): (.*)", re.DOTALL)
_STACK = re.compile(r"\n\s*(?:at [\w.$]+\(|Caused by: )")

# Presto calls nearly all of these syntax errors, so what they say has to tell.
_MISSING = {
    "catalog": r"Catalog '?(.+?)'? (?:not found|does not exist)"
    r"|(?:Catalog|Session property catalog) does not exist: (.+)",
    "schema": r"Schema '?(.+?)'? does not exist|Schema does not exist: (.+)",
    "table": r"(?:Table|View|Materialized view) '?(.+?)'? does not exist",
    "column": r"(?:Column )?'(.+?)' cannot be resolved|Column '?(.+?)'? does not exist"
    r"|Insert column name does not exist in target table: (.+)",
    "function": r"Function '?(.+?)'? not registered",
    "session property": r"Session property '?(.+?)'? does not exist|Unknown session property (.+)",
}

_IMMEDIATE = "EXECUTE IMMEDIATE '"
_MOST_EXPECTED = 6
_QUERIES = ["SELECT", "WITH", "VALUES", "TABLE"]  # what a <query> begins with


def of_query(
    error: Mapping[str, Any], statement: str, query_id: str | None, info_uri: str | None, sent: str = ""
) -> Explanation:
    """What to tell of a statement that failed on the server.

    Parameters
    ----------
    error : Mapping
        The `error` of the protocol's answer.
    statement : str
        The statement as the person knows it.
    query_id, info_uri : str, optional
        The server's name for it, and its page in the server's web UI.
    sent : str
        What was sent, if that is another text: one that runs it with bind values.
    """
    name, said = str(error.get("errorName") or ""), _said(error)
    among, missing = _missing(said)
    return Explanation(
        _sentence(name, said) + (_where(query_id, info_uri) if _is_for_others(name, error) else ""),
        _position(error, statement, sent, among, missing),
        kind=_KINDS.get(name, DuctStatementError),
        missing=None if "Did you mean" in said else missing,
        among=among,
    )


def of_statement(error: Exception, statement: str) -> Explanation:
    """What to tell of an exception: one of the `trino` package, or of the connection.

    The exception of a failed query may have the attributes `info_uri` and `sent`, as of `of_query`.
    """
    answered = getattr(error, "_error", None)
    if isinstance(answered, Mapping):
        query_id, info_uri = getattr(error, "query_id", None), getattr(error, "info_uri", None)
        return of_query(answered, statement, query_id, info_uri, getattr(error, "sent", ""))
    if isinstance(error, OSError) or type(error).__name__ == "TrinoConnectionError":
        return of_lost(error, statement)
    return Explanation(str(error).strip() or type(error).__name__)


def of_http(status: int, body: str, statement: str, during: During, at: str = "") -> Explanation:
    """What to tell of an answer of a status that is none of the protocol's; as `refusals.of_answer`."""
    found = _UNPREPARED.search(body) if status == 400 else None
    if found is None:
        return of_answer(status, body, statement, during, at)
    location = {"lineNumber": int(found[1]), "columnNumber": int(found[2])}
    error = {"errorName": "SYNTAX_ERROR", "errorType": "USER_ERROR", "message": found[3]}
    return of_query({**error, "errorLocation": location}, statement, None, None)


def _said(error: Mapping[str, Any]) -> str:
    """The server's own sentence: without a place, Java's names of exceptions, and its stacks."""
    info: Mapping[str, Any] | None = error.get("failureInfo")
    text, kind = error.get("message"), ""
    while not text and info:
        text, kind, info = info.get("message"), str(info.get("type") or ""), info.get("cause")
    text = _STACK.split(str(text or ""))[0].strip()
    bare = _LEAD.sub("", JAVA_CLASSES.sub("", text))
    return (bare or text or kind.rpartition(".")[2] or str(error.get("errorName") or "it failed")).rstrip(".")


# Where the person, or an administrator, has to look

_OF_OTHERS = frozenset({"USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ABANDONED_QUERY", "PERMISSION_DENIED"})


def _is_for_others(name: str, error: Mapping[str, Any]) -> bool:
    return name in _OF_OTHERS or error.get("errorType") != "USER_ERROR"


def _where(query_id: str | None, info_uri: str | None) -> str:
    return f" (query {': '.join(filter(None, [query_id, info_uri]))})" if query_id or info_uri else ""


# What it says

_NODES = frozenset(
    """
    ABANDONED_TASK PAGE_TRANSPORT_ERROR PAGE_TRANSPORT_TIMEOUT REMOTE_BUFFER_CLOSE_FAILED REMOTE_HOST_GONE
    REMOTE_TASK_ERROR REMOTE_TASK_FAILED REMOTE_TASK_MISMATCH TOO_MANY_REQUESTS_FAILED TOO_MANY_TASK_FAILED
    """.split()
)
_SENTENCES = {
    "AUTOCOMMIT_WRITE_CONFLICT": "{said}: it cannot be written to in a transaction",
    "CLUSTER_OUT_OF_MEMORY": "the cluster ran out of memory, and killed this query for it. Ask for less, or "
    "try again in a few minutes",
    "GENERIC_INTERNAL_ERROR": "the server failed within itself: {said}",
    "NO_NODES_AVAILABLE": "the cluster has no worker that could run it now: {said}",
    "QUERY_QUEUE_FULL": "the server's queue is full, so it was not run: {said}. Try again later",
    "SERVER_SHUTTING_DOWN": "the server is shutting down: {said}",
    "SERVER_STARTING_UP": "the server is still starting, so it was not run. Try again in a moment",
    "TRANSACTION_ALREADY_ABORTED": "a statement of the transaction had failed, so it has to be rolled back",
    "UNKNOWN_TRANSACTION": "the server does not know the transaction any more: it was idle for too long, or "
    "the server was restarted. What it had done is undone",
    "USER_CANCELED": "the query was cancelled on the server, by somebody else or in its web UI",
}
_KINDS: dict[str, type[DuctError]] = {
    "SERVER_SHUTTING_DOWN": DuctConnectionError,
    "SERVER_STARTING_UP": DuctConnectionError,
}


def _sentence(name: str, said: str) -> str:
    if name in _NODES:
        return _of_node(said)
    if name.startswith("EXCEEDED_"):
        return _of_limit(name, said)
    if name in _WRITERS:
        return _WRITERS[name](said)
    return _SENTENCES[name].format(said=said) if name in _SENTENCES else said


def _of_node(said: str) -> str:
    """A worker that failed is named; the rest of what is said of it is what our sentence says."""
    node = re.search(r"https?://[^/\s]+", said)
    reason = "" if said.startswith("Encountered too many errors talking to a worker") else f": {said}"
    named = f" at {node[0]}" if node else ""
    return f"a worker{named} failed, or cannot be reached{reason}. Run it again in a few minutes"


# In this order: the more special first.
_LIMITS = {
    r"per-node total memory": "query_max_total_memory_per_node",
    r"per-node (?:user )?memory": "query_max_memory_per_node",
    r"total memory": "query_max_total_memory",
    r"user memory": "query_max_memory",
    r"planning time": "query_max_planning_time",
    r"execution time": "query_max_execution_time",
    r"\bCPU\b": "query_max_cpu_time",
    r"EXCEEDED_TIME_LIMIT": "query_max_run_time",
    r"EXCEEDED_SCAN_LIMIT": "query_max_scan_physical_bytes",
    r"EXCEEDED_SCAN_RAW": "query_max_scan_raw_input_bytes",
    r"EXCEEDED_OUTPUT_SIZE": "query_max_output_size",
    r"EXCEEDED_OUTPUT_POSITIONS": "query_max_output_positions",
}


def _of_limit(name: str, said: str) -> str:
    """Which limit, and by what it may be raised; without the list of who took how much memory."""
    said = re.split(r" \[Allocated: ", said)[0]
    found = next((limit for mark, limit in _LIMITS.items() if re.search(mark, f"{name} {said}")), None)
    if found is None:
        return f"{said}. Ask for less, or have an administrator raise the limit"
    return f"{said}. Ask for less, or raise the session property {found}, as far as the server lets you"


def _of_syntax(said: str) -> str:
    """Without the list of all that might have been written instead, where that is long."""
    said = said.replace("mismatched input '<EOF>'", "the statement ends too early")
    found = re.fullmatch(r"(mismatched input '(.*?)'|.*?)\. Expecting: (.*)", said, re.DOTALL)
    expected = re.findall(r"'[^']+'|<[^>]+>", found[3]) if found else []
    if found is None or len(expected) <= _MOST_EXPECTED:
        return said
    words = [word.strip("'") for word in expected if word[0] == "'"]
    near = did_you_mean(found[2] or "", words + (_QUERIES if "<query>" in expected else []))
    some = ", ".join(expected[:_MOST_EXPECTED])
    return found[1] + (near or f". Expecting: {some}, or {len(expected) - _MOST_EXPECTED} others")


def _of_abandoned(said: str) -> str:
    found = re.search(r"accessed since (\S+): currentTime (\S+)", said)
    silence = _between(found[1], found[2]) if found else "too long"
    return f"the server gave the query up, as nobody had asked for its rows for {silence}"


def _between(first: str, last: str) -> str:
    """The time from one to another, as the server writes times."""
    try:
        times = [datetime.datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S") for text in (first, last)]
    except ValueError:
        return "too long"
    return duration((times[1] - times[0]).total_seconds())


def _of_kill(done: str) -> Callable[[str], str]:
    def write(said: str) -> str:
        reason = re.search(r"\. Message: (.+)", said, re.DOTALL)
        return f"an administrator {done}" + (f": {reason[1]}" if reason else ", and gave no reason")

    return write


def _of_length(said: str) -> str:
    found = re.search(r"\((\d+)\) exceeds the maximum length \((\d+)\)", said)
    lengths = f": {int(found[1]):,} characters, of at most {int(found[2]):,}" if found else ""
    return f"the statement is too long for the server{lengths}. Put long lists of values into a table"


_WRITERS: dict[str, Callable[[str], str]] = {
    "ABANDONED_QUERY": _of_abandoned,
    "ADMINISTRATIVELY_KILLED": _of_kill("killed the query"),
    "ADMINISTRATIVELY_PREEMPTED": _of_kill("stopped the query in favour of others"),
    "QUERY_TEXT_TOO_LARGE": _of_length,
    "SYNTAX_ERROR": _of_syntax,
}


# Where it is


def _missing(said: str) -> tuple[str, str | None]:
    """What kind of name there is none of, and the name."""
    for among, pattern in _MISSING.items():
        found = re.match(rf"(?:{pattern})(?:\.|$)", said)
        if found:
            return among, next(filter(None, found.groups()))
    return "", None


def _position(
    error: Mapping[str, Any], statement: str, sent: str, among: str, missing: str | None
) -> int | None:
    """Where in the statement, in characters from 0: as the server says, or where a missing name stands."""
    place = _offset(error, statement, sent)
    if missing is None:
        return place
    name = missing.rpartition(".")[2].lower()
    names = [*references(statement)] if among == "table" else []
    if place is not None:
        names.insert(0, parts_of(statement, place))
    for parts in names:
        for at, part in parts.items():
            if part.lower() == name:
                return at
    written = place_of(name, statement)
    return place if written is None else written


def _offset(error: Mapping[str, Any], statement: str, sent: str) -> int | None:
    """The place that the server says; it counts lines and characters from 1."""
    location = error.get("errorLocation") or (error.get("failureInfo") or {}).get("errorLocation")
    if not location:
        return None
    line, column = int(location["lineNumber"]), int(location["columnNumber"])
    if sent.startswith(_IMMEDIATE) and not statement.startswith(_IMMEDIATE):
        # it adds that in the first line, and its parser in every line
        column -= len(_IMMEDIATE) if line == 1 or error.get("errorName") == "SYNTAX_ERROR" else 0
    elif first_word(statement) == "EXECUTE":
        return None  # the place is in what was prepared
    start = 0
    for _ in range(line - 1):
        start = statement.find("\n", start) + 1
    return start + max(column, 1) - 1
