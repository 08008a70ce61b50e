"""DuckDB: the embedded database, in memory or in a file."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import os
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from omniduct.databases import statements
from omniduct.databases.arrow.cursors import ArrowCursor
from omniduct.databases.arrow.incoming import arrow_of
from omniduct.databases.base import BATCH_ROWS, DatabaseClient
from omniduct.databases.filling import new_name
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.session.progress import Progress
from omniduct.databases.session.running import shielded
from omniduct.databases.statements import Statement, Tokenizer
from omniduct.databases.tables import IfExists, literal
from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["DuckDBClient"]

_MEMORY = ":memory:"


class DuckDBClient(DatabaseClient):
    """A DuckDB database.

    Statements see the pandas, polars and Arrow frames among the user's variables in IPython, and those
    passed as ``frames={"name": frame}``; a table of the catalog comes first.

    Parameters
    ----------
    database : str
        A file, or ":memory:".
    read_only : bool
        Whether to open the file for reading only; several programs may do so at once.
    config : dict, optional
        Settings of DuckDB, as ``{"threads": 2}``.
    **kwargs
        The arguments of `DatabaseClient` and `Duct`.

    Notes
    -----
    A database in memory survives `disconnect` and `reset`; `drop_database` ends it.
    """

    PROTOCOLS = ["duckdb"]
    DIALECT = "duckdb"
    PLACEHOLDER = "${n}"
    NAMESPACE_NAMES = ["database", "schema", "table"]
    SUPPORTS_SESSION_PROPERTIES = True
    CREATE_OR_REPLACE = True

    def _init(
        self, database: str = _MEMORY, read_only: bool = False, config: dict[str, Any] | None = None
    ) -> None:
        self.database = database
        self.read_only = read_only
        self.config = dict(config or {})
        self._memory: duckdb.DuckDBPyConnection | None = None
        self._root: duckdb.DuckDBPyConnection | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self.connection_fields = (*self.connection_fields, "database", "read_only", "config")

    @property
    def _tokenize(self) -> Tokenizer:
        return statements.duckdb_tokenizer

    # Life-cycle. Shielded: in the main thread DuckDB looks for signals itself, and fails or crashes on one.

    def _connect(self) -> None:
        with shielded():
            if self._memory is not None and self.database == _MEMORY:
                self._root = self._configured(self._memory)
            else:
                self._root = self._opened()
                if self.database == _MEMORY:
                    self._memory = self._root
            self._connection = self._session_connection()

    def _configured(self, memory: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """The database in memory that is kept, with the settings as they are now."""
        if self.read_only:
            raise DuctConfigError(f"{self.name}: a database in memory cannot be read_only")
        for name, value in self.config.items():
            memory.execute(f'SET GLOBAL "{name}" = {_literal(value)}')
        return memory

    def _opened(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        database = self.database if self.database == _MEMORY else os.path.expanduser(self.database)
        return duckdb.connect(database, read_only=self.read_only, config=self.config)

    def _session_connection(self) -> duckdb.DuckDBPyConnection:
        assert self._root is not None
        connection = self._root.cursor()
        connection.execute("SET enable_progress_bar = true")  # else it counts nothing
        connection.execute("SET enable_progress_bar_print = false")
        connection.execute("SET arrow_lossless_conversion = true")  # UHUGEINT, TIMETZ and UUID come whole
        self._apply(self.session_properties, connection)
        return connection

    def _is_connected(self) -> bool:
        return self._connection is not None

    def _disconnect(self) -> None:
        connection, root = self._connection, self._root
        self._connection = self._root = None
        with shielded():
            if connection is not None:
                connection.close()
            if root is not None and root is not self._memory:
                root.close()

    def drop_database(self) -> None:
        """Disconnect, and drop a database in memory with all that is in it."""
        self.disconnect()
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()

    def _replace_connection(self) -> None:
        self._connection = self._session_connection()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._memory = self._root = self._connection = None

    def _location(self) -> str:
        return str(self.__dict__["database"])

    # Statements

    def _execute(  # type: ignore[override]
        self,
        statement: str,
        cursor: Any,
        wait: bool,
        session_properties: dict[str, Any],
        parameters: list[Any] | None = None,
        frames: Mapping[str, Any] | None = None,
    ) -> duckdb.DuckDBPyRelation | _Done:
        connection: Any = cursor or self._connection
        given: dict[str, Any] = {"params": parameters} if parameters else {}
        run = functools.partial(connection.sql, statement, **given)
        relation = _call_within(_names(frames), run)
        changed = -1 if relation is None else _rows_changed(connection, statement, relation)
        return relation if changed is None else _Done(changed)

    def _cursor_empty(self, cursor: Any) -> bool:
        return isinstance(cursor, _Done)

    def _arrow_batches(self, cursor: duckdb.DuckDBPyRelation, batch_rows: int) -> pa.RecordBatchReader:
        return cursor.to_arrow_reader(batch_rows)

    def _whole(self, cursor: duckdb.DuckDBPyRelation) -> pa.Table:
        return cursor.to_arrow_table()

    def _hand_out(self, cursor: duckdb.DuckDBPyRelation | _Done) -> ArrowCursor:
        if isinstance(cursor, _Done):
            return ArrowCursor(None, cursor.rowcount)
        return ArrowCursor(self._arrow_batches(cursor, BATCH_ROWS).read_all())

    def _exhaust(self, cursor: duckdb.DuckDBPyRelation | _Done) -> None:
        if not isinstance(cursor, _Done):
            for _ in self._arrow_batches(cursor, BATCH_ROWS):
                pass

    def _setting(self, name: str, cursor: Any) -> Any:
        connection: Any = cursor or self._connection
        return connection.execute("SELECT current_setting(?)", [name]).fetchall()[0][0]

    def _set(self, name: str, value: Any, cursor: Any) -> None:
        connection: Any = cursor or self._connection
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"RESET {quoted}" if value is None else f"SET {quoted} = {_literal(value)}")

    def _cancel(self, cursor: Any) -> None:
        connection = cursor or self._connection
        if connection is not None:
            connection.interrupt()

    def _progress(self, cursor: Any) -> Progress | None:
        connection = cursor or self._connection
        done = 0.0 if connection is None else connection.query_progress()
        return Progress(done / 100) if done > 0 else None  # 0 or -1 for what it cannot tell

    def _options_now(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "frames": {**_names(None), **(options.get("frames") or {})}}

    def _session_handle(self) -> duckdb.DuckDBPyConnection | None:
        return self._connection

    def _sibling_cursor(self) -> duckdb.DuckDBPyConnection:
        with shielded():
            return self._session_connection()

    def _recover(self, cursor: Any) -> str:
        """Roll back when the failed statement has aborted a transaction that the user began."""
        import duckdb

        connection = cursor or self._connection
        if connection is None:
            return ""
        try:
            connection.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            connection.rollback()
            return "\nThe transaction was rolled back; what comes next is outside of it."
        return ""

    def _in_transaction(self) -> bool:
        """Two statements have the same transaction only in one that the user began."""
        connection: Any = self._connection
        one, other = (connection.execute("SELECT txid_current()").fetchall() for _ in range(2))
        return bool(one == other)

    # Tables: names are found as DuckDB finds them, in any case and along the search path

    def _where(self, namespace: ParsedNamespaces) -> str:
        given = {level: name for level, name in namespace.as_dict().items() if name is not None}
        if "table" in given:
            found = self._found(given)
            keys = ("table_catalog", "table_schema", "table_name")
            return " AND ".join(f"{k} = {_literal(v)}" for k, v in zip(keys, found, strict=False)) or "false"
        conditions = [_matches(_COLUMNS[level], name) for level, name in given.items()]
        if set(given) == {"schema"}:  # one name alone may be either
            return f"({_HERE} AND {conditions[0]} OR {_matches('table_catalog', given['schema'])})"
        return " AND ".join([*conditions, *([] if "database" in given else [_HERE])])

    def _found(self, given: dict[str, str]) -> tuple[str, ...]:
        """Catalog, schema and name of the table that a name means; empty if there is none."""
        name = _matches("table_name", given["table"])
        if "database" in given:
            where = " AND ".join(_matches(_COLUMNS[level], given[level]) for level in _COLUMNS)
            order = "1"
        elif "schema" in given:
            catalog, schema = (_matches(column, given["schema"]) for column in _COLUMNS.values())
            where = f"{_HERE} AND {schema} OR {catalog}"
            order = f"NOT ({schema}), table_schema <> 'main'"
        else:
            where = f"{_HERE} AND list_contains(current_schemas(true), table_schema)"
            order = "table_catalog <> 'temp', list_position(current_schemas(true), table_schema)"
        rows = self._ask(
            "SELECT table_catalog, table_schema, table_name FROM information_schema.tables "
            f"WHERE {name} AND ({where}) ORDER BY {order} LIMIT 1",
            format="tuple",
        )
        return tuple(rows[0]) if rows else ()

    def _table_props(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        where = self._where(table)
        for old, new in (("table_catalog", "database_name"), ("table_schema", "schema_name")):
            where = where.replace(old, new)
        views = where.replace("table_name", "view_name")
        return self._ask(
            "SELECT * REPLACE (CAST(tags AS VARCHAR) AS tags) FROM (FROM duckdb_tables() UNION ALL BY NAME "
            f"SELECT * RENAME (view_name AS table_name) FROM duckdb_views() WHERE {views}) WHERE {where}",
            **kwargs,
        )

    def _dataframe_to_table(
        self, df: Any, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        self._check_options(kwargs)
        if type(df).__module__.partition(".")[0] == "pandas":
            df = arrow_of(df, self.name)  # DuckDB makes text of intervals, and of all it does not know
        frame = new_name()  # a table of that name would come first
        query = Statement(f"SELECT * FROM {frame}", ())
        self._fill([query], table, if_exists, {**kwargs, "frames": {frame: df}}, how=" BY NAME")


_COLUMNS = {"database": "table_catalog", "schema": "table_schema"}
_HERE = "table_catalog IN (current_database(), 'temp')"


def _matches(column: str, name: str) -> str:
    return f"lower({column}) = lower({_literal(name)})"


# The names that a statement sees. DuckDB looks a table that its catalog lacks up among the variables of
# the Python function that calls it; so the call is made by a function whose globals are the user's.


def _names(frames: Mapping[str, Any] | None) -> dict[str, Any]:
    names: dict[str, Any] = {}
    if "IPython" in sys.modules:
        from omniduct.ipython.namespace import user_namespace

        names = user_namespace()
    if frames or not names:
        # DuckDB imports from within the function, which takes the builtins of its globals
        return {"__builtins__": builtins, **names, **(frames or {})}
    return names


def _call_within(names: dict[str, Any], call: Callable[[], Any]) -> Any:
    """Call from within a function that has `names` as its globals and nothing else: no name of ours."""
    code = _CALLER.replace(co_consts=tuple(call if c == _STAND_IN else c for c in _CALLER.co_consts))
    return types.FunctionType(code, names)()


_STAND_IN = 1234567890123

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # "int is not callable": it never is called
    _CALLER = next(
        const
        for const in compile(f"def caller():\n return {_STAND_IN}()", "<statement>", "exec").co_consts
        if isinstance(const, types.CodeType)
    )


@dataclasses.dataclass(frozen=True)
class _Done:
    """The answer of a statement that says nothing; -1 rows where nobody knows."""

    rowcount: int


def _rows_changed(connection: Any, statement: str, relation: duckdb.DuckDBPyRelation) -> int | None:
    """The rows that a statement has changed (-1: it is none that changes rows); None if it has a result."""
    import duckdb

    if relation.columns not in (["Success"], ["Count"]):
        return None
    parsed = connection.extract_statements(statement)[0]
    if parsed.type == duckdb.StatementType.SELECT:
        return None  # it has not run yet: asking it for its rows would run it twice
    counts = duckdb.ExpectedResultType.CHANGED_ROWS in parsed.expected_result_type
    if counts and "returning" not in statement.lower():
        rows = relation.fetchall()
        return int(rows[0][0]) if rows else -1
    return -1 if relation.shape[0] == 0 else None


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return literal(str(value))
