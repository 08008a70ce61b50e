"""Reading configurations into entries that remember where they came from.

A configuration is a list of mappings with a `name`; a mapping of names to mappings; a mapping of
kinds to these, nested at will; a YAML text (it has a newline); or the name of a YAML file. What
cannot be used becomes a `Problem`, and the rest is read.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omniduct.config.documents import Located, parse
from omniduct.core.arguments import article, configured
from omniduct.credentials import Secret, is_tagged
from omniduct.errors import DuctConfigError

__all__ = [
    "Entry",
    "Origin",
    "Problem",
    "Reading",
    "in_working_folder",
    "looks_like_yaml",
    "read",
    "read_file",
    "read_text",
    "shorten",
]

SKIP = "__OMNIDUCT_SKIP__"
_CREDENTIALS = ("username", "password")
_KINDS = ("remotes", "filesystems", "caches", "rest_clients", "databases", "other")
_OF_THE_ENTRY = ("name", "protocol", "register_magics", SKIP)
_OF_MOST_DUCTS = frozenset({"name", "host", "port", "remote", "cache", *_CREDENTIALS})


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
    """What cannot be used, and why.

    Attributes
    ----------
    name : str
        The names of the duct that there is not because of it, as "a, b"; empty when it stops none.
    reason : str
        A sentence, without any login.
    origin : Origin
        Where it stands.
    whole : bool
        Whether the rest of its file is lost too.
    """

    name: str
    reason: str
    origin: Origin
    whole: bool = False

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

    def complain(self, name: str, reason: str, origin: Origin, whole: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(name, reason, origin, whole))


def shorten(path: str) -> str:
    """A path with ~ for the home directory."""
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def looks_like_yaml(text: str) -> bool:
    """Whether a text of one line is more like YAML than like the name of a file.

    >>> looks_like_yaml("{db: {protocol: duckdb}}"), looks_like_yaml("~/ducts.yaml")
    (True, False)
    """
    return bool(re.search(r"^\s*[-{\[]\s*\w|:\s", text))


def read(config: object, source: str = "") -> Reading:
    """Read a configuration of any shape.

    Parameters
    ----------
    config : list, Mapping, str or path
        The configuration, a YAML text (with a newline) or the name of a YAML file.
    source : str, optional
        What to call it where it is no file.
    """
    if isinstance(config, Secret):  # a YAML text, which may hold logins
        config = config.reveal()
    if isinstance(config, os.PathLike):
        return read_file(os.fspath(config))
    if not isinstance(config, str):
        return _read_value(config, Origin(source or "the configuration given"), trusted=True)
    if "\n" in config:
        return read_text(config, source or "the YAML text given")
    if config.strip() and (os.path.exists(os.path.expanduser(config)) or not looks_like_yaml(config)):
        return read_file(config)
    reading = Reading()  # not shown: a YAML text may hold logins
    reason = "this text of one line is taken as a file's name, and there is no such file; YAML has a newline"
    reading.complain("", reason, Origin(source or "the configuration given"), whole=True)
    return reading


def read_file(name: str) -> Reading:
    """Read a YAML file."""
    path = os.path.abspath(os.path.expanduser(name))
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reading = Reading()
        reason = f"the configuration file cannot be read: {_why_unread(error)}"
        reading.complain("", reason, Origin(shorten(path)), whole=True)
        return reading
    return read_text(text, shorten(path), trusted=not in_working_folder(path))


def _why_unread(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not UTF-8 text"


def read_text(text: str, source: str, trusted: bool = True) -> Reading:
    """Read a YAML text. Where it is not trusted it may not name commands to run."""
    reading = Reading()

    def note(reason: str, path: tuple[str, ...], line: int) -> None:
        reading.complain("", reason, Origin(source, _dotted(path), line))

    try:
        value = parse(text, note)
    except DuctConfigError as error:
        reading.complain("", str(error), Origin(source), whole=True)
        return reading
    rest = _read_value(value, Origin(source), trusted)
    return Reading(rest.entries, reading.problems + rest.problems)


def in_working_folder(path: str) -> bool:
    """Whether a file came with the folder one happens to work in, and was not set up by the user."""
    try:
        working = os.path.realpath(os.getcwd())
    except OSError:  # the folder has been removed
        return False
    own, real = os.path.realpath(os.path.expanduser("~/.omniduct")), os.path.realpath(path)
    if working == os.sep or _is_beneath(real, own):  # all there is stands beneath /
        return False
    return _is_beneath(real, working) or _is_beneath(os.path.abspath(path), os.getcwd())


def _is_beneath(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def _dotted(path: Iterable[str]) -> str:
    return ".".join(path).replace(".[", "[")


# Shapes


def _read_value(value: object, origin: Origin, trusted: bool) -> Reading:
    reading = Reading()
    walker = _Walker(reading, trusted)
    if _is_entry(value):
        reason = (
            "one duct alone is no configuration; put it under its name (name: {protocol: …}) or in a list"
        )
        reading.complain("", reason, origin)
    elif isinstance(value, Mapping):
        walker.group("", value, (), None, origin)
    elif isinstance(value, (list, tuple)):
        walker.sequence(value, (), None, origin)
    elif value is not None:
        reason = f"a configuration is a mapping or a list of mappings, not {article(value)}"
        reading.complain("", reason, origin)
    return reading


class _Walker:
    """Goes through kinds and groups, down to the entries."""

    def __init__(self, reading: Reading, trusted: bool) -> None:
        self._reading = reading
        self._trusted = trusted

    def group(self, name: str, item: Any, groups: tuple[str, ...], kind: str | None, place: Origin) -> None:
        """A kind, or what has a part of a name in common."""
        if isinstance(item, Mapping):
            if not item.get(SKIP):
                self._mapping(item, groups, kind, place)
        elif isinstance(item, (list, tuple)):
            self.sequence(item, groups, kind, place)
        elif item is not None:
            self._reading.complain("", f"{name} is a mapping or a list, not {article(item)}", place)

    def _mapping(
        self, value: Mapping[Any, Any], groups: tuple[str, ...], kind: str | None, place: Origin
    ) -> None:
        for raw, item in value.items():
            name = value.spelled[raw] if isinstance(value, Located) else raw
            below = _below(place, str(name), value.lines[raw] if isinstance(value, Located) else None)
            if name == SKIP:
                continue
            if kind is None and not groups and name in _KINDS and not _is_entry(item):
                self.group(name, item, (), name, below)
            else:
                self._item(str(name), item, groups, kind, below)

    def sequence(self, value: Any, groups: tuple[str, ...], kind: str | None, place: Origin) -> None:
        """A list of entries, each with its name."""
        for i, item in enumerate(value):
            below = _below(place, f"[{i}]", item.line if isinstance(item, Located) else place.line)
            if not isinstance(item, Mapping):
                self._reading.complain(
                    "", f"an entry is a mapping with a protocol, not {article(item)}", below
                )
            elif not item.get(SKIP):
                self._listed(item, groups, kind, below)

    def _listed(
        self, item: Mapping[Any, Any], groups: tuple[str, ...], kind: str | None, place: Origin
    ) -> None:
        name = item.get("name")
        if isinstance(name, str):
            self._entry(name, item, groups, kind, place)
        elif name is None:
            self._reading.complain("", f"an entry of a list needs a name{_unnamed(item)}", place)
        else:
            self._reading.complain("", f"its name is {article(name)}; put it in quotes", place)

    def _item(self, name: str, item: Any, groups: tuple[str, ...], kind: str | None, place: Origin) -> None:
        if isinstance(item, Mapping) and item.get(SKIP):
            return
        if _is_entry(item):
            self._entry(str(item.get("name") or name), item, groups, kind, place)
        elif isinstance(item, (list, tuple)) or _is_group(item):
            if kind is None and not groups:
                self._look_for_kind(name, place)
            self.group(name, item, (*groups, name), kind, place)
        elif isinstance(item, Mapping):
            full = _full(str(item.get("name") or name), groups)
            self._reading.complain(", ".join(full), self._objection(item, full), place)
        else:
            reason = f"an entry is a mapping with a protocol, not {article(item)}"
            self._reading.complain(", ".join(_full(name, groups)), reason, place)

    def _look_for_kind(self, name: str, place: Origin) -> None:
        """Say when the name of a group is nearly a kind, which is hardly meant as a part of names."""
        close = difflib.get_close_matches(name.lower(), _KINDS, n=1, cutoff=0.8)
        if close:
            reason = f"{name!r} is taken as a part of names ('{name}/…'); did you mean the kind {close[0]!r}?"
            self._reading.complain("", reason, place)

    def _entry(
        self,
        name: str,
        item: Mapping[Any, Any],
        groups: tuple[str, ...],
        kind: str | None,
        place: Origin,
    ) -> None:
        names = _full(name, groups)
        reason = self._objection(item, names)
        if reason:
            self._reading.complain(", ".join(names), reason, place)
            return
        arguments = {k: configured(k, v) for k, v in item.items() if k not in _OF_THE_ENTRY}
        self._reading.entries.append(
            Entry(
                names=names,
                protocol=item["protocol"],
                arguments=arguments,
                register_magics=item.get("register_magics", True),
                kind=kind,
                origin=place,
            )
        )

    def _objection(self, item: Mapping[Any, Any], names: tuple[str, ...]) -> str:
        """Why an entry cannot be used, as far as that shows without its class."""
        protocol, magics = item.get("protocol"), item.get("register_magics", True)
        if not names:
            return "its name is empty"
        if not all(part.strip() for name in names for part in name.split("/")):
            return "a part of its name is empty"
        for key in item:
            if reason := _objection_to_key(key):
                return reason
        if protocol is None:
            return f"it has no protocol{_near('protocol', item)}"
        if not isinstance(protocol, str):
            return f"its protocol is a name, not {article(protocol)}"
        if not isinstance(magics, bool):
            return f"its register_magics is true or false, not {article(magics)}"
        reasons = (self._objection_to_login(field, item.get(field)) for field in _CREDENTIALS)
        return next(filter(None, reasons), "")

    def _objection_to_login(self, field: str, value: object) -> str:
        if not self._trusted and is_tagged(value, "command"):
            return (
                f"its {field} is a command: source, and those are refused from a file in the working folder, "
                "which may be somebody else's; put the entry into ~/.omniduct/config"
            )
        if value is None or isinstance(value, (str, bool, Secret)) or callable(value):
            return ""
        return f"its {field} is {article(value)}; put it in quotes"


def _below(place: Origin, key: str, line: int | None) -> Origin:
    return Origin(place.source, _dotted(filter(None, (place.key, key))), line)


def _full(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a key gives: "a, b" is two."""
    parts = [part.strip() for part in name.split(",")]
    return tuple(dict.fromkeys("/".join((*groups, part)) for part in parts if part))


