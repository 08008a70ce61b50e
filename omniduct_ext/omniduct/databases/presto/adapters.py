"""The connections to a coordinator: kept alive, shared by threads, led through a forward if there is one."""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter

__all__ = ["adapter"]

_HOSTS = 8
_CONNECTIONS = 64  # kept a host: what runs beside the session, a page fetched ahead each, and cancels
_KEEPALIVE = {  # seconds; the last in milliseconds: a cut link is noticed within 45 s
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPALIVE": 15,  # its name on macOS
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 45_000,
}


def adapter(context: ssl.SSLContext | None = None, near: str = "", host: str = "") -> HTTPAdapter:
    """An adapter of requests.

    Parameters
    ----------
    context : ssl.SSLContext, optional
        What TLS begins with: a client certificate, further authorities.
    near : str, optional
        "host:port" of the near end of a forward: connections go there, while all else (the ``Host``
        header, the name that the certificate has to be for) stays that of the far end.
    host : str, optional
        The far end's name, for TLS; empty without it.
    """
    pool: dict[str, Any] = {"socket_options": _socket_options()}
    if context is not None:
        pool["ssl_context"] = context
    if near and host:
        pool["server_hostname"] = host
    return cast("HTTPAdapter", _adapter_class()(pool, near))


def _socket_options() -> list[tuple[int, int, int]]:
    from urllib3.connection import HTTPConnection

    options: list[Any] = [
        *HTTPConnection.default_socket_options,
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    known = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
    return [*options, *((socket.IPPROTO_TCP, option, value) for option, value in known.items())]


@functools.cache
def _adapter_class() -> Any:
    """The class, made when it is first needed: requests is not loaded before."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def __init__(self, pool: dict[str, Any], near: str) -> None:
            self._pool = pool
            self._near = near
            super().__init__(pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS)

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **{**self._pool, **kwargs})

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, **{**self._pool, **kwargs})

        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            if not self._near:
                return super().send(request, *args, **kwargs)
            kwargs["proxies"] = {}  # the near end is on this machine
            response = super().send(_led(request, self._near), *args, **kwargs)
            response.request, response.url = request, str(request.url)
            return response

    return Adapter


def _led(request: PreparedRequest, near: str) -> PreparedRequest:
    """A request for the far end, as it is sent to the near one."""
    address = urlsplit(str(request.url))
    sent = request.copy()
    sent.url = address._replace(netloc=near).geturl()
    sent.headers.setdefault("Host", address.netloc)
    return sent
