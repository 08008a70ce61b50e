"""Reading configurations into entries that remember where they came from.

A configuration is a list of mappings with a `name`; a mapping of names to mappings; a mapping of
kinds to these, nested at will; a YAML text (it has a newline); or the name of a YAML file. What
cannot be used becomes a `Problem`, and the rest is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniduct.credentials import Secret, is_tagged
from omniduct.errors import DuctConfigError

__all__ = ["Entry", "Origin", "Problem", "Reading", "read", "read_text", "shorten"]

SKIP = "__OMNIDUCT_SKIP__"
_KINDS = ("remotes", "filesystems", "caches", "rest_clients", "databases", "other")
_CREDENTIALS = ("username", "password")


@dataclass(frozen=True)
class Origin:
    """Where an entry stands: file (or other source), key, and line where it is known."""

    source: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line else ""
        return ", ".join(filter(None, [self.source, self.key])) + line


@dataclass(frozen=True)
class Problem:
    """An entry that cannot be used, and why."""

    name: str
    reason: str
    origin: Origin

    def __str__(self) -> str:
        subject = f"{self.name!r} is skipped: " if self.name else ""
        return f"{subject}{self.reason} [{self.origin}]"


@dataclass(frozen=True)
class Entry:
    """One duct as configured."""

    names: tuple[str, ...]
    protocol: str
    arguments: dict[str, Any]
    register_magics: bool
    kind: str | None
    origin: Origin


@dataclass
class Reading:
    """What came of reading one configuration."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, name: str, reason: str, origin: Origin) -> None:
        """Note a problem."""
        self.problems.append(Problem(name, reason, origin))


class _Located(dict[str, Any]):
    """A mapping from YAML, with the line it starts on."""

    line = 0


def shorten(path: str) -> str:
    """A path with ~ for the home directory."""
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def read(config: object, source: str = "") -> Reading:
    """Read a configuration of any shape.

    Parameters
    ----------
    config : list, Mapping, str or path
        The configuration, a YAML text (with a newline) or the name of a YAML file.
    source : str, optional
        What to call it where it is no file.
    """
    if isinstance(config, os.PathLike):
        config = os.fspath(config)
    if not isinstance(config, str):
        return _read_value(config, Origin(source or "the configuration given"), trusted=True)
    if "\n" in config:
        return read_text(config, source or "the YAML text given")
    path = os.path.abspath(os.path.expanduser(config))
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        reading = Reading()
        reading.complain("", f"the configuration file cannot be read: {reason}", Origin(shorten(path)))
        return reading
    return read_text(text, shorten(path), trusted=not _in_working_folder(path))


def read_text(text: str, source: str, trusted: bool = True) -> Reading:
    """Read a YAML text. Where it is not trusted it may not name commands to run."""
    reading = Reading()
    try:
        value = _parse(text, source, reading)
    except DuctConfigError as error:
        reading.complain("", str(error), Origin(source))
        return reading
    rest = _read_value(value, Origin(source), trusted)
    return Reading(rest.entries, reading.problems + rest.problems)


def _in_working_folder(path: str) -> bool:
    """Whether a file came with the folder one happens to work in, and was not set up by the user."""
    path, own = os.path.realpath(path), os.path.realpath(os.path.expanduser("~/.omniduct"))
    return path.startswith(os.path.realpath(os.getcwd()).rstrip(os.sep) + os.sep) and not path.startswith(
        own + os.sep
    )


# YAML


def _parse(text: str, source: str, reading: Reading) -> object:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Builder(loader, source, reading).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DuctConfigError(f"the YAML cannot be read: {at}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise DuctConfigError(f"the YAML cannot be read: {error}") from None
    finally:
        loader.dispose()


class _Builder:
    """Makes values of YAML nodes: mappings keep their line, and a key that comes twice is noted."""

    def __init__(self, loader: Any, source: str, reading: Reading) -> None:
        self._loader = loader
        self._source = source
        self._reading = reading

    def value(self, node: Any, key: tuple[str, ...]) -> Any:
        if node.id == "mapping" and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, key)
        if node.id == "sequence" and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*key, f"[{i}]")) for i, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:str":
            return node.value
        return self._loader.construct_object(node, deep=True)

    def _mapping(self, node: Any, key: tuple[str, ...]) -> _Located:
        doubles = self._without_doubles(node, key)
        self._loader.flatten_mapping(node)  # the merge key <<
        made = _Located()
        made.line = node.start_mark.line + 1
        for name_node, value_node in node.value:
            if name_node not in doubles:
                name = self.value(name_node, key)
                made[name] = self.value(value_node, (*key, str(name)))
                if isinstance(made[name], _Located):
                    made[name].line = name_node.start_mark.line + 1
        return made

    def _without_doubles(self, node: Any, key: tuple[str, ...]) -> set[Any]:
        """The name nodes of keys that come a second time: the first is kept, and that is said."""
        seen: dict[str, int] = {}
        doubles = set()
        for name_node, _ in node.value:
            line = name_node.start_mark.line + 1
            if name_node.id != "scalar" or name_node.tag == "tag:yaml.org,2002:merge":
                continue
            if name_node.value in seen:
                doubles.add(name_node)
                self._reading.complain(
                    name_node.value,
                    f"the name comes twice, first in line {seen[name_node.value]}; the first is kept",
                    Origin(self._source, ".".join((*key, name_node.value)), line),
                )
            else:
                seen[name_node.value] = line
        return doubles


# Shapes


