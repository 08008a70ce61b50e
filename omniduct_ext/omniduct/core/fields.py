"""The fields of a duct that a connection depends on: prepared when read, disconnecting when changed."""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from omniduct import credentials
from omniduct.core import endpoints
from omniduct.core.arguments import accepted
from omniduct.core.lifecycle import DISCONNECTED, FAILED
from omniduct.credentials import Secret
from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    from omniduct.duct import Duct
    from omniduct.remotes.base import RemoteClient

_BASE = ("host", "port", "remote", "username", "password", "cache")
_NOTHING = object()


def raw(duct: Duct, attribute: str) -> object:
    """An attribute as it is, without preparing."""
    values = duct.__dict__
    return values[attribute] if attribute in values else getattr(duct, attribute)


def _prepare_for(duct: Duct, field: str) -> None:
    if not duct._prepared and field in duct.connection_fields:
        duct.prepare()


# The five fields and the cache, as properties


def _host(duct: Duct) -> object:
    """The host to connect to: 127.0.0.1 when the service is reached through a remote.

    The far host is `_host`; setting this sets that, and disconnects.
    """
    _prepare_for(duct, "host")
    if duct._prepared and duct._remote is not None and duct._host is not None:
        return "127.0.0.1"
    return duct._host


def _port(duct: Duct) -> object:
    """The port to connect to: the local end of the forward when it is reached through a remote.

    The far port is `_port`; setting this sets that, and disconnects. Reading it may start the forward.
    """
    _prepare_for(duct, "port")
    if duct._prepared and duct._remote is not None and duct._host is not None and duct._port is not None:
        return cast("RemoteClient", duct._remote).port_forward_for(duct, duct._host, duct._port)
    return duct._port


def _remote(duct: Duct) -> object:
    """The remote through which the service is reached, or None."""
    _prepare_for(duct, "remote")
    return duct._remote


def _cache(duct: Duct) -> object:
    """The cache, or None. Setting it does not disconnect."""
    duct.prepare()
    return duct._cache


def _username(duct: Duct) -> str | None:
    """The username: the login name of the local user if none was given, None if it is False."""
    _prepare_for(duct, "username")
    return getpass.getuser() if duct._username is None else credential(duct, "username")


def _password(duct: Duct) -> str | None:
    """The password itself, asked for or fetched from its source when first read; None if there is none."""
    _prepare_for(duct, "password")
    return credential(duct, "password")


def _set_port(duct: Duct, value: Any) -> None:
    if isinstance(value, (int, str)):
        endpoints.port_number(duct.name, value)
    duct._port = value


def _set_password(duct: Duct, value: Any) -> None:
    duct._password = cast(Any, Secret.wrap(value))


def _set_cache(duct: Duct, value: Any) -> None:
    duct._cache = look_up(duct, "cache", value) if duct._prepared else value


def _setter(name: str) -> Any:
    def set_raw(duct: Duct, value: Any) -> None:
        setattr(duct, f"_{name}", value)

    return set_raw


host: Any = property(_host, _setter("host"))
port: Any = property(_port, _set_port)
remote: Any = property(_remote, _setter("remote"))
cache: Any = property(_cache, _set_cache)
username: Any = property(_username, _setter("username"))
password: Any = property(_password, _set_password)


def credential(duct: Duct, field: str) -> str | None:
    """The text of `username` or `password`; found once, and kept until `reset`."""
    if field not in duct._answers:
        text = credentials.resolve(
            getattr(duct, f"_{field}"), duct.name, field, username=lambda: duct.username, asker=duct
        )
        with duct._prepare_lock:
            duct._answers.setdefault(field, None if text is None else Secret(text))
    answer = duct._answers.get(field)
    return None if answer is None else answer.reveal()


# What a change does


def before_change(duct: Duct, name: str, value: object) -> None:
    """Disconnect, and be ready to prepare anew, when a field that the connection depends on changes."""
    attribute = f"_{name}" if name in _BASE else name
    with duct._prepare_lock:
        if duct._preparing or duct._life.leads() or _same(duct, attribute, value):
            return
    if duct._life.state not in (DISCONNECTED, FAILED):
        duct.disconnect()
    else:
        duct._give_back_forward()
    with duct._prepare_lock:
        duct._originals.pop(attribute, None)
        if name == "host":  # the port may have been written with the former host
            duct._port = cast(Any, duct._originals.pop("_port", duct._port))
        duct._answers.pop(name, None)
        duct._prepared = False


