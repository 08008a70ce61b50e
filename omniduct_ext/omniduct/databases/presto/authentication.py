"""How a Presto or Trino knows who asks: a password, token, certificate, ticket, or a login in the browser.

`auth` names the way, `password` is its secret: the password itself, the token of jwt, the passphrase of the
client certificate's key. What a way takes besides is in `auth_options`:

kerberos
    ``principal``, whose ticket to use of those there are; ``service_name`` (HTTP) and ``hostname_override``
    (the host), as the server is known to the KDC; ``config``, a krb5.conf of its own; ``delegate``;
    ``mutual_authentication`` ("required", "optional" or "disabled", the default); ``force_preemptive``
    (True): whether the ticket is sent without being asked for.
oauth2
    ``timeout`` (300), seconds that the person has to log in; ``keyring`` (False): whether the token is kept
    in the keyring of the system, rather than in memory until `reset`.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
from typing import TYPE_CHECKING, Any, cast

from omniduct.core import failures
from omniduct.core.arguments import did_you_mean, objection
from omniduct.core.endpoints import where
from omniduct.databases.presto import kerberos, oauth2
from omniduct.databases.presto.tls import tls_failure
from omniduct.errors import DuctArgumentError, DuctAuthenticationError, DuctConfigError, DuctError

if TYPE_CHECKING:
    import requests
    from trino.auth import Authentication

__all__ = [
    "authentication",
    "check",
    "mechanism",
    "must_ask",
    "passphrase",
    "refuse_cleartext",
    "refused",
    "tls_failure",
    "user",
]

_MECHANISMS: dict[str, dict[str, Any]] = {  # with the types of their options
    "none": {},
    "password": {},
    "jwt": {},
    "certificate": {},
    "kerberos": kerberos.OPTIONS,
    "oauth2": oauth2.OPTIONS,
}
_SENDS_SECRET = {"password": "password", "jwt": "token", "oauth2": "token"}
_OFFERS = {  # what a server says that it takes -> auth
    r"\bBasic\b": "password",
    r"\bNegotiate\b": "kerberos",
    r"\bx_token_server=": "oauth2",
    r"\bBearer realm=": "jwt",
}
_LONGEST = 200  # characters of what a server says that are repeated
_SAYS_NOTHING = {"", "unauthorized", "forbidden", "access denied"}


def mechanism(client: Any) -> str:
    """How a duct logs in: what its `auth` says, or what it has; from raw values only."""
    if client.auth is not None:
        return str(client.auth)
    if client._password not in (None, False):
        return "password"
    return "none" if client.client_certificate is None else "certificate"


def check(client: Any) -> None:
    """Complain about what can never be used; called at construction.

    Raises
    ------
    DuctConfigError
        It names the argument and what would do.
    """
    name, way = client.name, mechanism(client)
    if client.server_protocol not in ("http", "https"):
        hint = did_you_mean(str(client.server_protocol), ("http", "https"))
        raise DuctConfigError(
            f"{name}: server_protocol cannot be {client.server_protocol!r}; it takes http or https{hint}"
        )
    if way not in _MECHANISMS:
        hint = did_you_mean(way, _MECHANISMS)
        raise DuctConfigError(f"{name}: auth cannot be {way!r}; it takes {', '.join(_MECHANISMS)}{hint}")
    _check_options(client, way)
    if way == "certificate":
        _check_certificate(client)
    if way in ("password", "jwt") and client._password is False:
        raise DuctConfigError(f"{name}: auth is {way}, and password: false says that there is none")


def _check_options(client: Any, way: str) -> None:
    known = _MECHANISMS[way]
    for option, value in client.auth_options.items():
        if option not in known:
            takes = f"; it takes {', '.join(known)}" if known else f"; auth: {way} takes none"
            hint = did_you_mean(str(option), known) or takes
            raise DuctArgumentError(f"{client.name}: auth_options cannot have {option!r}{hint}")
        if reason := objection(option, value, known[option]):
            raise DuctArgumentError(f"{client.name}: auth_options: {reason}")


def _check_certificate(client: Any) -> None:
    if client.client_certificate is None:
        raise DuctConfigError(
            f"{client.name}: auth is certificate, and there is none: give the file of the certificate and "
            "its key as client_certificate, or a list of the two files"
        )
    if client.server_protocol == "http":
        raise DuctConfigError(
            f"{client.name}: a client certificate is shown over TLS only: set server_protocol: https"
        )


def must_ask(client: Any) -> bool:
    """Whether the person has to be asked for the secret that `auth` needs, as nobody says whence it comes."""
    return mechanism(client) in ("password", "jwt") and client._password is None


def refuse_cleartext(client: Any) -> None:
    """Complain where the secret would be sent for everybody to read on its way.

    Raises
    ------
    DuctConfigError
        It would, and nobody has said that it may.
    """
    secret = _SENDS_SECRET.get(mechanism(client))
    if secret and client.server_protocol == "http" and not client.allow_cleartext_password:
        raise DuctConfigError(
            f"{client.name}: the {secret} is not sent to {where(client)} without TLS: set server_protocol: "
            "https, or, if everybody on the way may read it, allow_cleartext_password: true"
        )


def user(client: Any) -> str | None:
    """The user to name to the server; None where the login says it, and nothing else was configured."""
    if client.session_user:
        return str(client.session_user)
    if client._username is None and mechanism(client) in ("jwt", "certificate", "kerberos", "oauth2"):
        return None  # not the name on this machine: who logs in as alice may not act as root
    return cast("str | None", client.username)


def passphrase(client: Any) -> str | None:
    """The passphrase of the client certificate's key, where the password is that."""
    return client.password if mechanism(client) == "certificate" else None


