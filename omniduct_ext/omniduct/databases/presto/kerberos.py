"""A login with Kerberos: the ticket that `kinit` got, shown by SPNEGO."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctDriverMissing

if TYPE_CHECKING:
    from requests import PreparedRequest

__all__ = ["OPTIONS", "fault", "negotiation"]

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
    return Negotiation(client.name, client.auth_options, config)


def lacks_ticket(client: Any) -> str:
    """That there is no ticket to log in with, and what to do; nothing if there is one."""
    from gssapi.raw.misc import GSSError

    principal = client.auth_options.get("principal")
    try:
        with _configured(_config(client)):
            lifetime = _credentials(principal).lifetime
    except GSSError as error:
        said = _said(error)
    else:
        if lifetime is None or lifetime > 0:
            return ""
        said = "it has expired"
    of = f" of {principal}" if principal else ""
    return f"there is no Kerberos ticket{of} ({said}): get one with kinit {principal or ''}".rstrip()


def fault(client: Any) -> str:
    """Why a login cannot succeed, where that shows on this side; nothing otherwise."""
    import gssapi
    from gssapi.raw.misc import GSSError

    if reason := lacks_ticket(client):
        return reason
    target = _target(client.auth_options)
    service = target if "@" in target else f"{target}@{client._host}"
    try:
        with _configured(_config(client)):
            name = gssapi.Name(service, gssapi.NameType.hostbased_service)
            credentials = _credentials(client.auth_options.get("principal"))
            gssapi.SecurityContext(name=name, creds=credentials, usage="initiate").step()
    except GSSError as error:
        return f"for {service} there is no ticket ({_said(error)}); see service_name and hostname_override"
    return ""


def _said(error: Any) -> str:
    """What Kerberos says, without its numbers and without what the interface above it makes of that."""
    text = " ".join(str(error).split())
    return text.rpartition("): ")[2] or text


def _target(options: Mapping[str, Any]) -> str:
    service, host = options.get("service_name") or "HTTP", options.get("hostname_override")
    return f"{service}@{host}" if host else service


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
    name : str
        Of the duct, for messages.
    options : Mapping
        Those of `auth_options`.
    config : str, optional
        The krb5.conf to use.
    """

    def __init__(self, name: str, options: Mapping[str, Any], config: str | None) -> None:
        self._name = name
        self._principal = options.get("principal")
        self._config = config
        self._options = {
            "target_name": _target(options),
            "delegate": options.get("delegate", False),
            "mutual_authentication": _MUTUAL[options.get("mutual_authentication", "disabled")],
            "opportunistic_auth": options.get("force_preemptive", True),
            "sanitize_mutual_error_response": False,  # it says why
        }

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Log in; each time by another of the package's, which keeps what one exchange needs."""
        from requests_gssapi import HTTPSPNEGOAuth

        with _configured(self._config):
            credentials = None if self._principal is None else _credentials(self._principal)
        spnego: Any = HTTPSPNEGOAuth(creds=credentials, **self._options)
        spnego.generate_request_header = functools.partial(self._ticket, spnego.generate_request_header)
        spnego.handle_other = functools.partial(self._proven, spnego.handle_other)
        return cast("PreparedRequest", spnego(request))

    def _ticket(self, generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _configured(self._config):
            return generate(*args, **kwargs)

    def _proven(self, check: Callable[..., Any], response: Any) -> Any:
        from requests_gssapi import MutualAuthenticationError

        try:
            return check(response)
        except MutualAuthenticationError:
            raise DuctAuthenticationError(
                f"{self._name}: the server does not prove itself by Kerberos, as mutual_authentication: "
                "required wants it to; leave that out, as TLS does prove it"
            ) from None
