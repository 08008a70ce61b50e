"""Which class speaks which protocol.

A protocol is found, in this order, among the classes that are defined already, in the table below,
and among the entry points of installed packages (group ``omniduct.protocols``). Modules load when
one of their protocols is first used.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import warnings
from typing import TYPE_CHECKING

from omniduct.errors import DuctError, DuctProtocolUnknown, DuctWarning

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from omniduct.duct import Duct

__all__ = ["duplicates", "find", "known", "register"]

BUILT_IN = {
    "duckdb": "omniduct.databases.duckdb:DuckDBClient",
    "localfs": "omniduct.filesystems.local:LocalFsClient",
}
"""protocol -> "module:Class"; a new protocol is one line here."""

NOT_YET = frozenset(
    "druid exasol filesystem_cache firebird hiveserver2 mssql mysql neo4j oracle postgresql presto pyspark rest s3 "
    "snowflake sqlalchemy sqlite ssh ssh_cli ssh_paramiko sybase trino webhdfs".split()
)
"""Protocols that configurations may name and this version does not speak."""

_classes: dict[str, type[Duct]] = {}
_duplicates: dict[str, str] = {}


def register(cls: type[Duct]) -> None:
    """Note the protocols of a class that was just defined.

    The first class to claim a protocol keeps it; a later one is reported, with both names. The same
    class defined again (a cell that is run twice) takes its own place.
    """
    for protocol in cls.__dict__.get("PROTOCOLS") or ():
        holder = _holder(protocol)
        if holder is None or holder == _path(cls):
            _classes[protocol] = cls
        else:
            _report(protocol, holder, _path(cls))


def find(protocol: str) -> type[Duct]:
    """The class that speaks a protocol.

    Raises
    ------
    DuctProtocolUnknown
        Nothing offers it, or what offers it cannot be imported.
    """
    if protocol in _classes:
        return _classes[protocol]
    if protocol in BUILT_IN:
        module, _, name = BUILT_IN[protocol].partition(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    if protocol in _entry_points():
        return _load(_entry_points()[protocol])
    if protocol in NOT_YET:
        raise DuctProtocolUnknown(
            f"protocol {protocol!r} is known, but this version of omniduct does not speak it yet"
        )
    raise DuctProtocolUnknown(f"no class offers the protocol {protocol!r}{_near(protocol)}")


def known() -> list[str]:
    """The names of all protocols that can be used, sorted; imports none of them."""
    return sorted({*_classes, *BUILT_IN, *_entry_points()})


def duplicates() -> list[str]:
    """A sentence for every protocol that more than one class claims."""
    _entry_points()
    return list(_duplicates.values())


def class_names() -> set[str]:
    """The names of the classes in the table and of those that are defined, for near misses."""
    return {path.rpartition(":")[2] for path in BUILT_IN.values()} | {c.__name__ for c in _classes.values()}


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _holder(protocol: str) -> str | None:
    if protocol in BUILT_IN:
        return BUILT_IN[protocol]
    return _path(_classes[protocol]) if protocol in _classes else None


def _report(protocol: str, holder: str, claimant: str) -> None:
    sentence = (
        f"protocol {protocol!r} belongs to {holder}, and {claimant} claims it too; the first keeps it, "
        "so give the other a protocol name of its own"
    )
    if sentence not in _duplicates.values():
        _duplicates[f"{protocol} {claimant}"] = sentence
        warnings.warn(sentence, DuctWarning, stacklevel=4)


def _near(protocol: str) -> str:
    names = [*known(), *NOT_YET]
    close = difflib.get_close_matches(protocol, names, n=3)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    return f"; there are {', '.join(known())}"


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    """The entry points of other packages; looked for once, as that reads every installed package."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="omniduct.protocols"):
        holder = BUILT_IN.get(point.name) or (found[point.name].value if point.name in found else None)
        if holder is None:
            found[point.name] = point
        elif holder != point.value:
            _report(point.name, holder, point.value)
    return found


def _load(point: EntryPoint) -> type[Duct]:
    package = point.dist.name if point.dist else "an installed package"
    try:
        cls = point.load()
    except DuctError:
        raise
    except Exception as error:
        raise DuctProtocolUnknown(
            f"protocol {point.name!r} is offered by {package} ({point.value}), which cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    from omniduct.duct import Duct

    if not (isinstance(cls, type) and issubclass(cls, Duct)):
        raise DuctProtocolUnknown(
            f"protocol {point.name!r} is offered by {package} as {point.value}, which is not a Duct"
        )
    return _classes.setdefault(point.name, cls)
