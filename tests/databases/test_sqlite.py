"""SQLite, in memory and in files."""

from __future__ import annotations

import copy
import datetime
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from tests.services.interrupts import Caller, interrupted, wait_until

from omniduct.databases.sqlalchemy.sqlite import SQLiteClient
from omniduct.errors import DuctArgumentError, DuctConfigError, DuctConnectionError, DuctStatementError

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r WHERE n < 0"
MANY = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT 3000000) SELECT n FROM r"


@pytest.fixture
def db() -> Iterator[SQLiteClient]:
    db = SQLiteClient(name="db")
    yield db
    db.drop_database()


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[SQLiteClient]:
    db = SQLiteClient(name="db", database=str(tmp_path / "x.db"))
    yield db
    db.disconnect()


# Where the database is


def test_a_database_in_memory_survives_disconnecting_but_not_being_dropped(db: SQLiteClient) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS a; CREATE TEMP TABLE mine AS SELECT 2 AS a")
    db.disconnect()
    assert db.query("SELECT a FROM t", format="tuple") == [(1,)]
    assert not db.table_exists("mine")
    db.reset()
    assert db.table_exists("t")
    db.drop_database()
    assert not db.table_exists("t")


def test_two_databases_in_memory_are_two(db: SQLiteClient) -> None:
    other = copy.copy(db)
    db.execute("CREATE TABLE t (a)")
    assert not other.table_exists("t")
    other.drop_database()


def test_the_engine_sees_the_database_in_memory(db: SQLiteClient) -> None:
    pd.DataFrame({"a": [1, 2]}).to_sql("t", db.engine, index=False)
    assert db.query("SELECT * FROM t", format="tuple") == [(1,), (2,)]
    assert pd.read_sql("SELECT sum(a) AS s FROM t", db.engine)["s"].tolist() == [3]


def test_a_file_is_made_and_read_again(filed: SQLiteClient, tmp_path: Path) -> None:
    filed.execute("CREATE TABLE t AS SELECT 'ä' AS a")
    with sqlite3.connect(tmp_path / "x.db") as plain:
        assert plain.execute("SELECT a FROM t").fetchall() == [("ä",)]
    plain.close()


def test_a_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    db = SQLiteClient(database="~/in home.db")
    db.execute("CREATE TABLE t (a)")
    db.disconnect()
    assert os.path.exists(tmp_path / "in home.db")


def test_a_file_that_is_opened_for_reading_only_cannot_be_written_to(
    filed: SQLiteClient, tmp_path: Path
) -> None:
    filed.execute("CREATE TABLE t AS SELECT 1 AS a")
    reader = SQLiteClient(name="reader", database=str(tmp_path / "x.db"), read_only=True)
    assert reader.query("SELECT a FROM t", format="tuple") == [(1,)]
    with pytest.raises(DuctStatementError) as caught:
        reader.execute("DELETE FROM t")
    assert str(caught.value) == "reader: attempt to write a readonly database"
    reader.disconnect()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"database": "{0}/no/x.db"}, "db: there is no folder '{0}/no' for the database"),
        ({"database": "{0}"}, "db: '{0}' is a folder, not a database"),
        ({"database": "{0}/n.db", "read_only": True}, "db: there is no database '{0}/n.db' to read"),
        ({"read_only": True}, "db: a database in memory cannot be read_only"),
    ],
)
def test_a_file_that_cannot_be_had_is_said(arguments: dict[str, Any], text: str, tmp_path: Path) -> None:
    given = {k: v.format(tmp_path) if isinstance(v, str) else v for k, v in arguments.items()}
    with pytest.raises((DuctConnectionError, DuctConfigError)) as caught:
        SQLiteClient(name="db", **given).query("SELECT 1")
    assert str(caught.value) == text.format(tmp_path)


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to look like something" * 20)
    with pytest.raises(DuctStatementError) as caught:
        SQLiteClient(name="db", database=str(tmp_path / "x.db")).query("SELECT * FROM t")
    assert str(caught.value) == "db: file is not a database"


# Values


def test_an_integer_that_no_float_holds_stays_itself_beside_a_null(db: SQLiteClient) -> None:
    found = db.query("SELECT 9007199254740993 AS a UNION ALL SELECT NULL ORDER BY 1 DESC")
    assert str(found["a"].dtype) == "Int64"
    assert found["a"][0] == 2**53 + 1


def test_a_column_of_several_kinds_is_text(db: SQLiteClient) -> None:
    query = "SELECT 1 AS a UNION ALL SELECT 'x' UNION ALL SELECT 2.5"
    assert db.query(query, format="arrow")["a"].to_pylist() == ["1", "x", "2.5"]
    assert db.query(query, format="tuple") == [(1,), ("x",), (2.5,)]


def test_placeholders_and_percent_signs_in_the_text_stay_what_they_were(db: SQLiteClient) -> None:
    query = "SELECT '? :x %s' AS a, 7 % 4 AS b, {{ v | bind }} AS c"
    assert db.query(query, context={"v": "?%s"}, format="tuple") == [("? :x %s", 3, "?%s")]


