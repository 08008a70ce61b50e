"""The contract of statements: cursors, results, several in one text, files, failures, cancelling."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import (
    DuctArgumentError,
    DuctConfigError,
    DuctError,
    DuctNotFound,
    DuctStatementError,
)
from omniduct.testing.area import Area, of

__all__ = ["StatementsContract", "cancelled_soon"]

PATIENCE = 10.0  # seconds until a statement that was cancelled has ended


class StatementsContract(Area):
    """`execute`, `query` and their kin."""

    @of("execute")
    def test_a_statement_gives_a_cursor_of_the_db_api(self, duct: DatabaseClient, table: str) -> None:
        cursor = duct.execute(self.filled(duct, table))
        assert [column[0] for column in cursor.description] == self.named("a", "b")
        assert tuple(cursor.fetchone()) == (1, "x")
        assert [tuple(row) for row in cursor.fetchmany(5)] == [(2, None)]
        assert cursor.fetchone() is None
        assert list(cursor.fetchall()) == []

    @of("execute")
    def test_a_cursor_stays_readable_whatever_runs_after_it(self, duct: DatabaseClient, table: str) -> None:
        cursor = duct.execute(self.filled(duct, table))
        duct.execute(f"DELETE FROM {table}")
        with pytest.raises(DuctStatementError):
            duct.execute(f"SELECT nowhere FROM {table}")
        duct.execute(f"DROP TABLE {table}")
        assert [tuple(row) for row in cursor.fetchall()] == [(1, "x"), (2, None)]

    @of("execute")
    def test_two_cursors_are_read_in_turn(self, duct: DatabaseClient) -> None:
        one, other = (duct.execute(self.facts.some_rows(n)) for n in (3000, 2))
        assert one.fetchone()[0] == 0
        assert other.fetchone()[0] == 0
        assert [row[0] for row in one.fetchmany(2)] == [1, 2]
        assert [row[0] for row in other.fetchall()] == [1]
        assert len(one.fetchall()) == 2997

    @of("execute")
    def test_a_statement_without_a_result_gives_a_cursor_without_a_description(
        self, duct: DatabaseClient, table: str
    ) -> None:
        assert duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})").description is None

    @of("execute")
    def test_the_column_of_an_expression_needs_no_name(self, duct: DatabaseClient) -> None:
        assert self.rows(duct, self.select("1 + 1, 'x'")) == [(2, "x")]

    @of("query")
    def test_a_query_gives_the_whole_result(self, duct: DatabaseClient, table: str) -> None:
        assert self.rows(duct, self.filled(duct, table)) == [(1, "x"), (2, None)]
        assert len(self.rows(duct, self.facts.some_rows(3500))) == 3500

    @of("query")
    def test_calling_the_duct_is_a_query(self, duct: DatabaseClient) -> None:
        assert [tuple(row) for row in duct(self.select("7"), format="tuple")] == [(7,)]
        assert type(duct(self.select("7 AS a"))).__name__ == "DataFrame"

    @of("query")
    def test_a_statement_that_gives_nothing_gives_none(self, duct: DatabaseClient, table: str) -> None:
        assert duct.query(f"CREATE TABLE {table} (a {self.facts.integer})") is None
        assert duct.query(f"INSERT INTO {table} VALUES (1)") is None
        assert duct.query(f"UPDATE {table} SET a = 2", format="tuple") is None
        assert self.listed(duct, table) == [2]
        assert duct.query(f"DROP TABLE {table}", format="arrow") is None

    @of("query")
    def test_a_format_is_checked_before_the_statement_runs(self, duct: DatabaseClient, table: str) -> None:
        with pytest.raises(DuctConfigError, match="panda"):
            duct.query(f"CREATE TABLE {table} (a {self.facts.integer})", format="panda")
        assert not duct.table_exists(table)

    @of("query")
    def test_asking_anew_is_a_query_as_well(self, duct: DatabaseClient) -> None:
        assert self.rows(duct, self.select("1"), renew=True, use_cache=False) == [(1,)]

    @of("query")
    def test_an_unknown_option_is_named_with_the_near_miss(self, duct: DatabaseClient) -> None:
        with pytest.raises(DuctArgumentError, match=r"'contxt'.*'context'"):
            duct.query(self.select("1"), contxt={})

    @of("several statements")
    def test_of_several_statements_the_last_counts(self, duct: DatabaseClient, table: str) -> None:
        text = (
            f"CREATE TABLE {table} (a {self.facts.integer}); -- first\n"
            f"INSERT INTO {table} VALUES (1);INSERT INTO {table} VALUES (2);\n"
        )
        assert self.rows(duct, f"{text} SELECT sum(a) FROM {table}; -- done; nearly") == [(3,)]
        assert duct.query(f"{self.select('1')}; DROP TABLE {table};") is None

    @of("several statements")
    def test_a_semicolon_in_a_literal_parts_nothing(self, duct: DatabaseClient) -> None:
        one, other = self.select("'a;b' AS x"), self.select("';' AS x")
        assert self.rows(duct, f"{one}; {other} /* ; */") == [(";",)]

    @of("several statements")
    def test_a_failed_one_says_which_and_those_after_it_do_not_run(
        self, duct: DatabaseClient, table: str, other: str
    ) -> None:
        with pytest.raises(DuctStatementError, match="statement 2 of 3: "):
            duct.query(
                f"CREATE TABLE {table} (a {self.facts.integer}); SELECT * FROM {other}_x; "
                f"CREATE TABLE {other} (a {self.facts.integer})"
            )
        assert duct.table_exists(table)
        assert not duct.table_exists(other)

    @of("several statements")
    def test_no_statement_at_all_is_an_error(self, duct: DatabaseClient) -> None:
        for text in ("", " ; ", "-- nothing here"):
            with pytest.raises(DuctStatementError, match="no statement"):
                duct.query(text)

    @of("execute_from_file, query_from_file")
    def test_statements_are_read_from_files(self, duct: DatabaseClient, table: str, tmp_path: Path) -> None:
        file = tmp_path / "fill.sql"
        file.write_text(
            f"CREATE TABLE {table} (b {self.facts.text}); INSERT INTO {table} VALUES ('ä;ö');", "utf-8"
        )
        duct.execute_from_file(file)
        file.write_text(f"SELECT b FROM {table}", "utf-8")
        assert [tuple(row) for row in duct.query_from_file(str(file), format="tuple")] == [("ä;ö",)]
        assert duct.query_from_file(io.StringIO(self.select("3")), format="tuple")[0][0] == 3
        assert tuple(duct.execute_from_file(file).fetchone()) == ("ä;ö",)
        with pytest.raises(DuctConfigError, match="missing"):
            duct.query_from_file(tmp_path / "missing.sql")

    @of("execute_from_file, query_from_file")
    def test_statements_are_read_from_files_of_a_filesystem_duct(
        self, duct: DatabaseClient, tmp_path: Path
    ) -> None:
        from omniduct.filesystems.local import LocalFsClient

        (tmp_path / "n.sql").write_text(self.select("{{ n }} AS n") + "; -- done")
        files = LocalFsClient(name="files", cwd=str(tmp_path))
        (n,) = self.named("n")
        assert duct.query_from_file("n.sql", fs=files, context={"n": 4}, format="dict") == [{n: 4}]
        assert duct.execute_from_file("n.sql", fs=files, context={"n": 5}).fetchone()[0] == 5

    @of("errors")
    def test_a_failed_statement_never_poisons_the_next(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer} PRIMARY KEY)")
        duct.execute(f"INSERT INTO {table} VALUES (1)")
        for bad in (
            "SELEC 1",
            f"SELECT * FROM {table}_x",
            f"INSERT INTO {table} VALUES (1)",
            self.facts.fails_late,
        ):
            with pytest.raises(DuctStatementError):
                duct.query(bad)
            assert self.listed(duct, table) == [1]
        duct.execute(f"INSERT INTO {table} VALUES (2)")
        assert self.listed(duct, table) == [1, 2]

    @of("errors")
    def test_an_error_names_the_duct_and_has_the_drivers_own_as_its_cause(self, duct: DatabaseClient) -> None:
        with pytest.raises(DuctStatementError) as caught:
            duct.query("SELECT * FROM contract_nowhere")
        assert str(caught.value).startswith(f"{duct.name}: ")
        assert "contract_nowhere" in str(caught.value)
        assert isinstance(caught.value.__cause__, Exception)
        assert caught.value.__cause__.__traceback__ is None

    @of("errors", "near_misses")
    def test_a_table_that_is_missing_is_named_with_the_near_miss(
        self, duct: DatabaseClient, table: str
    ) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        missing = f"{table[:-2]}{table[-1]}{table[-2]}x"
        with pytest.raises(DuctError, match=f"(?i)did you mean .{table}"):
            duct.query(f"SELECT * FROM {missing}")

    @of("statement_hash, statement_cleanup")
    def test_statements_that_differ_in_layout_only_have_one_hash(self, duct: DatabaseClient) -> None:
        one, other = "SELECT a,b FROM t WHERE c = '1  2'", "SELECT a, b -- both\n  FROM t\nWHERE c='1  2';"
        assert duct.statement_hash(one) == duct.statement_hash(other)
        assert duct.statement_hash(one, cleanup=False) != duct.statement_hash(other, cleanup=False)
        assert duct.statement_hash(one) != duct.statement_hash(one.replace("1  2", "1 2"))
        assert duct.statement_cleanup(other) == "SELECT a , b FROM t WHERE c = '1  2'"

    @of("cancel", "cancel")
    def test_another_thread_cancels_a_statement_and_the_next_one_runs(self, duct: DatabaseClient) -> None:
        assert duct.query(self.select("1"), format="tuple")[0][0] == 1
        assert not duct.cancel()
        with cancelled_soon(duct, duct.cancel), pytest.raises(DuctStatementError, match="was cancelled"):
            duct.query(self.facts.endless)
        assert duct.status.running == 0
        assert self.rows(duct, self.select("1")) == [(1,)]

    @of("cancel", "cancel", "temporary_tables")
    def test_a_cancelled_statement_leaves_the_session(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TEMPORARY TABLE {table} (a {self.facts.integer})")
        with cancelled_soon(duct, duct.cancel), pytest.raises(DuctStatementError):
            duct.execute(self.facts.endless)
        assert self.rows(duct, f"SELECT * FROM {table}") == []

    @of("table errors")
    def test_table_methods_name_the_near_miss(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        missing = self.facts.named(f"{table[:-2]}{table[-1]}{table[-2]}x")
        for method in (duct.table_desc, duct.table_props, duct.table_drop):
            with pytest.raises(DuctNotFound, match=f"{duct.name}: .*'{missing}'.*did you mean '{table}'"):
                method(missing)
        with pytest.raises(DuctError, match=missing):
            duct.table_head(missing)


@contextlib.contextmanager
def cancelled_soon(duct: DatabaseClient, cancel: Callable[[], Any]) -> Iterator[None]:
    """Within this, what runs is cancelled from another thread as soon as it does."""
    over = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE
        while not over.is_set() and time.monotonic() < deadline:
            if duct.status.running and cancel():
                return
            over.wait(0.005)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(PATIENCE)
