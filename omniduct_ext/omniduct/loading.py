"""From what was read to ducts in a registry: each entry on its own, so that a bad one stops no other."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from omniduct import config as configuration
from omniduct import protocols
from omniduct.config import Entry, Origin, Problem, shorten
from omniduct.core.arguments import accepted, did_you_mean
from omniduct.credentials import Secret
from omniduct.duct import Duct
from omniduct.errors import DuctError

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["class_defaults", "load", "register_entries", "wrap_secrets"]

DEFAULTS = {"db": {"protocol": "duckdb"}, "files": {"protocol": "localfs"}}
"""What there is without any configuration, so that the first cell works."""

_BASES = {
    "Duct": "omniduct.duct",
    "DatabaseClient": "omniduct.databases.base",
    "FileSystemClient": "omniduct.filesystems.base",
    "RemoteClient": "omniduct.remotes.base",
}


def load(registry: DuctRegistry) -> None:
    """Read the registry's traits and files, or take the defaults when there are none."""
    configured = False
    if registry.ducts is not None:
        reading = configuration.read(registry.ducts, _config_source(registry))
        registry._take(reading)
        configured = True
    for path in registry.sources():
        _load_file(registry, path)
        configured = True
    if not configured:
        registry._take(configuration.read(DEFAULTS, "the defaults"))
    registry.problems.extend(_unfit_sections(registry))


def _config_source(registry: DuctRegistry) -> str:
    """The file of the application that set ``c.DuctRegistry.ducts``, where that can be told."""
    application: Any = registry.parent
    while application is not None and not hasattr(application, "loaded_config_files"):
        application = getattr(application, "parent", None)
    for path in reversed(getattr(application, "loaded_config_files", [])):
        try:
            with open(path, encoding="utf-8") as file:
                if "DuctRegistry" in file.read():
                    return f"{shorten(path)}, c.DuctRegistry.ducts"
        except OSError:
            continue
    return "c.DuctRegistry.ducts"


def _load_file(registry: DuctRegistry, path: str) -> None:
    """Read a set-up file: YAML, or Python that uses the name `registry`."""
    if _is_python(path):
        _run(registry, path)
    else:
        registry._take(configuration.read(path))


def _is_python(path: str) -> bool:
    if path.endswith((".py", ".yaml", ".yml")):
        return path.endswith(".py")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return False
    if not text.strip():
        return False
    try:
        compile(text, path, "exec")
    except (SyntaxError, ValueError):
        return False
    reading = configuration.read_text(text, path)
    return not reading.entries


def _run(registry: DuctRegistry, path: str) -> None:
    try:
        runpy.run_path(path, init_globals={"registry": registry}, run_name="omniduct.config")
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        reason = f"the set-up file stopped with {type(error).__name__}: {error}"
        registry.problems.append(Problem("", reason, Origin(shorten(path), line=line)))


# Entries


def register_entries(registry: DuctRegistry, entries: Iterable[Entry], override: bool) -> None:
    """Make and register the duct of each entry, kinds in order; note what cannot be."""
    made = []
    for entry in entries:
        try:
            made.append((entry, protocols.find(entry.protocol)))
        except Exception as error:  # also an import that fails in somebody else's package
            _complain(registry, entry, error)
    order = list(Duct.Type)
    names: dict[str, Entry] = {}
    for entry, cls in sorted(made, key=lambda pair: order.index(pair[1].DUCT_TYPE)):
        try:
            names.update(dict.fromkeys(_register(registry, entry, cls, override), entry))
        except Exception as error:
            _complain(registry, entry, error)
    _check_references(registry, list(names))
    for name, entry in names.items():
        if name in registry and entry.register_magics:
            registry._register_magics(name)


def _complain(registry: DuctRegistry, entry: Entry, error: Exception) -> None:
    text = str(error) if isinstance(error, DuctError) else f"{type(error).__name__}: {error}"
    text = text.removeprefix(f"{entry.names[0]}: ")
    registry.problems.append(Problem(", ".join(entry.names), text, entry.origin))


