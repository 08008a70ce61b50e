"""What fsspec tells of files, as entries of ours."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import stat
from collections.abc import Mapping
from typing import Any

from omniduct.filesystems.listing import FileSystemFileDesc

__all__ = ["described"]

_TYPES = {"file": "file", "directory": "directory", "link": "link"}
_TIMES = {
    "created": ("created", "ctime", "creation_time", "CreationDate"),
    "last_modified": (
        "mtime",
        "modified",
        "last_modified",
        "LastModified",
        "Last-Modified",
        "modify",
        "updated",
        "date_time",
        "modificationTime",
    ),
    "last_accessed": ("atime", "last_accessed", "accessTime", "time"),
}


def described(path: str, name: str, info: Mapping[str, Any]) -> FileSystemFileDesc:
    """One of fsspec's entries; each of its filesystems has names of its own for what it says.

    >>> described("/a", "a", {"type": "file", "size": 3, "mode": 0o100640, "mtime": 0}).permissions
    'rw-r-----'
    """
    kind = _TYPES.get(str(info.get("type")), "other")
    times = {field: _first_time(info, names) for field, names in _TIMES.items()}
    return FileSystemFileDesc(
        path=path,
        name=name,
        type=kind,
        bytes=None if kind == "directory" else info.get("size"),
        owner=_text(info, "owner", "uid", "unix.owner", "unix.uid"),
        group=_text(info, "group", "gid", "unix.group", "unix.gid"),
        permissions=_permissions(info),
        **times,
        extra={"is_link": bool(info.get("islink", False)), **_rest(info)},
    )


def _rest(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key not in ("name", "size", "type", "islink")}


def _text(info: Mapping[str, Any], *names: str) -> str | None:
    return next((str(info[name]) for name in names if info.get(name) not in (None, "")), None)


def _permissions(info: Mapping[str, Any]) -> str | None:
    mode = info.get("mode", info.get("unix.mode"))
    if isinstance(mode, str):
        mode = int(mode, 8) if mode.isdigit() else None
    return stat.filemode(mode)[1:] if isinstance(mode, int) else None


def _first_time(info: Mapping[str, Any], names: tuple[str, ...]) -> datetime.datetime | None:
    found = (_time(info[name]) for name in names if info.get(name) is not None)
    return next((time for time in found if time is not None), None)


def _time(value: Any) -> datetime.datetime | None:
    """A time of any kind; one without a zone is in UTC, but for a zip's, which is local."""
    with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if value > 1e11 else value  # HDFS counts milliseconds
            return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        if isinstance(value, tuple):
            return datetime.datetime(*value).astimezone(datetime.timezone.utc)
        if isinstance(value, str):
            value = _read(value)
        if isinstance(value, datetime.datetime):
            return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    return None


def _read(text: str) -> datetime.datetime:
    """A text of an FTP server's (20260131235959.123), of HTTP's (Sat, 31 Jan 2026 23:59:59 GMT), or ISO's."""
    digits = text.partition(".")[0]
    if digits.isdigit():
        return datetime.datetime.strptime(digits, "%Y%m%d%H%M%S")
    if text.endswith("GMT"):
        return email.utils.parsedate_to_datetime(text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
