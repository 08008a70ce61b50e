"""PostgreSQL's catalog, and how frames get into its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omniduct.databases.arrow.incoming import arrow_of
from omniduct.databases.filling import new_name, taken
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.postgresql.ingest import Target, column_type, fitted, sendable
from omniduct.databases.tables import IfExists, TableMethods, literal
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.postgresql.client import PostgreSQLClient

__all__ = ["PostgreSQLTables"]

_KINDS = "('r', 'p', 'v', 'm', 'f')"
_KIND = (
    "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' "
    "WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END"
)


class PostgreSQLTables(TableMethods):
    """The tables of a PostgreSQL database, found as its statements find them."""

    def _table_list(self, namespace: ParsedNamespaces, **kwargs: Any) -> Any:
        schema = namespace.as_dict().get("schema")
        wanted = (
            "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' OR n.oid = pg_my_temp_schema()"
            if schema is None
            else f"n.nspname = {literal(schema)}"
        )
        return self._ask(
            f"SELECT n.nspname AS table_schema, c.relname AS table_name, {_KIND} AS table_type "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE c.relkind IN {_KINDS} AND NOT c.relispartition AND ({wanted}) ORDER BY 1, 2",
            **kwargs,
        )

    def _table_exists(self, table: ParsedNamespaces, **kwargs: Any) -> bool:
        statement = (
            f"SELECT 1 FROM pg_catalog.pg_class c WHERE {self._where(table)} AND c.relkind IN {_KINDS}"
        )
        return bool(self._ask(statement, format="tuple", **kwargs))

    def _table_desc(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        return self._ask(
            "SELECT a.attname AS column_name, format_type(a.atttypid, a.atttypmod) AS data_type, "
            "NOT a.attnotnull AS is_nullable, pg_get_expr(d.adbin, d.adrelid) AS column_default, "
            "col_description(a.attrelid, a.attnum) AS comment "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
            "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            f"WHERE {self._where(table)} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            **kwargs,
        )

    def _table_props(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        return self._ask(
            f"SELECT n.nspname AS table_schema, c.relname AS table_name, {_KIND} AS table_type, "
            "pg_get_userbyid(c.relowner) AS owner, obj_description(c.oid, 'pg_class') AS comment, "
            "nullif(c.reltuples, -1)::bigint AS estimated_rows, pg_total_relation_size(c.oid) AS bytes, "
            "c.relpersistence = 't' AS is_temporary, pg_get_partkeydef(c.oid) AS partitioned_by "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE {self._where(table)}",
            **kwargs,
        )

    def _table_partition_cols(self, table: ParsedNamespaces, **kwargs: Any) -> list[str]:
        rows = self._ask(
            "SELECT a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_partitioned_table p "
            "ON p.partrelid = c.oid CROSS JOIN unnest(p.partattrs::int2[]) WITH ORDINALITY k(attnum, place) "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum "
            f"WHERE {self._where(table)} ORDER BY k.place",
            format="tuple",
            **kwargs,
        )
        return [name for (name,) in rows]

    def _where(self, namespace: ParsedNamespaces) -> str:
        """The condition that picks a table out of pg_class: along the search path, as a statement does."""
        database = namespace.as_dict().get("database")
        here = f"current_database() = {literal(database)} AND " if database else ""
        name = ".".join(self._own._quote(part) for part in self._path(namespace))
        return f"{here}c.oid = to_regclass({literal(name)})"

    def _path(self, table: ParsedNamespaces) -> list[str]:
        given = table.as_dict()
        return [part for level in ("schema", "table") if (part := given.get(level)) is not None]

    def _table_drop(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        kind = self._ask(
            f"SELECT {_KIND} FROM pg_catalog.pg_class c WHERE {self._where(table)}", format="tuple"
        )[0][0]
        word = {"view": "VIEW", "materialized view": "MATERIALIZED VIEW", "foreign table": "FOREIGN TABLE"}
        return self._own.execute(f"DROP {word.get(kind, 'TABLE')} {table}", template=False, **kwargs)

    @property
    def _own(self) -> PostgreSQLClient:
        return cast("PostgreSQLClient", self)

    # Frames

    def _dataframe_to_table(
        self, df: Any, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        own = self._own
        own._check_options(kwargs)
        rows = arrow_of(df, own.name)
        with self._together():
            exists = self._table_exists(table)
            if exists and if_exists == "fail":
                raise taken(own.name, table)
            if not exists:
                self._append(rows, self._created(rows, table))
            elif if_exists == "replace":
                stage = self._beside(table)
                self._append(rows, self._created(rows, stage))
                self._run_text(f"DROP TABLE {table}")
                self._rename(stage, table)
            else:
                if if_exists == "delete_rows":
                    self._run_text(f"DELETE FROM {table}")
                self._append(rows, self._target(table))

    def _created(self, rows: pa.Table, table: ParsedNamespaces, temporary: str = "") -> Target:
        """A new table for these rows."""
        own = self._own
        columns = [
            f"{own._quote(field.name)} {column_type(field.type, own.name, field.name)}"
            for field in rows.schema
        ]
        self._run_text(f"CREATE {temporary}TABLE {table} ({', '.join(columns)})")
        return self._target(table)

    def _target(self, table: ParsedNamespaces) -> Target:
        """Where a table is, and what types its columns have."""
        ((schema, name, temporary),) = self._ask(
            "SELECT n.nspname, c.relname, c.relpersistence = 't' FROM pg_catalog.pg_class c "
            f"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {self._where(table)}",
            format="tuple",
        )
        described = self._ask(
            "SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod) "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
            "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
            f"WHERE {self._where(table)} AND a.attnum > 0 AND NOT a.attisdropped",
            format="tuple",
        )
        columns = {column: (kind, written) for column, kind, written in described}
        return Target(schema, name, temporary, columns)

    def _append(self, rows: pa.Table, target: Target) -> None:
        """Add rows to a table of its own types; by way of a table of theirs where the server has to cast."""
        own = self._own
        missing = [name for name in rows.column_names if name not in target.columns]
        if missing:
            raise DuctArgumentError(
                f"{own.name}: the table {target.name!r} has no column {missing[0]!r}; "
                f"it has {', '.join(target.columns)}"
            )
        direct = fitted(rows, target, own.name)
        if direct is not None:
            self._ingest(direct, target)
            return
        stage = own._parse_namespaces(own._quote(new_name()))
        sent = sendable(rows)
        staged = self._created(sent, stage, "TEMPORARY ")
        self._ingest(cast("pa.Table", fitted(sent, staged, own.name)), staged)
        names = [own._quote(name) for name in rows.column_names]
        casts = [f"CAST({own._quote(name)} AS {target.columns[name][1]})" for name in rows.column_names]
        place = f"{own._quote(target.schema)}.{own._quote(target.name)}"
        self._run_text(f"INSERT INTO {place} ({', '.join(names)}) SELECT {', '.join(casts)} FROM {stage}")
        self._run_text(f"DROP TABLE {stage}")

    def _ingest(self, rows: pa.Table, target: Target) -> None:
        """Copy rows of a table's own types into it."""
        own = self._own
        where: dict[str, Any] = {"temporary": True}
        if not target.temporary:
            where = {"db_schema_name": target.schema}

        def copy() -> None:
            link = own._on(None)
            cursor = link.cursor()
            link.call(lambda: cursor.adbc_ingest(target.name, rows, mode="append", **where))

        own._call(copy)
