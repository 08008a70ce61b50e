"""The catalogs, schemas and tables of Presto and Trino."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from omniduct.core import failures
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.presto import definitions
from omniduct.databases.presto.definitions import Definition
from omniduct.databases.presto.loading import LoadedTables
from omniduct.databases.session.explaining import near
from omniduct.databases.session.running import tell
from omniduct.databases.tables import literal
from omniduct.errors import DuctConfigError, DuctNotFound, DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PrestoTables"]

_EVERY = "*"
_PATIENCE = 30.0  # seconds, for the tables of all catalogs
_LISTED = ("table_catalog", "table_schema", "table_name", "table_type")


class _Place(NamedTuple):
    """Where a table is, in the small letters that the catalog has names in."""

    catalog: str
    schema: str
    table: str


class PrestoTables(LoadedTables):
    """The tables of a Presto or Trino.

    `table_list` takes a schema, "catalog.schema", or a catalog whose name no schema of the session's
    catalog has; ``*`` stands for all: "catalog.*" are the tables of a catalog, "*.*" those of all catalogs,
    as far as these answer within half a minute. Without a namespace it lists the session's schema; without
    such a schema its catalog, and without a catalog all.
    """

    # Lists

    def _table_list(self, namespace: ParsedNamespaces, **kwargs: Any) -> Any:
        chosen = self._own._formatter(kwargs.pop("format", None), kwargs.pop("format_opts", None))
        given = namespace.as_dict()
        return chosen.dump(self._listed(given["catalog"], given["schema"], kwargs))

    def _listed(self, catalog: str | None, schema: str | None, options: dict[str, Any]) -> pa.Table:
        here = self._here()
        if schema is None:
            return self._listed_here(here.get("catalog"), here.get("schema"), options)
        if catalog is None and schema == _EVERY:
            return self._tables(here.get("catalog", _EVERY), _EVERY, options)
        if catalog is not None:
            return self._tables_there(catalog, schema, options)
        if "catalog" in here:
            found = self._tables(here["catalog"], schema, options)
            if found.num_rows or schema.lower() in self._schemas(here["catalog"]):
                return found
        if schema.lower() in self._catalogs():
            return self._tables(schema, _EVERY, options)
        raise self._no_schema(here.get("catalog"), schema)

    def _listed_here(self, catalog: str | None, schema: str | None, options: dict[str, Any]) -> pa.Table:
        found = self._tables(catalog or _EVERY, (catalog and schema) or _EVERY, options)
        if found.num_rows or not catalog or not schema or schema.lower() in self._schemas(catalog):
            return found
        return self._tables(catalog, _EVERY, options)

    def _tables_there(self, catalog: str, schema: str, options: dict[str, Any]) -> pa.Table:
        if catalog != _EVERY and catalog.lower() not in self._catalogs():
            near_by = near(catalog, self._catalogs())
            raise DuctNotFound(f"{self._own.name}: there is no catalog {catalog!r}{near_by}")
        found = self._tables(catalog, schema, options)
        is_there = found.num_rows or _EVERY in (catalog, schema) or schema.lower() in self._schemas(catalog)
        if not is_there:
            raise self._no_schema(catalog, schema)
        return found

    def _tables(self, catalog: str, schema: str, options: dict[str, Any]) -> pa.Table:
        """The tables of a catalog's schema; of all where one is ``*``."""
        if catalog == _EVERY:
            return self._tables_of_all(schema, options)
        where = f"= {literal(schema.lower())}" if schema != _EVERY else "<> 'information_schema'"
        return self._ask(
            f"SELECT {', '.join(_LISTED)} FROM {self._own._quote(catalog)}.information_schema.tables "
            f"WHERE table_schema {where} ORDER BY table_schema, table_name",
            **{**options, "format": "arrow"},
        )

    def _tables_of_all(self, schema: str, options: dict[str, Any]) -> pa.Table:
        """The tables of all catalogs, one after the other: as far as they answer in time."""
        import pyarrow as pa

        deadline, missing = time.monotonic() + _PATIENCE, []
        found = [pa.table({name: pa.array([], pa.string()) for name in _LISTED})]
        given = dict(options.pop("session_properties", None) or {})
        for catalog in self._catalogs():
            left = deadline - time.monotonic()
            limit = {"query_max_run_time": f"{max(left, 1):.0f}s", **given}
            try:
                if left <= 0:
                    raise DuctStatementError("there was no time left for it")
                found.append(self._tables(catalog, schema, {**options, "session_properties": limit}))
            except DuctStatementError as error:
                missing.append(f"{catalog} ({str(error).partition(chr(10))[0]})")
        if missing:
            tell(f"{self._own.name}: the list is without the tables of {'; '.join(missing)}")
        return pa.concat_tables(found)

    def _here(self) -> dict[str, str]:
        """The catalog and schema of the session."""
        self._own.connect()
        return self._own.NAMESPACE_DEFAULTS_READ

    def _namespace_list(self, *above: str) -> list[str]:
        return self._schemas(*above) if above else self._catalogs()

    # Names

    def _names_of_tables(self) -> list[str]:
        here = self._here()
        if "catalog" not in here or "schema" not in here:
            return []
        return self._names_in(here["catalog"], here["schema"])

    def _names_in(self, catalog: str, schema: str) -> list[str]:
        return list(self._tables(catalog, schema, {})["table_name"].to_pylist())

    def _near_tables(self, table: ParsedNamespaces) -> str:
        place = self._place(table)
        catalogs = self._catalogs()
        if place.catalog not in catalogs:
            return near(place.catalog, catalogs)
        schemas = self._schemas(place.catalog)
        if place.schema not in schemas:
            return near(place.schema, schemas)
        return near(place.table, self._names_in(place.catalog, place.schema))

    def _no_schema(self, catalog: str | None, schema: str) -> DuctNotFound:
        names = [*(self._schemas(catalog) if catalog else []), *self._catalogs()]
        among = f"the catalog {catalog!r}" if catalog else "the session, which has no catalog"
        return DuctNotFound(
            f"{self._own.name}: there is no schema {schema!r} in {among}, nor a catalog of that name"
            f"{near(schema, names)}"
        )

    def _catalogs(self) -> list[str]:
        return self._firsts("SHOW CATALOGS")

    def _schemas(self, catalog: str) -> list[str]:
        return self._firsts(f"SHOW SCHEMAS FROM {self._own._quote(catalog)}")

    def _firsts(self, statement: str) -> list[str]:
        """The first column of a result."""
        return [str(row[0]) for row in self._ask(statement, format="tuple")]

    def _place(self, table: ParsedNamespaces) -> _Place:
        parts = {level: (name or "").lower() for level, name in table.as_dict().items()}
        for level in ("schema", "catalog"):
            if not parts[level]:
                raise DuctConfigError(
                    f"{self._own.name}: the {level} of {table} is not known: name it as "
                    "catalog.schema.table, run USE catalog.schema, or give the duct a catalog and a schema"
                )
        return _Place(**parts)

    # One table

    def _table_exists(self, table: ParsedNamespaces, **kwargs: Any) -> bool:
        place = self._place(table)
        try:
            return bool(self._kinds(place, kwargs))
        except DuctStatementError:
            if place.catalog in self._catalogs():
                raise
            return False

    def _kinds(self, place: _Place, options: dict[str, Any]) -> list[str]:
        """BASE TABLE or VIEW; nothing if there is no such table."""
        return list(self._rows_of(place, "tables", "table_type", options)["table_type"].to_pylist())

    def _rows_of(self, place: _Place, relation: str, columns: str, options: dict[str, Any]) -> pa.Table:
        return self._ask(
            f"SELECT {columns} FROM {self._own._quote(place.catalog)}.information_schema.{relation} "
            f"WHERE table_schema = {literal(place.schema)} AND table_name = {literal(place.table)}",
            **{**options, "format": "arrow"},
        )

    def _kind(self, place: _Place) -> str:
        """What DROP and SHOW CREATE call it."""
        kind = next(iter(self._kinds(place, {})), "BASE TABLE")
        if kind == "BASE TABLE":
            return "MATERIALIZED VIEW" if self._is_materialized(place) else "TABLE"
        return kind

    def _is_materialized(self, place: _Place) -> bool:
        if not self._own._version:  # Presto does not tell
            return False
        found = self._if_told(
            "SELECT 1 FROM system.metadata.materialized_views WHERE "
            f"catalog_name = {literal(place.catalog)} AND schema_name = {literal(place.schema)} "
            f"AND name = {literal(place.table)}"
        )
        return found is not None and found.num_rows > 0

    def _if_told(self, statement: str) -> pa.Table | None:
        """What a statement gives that may be refused; it is not run where that would undo a transaction."""
        own = self._own
        if own._transaction is not None or own._on_session(own._in_transaction):
            return None
        try:
            return self._ask(statement, format="arrow")
        except DuctStatementError as error:
            failures.log(own, "asking about a table", error)
            return None

    def _table_desc(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        import pyarrow as pa

        chosen = self._own._formatter(kwargs.pop("format", None), kwargs.pop("format_opts", None))
        shown = self._columns(table, kwargs)
        more = self._rows_of(
            self._place(table), "columns", "column_name, is_nullable, column_default", kwargs
        )
        known = {row["column_name"]: row for row in more.to_pylist()}
        names = shown["Column"].to_pylist()
        described = {
            "column_name": names,
            "data_type": shown["Type"].to_pylist(),
            **{
                key: [known.get(name, {}).get(key) for name in names]
                for key in ("is_nullable", "column_default")
            },
            "extra": [text or None for text in shown["Extra"].to_pylist()],
            "comment": [text or None for text in shown["Comment"].to_pylist()],
        }
        return chosen.dump(
            pa.table({name: pa.array(values, pa.string()) for name, values in described.items()})
        )

    def _columns(self, table: ParsedNamespaces, options: dict[str, Any]) -> pa.Table:
        return self._ask(f"SHOW COLUMNS FROM {table}", **{**options, "format": "arrow"})

    def _types_of(self, table: ParsedNamespaces) -> dict[str, str]:
        shown = self._columns(table, {})
        types = dict(zip(shown["Column"].to_pylist(), shown["Type"].to_pylist(), strict=True))
        # of rows Trino shows the names without quotes, and so not where a type begins
        return self._types_of_answer(table) if any("row(" in kind for kind in types.values()) else types

    def _types_of_answer(self, table: ParsedNamespaces) -> dict[str, str]:
        own = self._own

        def ask() -> dict[str, str]:
            query = own._on(None).run(f"SELECT * FROM {table} LIMIT 0")
            for _ in query.rows():
                pass
            return {column["name"]: column["type"] for column in query.columns or []}

        return own._call(ask)

    def _table_props(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        import pyarrow as pa

        own, place = self._own, self._place(table)
        chosen = own._formatter(kwargs.pop("format", None), kwargs.pop("format_opts", None))
        own._check_options(kwargs)
        kind = self._kind(place)
        text = self._created(table, kind)
        definition = definitions.read(text or "")
        found = {
            **dict(zip(_LISTED, (*place, "BASE TABLE" if kind == "TABLE" else kind), strict=True)),
            "comment": definition.comment,
            "estimated_rows": self._count(table) if kind == "TABLE" else None,
            **definition.properties,
            "definition": text,
        }
        return chosen.dump(pa.table({name: pa.array([value]) for name, value in found.items()}))

    def _definition(self, table: ParsedNamespaces) -> Definition:
        return definitions.read(self._created(table, self._kind(self._place(table))) or "")

    def _created(self, table: ParsedNamespaces, kind: str) -> str | None:
        """The statement that makes a table, if the server tells it."""
        found = self._if_told(f"SHOW CREATE {kind} {table}")
        return None if found is None else found.column(0)[0].as_py()

    def _count(self, table: ParsedNamespaces) -> int | None:
        """How many rows a table has by its statistics, if it has any: their last row is about all columns."""
        found = self._if_told(f"SHOW STATS FOR {table}")
        counts = [] if found is None else found["row_count"].to_pylist()
        return next((int(count) for count in reversed(counts) if count is not None), None)

    def _table_partition_cols(self, table: ParsedNamespaces, **kwargs: Any) -> list[str]:
        shown = self._columns(table, kwargs)
        columns = zip(shown["Column"].to_pylist(), shown["Extra"].to_pylist(), strict=True)
        marked = [name for name, extra in columns if extra and "partition key" in extra]
        return marked or self._definition(table).partitions

    def _table_drop(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        kind = self._kind(self._place(table))
        return self._own.execute(f"DROP {kind} {table}", template=False, **kwargs)
