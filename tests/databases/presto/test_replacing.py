"""Presto and Trino: a query's rows in the place of a table's, on connectors that can do more or less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from tests.services.coordinator import Coordinator
from tests.services.interrupts import interrupted
from tests.services.schemas import client, own_schema
from tests.services.trino import Trino

from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctStatementError, DuctWarning

PLACES = ["trino memory", "trino iceberg", "trino hive", "presto memory"]
SLOW = "SELECT count(*) AS a FROM tpch.sf1.lineitem x, tpch.tiny.lineitem y WHERE x.comment < y.comment"


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[PrestoClient]:
    """A duct with a schema of its own, in the catalog that the parameter names with the server."""
    server, catalog = request.param.split()
    with own_schema(request.getfixturevalue(f"{server}_server"), catalog) as duct:
        yield duct


def rows(duct: PrestoClient, table: str = "t") -> list[tuple[Any, ...]]:
    return sorted(duct.query(f"SELECT * FROM {table}", format="tuple"), key=repr)


def tables(duct: PrestoClient) -> list[str]:
    return sorted(duct.table_list(str(duct.schema))["table_name"])


def fails_at(
    duct: PrestoClient, monkeypatch: pytest.MonkeyPatch, words: str, error: Exception | None = None
) -> None:
    """Have the duct's own statement with these words fail, as a server does now and then."""
    run = duct._run_text

    def fail(text: str) -> None:
        if words in text:
            raise error or DuctStatementError(f"there is no {words} today")
        run(text)

    monkeypatch.setattr(duct, "_run_text", fail)


def unsupported() -> DuctStatementError:
    """What Glue says, which cannot rename a table."""
    from trino.exceptions import TrinoUserError

    error = DuctStatementError("Table rename is not yet supported by Glue service")
    error.__cause__ = TrinoUserError({"errorName": "NOT_SUPPORTED", "message": "no"})
    return error


each_place = pytest.mark.parametrize("place", PLACES, indirect=True)


@each_place
def test_a_table_is_made_replaced_extended_and_refilled(place: PrestoClient) -> None:
    place.query_to_table("SELECT 1 AS a, CAST('x' AS varchar) AS b UNION ALL SELECT 2, NULL", "t")
    place.query_to_table("SELECT a, b FROM t WHERE a = {{ n | bind }}", "t", "append", context={"n": 2})
    assert rows(place) == [(1, "x"), (2, None), (2, None)]
    place.query_to_table("SELECT a + 1 AS a, b FROM t", "t", "delete_rows")
    assert rows(place) == [(2, "x"), (3, None), (3, None)]
    place.query_to_table("SELECT DISTINCT a AS z FROM t", "t", "replace")
    assert rows(place) == [(2,), (3,)]
    assert place.table_desc("t")["column_name"].tolist() == ["z"]
    assert tables(place) == ["t"]


@each_place
@pytest.mark.parametrize("if_exists", ["replace", "append", "delete_rows"])
def test_a_query_that_fails_late_leaves_all_as_it_was(place: PrestoClient, if_exists: Any) -> None:
    place.query_to_table("SELECT 1 AS a", "t")
    with pytest.raises(DuctStatementError, match="by zero"):
        place.query_to_table("SELECT CAST(1 / (a - 1) AS integer) AS a FROM t", "t", if_exists)
    with pytest.raises(DuctStatementError):
        place.query_to_table("SELECT nowhere FROM t", "t", if_exists)
    assert rows(place) == [(1,)]
    assert tables(place) == ["t"]


def replaced_at_once(server: Coordinator, duct: PrestoClient) -> int:
    """How often it was tried to replace a table in one statement."""
    return len([query for query in server.queries("CREATE OR REPLACE") if str(duct.schema) in query.text])


