"""Which class speaks which protocol.

A protocol is found, in this order, among the classes that are defined already, in the table below,
and among the entry points of installed packages (group ``omniduct.protocols``). Modules load when
one of their protocols is first used.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING

from omniduct.core.arguments import did_you_mean
from omniduct.errors import DuctError, DuctProtocolUnknown, DuctWarning

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from omniduct.duct import Duct

__all__ = ["class_names", "duplicates", "find", "known", "register"]

BUILT_IN = {
    "duckdb": "omniduct.databases.duckdb:DuckDBClient",
    "firebird": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "fsspec": "omniduct.filesystems.fsspec.client:FsspecClient",
    "localfs": "omniduct.filesystems.local:LocalFsClient",
    "mariadb": "omniduct.databases.sqlalchemy.mysql:MySQLClient",
    "mssql": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "mysql": "omniduct.databases.sqlalchemy.mysql:MySQLClient",
    "oracle": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "postgresql": "omniduct.databases.postgresql.client:PostgreSQLClient",
    "presto": "omniduct.databases.presto.client:PrestoClient",
    "snowflake": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "sqlalchemy": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "sqlite": "omniduct.databases.sqlalchemy.sqlite:SQLiteClient",
    "ssh": "omniduct.remotes.ssh.client:SSHClient",
    "ssh_cli": "omniduct.remotes.ssh.openssh.client:OpenSSHClient",
    "ssh_paramiko": "omniduct.remotes.ssh.client:SSHClient",
    "sybase": "omniduct.databases.sqlalchemy.client:SQLAlchemyClient",
    "trino": "omniduct.databases.presto.client:TrinoClient",
}
"""protocol -> "module:Class"; a new protocol is one line here."""

NOT_YET = frozenset("druid exasol filesystem_cache hiveserver2 neo4j pyspark rest s3 webhdfs".split())
"""Protocols that configurations may name and this version does not speak."""

_classes: dict[str, type[Duct]] = {}
_duplicates: dict[tuple[str, str], str] = {}
_told: set[str] = set()


def register(cls: type[Duct]) -> None:
    """Note the protocols of a class that was just defined.

    The first class to claim a protocol keeps it; a later one is reported, with both names. The same
    class defined again (a cell that is run twice) takes its own place.
    """
    path = _path(cls)
    for key in [key for key in _duplicates if key[1] == path]:
        del _duplicates[key]
    claimed: list[str] | str = cls.__dict__.get("PROTOCOLS") or []
    for protocol in [claimed] if isinstance(claimed, str) else claimed:
        holder = _holder(protocol)
        if holder is None or holder == path:
            _classes[protocol] = cls
        else:
            _note_duplicate(protocol, holder, path)
            _tell(protocol, stacklevel=4)  # this, __init_subclass__, abc, the class statement


def find(protocol: str) -> type[Duct]:
    """The class that speaks a protocol.

    Raises
    ------
    DuctProtocolUnknown
        Nothing offers it, or what offers it cannot be imported.
    """
    if not isinstance(protocol, str):
        raise DuctProtocolUnknown(f"a protocol is named by a text, as 'duckdb', not by {protocol!r}")
    if protocol in _classes:
        return _classes[protocol]
    if protocol in BUILT_IN:
        module, _, name = BUILT_IN[protocol].partition(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    point = _entry_points().get(protocol)
    if point is not None:
        _tell(protocol, stacklevel=2)
        return _load(point)
    if protocol in NOT_YET:
        raise DuctProtocolUnknown(
            f"the protocol {protocol!r} is known, but this version of omniduct does not speak it yet; "
            "a package that does can offer it (entry point omniduct.protocols)"
        )
    raise DuctProtocolUnknown(f"no class offers the protocol {protocol!r}{_near(protocol)}")


def known() -> list[str]:
    """The names of all protocols that can be used, sorted; imports none of them."""
    return sorted({*_classes, *BUILT_IN, *_entry_points()})


def duplicates() -> list[str]:
    """A sentence for every protocol that more than one class claims."""
    for protocol, point in _entry_points().items():
        cls = _classes.get(protocol)
        if cls is not None and not _is_from(cls, point):
            _note_duplicate(protocol, _path(cls), point.value)
    return list(_duplicates.values())


def class_names() -> set[str]:
    """The names of the classes in the table and of those that are defined; imports none."""
    named = {re.split("[:.]", path)[-1] for path in BUILT_IN.values()}
    return named | {cls.__name__ for cls in _classes.values()}


def installed_class_names() -> set[str]:
    """The names of the classes that other packages offer; imports none, but reads what is installed."""
    return {re.split("[:.]", point.value)[-1] for point in _entry_points().values()}


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _is_from(cls: type, point: EntryPoint) -> bool:
    """Whether a class is what an entry point offers, as far as that shows without importing it."""
    return cls.__module__.partition(".")[0] == point.value.partition(":")[0].partition(".")[0]


def _holder(protocol: str) -> str | None:
    if protocol in BUILT_IN:
        return BUILT_IN[protocol]
    return _path(_classes[protocol]) if protocol in _classes else None


def _note_duplicate(protocol: str, holder: str, claimant: str) -> None:
    _duplicates[protocol, claimant] = (
        f"the protocol {protocol!r} belongs to {holder}, and {claimant} claims it too; the first keeps it, "
        "so give the other a protocol name of its own"
    )


def _tell(protocol: str, stacklevel: int) -> None:
    """Warn of the duplicates of a protocol, once each."""
    for (duplicate, _), sentence in _duplicates.items():
        if duplicate == protocol and sentence not in _told:
            _told.add(sentence)
            warnings.warn(sentence, DuctWarning, stacklevel=stacklevel + 1)


def _near(protocol: str) -> str:
    return did_you_mean(protocol, [*known(), *NOT_YET]) or f"; there are {', '.join(known())}"


def _entry_points() -> dict[str, EntryPoint]:
    """The entry points of other packages, as they are now: one may be installed in this very session."""
    return _offers(tuple((folder, _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=1)
def _offers(_folders: tuple[tuple[str, int], ...]) -> dict[str, EntryPoint]:
    """The entry points; looked for once while `sys.path` stays as it is, as every package is read."""
    from importlib.metadata import entry_points

    importlib.invalidate_caches()
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="omniduct.protocols"):
        holder = BUILT_IN.get(point.name) or (found[point.name].value if point.name in found else None)
        if holder is None:
            found[point.name] = point
        elif holder != point.value:
            _note_duplicate(point.name, holder, point.value)
    return found


def _load(point: EntryPoint) -> type[Duct]:
    package = point.dist.name if point.dist else "an installed package"
    offer = f"the protocol {point.name!r} is offered by {package} as {point.value}, which"
    try:
        cls = point.load()
    except DuctError:
        raise
    except Exception as error:
        raise DuctProtocolUnknown(f"{offer} cannot be loaded: {type(error).__name__}: {error}") from error
    from omniduct.duct import Duct

    if not (isinstance(cls, type) and issubclass(cls, Duct)):
        raise DuctProtocolUnknown(f"{offer} is not a Duct")
    return _classes.setdefault(point.name, cls)
