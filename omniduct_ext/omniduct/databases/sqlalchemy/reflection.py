"""The catalog of a database through SQLAlchemy, on the session's own connection: it sees temporary tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.sqlalchemy.connections import SQLAlchemyConnections
from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    from sqlalchemy import Inspector

__all__ = ["ReflectedTables"]

_Result = TypeVar("_Result")


class ReflectedTables(SQLAlchemyConnections):
    """What SQLAlchemy says of tables; a part of `SQLAlchemyClient`."""

    def _parse_namespaces(self, name: object, write: bool = False) -> ParsedNamespaces:
        return super()._parse_namespaces(self._folded(name), write)

    def _parse_prefix(self, name: object) -> ParsedNamespaces:
        return super()._parse_prefix(self._folded(name))

    def _folded(self, name: object) -> object:
        """A name without quotes as the service reads it: some read one in capitals."""
        if self._facts.upper and isinstance(name, str) and self.NAMESPACE_QUOTECHAR not in name:
            return name.upper()
        return name

    def _inspected(self, ask: Callable[[Inspector], _Result]) -> _Result:
        """Ask SQLAlchemy about the database."""

        def call() -> _Result:
            import sqlalchemy

            link = self._link
            assert link is not None
            try:
                with link.inside():
                    return ask(sqlalchemy.inspect(link.connection))
            finally:
                if not link.is_told and not link.begun:
                    link.connection.rollback()  # SQLAlchemy has really begun a transaction

        return self._call(call)

    def _schema(self, namespace: ParsedNamespaces) -> str | None:
        """The levels above the table, as SQLAlchemy takes them; None for the current ones."""
        levels = [level for level in self.NAMESPACE_NAMES if level != "table"]
        given = [part for level in levels if (part := namespace.as_dict().get(level))]
        return ".".join(self._normal(part) for part in given) or None

    def _normal(self, name: str) -> str:
        """A name as SQLAlchemy has it, for which one in capitals is one that ignores case."""
        if not self._facts.upper:
            return name
        if name.isupper():
            return name.lower()
        from sqlalchemy.sql import quoted_name

        return quoted_name(name, True)

    def _denormal(self, name: str) -> str:
        return name.upper() if self._facts.upper and name.islower() else name

    def _made_name(self, name: str) -> str:
        """The name of a new column for one that needs no quotes, as whoever leaves them out will write it."""
        if not self._facts.upper:
            return name
        self.connect()
        assert self._link is not None
        needs_none = self._link.connection.dialect.identifier_preparer.quote(name) == name
        return name.upper() if needs_none else name

    def _shown(self, columns: dict[str, list[Any]], options: dict[str, Any]) -> Any:
        """What was found, in the format that was asked for."""
        import pyarrow as pa

        chosen = self._formatter(options.pop("format", None), options.pop("format_opts", None))
        self._check_options(options)
        return chosen.dump(pa.table({name: pa.array(v, pa.string()) for name, v in columns.items()}))

    # The hooks

    def _table_list(self, namespace: ParsedNamespaces, **kwargs: Any) -> Any:
        found = self._inspected(lambda inspector: self._tables_of(inspector, self._schema(namespace)))
        schemas, names, kinds = map(list, zip(*found, strict=True)) if found else ([], [], [])
        return self._shown({"table_schema": schemas, "table_name": names, "table_type": kinds}, kwargs)

    def _tables_of(self, inspector: Inspector, schema: str | None) -> list[tuple[str | None, str, str]]:
        shown = schema or inspector.default_schema_name
        kinds = {"BASE TABLE": inspector.get_table_names(schema), "VIEW": inspector.get_view_names(schema)}
        if schema is None:
            kinds["LOCAL TEMPORARY"] = _if_it_can(inspector.get_temp_table_names)
        found = {(shown, self._denormal(name), kind) for kind, names in kinds.items() for name in names}
        return sorted(found, key=lambda each: each[1:])

    def _namespace_list(self, *above: str) -> list[str]:
        found = self._inspected(lambda inspector: inspector.get_schema_names())
        return [self._denormal(name) for name in found]

    def _table_exists(self, table: ParsedNamespaces, **kwargs: Any) -> bool:
        self._check_options(kwargs)
        return bool(self._inspected(lambda inspector: self._has(inspector, table)))

    def _has(self, inspector: Inspector, table: ParsedNamespaces) -> bool:
        return inspector.has_table(self._normal(str(table.name)), self._schema(table))

    def _table_desc(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        columns = self._columns_of(table)
        described = {
            "column_name": [self._denormal(column["name"]) for column in columns],
            "data_type": [self._type_name(column["type"]) for column in columns],
            "is_nullable": ["YES" if column.get("nullable", True) else "NO" for column in columns],
            "column_default": [column.get("default") for column in columns],
        }
        return self._shown(described, kwargs)

    def _columns_of(self, table: ParsedNamespaces) -> list[Any]:
        name, schema = self._normal(str(table.name)), self._schema(table)
        return list(self._inspected(lambda inspector: inspector.get_columns(name, schema)))

    def _type_name(self, kind: Any) -> str:
        assert self._link is not None
        try:
            return str(kind.compile(dialect=self._link.connection.dialect))
        except Exception:  # SQLAlchemy does not know it
            return str(kind)

    def _table_head(self, table: ParsedNamespaces, n: int, **kwargs: Any) -> Any:
        import sqlalchemy as sa

        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise DuctConfigError(f"{self.name}: the number of rows cannot be {n!r}")
        self.connect()
        assert self._link is not None
        named = sa.table("omniduct_table")  # whose place takes a name that is quoted already
        head: Any = sa.select(sa.literal_column("*")).select_from(named).limit(n)
        written = head.compile(dialect=self._link.connection.dialect, compile_kwargs={"literal_binds": True})
        return self._ask(str(written).replace("omniduct_table", str(table)), **kwargs)

    def _table_props(self, table: ParsedNamespaces, **kwargs: Any) -> Any:
        name, schema = self._normal(str(table.name)), self._schema(table)

        def ask(inspector: Inspector) -> dict[str, list[Any]]:
            found = {
                "table_schema": schema or inspector.default_schema_name,
                "table_name": str(table.name),
                "table_type": "VIEW" if name in inspector.get_view_names(schema) else "BASE TABLE",
                "comment": (_if_it_can(inspector.get_table_comment, name, schema) or {}).get("text"),
                "primary_key": _json(inspector.get_pk_constraint(name, schema).get("constrained_columns")),
                "indexes": _json(inspector.get_indexes(name, schema)),
                "foreign_keys": _json(inspector.get_foreign_keys(name, schema)),
                **{
                    key: str(value)
                    for key, value in _if_it_can(inspector.get_table_options, name, schema).items()
                },
            }
            return {key: [value] for key, value in found.items()}

        return self._shown(self._inspected(ask), kwargs)


def _if_it_can(ask: Callable[..., Any], *given: Any) -> Any:
    """What a dialect says; nothing if it does not say such things."""
    try:
        return ask(*given)
    except NotImplementedError:
        return {}


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
