"""What carries the requests of the `trino` package to a coordinator, and the answers back."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from omniduct.databases.presto import authentication, tls
from omniduct.databases.presto.adapters import adapter
from omniduct.errors import DuctConnectionError

if TYPE_CHECKING:
    import requests

__all__ = ["Courier", "Origin"]

_CAPABILITIES = "X-Trino-Client-Capabilities"
_CHUNK = 1 << 20  # bytes; requests itself joins pages from pieces of 10 kB, at 2 ms a page
_PORTS = {"http": 80, "https": 443}
_STATEMENTS = "/v1/statement/"
_HOPS = 5  # redirects that lead to a segment, at most


class Origin(NamedTuple):
    """Where a coordinator is; the host in lower case."""

    scheme: str
    host: str
    port: int

    @staticmethod
    def of(url: str) -> Origin:
        """That of a URL."""
        parts = urlsplit(url)
        return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))

    @property
    def url(self) -> str:
        """It as a URL, without a slash at the end."""
        return self.prefixes[0].rstrip("/")

    @property
    def prefixes(self) -> list[str]:
        """How its URLs begin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        short = [f"{self.scheme}://{host}/"] if self.port == _PORTS.get(self.scheme) else []
        return [f"{self.scheme}://{host}:{self.port}/", *short]

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Compression:
    """Whether to ask for compressed bodies; found out where nobody says.

    Compressing takes a server about 50 ms a MB, so it pays where the link is slower than that. How fast a
    body comes says little by itself, as the server makes it while it sends it, and slowly at first: so it
    is the fastest of some that counts, and only where answers take the time of a long way.

    Parameters
    ----------
    wanted : bool, optional
        None finds it out.
    """

    SLOW = 12e6  # bytes a second, at which compressing pays
    LARGE = 1 << 16  # bytes, from which a body says how fast the link is
    BODIES = 4
    FAR = 0.005  # seconds that the quickest answer takes

    def __init__(self, wanted: bool | None) -> None:
        self.on = bool(wanted)
        self._is_open = wanted is None
        self._lock = threading.Lock()
        self._quickest = float("inf")
        self._fastest = 0.0
        self._bodies = 0

    def note(self, waited: float, size: int, seconds: float) -> None:
        """Take in one answer: how long it was waited for, and how fast its body then came."""
        if not self._is_open:
            return
        with self._lock:
            self._quickest = min(self._quickest, waited)
            if size >= self.LARGE:
                self._bodies += 1
                self._fastest = max(self._fastest, size / max(seconds, 1e-9))
            if self._bodies >= self.BODIES:
                self._is_open = False
                self.on = self._fastest < self.SLOW and self._quickest >= self.FAR


class _Headers:
    """Those of the latest `TrinoRequest`, for requests without; replaced whole, as threads read them."""

    def __init__(self) -> None:
        self.now: Mapping[str, Any] = {}

    def update(self, headers: Mapping[str, Any]) -> None:
        """Take these instead."""
        self.now = dict(headers)


