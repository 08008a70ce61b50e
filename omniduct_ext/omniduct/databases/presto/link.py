"""A session with a coordinator: what this side knows of it, and the requests that its statements make."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from omniduct.databases.presto import errors
from omniduct.databases.presto.query import Query
from omniduct.databases.presto.refusals import READS, During
from omniduct.databases.session.explaining import Explanation
from omniduct.databases.statements import first_word
from omniduct.errors import DuctError, DuctStatementError

if TYPE_CHECKING:
    import requests
    from trino.auth import Authentication
    from trino.client import ClientSession, TrinoRequest, TrinoStatus

    from omniduct.databases.presto.transport import Courier

__all__ = ["NO_TRANSACTION", "PATH", "Endpoint", "Link", "Refusal"]

PATH = "X-Trino-Path"
"""The header that says where functions are looked for."""

NO_TRANSACTION = "NONE"
"""Instead of a transaction's id: that there is none, and that one may be begun."""

_BUSY = (429, 503)  # the statement was not taken
_BETWEEN = (502, 504)  # a gateway does not know whether it was
_ATTEMPTS = 8
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


class _Retrying:
    """How `TrinoRequest` waits before it asks for a page again: not beyond the statement's cancellation."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def retry(self, function: Any, args: Any, kwargs: Any, error: Exception | None, attempt: int) -> None:
        query = self._link.query
        unwanted = Event() if query is None else query.unwanted
        if self._link.is_closed or unwanted.wait(_pause(attempt)):
            raise DuctStatementError(f"{self._link.name}: the statement was cancelled")


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
        self.host = endpoint.host
        self.courier = courier
        self._auth = auth
        self._endpoint = endpoint
        self._refused = refused
        self.reader = self._request(_ATTEMPTS)
        self._sender = self._request(1)
        self._has_heads = True

    def _request(self, attempts: int) -> TrinoRequest:
        from trino.client import TrinoRequest

        at = self._endpoint
        return TrinoRequest(
            at.host,
            at.port,
            self.state,
            http_session=cast("requests.Session", self.courier),
            http_scheme=at.scheme,
            auth=self._auth,
            max_attempts=attempts,
            request_timeout=cast("tuple[float, float]", (at.connect_timeout, at.read_timeout)),
            handle_retry=_Retrying(self),
        )

    def sibling(self) -> Link:
        """Another session, which begins as this one is now."""
        state = copy.deepcopy(self.state)
        state.transaction_id = NO_TRANSACTION
        return Link(self.name, self.courier, self._auth, self._endpoint, state, self._refused)

    # The coordinator

    def info(self, timeout: float) -> Any:
        """What the coordinator says of itself to anybody.

        Raises
        ------
        Refusal
            It is no coordinator.
        """
        response = self._ask("/v1/info", timeout)
        try:
            said = response.json() if response.ok else None
        except ValueError:
            said = None
        if not isinstance(said, dict) or "nodeVersion" not in said:
            self._check(response, "connecting")
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
        headers = self._sender.http_headers
        response = self._ask(f"/v1/query/{_NO_QUERY}", timeout, headers=headers, renews=renews)
        if response.status_code in (401, 502, 503, 504):
            self._check(response, "connecting")

    def _ask(self, path: str, timeout: float, **given: Any) -> requests.Response:
        """Ask the coordinator about itself; an error says what is amiss, and not what it is wrapped in."""
        import requests

        try:
            return self.courier.get(self._sender.get_url(path), timeout=timeout, **given)
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
        return self._again(
            lambda: self._sender.post(query.sent, headers),
            query.unwanted,
            lambda response: response.status_code in (_BUSY + _BETWEEN if repeatable else _BUSY),
            lambda error: repeatable or _never_arrived(error),
        )

    def get(self, query: Query, uri: str) -> requests.Response:
        """Ask for a page; again, where the answer does not come."""
        return self._again(lambda: self._sender.get(uri), query.unwanted, _is_none, lambda error: True)

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
        self._check(response, "sending" if response.request.method == "POST" else "reading")
        try:
            status = self.reader.process(cast("requests.Response", _Answered(response, body)))
        except (LookupError, TypeError, ValueError):  # no JSON, or another's
            raise self._refusal(response, "sending") from None
        self._follow(response.headers)
        return status

    def _check(self, response: requests.Response, during: During) -> None:
        if not response.ok:
            raise self._refused(response) or self._refusal(response, during)

    def _refusal(self, response: requests.Response, during: During) -> Refusal:
        statement = "" if self.query is None or during == "connecting" else self.query.text
        at = f"{self._endpoint.scheme}://{self._endpoint.host}:{self._endpoint.port}"
        return Refusal(errors.of_http(response.status_code, response.text, statement, during, at))

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
        self._sender.delete(uri)

    def beat(self, query: Query) -> None:
        """Let the server know that a query's rows are still wanted."""
        uri, last = query.next_uri, query.last_uri
        if uri is None:
            return
        if self._has_heads:
            self._has_heads = self._sender.head(uri).status_code not in (404, 405)
        if not self._has_heads and last is not None:  # the page before is given again
            self._sender.get(last)
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


def _is_none(response: requests.Response) -> bool:
    """Whether it is no page: a busy server may send an empty one."""
    return response.status_code in _BUSY + _BETWEEN or (response.ok and not response.content)


def _other_words(error: Exception) -> str:
    """What somebody says who does not speak HTTP."""
    import http.client

    within = error.args[0] if error.args else error
    said = next((each for each in within.args if isinstance(each, http.client.BadStatusLine)), None)
    return "" if said is None or isinstance(said, http.client.RemoteDisconnected) else str(said).strip()


def _never_arrived(error: Exception) -> bool:
    """Whether a request has certainly not reached the coordinator."""
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)
