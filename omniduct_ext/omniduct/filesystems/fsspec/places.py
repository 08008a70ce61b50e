"""How the fields of a duct reach each of fsspec's filesystems, and which paths it takes."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    from omniduct.filesystems.fsspec.client import FsspecClient

__all__ = ["PORTS", "Place", "place_of"]

PORTS = {
    "ftp": 21,
    "hdfs": 8020,
    "http": 80,
    "https": 443,
    "sftp": 22,
    "smb": 445,
    "ssh": 22,
    "webdav": 443,
    "webhdfs": 50070,
}

_READ_ONLY = frozenset("data gist git github http https libarchive reference tar".split())
_APPENDING = frozenset("arrow_hdfs dir file hdfs local memory s3 s3a sftp smb ssh webhdfs".split())
_COMMITTING = frozenset("abfs az gcs gs oci oss s3 s3a".split())
_FIELDS = {  # of the duct: what constructors call them
    "host": ("host", "hostname"),
    "port": ("port",),
    "username": ("username", "user"),
    "password": ("password",),
}
_BY_KEYWORD = {"sftp": tuple(_FIELDS), "ssh": tuple(_FIELDS)}  # their constructors name no more than the host


@dataclass(frozen=True)
class Place:
    """Where one of fsspec's filesystems is, and what it can do.

    Attributes
    ----------
    kind : str
        fsspec's name for it.
    options : dict
        The arguments of its constructor, logins among them.
    root : str
        What a path begins with there, as "" or "bucket/folder" or "http://host".
    absolute : bool
        Whether a path begins with "/" there.
    quotes : bool
        Whether paths are quoted there, as in URLs.
    """

    kind: str
    options: dict[str, Any] = field(repr=False)
    root: str
    absolute: bool = False
    quotes: bool = False

    @property
    def reads_only(self) -> bool:
        """Whether nothing can be written there."""
        return self.kind in _READ_ONLY or (self.kind == "zip" and self.options.get("mode", "r") == "r")

    @property
    def appends(self) -> bool:
        """Whether something can be added to a file there."""
        return self.kind in _APPENDING

    @property
    def commits(self) -> bool:
        """Whether a file appears there when it is closed, and not before."""
        return self.kind in _COMMITTING

    @property
    def moves_by_copying(self) -> bool:
        """Whether it is worth while to move by copying: what is in memory is copied in no time."""
        return self.kind == "memory"

    def path(self, path: str) -> str:
        """The path there, of one that begins with "/"."""
        written = quote(path, errors="surrogateescape") if self.quotes else path
        there = f"{self.root}{written}".rstrip("/")
        if self.root:
            return there
        return there or "/" if self.absolute else there.lstrip("/")

    def name(self, listed: str, folder: str) -> str:
        """The name of what a folder lists; empty if it is elsewhere, as a link on a page may be."""
        inside, above = listed.strip("/"), folder.strip("/")
        if above and not inside.startswith(f"{above}/"):
            return ""
        name = inside[len(above) :].lstrip("/")
        if self.quotes:
            name = "" if name[:1] in ("?", "#") else unquote(name, errors="surrogateescape")
        return "" if "/" in name or name in (".", "..") else name


def place_of(duct: FsspecClient, cls: Any) -> Place:
    """Where the filesystem of a duct is; logins are unwrapped here.

    Parameters
    ----------
    cls : type
        fsspec's class.

    Raises
    ------
    DuctConfigError
        It takes no host, port or login, and the duct has one.
    """
    special = _SPECIAL.get(duct.filesystem)
    if special is not None:
        return special(duct)
    takes = {*inspect.signature(cls.__init__).parameters}
    names = {
        given: next((n for n in known if n in takes or given in _BY_KEYWORD.get(duct.filesystem, ())), None)
        for given, known in _FIELDS.items()
    }
    options = dict(duct.options)
    for given, name in names.items():
        value = _given(duct, given)
        if value is not None and name is None:
            raise DuctConfigError(
                f"{duct.name}: fsspec's {duct.filesystem!r} takes no {given}; what it takes goes into options"
            )
        if value is not None and name is not None:
            options.setdefault(name, value)
    absolute = _is_absolute(duct.filesystem, cls)
    inside = duct.root.strip("/")
    return Place(duct.filesystem, options, f"/{inside}" if absolute and inside else inside, absolute)


def _is_absolute(kind: str, cls: Any) -> bool:
    """Whether paths begin with "/": with those that keep no host of a URL, and those that say so."""
    try:
        return bool(cls._strip_protocol(f"{kind}://host/x").startswith("/"))
    except Exception:  # some tell only once they are there
        return False


def _given(duct: FsspecClient, name: str) -> Any:
    """The value of a field that the person has set; a login's default is not for every service."""
    return getattr(duct, name) if getattr(duct, f"_{name}") not in (None, False) else None


def _http(duct: FsspecClient) -> Place:
    options = dict(duct.options)
    root = duct.root.rstrip("/")
    if duct._host is not None:
        root = f"{duct.filesystem}://{_netloc(duct.host, duct.port)}/{root.strip('/')}".rstrip("/")
        if duct._remote is not None:
            _name_far_host(duct, options)
    if "://" not in root:
        raise DuctConfigError(
            f"{duct.name}: fsspec's {duct.filesystem!r} needs a host, or a root as 'https://host/folder'"
        )
    if (login := _login(duct)) is not None:
        encoded = base64.b64encode(":".join(login).encode()).decode()
        options["headers"] = {"Authorization": f"Basic {encoded}", **options.get("headers", {})}
    return Place(duct.filesystem, options, root, quotes=True)


def _name_far_host(duct: FsspecClient, options: dict[str, Any]) -> None:
    """Ask for the far host through a forward, and have TLS check that one's certificate."""
    far = _netloc(duct._host, None if duct._port == PORTS[duct.filesystem] else duct._port)
    options["headers"] = {"Host": far, **options.get("headers", {})}
    if duct.filesystem == "https":
        options.setdefault("server_hostname", duct._host)


def _netloc(host: Any, port: Any) -> str:
    name = f"[{host}]" if ":" in str(host) else str(host)
    return name if port is None else f"{name}:{port}"


def _login(duct: FsspecClient) -> tuple[str, str] | None:
    username, password = _given(duct, "username"), _given(duct, "password")
    if username is None and password is None:
        return None
    return username if username is not None else duct.username or "", password or ""


def _webdav(duct: FsspecClient) -> Place:
    options, root = dict(duct.options), duct.root.strip("/")
    if duct._host is not None:
        scheme = "http" if duct._port == 80 else "https"
        options.setdefault("base_url", f"{scheme}://{_netloc(duct.host, duct.port)}")
    if (login := _login(duct)) is not None:
        options.setdefault("auth", login)
    return Place(duct.filesystem, options, root)


def _s3(duct: FsspecClient) -> Place:
    options = dict(duct.options)
    if duct._host is not None:
        scheme = "http" if duct._port == 80 else "https"
        options.setdefault("endpoint_url", f"{scheme}://{_netloc(duct.host, duct.port)}")
    if (login := _login(duct)) is not None:
        options.setdefault("key", login[0])
        options.setdefault("secret", login[1])
    return Place(duct.filesystem, options, duct.root.strip("/"))


_SPECIAL: Mapping[str, Callable[[FsspecClient], Place]] = {
    "http": _http,
    "https": _http,
    "s3": _s3,
    "s3a": _s3,
    "webdav": _webdav,
}
