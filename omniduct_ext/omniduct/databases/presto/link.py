"""A session with a coordinator: what this side knows of it, and the requests that its statements make."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote, urljoin, urlsplit

from omniduct.databases.presto import errors
from omniduct.databases.presto.ahead import while_wanted
from omniduct.databases.presto.query import Query
from omniduct.databases.presto.refusals import READS, During, never_arrived
from omniduct.databases.presto.transport import Origin
from omniduct.databases.session.explaining import Explanation
from omniduct.databases.statements import first_word
from omniduct.errors import DuctConfigError, DuctError, DuctStatementError

if TYPE_CHECKING:
    import requests
    from trino.auth import Authentication
    from trino.client import ClientSession, TrinoRequest, TrinoStatus

    from omniduct.databases.presto.transport import Courier

__all__ = ["NOT_OVERRIDDEN", "NO_TRANSACTION", "PATH", "Endpoint", "Link", "Refusal"]

logger = logging.getLogger("omniduct")

PATH = "X-Trino-Path"
"""The header that says where functions are looked for."""

NO_TRANSACTION = "NONE"
"""Instead of a transaction's id: that there is none, and that one may be begun."""

NOT_OVERRIDDEN: Any = object()
"""Instead of the value of a session property for one call: that there is none."""

_SESSION = "X-Trino-Session"
_AWAY = (429, 502, 503, 504)
_ATTEMPTS = 8
_BESIDE = 10.0  # seconds that requests may take which nobody waits for
_LONGEST_PAUSE = 10.0  # seconds
_NO_QUERY = "20000101_000000_00000_aaaaa"


class Endpoint(NamedTuple):
    """Where a coordinator is, as it knows itself."""

    scheme: str
    host: str
    port: int
    connect_timeout: float
    """Seconds."""
    read_timeout: float | None


class Refusal(Exception):
    """The coordinator answered something else than the protocol's."""

    def __init__(self, explanation: Explanation) -> None:
        super().__init__(explanation.said)
        self.explanation = explanation


class _Answered:
    """What `TrinoRequest.process` takes: a response of which the body holds no rows."""

    ok = True
    encoding = ""

    def __init__(self, response: requests.Response, body: bytes) -> None:
        self.status_code = response.status_code
        self.headers = response.headers
        self.text = str(body, "utf-8")


def _pause(attempt: int) -> float:
    """Seconds before the next attempt; eight attempts take about seven."""
    return float(min(0.1 * 2 ** (attempt - 1), 2.0))


def _asked_for(response: requests.Response) -> float:
    """Seconds after which a server wants to be asked again; not more than a person may well wait."""
    told = response.headers.get("Retry-After", "")
    return min(float(told), _LONGEST_PAUSE) if told.isdigit() else 0.0


