"""Firebird through SQLAlchemy: what the contract does not ask of every database."""

from __future__ import annotations

import datetime
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from tests.services.firebird import Firebird
from tests.services.interrupts import interrupted
from tests.services.proxy import Proxy

from omniduct.databases.sqlalchemy import SQLAlchemyClient
from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctError, DuctStatementError

MICROSECOND = datetime.datetime(2020, 2, 29, 12, 30, 0, 1)


def arguments(server: Firebird) -> dict[str, Any]:
    return {
        "protocol": "firebird",
        "name": "fb",
        **server.login,
    }


def connect(server: Firebird, **others: Any) -> SQLAlchemyClient:
    return SQLAlchemyClient(**{**arguments(server), **others})


@pytest.fixture
def fb(firebird_server: Firebird) -> Iterator[SQLAlchemyClient]:
    duct = connect(firebird_server)
    yield duct
    duct.disconnect()


@pytest.fixture
def table(fb: SQLAlchemyClient) -> Iterator[str]:
    name = f"T_{os.urandom(6).hex()}"
    yield name
    if fb.table_exists(name):
        fb.table_drop(name)


def said_by(kind: type[DuctError], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# Connections


def test_a_wrong_password_is_an_error_about_the_login(firebird_server: Firebird) -> None:
    text = said_by(DuctAuthenticationError, connect(firebird_server, password="wrong").connect)
    assert text.startswith(
        f"fb: could not connect to {firebird_server.host}:{firebird_server.port}: Your user"
    )
    assert "wrong" not in text


def test_a_database_that_is_not_there_is_named(firebird_server: Firebird) -> None:
    text = said_by(DuctConnectionError, connect(firebird_server, database="shopp").connect)
    assert '"shopp"' in text
    assert "No such file" in text


def test_two_servers_have_a_database_of_one_name_each(
    firebird_server: Firebird, fb: SQLAlchemyClient
) -> None:
    ask = "SELECT mon$database_name FROM mon$database"
    with Firebird() as other:
        one, two = connect(firebird_server), connect(other)
        found = [duct.query(ask, format="tuple")[0][0] for duct in (one, two)]
        assert found == [str(server.home / "data.fdb") for server in (firebird_server, other)]
        assert [row[0] for row in one.stream(ask)] == found[:1]  # on another connection
        for duct in (one, two):
            duct.disconnect()


@pytest.fixture(scope="module")
def own() -> Iterator[Firebird]:
    with Firebird() as server:
        yield server


def test_a_statement_after_a_crash_of_the_server_says_so_and_the_next_connects_anew(
    own: Firebird, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    duct = connect(own)
    duct.execute("CREATE TABLE kept (a INTEGER)")
    duct.execute("INSERT INTO kept VALUES (1) RETURNING a")
    own.stop(immediate=True)
    with pytest.raises(DuctError):
        duct.query("SELECT a FROM kept")
    own.start()
    assert duct.query("SELECT a FROM kept", format="tuple") == [(1,)]
    own.stop(immediate=True)
    duct.disconnect()
    own.start()
    assert caplog.text == capfd.readouterr().err == ""


def test_a_frozen_server_holds_no_connecting_up(own: Firebird, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SQLAlchemyClient, "CONNECT_TIMEOUT", 1.0)
    own.freeze()
    try:
        text = said_by(DuctConnectionError, connect(own).connect)
    finally:
        own.thaw()
    assert "connection rejected" in text


def test_a_frozen_server_holds_no_disconnecting_up(own: Firebird) -> None:
    duct = connect(own).connect()
    own.freeze()
    try:
        duct.disconnect()
        assert not duct.is_connected()
    finally:
        own.thaw()


_FORK = """
if os.fork() == 0:
    sys.exit()
assert os.wait()[1] == 0
assert len(list(stream)) > 100
duct.query("SELECT 1 FROM rdb$database")
"""


@pytest.mark.parametrize("last", ["pass", "duct.disconnect()", _FORK], ids=["open", "disconnected", "forked"])
def test_a_program_ends_well_whatever_is_still_open(firebird_server: Firebird, last: str) -> None:
    program = f"""
import os, sys
from omniduct.databases.sqlalchemy import SQLAlchemyClient
duct = SQLAlchemyClient(**{arguments(firebird_server)!r})
stream = duct.stream("SELECT * FROM rdb$types")
print(duct.query("SELECT 1 FROM rdb$database", format="tuple"), next(stream) is not None, flush=True)
{last}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[(1,)] True\n", "")


def test_a_cancel_that_is_not_heard_cuts_the_connection(
    firebird_server: Firebird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omniduct.databases.sqlalchemy.links._DEAF", 0.5)
    slow = "SELECT count(*) FROM rdb$fields a, rdb$fields b, rdb$fields c, rdb$fields d"
    with Proxy(firebird_server.host, firebird_server.port) as proxy:
        duct = connect(firebird_server, port=proxy.port)
        duct.connect()

        def frozen() -> bool:
            if duct.status.running:
                proxy.freeze()
            return duct.status.running > 0

        assert "was cancelled" in interrupted(lambda: duct.query(slow), 0.3, when=frozen)
        proxy.thaw()
        assert duct.query("SELECT 1 FROM rdb$database", format="tuple") == [(1,)]
        duct.disconnect()


def test_rows_that_a_cut_connection_leaves_are_collected_in_silence(
    firebird_server: Firebird, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with Proxy(firebird_server.host, firebird_server.port) as proxy:
        duct = connect(firebird_server, port=proxy.port)
        stream = duct.stream("SELECT a.rdb$field_name FROM rdb$fields a, rdb$fields b")
        next(stream)
        proxy.cut()
        with pytest.raises(DuctConnectionError):
            for _ in stream:
                pass
        duct.disconnect()
        del stream, duct
        gc.collect()
    assert [str(each.exc_value) for each in ignored] == []


# Statements


def test_what_is_unknown_is_shown_in_its_line(fb: SQLAlchemyClient) -> None:
    text = said_by(DuctStatementError, lambda: fb.query("SELECT 1\nFROM nowhere"))
    assert text == (
        "fb: Table unknown, NOWHERE, At line 2, column 6 (42S02)\n  line 2: FROM nowhere\n               ^"
    )
    text = said_by(DuctStatementError, lambda: fb.query("SELECT nowhere FROM rdb$database"))
    assert text.startswith("fb: Column unknown, NOWHERE, At line 1, column 8 (42S22)")


def test_every_statement_is_committed_also_one_that_gives_rows(fb: SQLAlchemyClient, table: str) -> None:
    fb.execute(f"CREATE TABLE {table} (a INTEGER)")
    assert fb.query(f"INSERT INTO {table} VALUES (1) RETURNING a", format="tuple") == [(1,)]
    assert [tuple(row) for row in fb.stream(f"INSERT INTO {table} VALUES (2) RETURNING a")] == [(2,)]
    fb.disconnect()
    assert fb.query(f"SELECT a FROM {table} ORDER BY a", format="tuple") == [(1,), (2,)]


def test_a_cursor_says_how_many_rows_were_changed(fb: SQLAlchemyClient, table: str) -> None:
    fb.execute(f"CREATE TABLE {table} (a INTEGER)")
    for n in range(3):
        assert fb.execute(f"INSERT INTO {table} VALUES ({n})").rowcount == 1
    assert fb.execute(f"DELETE FROM {table} WHERE a > 0").rowcount == 2


# Values


@pytest.mark.parametrize(
    ("kind", "value"), [("BLOB SUB_TYPE TEXT", "ä" * 200_000), ("BLOB", b"\0x" * 150_000)]
)
def test_a_large_value_is_a_value(fb: SQLAlchemyClient, table: str, kind: str, value: Any) -> None:
    fb.execute(f"CREATE TABLE {table} (v {kind})")
    fb.execute(f"INSERT INTO {table} VALUES ({{{{ v | bind }}}})", context={"v": value})
    assert fb.query(f"SELECT v FROM {table}", format="tuple") == [(value,)]
    assert [row[0] for row in fb.stream(f"SELECT v FROM {table}")] == [value]


def test_a_time_that_would_be_cut_short_is_refused(fb: SQLAlchemyClient, table: str) -> None:
    fb.execute(f"CREATE TABLE {table} (v TIMESTAMP)")
    text = said_by(
        DuctStatementError,
        lambda: fb.execute(f"INSERT INTO {table} VALUES ({{{{ v | bind }}}})", context={"v": MICROSECOND}),
    )
    assert "2020-02-29 12:30:00.000001 cannot be bound as it is" in text
    assert "value.replace(microsecond=0)" in text
    frame = pa.table({"v": [MICROSECOND]})
    for if_exists in ("append", "replace"):
        given: Any = {"if_exists": if_exists}
        text = said_by(DuctStatementError, lambda given=given: fb.dataframe_to_table(frame, table, **given))
        assert "firebird has no type for; round or convert them first" in text
    assert fb.query(f"SELECT v FROM {table}", format="tuple") == []


# Tables


def test_a_table_of_a_query_has_the_types_of_its_columns(fb: SQLAlchemyClient, table: str) -> None:
    fb.query_to_table(
        "SELECT CAST(1 AS SMALLINT) AS i, 1.25 AS d, 'abc' AS t, CURRENT_DATE AS m, TRUE AS b "
        "FROM rdb$database",
        table,
    )
    described = fb.table_desc(table)
    assert described["column_name"].tolist() == ["I", "D", "T", "M", "B"]
    kinds = [kind.partition(" ")[0].partition("(")[0] for kind in described["data_type"]]
    assert kinds == ["SMALLINT", "NUMERIC", "VARCHAR", "DATE", "BOOLEAN"]


def test_a_frames_columns_are_found_without_quotes_unless_they_need_them(
    fb: SQLAlchemyClient, table: str
) -> None:
    fb.dataframe_to_table(pa.table({"plain": [1], "Mixed": [2], "select": [3]}), table)
    assert fb.table_desc(table)["column_name"].tolist() == ["PLAIN", "Mixed", "select"]
    assert fb.query(f'SELECT plain, "Mixed", "select" FROM {table}', format="tuple") == [(1, 2, 3)]


def test_a_table_is_not_made_within_a_transaction(fb: SQLAlchemyClient, table: str) -> None:
    for make in (
        lambda: fb.query_to_table("SELECT 1 AS a FROM rdb$database", table),
        lambda: fb.dataframe_to_table(pa.table({"a": [1]}), table),
    ):
        with fb.transaction():
            text = said_by(DuctStatementError, make)
        assert "firebird fills no table in the transaction that makes it" in text
    assert not fb.table_exists(table)