@pytest.mark.parametrize("place", ["trino iceberg"], indirect=True)
def test_a_connector_that_can_replaces_a_table_in_one_statement(
    place: PrestoClient, trino_server: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.query_to_table("SELECT 1 AS a", "t")
    fails_at(place, monkeypatch, "RENAME")
    place.query_to_table("SELECT a + 1 AS a FROM t", "t", "replace")
    assert rows(place) == [(2,)]
    assert replaced_at_once(trino_server, place) == 1


def test_a_connector_that_cannot_is_asked_once(memory: PrestoClient, trino_server: Trino) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    memory.query_to_table("SELECT 2 AS a", "t", "replace")
    memory.query_to_table("SELECT 3 AS a", "t", "replace")
    assert rows(memory) == [(3,)]
    assert replaced_at_once(trino_server, memory) == 1


def test_statements_before_the_query_run_once(memory: PrestoClient) -> None:
    memory.execute("CREATE TABLE noted (a integer); CREATE TABLE t (a integer)")
    memory.query_to_table("INSERT INTO noted VALUES (1); SELECT count(*) AS a FROM noted", "t", "replace")
    assert rows(memory) == [(1,)]
    memory.query_to_table("INSERT INTO noted VALUES (1); SELECT count(*) AS a FROM noted", "t", "delete_rows")
    assert rows(memory) == [(2,)]


def test_options_of_the_statement_are_those_of_the_query(memory: PrestoClient) -> None:
    zone = {"time_zone_id": "Asia/Tokyo"}
    memory.query_to_table("SELECT 'x' AS a", "t")
    memory.query_to_table("SELECT current_timezone() AS a", "t", "replace", session_properties=zone)
    assert rows(memory) == [("Asia/Tokyo",)]
    assert memory.query("SELECT current_timezone()", format="tuple") == [("UTC",)]


def test_a_new_table_that_cannot_take_the_name_gives_it_back(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    rename, times = memory._rename, []

    def second_fails(table: Any, to: Any) -> None:
        times.append(1)
        if len(times) == 2:
            raise DuctStatementError("no renaming now")
        rename(table, to)

    monkeypatch.setattr(memory, "_rename", second_fails)
    with pytest.raises(DuctStatementError, match="no renaming now"):
        memory.query_to_table("SELECT 2 AS a", "t", "replace")
    assert rows(memory) == [(1,)]
    assert tables(memory) == ["t"]


def test_a_name_that_cannot_be_given_back_is_told(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    rename, times = memory._rename, []

    def only_first(table: Any, to: Any) -> None:
        times.append(1)
        if len(times) > 1:
            raise DuctStatementError("no renaming now")
        rename(table, to)

    monkeypatch.setattr(memory, "_rename", only_first)
    with (
        pytest.warns(DuctWarning, match=r'"t" could not get its name back, and may now be .*"omniduct_'),
        pytest.raises(DuctStatementError),
    ):
        memory.query_to_table("SELECT 2 AS a", "t", "replace")
    (former,) = tables(memory)
    assert rows(memory, former) == [(1,)]


def test_where_no_table_is_renamed_it_is_copied(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    fails_at(memory, monkeypatch, "RENAME", unsupported())
    memory.query_to_table("SELECT a + 1 AS a FROM t", "t", "replace")
    assert rows(memory) == [(2,)]
    assert tables(memory) == ["t"]


def test_a_copy_that_fails_tells_where_the_rows_are(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    run = memory._run_text

    def fail(text: str) -> None:
        if "RENAME" in text:
            raise unsupported()
        if "SELECT * FROM" in text:
            raise DuctStatementError("no space left")
        run(text)

    monkeypatch.setattr(memory, "_run_text", fail)
    with (
        pytest.warns(DuctWarning, match=r'rows that were to be in .*"t" are in .*"omniduct_'),
        pytest.raises(DuctStatementError, match="no space left"),
    ):
        memory.query_to_table("SELECT 2 AS a", "t", "replace")
    (stage,) = tables(memory)
    assert rows(memory, stage) == [(2,)]


@pytest.mark.parametrize("place", ["trino hive"], indirect=True)
def test_rows_of_a_table_with_partitions_are_replaced_and_it_stays_what_it_is(place: PrestoClient) -> None:
    place.execute("CREATE TABLE t (a integer, ds varchar) WITH (partitioned_by = ARRAY['ds'])")
    place.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = place.table_props("t")["definition"][0]
    place.query_to_table("SELECT a * 10, ds FROM t", "t", "delete_rows")
    assert rows(place) == [(10, "x"), (20, "y")]
    assert place.table_props("t")["definition"][0] == before


@pytest.mark.parametrize("place", ["trino hive"], indirect=True)
def test_where_rows_cannot_be_deleted_properties_are_not_given_up(
    place: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.execute("CREATE TABLE t (a integer) COMMENT 'ours' WITH (format = 'AVRO')")
    place.execute("INSERT INTO t VALUES (1)")
    monkeypatch.setattr(place, "_cleared", lambda table: False)  # as an external table
    with pytest.raises(
        DuctStatementError, match=r"neither DELETE nor TRUNCATE TABLE .*without its format, com"
    ):
        place.query_to_table("SELECT 2 AS a", "t", "delete_rows")
    assert rows(place) == [(1,)]
    assert tables(place) == ["t"]


def test_rows_that_cannot_be_inserted_after_others_are_gone_are_in_a_table_that_is_told(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    fails_at(memory, monkeypatch, "INSERT INTO")
    with (
        pytest.warns(DuctWarning, match=r'rows that were to be in .*"t" are in .*"omniduct_'),
        pytest.raises(DuctStatementError, match="there is no INSERT INTO today"),
    ):
        memory.query_to_table("SELECT 2 AS a", "t", "delete_rows")
    (stage,) = [name for name in tables(memory) if name != "t"]
    assert rows(memory, stage) == [(2,)]


def test_rows_that_the_server_does_not_let_be_deleted_leave_nothing_behind(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    denied = unsupported()
    denied.__cause__._error["errorName"] = "PERMISSION_DENIED"  # type: ignore[union-attr]
    fails_at(memory, monkeypatch, "DELETE", denied)
    with pytest.raises(DuctStatementError):
        memory.query_to_table("SELECT 2 AS a", "t", "delete_rows")
    assert rows(memory) == [(1,)]
    assert tables(memory) == ["t"]


def test_a_table_that_cannot_be_dropped_in_the_end_is_told(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.query_to_table("SELECT 1 AS a", "t")
    fails_at(memory, monkeypatch, "DROP TABLE")
    with pytest.warns(DuctWarning, match=r'"omniduct_.*which is needed no more, could not be dropped'):
        memory.query_to_table("SELECT 2 AS a", "t", "replace")
    assert rows(memory) == [(2,)]


@pytest.mark.parametrize("place", ["trino memory", "presto memory"], indirect=True)
@pytest.mark.parametrize("if_exists", ["replace", "delete_rows"])
def test_a_query_that_is_interrupted_leaves_all_as_it_was(place: PrestoClient, if_exists: Any) -> None:
    place.query_to_table("SELECT BIGINT '1' AS a", "t")
    interrupted(lambda: place.query_to_table(SLOW, "t", if_exists), 1.0)
    assert rows(place) == [(1,)]
    assert tables(place) == ["t"]


@pytest.mark.parametrize("place", ["trino memory", "presto memory"], indirect=True)
@pytest.mark.parametrize("if_exists", ["replace", "delete_rows"])
def test_in_a_transaction_no_table_is_replaced(place: PrestoClient, if_exists: Any) -> None:
    place.query_to_table("SELECT 1 AS a", "t")
    with place.transaction():
        with pytest.raises(DuctStatementError, match="a transaction is open"):
            place.query_to_table("SELECT 2 AS a", "t", if_exists)
        assert rows(place) == [(1,)]


@pytest.mark.parametrize("server", ["trino", "presto"])
def test_a_table_that_is_there_is_left_alone_by_default(request: pytest.FixtureRequest, server: str) -> None:
    with (
        client(request.getfixturevalue(f"{server}_server")) as duct,
        pytest.raises(DuctStatementError, match=r"there is a table .*nation"),
    ):
        duct.query_to_table("SELECT 1 AS a", "tpch.tiny.nation")


def test_no_table_takes_the_place_of_a_view(memory: PrestoClient) -> None:
    memory.execute("CREATE TABLE t AS SELECT 1 AS a; CREATE VIEW v AS SELECT a FROM t")
    for replace in (
        lambda: memory.query_to_table("SELECT 2 AS a", "v", if_exists="replace"),
        lambda: memory.dataframe_to_table(pd.DataFrame({"a": [2]}), "v", if_exists="replace"),
    ):
        with pytest.raises(DuctStatementError, match=r'"v" is a view, whose place no table takes: drop it'):
            replace()
    assert rows(memory, "v") == [(1,)]
    assert sorted(tables(memory)) == ["t", "v"]
