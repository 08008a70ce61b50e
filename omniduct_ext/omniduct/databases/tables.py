"""Tables of a database: listing, describing, reading and writing them by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from omniduct.databases.filling import Filling, IfExists
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.session.explaining import near
from omniduct.errors import DuctConfigError, DuctNotFound, DuctStatementError

if TYPE_CHECKING:
    import pandas as pd

    from omniduct.databases.base import DatabaseClient

__all__ = ["IfExists", "TableMethods", "literal"]

_IF_EXISTS = ("fail", "replace", "append", "delete_rows")


class TableMethods(Filling):
    """What a database can do with its tables; a part of `DatabaseClient`.

    A table is a name ("catalog.schema.table", parts quoted where they must be) or a ParsedNamespaces.
    The hooks that a protocol may replace take a ParsedNamespaces; by default they ask
    ``information_schema``.
    """

    def table_list(
        self, namespace: str | ParsedNamespaces | None = None, renew: bool = True, **kwargs: Any
    ) -> Any:
        """The tables in a namespace, by default the current one: a DataFrame."""
        return self._table_list(_own(self)._parse_prefix(namespace), **kwargs)

    def namespace_list(self, *above: str) -> list[str]:
        """The names one level below a namespace: of catalogs, or of schemas.

        Parameters
        ----------
        *above : str
            The names of the levels above, the highest first; without one, those of the highest level.

        Raises
        ------
        DuctConfigError
            Below that there are tables: `table_list` has them.

        Examples
        --------
        >>> from omniduct import Duct
        >>> db = Duct.for_protocol("duckdb")()
        >>> db.namespace_list("memory")
        ['main']
        """
        levels = _own(self).NAMESPACE_NAMES[:-1]
        if len(above) >= len(levels):
            raise DuctConfigError(
                f"{_own(self).name}: below a {' and a '.join(levels)} there are tables: table_list has them"
            )
        return sorted(self._namespace_list(*above))

    def table_exists(self, table: str | ParsedNamespaces, renew: bool = True, **kwargs: Any) -> bool:
        """Whether there is a table or view of that name."""
        return bool(self._table_exists(self._table(table), **kwargs))

    def table_desc(self, table: str | ParsedNamespaces, renew: bool = True, **kwargs: Any) -> pd.DataFrame:
        """The columns of a table: a row each, with name, type, and whether it may be null."""
        return cast("pd.DataFrame", self._table_desc(self._there(table), **kwargs))

    def table_head(
        self, table: str | ParsedNamespaces, n: int = 10, renew: bool = True, **kwargs: Any
    ) -> Any:
        """The first `n` rows of a table."""
        return self._table_head(self._table(table), n, **kwargs)

    def table_props(self, table: str | ParsedNamespaces, renew: bool = True, **kwargs: Any) -> pd.DataFrame:
        """The properties of a table: what the catalog knows of it."""
        return cast("pd.DataFrame", self._table_props(self._there(table), **kwargs))

    def table_partition_cols(
        self, table: str | ParsedNamespaces, renew: bool = True, **kwargs: Any
    ) -> list[str]:
        """The columns by which a table is partitioned."""
        return self._table_partition_cols(self._there(table), **kwargs)

    def table_drop(self, table: str | ParsedNamespaces, **kwargs: Any) -> None:
        """Drop a table."""
        self._table_drop(self._there(table), **kwargs)

    def query_to_table(
        self, statement: str, table: str | ParsedNamespaces, if_exists: IfExists = "fail", **kwargs: Any
    ) -> None:
        """Run a query in the database, into a table.

        Parameters
        ----------
        if_exists : {"fail", "replace", "append", "delete_rows"}
            What to do when there is such a table; "delete_rows" keeps it, and replaces its rows.
        """
        self._query_to_table(statement, self._table(table, write=True), _checked(if_exists), **kwargs)

    def dataframe_to_table(
        self, df: Any, table: str | ParsedNamespaces, if_exists: IfExists = "fail", **kwargs: Any
    ) -> None:
        """Write a pandas, polars or Arrow frame into a table; `if_exists` as for `query_to_table`."""
        self._dataframe_to_table(df, self._table(table, write=True), _checked(if_exists), **kwargs)

    # What a protocol may replace

    def _table_list(self, namespace: ParsedNamespaces, **kwargs: Any) -> Any:
        where = self._where(namespace)
        return self._ask(
            "SELECT table_schema, table_name, table_type FROM information_schema.tables"
            f"{where and ' WHERE ' + where} ORDER BY table_schema, table_name",
            **kwargs,
        )

    def _namespace_list(self, *above: str) -> list[str]:
        levels = _own(self).NAMESPACE_NAMES
        level = "schema_name" if levels[len(above)] == "schema" else "catalog_name"
        where = f" WHERE catalog_name = {literal(above[0])}" if above else ""
        try:
            statement = f"SELECT DISTINCT {level} FROM information_schema.schemata{where}"
            return [str(name) for (name,) in self._ask(statement, format="tuple")]
        except DuctStatementError:  # it has none of that; then those of the tables that it lists
            tables = self._table_list(_own(self)._parse_prefix(None))
            return [str(name) for name in set(tables.get("table_schema", ())) if name is not None]

    def _table_exists(self, table: ParsedNamespaces, **kwargs: Any) -> bool:
        found = self._ask(
            f"SELECT 1 FROM information_schema.tables WHERE {self._where(table)}", format="tuple", **kwargs
        )
        return bool(found)

    def _table_desc(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        return self._ask(
            "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns "
            f"WHERE {self._where(table)} ORDER BY ordinal_position",
            **kwargs,
        )

    def _table_head(self, table: ParsedNamespaces, n: int, **kwargs: Any) -> Any:
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise DuctConfigError(f"{_own(self).name}: the number of rows cannot be {n!r}")
        return self._ask(f"SELECT * FROM {table} LIMIT {n}", **kwargs)

    def _table_props(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        return self._ask(f"SELECT * FROM information_schema.tables WHERE {self._where(table)}", **kwargs)

    def _table_partition_cols(self, table: ParsedNamespaces, **kwargs: Any) -> list[str]:
        raise DuctStatementError(
            f"{_own(self).name}: {_own(self).protocol or 'this database'} has no partitioned tables"
        )

    def _table_drop(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        return _own(self).execute(f"DROP TABLE {table}", template=False, **kwargs)

    def _dataframe_to_table(
        self, df: Any, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        raise DuctStatementError(f"{_own(self).name}: {type(self).__name__} cannot write frames into tables")

    # Names

    def _table(self, name: str | ParsedNamespaces, write: bool = False) -> ParsedNamespaces:
        parsed = _own(self)._parse_namespaces(name, write=write)
        if parsed.as_dict().get(_own(self).NAMESPACE_NAMES[-1]) is None:
            raise DuctConfigError(f"{_own(self).name}: the name of a table is missing")
        return parsed

    def _there(self, name: str | ParsedNamespaces) -> ParsedNamespaces:
        """The name of a table that exists.

        Raises
        ------
        DuctNotFound
            It does not; near misses are named.
        """
        table = self._table(name)
        if not self._table_exists(table):
            raise DuctNotFound(
                f"{_own(self).name}: there is no table {str(name)!r}{self._near_tables(table)}"
            )
        return table

    def _near_tables(self, table: ParsedNamespaces) -> str:
        return near(str(table.name), self._names_of_tables())

    def _names_of_tables(self) -> list[str]:
        """The names of the tables that may have been meant."""
        return list(self._table_list(_own(self)._parse_prefix(None))["table_name"])

    def _names_of_columns(self, statement: str) -> list[str]:
        """The names of the columns that may have been meant: of the tables that a statement names."""
        words = {word.lower() for word in re.findall(r"\w+", statement)}
        tables = [name for name in self._names_of_tables() if name.lower() in words][:10]
        found = [
            list(self._table_desc(self._table(_own(self)._quote(name)))["column_name"]) for name in tables
        ]
        return [name for names in found for name in names]

    def _where(self, namespace: ParsedNamespaces) -> str:
        """The condition that picks a namespace out of ``information_schema``."""
        columns = {"catalog": "table_catalog", "database": "table_schema", "schema": "table_schema"}
        columns["table"] = "table_name"
        given = namespace.as_dict()
        return " AND ".join(
            f"{columns[level]} = {literal(value)}" for level, value in given.items() if value is not None
        )

    def _ask(self, statement: str, **kwargs: Any) -> Any:
        return _own(self).query(statement, **{"template": False, "use_cache": False, **kwargs})


def _own(methods: TableMethods) -> DatabaseClient:
    return cast("DatabaseClient", methods)


def literal(text: str) -> str:
    """A text as it is written in a statement."""
    return "'" + text.replace("'", "''") + "'"


def _checked(if_exists: str) -> IfExists:
    if if_exists not in _IF_EXISTS:
        raise DuctConfigError(
            f"if_exists cannot be {if_exists!r}; it takes {', '.join(map(repr, _IF_EXISTS))}"
        )
    return cast(IfExists, if_exists)
