"""A query's way, on a real DuckDB in memory and in files."""

from __future__ import annotations

import gc
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from omniduct import DuctRegistry
from omniduct.databases.duckdb import DuckDBClient
from omniduct.errors import (
    DuctArgumentError,
    DuctConfigError,
    DuctConnectionError,
    DuctNotFound,
    DuctStatementError,
    DuctTemplateError,
)


@pytest.fixture
def db() -> DuckDBClient:
    return DuckDBClient(name="db")


# Formats


def test_a_query_gives_a_data_frame_by_default(db: DuckDBClient) -> None:
    frame = db.query("SELECT 1 AS a, 'x' AS b, 1.5::DECIMAL(5,2) AS c")
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == [{"a": 1, "b": "x", "c": Decimal("1.50")}]


def test_calling_the_duct_is_a_query(db: DuckDBClient) -> None:
    assert db("SELECT 7", format="tuple") == [(7,)]


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("tuple", [(0, "a"), (1, None)]),
        ("dict", [{"n": 0, "s": "a"}, {"n": 1, "s": None}]),
        ("csv", "n,s\n0,a\n1,\n"),
        ("hive", "0\ta\n1\t\\N\n"),
    ],
)
def test_every_plain_format_gives_the_whole_result(db: DuckDBClient, format: str, expected: object) -> None:
    result = db.query("SELECT * FROM (VALUES (0, 'a'), (1, NULL)) t(n, s)", format=format)
    if isinstance(result, str):
        result = result.replace("\r\n", "\n").replace('"', "")
    assert result == expected


def test_arrow_polars_and_raw_are_what_they_say(db: DuckDBClient) -> None:
    assert isinstance(db.query("SELECT 1 AS a", format="arrow"), pa.Table)
    assert isinstance(db.query("SELECT 1 AS a", format="polars"), pl.DataFrame)
    assert db.query("SELECT 1 AS a", format="raw").fetchall() == [(1,)]


def test_options_of_the_default_format_are_not_given_to_another() -> None:
    db = DuckDBClient(default_format_opts={"index_fields": ["a"]})
    assert db.query("SELECT 1 AS a, 2 AS b").index.name == "a"
    assert db.query("SELECT 1 AS a", format="tuple") == [(1,)]


def test_a_statement_without_a_result_gives_none(db: DuckDBClient) -> None:
    assert db.query("CREATE TABLE t (a INT)") is None
    assert db.query("SET threads = 2") is None
    assert db.query("SELECT * FROM t").columns.tolist() == ["a"]


# Several statements


def test_several_statements_give_the_result_of_the_last(db: DuckDBClient) -> None:
    result = db.query(
        "CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2);\nSELECT sum(a) AS s FROM t; -- done;",
        format="tuple",
    )
    assert result == [(3,)]


def test_every_statement_runs_once(db: DuckDBClient) -> None:
    db.execute("CREATE SEQUENCE s; CREATE TABLE t (a INT)")
    assert db.query("INSERT INTO t VALUES (5) RETURNING a", format="tuple") == [(5,)]
    assert db.query("SELECT nextval('s'); SELECT nextval('s') AS n", format="tuple") == [(2,)]
    assert db.query("SELECT count(*) FROM t", format="tuple") == [(1,)]


def test_a_failed_one_of_several_says_which_and_later_ones_do_not_run(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError, match=r"statement 2 of 3: .*nope") as caught:
        db.query("CREATE TABLE first (a INT); SELECT * FROM nope; CREATE TABLE third (a INT)")
    assert str(caught.value).startswith("db: ")
    assert db.table_exists("first")
    assert not db.table_exists("third")


def test_no_statement_at_all_is_an_error_that_says_so(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError, match="no statement"):
        db.query("-- nothing here")


# Failures


def test_a_failed_statement_leaves_the_session_usable(db: DuckDBClient) -> None:
    db.execute("CREATE TEMP TABLE t AS SELECT 1 AS a")
    for bad in ("SELEC 1", "SELECT * FROM nope", "SELECT 'x'::INT FROM t", "INSERT INTO t VALUES ('x')"):
        with pytest.raises(DuctStatementError):
            db.query(bad)
        assert db.query("SELECT a FROM t", format="tuple") == [(1,)]


