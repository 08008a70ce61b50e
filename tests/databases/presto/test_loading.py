"""Presto and Trino: frames into tables, whole or not at all."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.services.interrupts import interrupted

from omniduct.databases.presto import PrestoClient, sending
from omniduct.databases.session.progress import Progress
from omniduct.errors import DuctArgumentError, DuctStatementError


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements are a lot shorter than the server takes, so that a small frame needs several."""
    monkeypatch.setattr(sending, "_LIMIT", 3_000)


def numbers(count: int) -> pa.Table:
    return pa.table({"a": range(count), "b": [f"row {n}" for n in range(count)]})


def tables(duct: PrestoClient) -> list[str]:
    return sorted(duct.table_list(str(duct.schema))["table_name"])


def summary(duct: PrestoClient, table: str = "t") -> tuple[int, int]:
    ((count, total),) = duct.query(f"SELECT count(*), sum(a) FROM {table}", format="tuple")
    return count, total


# In several statements


@pytest.mark.parametrize("if_exists", ["fail", "replace", "append", "delete_rows"])
@pytest.mark.usefixtures("short")
def test_a_frame_of_several_statements_arrives_whole(duct: PrestoClient, if_exists: Any) -> None:
    if if_exists != "fail":
        duct.execute("CREATE TABLE t (a bigint, b varchar(20))")
        duct.execute("INSERT INTO t VALUES (1000, 'x')")
    duct.dataframe_to_table(numbers(500), "t", if_exists)
    more = if_exists == "append"
    assert summary(duct) == (500 + more, 499 * 250 + 1000 * more)
    assert duct.query("SELECT b FROM t WHERE a = 123", format="tuple") == [("row 123",)]
    assert tables(duct) == ["t"]


@pytest.mark.parametrize("if_exists", ["replace", "append", "delete_rows"])
@pytest.mark.usefixtures("short")
def test_a_row_that_fails_in_the_middle_leaves_all_as_it_was(duct: PrestoClient, if_exists: Any) -> None:
    duct.execute("CREATE TABLE t (a bigint, b varchar)")
    duct.execute("INSERT INTO t VALUES (7, 'x')")
    frame = numbers(500).set_column(0, "a", [["12"] * 400 + ["twelve"] * 100])
    if if_exists == "replace":
        doubled = [[("k", n), ("k" if n > 400 else "l", n)] for n in range(500)]
        frame = frame.set_column(0, "a", [pa.array(doubled, pa.map_(pa.string(), pa.int64()))])
    with pytest.raises(DuctStatementError, match=r"twelve|[Dd]uplicate"):
        duct.dataframe_to_table(frame, "t", if_exists)
    assert summary(duct) == (1, 7)
    assert tables(duct) == ["t"]


@pytest.mark.usefixtures("short")
def test_a_new_table_of_which_a_row_fails_is_not_there(duct: PrestoClient) -> None:
    doubled = [[("k", n), ("k" if n > 400 else "l", n)] for n in range(500)]
    with pytest.raises(DuctStatementError, match=r"[Dd]uplicate"):
        duct.dataframe_to_table(pa.table({"a": pa.array(doubled, pa.map_(pa.string(), pa.int64()))}), "t")
    assert tables(duct) == []