def test_values_that_sqlite_has_no_type_for_are_bound_as_text_that_keeps_them(db: SQLiteClient) -> None:
    values = {
        Decimal("0.0000000001"): "0.0000000001",
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6): "2020-01-02 03:04:05.000006",
        datetime.date(2020, 1, 2): "2020-01-02",
        datetime.time(1, 2, 3): "01:02:03",
        b"\x00\xff": b"\x00\xff",
        True: 1,
    }
    for value, kept in values.items():
        assert db.query("SELECT {{ v | bind }} AS a", context={"v": value}, format="tuple") == [(kept,)]


def test_a_frame_keeps_every_digit(db: SQLiteClient) -> None:
    digits, moment = (
        Decimal("1234567890123456789012345678.0123456789"),
        datetime.datetime(2020, 1, 1, 0, 0, 0, 1),
    )
    frame = pa.table(
        {
            "d": pa.array([digits, None]),
            "t": pa.array([moment, None]),
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "i": pa.array([2**63 - 1, None]),
            "f": pa.array([math.pi, None]),
            "b": pa.array([b"\x00", None]),
            "l": pa.array([[1, 2], None]),
        }
    )
    db.dataframe_to_table(frame, "t")
    assert db.query("SELECT * FROM t", format="tuple")[0] == (
        str(digits),
        "2020-01-01 00:00:00.000001",
        str(2**64 - 1),
        2**63 - 1,
        math.pi,
        b"\x00",
        "[1, 2]",
    )
    assert db.query("SELECT typeof(d), typeof(i), typeof(b) FROM t", format="tuple")[0] == (
        "text",
        "integer",
        "blob",
    )


# Errors


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELEC 1", 'db: near "SELEC": syntax error\n  SELEC 1\n  ^'),
        ("SELECT 1 x y", 'db: near "y": syntax error\n  SELECT 1 x y\n             ^'),
        (
            "SELECT * FROM custmers",
            "db: no such table: custmers; did you mean 'customers'?\n  SELECT * FROM custmers\n"
            "                ^",
        ),
        (
            "SELECT nam FROM customers",
            "db: no such column: nam; did you mean 'name'?\n  SELECT nam FROM customers\n         ^",
        ),
        ("INSERT INTO customers VALUES ('a')", "db: UNIQUE constraint failed: customers.name"),
    ],
)
def test_a_failed_statement_says_what_where_and_what_else(
    db: SQLiteClient, statement: str, text: str
) -> None:
    db.execute("CREATE TABLE customers (name TEXT UNIQUE); INSERT INTO customers VALUES ('a')")
    with pytest.raises(DuctStatementError) as caught:
        db.query(statement)
    assert str(caught.value) == text
    assert type(caught.value.__cause__).__module__ == "sqlite3"
    assert db.query("SELECT 1 AS x", format="tuple") == [(1,)]


def test_a_transaction_that_sqlite_rolls_back_by_itself_is_over(db: SQLiteClient) -> None:
    db.execute("CREATE TABLE t (a UNIQUE ON CONFLICT ROLLBACK); INSERT INTO t VALUES (1)")
    with pytest.raises(DuctStatementError, match="the transaction is over"), db.transaction():
        db.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(DuctStatementError) as caught:
            db.execute("INSERT INTO t VALUES (1)")
        db.execute("INSERT INTO t VALUES (3)")
    assert str(caught.value) == (
        "db: UNIQUE constraint failed: t.a\n"
        "The transaction was rolled back; what comes next is outside of it."
    )
    assert db.query("SELECT a FROM t", format="tuple") == [(1,)]


# Session, transactions, streams


def test_a_pragma_for_one_call_is_put_back(db: SQLiteClient) -> None:
    ask = "PRAGMA cache_size"
    former = db.query(ask, format="tuple")
    assert db.query(ask, format="tuple", session_properties={"cache_size": 77}) == [(77,)]
    assert db.query(ask, format="tuple") == former
    with pytest.raises(DuctArgumentError) as caught:
        db.query(ask, session_properties={"cach_size": 77})
    assert str(caught.value) == "db: sqlite has no setting 'cach_size'"


def test_a_pragma_of_the_duct_holds_for_every_connection(tmp_path: Path) -> None:
    db = SQLiteClient(database=str(tmp_path / "x.db"), session_properties={"foreign_keys": True})
    for _ in range(2):
        assert db.query("PRAGMA foreign_keys", format="tuple") == [(1,)]
        assert list(db.stream("PRAGMA foreign_keys")) == [(1,)]
        db.disconnect()


def test_tables_are_made_and_dropped_in_a_transaction_too(db: SQLiteClient) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.query_to_table("SELECT 1 AS a", "t")
        db.dataframe_to_table(pa.table({"a": [1]}), "u")
        1 / 0  # noqa: B018
    assert db.table_list()["table_name"].tolist() == []


