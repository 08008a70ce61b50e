"""Filling a table with the result of a query: anew, in the place of another, or more rows."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.statements import Statement
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["Filling", "IfExists", "new_name", "taken"]

IfExists = Literal["fail", "replace", "append", "delete_rows"]


class Filling:
    """How rows get into tables; a part of `DatabaseClient`."""

    CREATE_OR_REPLACE: ClassVar[bool] = False
    """Whether the database has ``CREATE OR REPLACE TABLE``."""

    def _query_to_table(
        self, statement: str, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        own = _own(self)
        prepared = own._statements(statement, kwargs)  # takes the options that are about the text
        self._fill(prepared, table, if_exists, kwargs)

    def _fill(
        self,
        prepared: list[Statement],
        table: ParsedNamespaces,
        if_exists: IfExists,
        options: dict[str, Any],
        how: str = "",
    ) -> None:
        """Fill a table with the result of the last statement; `how` stands behind INSERT INTO its name."""
        exists = _own(self)._table_exists(table)
        if exists and if_exists == "fail":
            raise taken(_own(self).name, table)
        if exists and if_exists == "append":
            self._last(prepared, f"INSERT INTO {table}{how}", options)
        else:
            self._fill_anew(prepared, table, if_exists if exists else "fail", options, how)

    def _fill_anew(
        self,
        prepared: list[Statement],
        table: ParsedNamespaces,
        if_exists: IfExists,
        options: dict[str, Any],
        how: str,
    ) -> None:
        """Fill a table of which no row stays; "fail" stands for one that is not there."""
        if if_exists == "delete_rows":
            self._refill(prepared, table, options, how)
        elif if_exists == "fail":
            self._last(prepared, f"CREATE TABLE {table} AS", options)
        elif self.CREATE_OR_REPLACE:
            self._last(prepared, f"CREATE OR REPLACE TABLE {table} AS", options)
        else:
            self._replace(prepared, table, options)

    def _last(self, prepared: list[Statement], head: str, options: dict[str, Any]) -> None:
        """Run the statements, the last of them behind other words."""
        own = _own(self)
        last = dataclasses.replace(prepared[-1], text=f"{head} {prepared[-1].text}")
        own._run([*prepared[:-1], last], own._exhaust, options)

    def _replace(self, prepared: list[Statement], table: ParsedNamespaces, options: dict[str, Any]) -> None:
        """Put a new table in the place of one that the query may read: all of it, or nothing."""
        stage = self._beside(table)
        with self._together():
            self._last(prepared, f"CREATE TABLE {stage} AS", options)
            self._run_text(f"DROP TABLE {table}")
            self._rename(stage, table)

    def _rename(self, table: ParsedNamespaces, to: ParsedNamespaces) -> None:
        """Rename a table within its schema."""
        self._run_text(f"ALTER TABLE {table} RENAME TO {_own(self)._quote(str(to.name))}")

    def _refill(
        self, prepared: list[Statement], table: ParsedNamespaces, options: dict[str, Any], how: str
    ) -> None:
        """Replace the rows of a table by those of a query, which may read it: none is lost if it fails."""
        stage = _own(self)._quote(new_name())
        self._last(prepared, f"CREATE TEMPORARY TABLE {stage} AS", options)
        try:
            with self._together():
                self._run_text(f"DELETE FROM {table}")
                self._run_text(f"INSERT INTO {table}{how} SELECT * FROM {stage}")
        finally:
            self._drop_temporary(stage)

    def _drop_temporary(self, table: str) -> None:
        """Drop a temporary table, of which the name is quoted."""
        self._run_text(f"DROP TABLE {table}")

    def _together(self) -> AbstractContextManager[object]:
        """Within this, statements are one transaction: the user's own, if one is open."""
        own = _own(self)
        is_open = own._transaction is not None or own._on_session(own._in_transaction)
        return contextlib.nullcontext() if is_open else own.transaction()

    def _run_text(self, text: str) -> None:
        own = _own(self)
        own._run([Statement(text, ())], own._exhaust, {})

    def _beside(self, table: ParsedNamespaces) -> ParsedNamespaces:
        """A name that no table has, in the same schema."""
        own = _own(self)
        levels = [*table.as_dict().values()][:-1]
        quoted = [own._quote(level) for level in levels if level is not None]
        return own._parse_namespaces(own.NAMESPACE_SEPARATOR.join([*quoted, own._quote(new_name())]))


def taken(name: str, table: ParsedNamespaces) -> DuctStatementError:
    """The error for a table that is there already."""
    return DuctStatementError(
        f"{name}: there is a table {table} already; if_exists='replace', 'append' or 'delete_rows' says what "
        "to do with it"
    )


def new_name() -> str:
    """A name that no table has."""
    return f"omniduct_{os.urandom(6).hex()}"


def _own(filling: Filling) -> DatabaseClient:
    return cast("DatabaseClient", filling)
