"""Tables filled anew where no transaction takes a step back: beside the former, and then in its place."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.presto.definitions import Definition
from omniduct.databases.session.running import shielded, tell
from omniduct.databases.statements import Statement
from omniduct.databases.tables import TableMethods
from omniduct.errors import DuctError, DuctStatementError

if TYPE_CHECKING:
    from omniduct.databases.presto.client import PrestoClient

__all__ = ["ReplacedTables", "name_of"]

_REPLACES_FROM = 431  # the version of Trino that has CREATE OR REPLACE TABLE
_CANNOT = ("NOT_SUPPORTED", "SYNTAX_ERROR")  # the connector cannot, or the server has no such statement


class ReplacedTables(TableMethods):
    """How the rows of a table, or all of it, are replaced; a part of `PrestoClient`.

    "replace" is one CREATE OR REPLACE TABLE where the connector has it. Otherwise the new table is made
    under another name; then the former gets another name, and the new one its name: between the two there
    is, for a moment, no table of that name. Where no table can be renamed the former is dropped and the new
    one copied: there is none for as long as that takes.

    "delete_rows" is DELETE, or TRUNCATE TABLE, and an INSERT of rows that are all in another table before:
    between the two the table is empty. Where the connector has neither, another table of the same columns
    takes its place, if it has no properties that would be lost.

    Whatever fails, no row is lost: what could not be put back is in a table that a warning names.
    """

    def _definition(self, table: ParsedNamespaces) -> Definition:
        raise NotImplementedError

    @property
    def _own(self) -> PrestoClient:
        return cast("PrestoClient", self)

    @functools.cached_property
    def _replaces_not(self) -> set[tuple[str, str]]:
        """The hosts and catalogs that are known to have no CREATE OR REPLACE TABLE."""
        return set()

    # With queries

    def _replace(self, prepared: list[Statement], table: ParsedNamespaces, options: dict[str, Any]) -> None:
        last = self._run_up_to_last(prepared, options)
        if self._replace_at_once(table, lambda head: self._last(last, head, options)):
            return
        stage = self._beside(table)
        with self._dropped_on_failure(stage):
            self._last(last, f"CREATE TABLE {stage} AS", options)
        self._swap(stage, table)

    def _refill(
        self, prepared: list[Statement], table: ParsedNamespaces, options: dict[str, Any], how: str
    ) -> None:
        last = self._run_up_to_last(prepared, options)
        stage = self._like(table)
        with self._dropped_on_failure(stage):
            self._last(last, f"INSERT INTO {stage}{how}", options)
        self._replace_rows(stage, table)

    def _run_up_to_last(self, prepared: list[Statement], options: dict[str, Any]) -> list[Statement]:
        """Run all statements but the last, which may be tried in several ways."""
        self._check_no_transaction()
        if prepared[:-1]:
            self._own._run(prepared[:-1], self._own._exhaust, options)
        return prepared[-1:]

    def _check_no_transaction(self) -> None:
        """Complain before a table is filled in steps that a failure in a transaction would undo."""
        own = self._own
        if own._transaction is not None or own._on_session(own._in_transaction):
            raise DuctStatementError(
                f"{own.name}: a transaction is open, and this takes several statements that are none of it: "
                "do it outside of the transaction"
            )

    # The steps

    def _replace_at_once(self, table: ParsedNamespaces, fill: Callable[[str], object]) -> bool:
        """Have the connector replace a table, if it can.

        `fill` takes the words before the query, and gives False if that takes more than a statement.
        """
        own = self._own
        own.connect()
        self._check_is_no_view(table)
        here = str(own.host), str(table.as_dict()["catalog"])
        if own._version < _REPLACES_FROM or here in self._replaces_not:
            return False
        try:
            return fill(f"CREATE OR REPLACE TABLE {table} AS") is not False
        except DuctStatementError as error:
            if name_of(error) != "NOT_SUPPORTED":
                raise
            if "replac" in str(error):  # else it may be the query that is not supported
                self._replaces_not.add(here)
            return False

    def _check_is_no_view(self, table: ParsedNamespaces) -> None:
        kind = self._own._kind(self._own._place(table))
        if kind != "TABLE":
            raise DuctStatementError(
                f"{self._own.name}: {table} is a {kind.lower()}, whose place no table takes: drop it first, "
                "with table_drop, or name another table"
            )

    def _swap(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        """Put a table in the place of another, which is dropped."""
        former = self._beside(table)
        with self._put_back_on_failure(former, table, stage):
            renames = self._renamed(table, former)
            if renames:
                self._rename(stage, table)
        if renames:
            self._drop_quietly(former)
            return
        with self._kept_on_failure(stage, table):
            self._run_text(f"DROP TABLE {table}")
        self._copy(stage, table)

    def _take_name(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        """Give a table a name that is free."""
        with self._dropped_on_failure(stage):
            renamed = self._renamed(stage, table)
        if not renamed:
            self._copy(stage, table)

    def _renamed(self, table: ParsedNamespaces, to: ParsedNamespaces) -> bool:
        """Rename a table, if the connector can."""
        try:
            self._rename(table, to)
        except DuctStatementError as error:
            if name_of(error) != "NOT_SUPPORTED":
                raise
            return False
        return True

    def _rename(self, table: ParsedNamespaces, to: ParsedNamespaces) -> None:
        self._run_text(f"ALTER TABLE {table} RENAME TO {to}")

    def _copy(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        with self._told_on_failure(stage, table):
            self._run_text(f"CREATE TABLE {table} AS SELECT * FROM {stage}")
        self._drop_quietly(stage)

    def _like(self, table: ParsedNamespaces) -> ParsedNamespaces:
        """A new table with the columns of another."""
        stage = self._beside(table)
        with self._dropped_on_failure(stage):
            self._run_text(f"CREATE TABLE {stage} (LIKE {table})")
        return stage

    def _replace_rows(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> None:
        """Replace the rows of a table by those of one of the same columns, which is dropped."""
        with self._kept_on_failure(stage, table):
            cleared = self._cleared(table)
        if cleared:
            with self._told_on_failure(stage, table):
                self._run_text(f"INSERT INTO {table} SELECT * FROM {stage}")
            self._drop_quietly(stage)
            return
        with self._dropped_on_failure(stage):
            self._check_bare(table)
        self._swap(stage, table)

    def _cleared(self, table: ParsedNamespaces) -> bool:
        """Delete all rows of a table, if the connector can."""
        for words in ("DELETE FROM", "TRUNCATE TABLE"):
            try:
                self._run_text(f"{words} {table}")
            except DuctStatementError as error:
                if name_of(error) not in _CANNOT:
                    raise
            else:
                return True
        return False

    def _check_bare(self, table: ParsedNamespaces) -> None:
        """Complain about a table in whose place another of the same columns would not be the same."""
        definition = self._definition(table)
        kept = [*definition.properties, *(["comment"] if definition.comment else [])]
        if kept:
            raise DuctStatementError(
                f"{self._own.name}: the rows of {table} cannot be deleted: its connector has neither "
                f"DELETE nor TRUNCATE TABLE for it. Another table in its place would be without its "
                f"{', '.join(kept)}: if that is what you want, say if_exists='replace'"
            )

    # When a step fails

    @contextlib.contextmanager
    def _dropped_on_failure(self, stage: ParsedNamespaces) -> Iterator[None]:
        """Drop a table of ours that is not needed when this fails, or is interrupted."""
        try:
            yield
        except BaseException:
            self._drop_quietly(stage)
            raise

    @contextlib.contextmanager
    def _told_on_failure(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> Iterator[None]:
        """Say where the rows are when this fails."""
        try:
            yield
        except BaseException:
            tell(f"{self._own.name}: the rows that were to be in {table} are in {stage}")
            raise

    @contextlib.contextmanager
    def _kept_on_failure(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> Iterator[None]:
        """On failure drop a table of ours if the server refused; else it may have done this all the same."""
        try:
            yield
        except BaseException as error:
            if name_of(error) in ("", "USER_CANCELED"):
                tell(f"{self._own.name}: the rows that were to be in {table} are in {stage}")
            else:
                self._drop_quietly(stage)
            raise

    @contextlib.contextmanager
    def _put_back_on_failure(
        self, former: ParsedNamespaces, table: ParsedNamespaces, stage: ParsedNamespaces
    ) -> Iterator[None]:
        """When this fails: give a table its name back."""
        try:
            yield
        except BaseException:
            with shielded():
                self._put_back(former, table)
                self._drop_quietly(stage)
            raise

    def _put_back(self, former: ParsedNamespaces, table: ParsedNamespaces) -> None:
        try:
            if self._table_exists(former) and not self._table_exists(table):
                self._rename(former, table)
        except DuctError as error:
            tell(f"{self._own.name}: {table} could not get its name back, and may now be {former}: {error}")

    def _drop_quietly(self, table: ParsedNamespaces) -> None:
        """Drop a table of ours if it is there; what hinders that is no more than told."""
        try:
            with shielded():
                self._run_text(f"DROP TABLE IF EXISTS {table}")
        except DuctError as error:
            tell(f"{self._own.name}: {table}, which is needed no more, could not be dropped: {error}")


def name_of(error: BaseException) -> str:
    """The name that the server gave to what went wrong; empty if it did not say so."""
    return str(getattr(error.__cause__, "error_name", None) or "")
