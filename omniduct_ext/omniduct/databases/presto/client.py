"""Presto and Trino: statements over HTTP, results as Arrow, columns at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from omniduct.core import failures
from omniduct.databases.arrow.cursors import ArrowCursor
from omniduct.databases.base import DatabaseClient
from omniduct.databases.presto import authentication, errors, headers, names
from omniduct.databases.presto.binding import bound
from omniduct.databases.presto.link import NO_TRANSACTION, NOT_OVERRIDDEN, Endpoint, Link, Refusal
from omniduct.databases.presto.results import Answer
from omniduct.databases.presto.state import State, header_value
from omniduct.databases.presto.tables import PrestoTables
from omniduct.databases.presto.transport import Courier
from omniduct.databases.results import Source
from omniduct.databases.session.explaining import Explanation
from omniduct.databases.session.progress import Progress
from omniduct.errors import DuctDriverMissing, DuctError, DuctStatementError

if TYPE_CHECKING:
    import requests

__all__ = ["PrestoClient", "TrinoClient"]

_RENAMED_FROM = 351  # the version of PrestoSQL that is called Trino
_NEWEST = 1_000_000  # for the version of a Trino that does not say it in digits


class PrestoClient(PrestoTables, DatabaseClient):
    """A Presto or Trino cluster, by its coordinator. Which of the two it is shows when it is connected.

    Parameters
    ----------
    catalog, schema : str, optional
        Where names without them are looked for.
    server_protocol : {"http", "https"}
        How the coordinator is reached.
    source : str, optional
        What to say that the statements come from.
    requests_session : requests.Session, optional
        A session to make requests with, for what it is set up to do.
    auth : str, optional
        How to log in: none, password, jwt (`password` is the token), certificate, kerberos or oauth2. By
        default with the password, if there is one.
    auth_options : dict, optional
        What the way to log in takes besides; see `omniduct.databases.presto.authentication`.
    client_certificate : str or pair of str, optional
        A file with a certificate and its key, or two; `password` is the passphrase of the key.
    allow_cleartext_password : bool
        Whether a password may be sent without TLS.
    verify : bool or str, optional
        Whether to check the server's certificate, or the file of the authorities that may have signed it.
    session_user : str, optional
        The user that statements run as, if it is not the one who logs in.
    roles : str or dict, optional
        A role, or catalog -> role.
    client_tags : list of str, optional
        For the server's resource groups.
    extra_credentials : dict, optional
        For connectors; like `http_headers` shown nowhere, and left out of pickles.
    time_zone : str, optional
        Of the session; by default that of this machine.
    resource_estimates : dict, optional
        ``EXECUTION_TIME``, ``CPU_TIME``, ``PEAK_MEMORY`` of a statement, as ``{"CPU_TIME": "5h"}``.
    http_headers : dict, optional
        Further headers of all requests.
    compression : bool, optional
        Whether to have results compressed; by default where the link turns out to be slow.
    spooling : bool, optional
        Whether to fetch large results from the server's storage, where it has one; by default unless the
        service is behind a remote, through which that storage may be out of reach.
    **kwargs
        The arguments of `DatabaseClient` and `Duct`.

    Notes
    -----
    What is set in a session (USE, SET SESSION, PREPARE, roles) is kept here and not by the server: it
    outlives the connection, and `reset` forgets it. Streams, and what runs in the background, begin with it
    as it is then; they are outside of a transaction.
    """

    PROTOCOLS = ["presto"]
    DIALECT = "trino"
    PLACEHOLDER = "?"
    DEFAULT_PORT = 3506
    NAMESPACE_NAMES = ["catalog", "schema", "table"]
    SUPPORTS_SESSION_PROPERTIES = True
    SESSION_OUTLIVES_CONNECTION = True

    def _init(
        self,
        catalog: str | None = None,
        schema: str | None = "default",
        server_protocol: str = "http",
        source: str | None = None,
        requests_session: requests.Session | None = None,
        auth: str | None = None,
        auth_options: Mapping[str, Any] | None = None,
        client_certificate: str | tuple[str, str] | list[str] | None = None,
        allow_cleartext_password: bool = False,
        verify: bool | str | None = None,
        session_user: str | None = None,
        roles: str | dict[str, str] | None = None,
        client_tags: list[str] | None = None,
        extra_credentials: dict[str, str] | None = None,
        time_zone: str | None = None,
        resource_estimates: dict[str, str] | None = None,
        http_headers: dict[str, str] | None = None,
        compression: bool | None = None,
        spooling: bool | None = None,
    ) -> None:
        self.catalog, self.schema = catalog, schema
        self.server_protocol = server_protocol
        self.source = source
        self.requests_session = requests_session
        self.auth, self.auth_options = auth, dict(auth_options or {})
        self.client_certificate = client_certificate
        self.allow_cleartext_password = allow_cleartext_password
        self.verify = verify
        self.session_user = session_user
        self.roles = roles
        self.client_tags = list(client_tags or [])
        self.extra_credentials = headers.hidden(extra_credentials)
        self.time_zone = time_zone
        self.resource_estimates = dict(resource_estimates or {})
        self.http_headers = headers.hidden(http_headers)
        own = {"extra_credentials": self.extra_credentials, "http_headers": self.http_headers}
        self._arguments |= {name: values for name, values in own.items() if name in self._arguments}
        self.compression, self.spooling = compression, spooling
        authentication.check(self)
        headers.check(self)
        if authentication.must_ask(self):
            self._password = True
        self._link: Link | None = None
        self._state = State()
        self._version = 0
        self.connection_fields = (
            *self.connection_fields,
            *("catalog", "schema", "server_protocol", "source", "requests_session", "auth", "auth_options"),
            *("client_certificate", "allow_cleartext_password", "verify", "session_user", "roles"),
            *("client_tags", "extra_credentials", "time_zone", "resource_estimates", "http_headers"),
            *("compression", "spooling"),
        )

    # Secrets

    def _secrets_besides(self) -> Iterable[str]:
        return headers.secrets(self)

    def __reduce_ex__(self, version: Any) -> tuple[Any, ...]:
        make, (cls, arguments) = super().__reduce_ex__(version)
        return make, (cls, headers.without_values(arguments))

    # Life-cycle

    def _connect(self) -> None:
        try:
            import trino  # noqa: F401
        except ImportError as error:
            raise DuctDriverMissing(
                f"{self.name}: {self.protocol or 'presto'} needs the package trino: "
                "pip install 'omniduct-ext[trino]'"
            ) from error
        courier = Courier(self)
        try:
            self._link = self._linked(courier)
        except BaseException:
            courier.close()
            raise

    def _linked(self, courier: Courier) -> Link:
        auth = authentication.authentication(self)
        state = self._state.session(self)
        link = Link(self.name, courier, auth, self._endpoint(), state, self._refused)
        try:
            self._version, courier.dialect = _flavour(link.info(self.CONNECT_TIMEOUT), self.protocol)
            link.check_login(self.CONNECT_TIMEOUT, renews=True)
            return link
        except Exception as error:
            failure = self._connect_failure(error)
        raise failure

    def _endpoint(self) -> Endpoint:
        """The coordinator by its own name, also where it is reached by a forward."""
        host, port = (self._host, self._port) if self._remote is not None else (self.host, self.port)
        timeouts = self.CONNECT_TIMEOUT, self.answer_timeout
        return Endpoint(self.server_protocol, str(host), int(cast(int, port)), *timeouts)

    def _refused(self, response: requests.Response) -> DuctError | None:
        return authentication.refused(self, response)

    def _connect_failure(self, error: Exception) -> DuctError:
        if isinstance(error, DuctError):
            return error
        failure = authentication.tls_failure(self, error)
        if failure is None and isinstance(error, Refusal):
            failure = error.explanation.kind(f"{self.name}: {error.explanation.said}")
        if failure is None:
            return failures.of_connecting(self, error)
        failure.__cause__ = failures.cause(self, error)
        return failure

    def _is_connected(self) -> bool:
        link = self._link
        if link is None:
            return False
        link.check_login(self.CHECK_TIMEOUT, renews=False)
        return True

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._state.keep(link.state)
            link.close()
            link.courier.close()

    def reset(self) -> PrestoClient:
        """Disconnect, forget prompted logins and what was set in the session, and undo `prepare`."""
        try:
            return super().reset()
        finally:
            self._state.forget()

    def _replace_connection(self) -> None:
        link = self._on(None)
        self._link = link.sibling()
        link.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._link = None

    def _is_answering(self, timeout: float) -> bool:
        self._on(None).info(timeout, renews=False)
        return True

    # Statements

    def _execute(  # type: ignore[override]
        self,
        statement: str,
        cursor: Link | None,
        wait: bool,
        session_properties: dict[str, Any],
        parameters: list[Any] | None = None,
    ) -> Answer:
        try:
            text, headers = bound(statement, parameters or [], self._version)
        except DuctStatementError as error:
            raise DuctStatementError(f"{self.name}: {error}") from None
        return Answer(self._on(cursor).run(statement, text, headers))

    def _on(self, cursor: Link | None) -> Link:
        link = cursor or self._link
        assert link is not None
        return link

    def _cursor_empty(self, cursor: Answer) -> bool:
        return cursor.is_empty

    def _source(self, cursor: Answer) -> Source:
        return cursor.source()

    def _whole(self, cursor: Answer) -> Source:
        return cursor.table()

    def _hand_out(self, cursor: Answer) -> ArrowCursor:
        return ArrowCursor(None if cursor.is_empty else cursor.table(), cursor.rowcount)

    def _exhaust(self, cursor: Answer) -> None:
        cursor.exhaust()

    def _cancel(self, cursor: Link | None) -> None:
        link = cursor or self._link
        if link is not None:
            link.cancel()

    def _session_handle(self) -> Link | None:
        return self._link

    def _sibling_cursor(self) -> Link:
        return self._on(None).sibling()

    def _progress(self, cursor: Link | None) -> Progress | None:
        query = self._on(cursor).query
        return None if query is None else query.progress()

    def _recover(self, cursor: Link | None) -> str:
        link = self._on(cursor)
        if link.state.transaction_id in (None, NO_TRANSACTION):
            return ""
        link.command("ROLLBACK")
        return "\nThe transaction was rolled back; what comes next is outside of it."

    def _explain(self, error: Exception, statement: str) -> Explanation:
        if isinstance(error, Refusal):
            return error.explanation
        return errors.of_statement(error, statement or getattr(error, "statement", ""))

    def _names_of(self, kind: str, missing: str, statement: str) -> list[str]:
        return names.names_of(self, kind, missing, statement)

    # Session properties and transactions

    def _setting(self, name: str, cursor: Link | None) -> Any:
        return self._on(cursor).overrides.get(name, NOT_OVERRIDDEN)

    def _set(self, name: str, value: Any, cursor: Link | None) -> None:
        """Set it for the call under way: what begins beside it begins without."""
        is_one = value is not None and value is not NOT_OVERRIDDEN
        self._on(cursor).override(name, header_value(value) if is_one else value)

    def _begin(self) -> None:
        self._on(None).command("START TRANSACTION")

    def _commit(self) -> None:
        self._on(None).command("COMMIT")

    def _rollback(self) -> None:
        self._on(None).command("ROLLBACK")

    def _in_transaction(self) -> bool:
        link = self._link
        return link is not None and link.state.transaction_id not in (None, NO_TRANSACTION)

    # Names

    @property
    def NAMESPACE_DEFAULTS_READ(self) -> dict[str, str]:
        """The catalog and schema of the session."""
        link = self._link
        now = (
            (self.__dict__["catalog"], self.__dict__["schema"])
            if link is None
            else (link.state.catalog, link.state.schema)
        )
        return {level: name for level, name in zip(("catalog", "schema"), now, strict=True) if name}


class TrinoClient(PrestoClient):
    """A Trino cluster, by its coordinator; see `PrestoClient`."""

    PROTOCOLS = ["trino"]
    DEFAULT_PORT = 8080


def _flavour(info: Mapping[str, Any], protocol: str | None) -> tuple[int, Literal["Trino", "Presto"]]:
    """The version of a Trino, and the name under which the coordinator knows its headers.

    Presto's versions begin with ``0.``; what was PrestoSQL until version 350 is Trino since.
    """
    said = re.match(r"\d+", str(info["nodeVersion"].get("version", "")))
    if said is None:
        return (0, "Presto") if protocol == "presto" else (_NEWEST, "Trino")
    version = int(said[0])
    return (version, "Trino") if version >= _RENAMED_FROM else (0, "Presto")
