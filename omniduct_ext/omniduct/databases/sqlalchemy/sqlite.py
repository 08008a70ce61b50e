"""SQLite: a database in a file, or in memory."""

from __future__ import annotations

import decimal
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from omniduct.databases.arrow.text import text_of
from omniduct.databases.base import DatabaseClient
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.sqlalchemy.client import SQLAlchemyClient
from omniduct.errors import DuctConfigError, DuctConnectionError

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import URL, Inspector

__all__ = ["SQLiteClient"]

_MEMORY = ":memory:"


class SQLiteClient(SQLAlchemyClient):
    """An SQLite database.

    Parameters
    ----------
    database : str
        A file, which is made if it is not there, or ":memory:" (the default).
    read_only : bool
        Whether to open the file for reading only.
    **kwargs
        The arguments of `SQLAlchemyClient`.

    Notes
    -----
    SQLite has integers, floats, texts and bytes, and any column may hold any of them. A column of a result
    has the type that holds all its values: integers stay exact beside nulls, and a mixture is text. Frames
    are written with decimals, dates and times as text, which keeps every digit.

    A database in memory survives `disconnect` and `reset`; `drop_database` ends it. Its streams run on the
    session. A stream from a file is on a connection of its own, and until it ends the file cannot be
    written to, unless it is in WAL mode.
    """

    PROTOCOLS = ["sqlite"]
    DIALECT = "sqlite"
    SUPPORTS_SESSION_PROPERTIES = True

    def _init(  # type: ignore[override]
        self,
        database: str = "",
        read_only: bool = False,
        dialect: str | None = None,
        driver: str | None = None,
        engine_opts: dict[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        super()._init(dialect, driver, database, engine_opts, url)
        self.read_only = read_only
        self._memory: tuple[str, sqlite3.Connection] | None = None
        self.connection_fields = (*self.connection_fields, "read_only")

    @property
    def _is_in_memory(self) -> bool:
        return self.__dict__["database"] in ("", _MEMORY)

    # Life-cycle

    def _connect(self) -> None:
        if self._is_in_memory:
            self._keep_memory()
        elif not self.database.startswith("file:"):
            self._check_file(os.path.abspath(os.path.expanduser(self.database)))
        super()._connect()

    def _keep_memory(self) -> None:
        """Hold the database in memory, which is there as long as a connection to it is."""
        import sqlite3

        if self.read_only:
            raise DuctConfigError(f"{self.name}: a database in memory cannot be read_only")
        if self._memory is None:
            # the first is newer, and locks as a file does
            how = "?vfs=memdb" if sqlite3.sqlite_version_info >= (3, 36) else "?mode=memory&cache=shared"
            name = f"file:/omniduct_{os.urandom(8).hex()}{how}"
            self._memory = name, sqlite3.connect(name, uri=True, check_same_thread=False)

    def _check_file(self, path: str) -> None:
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            raise DuctConnectionError(f"{self.name}: there is no folder {folder!r} for the database")
        if os.path.isdir(path):
            raise DuctConnectionError(f"{self.name}: {path!r} is a folder, not a database")
        if self.read_only and not os.path.exists(path):
            raise DuctConnectionError(f"{self.name}: there is no database {path!r} to read")

    def _url(self, database: str | None = None) -> URL:
        import sqlalchemy

        path, query = os.path.expanduser(self.database), dict(self._query)
        if self._memory is not None and self._is_in_memory:
            path, _, query_text = self._memory[0].partition("?")
            query = {**query, **dict(parse_qsl(query_text)), "uri": "true"}
        elif self.read_only:
            path, query = f"file:{quote(os.path.abspath(path))}", {**query, "mode": "ro", "uri": "true"}
        return sqlalchemy.URL.create("sqlite", database=path, query=query)

    def _connect_args(self, timeout: float) -> dict[str, Any]:
        return {"check_same_thread": False}  # statements run on the session's thread

    def drop_database(self) -> None:
        """Disconnect, and drop a database in memory with all that is in it."""
        self.disconnect()
        memory, self._memory = self._memory, None
        if memory is not None:
            memory[1].close()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._memory = None

    def _sibling_cursor(self) -> Any:
        return None if self._is_in_memory else super()._sibling_cursor()

    def _location(self) -> str:
        return str(self.__dict__["database"]) or _MEMORY

    # Statements

    def _bound(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if isinstance(value, decimal.Decimal):
            return f"{value:f}"
        return bytes(value) if isinstance(value, (bytearray, memoryview)) else text_of(value)

    # Transactions

    _begin = DatabaseClient._begin
    _commit = DatabaseClient._commit
    _rollback = DatabaseClient._rollback

    # Tables

    def _has(self, inspector: Inspector, table: ParsedNamespaces) -> bool:
        there = {*inspector.get_schema_names(), "temp", None}
        return table.schema in there and super()._has(inspector, table)
