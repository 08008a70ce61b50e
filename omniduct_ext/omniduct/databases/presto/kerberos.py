"""A login with Kerberos: the ticket that `kinit` got, shown by SPNEGO."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, cast

from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctDriverMissing

if TYPE_CHECKING:
    from requests import PreparedRequest

__all__ = ["OPTIONS", "lacks_ticket", "negotiation"]

OPTIONS: dict[str, Any] = {
    "principal": str,
    "service_name": str,
    "hostname_override": str,
    "config": str,
    "delegate": bool,
    "mutual_authentication": Literal["required", "optional", "disabled"],
    "force_preemptive": bool,
}
"""What `auth_options` takes, and of which type."""

_MUTUAL = {"required": 1, "optional": 2, "disabled": 3}  # as in requests-gssapi
_VARIABLE = "KRB5_CONFIG"
_turn = threading.Lock()


def negotiation(client: Any) -> Negotiation:
    """What puts the ticket into requests.

    Raises
    ------
    DuctDriverMissing
        The packages are not installed.
    DuctConfigError
        There is no such krb5.conf.
    DuctAuthenticationError
        There is no ticket.
    """
    try:
        import gssapi  # noqa: F401
        import requests_gssapi  # noqa: F401
    except ImportError as error:
        raise DuctDriverMissing(
            f"{client.name}: {client.protocol or 'trino'} with auth='kerberos' needs the package "
            "requests-gssapi (and, to build it, the Kerberos headers: Debian libkrb5-dev): "
            "pip install 'omniduct-ext[kerberos]'"
        ) from error
    config = _config(client)
    if config is not None and not os.path.isfile(config):
        raise DuctConfigError(f"{client.name}: auth_options: there is no file {config!r}, which is config")
    if reason := lacks_ticket(client):
        raise DuctAuthenticationError(f"{client.name}: {reason}")
    return Negotiation(client.auth_options, config)


def lacks_ticket(client: Any) -> str:
    """That there is no ticket to log in with, and what to do; nothing if there is one."""
    from gssapi.raw.misc import GSSError

    principal = client.auth_options.get("principal")
    try:
        with _configured(_config(client)):
            credentials = _credentials(principal)
            lifetime = credentials.lifetime
    except GSSError as error:
        said = " ".join(str(error).split())
    else:
        if lifetime is None or lifetime > 0:
            return ""
        said = "it has expired"
    of = f" of {principal}" if principal else ""
    return f"there is no Kerberos ticket{of} ({said}): get one with kinit {principal or ''}".rstrip()


def _config(client: Any) -> str | None:
    config = client.auth_options.get("config")
    return None if config is None else os.path.expanduser(config)


def _credentials(principal: str | None) -> Any:
    import gssapi

    name = None if principal is None else gssapi.Name(principal, gssapi.NameType.user)
    return gssapi.Credentials(name=name, usage="initiate")


@contextlib.contextmanager
def _configured(config: str | None) -> Iterator[None]:
    """With a krb5.conf of its own: the libraries take it from nowhere but the environment."""
    if config is None:
        yield
        return
    with _turn:
        former = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = config
        try:
            yield
        finally:
            if former is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = former


class Negotiation:
    """Puts the ticket into requests, from any number of threads.

    Parameters
    ----------
    options : dict
        Those of `auth_options`.
    config : str, optional
        The krb5.conf to use.
    """

    def __init__(self, options: dict[str, Any], config: str | None) -> None:
        service, host = options.get("service_name") or "HTTP", options.get("hostname_override")
        self._principal = options.get("principal")
        self._config = config
        self._options = {
            "target_name": f"{service}@{host}" if host else service,
            "delegate": options.get("delegate", False),
            "mutual_authentication": _MUTUAL[options.get("mutual_authentication", "disabled")],
            "opportunistic_auth": options.get("force_preemptive", True),
        }

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Log in; each time by another of the package's, which keeps what one exchange needs."""
        from requests_gssapi import HTTPSPNEGOAuth

        with _configured(self._config):
            credentials = None if self._principal is None else _credentials(self._principal)
        spnego = HTTPSPNEGOAuth(creds=credentials, **self._options)
        if self._config is not None:
            spnego.generate_request_header = functools.partial(self._shown, spnego.generate_request_header)
        return cast("PreparedRequest", spnego(request))

    def _shown(self, generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _configured(self._config):
            return generate(*args, **kwargs)