class Link:
    """A session, on which one statement runs at a time.

    Parameters
    ----------
    name : str
        Of the duct.
    courier : Courier
        What carries the requests; siblings share it.
    auth : trino.auth.Authentication, optional
        The login.
    endpoint : Endpoint
        Where to.
    state : trino.client.ClientSession
        Catalog, schema, session properties: the server keeps none of them.
    refused : callable
        Gives the error for a response that refuses the login; None for any other.

    Attributes
    ----------
    overrides : dict
        Session properties of the call under way; None stands for one's default. Siblings begin without them.
    """

    is_closed = False
    query: Query | None = None

    def __init__(
        self,
        name: str,
        courier: Courier,
        auth: Authentication | None,
        endpoint: Endpoint,
        state: ClientSession,
        refused: Callable[[requests.Response], DuctError | None],
    ) -> None:
        self.name = name
        self.state = state
        self.overrides: Mapping[str, str | None] = {}
        self.courier = courier
        self._auth = auth
        self._endpoint = endpoint
        self._refused = refused
        self._lock = threading.Lock()  # while the state is changed, or read in another thread
        self._request = self._new_request()
        self._has_heads = True

    def _new_request(self) -> TrinoRequest:
        from trino.client import TrinoRequest

        at = self._endpoint
        return TrinoRequest(
            at.host,
            at.port,
            self.state,
            http_session=cast("requests.Session", self.courier),
            http_scheme=at.scheme,
            auth=self._auth,
            max_attempts=1,
            request_timeout=cast("tuple[float, float]", (at.connect_timeout, at.read_timeout)),
        )

    def sibling(self) -> Link:
        """Another session, which begins as this one is now."""
        with self._lock:
            state = copy.deepcopy(self.state)
        state.transaction_id = NO_TRANSACTION
        return Link(self.name, self.courier, self._auth, self._endpoint, state, self._refused)

    def override(self, name: str, value: Any) -> None:
        """Set a session property for the call under way; `NOT_OVERRIDDEN` ends that."""
        others = {each: given for each, given in self.overrides.items() if each != name}
        self.overrides = others if value is NOT_OVERRIDDEN else {**others, name: value}

    def _headers(self) -> dict[str, Any]:
        with self._lock:
            return dict(self._request.http_headers)

    # The coordinator

    def info(self, timeout: float, renews: bool = True) -> Any:
        """What the coordinator says of itself to anybody.

        Parameters
        ----------
        timeout : float
            Seconds that the answer may take.
        renews : bool
            Whether the person may be asked to log in.

        Raises
        ------
        Refusal
            It is no coordinator.
        """
        response = self._ask("/v1/info", timeout, renews=renews)
        self._check(response, "connecting")
        try:
            said = response.json()
        except ValueError:
            said = None
        if not isinstance(said, dict) or "nodeVersion" not in said:
            raise self._refusal(response, "connecting")
        return said

    def check_login(self, timeout: float, renews: bool) -> None:
        """Ask for something that only who is logged in may ask for: a query that there is none of.

        Parameters
        ----------
        timeout : float
            Seconds that the answer may take.
        renews : bool
            Whether the person may be asked to log in.

        Raises
        ------
        DuctAuthenticationError
            The login is refused.
        """
        response = self._ask(f"/v1/query/{_NO_QUERY}", timeout, headers=self._headers(), renews=renews)
        if response.status_code in (401, 502, 503, 504) or response.is_redirect:
            self._check(response, "connecting")

    def _ask(self, path: str, timeout: float, **given: Any) -> requests.Response:
        """Ask the coordinator about itself; an error says what is amiss, and not what it is wrapped in."""
        import requests

        try:
            return self.courier.get(self._request.get_url(path), timeout=timeout, **given)
        except requests.ReadTimeout:
            raise TimeoutError(f"no answer within {timeout:g} s") from None
        except requests.ConnectionError as error:
            said = _other_words(error)
            if not said:
                raise
            failure = ConnectionError(f"what listens there does not speak HTTP, it says {said!r}")
        raise failure

    # Statements

    def run(self, text: str, sent: str | None = None, headers: dict[str, str] | None = None) -> Query:
        """Run one statement, until its columns are known or it has ended.

        Parameters
        ----------
        text : str
            The statement, as the person knows it.
        sent : str, optional
            As it is sent, where that is another.
        headers : dict of str, optional
            Further headers of the request that sends it.
        """
        if self.query is not None:
            self.query.close()
        query = self.query = Query(self, text, sent or text, headers)
        try:
            query.begin()
        except BaseException:
            query.close()
            raise
        return query

    def command(self, statement: str) -> None:
        """Run a statement to its end, whatever it gives."""
        for _ in self.run(statement).rows():
            pass

    def send(self, query: Query, headers: dict[str, str] | None) -> requests.Response:
        """Send a statement; once, unless it changes nothing, or has certainly not been taken."""
        repeatable = first_word(query.text) in READS
        given = {**self._overridden(), **(headers or {})}
        return self._again(
            lambda: self._request.post(query.sent, given),
            query.unwanted,
            lambda response: _is_untaken(response) or (repeatable and response.status_code in _AWAY),
            lambda error: repeatable or never_arrived(error),
        )

    def _overridden(self) -> dict[str, str]:
        """The header of the session properties, where those of the call differ from the session's."""
        if not self.overrides:
            return {}
        values = {**self.state.properties, **self.overrides}
        given = {name: value for name, value in values.items() if value is not None}
        return {_SESSION: ",".join(f"{name}={quote(str(value))}" for name, value in given.items())}

    def get(self, query: Query, uri: str) -> requests.Response:
        """Ask for a page; again, where the answer does not come."""
        return self._again(lambda: self._request.get(uri), query.unwanted, _is_none, lambda error: True)

    def fetch(self, query: Query, uri: str, headers: Mapping[str, str]) -> requests.Response:
        """Fetch a segment; again, where it is refused for a while, or the connection breaks."""
        timeout = self._endpoint.connect_timeout, self._endpoint.read_timeout
        own = dict(self.state.headers)
        return self._again(
            lambda: while_wanted(lambda: self.courier.fetch(uri, headers, own, timeout=timeout), query.check),
            query.unwanted,
            lambda response: response.status_code in (500, *_AWAY),  # storages say 500 for a while, too
            lambda error: not _is_timeout(error),  # the person has said how long
        )

    def acknowledge(self, uri: str, headers: Mapping[str, str]) -> None:
        """Let the server know that a segment was fetched; nobody waits for that, and it need not succeed."""
        thread = threading.Thread(
            target=self._acknowledge, args=(uri, headers), name="omniduct lets segments go", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # Python is too near its end
            thread.start()

    def _acknowledge(self, uri: str, headers: Mapping[str, str]) -> None:
        try:
            own = dict(self.state.headers)
            response = self.courier.fetch(uri, headers, own, timeout=_BESIDE / 4, renews=False)
            said = "" if response.ok else str(response.status_code)
        except Exception as error:  # no more of it: the URL is a secret
            said = type(error).__name__
        if said:
            logger.debug("%s: letting a segment go: %s", self.name, said)

    def _again(
        self,
        ask: Callable[[], requests.Response],
        unwanted: Event,
        may_pass: Callable[[requests.Response], bool],
        may_repeat: Callable[[Exception], bool],
    ) -> requests.Response:
        """An answer; asked for again while what comes instead may pass, as long as somebody wants it.

        The driver does so, too, but where it is told when to ask again, no interrupt would end its wait.
        """
        import requests

        lost = requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError
        for attempt in range(1, _ATTEMPTS + 1):
            pause = _pause(attempt)
            try:
                response = ask()
                if not may_pass(response) or attempt == _ATTEMPTS:
                    return response
                pause = max(pause, _asked_for(response))
            except lost as error:
                if not may_repeat(error) or attempt == _ATTEMPTS:
                    raise
            if self.is_closed or unwanted.wait(pause):
                break
        raise DuctStatementError(f"{self.name}: the statement was cancelled")

    def process(self, response: requests.Response, body: bytes) -> TrinoStatus:
        """What a response says; the session's state follows it.

        Raises
        ------
        trino.exceptions.TrinoQueryError
            The statement failed.
        Refusal
            It is no response of the protocol.
        DuctAuthenticationError
            The login is refused.
        """
        self._check(response, _during(response))
        try:
            with self._lock:
                status = self._request.process(cast("requests.Response", _Answered(response, body)))
                self._follow(response.headers)
        except (LookupError, TypeError, ValueError):  # no JSON, or another's
            raise self._refusal(response, "sending") from None
        return status

    def _check(self, response: requests.Response, during: During) -> None:
        if response.is_redirect:
            raise self._moved(response, during)
        if not response.ok:
            raise self._refused(response) or self._refusal(response, during)

    def _refusal(self, response: requests.Response, during: During, said: str | None = None) -> Refusal:
        statement = "" if self.query is None or during == "connecting" else self.query.text
        at = f"{self._endpoint.scheme}://{self._endpoint.host}:{self._endpoint.port}"
        body = response.text if said is None else said
        return Refusal(errors.of_http(response.status_code, body, statement, during, at))

    def _moved(self, response: requests.Response, during: During) -> Exception:
        """What to tell where the server sends us on: logins and statements do not follow by themselves."""
        asked, there = response.url, urljoin(response.url, response.headers["Location"])
        origin, at = Origin.of(there), self._endpoint
        now = {"server_protocol": at.scheme, "host": at.host.lower(), "port": at.port}
        new = dict(zip(now, origin, strict=True))
        changes = ", ".join(f"{name}: {value}" for name, value in new.items() if value != now[name])
        if not changes or urlsplit(asked).path != urlsplit(there).path:  # a page for logins, say
            return self._refusal(response, during, f"go to {origin.url}")
        return DuctConfigError(f"{self.name}: the server says to go to {origin.url}: set {changes}")

    def _follow(self, headers: Any) -> None:
        """Note what the driver's own session does not: transactions, and the path of functions."""
        state = self.state
        if "X-Trino-Started-Transaction-Id" in headers:
            state.transaction_id = headers["X-Trino-Started-Transaction-Id"]
        if "X-Trino-Clear-Transaction-Id" in headers:
            state.transaction_id = NO_TRANSACTION
        if "X-Trino-Set-Path" in headers:
            state.headers[PATH] = headers["X-Trino-Set-Path"]

    # From any thread

    def delete(self, uri: str) -> None:
        """Cancel what has this URI."""
        self._beside("DELETE", uri)

    def _beside(self, method: str, uri: str) -> requests.Response:
        """Ask for something that nobody waits for: for that nobody is to log in, either."""
        return self.courier.request(method, uri, headers=self._headers(), timeout=_BESIDE, renews=False)

    def beat(self, query: Query) -> None:
        """Let the server know that a query's rows are still wanted."""
        uri, last = query.next_uri, query.last_uri
        if uri is None:
            return
        response = None
        if self._has_heads:
            response = self._beside("HEAD", uri)
            self._has_heads = response.status_code not in (404, 405)
        if not self._has_heads and last is not None:  # the page before is given again
            response = self._beside("GET", last)
        if response is None or response.ok:
            query.contact = time.monotonic()

    def cancel(self) -> None:
        """Cancel what runs."""
        query = self.query
        if query is not None:
            query.cancel()

    def close(self) -> None:
        """End what runs; the connections are the courier's."""
        self.is_closed = True
        if self.query is not None:
            self.query.close()


def _during(response: requests.Response) -> During:
    if response.request.method != "POST":
        return "reading"
    return "untaken" if _is_untaken(response) else "sending"


def _is_untaken(response: requests.Response) -> bool:
    """Whether a statement has certainly not been taken.

    503 alone does not say so: gateways answer that as well where the server broke off after taking it.
    """
    return response.status_code == 429 or (response.status_code == 503 and "Retry-After" in response.headers)


def _is_none(response: requests.Response) -> bool:
    """Whether it is no page: a busy server may send an empty one."""
    return response.status_code in _AWAY or (response.ok and not response.content)


def _is_timeout(error: Exception) -> bool:
    import requests

    return isinstance(error, requests.Timeout)


def _other_words(error: Exception) -> str:
    """What somebody says who does not speak HTTP."""
    import http.client

    within = error.args[0] if error.args else error
    said = next((each for each in within.args if isinstance(each, http.client.BadStatusLine)), None)
    return "" if said is None or isinstance(said, http.client.RemoteDisconnected) else str(said).strip()
