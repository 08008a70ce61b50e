"""Every database that SQLAlchemy 2 speaks to: SQL Server, Oracle, Snowflake, Firebird, Sybase and others."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from omniduct.databases.results import Source
from omniduct.databases.session.explaining import Explanation
from omniduct.databases.sqlalchemy import errors
from omniduct.databases.sqlalchemy.links import BufferedCursor, Link, closed_on_failure
from omniduct.databases.sqlalchemy.loading import LoadedTables
from omniduct.databases.tables import literal
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Self

__all__ = ["SQLAlchemyClient"]


class SQLAlchemyClient(LoadedTables):
    """A database that SQLAlchemy speaks to.

    Parameters
    ----------
    dialect : str, optional
        SQLAlchemy's name for the database, by default that of the protocol; "mssql+pyodbc" names the
        driver too.
    driver : str, optional
        The driver; by default the first installed of those that are known to do.
    database : str
        The database to be in.
    engine_opts : dict, optional
        Further arguments of ``sqlalchemy.create_engine``, as ``{"connect_args": {...}}``.
    url : str, optional
        A URL of SQLAlchemy's, for what is not given by name. Host and login are taken out of it.
    **kwargs
        The arguments of `DatabaseClient` and `Duct`.

    Notes
    -----
    Statements go to the driver as they are, beside SQLAlchemy's own; each is committed by itself, unless in
    a `transaction`. A database without a driver of ours takes its dialect from a plug-in of SQLAlchemy's.
    """

    PROTOCOLS = ["sqlalchemy", "mssql", "oracle", "snowflake", "firebird", "sybase"]
    NAMESPACE_NAMES = ["schema", "table"]

    BUFFERED = frozenset({"pymysql", "psycopg", "psycopg2"})
    """Drivers that fetch all rows at once, so that their cursors stay readable."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one of the class for the dialect."""
        if cls is SQLAlchemyClient:
            cls = _class_for(kwargs.get("dialect"), kwargs.get("url"))
        return super().__new__(cls, *args, **kwargs)

    # Statements

    def _execute(  # type: ignore[override]
        self,
        statement: str,
        cursor: Any,
        wait: bool,
        session_properties: dict[str, Any],
        parameters: list[Any] | None = None,
    ) -> Any:
        link = cursor if isinstance(cursor, Link) else self._link
        assert link is not None
        raw = link.running = self._cursor(link, statement) if cursor is link or cursor is None else cursor
        link.had_begun = bool(link.in_transaction())
        dialect = link.connection.dialect
        with link.inside(), closed_on_failure(raw):
            if parameters:
                dialect.do_execute(raw, self._sent(statement), tuple(map(self._bound, parameters)))
            else:
                dialect.do_execute_no_params(raw, statement)
            if link.autocommits or link.begun or (link.beside and _only_reads(statement)):
                return raw
            kept = self._buffered(raw)  # a commit may close the driver's
            link.commit()
        return kept

    def _buffered(self, cursor: Any) -> BufferedCursor:
        """A cursor with all of its rows.

        Firebird's driver frees a statement when its cursor goes, in whichever thread that is; the server does
        not survive that beside another statement. So it goes here.
        """
        kept = BufferedCursor(cursor)
        if self._dialect == "firebird":
            cursor.close()
        return kept

    def _cursor(self, link: Link, statement: str) -> Any:
        """A new cursor; beside the session one that leaves the rows at the service, if there is one."""
        if link.beside and self.driver == "psycopg" and _only_reads(statement):
            return link.driver.cursor("omniduct", withhold=True)  # of itself it would fetch them all
        return link.dbapi.cursor()

    def _sent(self, statement: str) -> str:
        """A statement with placeholders as the driver reads it."""
        placeholder = self.PLACEHOLDER
        if not placeholder.startswith("%"):
            return statement
        return "%s".join(part.replace("%", "%%") for part in statement.split(placeholder))

    def _bound(self, value: Any) -> Any:
        """A value as the driver takes it."""
        coarse = self._facts.tick > 1 and isinstance(value, (datetime.datetime, datetime.time))
        if not coarse or value.tzinfo is not None:
            return value
        from omniduct.databases.sqlalchemy.storing import (
            time_as_text,  # its driver would cut it short, and silently
        )

        return time_as_text(value, self._dialect, self.name)

    def _source(self, cursor: Any) -> Source:
        from omniduct.databases.arrow.cursors import TypedCursor

        return TypedCursor(cursor, self._column_types(cursor))

    def _column_types(self, cursor: Any) -> list[pa.DataType | None]:
        """The Arrow types of a result's columns, as far as the driver says them."""
        from omniduct.databases.sqlalchemy.driver_types import by_description

        return by_description(cursor.description, self._dialect)

    def _exhaust(self, cursor: Any) -> None:
        with closed_on_failure(cursor):
            while cursor.description is not None and cursor.fetchmany(10_000):
                pass
        cursor.close()

    def _hand_out(self, cursor: Any) -> Any:
        if self.driver in self.BUFFERED or isinstance(cursor, BufferedCursor):
            return cursor
        return self._buffered(cursor)

    def _cancel(self, cursor: Any) -> None:
        link = cursor if isinstance(cursor, Link) else self._link
        if link is None:
            return
        try:
            link.interrupt()
        except Exception as error:
            if errors.is_lost(link.connection.dialect, error):
                link.wire.sever()  # nobody is there to end it
            raise

    def _recover(self, cursor: Any) -> str:
        link = cursor if isinstance(cursor, Link) else self._link
        if link is None:
            return ""
        if link.is_aborted():
            link.rollback()
            self._to_autocommit(link)
        elif not link.autocommits and not link.begun:
            link.rollback()
            return ""
        elif not link.had_begun or self._still_begun(link) is not False:
            return ""
        return "\nThe transaction was rolled back; what comes next is outside of it."

    def _still_begun(self, link: Link) -> bool | None:
        """Whether a transaction has survived a statement that failed."""
        return link.in_transaction()

    def _explain(self, error: Exception, statement: str) -> Explanation:
        reason = errors.driver_error(error)
        lost = self._engine is not None and errors.is_lost(self._engine.dialect, reason)
        return errors.of_statement(reason, statement, lost)

    # Session properties and transactions

    def _setting(self, name: str, cursor: Any) -> Any:
        ways = self._facts.settings
        if ways is None or not ways.read:
            raise DuctArgumentError(
                f"{self.name}: {self._dialect} cannot say what {name} is now, to put it back after one call: "
                "give it to the duct, in its session_properties"
            )
        found = self._execute(self._spelt(ways.read, name), cursor, True, {}).fetchall()
        if not found:
            raise DuctArgumentError(f"{self.name}: {self._dialect} has no setting {name!r}")
        return found[0][0]

    def _set(self, name: str, value: Any, cursor: Any) -> None:
        ways = self._facts.settings
        if ways is None:
            raise DuctArgumentError(
                f"{self.name}: {self.protocol or self._dialect} has no session properties"
            )
        if value is None and not ways.reset:
            raise DuctArgumentError(f"{self.name}: {self._dialect} cannot reset {name}: give it a value")
        how = ways.reset if value is None else ways.write
        self._execute(self._spelt(how, name, value), cursor, True, {}).close()

    def _spelt(self, how: str, name: str, value: Any = None) -> str:
        if not name.replace("_", "").replace(".", "").isalnum():
            raise DuctArgumentError(f"{self.name}: {name!r} is no name of a session property")
        return how.format(name=name, value=self._literal(value), text=self._literal(name))

    def _literal(self, value: Any) -> str:
        if isinstance(value, bool):
            return "ON" if value else "OFF"
        if isinstance(value, (int, float)):
            return repr(value)
        return literal(str(value))

    def _begin(self) -> None:
        link = self._on_link()
        if link.autocommits and link.is_told:
            link.connection.dialect.reset_isolation_level(link.dbapi)
        link.connection.dialect.do_begin(link.dbapi)
        link.begun = True

    def _commit(self) -> None:
        link = self._on_link()
        link.commit()
        self._to_autocommit(link)

    def _rollback(self) -> None:
        link = self._on_link()
        link.rollback()
        self._to_autocommit(link)

    def _in_transaction(self) -> bool | None:
        return self._on_link().in_transaction()

    def _on_link(self) -> Link:
        assert self._link is not None
        return self._link


_READS = re.compile(r"\s*(SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|INTO|SHARE)\b", re.IGNORECASE)


def _only_reads(statement: str) -> bool:
    """Whether a statement surely changes nothing."""
    return bool(_READS.match(statement)) and not _WRITES.search(statement)


def _class_for(dialect: object, url: object) -> type[Any]:
    """The class that knows more of a dialect than SQLAlchemy does."""
    named = str(dialect or url or "").partition(":")[0].partition("+")[0]
    if named in ("mysql", "mariadb"):
        from omniduct.databases.sqlalchemy.mysql import MySQLClient

        return MySQLClient
    if named == "sqlite":
        from omniduct.databases.sqlalchemy.sqlite import SQLiteClient

        return SQLiteClient
    return SQLAlchemyClient
