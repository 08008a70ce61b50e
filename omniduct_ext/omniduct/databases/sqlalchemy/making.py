"""Tables made step by step, where a service has no CREATE TABLE AS, or gives no table another name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omniduct.databases.filling import IfExists
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.sqlalchemy.reflection import ReflectedTables
from omniduct.databases.statements import Statement
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MadeTables"]

Columns = list[tuple[str, Any]]
"""The names of columns, and their types as SQLAlchemy's."""


class MadeTables(ReflectedTables):
    """How a table is made and filled in steps; a part of `SQLAlchemyClient`."""

    def _column_types(self, cursor: Any) -> list[pa.DataType | None]:
        raise NotImplementedError

    def _fill_anew(
        self,
        prepared: list[Statement],
        table: ParsedNamespaces,
        if_exists: IfExists,
        options: dict[str, Any],
        how: str,
    ) -> None:
        if self._facts.makes_of_queries:
            super()._fill_anew(prepared, table, if_exists, options, how)
            return
        self._check_no_transaction()
        columns, last = self._described(prepared, options), prepared[-1:]
        if if_exists == "fail":
            self._make(table, columns, lambda: self._last(last, f"INSERT INTO {table}", options))
            return
        stage = self._beside(table)
        self._make(stage, columns, lambda: self._last(last, f"INSERT INTO {stage}", options))
        if if_exists == "replace":
            self._remake(stage, table, columns)
        else:
            self._refilled(stage, table, how)

    def _described(self, prepared: list[Statement], options: dict[str, Any]) -> Columns:
        """The columns of the last statement's result, after all that comes before it has run."""
        query = f"SELECT * FROM (\n{prepared[-1].text}\n) AS omniduct_query WHERE 1 = 0"
        last = dataclasses.replace(prepared[-1], text=query)
        return self._run([*prepared[:-1], last], self._columns_of_result, options)

    def _columns_of_result(self, cursor: Any) -> Columns:
        from omniduct.databases.sqlalchemy.storing import type_of_column

        return [
            (str(column[0]), type_of_column(kind, column[2]))
            for column, kind in zip(cursor.description, self._column_types(cursor), strict=True)
        ]

    def _make(self, table: ParsedNamespaces, columns: Columns, fill: Callable[[], None]) -> None:
        """Make a table and fill it; it is dropped again if that fails."""
        self._create(table, columns)
        try:
            fill()
        except BaseException:
            self._drop_quietly(table)
            raise

    def _create(self, table: ParsedNamespaces, columns: Columns) -> None:
        from omniduct.databases.sqlalchemy.storing import create_statement

        self.connect()
        assert self._link is not None
        self._run_text(create_statement(columns, str(table), self._quote, self._link.connection.dialect))

    def _remake(self, stage: ParsedNamespaces, table: ParsedNamespaces, columns: Columns) -> None:
        """Put the rows of a table into another of such columns, which takes the place of a former one."""
        try:
            self._run_text(f"DROP TABLE {table}")
        except BaseException:
            self._drop_quietly(stage)
            raise
        # From here on only the stage has the rows, so it stays if this fails.
        self._make(table, columns, lambda: self._run_text(f"INSERT INTO {table} SELECT * FROM {stage}"))
        self._run_text(f"DROP TABLE {stage}")

    def _refilled(self, stage: ParsedNamespaces, table: ParsedNamespaces, how: str) -> None:
        try:
            with self._together():
                self._run_text(f"DELETE FROM {table}")
                self._run_text(f"INSERT INTO {table}{how} SELECT * FROM {stage}")
        finally:
            self._run_text(f"DROP TABLE {stage}")

    def _drop_quietly(self, table: ParsedNamespaces) -> None:
        """Drop a table of ours, if it is there."""
        if self._table_exists(table):
            self._run_text(f"DROP TABLE {table}")

    def _check_no_transaction(self) -> None:
        """Complain before a table is made in a transaction that cannot take it."""
        if self._on_session(self._in_transaction):
            why = (
                "would commit it when a table is made"
                if self._facts.makes_of_queries
                else "fills no table in the transaction that makes it"
            )
            raise DuctStatementError(
                f"{self.name}: a transaction is open, and {self._dialect} {why}: make the table outside of "
                "it, or use if_exists='append'"
            )
