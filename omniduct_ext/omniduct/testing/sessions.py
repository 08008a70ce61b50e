"""The contract of the session: temporary tables, settings, transactions."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctError, DuctStatementError
from omniduct.testing.area import Area, of
from omniduct.testing.facts import Setting

__all__ = ["SessionsContract"]


class SessionsContract(Area):
    """What lasts from one statement to the next."""

    @of("connect, disconnect")
    def test_a_duct_connects_when_it_is_used(self, duct: DatabaseClient) -> None:
        own = self._another(duct)
        assert not own.is_connected()
        assert self.rows(own, self.select("1")) == [(1,)]
        assert own.is_connected()
        own.disconnect()
        assert not own.is_connected()
        assert self.rows(own, self.select("1")) == [(1,)]
        own.disconnect()

    @of("temporary tables", "temporary_tables")
    def test_a_temporary_table_lives_as_long_as_the_session(self, duct: DatabaseClient, table: str) -> None:
        own = self._another(duct)
        own.execute(f"CREATE TEMPORARY TABLE {table} (a {self.facts.integer})")
        own.execute(f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(DuctStatementError):
            own.query("SELEC 1")
        assert self.listed(own, table) == [1]
        with pytest.raises(DuctStatementError):
            duct.query(f"SELECT * FROM {table}")
        own.disconnect()
        with pytest.raises(DuctStatementError):
            own.query(f"SELECT * FROM {table}")
        own.disconnect()

    def _another(self, duct: DatabaseClient) -> DatabaseClient:
        """A duct to the same place with a session of its own; a copy has no password."""
        own = copy.copy(duct)
        own._password = duct._password
        return own

    # Settings

    def _setting(self) -> Setting:
        return self.facts.setting or Setting("contract", 1, self.select("1"))

    def _is_set(self, duct: DatabaseClient, **options: Any) -> bool:
        setting = self._setting()
        return bool(self.rows(duct, setting.ask, **options) == [(setting.shown or setting.value,)])

    @of("session_properties", "session_properties")
    def test_a_setting_for_one_call_is_taken_back(self, duct: DatabaseClient) -> None:
        properties = {self._setting().name: self._setting().value}
        former = self.rows(duct, self._setting().ask)
        assert not self._is_set(duct)
        assert self._is_set(duct, session_properties=properties)
        assert self.rows(duct, self._setting().ask) == former
        cursor = duct.execute(self._setting().ask, session_properties=properties)
        assert tuple(cursor.fetchone()) != former[0]

    @of("session_properties", "session_properties")
    def test_a_setting_is_taken_back_after_a_failure(self, duct: DatabaseClient) -> None:
        properties = {self._setting().name: self._setting().value}
        former = self.rows(duct, self._setting().ask)
        for bad in ("SELECT * FROM contract_nowhere", "SELEC 1", self.facts.fails_late):
            with pytest.raises(DuctStatementError):
                duct.query(bad, session_properties=properties)
            assert self.rows(duct, self._setting().ask) == former

    @of("session_properties", "session_properties")
    def test_a_setting_of_the_duct_holds_for_every_session(self, duct: DatabaseClient) -> None:
        own = self._another(duct)
        own.session_properties = {**own.session_properties, self._setting().name: self._setting().value}
        assert self._is_set(own)
        own.disconnect()
        assert self._is_set(own)
        assert [tuple(row) for row in own.stream(self._setting().ask)] == self.rows(own, self._setting().ask)
        own.disconnect()
        assert not self._is_set(duct)

    @of("session_properties", "session_properties")
    def test_a_stream_takes_settings_of_its_own(self, duct: DatabaseClient) -> None:
        properties = {self._setting().name: self._setting().value}
        former = self.rows(duct, self._setting().ask)
        found = [tuple(row) for row in duct.stream(self._setting().ask, session_properties=properties)]
        assert found == [(self._setting().shown or self._setting().value,)]
        assert self.rows(duct, self._setting().ask) == former

    @of("session_properties", "session_properties")
    def test_a_setting_that_there_is_none_of_is_an_error(self, duct: DatabaseClient) -> None:
        assert self._is_set(duct, session_properties={self._setting().name: self._setting().value})
        with pytest.raises(DuctError):
            duct.query(self.select("1"), session_properties={"contract_nowhere": 1})
        assert self.rows(duct, self.select("1")) == [(1,)]

    # Transactions

    @of("transaction")
    def test_every_statement_is_committed_by_itself(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        duct.disconnect()
        assert duct.table_exists(table)

    @of("transaction", "transaction")
    def test_a_transaction_is_committed_and_reads_what_it_wrote(
        self, duct: DatabaseClient, table: str
    ) -> None:
        self.filled(duct, table)
        with duct.transaction():
            duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
            assert self.listed(duct, table) == [1, 2, 3]
        assert self.listed(duct, table) == [1, 2, 3]
        with duct.transaction():  # the former has ended
            pass

    @of("transaction", "transaction")
    def test_an_exception_rolls_a_transaction_back(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.execute(f"DELETE FROM {table}")
            assert self.listed(duct, table) == []
            1 / 0  # noqa: B018
        assert self.listed(duct, table) == [1, 2]
        duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
        assert self.listed(duct, table) == [1, 2, 3]

    @of("transaction", "transaction")
    def test_a_failed_statement_that_is_let_through_rolls_it_back(
        self, duct: DatabaseClient, table: str
    ) -> None:
        self.filled(duct, table)
        with pytest.raises(DuctStatementError), duct.transaction():
            duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
            duct.execute(f"SELECT nowhere FROM {table}")
        assert self.listed(duct, table) == [1, 2]

    @of("transaction", "transaction")
    def test_a_failed_statement_that_is_caught_loses_all_or_nothing_and_says_so(
        self, duct: DatabaseClient, table: str
    ) -> None:
        self.filled(duct, table)
        kept = [1, 2, 3, 4]
        try:
            with duct.transaction():
                duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
                with pytest.raises(DuctStatementError):
                    duct.execute(f"SELECT nowhere FROM {table}")
                duct.execute(f"INSERT INTO {table} VALUES (4, 'z')")
        except DuctStatementError as error:
            assert "the transaction is over" in str(error)
            kept = [1, 2]
        assert self.listed(duct, table) == kept

    @of("transaction", "transaction")
    def test_a_transaction_within_another_is_an_error(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        with duct.transaction():
            duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
            with pytest.raises(DuctStatementError, match="open already"), duct.transaction():
                pass
        assert self.listed(duct, table) == [1, 2, 3]

    @of("transaction", "transaction", "transactional_ddl")
    def test_a_table_that_was_made_in_it_goes_with_it(self, duct: DatabaseClient, table: str) -> None:
        with pytest.raises(ZeroDivisionError), duct.transaction():
            self.filled(duct, table)
            1 / 0  # noqa: B018
        assert not duct.table_exists(table)

    @of("transaction", "transaction", "query_to_table")
    @pytest.mark.parametrize("if_exists", ["append", "delete_rows"])
    def test_filling_a_table_is_a_part_of_it(self, duct: DatabaseClient, table: str, if_exists: Any) -> None:
        self.filled(duct, table)
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.query_to_table(f"SELECT a, b FROM {table}", table, if_exists=if_exists)
            1 / 0  # noqa: B018
        assert self.listed(duct, table) == [1, 2]

    @of("transaction", "transaction", "query_to_table", "transactional_ddl")
    def test_replacing_a_table_is_a_part_of_it(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.query_to_table(self.select("1 AS z"), table, if_exists="replace")
            1 / 0  # noqa: B018
        assert self.listed(duct, table) == [1, 2]

    @of("transaction", "transaction", "write_frames", "transactional_ddl")
    def test_replacing_a_table_by_a_frame_is_a_part_of_it(self, duct: DatabaseClient, table: str) -> None:
        import pyarrow as pa

        self.filled(duct, table)
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.dataframe_to_table(pa.table({"z": [9]}), table, if_exists="replace")
            1 / 0  # noqa: B018
        assert self.listed(duct, table) == [1, 2]

    @of("transaction", "transaction", "write_frames")
    @pytest.mark.parametrize("if_exists", ["append", "delete_rows"])
    def test_writing_a_frame_is_a_part_of_it(self, duct: DatabaseClient, table: str, if_exists: Any) -> None:
        import pyarrow as pa

        self.filled(duct, table)
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.dataframe_to_table(pa.table({"a": [9], "b": ["z"]}), table, if_exists=if_exists)
            1 / 0  # noqa: B018
        assert self.listed(duct, table) == [1, 2]

    @of("transaction", "transaction")
    def test_a_setting_and_a_stream_work_within_one(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        with duct.transaction():
            assert [tuple(row) for row in duct.stream(self.facts.some_rows(2))] == [(0,), (1,)]
            duct.execute(f"INSERT INTO {table} VALUES (3, 'z')")
        assert self.listed(duct, table) == [1, 2, 3]
