"""MariaDB, as it is beyond what the contract and the faults ask of every server."""

from __future__ import annotations

import datetime
import gc
import resource
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from tests.services.interrupts import Caller, interrupted, wait_until
from tests.services.mariadb import MariaDB
from tests.services.proxy import Proxy

from omniduct.databases.sqlalchemy import SQLAlchemyClient
from omniduct.databases.sqlalchemy.mysql import MySQLClient
from omniduct.errors import (
    DuctArgumentError,
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
    DuctWarning,
)

SLOW = (
    "SELECT count(*) AS omniduct_marked FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq < 0"
)
LONG = "SELECT seq AS omniduct_marked, repeat('x', 50) AS s FROM seq_1_to_3000000"


def reached(server: MariaDB, **arguments: Any) -> MySQLClient:
    given: dict[str, Any] = {
        "protocol": "mariadb",
        "name": "db",
        **server.login,
    }
    return MySQLClient(**{**given, **arguments})


@pytest.fixture
def db(mariadb_server: MariaDB) -> Iterator[MySQLClient]:
    duct = reached(mariadb_server)
    yield duct
    duct.disconnect()
    gc.collect()
    wait_until(lambda: mariadb_server.connections(mariadb_server.user) == 0)


def said_by(call: Callable[[], object], kind: type[DuctError] = DuctStatementError) -> str:
    with pytest.raises(DuctError) as caught:
        call()
    assert type(caught.value) is kind
    return str(caught.value)


# Statements as they are


def test_a_statement_without_values_is_sent_as_it_is(db: MySQLClient) -> None:
    query = "SELECT 7 % 4 AS a, '%s :x ? %(a)s' AS b, '\\'' AS c"
    assert db.query(query, format="tuple") == [(3, "%s :x ? %(a)s", "'")]


def test_with_bound_values_all_else_stays_what_it_was(db: MySQLClient) -> None:
    query = "SELECT 7 % 4 AS a, '%s %% %(a)s' AS b, {{ x | bind }} AS c, {{ y | bind }} AS d"
    found = db.query(query, context={"x": "50% 'quoted' \\", "y": b"\x00\xff'"}, format="tuple")
    assert found == [(3, "%s %% %(a)s", "50% 'quoted' \\", b"\x00\xff'")]


def test_names_with_percent_signs_and_quotes_fill_tables_with_bound_values(db: MySQLClient) -> None:
    name = "`100%s ``odd`` na.me`"
    for if_exists in ("fail", "append", "delete_rows", "replace"):
        given: Any = {"if_exists": if_exists, "context": {"n": 5}}
        db.query_to_table("SELECT {{ n | bind }} AS `50%`", name, **given)
    db.dataframe_to_table(pa.table({"50%": [6]}), name, if_exists="append")
    assert db.query(f"SELECT `50%` FROM {name} ORDER BY 1", format="tuple") == [(5,), (6,)]
    db.table_drop(name)


# Types


def test_each_type_is_told_by_the_server_and_stays_in_an_empty_result(db: MySQLClient) -> None:
    db.execute(
        "CREATE TEMPORARY TABLE typed (b BOOLEAN, u BIGINT UNSIGNED, d DECIMAL(38, 10), e DECIMAL(65, 30), "
        "y YEAR, t TIME(6), m DATETIME(6), s TIMESTAMP NULL, i BIT(12), n BINARY(2), j JSON, "
        "k ENUM('a', 'b'), c CHAR(2), f FLOAT, g GEOMETRY, q DECIMAL(9, 2) UNSIGNED, o MEDIUMINT UNSIGNED)"
    )
    expected = (
        "int8 uint64 decimal128(38,10) decimal256(65,30) int16 duration[us] timestamp[us] timestamp[us] "
        "uint64 binary string string string float binary decimal128(9,2) uint32"
    )
    empty = db.query("SELECT * FROM typed", format="arrow")
    assert [str(kind).replace(" ", "") for kind in empty.schema.types] == expected.split()
    db.execute("INSERT INTO typed () VALUES (), ()")
    assert db.query("SELECT * FROM typed", format="arrow").schema == empty.schema
    assert next(db.stream("SELECT 1 AS x WHERE 1 = 0", batch=5, format="arrow"), None) is None