def _same(duct: Duct, attribute: str, value: object) -> bool:
    old = duct.__dict__.get(attribute, _NOTHING)
    if old is value:
        return True
    try:
        return bool(old == value) and type(old) is type(value)
    except Exception:  # values that do not compare, as arrays
        return False


def look_up(duct: Duct, field: str, value: object) -> Any:
    """The remote or cache itself, when it is given by its name.

    Raises
    ------
    DuctConfigError
        It is not of the right kind, or there is no registry to look it up in.
    DuctNotFound
        The registry has none of that name.
    """
    from omniduct.duct import Duct

    kind = Duct.Type.REMOTE if field == "remote" else Duct.Type.CACHE
    if value is None:
        return None
    if isinstance(value, str):
        if duct.registry is None:
            raise DuctConfigError(
                f"{duct.name}: its {field} is {value!r}, a name, and there is no registry to look it up in; "
                f"give the {field} itself"
            )
        return duct.registry.lookup(value, kind)
    if not isinstance(value, Duct) or value.DUCT_TYPE is not kind:
        raise DuctConfigError(
            f"{duct.name}: its {field} cannot be {value!r}; it takes one of the {kind.value}"
        )
    return value


def check_registry(duct: Duct) -> None:
    """Complain about a registry that is none."""
    if duct.registry is not None and not hasattr(duct.registry, "lookup"):
        raise DuctConfigError(f"{duct.name}: its registry cannot be a {type(duct.registry).__name__}")


# Names that subclasses add to `connection_fields`


class _Watched:
    """Stands in front of an attribute that a class added to `connection_fields`: reading it prepares."""

    def __init__(self, name: str, inner: Any) -> None:
        self._name = name
        self._inner = inner

    def __get__(self, duct: Any, owner: Any = None) -> Any:
        if duct is None:
            if self._inner is _NOTHING:
                raise AttributeError(self._name)
            return self._inner
        _prepare_for(duct, self._name)
        if hasattr(type(self._inner), "__set__"):
            return self._inner.__get__(duct, owner)
        value = duct.__dict__.get(self._name, self._inner)
        if value is _NOTHING:
            raise AttributeError(f"{type(duct).__name__!r} object has no attribute {self._name!r}")
        return value

    def __set__(self, duct: Any, value: Any) -> None:
        if hasattr(type(self._inner), "__set__"):
            self._inner.__set__(duct, value)
        else:
            duct.__dict__[self._name] = value

    def __delete__(self, duct: Any) -> None:
        duct.__dict__.pop(self._name, None)


def watch(duct: Duct) -> None:
    """See to it that reading any of a duct's own `connection_fields` prepares."""
    cls = type(duct)
    for name in duct.connection_fields:
        if name not in _BASE:
            inner = inspect.getattr_static(cls, name, _NOTHING)
            if not isinstance(inner, _Watched):
                setattr(cls, name, _Watched(name, inner))


# Copies


def named_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a constructor was called with, by name; a password as a Secret."""
    named = dict(kwargs)
    if args:
        names = [n for n in inspect.signature(cls.__init__).parameters][1:]  # type: ignore[misc]
        named.update(zip(names, args, strict=False))
    if "password" in named:
        named["password"] = Secret.wrap(named["password"])
    return named


def arguments_now(duct: Duct) -> dict[str, Any]:
    """The constructor's arguments, brought up to date with fields that were changed since."""
    now = {**duct._arguments, "protocol": duct.protocol, "name": duct.name, "registry": duct.registry}
    for name in _BASE:
        now[name] = duct._originals.get(f"_{name}", getattr(duct, f"_{name}"))
    for name in duct.connection_fields:
        if name not in _BASE and name in accepted(type(duct)).names:
            now[name] = duct._originals.get(name, raw(duct, name))
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
                arguments[field] = look_up(duct, field, arguments[field])
    return {name: value for name, value in arguments.items() if value is not None}


def rebuild(cls: type[Duct], arguments: dict[str, Any]) -> Duct:
    """Make a duct from what `arguments_for_copy` gave."""
    return cls(**arguments)
