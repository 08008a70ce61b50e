"""Certificates: what the server's is checked against, which the client shows, what is wrong with either."""

from __future__ import annotations

import os
import ssl
import warnings
from typing import Any, cast

from omniduct.core.endpoints import where
from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctConnectionError, DuctError

__all__ = ["client_context", "further", "silence", "tls_failure", "verification"]

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OTHER_NAME = ("Hostname mismatch", "IP address mismatch", "doesn't match")
_NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
_REFUSES_OURS = ("ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_HANDSHAKE_FAILURE")
_ALERT = "\\x15\\x03"  # how a record of TLS begins that says what is wrong, read as if it were HTTP


def verification(client: Any) -> bool | str | None:
    """What requests takes for `verify`: a file or folder, False, or None for its own default.

    Raises
    ------
    DuctConfigError
        There are no certificates there.
    """
    wanted, session = client.verify, client.requests_session
    if wanted is None and session is not None and session.verify is not True:
        wanted = session.verify  # per request: else the environment comes before it
    if wanted is True:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        return str(DEFAULT_CA_BUNDLE_PATH)
    if wanted is None or wanted is False:
        return cast("bool | None", wanted)
    path = os.path.expanduser(str(os.fspath(wanted)))
    if os.path.isdir(path):
        return path
    _readable(client, "verify", path)
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise DuctConfigError(
            f"{client.name}: verify is {path!r}, which holds no certificates in PEM"
        ) from None
    return path


def further(verify: bool | str | None) -> ssl.SSLContext | None:
    """What trusts those certificates beside the usual ones: for storages that a coordinator refers to."""
    if not isinstance(verify, str):
        return None
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    folder = os.path.isdir(verify)
    context.load_verify_locations(cafile=None if folder else verify, capath=verify if folder else None)
    return context


def silence(host: str) -> None:
    """Have no warning at each request to a host, where the person has said not to verify."""
    warnings.filterwarnings("ignore", message=f"Unverified HTTPS request is being made to host '{host}'")


def client_context(client: Any, passphrase: str | None) -> ssl.SSLContext | None:
    """What shows the client's certificate, where it has one.

    Raises
    ------
    DuctConfigError
        A file is missing, or holds no such thing.
    DuctAuthenticationError
        The passphrase does not open the key, or there is none.
    """
    if client.client_certificate is None:
        return None
    from urllib3.util.ssl_ import create_urllib3_context

    insecure = client.verify is False  # OpenSSL wants to know before urllib3 tells it
    context = create_urllib3_context(cert_reqs=ssl.CERT_NONE if insecure else ssl.CERT_REQUIRED)
    files = [_readable(client, "client_certificate", each) for each in _pair(client.client_certificate)]
    asked = False

    def tell() -> str:  # else OpenSSL asks on the terminal
        nonlocal asked
        asked = True
        return passphrase or ""

    try:
        context.load_cert_chain(files[0], files[1] if len(files) > 1 else None, password=tell)
        return context
    except ssl.SSLError as error:
        failure = _key_failure(client, " and ".join(files), asked, passphrase, error)
    raise failure


def _key_failure(
    client: Any, files: str, encrypted: bool, passphrase: str | None, error: ssl.SSLError
) -> DuctError:
    if not encrypted:
        return DuctConfigError(
            f"{client.name}: client_certificate {files} is not a certificate and the key that belongs to it, "
            f"in PEM{_reason(error)}"
        )
    if passphrase is None:
        return DuctAuthenticationError(
            f"{client.name}: the key in {files} is encrypted: with auth: certificate its passphrase is the "
            "password (True asks for it)"
        )
    return DuctAuthenticationError(f"{client.name}: the password is not the passphrase of the key in {files}")


def _pair(certificate: Any) -> list[Any]:
    return [certificate] if isinstance(certificate, (str, os.PathLike)) else list(certificate)


def _readable(client: Any, field: str, path: Any) -> str:
    file = os.path.expanduser(str(os.fspath(path)))
    try:
        with open(file, "rb"):
            return file
    except OSError as error:
        raise DuctConfigError(
            f"{client.name}: {field} cannot be {file!r}: {(error.strerror or str(error)).lower()}"
        ) from None


def _reason(error: ssl.SSLError) -> str:
    return f": {error.reason.replace('_', ' ').lower()}" if error.reason else ""


def tls_failure(client: Any, error: BaseException) -> DuctError | None:
    """What to tell of a failure to agree on TLS; None for any other failure."""
    said = str(error)
    if _ALERT in said and client.server_protocol == "http":
        return DuctConfigError(f"{client.name}: {where(client)} speaks TLS: set server_protocol: https")
    if "SSLError" not in said and "SSLCertVerificationError" not in said and "[SSL" not in said:
        return None
    if any(mark in said for mark in _NO_TLS_THERE):
        return DuctConfigError(
            f"{client.name}: {where(client)} does not speak TLS: set server_protocol: http, or another port"
        )
    return DuctConnectionError(f"{client.name}: {_sentence(client, said)}")


def _sentence(client: Any, said: str) -> str:
    server = f"the server at {where(client)}"
    if any(mark in said for mark in _OTHER_NAME):
        return (
            f"{server} shows a certificate that is not for the name {client._host!r}: "
            "use as host a name that it is for"
        )
    if "certificate has expired" in said:
        return f"{server} shows a certificate that has expired: who runs the server has to renew it"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        reason = _between(said, "certificate verify failed: ", " (_ssl")
        return (
            f"{server} shows a certificate of an authority that is not known here ({reason}): give the file "
            f"of that authority's certificate as verify: ca.pem; now it is {_trusted(client)}"
        )
    if any(mark in said.upper() for mark in _REFUSES_OURS):
        shown = "shown" if client.client_certificate else "none, give one as client_certificate"
        return f"{server} does not accept the client's certificate (there is {shown})"
    return f"could not agree on TLS with {server}: {_between(said, 'SSLError(', ')')}"


def _trusted(client: Any) -> str:
    """What the server's certificate was checked against, in words."""
    if isinstance(client.verify, (str, os.PathLike)):
        return f"verify: {client.verify}"
    for variable in _VARIABLES if client.verify is None else ():
        if os.environ.get(variable):
            return f"{os.environ[variable]}, as {variable} says"
    return "the usual public ones"


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0] or text