def test_a_boolean_is_the_small_integer_that_it_is_to_the_server(db: MySQLClient) -> None:
    assert db.query("SELECT TRUE AS a, CAST(2 AS INT) AS b", format="tuple") == [(1, 2)]
    db.execute("CREATE TEMPORARY TABLE flags (f BOOLEAN)")
    db.execute("INSERT INTO flags VALUES (TRUE), (2), (-1)")  # all of which it takes
    assert db.query("SELECT f FROM flags ORDER BY f", format="tuple") == [(-1,), (1,), (2,)]


def test_a_zero_date_is_shown_and_not_lost(db: MySQLClient) -> None:
    db.execute("CREATE TEMPORARY TABLE dates (k INT, d DATE, m DATETIME)")
    db.execute(
        "INSERT INTO dates VALUES (1, '2020-01-02', '2020-01-02 03:04:05'), "
        "(2, '0000-00-00', '0000-00-00 00:00:00')",
        session_properties={"sql_mode": ""},
    )
    found = db.query("SELECT d, m FROM dates ORDER BY k", format="arrow")
    assert found["d"].to_pylist() == ["2020-01-02", "0000-00-00"]
    assert found["m"].to_pylist() == ["2020-01-02 03:04:05", "0000-00-00 00:00:00"]


def test_times_are_durations_as_far_as_they_go(db: MySQLClient) -> None:
    longest = datetime.timedelta(hours=838, minutes=59, seconds=59)
    found = db.query("SELECT TIME '838:59:59' AS a, TIME '-838:59:59' AS b, TIME '00:00:00.000001' AS c")
    assert [value.to_pytimedelta() for value in found.iloc[0]] == [
        longest,
        -longest,
        datetime.timedelta(microseconds=1),
    ]


def test_bits_are_the_number_that_they_are(db: MySQLClient) -> None:
    db.execute("CREATE TEMPORARY TABLE bits (b BIT(64))")
    db.execute("INSERT INTO bits VALUES (b'101'), (~0), (NULL)")
    assert db.query("SELECT b FROM bits", format="tuple") == [(5,), (2**64 - 1,), (None,)]
    assert db.query("SELECT b FROM bits")["b"].tolist()[:2] == [5, 2**64 - 1]


def test_a_frame_keeps_every_digit_both_ways(db: MySQLClient) -> None:
    frame = pa.table(
        {
            "d": pa.array([Decimal("1234567890123456789012345678.0123456789"), None]),
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "i": pa.array([-(2**7), None], pa.int8()),
            "m": pa.array([datetime.datetime(2020, 1, 1, 0, 0, 0, 1), None]),
            "z": pa.array([datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), None]),
            "t": pa.array([datetime.timedelta(hours=-800, microseconds=1), None]),
            "b": pa.array([b"\x00'\\\xff", None]),
            "s": pa.array(["it's 🦆 \\ %s", None]),
            "l": pa.array([[{"a": 1}], None]),
            "f": pa.array([5e-324, None]),
        }
    )
    db.dataframe_to_table(frame, "kept", if_exists="replace")
    found = db.query("SELECT * FROM kept", format="arrow")
    db.table_drop("kept")
    same = [name for name in frame.column_names if name not in ("z", "l")]
    assert found.select(same).equals(frame.select(same))
    assert found["z"].to_pylist() == [datetime.datetime(2020, 1, 1), None]
    assert found["l"].to_pylist() == ['[{"a": 1}]', None]