class Courier:
    """What `trino.client.TrinoRequest` takes for its HTTP session; for any number of them, in any thread.

    Logins, client certificates and statements' headers go to the coordinator only, not to a storage that
    it refers to.

    Parameters
    ----------
    client : PrestoClient
        Whose `server_protocol`, host and port, `verify`, `client_certificate`, `compression` and
        `requests_session` say the rest. Reading its port may start a forward: connections then go to the
        near end, and all else stays as it is for the far one.

    Raises
    ------
    DuctConfigError
        A file of certificates is missing, or is none.
    DuctAuthenticationError
        The passphrase does not open the key of the client certificate.

    Attributes
    ----------
    dialect : {"Trino", "Presto"}
        How the server spells its headers; on this side they are always Trino's.
    auth : callable, optional
        Puts the login into a request. Where it has a method `renew`, that is asked to get another when the
        server refuses it.
    headers
        Those of the latest `TrinoRequest`.
    verify : bool or str, optional
        As in requests; never True, as the environment comes before that.
    """

    dialect: Literal["Trino", "Presto"] = "Trino"

    def __init__(self, client: Any) -> None:
        self.auth: Any = None
        self.headers = _Headers()
        self._name: str = client.name
        self._home = Origin(client.server_protocol, str(client._host).lower(), int(client._port))
        near = "" if client._remote is None else f"{client.host}:{client.port}"
        self.verify = tls.verification(client)
        context = (
            tls.client_context(client, authentication.passphrase(client))
            if self._home.scheme == "https"
            else None
        )
        is_near = not near and self._home.is_loopback
        self._compression = Compression(
            False if client.compression is None and is_near else client.compression
        )
        self._is_own = client.requests_session is None
        self._session = client.requests_session or _new_session(self.verify)
        self._mounted = self._mount(near, context)
        if self.verify is False:
            tls.silence(near.partition(":")[0] or self._home.host)

    def __repr__(self) -> str:
        return f"<Courier to {self._home.prefixes[0]}>"

    @property
    def compressing(self) -> bool:
        """Whether it asks for compressed bodies now."""
        return self._compression.on

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a GET; as the following, like `requests.Session`'s."""
        return self.request("GET", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a POST."""
        return self.request("POST", url, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a DELETE."""
        return self.request("DELETE", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> requests.Response:
        """Send a HEAD."""
        return self.request("HEAD", url, **kwargs)

    def request(self, method: str, url: str, renews: bool = True, **kwargs: Any) -> requests.Response:
        """Send a request, with the login where it is for the coordinator; once more with a renewed one.

        Where the answer is to go elsewhere, that is what is returned: what is for the coordinator follows
        nowhere.

        Parameters
        ----------
        renews : bool
            Whether the person may be asked to log in again.
        **kwargs
            Those of `requests.Session.request`; the body is always read.
        """
        login = self.auth if self._may_know(url) else None
        return self._request(method, url, login, renews, **kwargs)

    def fetch(
        self, url: str, headers: Mapping[str, str], own: Mapping[str, str], renews: bool = True, **kwargs: Any
    ) -> requests.Response:
        """Fetch a segment from the coordinator, or from wherever it says.

        Parameters
        ----------
        headers : Mapping
            Those that the server says; they are for the host of the URL.
        own : Mapping
            Those for the coordinator, which sees the login, too.
        """
        for _ in range(_HOPS):
            at_home = Origin.of(url) == self._home
            sent = {**own, **headers} if at_home else headers
            login = self.auth if at_home else None
            response = self._request("GET", url, login, renews, headers=sent, **kwargs)
            if not response.is_redirect:
                break
            there = urljoin(url, response.headers["Location"])
            headers = headers if Origin.of(there) == Origin.of(url) else {}
            url = there
        return response

    def _request(self, method: str, url: str, login: Any, renews: bool, **kwargs: Any) -> requests.Response:
        kwargs["allow_redirects"] = False
        response = self._send(method, url, login, **kwargs)
        renew: Callable[..., bool] | None = getattr(login, "renew", None)
        if renews and response.status_code == 401 and renew is not None and renew(self, response):
            response = self._send(method, url, login, **kwargs)
        return response

    def ask_openly(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Send a request that says nothing of who asks."""
        return self._send(method, url, None, headers={}, **kwargs)

    def close(self) -> None:
        """Close the connections; a session of the user's stays open."""
        for prefix, mounted in self._mounted.items():
            if self._session.adapters.get(prefix) is mounted:
                del self._session.adapters[prefix]
            mounted.close()
        if self._is_own:
            self._session.close()

    def _mount(self, near: str, context: Any) -> dict[str, Any]:
        """Put our adapter before the coordinator's URLs, unless the user has one of their own there."""
        from requests.adapters import HTTPAdapter

        prefixes = self._home.prefixes
        theirs = type(self._session.get_adapter(prefixes[0])) is not HTTPAdapter
        if theirs and not self._is_own and not near and context is None:
            return {}
        host = self._home.host if self._home.scheme == "https" else ""
        ours = adapter(context, near, host)
        for prefix in prefixes:
            self._session.mount(prefix, ours)
        return dict.fromkeys(prefixes, ours)

    def _may_know(self, url: str) -> bool:
        """Whether the login may be sent there: to the coordinator, and where it lets a statement go on."""
        there = Origin.of(url)
        if there == self._home:
            return True
        if not urlsplit(url).path.startswith(_STATEMENTS):
            return False
        if self.auth is not None:
            self.refuse_downgrade(url)
        return True

    def refuse_downgrade(self, url: str) -> None:
        """Complain where the server sends us from TLS to where there is none.

        Raises
        ------
        DuctConnectionError
            It does.
        """
        there = Origin.of(url)
        if (self._home.scheme, there.scheme) == ("https", "http"):
            raise DuctConnectionError(
                f"{self._name}: the server says to go on at http://{there.host}:{there.port}, without TLS, "
                "where no login is sent. A proxy in front of it ends TLS: it has to send X-Forwarded-Proto, "
                "and the server needs http-server.process-forwarded=true"
            )

    def _send(
        self, method: str, url: str, login: Any, headers: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> requests.Response:
        at_home = Origin.of(url) == self._home
        response = self._session.request(
            method,
            url,
            headers=self._outgoing(self.headers.now if headers is None else headers),
            auth=login or (_no_login if self._is_own or not at_home else None),
            verify=self.verify if at_home or self.verify is False else None,
            stream=True,  # read below, in larger pieces
            **kwargs,
        )
        try:
            size, seconds = _read(response)
        except BaseException:
            response.close()  # half read, it is of no use to the next request
            raise
        if at_home:
            self._compression.note(response.elapsed.total_seconds(), size, seconds)
        if self.dialect == "Presto":
            _respell(response)
        return response

    def _outgoing(self, headers: Mapping[str, Any]) -> dict[str, str]:
        given = {key: value for key, value in headers.items() if value is not None}
        if can := given.get(_CAPABILITIES):
            given[_CAPABILITIES] = f"{can},PATH"  # ours, which the driver has not: SET PATH
        if self.dialect == "Presto":
            given = {_spelled(key, "X-Trino-", "X-Presto-"): value for key, value in given.items()}
        return {"Accept-Encoding": "gzip" if self.compressing else "identity", **given}


def _new_session(verify: bool | str | None) -> requests.Session:
    """A session of our own; the authority that `verify` names is known to storages, too."""
    import requests

    session = requests.Session()
    session.mount("https://", adapter(tls.further(verify)))
    session.mount("http://", adapter())
    return session


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without this requests would look for one in ~/.netrc."""
    return request


def _read(response: requests.Response) -> tuple[int, float]:
    """Read the body, whence `content` gives it; its size and how long that took."""
    began = time.perf_counter()
    body = b"".join(response.iter_content(_CHUNK))
    response._content = body
    return len(body), time.perf_counter() - began


def _respell(response: requests.Response) -> None:
    headers = response.headers
    response.headers = type(headers)(
        {_spelled(key, "X-Presto-", "X-Trino-"): value for key, value in headers.items()}
    )


def _spelled(header: str, former: str, now: str) -> str:
    is_one = header[: len(former)].lower() == former.lower()
    return now + header[len(former) :] if is_one else header