def test_a_temporary_table_is_listed_described_and_dropped(db: SQLiteClient) -> None:
    db.execute("CREATE TEMP TABLE mine (a INTEGER NOT NULL, b DECIMAL(5, 2) DEFAULT 1)")
    assert db.table_list().to_dict("records") == [
        {"table_schema": "main", "table_name": "mine", "table_type": "LOCAL TEMPORARY"}
    ]
    assert db.table_desc("mine", format="dict") == [
        {"column_name": "a", "data_type": "INTEGER", "is_nullable": "NO", "column_default": None},
        {"column_name": "b", "data_type": "DECIMAL(5, 2)", "is_nullable": "YES", "column_default": "1"},
    ]
    db.table_drop("mine")
    assert not db.table_exists("mine")


def test_a_table_of_another_attached_file_is_named_with_its_schema(db: SQLiteClient, tmp_path: Path) -> None:
    db.execute(f"ATTACH '{tmp_path / 'y.db'}' AS other")
    db.query_to_table("SELECT 1 AS a", "other.t")
    assert db.table_exists("other.t") and not db.table_exists("t")
    assert db.table_list("other")["table_name"].tolist() == ["t"]
    assert db.table_head("other.t", format="tuple") == [(1,)]


@pytest.mark.parametrize("where", ["memory", "file"])
def test_a_stream_is_flat_and_leaves_the_session_usable(
    where: str, db: SQLiteClient, filed: SQLiteClient
) -> None:
    duct = db if where == "memory" else filed
    stream: Any = duct.stream(MANY)
    assert [next(stream) for _ in range(3)] == [(0,), (1,), (2,)]
    assert duct.query("SELECT 1 AS x", format="tuple") == [(1,)]
    stream.close()
    assert duct.status.running == 0


def test_a_stream_from_a_file_runs_beside_the_session_and_one_from_memory_on_it(
    db: SQLiteClient, filed: SQLiteClient
) -> None:
    for duct in (db, filed):
        duct.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a")
    assert list(db.stream("SELECT a FROM mine")) == [(1,)]
    with pytest.raises(DuctStatementError, match="no such table: mine"):
        list(filed.stream("SELECT a FROM mine"))


def test_an_open_cursor_stays_readable_whatever_comes_after_it(db: SQLiteClient) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS a UNION ALL SELECT 2")
    cursor = db.execute("SELECT a FROM t ORDER BY a")
    assert cursor.fetchone() == (1,)
    db.execute("DROP TABLE t")
    assert cursor.fetchmany(5) == [(2,)]
    assert cursor.fetchone() is None
    assert [column[0] for column in cursor.description] == ["a"]


def test_a_file_that_another_program_writes_to_is_said_to_be_locked(
    filed: SQLiteClient, tmp_path: Path
) -> None:
    duct = SQLiteClient(
        name="db", database=str(tmp_path / "x.db"), engine_opts={"connect_args": {"timeout": 0.1}}
    )
    filed.execute("CREATE TABLE t (a)")
    filed.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DuctStatementError) as caught:
        duct.execute("INSERT INTO t VALUES (1)")
    assert str(caught.value) == "db: database is locked"
    filed.execute("ROLLBACK")
    duct.execute("INSERT INTO t VALUES (1)")
    duct.disconnect()


# Interrupts


@pytest.mark.parametrize("statement", [ENDLESS, MANY])
def test_an_interrupt_ends_the_statement_and_leaves_the_session(db: SQLiteClient, statement: str) -> None:
    db.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a")
    for n in range(12):
        begun = time.monotonic()
        said = interrupted(
            lambda: db.query(statement, format="arrow"), 0.01 * n, *([0.01 * n + 0.002] * (n % 2))
        )
        assert not said or said.startswith("db: the statement ")  # the first come before it
        assert time.monotonic() - begun < 2
        assert db.query("SELECT a FROM mine", format="tuple") == [(1,)]


def test_cancel_ends_what_another_thread_waits_for(filed: SQLiteClient) -> None:
    caller = Caller(lambda: filed.query(ENDLESS))
    wait_until(lambda: filed.status.running == 1)
    time.sleep(0.05)
    assert filed.cancel()
    assert str(caller.ended().error) == "db: the statement was cancelled"
    assert threading.active_count() < 10


def test_looking_for_near_misses_takes_seconds_at_most(
    db: SQLiteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names() -> list[str]:
        return [str(name) for (name,) in db.query(ENDLESS, format="tuple")]

    monkeypatch.setattr(db, "_names_of_tables", names)
    began = time.monotonic()
    with pytest.raises(DuctStatementError, match="flihgts") as failed:
        db.query("SELECT * FROM flihgts")
    assert 4 < time.monotonic() - began < 20
    assert str(failed.value).startswith("db: no such table: flihgts")
    assert db.query("SELECT 1", format="tuple") == [(1,)]


def test_a_look_up_that_fails_itself_looks_nothing_up(
    db: SQLiteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def names() -> list[str]:
        asked.append(len(asked))
        return list(db.query("SELECT * FROM nor_this", format="tuple"))

    monkeypatch.setattr(db, "_names_of_tables", names)
    with pytest.raises(DuctStatementError, match="flihgts"):
        db.query("SELECT * FROM flihgts")
    assert asked == [0]