def test_texts_arrive_whatever_the_mode_of_the_session(db: MySQLClient) -> None:
    texts = ["it's", "back\\slash", "%s :x ?", "new\nline", "", "🦆", '"', None]
    for mode in ("", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"):
        db.execute(f"SET SESSION sql_mode = '{mode}'")
        db.dataframe_to_table(pa.table({"k": list(range(8)), "s": texts}), "texts", if_exists="replace")
        assert [row[0] for row in db.query("SELECT s FROM texts ORDER BY k", format="tuple")] == texts
    db.table_drop("texts")


def test_numbers_that_mysql_has_not_are_refused(db: MySQLClient) -> None:
    for number in (float("nan"), float("inf")):
        frame = pa.table({"x": [1.5, number, None]})
        assert said_by(lambda frame=frame: db.dataframe_to_table(frame, "never")) == (  # type: ignore[misc]
            "db: the column 'x' has NaN or infinity, and MySQL has no such numbers: make them null first"
        )
        assert db.table_list()["table_name"].tolist() == []
    db.dataframe_to_table(pa.table({"x": pa.array([None, None], pa.float64())}), "nulls")
    assert db.query("SELECT x FROM nulls", format="tuple") == [(None,), (None,)]
    db.table_drop("nulls")


def test_a_row_may_be_longer_than_a_statement(db: MySQLClient) -> None:
    frame = pa.table({"s": ["x" * 900_000, "y" * 900_000, "z"]})
    db.dataframe_to_table(frame, "long_rows")
    assert db.query("SELECT LENGTH(s) AS n FROM long_rows", format="tuple") == [(900_000,), (900_000,), (1,)]
    db.table_drop("long_rows")


def test_a_value_that_would_lose_a_part_is_refused(db: MySQLClient) -> None:
    nanos = pa.table({"n": pa.array([1], pa.timestamp("ns"))})
    text = said_by(lambda: db.dataframe_to_table(nanos, "never"))
    assert text.startswith("db: the column 'n' cannot be stored as it is (")
    assert not db.table_exists("never")


# Errors


def test_a_failed_statement_says_what_where_and_what_else(db: MySQLClient) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS customers (id INT UNIQUE, surname TEXT)")
    db.execute("REPLACE INTO customers VALUES (1, 'a')")
    expected = {
        "SELECT *\nFRM customers": (
            "db: You have an error in your SQL syntax near 'FRM customers' at line 2 (1064)\n"
            "  line 2: FRM customers\n          ^"
        ),
        "SELECT 1 FROM": (
            "db: You have an error in your SQL syntax near '' at line 1 (1064)\n"
            "  SELECT 1 FROM\n               ^"
        ),
        "SELECT * FROM custmers": (
            "db: Table 'shop.custmers' doesn't exist (1146); did you mean 'customers'?\n"
            "  SELECT * FROM custmers\n                ^"
        ),
        "SELECT surnam FROM customers": (
            "db: Unknown column 'surnam' in 'SELECT' (1054); did you mean 'surname'?\n"
            "  SELECT surnam FROM customers\n         ^"
        ),
        "INSERT INTO customers VALUES (1, 'b')": "db: Duplicate entry '1' for key 'id' (1062)",
        "SET SESSION nonsense = 1": "db: Unknown system variable 'nonsense' (1193)",
        "SELECT * FROM mysql.user": (
            "db: SELECT command denied to user 'alice'@'127.0.0.1' for table `mysql`.`user` (1142)"
        ),
    }
    try:
        for statement, text in expected.items():
            found = said_by(lambda statement=statement: db.query(statement))  # type: ignore[misc]
            assert found.replace("'field list'", "'SELECT'") == text
        assert db.query("SELECT 1 AS x", format="tuple") == [(1,)]
    finally:
        db.table_drop("customers")


def test_a_missing_table_is_marked_in_a_statement_with_bound_values(db: MySQLClient) -> None:
    text = said_by(lambda: db.query("SELECT 5 % 2 FROM nowhere WHERE a = {{ x | bind }}", context={"x": 1}))
    head, line, mark = text.splitlines()
    assert head == "db: Table 'shop.nowhere' doesn't exist (1146)"
    assert line.replace("\u2060", "") == "  SELECT 5 % 2 FROM nowhere WHERE a = %s"
    assert mark.index("^") == line.index("nowhere")


def test_connections_that_are_refused_are_said(mariadb_server: MariaDB) -> None:
    at = f"127.0.0.1:{mariadb_server.port}"
    wrong = reached(mariadb_server, password="swordfish")
    assert said_by(lambda: wrong.query("SELECT 1"), DuctAuthenticationError) == (
        f"db: could not connect to {at}: "
        "Access denied for user 'alice'@'127.0.0.1' (using password: YES) (1045)"
    )
    unknown = reached(mariadb_server, database="shpo")
    assert said_by(lambda: unknown.query("SELECT 1"), DuctConnectionError) == (
        f"db: could not connect to {at}: 'alice' sees no database 'shpo' there (1044); did you mean 'shop'?"
    )
    bad = reached(mariadb_server, session_properties={"nonsense": 1})
    assert said_by(lambda: bad.query("SELECT 1"), DuctConnectionError) == (
        f"db: could not connect to {at}: Unknown system variable 'nonsense' (1193)"
    )
    assert mariadb_server.connections(mariadb_server.user) == 0


def test_what_listens_but_says_nothing_is_an_error_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        duct = MySQLClient(
            name="db", host="127.0.0.1", port=silent.getsockname()[1], username="a", password="b"
        )
        duct.CONNECT_TIMEOUT = 1  # type: ignore[misc]
        begun = time.monotonic()
        text = said_by(lambda: duct.query("SELECT 1"), DuctServerUnreachable)
        assert time.monotonic() - begun < 5
        assert text.startswith("db: could not connect to 127.0.0.1:")


# The session


def test_a_statement_may_take_longer_than_a_login(mariadb_server: MariaDB) -> None:
    db = reached(mariadb_server)
    db.CONNECT_TIMEOUT = 1  # type: ignore[misc]
    assert db.query("SELECT SLEEP(1.5) AS s", format="tuple") == [(0,)]
    assert list(db.stream("SELECT SLEEP(1.5) AS s")) == [(0,)]
    db.disconnect()
    impatient = reached(mariadb_server, engine_opts={"connect_args": {"read_timeout": 1}})
    assert said_by(lambda: impatient.query("SELECT SLEEP(3)"), DuctConnectionError) == (
        "db: the connection was lost while the statement ran, so it may or may not have taken effect "
        "(Lost connection to MySQL server during query (timed out) (2013)). The next statement connects anew"
    )
    impatient.disconnect()


def test_a_setting_holds_for_the_duct_or_for_one_call(mariadb_server: MariaDB) -> None:
    db = reached(mariadb_server, session_properties={"sql_mode": "ANSI_QUOTES", "max_statement_time": 33.5})
    ask = "SELECT @@sql_mode AS m, @@max_statement_time AS t"
    assert db.query(ask, format="tuple") == [("ANSI_QUOTES", Decimal("33.500000"))]
    assert list(db.stream(ask)) == [("ANSI_QUOTES", Decimal("33.500000"))]
    given = {"sql_mode": "NO_BACKSLASH_ESCAPES", "autocommit": True}
    assert db.query(ask, format="tuple", session_properties=given)[0][0] == "NO_BACKSLASH_ESCAPES"
    assert db.query(ask, format="tuple")[0][0] == "ANSI_QUOTES"
    assert (
        said_by(lambda: db.query(ask, session_properties={"x = 1; --": 1}), DuctArgumentError)
        == "db: 'x = 1; --' is no name of a session property"
    )
    db.disconnect()


def test_a_deadlock_ends_the_transaction_and_says_so(mariadb_server: MariaDB, db: MySQLClient) -> None:
    db.execute("CREATE TABLE locked (k INT PRIMARY KEY, v INT); INSERT INTO locked VALUES (1, 0), (2, 0)")
    other = reached(mariadb_server, name="other")
    try:
        with pytest.raises(DuctStatementError, match="the transaction is over"), db.transaction():
            db.execute("UPDATE locked SET v = 1 WHERE k = 1")
            other.execute("BEGIN; UPDATE locked SET v = v + 1, k = k WHERE k = 2; SELECT 1")
            other.execute("INSERT INTO locked SELECT seq, 0 FROM seq_10_to_200")  # the heavier one wins
            waits = Caller(lambda: other.execute("UPDATE locked SET v = 1 WHERE k = 1"))
            wait_until(lambda: bool(mariadb_server.running("WHERE k = 1")))
            text = said_by(lambda: db.execute("UPDATE locked SET v = 1 WHERE k = 2"))
            assert text == (
                "db: Deadlock found when trying to get lock; try restarting transaction (1213)\n"
                "The transaction was rolled back; what comes next is outside of it."
            )
            assert waits.ended().error is None
            db.execute("SELECT 1")
    finally:
        other.disconnect()
        db.execute("DROP TABLE locked")


def test_a_table_is_not_made_in_a_transaction_that_it_would_commit(db: MySQLClient) -> None:
    with db.transaction():
        text = said_by(lambda: db.query_to_table("SELECT 1 AS a", "never"))
        assert text == (
            "db: a transaction is open, and mariadb would commit it when a table is made: make the table "
            "outside of it, or use if_exists='append'"
        )
        assert said_by(lambda: db.dataframe_to_table(pa.table({"a": [1]}), "never")) == text
    assert not db.table_exists("never")


def test_replacing_a_table_is_all_or_nothing_also_when_it_is_interrupted(
    mariadb_server: MariaDB, db: MySQLClient
) -> None:
    db.query_to_table("SELECT 1 AS a", "target", if_exists="replace")
    frame = pa.table({"a": list(range(300_000))})
    # again and again, so that the interrupt does not come after the end
    kinds: list[Callable[[], object]] = [
        lambda: [db.query_to_table(LONG, "target", if_exists="replace") for _ in range(50)],
        lambda: [db.dataframe_to_table(frame, "target", if_exists="replace") for _ in range(50)],
    ]
    for n in range(14):
        interrupted(kinds[n % 2], 0.09 * n)
        assert db.query("SELECT count(*) AS n FROM target", format="tuple")[0][0] in (1, 300_000, 3_000_000)
        assert db.table_list()["table_name"].tolist() == ["target"]
        assert not mariadb_server.running("omniduct_marked")
    db.table_drop("target")


def test_the_columns_of_partitions_are_named(db: MySQLClient) -> None:
    db.execute(
        "CREATE TABLE parted (`d a` DATE, k INT) PARTITION BY RANGE (YEAR(`d a`)) SUBPARTITION BY HASH (k) "
        "(PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    )
    db.execute("CREATE TABLE plain (a INT COMMENT 'x') COMMENT 'said of it'")
    assert db.table_partition_cols("parted") == ["d a", "k"]
    assert db.table_partition_cols("plain") == []
    assert db.table_props("plain")["comment"].tolist() == ["said of it"]
    db.execute("DROP TABLE parted, plain")


def test_the_engine_leads_to_the_same_database_for_other_libraries(db: MySQLClient) -> None:
    pd.DataFrame({"a": [1, 2]}).to_sql("by_pandas", db.engine, index=False, if_exists="replace")
    assert db.query("SELECT sum(a) AS s FROM by_pandas")["s"].tolist() == [3]
    assert pd.read_sql("SELECT SLEEP(0), a FROM by_pandas", db.engine)["a"].tolist() == [1, 2]
    db.table_drop("by_pandas")


def test_a_url_does_as_well(mariadb_server: MariaDB) -> None:
    server = mariadb_server
    url = f"mariadb+pymysql://{server.user}:{server.password}@{server.host}:{server.port}/{server.database}"
    db = SQLAlchemyClient(name="db", url=f"{url}?charset=utf8mb4")
    assert db.query("SELECT '🦆' AS d", format="tuple") == [("🦆",)]
    db.disconnect()


# Streams, interrupts, and what is left


def test_streams_and_files_take_no_memory(db: MySQLClient, tmp_path: Any) -> None:
    list(db.stream("SELECT 1 AS x"))
    db.stream_to_file("SELECT 1 AS x", tmp_path / "x.csv")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = "SELECT seq, repeat('x', 500) AS s FROM seq_1_to_200000"
    assert sum(1 for _ in db.stream(rows)) == 200_000
    db.stream_to_file(rows, tmp_path / "x.csv")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 130_000  # KiB: one piece of a file has 65 536 rows; all are 100 MB, and more in Python


def test_a_stream_that_is_left_is_gone_from_the_server_at_once(
    mariadb_server: MariaDB, db: MySQLClient
) -> None:
    stream: Any = db.stream(LONG)
    assert next(stream)[0] == 1
    assert mariadb_server.running("omniduct_marked")
    begun = time.monotonic()
    stream.close()
    wait_until(lambda: not mariadb_server.running("omniduct_marked"))
    assert time.monotonic() - begun < 1
    assert mariadb_server.connections(mariadb_server.user) == 1


def test_fifty_interrupts_leave_neither_statement_nor_connection_nor_session_behind(
    mariadb_server: MariaDB, db: MySQLClient
) -> None:
    db.execute("CREATE TEMPORARY TABLE mine AS SELECT 1 AS x")
    kinds: list[Callable[[], object]] = [
        lambda: db.query(SLOW),
        lambda: db.execute("SELECT SLEEP(60) AS omniduct_marked"),
        lambda: db.query(LONG, format="arrow"),
        lambda: list(db.stream(SLOW)),
        lambda: sum(1 for _ in db.stream(LONG)),
    ]
    for n in range(50):
        first = (n % 10) * 0.013
        interrupted(kinds[n % len(kinds)], first, *([first + 0.004] if n % 3 == 0 else []))
        wait_until(lambda: not mariadb_server.running("omniduct_marked"), 1)
        assert db.query("SELECT x FROM mine", format="tuple") == [(1,)]
    gc.collect()
    wait_until(lambda: mariadb_server.connections(mariadb_server.user) == 1)
    assert [thread.name for thread in threading.enumerate() if "omniduct" in thread.name] == ["omniduct db"]


def test_a_session_that_is_given_up_is_replaced_and_its_connection_closed(
    mariadb_server: MariaDB, db: MySQLClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.query("SELECT 1")
    kills = threading.Event()
    cancel = db._cancel
    monkeypatch.setattr(db, "_cancel", lambda cursor: cancel(cursor) if kills.is_set() else None)
    with pytest.warns(DuctWarning, match="a new session was opened"):
        interrupted(lambda: db.query(SLOW), 0.1, 0.2, 0.9)
    assert db.query("SELECT 1 AS x", format="tuple") == [(1,)]
    assert mariadb_server.running("omniduct_marked")
    kills.set()
    wait_until(lambda: not mariadb_server.running("omniduct_marked"))

    def one_is_left() -> bool:
        gc.collect()
        return mariadb_server.connections(mariadb_server.user) == 1

    wait_until(one_is_left)


def test_an_interrupt_ends_a_statement_on_a_link_that_is_frozen(own_mariadb: MariaDB) -> None:
    with Proxy(own_mariadb.host, own_mariadb.port) as proxy:
        db = reached(own_mariadb, port=proxy.port)
        db.query("SELECT 1")
        freezer = threading.Timer(0.3, proxy.freeze)
        freezer.start()
        begun = time.monotonic()
        interrupted(lambda: db.query("SELECT SLEEP(60)"), 0.6)
        assert time.monotonic() - begun < 8
        freezer.join()
        proxy.thaw()
        assert db.query("SELECT 1 AS x", format="tuple") == [(1,)]
        db.disconnect()


def test_a_refused_login_is_an_answer_all_the_same(mariadb_server: MariaDB) -> None:
    mariadb_server.admin("CREATE USER single@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1")
    mariadb_server.admin(f"GRANT ALL ON {mariadb_server.database}.* TO single@'%'")
    duct = reached(mariadb_server, username="single", password="x", answer_timeout=1.5)
    assert len(duct.query("SELECT SLEEP(4)", format="tuple")) == 1
    duct.disconnect()
    mariadb_server.admin("DROP USER single@'%'")


def test_what_would_commit_a_transaction_is_refused_within_one(db: MySQLClient) -> None:
    db.execute("CREATE TABLE kept (x INT)")
    said = "commit an open transaction before a statement like CREATE"
    with pytest.raises(DuctStatementError, match=said), db.transaction():
        db.execute("INSERT INTO kept VALUES (1)")
        db.execute("CREATE TEMPORARY TABLE fine (x INT)")
        db.execute("CREATE TABLE other (x INT)")
    assert db.query("SELECT x FROM kept", format="tuple") == []
    assert not db.table_exists("other")
    db.execute("DROP TABLE kept")


def test_what_lasted_as_long_as_a_lost_session_is_told_of_once(mariadb_server: MariaDB) -> None:
    duct = reached(mariadb_server)
    duct.execute("CREATE TEMPORARY TABLE mine (x INT)")
    ((number,),) = duct.query("SELECT connection_id()", format="tuple")
    mariadb_server.admin(f"KILL {number}")
    wait_until(lambda: mariadb_server.connections(mariadb_server.user) == 0)
    with pytest.warns(DuctWarning, match="what was set in the session, and its temporary tables, are gone"):
        assert duct.query("SELECT 1 AS x", format="tuple") == [(1,)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert duct.query("SELECT 1 AS x", format="tuple") == [(1,)]
        duct.execute("SET @x = 1")
        duct.disconnect()
        assert duct.query("SELECT 1 AS x", format="tuple") == [(1,)]
    duct.disconnect()
