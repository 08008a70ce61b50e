"""The fields of a duct that a connection depends on: prepared when read, disconnecting when changed."""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from omniduct import credentials
from omniduct.core import endpoints
from omniduct.core.lifecycle import DISCONNECTED, FAILED
from omniduct.credentials import Secret
from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    from omniduct.duct import Duct
    from omniduct.remotes.base import RemoteClient

BASE = ("host", "port", "remote", "username", "password", "cache")
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
        remote = cast("RemoteClient", duct._remote)
        return remote.port_forward_for(duct, cast(str, duct._host), cast(int, duct._port))
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
    return _login_name() if duct._username is None else credential(duct, "username")


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have no name
        return None


def _password(duct: Duct) -> str | None:
    """The password itself, asked for or fetched from its source when first read; None if there is none."""
    _prepare_for(duct, "password")
    return credential(duct, "password")


def _set_port(duct: Duct, value: Any) -> None:
    if not duct._preparing:
        endpoints.forget_written_ports(duct)
    duct._port = value


def _set_password(duct: Duct, value: Any) -> None:
    duct._password = cast(Any, Secret.wrap(value))


def _set_cache(duct: Duct, value: Any) -> None:
    with duct._prepare_lock:
        duct._cache = look_up(duct, "cache", value) if duct._prepared else value
        if "_cache" in duct._originals:  # what `reset` restores
            duct._originals["_cache"] = value


def _setter(name: str) -> Any:
    def set_raw(duct: Duct, value: Any) -> None:
        setattr(duct, f"_{name}", value)

    return set_raw


# Tab behind ``duct.host.`` reads the value, and so prepares, unless it can read the type.
for _getter, _kind in (
    (_host, str),
    (_port, int),
    (_username, str),
    (_password, str),
    (_remote, object),
    (_cache, object),
):
    _getter.__annotations__ = {"return": _kind}

host: Any = property(_host, _setter("host"))
port: Any = property(_port, _set_port)
remote: Any = property(_remote, _setter("remote"))
cache: Any = property(_cache, _set_cache)
username: Any = property(_username, _setter("username"))
password: Any = property(_password, _set_password)


def credential(duct: Duct, field: str) -> str | None:
    """The text of `username` or `password`; found once, and kept until `reset`."""
    answer = duct._answers.get(field, _NOTHING)
    if answer is _NOTHING:
        raw_value = getattr(duct, f"_{field}")
        text = credentials.resolve(raw_value, duct.name, field, username=lambda: duct.username, asker=duct)
        answer = None if text is None else Secret(text)
        with duct._prepare_lock:
            if getattr(duct, f"_{field}") is raw_value:  # else it was changed meanwhile
                answer = duct._answers.setdefault(field, answer)
    return answer.reveal() if isinstance(answer, Secret) else None


def forget_answers(duct: Duct) -> bool:
    """Forget prompted and looked-up logins, and stay connected; whether there were any."""
    with duct._prepare_lock:
        known = bool(duct._answers)
        duct._answers.clear()
    return known


# What a change does


def change(duct: Duct, name: str, value: object, assign: Callable[[], None]) -> None:
    """Change a field that the connection depends on: disconnect, and be ready to prepare anew."""
    attribute = f"_{name}" if name in BASE else name
    with duct._prepare_lock:
        if duct._preparing or duct._life.leads():
            assign()
            return
        if _same(duct, attribute, value):
            return
    if name == "port" and isinstance(value, (int, str)):
        endpoints.port_number(duct.name, value)
    former_remote = duct._remote
    try:
        _let_go(duct)
    finally:
        with duct._prepare_lock:
            _forget(duct, name, attribute)
            assign()
    if duct._life.state not in (DISCONNECTED, FAILED):  # another thread connected with the former value
        duct.disconnect()
    if former_remote is not duct._remote and not isinstance(former_remote, (str, type(None))):
        former_remote.port_forward_release(duct)


def _let_go(duct: Duct) -> None:
    if duct._life.state not in (DISCONNECTED, FAILED):
        duct.disconnect()
    else:
        duct._give_back_forward()


def _forget(duct: Duct, name: str, attribute: str) -> None:
    """Forget what was prepared of a field's former value."""
    duct._originals.pop(attribute, None)
    if name == "host":  # the port may have been written with the former host
        duct._port = cast(Any, duct._originals.pop("_port", duct._port))
    duct._answers.pop(name, None)
    if name == "username":  # a keyring's password goes with the name
        duct._answers.pop("password", None)
    duct._prepared = False


def _same(duct: Duct, attribute: str, value: object) -> bool:
    """Whether a field has that value already, as it was given rather than as it was prepared."""
    old = duct._originals.get(attribute, duct.__dict__.get(attribute, _NOTHING))
    if old is value:
        return True
    if isinstance(old, Secret):
        value = Secret.wrap(value)
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
        value = duct.registry.lookup(value, kind)
    if not isinstance(value, Duct) or value.DUCT_TYPE is not kind:
        raise DuctConfigError(
            f"{duct.name}: its {field} cannot be {value!r}; it takes one of the {kind.value}"
        )
    if field == "remote":
        _refuse_circle(duct, value)
    return value


def _refuse_circle(duct: Duct, remote: Duct) -> None:
    passed = [duct.name]
    step: Any = remote
    while hasattr(step, "_remote") and len(passed) < 16:  # a circle that does not come by here ends by itself
        passed.append(step.name)
        if step is duct:
            raise DuctConfigError(
                f"{duct.name}: it would be reached through itself ({' via '.join(passed)}); "
                "take the remote away from one of these"
            )
        step = step._remote


def check_registry(duct: Duct) -> None:
    """Complain about a registry that is none."""
    if duct.registry is not None and not hasattr(duct.registry, "lookup"):
        raise DuctConfigError(f"{duct.name}: its registry cannot be a {type(duct.registry).__name__}")


# Names that subclasses add to `connection_fields`


def _unread(duct: object) -> object:
    """The type of any field, for Tab."""


class _Watched(property):
    """Stands in front of an attribute that a class added to `connection_fields`: reading it prepares."""

    def __init__(self, name: str, inner: Any) -> None:
        super().__init__(_unread)
        self._name = name
        self._inner = inner

    def __get__(self, duct: Any, owner: Any = None) -> Any:
        if duct is None:
            if self._inner is _NOTHING:
                raise AttributeError(self._name)
            return self._inner
        _prepare_for(duct, self._name)
        inner = self._inner
        if self._name in duct.__dict__ and not hasattr(type(inner), "__set__"):
            return duct.__dict__[self._name]
        if inner is _NOTHING:
            raise AttributeError(f"{type(duct).__name__!r} object has no attribute {self._name!r}")
        return inner.__get__(duct, owner) if hasattr(type(inner), "__get__") else inner

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
        if name not in BASE:
            inner = inspect.getattr_static(cls, name, _NOTHING)
            if not isinstance(inner, _Watched):
                setattr(cls, name, _Watched(name, inner))
