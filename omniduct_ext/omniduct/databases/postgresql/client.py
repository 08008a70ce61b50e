"""PostgreSQL, by ADBC: results come as Arrow from the server's binary COPY, and frames go in the same way."""

from __future__ import annotations

import functools
import re
import socket
import struct
import warnings
from typing import Any

from omniduct.core import failures
from omniduct.credentials import without_password
from omniduct.databases.arrow.cursors import ArrowCursor
from omniduct.databases.base import DatabaseClient
from omniduct.databases.postgresql import errors
from omniduct.databases.postgresql.results import Answer, PostgreSQLLink
from omniduct.databases.postgresql.tables import PostgreSQLTables
from omniduct.databases.results import Source
from omniduct.databases.session.explaining import Explanation, near
from omniduct.errors import DuctConfigError, DuctDriverMissing, DuctError, DuctStatementError, DuctWarning

__all__ = ["PostgreSQLClient"]

_COPY = re.compile(r"\s*COPY\b.*\b(FROM\s+STDIN|TO\s+STDOUT)\b", re.IGNORECASE | re.DOTALL)
_MAINTENANCE = "postgres"  # the database that every server has
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn"
# SSLRequest: see "Message Formats" in PostgreSQL's documentation.
_WANTS_TLS = struct.pack("!ii", 8, 80877103)
_KEEPALIVE = {  # seconds; the last in milliseconds: a cut link is noticed within 45 s
    "keepalives_idle": 15,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}


