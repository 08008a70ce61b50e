"""Copies of a duct: disconnected, and without its secrets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from omniduct import credentials
from omniduct.core import fields
from omniduct.core.arguments import accepted
from omniduct.credentials import Secret

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["arguments_for_copy", "arguments_now", "named_arguments", "rebuild", "rebuild_deeply"]

_COMMON = ("protocol", "name", "registry", "cache_namespace", *fields.BASE)


def named_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a constructor was called with, by name; a password as a Secret."""
    named = {**dict(zip(_positional(cls), args, strict=False)), **kwargs} if args else dict(kwargs)
    if "password" in named:
        named["password"] = Secret.wrap(named["password"])
    return named


def _positional(cls: type) -> list[str]:
    """The names of a constructor's positional arguments; one that takes *args hands them on."""
    names: list[str] = []
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            parameters = list(inspect.signature(base.__dict__["__init__"]).parameters.values())[1:]
            names += [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
            if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
                break
    return names


def arguments_now(duct: Duct) -> dict[str, Any]:
    """The constructor's arguments, brought up to date with fields that were changed since."""
    now = {**duct._arguments, "protocol": duct.protocol, "name": duct.name, "registry": duct.registry}
    for name in fields.BASE:
        now[name] = duct._originals.get(f"_{name}", getattr(duct, f"_{name}"))
    for name in duct.connection_fields:
        if name not in fields.BASE and name in accepted(type(duct)).names:
            now[name] = duct._originals.get(name, fields.raw(duct, name))
    return {**now, "cache_namespace": duct.cache_namespace}


def arguments_for_copy(duct: Duct, pickled: bool) -> dict[str, Any]:
    """What to call the constructor with for a disconnected duct like this one, without its secrets.

    A pickled one leaves its registry behind, and takes its remote and cache along.
    """
    arguments = duct._arguments_now()
    password = arguments.get("password")
    if isinstance(password, Secret):
        arguments["password"] = password.reveal() if credentials.is_tagged(password) else True
    if pickled:
        arguments["registry"] = None
        for field in ("remote", "cache"):
            if isinstance(arguments[field], str) and duct.registry is not None:
                arguments[field] = fields.look_up(duct, field, arguments[field])
    takes = _parameters_of(type(duct))
    return {n: v for n, v in arguments.items() if (v is not None or n not in _COMMON) and takes(n)}


def _parameters_of(cls: type[Duct]) -> Callable[[str], bool]:
    """Tells whether a constructor takes an argument: a third party's may be stricter than `Duct`'s."""
    parameters = inspect.signature(cls.__init__).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return lambda name: True
    return parameters.__contains__


def rebuild(cls: type[Duct], arguments: dict[str, Any]) -> Duct:
    """Make a duct from what `arguments_for_copy` gave."""
    return cls(**arguments)


def rebuild_deeply(duct: Duct) -> Duct:
    """Make a duct like this one whose own arguments are its own; its remote and cache are shared."""
    arguments = arguments_for_copy(duct, pickled=False)
    own = {name: _apart(value) for name, value in arguments.items() if name not in _COMMON}
    return rebuild(type(duct), {**arguments, **own})


def _apart(value: Any) -> Any:
    """Containers anew; what is in them may be anything (an application, a duct) and stays what it is."""
    if type(value) is dict:
        return {key: _apart(each) for key, each in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_apart, value))
    return value