def authentication(client: Any) -> Authentication | None:
    """What `TrinoRequest` takes for a login; None without one, and with a certificate: that is the courier's.

    Raises
    ------
    DuctConfigError
        The secret would be sent without TLS.
    DuctAuthenticationError
        There is none to log in with.
    DuctDriverMissing
        A package that it needs is not installed.
    """
    from trino.auth import BasicAuthentication, JWTAuthentication

    refuse_cleartext(client)
    way = mechanism(client)
    if way == "password":
        return BasicAuthentication(*_basic(client))
    if way == "jwt":
        return JWTAuthentication(_token(client))
    if way == "kerberos":
        return cast("Authentication", _Login(kerberos.negotiation(client)))
    if way == "oauth2":
        return cast("Authentication", _Login(oauth2.Bearer(client, user(client))))
    return None


class _Login:
    """What has the methods that `TrinoRequest` calls of a `trino.auth.Authentication`."""

    def __init__(self, auth: Any) -> None:
        self._auth = auth

    def set_http_session(self, http_session: Any) -> Any:
        http_session.auth = self._auth
        return http_session

    def get_exceptions(self) -> tuple[Any, ...]:
        return ()


def _basic(client: Any) -> tuple[Any, Any]:
    """Name and password as they are sent: in Latin-1, which is what servers read, where they can be."""
    name, secret = client.username, client.password
    if name is None or secret is None:
        missing = "username" if name is None else "password"
        raise DuctAuthenticationError(
            f"{client.name}: auth is password, and there is no {missing}: set {missing} (True asks for it)"
        )
    try:
        return name.encode("latin-1"), secret.encode("latin-1")
    except UnicodeEncodeError:  # which holds the password
        return name.encode(), secret.encode()


def _token(client: Any) -> str:
    token = client.password
    if not token:
        raise DuctAuthenticationError(
            f"{client.name}: auth is jwt, and there is no token: set password to it, or to where it comes "
            "from (env:, keyring:, command:)"
        )
    return str(token).strip()


# What a server says


def refused(client: Any, response: requests.Response) -> DuctError | None:
    """What to tell of a response that refuses the login; None for any other."""
    if response.status_code not in (401, 403):
        return None
    way = mechanism(client)
    if response.status_code == 403:
        sentence = f"the server does not let {_who(client) or 'this login'} do that"
    elif way == "none":
        sentence = _wants_login(client, response)
    else:
        sentence = f"the server refused the {_shown(client, way)}{_takes_instead(way, response)}"
    reason = _why(client, way) or _said(client, response)
    return DuctAuthenticationError(f"{client.name}: {sentence}{reason and f': {reason}'}")


def _shown(client: Any, way: str) -> str:
    if way == "certificate":
        return f"client certificate {client.client_certificate}"
    words = {"password": "password", "jwt": "token", "kerberos": "Kerberos ticket", "oauth2": "login"}
    who = _who(client)
    return f"{words[way]} of {who}" if who else words[way]


def _who(client: Any) -> str:
    """Who logs in; empty where only the login itself says so."""
    is_named = client._username is not None or mechanism(client) in ("none", "password")
    return repr(client.username) if is_named else ""


def _wants_login(client: Any, response: requests.Response) -> str:
    offers = _offers(response)
    takes = f" (it takes {', '.join(offers)})" if offers else ""
    advice = "set password (True asks for it)" if "password" in offers or not offers else "set auth"
    others = " or auth" if "password" in offers and len(offers) > 1 else ""
    tls = " and server_protocol: https" if client.server_protocol == "http" else ""
    return f"the server wants a login{takes}: {advice}{others}{tls}"


def _takes_instead(way: str, response: requests.Response) -> str:
    offers = _offers(response)
    return f"; it takes {', '.join(offers)}" if offers and way not in offers else ""


def _offers(response: requests.Response) -> list[str]:
    """The ways that a response offers to log in, as `auth` names them."""
    said = response.headers.get("WWW-Authenticate", "")
    return [way for mark, way in _OFFERS.items() if re.search(mark, said)]


def _why(client: Any, way: str) -> str:
    """Why a login may be refused, where that shows on this side."""
    if way == "jwt":
        return _expiry(client.password or "")
    return kerberos.fault(client) if way == "kerberos" else ""


def _expiry(token: str) -> str:
    """That a token has expired, if it has: that is written in it."""
    try:
        payload = token.split(".")[1]
        until = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        moment = datetime.datetime.fromtimestamp(float(until), datetime.timezone.utc)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return ""
    is_past = moment < datetime.datetime.now(datetime.timezone.utc)
    return f"it expired on {moment:%Y-%m-%d at %H:%M} UTC" if is_past else ""


def _said(client: Any, response: requests.Response) -> str:
    """What the server says, if it is a sentence: no page, and none of the duct's secrets."""
    if "text/plain" not in response.headers.get("Content-Type", ""):
        return ""
    text = " ".join(response.text.split())
    says_nothing = text.casefold().rstrip(".") in _SAYS_NOTHING or len(text) > _LONGEST
    return "" if says_nothing else failures.redact(client, text.removeprefix("Access Denied: "))
