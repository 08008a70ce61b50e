"""The headers and credentials that a person adds to a duct: checked, shown nowhere, and in no pickle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omniduct.credentials import Secret
from omniduct.errors import DuctConfigError

__all__ = ["check", "extra_credentials", "hidden", "http_headers", "secrets", "without_values"]

_FIELDS = ("http_headers", "extra_credentials")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's name, by RFC 9110
_CREDENTIAL = re.compile(r"[!-<>-~]+")  # ASCII, without blanks and =
_VALUE = re.compile(r"(?:\S[^\r\n\0]*)?")
_OWN = ("x-trino-", "x-presto-")
_LEAST = 8  # characters of a header's value that are kept out of errors: "prod" may stand in any

# What the duct sends itself, without the prefix of Presto's and Trino's, and by what that is set.
_RESERVED = {
    "user": "username or session_user",
    "original-user": "username",
    "catalog": "catalog",
    "schema": "schema",
    "source": "source",
    "time-zone": "time_zone",
    "session": "session_properties",
    "role": "roles",
    "client-tags": "client_tags",
    "extra-credential": "extra_credentials",
    "query-data-encoding": "spooling",
    "prepared-statement": "PREPARE",
    "transaction-id": "START TRANSACTION",
    "client-capabilities": "",
}
_RESERVED_OTHERS = {
    **dict.fromkeys(("user-agent", "host", "content-length", "transfer-encoding", "connection"), ""),
    "accept-encoding": "compression",
}


def hidden(values: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Values that nothing shows, by name; of headers of Presto and Trino themselves as they are."""
    return {str(name): _hidden(str(name), value) for name, value in (values or {}).items()}


def _hidden(name: str, value: Any) -> Any:
    return value if value is None or isinstance(value, Secret) or _is_open(name) else Secret(str(value))


def _is_open(name: str) -> bool:
    return name.lower().startswith(_OWN)


def check(client: Any) -> None:
    """Complain about what can never be sent.

    Raises
    ------
    DuctConfigError
        It names the header or the credential, and never its value.
    """
    for name, value in client.http_headers.items():
        if reason := _objection(str(name), value):
            raise DuctConfigError(f"{client.name}: http_headers cannot have {str(name)!r}: {reason}")
    for name in client.extra_credentials:
        if not _CREDENTIAL.fullmatch(str(name)):
            raise DuctConfigError(
                f"{client.name}: extra_credentials cannot have {str(name)!r}: a name is of ASCII characters, "
                "without blanks and ="
            )


def _objection(name: str, value: Any) -> str:
    """Why a header cannot be sent; empty if it can."""
    lower = name.lower()
    own = next((lower.removeprefix(prefix) for prefix in _OWN if lower.startswith(prefix)), None)
    setter = _RESERVED_OTHERS.get(lower) if own is None else _RESERVED.get(own)
    if not _TOKEN.fullmatch(name):
        return "that is no name of a header"
    if setter is not None:
        return "the duct sends that itself" + (f"; it is set by {setter}" if setter else "")
    text = "" if value is None else _text(value)
    if not _VALUE.fullmatch(text):
        return "its value has a line end in it, or begins with a blank"
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return "its value has characters that are not of Latin-1"
    return ""


def http_headers(client: Any) -> dict[str, str]:
    """The headers, to be sent.

    Raises
    ------
    DuctConfigError
        One cannot be sent.
    """
    check(client)
    return dict(_values(client, "http_headers"))


def extra_credentials(client: Any) -> list[tuple[str, str]]:
    """The credentials, to be sent."""
    return list(_values(client, "extra_credentials"))


def _values(client: Any, field: str) -> Iterator[tuple[str, str]]:
    for name, value in getattr(client, field).items():
        if value is None:
            raise DuctConfigError(
                f"{client.name}: {field} has no value for {str(name)!r}; a pickle of a duct is without: set "
                f"{field} anew"
            )
        yield str(name), _text(value)


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def secrets(client: Any) -> Iterator[str]:
    """What no error may show: the values, and a token without the word before it."""
    for field in _FIELDS:
        for name, value in (getattr(client, field, None) or {}).items():
            least = 3 if field == "extra_credentials" else _LEAST
            if value is not None and not (field == "http_headers" and _is_open(str(name))):
                text = _text(value).strip()
                yield from (part for part in {text, text.rpartition(" ")[2]} if len(part) >= least)


def without_values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a duct without the values that are nobody's business."""
    bare = {
        field: {name: value if _is_open(str(name)) else None for name, value in arguments[field].items()}
        for field in _FIELDS
        if arguments.get(field)
    }
    return {**arguments, **bare}