class PostgreSQLClient(PostgreSQLTables, DatabaseClient):
    """A PostgreSQL database.

    Parameters
    ----------
    database : str
        The database; by default libpq's choice, which is the one named like the user.
    connection_options : dict, optional
        What libpq takes besides, as ``{"sslmode": "verify-full", "sslrootcert": "ca.pem"}``; see "Parameter
        Key Words" in PostgreSQL's documentation.
    dialect, driver, engine_opts : optional
        Of the SQLAlchemy client of this protocol; of these only ``engine_opts["connect_args"]`` matters,
        as further `connection_options`.
    **kwargs
        The arguments of `DatabaseClient` and `Duct`.

    Notes
    -----
    Without a host libpq's own choice is taken: a local socket, or PGHOST. Every statement is committed by
    itself, unless in a `transaction`. Streams, and what runs in the background, have connections of their
    own: they see neither the session's temporary tables nor what it has not committed.
    """

    PROTOCOLS = ["postgresql"]
    DIALECT = "postgres"
    PLACEHOLDER = "${n}"
    DEFAULT_PORT = 5432
    NAMESPACE_NAMES = ["database", "schema", "table"]
    SUPPORTS_SESSION_PROPERTIES = True

    def _init(
        self,
        database: str = "",
        connection_options: dict[str, Any] | None = None,
        dialect: str | None = None,
        driver: str | None = None,
        engine_opts: dict[str, Any] | None = None,
    ) -> None:
        self.database = database
        further = (engine_opts or {}).get("connect_args") or {}
        self.connection_options, password = without_password({**further, **(connection_options or {})})
        if password is not None and self._password is None:
            self.password = password
        self._arguments |= {"connection_options": self.connection_options, "engine_opts": None}
        pool = {name: value for name, value in (engine_opts or {}).items() if name != "connect_args"}
        ignored = [name for name, value in {"driver": driver, **pool}.items() if value]
        if ignored:
            warnings.warn(
                f"{self.name}: {', '.join(ignored)} has no effect on the protocol postgresql, which needs no "
                "SQLAlchemy; with the protocol sqlalchemy it has",
                DuctWarning,
                stacklevel=3,
            )
        self._link: PostgreSQLLink | None = None
        self.connection_fields = (*self.connection_fields, "database", "connection_options")

    # Life-cycle

    def _connect(self) -> None:
        self._link = self._new_link()

    def _new_link(self, timeout: float | None = None) -> PostgreSQLLink:
        link = self._linked(self.database, timeout or self.CONNECT_TIMEOUT)
        try:
            self._apply(self.session_properties, link)
        except BaseException as error:
            link.close()
            if not isinstance(error, Exception) or isinstance(error, DuctError):
                raise
            said, cause = errors.of_statement(error, "").said, failures.cause(self, error)
        else:
            return link
        failure = DuctConfigError(f"{self.name}: its session_properties are refused: {said}")
        failure.__cause__ = cause
        raise failure

    def _linked(self, database: str, timeout: float) -> PostgreSQLLink:
        try:
            from adbc_driver_postgresql import dbapi
        except ImportError as error:
            raise DuctDriverMissing(
                f"{self.name}: postgresql needs the packages adbc-driver-postgresql and pyarrow: "
                "pip install 'omniduct-ext[postgresql]'"
            ) from error
        connect = functools.partial(dbapi.connect, self._conninfo(database, timeout), autocommit=True)
        try:
            return PostgreSQLLink(connect, self.port)
        except dbapi.Error as error:
            said, cause = str(error), failures.cause(self, error)
        del connect  # it holds the password, and a traceback may show it
        failure = errors.of_connecting(self, said, self._near_database(said, timeout))
        failure.__cause__ = cause
        raise failure

    def _near_database(self, said: str, timeout: float) -> str:
        """The databases of the server that are nearly the one that is missing."""
        missing = errors.missing_database(said)
        if missing is None or self.database == _MAINTENANCE:
            return ""
        try:
            link = self._linked(_MAINTENANCE, timeout)
        except DuctError:
            return ""
        try:
            rows = link.run(_DATABASES).table().to_pylist()
        finally:
            link.close()
        names = [row["datname"] for row in rows if not row["datname"].startswith("template")]
        return near(missing, names) or f"; there are {', '.join(names)}"

    def _conninfo(self, database: str, timeout: float) -> str:
        """What libpq connects with. Behind a remote the far host's name is kept for TLS to verify."""
        host, port = self.host, self.port
        given = {
            "host": host,
            "port": port,
            "user": self.username,
            "password": self.password,
            "dbname": database or None,
            "connect_timeout": max(2, round(timeout)),
            "application_name": "omniduct",
            **_KEEPALIVE,
            **self.connection_options,
        }
        if self._remote is not None:
            given |= {"host": self._host, "hostaddr": host}
        return " ".join(f"{key}={_quoted(value)}" for key, value in given.items() if value is not None)

    def _is_connected(self) -> bool:
        link = self._link
        if link is None:
            return False
        link.command("SELECT 1")
        return True

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _replace_connection(self) -> None:
        self._link = self._new_link()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._link = None

    def _is_cut(self) -> bool:
        link = self._link
        return link is not None and link.stirs()

    def _is_answering(self, timeout: float) -> bool:
        """Whether the server answers at all: to the question for TLS, which needs neither login nor slot."""
        host = self.host
        if host is None or host.startswith("/"):
            return True
        with socket.create_connection((host, self.port), timeout) as wire:
            wire.sendall(_WANTS_TLS)
            return bool(wire.recv(1))

    # Statements

    def _execute(  # type: ignore[override]
        self,
        statement: str,
        cursor: PostgreSQLLink | None,
        wait: bool,
        session_properties: dict[str, Any],
        parameters: list[Any] | None = None,
    ) -> Answer:
        if _COPY.match(statement):
            raise DuctStatementError(
                f"{self.name}: COPY from STDIN or to STDOUT has nobody to talk to here: use "
                "dataframe_to_table to write rows, and stream_to_file to read them"
            )
        return self._on(cursor).run(statement, parameters)

    def _on(self, cursor: PostgreSQLLink | None) -> PostgreSQLLink:
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

    def _cancel(self, cursor: PostgreSQLLink | None) -> None:
        link = cursor or self._link
        if link is not None:
            link.cancel()

    def _session_handle(self) -> PostgreSQLLink | None:
        return self._link

    def _sibling_cursor(self) -> PostgreSQLLink:
        try:
            return self._new_link()
        except DuctError as error:
            failure = error.with_traceback(None)  # whose frames have seen the password
        raise failure

    def _recover(self, cursor: PostgreSQLLink | None) -> str:
        link = self._on(cursor)
        if link.status() != "inerror":
            return ""
        link.command("ROLLBACK")
        return "\nThe transaction was rolled back; what comes next is outside of it."

    def _explain(self, error: Exception, statement: str) -> Explanation:
        return errors.of_statement(error, statement)

    # Session properties and transactions

    def _setting(self, name: str, cursor: PostgreSQLLink | None) -> Any:
        rows = self._on(cursor).run("SELECT current_setting($1, true)", [name]).table().to_pylist()
        return next(iter(rows[0].values()))  # None for one of the person's own that is not set yet

    def _set(self, name: str, value: Any, cursor: PostgreSQLLink | None) -> None:
        link = self._on(cursor)
        if value is None:
            link.command(f"RESET {self._quote(name)}")
            return
        text = ("off", "on")[value] if isinstance(value, bool) else str(value)
        inside = (
            link.status() == "intrans"
        )  # then it ends with the transaction, as one that was SET LOCAL does
        link.run(f"SELECT set_config($1, $2, {str(inside).lower()})", [name, text]).table()

    def _in_transaction(self) -> bool:
        return self._on(None).status() in ("intrans", "inerror")

    def _location(self) -> str:
        return str(self.__dict__["database"])


def _quoted(value: object) -> str:
    """A value of libpq's connection string."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
