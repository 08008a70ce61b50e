"""Hosts and ports of ducts: what was configured, what is used, and whether something answers there."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from omniduct.errors import DuctConfigError, DuctServerUnreachable

if TYPE_CHECKING:
    from omniduct.duct import Duct
    from omniduct.remotes.base import RemoteClient

__all__ = ["choose_again", "forget_written_ports", "port_number", "settle", "split", "unreachable", "where"]

_ENDPOINT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:/]+)):(?P<port>[^:/]+)\Z")


def split(host: str, owner: str = "") -> tuple[str, int | None]:
    """A host, and the port that was written with it; `owner` is whose it is, for complaints.

    >>> split("db.example.com:5432"), split("db.example.com")
    (('db.example.com', 5432), ('db.example.com', None))
    >>> split("[::1]:80"), split("::1")
    (('::1', 80), ('::1', None))

    Raises
    ------
    DuctConfigError
        What is written as its port is none.
    """
    match = _ENDPOINT.fullmatch(host.strip())
    if match is None:
        return host.strip().strip("[]"), None
    return match["v6"] or match["host"], port_number(f"{owner}: host {host!r}".lstrip(": "), match["port"])


def port_number(duct: str, port: object) -> int | None:
    """A port as a number.

    Raises
    ------
    DuctConfigError
        It is none.
    """
    if port is None:
        return None
    try:
        number = int(cast(str, port))
    except (TypeError, ValueError):
        raise DuctConfigError(f"{duct}: port cannot be {port!r}; it takes a number from 1 to 65535") from None
    if isinstance(port, (bool, float)) or not 0 < number < 65536:
        raise DuctConfigError(f"{duct}: port cannot be {port!r}; it takes a number from 1 to 65535")
    return number


def settle(duct: Duct) -> None:
    """Choose among several hosts, part "host:port", and make the port a number."""
    host, port = duct._host, port_number(duct.name, duct._port)
    if isinstance(host, (list, tuple)):
        host = _first_that_answers(duct, host, port)
    if isinstance(host, str):
        host, own_port = split(host, duct.name)
        port = own_port or port
    elif host is not None:
        raise DuctConfigError(f"{duct.name}: host cannot be {host!r}; it takes a name, or a list of names")
    duct._host, duct._port = host, port or duct._usual_port(host)


def _first_that_answers(duct: Duct, hosts: Sequence[str], port: int | None) -> str:
    reasons = []
    for host in hosts:
        name, own_port = split(host, duct.name)
        number = own_port or port or duct._usual_port(name)
        reason = _answers(duct, duct._real_host(name), number, duct.CHECK_TIMEOUT)
        if not reason:
            return host
        reasons.append(f"{host}: {reason}")
    raise DuctServerUnreachable(
        f"{duct.name}: none of its hosts answers ({'; '.join(reasons) or 'the list is empty'})"
    )


def choose_again(duct: Duct) -> bool:
    """After a failure: let the next preparation choose anew, where the host is one of several or computed."""
    with duct._prepare_lock:
        host = duct._originals.get("_host")
        if not isinstance(host, (list, tuple)) and not callable(host):
            return False
        duct._host = host  # type: ignore[assignment]
        duct._port = duct._originals.get("_port", duct._port)  # type: ignore[assignment]
        duct._prepared = False
        return True


def forget_written_ports(duct: Duct) -> None:
    """Let a port that was just set hold for hosts that were written with one."""
    duct._host = _without_port(duct._host)  # type: ignore[assignment]
    if "_host" in duct._originals:
        duct._originals["_host"] = _without_port(duct._originals["_host"])


def _without_port(host: object) -> object:
    if isinstance(host, (list, tuple)):
        return [_without_port(each) for each in host]
    return split(host)[0] if isinstance(host, str) else host


def unreachable(duct: Duct, timeout: float) -> str:
    """Why the service of a prepared duct cannot be reached, through its remote if it has one."""
    host, port, remote = duct._host, duct._port, duct._remote
    if remote is not None and duct._life.state == "connected":
        remote = cast("RemoteClient", remote)
        if not remote.is_connected():
            return f"its remote {remote.name!r} is not connected"
    if not isinstance(host, str) or not isinstance(port, int) or host.startswith("/"):
        return ""
    return _answers(duct, host, port, timeout)


def _answers(duct: Duct, host: str, port: int | None, timeout: float) -> str:
    if port is None:
        return ""
    if duct._remote is None:
        return _tcp_failure(host, port, timeout)
    remote = cast("RemoteClient", duct._remote)
    return "" if remote.is_port_bound(host, port) else f"nothing answers there, seen from {remote.name!r}"


def _tcp_failure(host: str, port: int, timeout: float) -> str:
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return ""
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (socket.gaierror, UnicodeError):
        return "the host name is unknown"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def where(duct: Duct) -> str:
    """``host:port via remote``, or what the class says of a service without a host; from raw values only."""
    host, port = duct._host, duct._port
    if host is None and duct._remote is None:
        return duct._location()
    hosts = list(host) if isinstance(host, (list, tuple)) else [host]
    text = ", ".join(_place(each, port) for each in hosts if each is not None)
    if duct._remote is not None:
        remote = duct._remote if isinstance(duct._remote, str) else duct._remote.name
        text = f"{text} via {remote}".strip()
    return text


def _place(host: object, port: object) -> str:
    if callable(host):
        return "(computed)"
    match = _ENDPOINT.fullmatch(str(host))
    if match:
        return str(host)
    name = f"[{host}]" if ":" in str(host) and isinstance(port, (int, str)) else str(host)
    return f"{name}:{port}" if isinstance(port, (int, str)) else name
