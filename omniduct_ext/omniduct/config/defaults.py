"""What a traitlets configuration says of ducts' classes: ``c.<Class>.<argument>``, and hiding its logins."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from traitlets.config import Config, Configurable
from traitlets.config.loader import LazyConfigValue

from omniduct import protocols
from omniduct.core.arguments import accepted, configured, did_you_mean, objection
from omniduct.credentials import Secret, holds_login

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["class_defaults", "hidden", "hide_in", "hide_secrets", "unfit_sections"]

_BASES = frozenset({"DatabaseClient", "Duct", "DuctRegistry", "FileSystemClient", "RemoteClient"})
_NO_DEFAULT = frozenset({"name", "protocol", "registry"})


class _YamlText(Secret):
    """A YAML text, which may hold logins."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = len(self.reveal().splitlines())
        return f"<YAML of {lines} line{'s' if lines > 1 else ''}>"

    __str__ = __repr__


def _settled(section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is set in a section; what ``.append`` or ``.update`` began, as what came of it."""
    for key, value in section.items():
        if not isinstance(value, LazyConfigValue):
            yield key, value
        elif done := value.to_dict():  # else it was only looked at
            yield key, value.get_value({} if "update" in done else [])


def hidden(value: Any) -> Any:
    """A copy of a configuration of any shape in which no display shows a password."""
    if isinstance(value, str):
        from omniduct.config import looks_like_yaml

        return _YamlText(value) if "\n" in value or looks_like_yaml(value) else value
    return _hidden_within(value)


def _hidden_within(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _hidden_within(each) for key, each in value.items()}
        return {key: Secret.wrap(each) if _is_password(key) else each for key, each in inner.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_hidden_within, value))
    return Secret(value) if holds_login(value) else value


def _is_password(key: object) -> bool:
    """Whether a key is `password`, or somebody's slip for it."""
    return isinstance(key, str) and bool(difflib.get_close_matches("password", [key.casefold()], cutoff=0.75))


def hide_secrets(parent: Any) -> None:
    """Wrap the passwords in the configuration of an application or a shell, and of those above it.

    Sections of other packages' classes are left alone, as far as these are known yet.
    """
    foreign = _foreign()
    while parent is not None:
        for each in (parent, *getattr(parent, "configurables", ())):
            hide_in(each.config, foreign)
        parent = getattr(parent, "parent", None)


def hide_in(config: Config, foreign: frozenset[str] | None = None) -> None:
    """Wrap the passwords in one configuration."""
    foreign = _foreign() if foreign is None else foreign
    for section, values in config.items():
        if not isinstance(values, Config) or section in foreign:
            continue
        for key, value in list(_settled(values)):
            if section == "DuctRegistry":
                values[key] = hidden(value)
            elif _is_password(key):
                values[key] = Secret.wrap(value)
            else:
                values[key] = _hidden_within(value)


def _foreign() -> frozenset[str]:
    """The names of the classes of traitlets' world that are defined, without ours."""
    return frozenset(cls.__name__ for cls in _below(Configurable)) - {"DuctRegistry"}


def _below(cls: Any) -> Iterator[Any]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)


def class_defaults(config: Mapping[str, Any], cls: type[Duct]) -> dict[str, Any]:
    """The arguments that the sections of a class, and of those above it, supply.

    What does not fit is left out, and is what `unfit_sections` tells of.
    """
    defaults: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__name__ in config and hasattr(base, "PROTOCOLS"):
            for name, value in _settled(config[base.__name__]):
                if _takes(cls, base, name) and not _objection(cls, name, value):
                    defaults[name] = configured(name, value)
    return defaults


def _takes(cls: type[Duct], base: type[Duct], name: str) -> bool:
    """Whether a class takes an argument that a section of it, or of one above it, names."""
    return name not in _NO_DEFAULT and (name in accepted(cls).names or accepted(base).open_ended)


def _objection(cls: type[Duct], name: str, value: object) -> str:
    return objection(name, value, accepted(cls).names.get(name, inspect.Parameter.empty))


def unfit_sections(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Section, key and complaint for what nearly names a class of ours, and for what fits nothing in it."""
    from omniduct.duct import Duct

    classes = {cls.__name__: cls for cls in (Duct, *_below(Duct))}
    names = {*classes, *protocols.class_names(), *_BASES}
    foreign = _foreign()
    for section in config:
        if section in foreign:
            continue
        if section in classes:
            for key, value in _settled(config[section]):
                if reason := _unfit(classes[section], key, value):
                    yield section, key, f"c.{section}.{reason}"
        elif config[section] and section not in names and (near := _near_class(section, names)):
            if section in protocols.installed_class_names():  # asked last: that reads every package
                continue
            yield section, "", f"c.{section} fits no class; did you mean {near!r}?"


def _near_class(section: str, names: set[str]) -> str:
    close = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(section.casefold(), close, n=1, cutoff=0.85)
    return close[found[0]] if found else ""


def _unfit(cls: type[Duct], key: str, value: object) -> str:
    """Why no class takes a key of the section of `cls`; empty when one does."""
    takers = [sub for sub in (cls, *_below(cls)) if _takes(sub, cls, key)]
    if not takers:
        return f"{key} fits no argument{did_you_mean(key, accepted(cls).names.keys() - _NO_DEFAULT)}"
    reasons = [_objection(taker, key, value) for taker in takers]
    return reasons[0] if all(reasons) else ""
