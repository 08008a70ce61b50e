"""Frames into tables: all rows arrive, or none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.incoming import arrow_of
from omniduct.databases.filling import IfExists, taken
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.presto.replacing import ReplacedTables
from omniduct.databases.presto.rows import in_unit, of_new, of_table
from omniduct.databases.presto.sending import Sending
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LoadedTables"]

_PRECISION = re.compile(r"the configured precision is (MILLI|MICRO|NANO)SECONDS")
_UNITS = {"MILLI": "ms", "MICRO": "us", "NANO": "ns"}


class LoadedTables(ReplacedTables):
    """How frames become tables; a part of `PrestoClient`.

    The rows are sent as the JSON of whole columns, in statements of up to a million characters. Those of a
    frame that takes several go into a table beside, whose name begins with ``omniduct_``, and from there
    into theirs in one step. For that the user needs the right to make tables in the schema.

    The coordinator keeps the text of statements for a while, in 5 to 10 bytes of its memory a character:
    this is for frames of up to a million rows or so, and not for those that fill a disk.
    """

    def _types_of(self, table: ParsedNamespaces) -> dict[str, str]:
        """Of each column of a table: name -> type."""
        raise NotImplementedError

    @property
    def _has_digits(self) -> bool:
        """Whether times have a precision, as in Trino; in Presto it is always milliseconds."""
        self._own.connect()
        return self._own._version > 0

    def _dataframe_to_table(
        self, df: Any, table: ParsedNamespaces, if_exists: IfExists, **kwargs: Any
    ) -> None:
        own = self._own
        properties = kwargs.pop("session_properties", None)
        own._check_options(kwargs)
        frame = arrow_of(df, own.name)
        exists = self._table_exists(table)
        if exists and if_exists == "fail":
            raise taken(own.name, table)
        if not exists or if_exists == "replace":
            self._load_anew(frame, table, exists, properties)
            return
        types = self._types_of(table)
        rows = of_table(frame, types, str(table), self._has_digits, own._quote, own.name)
        add = self._load_instead if if_exists == "delete_rows" else self._append
        add(Sending(own, rows, properties), table)

    # Into a table that is there

    def _append(self, sending: Sending, table: ParsedNamespaces) -> None:
        names = sending.rows.names
        if not sending.rows.count or sending.at_once(f"INSERT INTO {table} ({names})"):
            return
        stage = self._staged(sending, table)
        with self._dropped_on_failure(stage):
            self._run_text(f"INSERT INTO {table} ({names}) SELECT {names} FROM {stage}")
        self._drop_quietly(stage)

    def _load_instead(self, sending: Sending, table: ParsedNamespaces) -> None:
        """Send rows that take the place of all others."""
        self._check_no_transaction()
        stage = self._like(table)
        head = f"INSERT INTO {stage} ({sending.rows.names})"
        with self._dropped_on_failure(stage):
            sending.in_pieces(head, head)
        self._replace_rows(stage, table)

    def _staged(self, sending: Sending, table: ParsedNamespaces) -> ParsedNamespaces:
        """A new table with the rows."""
        self._check_no_transaction()
        stage = self._beside(table)
        with self._dropped_on_failure(stage):
            sending.in_pieces(f"CREATE TABLE {stage} AS", f"INSERT INTO {stage} ({sending.rows.names})")
            self._check_digits(sending, stage)
        return stage

    # Into a new one

    def _load_anew(self, frame: pa.Table, table: ParsedNamespaces, exists: bool, properties: Any) -> None:
        try:
            self._make(frame, table, exists, properties)
        except DuctStatementError as error:
            found = _PRECISION.search(str(error))
            if found is None:
                raise
            unit = _UNITS[found[1]]
        else:
            return
        # Hive's timestamps are all of one precision; which one, shows when it refuses another.
        self._make(in_unit(frame, unit, self._own.name), table, exists, properties)

    def _make(self, frame: pa.Table, table: ParsedNamespaces, exists: bool, properties: Any) -> None:
        own = self._own
        sending = Sending(own, of_new(frame, self._has_digits, own._quote, own.name), properties)
        if exists:
            self._check_no_transaction()
        if not sending.rows.finest and self._make_at_once(sending, table, exists):
            return
        stage = self._staged(sending, table)
        if not exists:
            self._take_name(stage, table)
        elif self._replace_by(stage, table):
            self._drop_quietly(stage)
        else:
            self._swap(stage, table)

    def _make_at_once(self, sending: Sending, table: ParsedNamespaces, exists: bool) -> bool:
        if exists:
            return self._replace_at_once(table, sending.at_once)
        return sending.at_once(f"CREATE TABLE {table} AS")

    def _replace_by(self, stage: ParsedNamespaces, table: ParsedNamespaces) -> bool:
        """Have the connector replace a table by a copy of another, if it can."""
        with self._dropped_on_failure(stage):
            return self._replace_at_once(table, lambda head: self._run_text(f"{head} SELECT * FROM {stage}"))

    def _check_digits(self, sending: Sending, stage: ParsedNamespaces) -> None:
        """Complain if the connector has cut times off: it makes columns of types that it has."""
        if not sending.rows.finest:
            return
        types = self._types_of(stage)
        for name in sending.rows.finest:
            if "(9)" not in types[name]:
                raise DuctStatementError(
                    f"{self._own.name}: the column {name!r} has parts of a microsecond, and the connector "
                    f"stores it as {types[name]}: round it first"
                )