def _register(registry: DuctRegistry, entry: Entry, cls: type[Duct], override: bool) -> list[str]:
    """Make the duct of an entry and add it; the names it got."""
    if entry.kind is not None and cls.DUCT_TYPE.value != entry.kind:
        registry.problems.append(
            Problem("", f"{entry.names[0]!r} stands under {entry.kind}, and is loaded as one of the "
                    f"{cls.DUCT_TYPE.value}, which {entry.protocol!r} is", entry.origin)
        )  # fmt: skip
    arguments = {**class_defaults(registry.config, cls), **entry.arguments}
    duct = cls(protocol=entry.protocol, name=entry.names[0], registry=registry, **arguments)
    new = [name for name in entry.names if override or name not in registry]
    for name in new:
        registry._origins[name] = entry.origin
    if new:
        registry.register(duct, ", ".join(new), override, register_magics=False)
    for name in entry.names:
        if name not in new:
            reason = f"the name is taken already [{registry.origin(name)}]; the first is kept"
            registry.problems.append(Problem(name, reason, entry.origin))
    return new


def _check_references(registry: DuctRegistry, names: list[str]) -> None:
    """Take out the ducts whose remote or cache is not there, is of another kind, or runs in a circle."""
    while True:
        bad = {name: why for name in names if name in registry and (why := _bad_reference(registry, name))}
        if not bad:
            return
        for name, reason in bad.items():
            origin = registry.origin(name)
            registry._forget(name)
            registry.problems.append(Problem(name, reason, origin))


def _bad_reference(registry: DuctRegistry, name: str) -> str:
    duct = registry[name]
    for field, kind in (("remote", Duct.Type.REMOTE), ("cache", Duct.Type.CACHE)):
        value = getattr(duct, f"_{field}")
        if isinstance(value, str):
            try:
                registry.lookup(value, kind)
            except DuctError as error:
                return f"its {field} cannot be used: {error}"
    circle = _circle(registry, name)
    return f"its remotes run in a circle: {' -> '.join(circle)}" if circle else ""


def _circle(registry: DuctRegistry, name: str) -> list[str]:
    path = [name]
    while True:
        remote = registry[path[-1]]._remote
        if not isinstance(remote, str) or remote not in registry:
            return []
        path.append(remote)
        if remote == name:
            return path
        if path.count(remote) > 1:  # a circle further on, which is reported for those in it
            return []


# c.<Class>.<argument>


def class_defaults(config: Mapping[str, Any], cls: type[Duct]) -> dict[str, Any]:
    """The arguments that the sections of a class, and of those above it, supply."""
    defaults: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__name__ in config and issubclass(base, Duct):
            takes = accepted(cls)
            for name, value in config[base.__name__].items():
                if name in takes.names or takes.open_ended:
                    defaults[name] = Secret.wrap(value) if name == "password" else value
    return defaults


def _unfit_sections(registry: DuctRegistry) -> list[Problem]:
    """Sections that nearly name a class of ours, and keys that fit nothing in a class that they name."""
    classes = {base.__name__: base for cls in _all(Duct) for base in cls.__mro__ if issubclass(base, Duct)}
    names = {*classes, *protocols.class_names(), *_BASES, "DuctRegistry"}
    origin = Origin(_config_source(registry).partition(",")[0])
    found = []
    for section, values in registry.config.items():
        if section not in names:
            near = did_you_mean(section, names)
            if near:
                found.append(Problem("", f"c.{section} fits no class{near}", origin))
            continue
        for key in values if section in classes else ():
            if not _fits_somewhere(classes[section], key):
                known = accepted(classes[section]).names
                reason = f"c.{section}.{key} fits no argument{did_you_mean(key, known)}"
                found.append(Problem("", reason, origin))
    return found


def _all(cls: type[Duct]) -> list[type[Duct]]:
    return [cls, *(below for sub in cls.__subclasses__() for below in _all(sub))]


def _fits_somewhere(cls: type[Duct], key: str) -> bool:
    return any(key in accepted(c).names or accepted(c).open_ended for c in _all(cls))


def wrap_secrets(value: Any) -> Any:
    """A configuration of any shape, its passwords wrapped; changed in place where that can be."""
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = Secret.wrap(item) if key == "password" else wrap_secrets(item)
    elif isinstance(value, list):
        value[:] = [wrap_secrets(item) for item in value]
    elif isinstance(value, tuple):
        return tuple(wrap_secrets(item) for item in value)
    elif isinstance(value, str) and "\n" in value:
        return cast(Any, _Text(value))
    return value


class _Text(str):
    """A YAML text, which no display shows: it may hold logins."""

    def __repr__(self) -> str:
        return f"<YAML of {len(self.splitlines())} lines>"
