"""Frames into tables by SQLAlchemy's types and a driver's ``executemany``: all of a frame, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omniduct.core.arguments import did_you_mean
from omniduct.databases.arrow.incoming import arrow_of
from omniduct.databases.filling import IfExists, taken
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.session.running import check_wanted
from omniduct.databases.sqlalchemy.links import closed_on_failure
from omniduct.databases.sqlalchemy.making import Columns, MadeTables
from omniduct.databases.statements import Statement
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LoadedTables"]

_BATCH_ROWS = 2_000  # between which a cancel is heard


class LoadedTables(MadeTables):
    """How frames become tables; a part of `SQLAlchemyClient`."""

    def _sent(self, statement: str) -> str:
        raise NotImplementedError

    def _bound(self, value: Any) -> Any:
        raise NotImplementedError

    def _dataframe_to_table(
        self, df: Any, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        from omniduct.databases.sqlalchemy.storing import storable

        self._check_options(kwargs)
        frame = storable(arrow_of(df, self.name), self._dialect, self.name)
        exists = self._table_exists(table)
        if exists and if_exists == "fail":
            raise taken(self.name, table)
        if exists and if_exists != "replace":
            self._load_into(frame, table, if_exists == "delete_rows")
        else:
            self._load_anew(frame, table, exists)

    def _load_into(self, frame: pa.Table, table: ParsedNamespaces, anew: bool) -> None:
        """Add the rows to a table, its own deleted if it is to be filled `anew`."""
        names = self._matched(frame.column_names, table)
        with self._together():
            if anew:
                self._run_text(f"DELETE FROM {table}")
            self._insert(frame, table, names)

    def _load_anew(self, frame: pa.Table, table: ParsedNamespaces, exists: bool) -> None:
        """Make the table, in the place of one that exists."""
        names = list(map(self._made_name, frame.column_names))
        if len(set(names)) == len(set(frame.column_names)):
            frame = frame.rename_columns(names)
        if not self._facts.transactional:
            self._load_beside(frame, table, exists)
            return
        with self._together():
            made = self._beside(table) if exists else table
            self._load_new(frame, made)
            if exists:
                self._run_text(f"DROP TABLE {table}")
                self._rename(made, table)

    def _load_beside(self, frame: pa.Table, table: ParsedNamespaces, exists: bool) -> None:
        """Make the table under another name, where no transaction would take it back."""
        self._check_no_transaction()
        if not self._facts.renames:
            self._load_in_steps(frame, table, exists)
            return
        stage = self._beside(table)
        try:
            self._load_new(frame, stage)
            if exists:
                self._swap(stage, table)
            else:
                self._rename(stage, table)
        except BaseException:
            self._drop_quietly(stage)
            raise

    def _load_in_steps(self, frame: pa.Table, table: ParsedNamespaces, exists: bool) -> None:
        """Make the table under its own name, or under another and then copy it."""
        stage = self._beside(table) if exists else table

        def fill() -> None:
            with self._together():
                self._insert(frame, stage, frame.column_names)

        self._make(stage, _columns(frame), fill)
        if exists:
            self._remake(stage, table, _columns(frame))

    def _swap(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        """Put a table in the place of another."""
        self._run_text(f"DROP TABLE {table}")
        self._rename(stage, table)

    def _load_new(self, frame: pa.Table, table: ParsedNamespaces) -> None:
        self._create(table, _columns(frame))
        self._insert(frame, table, frame.column_names)

    def _insert(self, frame: pa.Table, table: ParsedNamespaces, names: list[str]) -> None:
        """Insert the rows, in one transaction with what is around this."""
        columns = ", ".join(map(self._quote, names))
        marks = ", ".join(self.PLACEHOLDER.format(n=n) for n in range(1, len(names) + 1))
        statement = self._sent(f"INSERT INTO {table} ({columns}) VALUES ({marks})")

        def insert() -> None:
            link = self._link
            assert link is not None
            cursor = link.running = link.dbapi.cursor()
            with link.inside(), closed_on_failure(cursor):
                for rows in _rows(frame):
                    check_wanted()
                    if self._facts.tick > 1:
                        rows = [tuple(map(self._bound, row)) for row in rows]
                    link.connection.dialect.do_executemany(cursor, statement, rows)
            cursor.close()

        self._call(insert)

    def _matched(self, names: list[str], table: ParsedNamespaces) -> list[str]:
        """The table's columns for those of a frame: of the same name, else of one in another case.

        Raises
        ------
        DuctStatementError
            It has no such column.
        """
        there = [self._denormal(column["name"]) for column in self._columns_of(table)]
        folded = {name.casefold(): name for name in there}
        found = [name if name in there else folded.get(name.casefold()) for name in names]
        missing = [name for name, column in zip(names, found, strict=True) if column is None]
        if missing:
            near = did_you_mean(missing[0], there) or f"; its columns are {', '.join(there)}"
            raise DuctStatementError(
                f"{self.name}: the table {table} has no column {' and no column '.join(map(repr, missing))}, "
                f"which the frame has{near}"
            )
        return [column for column in found if column is not None]

    # Queries into tables

    def _last(self, prepared: list[Statement], head: str, options: dict[str, Any]) -> None:
        if head.startswith("CREATE TABLE") and not self._facts.transactional:
            self._check_no_transaction()
        super()._last(prepared, head, options)


def _columns(frame: pa.Table) -> Columns:
    from omniduct.databases.sqlalchemy.storing import type_of

    return [(field.name, type_of(field.type)) for field in frame.schema]


def _rows(frame: pa.Table) -> Iterator[list[tuple[Any, ...]]]:
    from omniduct.databases.arrow.values import pylist

    for batch in frame.to_batches(max_chunksize=_BATCH_ROWS):
        if batch.num_rows:
            yield list(zip(*map(pylist, batch.columns), strict=True))