def _read_value(value: object, origin: Origin, trusted: bool) -> Reading:
    reading = Reading()
    walker = _Walker(reading, origin.source, trusted)
    if isinstance(value, Mapping):
        walker.mapping(value, (), None, ())
    elif isinstance(value, (list, tuple)):
        walker.sequence(value, (), None, ())
    elif value is not None:
        reading.complain(
            "", f"a configuration is a mapping or a list of mappings, not a {_called(value)}", origin
        )
    return reading


def _called(value: object) -> str:
    """What kind of thing a value is, without showing it: it may hold a login."""
    names = {"str": "text", "int": "number", "float": "number", "NoneType": "blank", "list": "list"}
    return names.get(type(value).__name__, type(value).__name__)


class _Walker:
    """Goes through kinds and groups, down to the entries."""

    def __init__(self, reading: Reading, source: str, trusted: bool) -> None:
        self._reading = reading
        self._source = source
        self._trusted = trusted

    def mapping(
        self, value: Mapping[Any, Any], groups: tuple[str, ...], kind: str | None, key: tuple[str, ...]
    ) -> None:
        for name, item in value.items():
            below = (*key, str(name))
            if kind is None and not groups and name in _KINDS and not _is_entry(item):
                self._group(name, item, (), name, below)
            else:
                self._item(str(name), item, groups, kind, below)

    def sequence(self, value: Any, groups: tuple[str, ...], kind: str | None, key: tuple[str, ...]) -> None:
        for i, item in enumerate(value):
            below = (*key, f"[{i}]")
            if isinstance(item, Mapping) and not item.get(SKIP):
                if isinstance(item.get("name"), str):
                    self._entry(item["name"], item, groups, kind, below)
                else:
                    self._complain("", "an entry of a list needs a name", item, below)
            elif not isinstance(item, Mapping):
                self._complain("", f"an entry is a mapping, not a {_called(item)}", item, below)

    def _item(
        self, name: str, item: Any, groups: tuple[str, ...], kind: str | None, key: tuple[str, ...]
    ) -> None:
        if isinstance(item, Mapping) and item.get(SKIP):
            return
        if _is_entry(item):
            self._entry(str(item.get("name") or name), item, groups, kind, key)
        elif isinstance(item, (list, tuple)) or _is_group(item):
            self._group(name, item, (*groups, name), kind, key)
        elif isinstance(item, Mapping):
            self._complain(self._full(name, groups), "it has no protocol", item, key)
        else:
            self._complain(
                self._full(name, groups), f"an entry is a mapping, not a {_called(item)}", item, key
            )

    def _group(
        self, name: str, item: Any, groups: tuple[str, ...], kind: str | None, key: tuple[str, ...]
    ) -> None:
        if isinstance(item, Mapping):
            if not item.get(SKIP):
                self.mapping(item, groups, kind, key)
        elif isinstance(item, (list, tuple)):
            self.sequence(item, groups, kind, key)
        elif item is not None:
            self._complain(name, f"a group is a mapping or a list, not a {_called(item)}", item, key)

    def _entry(
        self,
        name: str,
        item: Mapping[Any, Any],
        groups: tuple[str, ...],
        kind: str | None,
        key: tuple[str, ...],
    ) -> None:
        names = tuple(self._full(part.strip(), groups) for part in name.split(",") if part.strip())
        arguments = {k: v for k, v in item.items() if k not in ("name", "protocol", "register_magics", SKIP)}
        reason = self._objection(item, names)
        if reason:
            self._complain(", ".join(names), reason, item, key)
            return
        for credential in _CREDENTIALS:
            if credential in arguments:
                arguments[credential] = Secret.wrap(arguments[credential])
        self._reading.entries.append(
            Entry(
                names=names,
                protocol=item["protocol"],
                arguments=arguments,
                register_magics=item.get("register_magics", True),
                kind=kind,
                origin=self._origin(item, key),
            )
        )

    def _objection(self, item: Mapping[Any, Any], names: tuple[str, ...]) -> str:
        """Why an entry cannot be used, as far as that shows without its class."""
        if not names:
            return "its name is empty"
        if not isinstance(item.get("protocol"), str):
            return f"its protocol is a name, not a {_called(item.get('protocol'))}"
        if not isinstance(item.get("register_magics", True), bool):
            return f"register_magics is true or false, not a {_called(item['register_magics'])}"
        if not all(isinstance(k, str) for k in item):
            return f"a key is a text, not {next(k for k in item if not isinstance(k, str))!r}"
        for credential in _CREDENTIALS:
            if not self._trusted and is_tagged(item.get(credential), "command"):
                return (
                    f"its {credential} is a command:, and those are refused from a file in the working folder, "
                    "which may be somebody else's; put the entry into ~/.omniduct/config"
                )
            if isinstance(item.get(credential), (int, float)) and not isinstance(item[credential], bool):
                return f"its {credential} is a number; put it in quotes"
        return ""

    @staticmethod
    def _full(name: str, groups: tuple[str, ...]) -> str:
        return "/".join((*groups, name))

    def _origin(self, item: object, key: tuple[str, ...]) -> Origin:
        line = item.line if isinstance(item, _Located) else None
        return Origin(self._source, ".".join(key), line)

    def _complain(self, name: str, reason: str, item: object, key: tuple[str, ...]) -> None:
        self._reading.complain(name, reason, self._origin(item, key))


def _is_entry(item: object) -> bool:
    return isinstance(item, Mapping) and "protocol" in item and not isinstance(item["protocol"], Mapping)


def _is_group(item: object) -> bool:
    return (
        isinstance(item, Mapping)
        and bool(item)
        and all(isinstance(v, (Mapping, list)) for v in item.values())
    )
