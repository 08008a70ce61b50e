"""MySQL and MariaDB."""

from __future__ import annotations

import functools
import json
import re
import socket
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omniduct.databases.base import DatabaseClient
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.session.explaining import Explanation, near
from omniduct.databases.sqlalchemy import mysql_errors, mysql_loading, mysql_types
from omniduct.databases.sqlalchemy.client import SQLAlchemyClient
from omniduct.databases.sqlalchemy.errors import driver_error, is_lost, parts
from omniduct.databases.sqlalchemy.links import Link
from omniduct.databases.statements import Statement
from omniduct.errors import DuctError, DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Inspector

__all__ = ["MySQLClient"]

_KILL_WITHIN = 2.0  # seconds


class MySQLClient(SQLAlchemyClient):
    """A MySQL or MariaDB database.

    Parameters
    ----------
    **kwargs
        The arguments of `SQLAlchemyClient`.

    Notes
    -----
    Types come as the server has them: BOOLEAN is TINYINT(1), where people store a 2 and a -1 too, so it is
    an 8-bit integer. DATETIME and TIMESTAMP have no zone (the latter is shown in that of the session,
    `time_zone`); TIME is a duration, of up to 838 hours. A column with a zero date ('0000-00-00') is text.
    Of a FLOAT the server shows six digits; frames are written with DOUBLE.

    A table that is made or changed commits an open transaction, so within one that is refused for
    `query_to_table` and `dataframe_to_table`.
    """

    PROTOCOLS = ["mysql", "mariadb"]
    DIALECT = "mysql"
    DEFAULT_PORT = 3306
    NAMESPACE_NAMES = ["database", "table"]
    NAMESPACE_QUOTECHAR = "`"
    SUPPORTS_SESSION_PROPERTIES = True

    # Connections

    def _connect_args(self, timeout: float) -> dict[str, Any]:
        given = super()._connect_args(timeout)
        if self.driver == "pymysql":
            # the greeting of a frozen server is waited for as long as a result; see _ready
            given |= {"read_timeout": max(1, round(timeout)), "conv": mysql_types.conversions()}
        return given

    def _new_engine(self, url: Any) -> Any:
        from sqlalchemy import event

        engine = super()._new_engine(url)
        if self.driver == "pymysql" and "read_timeout" not in self.engine_opts.get("connect_args", {}):
            event.listen(engine, "connect", _wait_for_results)
        if self.driver == "pymysql" and self._remote is not None:
            event.listen(engine, "do_connect", functools.partial(_through_forward, str(self._host)))
        return engine

    def _refusal(self, reason: Exception) -> DuctError:
        return mysql_errors.of_connecting(self, reason, self._near_database)

    def _near_database(self) -> str:
        """The databases that are nearly the one that is missing."""
        assert self._engine is not None
        wanted, self._engine = self._engine, self._new_engine(self._url(database=""))
        try:
            names = self._told("SHOW DATABASES", self.CHECK_TIMEOUT)
        except Exception:  # then they are not named
            return ""
        finally:
            self._engine = wanted
        names = [name for name in names if name not in _OF_THE_SERVER]
        return near(self.database, names) or (f"; there are {', '.join(names)}" if names else "")

    def _told(self, statement: str, timeout: float) -> list[str]:
        """The first column of what a statement gives on a connection of its own."""
        own = self._login(timeout)
        try:
            cursor = own.cursor()
            cursor.execute(statement)
            return [str(row[0]) for row in cursor.fetchall() or ()]
        finally:
            own.close()

    def _ready(self, opened: Any, wire: Any, beside: bool) -> Link:
        link = super()._ready(opened, wire, beside)
        link.number = _thread_id(link.driver)
        return link

    def _cancel(self, cursor: Any) -> None:
        """Kill the statement from another connection, which is closed again; a dead link is severed."""
        link = cursor if isinstance(cursor, Link) else self._link
        if link is None or self._engine is None:
            return
        try:
            self._told(f"KILL QUERY {link.number}", _KILL_WITHIN)
        except Exception as error:
            if is_lost(self._engine.dialect, driver_error(error)):
                link.wire.sever()
            raise

    def _cursor(self, link: Link, statement: str) -> Any:
        if link.beside and self.driver in ("pymysql", "mysqldb"):
            return link.dbapi.cursor(_unbuffered(self.driver))
        return link.dbapi.cursor(buffered=True) if self.driver == "mysqlconnector" else link.dbapi.cursor()

    # Statements

    def _bound(self, value: Any) -> Any:
        if isinstance(value, uuid.UUID):
            return str(value)
        if isinstance(value, (list, Mapping)):
            return json.dumps(value, default=str, ensure_ascii=False)
        return value

    def _column_types(self, cursor: Any) -> list[pa.DataType | None]:
        return mysql_types.column_types(cursor)

    def _explain(self, error: Exception, statement: str) -> Explanation:
        return mysql_errors.of_statement(driver_error(error), statement)

    def _statement_prepare(self, statement: str, session_properties: Any, **kwargs: Any) -> str:
        if self._transaction is not None and _COMMITS.match(statement):
            raise DuctStatementError(
                f"{self.name}: MySQL and MariaDB commit an open transaction before a statement like "
                f"{statement.split()[0].upper()}: run it outside of the block"
            )
        return super()._statement_prepare(statement, session_properties, **kwargs)

    # Session properties and transactions

    def _literal(self, value: Any) -> str:
        return super()._literal(value.replace("\\", "\\\\") if isinstance(value, str) else value)

    _begin = DatabaseClient._begin
    _commit = DatabaseClient._commit
    _rollback = DatabaseClient._rollback

    def _still_begun(self, link: Link) -> bool | None:
        with link.inside():
            cursor = link.dbapi.cursor()
            cursor.execute("DO 0")  # an error does not say what became of the transaction
            cursor.close()
        return link.in_transaction()

    # Tables

    def _has(self, inspector: Inspector, table: ParsedNamespaces) -> bool:
        try:
            return super()._has(inspector, table)
        except Exception as error:
            if parts(driver_error(error))[0] in mysql_errors.HIDDEN:
                return False  # what one may not see is not there
            raise

    def _rename(self, table: ParsedNamespaces, to: ParsedNamespaces) -> None:
        self._run_text(f"RENAME TABLE {table} TO {to}")

    def _replace(self, prepared: list[Statement], table: ParsedNamespaces, options: dict[str, Any]) -> None:
        stage = self._beside(table)
        try:
            self._last(prepared, f"CREATE TABLE {stage} AS", options)
            self._swap(stage, table)
        except BaseException:
            self._drop_quietly(stage)
            raise

    def _insert(self, frame: pa.Table, table: ParsedNamespaces, names: list[str]) -> None:
        columns = ", ".join(map(self._quote, names))

        def insert() -> None:
            link = self._on_link()
            backslashes = not getattr(link.driver, "server_status", 0) & _NO_BACKSLASH_ESCAPES
            cursor = link.running = link.dbapi.cursor()
            head = f"INSERT INTO {table} ({columns}) VALUES"
            with link.inside():
                for statement in mysql_loading.inserts(frame, head, backslashes, self.name):
                    cursor.execute(statement)
            cursor.close()

        self._call(insert)

    def _swap(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        former = self._beside(table)
        try:
            self._run_text(f"RENAME TABLE {table} TO {former}, {stage} TO {table}")  # both or neither
        finally:
            self._drop_quietly(former)

    def _drop_temporary(self, table: str) -> None:
        self._run_text(f"DROP TEMPORARY TABLE {table}")  # without the word it would commit

    def _drop_quietly(self, table: ParsedNamespaces) -> None:
        self._run_text(f"DROP TABLE IF EXISTS {table}")

    def _table_partition_cols(self, table: ParsedNamespaces, **kwargs: Any) -> list[str]:
        database = "DATABASE()" if table.database is None else self._literal(table.database)
        found = self._ask(
            "SELECT DISTINCT partition_expression, subpartition_expression "
            "FROM information_schema.partitions "
            f"WHERE table_schema = {database} AND table_name = {self._literal(str(table.name))}",
            format="tuple",
            **kwargs,
        )
        written = [expression for row in found for expression in row if expression]
        names = [name for expression in written for name in re.findall(r"`((?:[^`]|``)+)`", expression)]
        return list(dict.fromkeys(name.replace("``", "`") for name in names))


_NO_BACKSLASH_ESCAPES = 512  # a flag of the session's state
# See "Statements That Cause an Implicit Commit" in their documentation.
_COMMITS = re.compile(
    r"\s*(?:(?:CREATE|DROP)\s+(?!TEMPORARY)|ALTER\s|TRUNCATE\s|RENAME\s|GRANT\s|REVOKE\s|LOCK\s)",
    re.IGNORECASE,
)
_OF_THE_SERVER = ("information_schema", "mysql", "performance_schema", "sys")


def _through_forward(host: str, dialect: Any, record: Any, args: Any, given: dict[str, Any]) -> Any:
    """Connect to the near end of a forward, and expect the far end's certificate there."""
    near = given["host"], given["port"]
    connection = dialect.dbapi.connect(*args, **{**given, "host": host, "defer_connect": True})
    wire = socket.create_connection(near, timeout=given.get("connect_timeout"))
    try:
        wire.settimeout(None)  # from here on the driver sees to it
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.connect(wire)
    except BaseException:
        wire.close()
        raise
    return connection


def _wait_for_results(connection: Any, record: Any) -> None:
    """Let a statement take as long as it likes, now that the login is done."""
    connection._read_timeout = None


def _thread_id(driver: Any) -> int:
    number: Any = getattr(driver, "thread_id", None) or getattr(driver, "connection_id", 0)
    return int(number() if callable(number) else number)


def _unbuffered(driver: str) -> Any:
    if driver == "pymysql":
        from pymysql.cursors import SSCursor

        return SSCursor
    from MySQLdb import cursors

    return cursors.SSCursor