@pytest.mark.parametrize("if_exists", ["fail", "replace", "append", "delete_rows"])
def test_a_load_that_is_interrupted_leaves_all_as_it_was(
    duct: PrestoClient, if_exists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LIMIT", 20_000)
    if if_exists != "fail":
        duct.dataframe_to_table(numbers(2), "t")
    frame = numbers(200_000)
    interrupted(lambda: duct.dataframe_to_table(frame, "t", if_exists), 1.5)
    if if_exists != "fail":
        assert summary(duct) == (2, 1)
    assert tables(duct) == ["t"] * (if_exists != "fail")


def test_a_statement_that_is_too_long_for_the_server_is_halved(
    memory: PrestoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LIMIT", 10_000_000)  # of which the server takes a tenth
    texts = ["x" * 1000] * 1500
    memory.dataframe_to_table(pa.table({"a": range(1500), "b": texts}), "t")
    assert summary(memory) == (1500, 1499 * 750)
    assert tables(memory) == ["t"]


def test_a_statement_is_as_long_as_java_counts_it(memory: PrestoClient) -> None:
    assert sending._length("🦆a") == 3
    texts = ["🦆" * 500] * 1200  # two characters each to Java, one to Python
    memory.dataframe_to_table(pa.table({"a": range(1200), "b": texts}), "t")
    assert summary(memory) == (1200, 1199 * 600)
    assert memory.query("SELECT DISTINCT length(b) FROM t", format="tuple") == [(500,)]


def test_a_row_that_no_statement_has_room_for_is_named(memory: PrestoClient) -> None:
    frame = pa.table({"a": ["x", "y" * 1_100_000]})
    with pytest.raises(
        DuctArgumentError, match=r"the row 1 of the frame takes .* characters, and the server"
    ):
        memory.dataframe_to_table(frame, "t")
    assert tables(memory) == []


@pytest.mark.usefixtures("short")
def test_a_frame_of_several_statements_is_refused_in_a_transaction(duct: PrestoClient) -> None:
    duct.execute("CREATE TABLE t (a bigint, b varchar)")
    with duct.transaction(), pytest.raises(DuctStatementError, match="a transaction is open"):
        duct.dataframe_to_table(numbers(500), "t", "append")
    assert tables(duct) == ["t"]


@pytest.mark.parametrize("catalog", ["iceberg", "hive"])
@pytest.mark.parametrize("if_exists", ["fail", "replace", "append", "delete_rows"])
@pytest.mark.usefixtures("short")
def test_a_frame_gets_into_a_catalog_of_files(lake: PrestoClient, catalog: str, if_exists: Any) -> None:
    name = f"{catalog}.{lake.schema}.t"
    if if_exists != "fail":
        lake.dataframe_to_table(numbers(1), name)
    lake.dataframe_to_table(numbers(200), name, if_exists)
    assert summary(lake, name) == (200 + (if_exists == "append"), 199 * 100)
    assert lake.table_list(f"{catalog}.{lake.schema}")["table_name"].tolist() == ["t"]


# Into a table that is there


D = datetime.datetime(2020, 1, 2, 3, 4, 5, 120000)
DAY = datetime.date(2020, 1, 2)


BECOME: list[tuple[str, Any, list[Any]]] = [
    ("smallint", [1, None], [1, None]),
    ("integer", [1.0, float("nan")], [1, None]),
    ("bigint", ["12", None], [12, None]),
    ("double", [2**53, None], [2.0**53, None]),
    ("varchar", [True, None], ["true", None]),
    ("varchar(5)", ["a🦆cde", None], ["a🦆cde", None]),
    ("char(3)", ["ab", None], ["ab ", None]),
    ("date", ["2020-01-02", None], [DAY, None]),
    ("date", pd.Series([DAY, None], dtype="datetime64[ns]"), [DAY, None]),
    ("timestamp", pd.Series([D, None], dtype="datetime64[ns]"), [D, None]),
    ("timestamp", ["2020-01-02 03:04:05.120", None], [D, None]),
    ("varbinary", [b"\x00", None], [b"\x00", None]),
    ("json", ['{"a":1}', None], ['{"a":1}', None]),
    ("array(bigint)", [[1, 2], None], [[1, 2], None]),
    ("array(varchar)", [[1, 2], None], [["1", "2"], None]),
    ("boolean", [True, None], [True, None]),
]
"""The type of a column, values of a frame, and what they are in the column."""

REFUSED: list[tuple[str, Any, str]] = [
    ("integer", [1.5], "truncated"),
    ("tinyint", [1000], "1000 would not stay the same .*not in range"),
    ("decimal(5,1)", pa.array(["1.25"]).cast(pa.decimal128(5, 2)), "data loss"),
    ("real", [1e300], "too great for float"),
    ("varchar(3)", ["abcd"], "abcd is longer than 3 characters"),
    ("date", [D], "not midnight"),
    ("timestamp", pd.Series([1], dtype="datetime64[ns]"), "more than 3 digits"),
    ("time", [datetime.time(1, 2, 3, 4)], "more than 3 digits"),
]


def test_values_become_those_of_the_column(duct: PrestoClient) -> None:
    kinds = ", ".join(f"v{n} {kind}" for n, (kind, *_) in enumerate(BECOME))
    duct.execute(f"CREATE TABLE t (k integer, {kinds})")
    frame = pd.DataFrame({f"v{n}": values for n, (_, values, _) in enumerate(BECOME)})
    duct.dataframe_to_table(frame.assign(k=[1, 2]), "t", if_exists="append")
    found = duct.query("SELECT * FROM t ORDER BY k", format="tuple")
    assert list(zip(*found, strict=True))[1:] == [tuple(values) for *_, values in BECOME]


def test_a_value_that_a_column_would_not_keep_is_refused(duct: PrestoClient) -> None:
    kinds = ", ".join(f"v{n} {kind}" for n, (kind, *_) in enumerate(REFUSED))
    duct.execute(f"CREATE TABLE t ({kinds})")
    for n, (_, values, reason) in enumerate(REFUSED):
        data = {f"v{n}": values}
        frame = pa.table(data) if isinstance(values, pa.Array) else pd.DataFrame(data)
        said = rf"the column 'v{n}' does not fit into the table's, .*{reason}"
        with pytest.raises(DuctArgumentError, match=said):
            duct.dataframe_to_table(frame, "t", if_exists="append")


def test_times_of_a_precision_between_units_are_checked(memory: PrestoClient) -> None:
    memory.execute("CREATE TABLE t (v timestamp(1), w time(4))")
    good = pa.table({"v": pa.array([D.replace(microsecond=100000)]), "w": [datetime.time(1, 2, 3, 4500)]})
    memory.dataframe_to_table(good, "t", if_exists="append")
    for name in ("v", "w"):
        bad = pa.table({name: pa.array([D if name == "v" else datetime.time(1, 2, 3, 4567)])})
        with pytest.raises(DuctArgumentError, match=f"'{name}' .*more than . digits behind the second"):
            memory.dataframe_to_table(bad, "t", if_exists="append")


def test_the_server_casts_what_is_of_another_kind_and_says_what_it_cannot(duct: PrestoClient) -> None:
    duct.execute("CREATE TABLE t (v bigint)")
    with pytest.raises(DuctStatementError, match="Cannot cast 'x' to BIGINT"):
        duct.dataframe_to_table(pd.DataFrame({"v": ["1", "x"]}), "t", if_exists="append")
    assert duct.query("SELECT count(*) FROM t", format="tuple") == [(0,)]


def test_columns_are_those_of_their_names_in_any_case(duct: PrestoClient) -> None:
    duct.execute("CREATE TABLE t (a integer, b varchar, c double)")
    duct.dataframe_to_table(pl.DataFrame({"B": ["x"], "A": [1]}), "t", if_exists="append")
    assert duct.query("SELECT * FROM t", format="tuple") == [(1, "x", None)]


def test_a_column_that_there_is_none_of_is_named_with_its_near_miss(duct: PrestoClient) -> None:
    duct.execute("CREATE TABLE t (amount integer, b varchar)")
    with pytest.raises(
        DuctArgumentError, match="has no column 'amuont', which the frame has; did you mean 'amo"
    ):
        duct.dataframe_to_table(pd.DataFrame({"amuont": [1]}), "t", if_exists="append")
    with pytest.raises(DuctArgumentError, match=r"has no column 'zzz', .*; its columns are amount, b"):
        duct.dataframe_to_table(pd.DataFrame({"zzz": [1]}), "t", if_exists="append")


def test_columns_that_differ_in_case_alone_are_refused(duct: PrestoClient) -> None:
    with pytest.raises(DuctArgumentError, match="the columns 'a' and 'A' of the frame are of one name"):
        duct.dataframe_to_table(pd.DataFrame({"a": [1], "A": [2]}), "t")


# What connectors make of it


def test_hives_timestamps_are_of_its_precision_as_long_as_that_loses_nothing(lake: PrestoClient) -> None:
    name = f"hive.{lake.schema}.t"
    lake.dataframe_to_table(pd.DataFrame({"v": pd.Series([D, None], dtype="datetime64[ns]")}), name)
    assert lake.table_desc(name)["data_type"].tolist() == ["timestamp(3)"]
    assert lake.query(f"SELECT v FROM {name} WHERE v IS NOT NULL", format="tuple") == [(D,)]
    with pytest.raises(DuctArgumentError, match=r"the column 'v' does not fit into timestamp\(3\)"):
        lake.dataframe_to_table(pd.DataFrame({"v": np.array([1], "datetime64[ns]")}), name, "replace")


def test_nanoseconds_that_iceberg_would_cut_off_are_refused(lake: PrestoClient) -> None:
    name = f"iceberg.{lake.schema}.t"
    frame = pd.DataFrame({"v": np.array([1], "datetime64[ns]")})
    with pytest.raises(
        DuctStatementError, match=r"'v' has parts of a microsecond, .*stores it as timestamp\(6\)"
    ):
        lake.dataframe_to_table(frame, name)
    assert lake.table_list(f"iceberg.{lake.schema}").empty
    lake.dataframe_to_table(frame.assign(v=frame["v"].dt.floor("us")), name)
    assert lake.table_desc(name)["data_type"].tolist() == ["timestamp(6)"]


def test_nanoseconds_stay_where_the_connector_has_them(memory: PrestoClient) -> None:
    memory.dataframe_to_table(pd.DataFrame({"v": np.array([1, -1], "datetime64[ns]")}), "t")
    assert memory.query("SELECT v FROM t", format="arrow")["v"].cast(pa.int64()).to_pylist() == [1, -1]


def test_a_type_that_a_connector_has_not_is_said_by_it(lake: PrestoClient) -> None:
    frame = pa.table({"v": pa.array([datetime.timedelta(1)])})
    with pytest.raises(DuctStatementError, match="Type not supported for Iceberg: interval"):
        lake.dataframe_to_table(frame, f"iceberg.{lake.schema}.t")


# Options


def test_session_properties_are_those_of_the_load(memory: PrestoClient) -> None:
    with pytest.raises(DuctStatementError, match="nope"):
        memory.dataframe_to_table(numbers(1), "t", session_properties={"nope": 1})
    memory.dataframe_to_table(numbers(1), "t", session_properties={"query_max_run_time": "5m"})
    assert "query_max_run_time" not in memory._on(None).state.properties


def test_an_option_that_there_is_none_of_is_refused(duct: PrestoClient) -> None:
    with pytest.raises(DuctArgumentError, match="takes no option 'formt'"):
        duct.dataframe_to_table(numbers(1), "t", formt="csv")


def test_the_progress_of_a_load_is_that_of_its_rows() -> None:
    running = sending._Loading("t", 200)
    running.add(50)
    assert running.merged(Progress(fraction=0.9, rows=7)) == Progress(fraction=0.25, rows=50, text="sending")