def test_a_failure_in_a_transaction_rolls_it_back_and_says_so(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t (a INT); BEGIN; INSERT INTO t VALUES (1)")
    with pytest.raises(DuctStatementError, match="rolled back"):
        db.execute("INSERT INTO t VALUES ('x')")
    assert db.query("SELECT count(*) FROM t", format="tuple") == [(0,)]


def test_the_drivers_exception_is_chained_without_frames(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError) as caught:
        db.query("SELECT * FROM nope")
    cause = caught.value.__cause__
    assert type(cause).__module__.endswith("duckdb")
    assert cause is not None
    assert cause.__traceback__ is None


def test_an_unknown_option_is_named_with_the_near_miss(db: DuckDBClient) -> None:
    with pytest.raises(DuctArgumentError, match=r"'contxt'.*'context'"):
        db.query("SELECT 1", contxt={})
    with pytest.raises(DuctConfigError, match="panda"):
        db.query("SELECT 1", format="panda")


def test_a_wrong_format_is_refused_before_the_statement_runs(db: DuckDBClient) -> None:
    with pytest.raises(DuctConfigError):
        db.query("CREATE TABLE t (a INT)", format="nope")
    assert not db.table_exists("t")


def test_a_failing_stream_leaves_the_sessions_transaction_alone(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t (a INT); BEGIN; INSERT INTO t VALUES (1)")
    for _ in range(3):
        with pytest.raises(DuctStatementError, match="nowhere"):
            list(db.stream("SELECT * FROM nowhere"))
    assert db.query("COMMIT; SELECT count(*) FROM t", format="tuple") == [(1,)]


def test_nothing_of_the_drivers_frames_is_left_in_the_exception(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError) as caught:
        db.query("SELECT * FROM nowhere")
    error: BaseException | None = caught.value
    while error is not None:
        assert error is caught.value or error.__traceback__ is None
        error = error.__cause__ or error.__context__


def test_the_failing_one_of_equal_statements_is_counted_rightly(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t (a INT PRIMARY KEY)")
    with pytest.raises(DuctStatementError, match="statement 2 of 3"):
        db.execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)")


# Cursors and streams


def test_cursors_stay_readable_whatever_runs_after_them(db: DuckDBClient) -> None:
    one, other = db.execute("SELECT * FROM range(3)"), db.execute("SELECT 'x'")
    db.execute("SELECT 5")
    assert other.fetchone() == ("x",)
    assert one.fetchone() == (0,)
    assert one.fetchall() == [(1,), (2,)]
    assert [column[0] for column in one.description] == ["range"]


def test_a_stream_gives_rows_as_they_come(db: DuckDBClient) -> None:
    stream = db.stream("SELECT range AS n FROM range(2500)")
    assert next(stream) == (0,)
    assert sum(row[0] for row in stream) == sum(range(2500))
    assert db.status.running == 0


def test_a_stream_of_pieces_has_n_rows_in_each_but_the_last(db: DuckDBClient) -> None:
    pieces = list(db.stream("SELECT range AS n FROM range(25)", batch=10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert all(isinstance(piece, pd.DataFrame) for piece in pieces)


def test_an_endless_stream_is_read_in_part_and_closed(db: DuckDBClient) -> None:
    threads = threading.active_count()
    with db.stream("SELECT range AS n FROM range(1000000000000)") as stream:  # type: ignore[attr-defined]
        assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
        assert db.query("SELECT 1", format="tuple") == [(1,)]
        assert db.status.running == 1
    assert db.status.running == 0
    assert threading.active_count() <= threads + 1


def test_disconnecting_ends_the_streams_too(db: DuckDBClient) -> None:
    stream = db.stream("SELECT range AS n FROM range(1000000000000)", batch=10)
    next(stream)
    db.disconnect()
    assert db.status.running == 0
    with pytest.raises(DuctConnectionError, match="was disconnected, which ended the stream"):
        next(stream)


def test_a_stream_takes_session_properties_of_its_own(db: DuckDBClient) -> None:
    ask = "SELECT current_setting('TimeZone')"
    assert next(db.stream(ask, session_properties={"TimeZone": "Asia/Tokyo"})) == ("Asia/Tokyo",)
    assert db.query(ask, format="tuple") != [("Asia/Tokyo",)]


def test_settings_for_one_call_are_taken_back_after_a_failure(db: DuckDBClient) -> None:
    ask = "SELECT current_setting('TimeZone')"
    former = db.query(ask, format="tuple")
    db.execute("BEGIN")
    with pytest.raises(DuctStatementError, match="boom"):
        db.query("SELECT error('boom')", session_properties={"TimeZone": "Asia/Tokyo"})
    assert db.query(ask, format="tuple") == former


def test_a_file_through_a_link_keeps_the_link_and_the_mode(db: DuckDBClient, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("former")
    (tmp_path / "real.csv").chmod(0o600)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    db.stream_to_file("SELECT 1 AS a", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o600


def test_a_format_that_is_no_file_is_refused_before_the_statement_runs(
    db: DuckDBClient, tmp_path: Path
) -> None:
    db.execute("CREATE TABLE t (a INT)")
    with pytest.raises(DuctConfigError, match="cannot be written to a file"):
        db.stream_to_file("INSERT INTO t VALUES (1) RETURNING a", tmp_path / "x", format="pandas")
    assert db.query("SELECT count(*) FROM t", format="tuple") == [(0,)]


def test_a_dropped_stream_is_closed(db: DuckDBClient) -> None:
    stream = db.stream("SELECT range AS n FROM range(1000000000000)")
    next(stream)
    del stream
    gc.collect()
    assert db.status.running == 0


def test_a_stream_that_fails_half_way_says_so_once_and_ends(db: DuckDBClient) -> None:
    stream = db.stream("SELECT CASE WHEN range = 5000000 THEN 'x' ELSE '1' END::INT FROM range(6000000)")
    with pytest.raises(DuctStatementError, match=r"db: .*Could not convert"):
        for _ in stream:
            pass
    assert list(stream) == []
    assert db.status.running == 0
    assert db.query("SELECT 1", format="tuple") == [(1,)]


def test_a_stream_to_a_file_is_whole_or_is_not_there(db: DuckDBClient, tmp_path: Path) -> None:
    db.stream_to_file("SELECT range AS n FROM range(100000)", tmp_path / "n.csv")
    assert pd.read_csv(tmp_path / "n.csv")["n"].sum() == sum(range(100000))
    with pytest.raises(DuctStatementError):
        db.stream_to_file(
            "SELECT CASE WHEN range = 5000000 THEN 'x' ELSE '1' END::INT FROM range(6000000)",
            tmp_path / "bad.csv",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["n.csv"]


def test_a_stream_to_a_file_of_a_filesystem_duct_keeps_the_former_file_when_it_fails(
    db: DuckDBClient, tmp_path: Path
) -> None:
    from omniduct.filesystems.local import LocalFsClient

    files = LocalFsClient(cwd=str(tmp_path))
    db.stream_to_file("SELECT 1 AS a", "x.csv", fs=files)
    with pytest.raises(DuctStatementError):
        db.stream_to_file(
            "SELECT CASE WHEN range = 5000000 THEN 'x' ELSE '1' END::INT FROM range(6000000)",
            "x.csv",
            fs=files,
        )
    assert files.listdir() == ["x.csv"]
    assert (tmp_path / "x.csv").read_text() == "a\n1\n"


def test_statements_are_read_from_files(db: DuckDBClient, tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_text("CREATE OR REPLACE TABLE t AS SELECT {{ n | bind }} AS a; FROM t")
    assert db.query_from_file(tmp_path / "x.sql", context={"n": 3}, format="tuple") == [(3,)]
    assert db.execute_from_file(str(tmp_path / "x.sql"), context={"n": 3}, template=True) is not None


def test_a_stream_to_parquet_keeps_types(db: DuckDBClient, tmp_path: Path) -> None:
    db.stream_to_file(
        "SELECT 1.5::DECIMAL(5,2) AS d, DATE '2020-01-01' AS t", str(tmp_path / "x.parquet"), format="parquet"
    )
    table = pa.parquet.read_table(tmp_path / "x.parquet")
    assert [str(field.type) for field in table.schema] == ["decimal128(5, 2)", "date32[day]"]


# Templates and bind values


def test_a_bound_value_is_never_part_of_the_text(db: DuckDBClient) -> None:
    text = "'; DROP TABLE t; --"
    assert db.query("SELECT {{ x | bind }} AS x", context={"x": text}, format="tuple") == [(text,)]


def test_bind_values_are_numbered_statement_by_statement(db: DuckDBClient) -> None:
    result = db.query(
        "CREATE TABLE t AS SELECT {{ a | bind }}::INT AS n; "
        "SELECT n, {{ b | bind }} FROM t WHERE n IN ({{ c | bind }})",
        context={"a": 1, "b": "x", "c": [1, 2]},
        format="tuple",
    )
    assert result == [(1, "x")]


def test_templates_nest_and_can_be_run_by_name() -> None:
    db = DuckDBClient(templates={"base": "SELECT {{ n | bind }} AS n"}, template_context={"n": 1})
    assert db.template_names == ["base"]
    assert db.query("SELECT n + 1 FROM ({{{base}}})", format="tuple") == [(2,)]
    assert db.query_from_template("base", context={"n": 5}, format="tuple") == [(5,)]
    assert db.template_variables("base", by_name=True) == {"n"}
    assert db.template_render("base", by_name=True) == "SELECT :n AS n\n-- :n = 1"


def test_a_text_with_braces_is_sent_as_it_is_when_templates_are_off(db: DuckDBClient) -> None:
    assert db.query("SELECT '{{ x }}'", template=False, format="tuple") == [("{{ x }}",)]
    assert DuckDBClient(templating=False).query("SELECT '{{'", format="tuple") == [("{{",)]
    with pytest.raises(DuctTemplateError, match="template=False"):
        db.query("SELECT '{{'")


# Frames


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frames_that_are_passed_can_be_queried(db: DuckDBClient, make: Any) -> None:
    frame = make({"a": [1, 2]})
    assert db.query("SELECT sum(a) FROM mine", frames={"mine": frame}, format="tuple") == [(3,)]
    with pytest.raises(DuctStatementError, match="mine"):
        db.query("SELECT * FROM mine")


def test_a_table_of_the_catalog_wins_over_a_frame(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE mine AS SELECT 9 AS a")
    assert db.query("SELECT a FROM mine", frames={"mine": pd.DataFrame({"a": [1]})}, format="tuple") == [(9,)]


@pytest.mark.parametrize(
    "name", ["self", "statement", "connection", "cursor", "names", "call", "frames", "kwargs"]
)
def test_no_variable_of_ours_can_be_queried(db: DuckDBClient, name: str) -> None:
    frame = pd.DataFrame({"a": [1]})  # a local variable of the caller is not one either
    assert frame is not None
    for table in (name, "frame"):
        with pytest.raises(DuctStatementError, match="does not exist"):
            db.query(f'SELECT * FROM "{table}"', frames={})


def test_a_frame_leaves_nothing_in_the_catalog(db: DuckDBClient) -> None:
    db.query("SELECT * FROM mine", frames={"mine": pd.DataFrame({"a": [1]})})
    assert db.query("SELECT count(*) FROM duckdb_views() WHERE NOT internal", format="tuple") == [(0,)]
    assert len(db.table_list()) == 0


# Tables


def test_tables_are_listed_described_read_and_dropped(db: DuckDBClient) -> None:
    db.execute('CREATE SCHEMA s; CREATE TABLE s."odd name" (a INT NOT NULL, b VARCHAR)')
    assert db.table_list("s")["table_name"].tolist() == ["odd name"]
    assert db.table_exists('s."odd name"')
    assert not db.table_exists("s.other")
    assert db.table_desc('s."odd name"')["column_name"].tolist() == ["a", "b"]
    assert db.table_head('s."odd name"', n=1).columns.tolist() == ["a", "b"]
    assert db.table_props('s."odd name"')["table_name"].tolist() == ["odd name"]
    db.table_drop('s."odd name"')
    assert not db.table_exists('s."odd name"')


def test_a_table_that_is_not_there_is_named_with_the_near_miss(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE flights (a INT)")
    with pytest.raises(DuctNotFound, match="db: there is no table 'flihgts'; did you mean 'flights'"):
        db.table_desc("flihgts")


def test_a_query_fills_a_table_in_all_four_ways(db: DuckDBClient) -> None:
    db.query_to_table("SELECT 1 AS a", "t")
    with pytest.raises(DuctStatementError, match='there is a table "t" already; if_exists='):
        db.query_to_table("SELECT 2 AS a", "t")
    db.query_to_table("SELECT 2 AS a", "t", if_exists="append")
    assert db.query("FROM t ORDER BY a", format="tuple") == [(1,), (2,)]
    db.query_to_table("SELECT {{ n | bind }}::INT AS a", "t", if_exists="delete_rows", context={"n": 3})
    assert db.query("FROM t", format="tuple") == [(3,)]
    db.query_to_table("SELECT 'x' AS b", "t", if_exists="replace")
    assert db.query("FROM t", format="dict") == [{"b": "x"}]
    with pytest.raises(DuctConfigError, match="if_exists cannot be 'repalce'"):
        db.query_to_table("SELECT 1", "t", if_exists="repalce")  # type: ignore[arg-type]


def test_rows_are_not_lost_when_the_query_that_replaces_them_fails_or_reads_them(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t AS SELECT range AS a FROM range(5)")
    with pytest.raises(DuctStatementError):
        db.query_to_table("SELECT nowhere FROM t", "t", if_exists="delete_rows")
    with pytest.raises(DuctStatementError):
        db.query_to_table("SELECT 'x' AS a", "t", if_exists="delete_rows")
    assert db.query("SELECT count(*) FROM t", format="tuple") == [(5,)]
    db.query_to_table("SELECT a FROM t WHERE a > 2", "t", if_exists="delete_rows")
    assert db.query("FROM t ORDER BY a", format="tuple") == [(3,), (4,)]
    assert len(db.table_list()) == 1


def test_replacing_rows_joins_a_transaction_that_is_open(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS a; BEGIN")
    db.query_to_table("SELECT 2 AS a", "t", if_exists="delete_rows")
    db.execute("ROLLBACK")
    assert db.query("FROM t", format="tuple") == [(1,)]


def test_a_frame_is_appended_by_the_names_of_its_columns(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t (a INT, b INT)")
    db.dataframe_to_table(pd.DataFrame({"b": [2], "a": [1]}), "t", if_exists="append")
    assert db.query("FROM t", format="tuple") == [(1, 2)]
    with pytest.raises(DuctArgumentError, match="if_exist"):
        db.dataframe_to_table(pd.DataFrame({"a": [1]}), "t", if_exist="append")


def test_tables_are_found_as_duckdb_finds_them(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE Trips (a INT); CREATE SCHEMA s; CREATE TABLE s.only_s (z INT)")
    db.execute("CREATE TABLE s.trips (z INT); ATTACH ':memory:' AS other; CREATE TABLE other.far (f INT)")
    assert db.table_exists("trips")
    assert db.table_desc("TRIPS")["column_name"].tolist() == ["a"]
    assert not db.table_exists("only_s")
    assert db.table_exists("S.only_s")
    assert db.table_exists("other.far")
    assert db.table_exists("other.main.far")
    assert db.table_list("other")["table_name"].tolist() == ["far"]
    db.query_to_table("SELECT 1 AS b", "trips", if_exists="replace")
    assert db.table_desc("trips")["column_name"].tolist() == ["b"]


def test_a_frame_becomes_a_table(db: DuckDBClient) -> None:
    db.dataframe_to_table(pd.DataFrame({"a": [1, 2]}), "t")
    db.dataframe_to_table(pl.DataFrame({"a": [3]}), "t", if_exists="append")
    assert db.query("SELECT sum(a) FROM t", format="tuple") == [(6,)]


# Life-cycle


def test_a_database_in_memory_survives_all_but_being_dropped(db: DuckDBClient) -> None:
    db.execute("CREATE TABLE t AS SELECT 1 AS a")
    db.disconnect()
    assert db.table_exists("t")
    db.reset()
    assert db.table_exists("t")
    db.config = {"threads": 1}
    assert not db.is_connected()
    assert db.table_exists("t")
    assert db.query("SELECT current_setting('threads')", format="tuple") == [(1,)]
    db.drop_database()
    assert not db.table_exists("t")


def test_a_database_file_is_free_once_it_is_disconnected(tmp_path: Path) -> None:
    import duckdb

    db = DuckDBClient(database=str(tmp_path / "x.duckdb"))
    db.execute("CREATE TABLE t AS SELECT 1 AS a")
    db.disconnect()
    with duckdb.connect(str(tmp_path / "x.duckdb")) as other:
        assert other.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert db.query("SELECT a FROM t", format="tuple") == [(1,)]


def test_changing_the_file_of_a_connected_duct_connects_to_the_other(tmp_path: Path) -> None:
    db = DuckDBClient(database=str(tmp_path / "one.duckdb"))
    db.execute("CREATE TABLE one (a INT)")
    db.database = str(tmp_path / "other.duckdb")
    assert not db.is_connected()
    assert not db.table_exists("one")


def test_a_file_that_is_no_database_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no database, just a text that is long enough to be read as one" * 100)
    db = DuckDBClient(name="mine", database=str(tmp_path / "x.txt"))
    with pytest.raises(Exception, match="mine: could not connect") as caught:
        db.query("SELECT 1")
    assert caught.value.__cause__ is not None
    assert db.status.state == "failed"


def test_session_properties_hold_for_the_session_and_for_a_call() -> None:
    db = DuckDBClient(session_properties={"threads": 3})
    ask = "SELECT current_setting('threads')"
    assert db.query(ask, format="tuple") == [(3,)]
    assert db.query(ask, format="tuple", session_properties={"threads": 1}) == [(1,)]
    assert db.query(ask, format="tuple") == [(3,)]


def test_many_threads_share_one_session(db: DuckDBClient) -> None:
    db.execute("CREATE TEMP TABLE t (a INT)")
    failures: list[BaseException] = []

    def insert(n: int) -> None:
        try:
            db.execute(f"INSERT INTO t VALUES ({n})")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert db.query("SELECT count(DISTINCT a) FROM t", format="tuple") == [(40,)]


def test_a_copy_has_the_templates_but_not_the_connection(db: DuckDBClient) -> None:
    import copy
    import pickle

    db.template_add("one", "SELECT 1")
    db.connect()
    for twin in (copy.copy(db), copy.deepcopy(db), pickle.loads(pickle.dumps(db))):
        assert not twin.is_connected()
        assert twin.template_names == ["one"]
        assert twin.query("SELECT 1", format="tuple") == [(1,)]


def test_a_registry_makes_it_from_configuration() -> None:
    registry = DuctRegistry({"databases": {"db": {"protocol": "duckdb", "config": {"threads": 1}}}})
    assert registry["db"].query("SELECT current_setting('threads')", format="tuple") == [(1,)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("file", "format"), [("rows.parquet", "csv"), ("rows.csv", "parquet")])
def test_a_file_whose_name_says_another_format_is_refused(
    db: DuckDBClient, tmp_path: Path, file: str, format: str
) -> None:
    ending = file.partition(".")[2]
    with pytest.raises(
        DuctConfigError, match=f"says {ending}, and the format is '{format}': say format='{ending}'"
    ):
        db.stream_to_file("SELECT 1", tmp_path / file, format=format)
    assert list(tmp_path.iterdir()) == []