def _objection_to_key(key: object) -> str:
    if not isinstance(key, str):
        return f"a key is a text, not {article(key)}"
    if key == "registry":
        return "its registry is the one that reads it; leave that key out"
    if found := re.match(r"(username|password)\s*[:=]", key):  # not shown: the login is in the key
        return f"there is no space after '{found[1]}:'"
    return ""


def _near(wanted: str, item: Mapping[Any, Any]) -> str:
    """A key that is nearly the one that is wanted."""
    keys = [key for key in item if isinstance(key, str) and key != wanted]
    close = difflib.get_close_matches(wanted, keys, n=1, cutoff=0.75)
    return f"; did you mean that by {close[0]!r}?" if close else ""


def _unnamed(item: Mapping[Any, Any]) -> str:
    """What was probably meant by an entry of a list that has no name."""
    key, value = next(iter(item.items()), ("", None))
    if len(item) == 1 and _is_entry(value):
        return f"; write it as a key: name: {key}"
    return _near("name", item)


def _is_entry(item: object) -> bool:
    return isinstance(item, Mapping) and "protocol" in item and not isinstance(item["protocol"], Mapping)


def _is_group(item: object) -> bool:
    """Whether a mapping without a protocol holds entries, rather than being a bad one itself."""
    if not isinstance(item, Mapping) or not item:
        return False
    if any(key in _OF_MOST_DUCTS and not isinstance(value, Mapping) for key, value in item.items()):
        return False
    inner = [v for v in item.values() if isinstance(v, Mapping) or _is_entries(v)]
    return len(inner) == len(item) or any(_is_entry(v) or _is_group(v) or _is_entries(v) for v in inner)


def _is_entries(item: object) -> bool:
    return isinstance(item, (list, tuple)) and any(isinstance(each, Mapping) for each in item)
