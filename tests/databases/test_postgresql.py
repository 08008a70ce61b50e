"""What PostgreSQL has of its own: its types, its bind values, its COPY, its options."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import subprocess
import sys
import traceback
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.services.interrupts import interrupted, wait_until
from tests.services.postgresql import PostgreSQL
from tests.services.proxy import Proxy

from omniduct import DuctRegistry
from omniduct.databases.postgresql import PostgreSQLClient
from omniduct.errors import DuctArgumentError, DuctAuthenticationError, DuctStatementError, DuctWarning

# Of Python 3.10 the last driver does not say what types are declared.
IS_TOLD = tuple(map(int, version("adbc-driver-postgresql").split(".")[:2])) >= (1, 13)
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
D = decimal.Decimal


def client(server: PostgreSQL, **arguments: Any) -> PostgreSQLClient:
    own: dict[str, Any] = {
        "name": "pg",
        **server.login,
    }
    return PostgreSQLClient(**{**own, **arguments})


@pytest.fixture
def pg(postgresql_server: PostgreSQL) -> Iterator[PostgreSQLClient]:
    duct = client(postgresql_server)
    yield duct
    duct.disconnect()


@pytest.fixture(scope="module")
def mood(postgresql_server: PostgreSQL) -> Iterator[str]:
    duct = client(postgresql_server)
    duct.execute("CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TYPE pair AS (a int, b text)")
    duct.disconnect()
    yield "mood"
    duct.execute("DROP TYPE mood; DROP TYPE pair")
    duct.disconnect()


# Types. Those that every database has are in the contract; these are PostgreSQL's own.


@pytest.mark.parametrize(
    ("literal", "arrow", "value"),
    [
        ("1.50::numeric(5,2)", pa.decimal128(5, 2), D("1.50")),
        ("1.5::numeric(5,2)", pa.decimal128(5, 2), D("1.50")),
        ("0.1::numeric", pa.decimal128(38, 1), D("0.1")),
        (f"-{'9' * 38}::numeric", pa.decimal128(38, 0), D("-" + "9" * 38)),
        ("1e50::numeric", pa.decimal256(76, 0), D("1" + "0" * 50)),
        ("'NaN'::numeric", pa.string(), "nan"),
        ("1.50::money", pa.decimal128(38, 2), D("1.50")),
        ("4294967295::oid", pa.int64(), 4294967295),
        ("timetz '01:02:03+02'", pa.string(), "01:02:03+02"),
        ("date 'infinity'", pa.date32(), "5881580-07-11"),
        ("date '-infinity'", pa.date32(), "-5877641-06-24"),
        ("timestamp 'infinity'", pa.timestamp("us"), "294247-01-10T04:00:54.775807"),
        ("'10.0.0.1/8'::inet", pa.string(), "10.0.0.1/8"),
        ("'10.0.0.0/8'::cidr", pa.string(), "10.0.0.0/8"),
        ("'08:00:2b:01:02:03'::macaddr", pa.string(), "08:00:2b:01:02:03"),
        ("B'101'", pa.string(), "101"),
        ("'<a/>'::xml", pa.string(), "<a/>"),
        ("int4range(1, 5)", pa.string(), "[1,5)"),
        ("'{[1,3)}'::int4multirange", pa.string(), "{[1,3)}"),
        ("'a b'::tsvector", pa.string(), "'a' 'b'"),
        ("point(1, 2)", pa.string(), "(1,2)"),
        ("row(1, 'a', NULL)", pa.string(), "(1,a,)"),
        ("'pg_class'::regclass", pa.string(), "pg_class"),
        ("array[1, 2, NULL]", pa.list_(pa.int32()), [1, 2, None]),
        ("array[[1, 2], [3, 4]]", pa.list_(pa.list_(pa.int32())), [[1, 2], [3, 4]]),
        ("'[0:1]={7,8}'::int[]", pa.list_(pa.int32()), [7, 8]),
        ("'{}'::text[]", pa.list_(pa.string()), []),
        (
            r"""ARRAY['a "b"', 'c,d', NULL, '', 'NULL', '{x}', 'back\slash']""",
            pa.list_(pa.string()),
            ['a "b"', "c,d", None, "", "NULL", "{x}", "back\\slash"],
        ),
        ("array[1.5, 2.25]", pa.list_(pa.decimal128(38, 2)), [D("1.50"), D("2.25")]),
        ("array[true, false]", pa.list_(pa.bool_()), [True, False]),
        (r"array['\x00ff'::bytea]", pa.list_(pa.binary()), [b"\x00\xff"]),
        ("array[date '2020-01-02']", pa.list_(pa.date32()), [datetime.date(2020, 1, 2)]),
        (f"array['{UUID}'::uuid]", pa.list_(pa.uuid()), [UUID]),
        ("array['NaN'::float8, 'Infinity']", pa.list_(pa.float64()), [float("nan"), float("inf")]),
    ],
)  # fmt: skip
def test_a_value_of_postgresqls_own_types_comes_whole(
    pg: PostgreSQLClient, literal: str, arrow: pa.DataType, value: object
) -> None:
    if "numeric(5,2)" in literal and not IS_TOLD:
        arrow = pa.decimal128(38, len(literal.partition(".")[2].partition(":")[0]))
    statement = f"SELECT {literal} AS x, 1 AS y"
    table = pg.query(statement, format="arrow", template=False)
    assert table.schema.types == [arrow, pa.int32()]
    ((found, one),) = pg.query(statement, format="tuple", template=False)
    assert (repr(found), one) == (repr(value), 1)


def test_enums_and_composite_types_are_text_also_when_they_are_new(pg: PostgreSQLClient, mood: str) -> None:
    pg.connect()
    pg.execute("CREATE TYPE weather AS ENUM ('sun')")
    try:
        for value, expected in (("sun", True), (None, None)):
            statement = "SELECT 'sun'::weather = {{ x | bind }}"
            assert pg.query(statement, format="tuple", context={"x": value}) == [(expected,)]
        rows = pg.query(
            "SELECT 'ok'::mood, 'sun'::weather, (1, 'a')::pair, array['ok'::mood]", format="tuple"
        )
        assert rows == [("ok", "sun", "(1,a)", ["ok"])]
    finally:
        pg.execute("DROP TYPE weather")


def test_arrays_of_different_depth_in_one_column_are_text(pg: PostgreSQLClient) -> None:
    statement = "SELECT x FROM (VALUES (array[1]), (array[[1]])) t(x)"
    assert pg.query(statement, format="tuple") == [("{1}",), ("{{1}}",)]


def test_the_columns_of_a_wrapped_statement_keep_their_names_and_their_order(pg: PostgreSQLClient) -> None:
    table = pg.query(
        'SELECT 1 AS a, int4range(g, 9) AS a, g AS "x y" FROM generate_series(3, 1, -1) g -- and a comment',
        format="arrow",
    )
    assert table.column_names == ["a", "a", "x y"]
    assert table.column(2).to_pylist() == [3, 2, 1]


def test_a_statement_with_exotic_columns_that_writes_writes_once(pg: PostgreSQLClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE ranges (r int4range)")
    assert pg.query("INSERT INTO ranges VALUES ('[1,3)') RETURNING r", format="tuple") == [("[1,3)",)]
    assert pg.query("SELECT count(*) FROM ranges", format="tuple") == [(1,)]


@pytest.mark.parametrize("format", ["csv", "tuple"])
def test_numbers_of_a_scale_that_grows_stream_as_they_are(pg: PostgreSQLClient, format: str) -> None:
    statement = (
        "SELECT 1::numeric / CASE WHEN g < 1999999 THEN 1 ELSE 3 END AS x FROM generate_series(1, 2000000) g"
    )
    last = list(pg.stream(statement, format=format))[-1]
    assert "0.33333333333333333333" in str(last)


def test_a_row_without_columns_is_no_result(pg: PostgreSQLClient) -> None:
    assert pg.query("SELECT") is None
    assert pg.query("DO $$ BEGIN END $$", template=False) is None


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SHOW standard_conforming_strings", [("on",)]),
        ("PREPARE p AS SELECT 1 AS x; EXECUTE p", [(1,)]),
        ("EXPLAIN (FORMAT text) SELECT 1", [("Result  (cost=0.00..0.01 rows=1 width=4)",)]),
        ("BEGIN; DECLARE c CURSOR FOR SELECT 7; FETCH 1 FROM c", [(7,)]),
        ("/* first */ -- second\n (SELECT 1)", [(1,)]),
        ("TABLE pg_am LIMIT 0", []),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", [(1,)]),
    ],
)
def test_every_kind_of_statement_gives_its_rows(
    pg: PostgreSQLClient, statement: str, expected: object
) -> None:
    assert pg.query(statement, format="tuple") == expected


def test_what_cannot_be_wrapped_is_an_error_rather_than_half_a_value(pg: PostgreSQLClient) -> None:
    with pytest.raises(DuctStatementError, match=r"'array' is of a type .* that FETCH, EXECUTE and CALL do"):
        pg.query("PREPARE q AS SELECT array[[1]]; EXECUTE q")
    assert pg.query("SELECT 1 AS x", format="tuple") == [(1,)]


# Bind values


@pytest.mark.parametrize(
    ("statement", "value", "expected"),
    [
        ("SELECT date '2020-01-01' = {{ x | bind }}", "2020-01-01", True),
        ("SELECT date '2020-01-01' = {{ x | bind }}", datetime.date(2020, 1, 1), True),
        ("SELECT date '2020-01-01' + {{ x | bind }}", 5, datetime.date(2020, 1, 6)),
        ("SELECT repeat('a', {{ x | bind }})", 3, "aaa"),
        ("SELECT {{ x | bind }}", 5, 5),
        ("SELECT {{ x | bind }}", 2**40, 2**40),
        ("SELECT {{ x | bind }}", 2**70, D(2**70)),
        ("SELECT {{ x | bind }}", "a'b%:x?", "a'b%:x?"),
        ("SELECT {{ x | bind }}::int", None, None),
        ("SELECT 1 = {{ x | bind }}", None, None),
        ("SELECT 1 < {{ x | bind }}", 1.5, True),
        ("SELECT 1.5 = {{ x | bind }}", D("1.5"), True),
        ("SELECT 2 IN ({{ x | bind }})", [1, 2], True),
        ("SELECT {{ x | bind }}::jsonb -> 'a'", {"a": [1]}, "[1]"),
        ("SELECT '{\"a\": 1}'::jsonb @> {{ x | bind }}", '{"a": 1}', True),
        ("SELECT {{ x | bind }}", UUID, UUID),
        ("SELECT 'ok'::mood = {{ x | bind }}", "ok", True),
        ("SELECT 'ok'::mood = {{ x | bind }} AND '$1' <> 'x'", "ok", True),
        ("SELECT array['ok'::mood] = {{ x | bind }}", "{ok}", True),
        ("SELECT inet '10.0.0.1' = {{ x | bind }}", "10.0.0.1", True),
        ("SELECT numeric '1.5' = {{ x | bind }}", "1.5", True),
        ("SELECT {{ x | bind }}", b"\x00\xff", b"\x00\xff"),
        ("SELECT {{ x | bind }} > time '00:30'", datetime.time(1, 2), True),
        ("SELECT interval '1 day' = {{ x | bind }}", datetime.timedelta(days=1), True),
    ],
)  # fmt: skip
def test_a_bind_value_has_the_type_that_its_place_expects(
    pg: PostgreSQLClient, mood: str, statement: str, value: object, expected: object
) -> None:
    if "mood" in statement and not IS_TOLD:
        statement = statement.replace("bind }}", "bind }}::mood" + "[]" * ("array" in statement))
    ((found,),) = pg.query(statement, format="tuple", context={"x": value})
    assert (found, type(found)) == (expected, type(expected))


def test_bind_values_work_where_rows_are_written(pg: PostgreSQLClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE noted (i smallint, t text, n numeric(6, 2), j jsonb)")
    context = {"i": 1, "t": None, "n": D("1.25"), "j": {"a": 1}}
    values = "{{ i | bind }}, {{ t | bind }}, {{ n | bind }}, {{ j | bind }}"
    pg.execute(f"INSERT INTO noted VALUES ({values})", context=context)
    assert pg.query("SELECT * FROM noted", format="tuple") == [(1, None, D("1.25"), '{"a": 1}')]
    pg.query_to_table("SELECT {{ i | bind }}::int AS i", "pg_temp.made", context={"i": 3})
    assert pg.query("SELECT i FROM made", format="tuple") == [(3,)]


# COPY, and frames


@pytest.mark.parametrize("statement", ["COPY pg_am TO STDOUT", "copy t (a)\n from stdin with (format csv)"])
def test_a_copy_through_the_client_is_refused_with_the_ways_there_are(
    pg: PostgreSQLClient, statement: str
) -> None:
    with pytest.raises(DuctStatementError, match="use dataframe_to_table to write rows, and stream_to_file"):
        pg.execute(statement)
    assert pg.query("SELECT 1 AS x", format="tuple") == [(1,)]


def test_a_frame_is_cast_to_the_types_of_the_table(pg: PostgreSQLClient, mood: str) -> None:
    pg.execute(
        "CREATE TEMPORARY TABLE typed "
        "(i smallint, d date, n numeric(6, 1), m mood, j jsonb, ip inet, a int[])"
    )
    frame = pd.DataFrame(
        {
            "j": [{"a": [1]}],
            "i": [1],
            "d": ["2020-01-01"],
            "n": [1.25],
            "m": ["ok"],
            "ip": ["10.0.0.1"],
            "a": [[1]],
        }
    )
    pg.dataframe_to_table(frame, "typed", "append")
    assert pg.query("SELECT * FROM typed", format="tuple") == [
        (1, datetime.date(2020, 1, 1), D("1.3"), "ok", '{"a": [1]}', "10.0.0.1/32", [1])
    ]
    with pytest.raises(
        DuctArgumentError, match=r"'i' of the frame does not fit .* smallint: Integer value 100000"
    ):
        pg.dataframe_to_table(pd.DataFrame({"i": [100_000]}), "typed", "append")
    with pytest.raises(
        DuctArgumentError, match="the table 'typed' has no column 'z'; it has i, d, n, m, j, ip, a"
    ):
        pg.dataframe_to_table(pd.DataFrame({"z": [1]}), "typed", "append")
    with pytest.raises(DuctStatementError, match='invalid input value for enum mood: "okay"'):
        pg.dataframe_to_table(pd.DataFrame({"m": ["okay"]}), "typed", "append")
    assert pg.query("SELECT count(*) FROM typed", format="tuple") == [(1,)]


def test_nested_columns_become_arrays_and_json(pg: PostgreSQLClient) -> None:
    frame = pl.DataFrame(
        {"l": [[1, 2], None, []], "s": [{"a": 1}, None, {"a": 2}], "n": [[[1]], [[2], [3]], None]}
    )
    pg.dataframe_to_table(frame, "nested")
    try:
        assert list(pg.table_desc("nested")["data_type"]) == ["bigint[]", "jsonb", "bigint[]"]
        assert pg.query("SELECT * FROM nested", format="tuple") == [
            ([1, 2], '{"a": 1}', [[1]]),
            (None, None, [[2], [3]]),
            ([], '{"a": 2}', None),
        ]
    finally:
        pg.table_drop("nested")


def test_a_frame_goes_into_a_temporary_table_and_into_another_schema(pg: PostgreSQLClient) -> None:
    frame = pa.table({"x": [1]})
    pg.execute(
        'CREATE TEMPORARY TABLE shadow (x int); CREATE SCHEMA "Other one"; CREATE TABLE shadow2 (x int)'
    )
    try:
        pg.dataframe_to_table(frame, "shadow", "append")
        assert pg.query("SELECT * FROM pg_temp.shadow", format="tuple") == [(1,)]
        pg.dataframe_to_table(frame, '"Other one".t')
        assert pg.query('SELECT * FROM "Other one".t', format="tuple") == [(1,)]
        assert list(pg.table_list('"Other one"')["table_name"]) == ["t"]
        assert pg.table_exists('shop."Other one".t') and not pg.table_exists('elsewhere."Other one".t')
    finally:
        pg.execute('DROP SCHEMA "Other one" CASCADE; DROP TABLE shadow2')


# Tables


def test_partitioned_tables_views_and_comments_are_described(pg: PostgreSQLClient) -> None:
    pg.execute(
        "CREATE TABLE parted (day date NOT NULL, \"Region\" text DEFAULT 'eu', x int) "
        'PARTITION BY RANGE ("Region", day);'
        "CREATE TABLE part_1 PARTITION OF parted DEFAULT; COMMENT ON COLUMN parted.x IS 'how many';"
        "CREATE VIEW seen AS SELECT * FROM parted; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS x"
    )
    try:
        assert pg.table_partition_cols("parted") == ["Region", "day"]
        assert pg.table_partition_cols("seen") == []
        assert pg.table_props("parted")["table_type"].tolist() == ["partitioned table"]
        assert pg.table_props("parted")["partitioned_by"].tolist() == ['RANGE ("Region", day)']
        desc = pg.table_desc("parted")
        assert desc["column_name"].tolist() == ["day", "Region", "x"]
        assert desc["is_nullable"].tolist() == [False, True, True]
        assert desc["column_default"].tolist()[1] == "'eu'::text"
        assert desc["comment"].tolist()[2] == "how many"
        assert pg.table_list()["table_name"].tolist() == ["kept", "parted", "seen"]
    finally:
        pg.table_drop("kept")
        pg.table_drop("seen")
        pg.table_drop("parted")
    assert pg.table_list()["table_name"].tolist() == []


# Options and links


def test_the_arguments_of_the_sqlalchemy_client_are_taken(postgresql_server: PostgreSQL) -> None:
    with pytest.warns(DuctWarning, match="pg: driver, pool_size has no effect on the protocol postgresql"):
        duct = client(
            postgresql_server,
            dialect="postgresql",
            driver="psycopg2",
            engine_opts={"pool_size": 5, "connect_args": {"application_name": "mine"}},
        )
    assert duct.query("SHOW application_name", format="tuple") == [("mine",)]
    duct.disconnect()


def test_options_of_libpq_are_taken_and_a_wrong_one_is_said(postgresql_server: PostgreSQL) -> None:
    duct = client(postgresql_server, connection_options={"options": "-c work_mem=3MB"})
    assert duct.query("SHOW work_mem", format="tuple") == [("3MB",)]
    duct.connection_options = {"sslmod": "require"}
    with pytest.raises(RuntimeError, match='invalid connection option "sslmod"'):
        duct.query("SELECT 1")


def test_a_password_with_quotes_and_backslashes_is_itself(
    pg: PostgreSQLClient, postgresql_server: PostgreSQL
) -> None:
    secret = 'it\'s a \\ "secret" = x'
    postgresql_server.admin(f"CREATE ROLE quoted LOGIN PASSWORD $q${secret}$q$")
    duct = client(postgresql_server, username="quoted", password=secret, database="postgres")
    assert duct.query("SELECT current_user", format="tuple") == [("quoted",)]
    duct.disconnect()
    postgresql_server.admin("DROP ROLE quoted")


def test_the_session_is_one_and_streams_are_beside_it(pg: PostgreSQLClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE mine (x int)")
    numbers = {pg.query("SELECT pg_backend_pid()", format="tuple")[0][0] for _ in range(3)}
    beside = list(pg.stream("SELECT pg_backend_pid(), to_regclass('mine')::text"))
    assert len(numbers) == 1
    assert beside[0][0] not in numbers and beside[0][1] is None


def test_two_streams_and_a_query_run_at_once(pg: PostgreSQLClient) -> None:
    one, other = (pg.stream("SELECT generate_series(1, 100000) AS x") for _ in range(2))
    assert next(one) == (1,)
    assert next(other) == (1,)
    assert pg.query("SELECT 42 AS x", format="tuple") == [(42,)]
    assert sum(1 for _ in one) == sum(1 for _ in other) == 99_999


def test_a_stream_that_is_closed_early_ends_on_the_server_at_once(
    pg: PostgreSQLClient, postgresql_server: PostgreSQL
) -> None:
    rows = pg.stream("SELECT generate_series(1, 1000000000) AS left_early")
    next(rows)
    assert postgresql_server.running("left_early")
    rows.close()
    assert not postgresql_server.running("left_early")
    wait_until(lambda: postgresql_server.connections(postgresql_server.user) == 1)


def test_a_duct_from_yaml_reaches_the_server(postgresql_server: PostgreSQL) -> None:
    server = postgresql_server
    registry = DuctRegistry(
        f"databases:\n  shop:\n    protocol: postgresql\n    host: {server.host}:{server.port}\n"
        f"    username: {server.user}\n    password: {server.password}\n    database: {server.database}\n"
        "    session_properties: {work_mem: 2MB}\n"
    )
    assert registry["shop"].query("SHOW work_mem", format="tuple") == [("2MB",)]
    assert server.password not in repr(registry["shop"])
    registry["shop"].disconnect()


def test_disconnecting_from_a_silent_peer_returns(postgresql_server: PostgreSQL) -> None:
    with Proxy(postgresql_server.host, postgresql_server.port) as proxy:
        duct = client(postgresql_server, port=proxy.port)
        duct.connect()
        proxy.freeze()
        duct.disconnect()  # says goodbye to nobody, and returns
        assert not duct.is_connected()
        proxy.thaw()


# What a review has found


@pytest.mark.parametrize(
    "written",
    [
        *(f"2::numeric^{n}" for n in range(70, 200, 9)),
        *("1e39", "-1e39", "1e60", "1e400", "1e25::numeric / 3", "-1e-48"),
    ],
)
def test_a_number_of_any_length_is_the_servers(
    pg: PostgreSQLClient, postgresql_server: PostgreSQL, written: str
) -> None:
    expression = written if "::" in written else f"{written}::numeric"
    ((text,),) = postgresql_server.admin(f"SELECT ({expression})::text")
    ((found,),) = pg.query(f"SELECT {expression} AS x", format="tuple")
    assert D(str(found)) == D(text)


@pytest.mark.parametrize("value", [datetime.datetime(2020, 7, 1, 23, tzinfo=datetime.timezone.utc), None])
def test_a_bound_moment_leaves_the_transaction_and_the_time_zone_alone(
    pg: PostgreSQLClient, value: object
) -> None:
    pg.execute("CREATE TEMPORARY TABLE moments (t timestamptz)")
    with pytest.raises(KeyError), pg.transaction():
        pg.execute("INSERT INTO moments VALUES ({{ x | bind }})", context={"x": value})
        pg.dataframe_to_table(pa.table({"t": pa.array([0], pa.timestamp("us", "UTC"))}), "moments", "append")
        raise KeyError
    assert pg.query("SELECT * FROM moments", format="tuple") == []
    statement = "SELECT {{ x | bind }}::timestamptz::date, current_setting('TimeZone')"
    zone = {"TimeZone": "Pacific/Kiritimati"}
    found = pg.query(statement, format="tuple", context={"x": value}, session_properties=zone)
    assert found == [(value and datetime.date(2020, 7, 2), "Pacific/Kiritimati")]


def test_lists_keep_their_nulls_whatever_lies_beneath_them(pg: PostgreSQLClient) -> None:
    lists = pa.array([[1, 2], None, [3, None]], pa.list_(pa.int64(), 2))
    pg.dataframe_to_table(pa.table({"v": lists}), "listed")
    assert pg.query("SELECT v FROM listed", format="tuple") == [([1, 2],), (None,), ([3, None],)]
    pg.table_drop("listed")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT '1 2'::int2vector AS x", [1, 2]),
        ("SELECT ARRAY['10.0.0.1']::inet[] AS x", ["10.0.0.1"]),
        ("SELECT ARRAY[0.1::float8 + 0.2] AS x", [0.1 + 0.2]),
        (
            "SET bytea_output = 'escape'; SELECT ARRAY['ab\\\\c'::bytea, '\\xff'::bytea] AS x",
            [b"ab\\c", b"\xff"],
        ),
        ("SELECT timestamp '294276-12-31' AS x", "294247-01-10T04:00:54.775807"),
    ],
)
def test_elements_and_late_years_come_whole(pg: PostgreSQLClient, statement: str, expected: object) -> None:
    assert pg.query(statement, format="tuple", template=False) == [(expected,)]


def test_a_with_that_writes_may_give_any_type(pg: PostgreSQLClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE moved (i int, r int4range); INSERT INTO moved VALUES (1, '[1,3)')")
    statement = "WITH d AS (DELETE FROM moved RETURNING *) SELECT i, r FROM d"
    assert pg.query(statement, format="tuple") == [(1, "[1,3)")]
    assert pg.query("SELECT * FROM moved", format="tuple") == []
    assert pg.query("WITH x AS (SELECT 1 AS a) (SELECT array[a] AS a FROM x)", format="tuple") == [([1],)]


def test_a_setting_for_one_call_ends_with_the_call_also_in_a_transaction(pg: PostgreSQLClient) -> None:
    before = pg.query("SHOW work_mem", format="tuple")
    with pg.transaction():
        pg.execute("SET LOCAL work_mem = '1MB'")
        pg.query("SELECT 1", session_properties={"work_mem": "2MB"})
        assert pg.query("SHOW work_mem", format="tuple") == [("1MB",)]
    assert pg.query("SHOW work_mem", format="tuple") == before
    own = {"app.who": "ann"}
    assert pg.query("SELECT current_setting('app.who')", format="tuple", session_properties=own) == [("ann",)]
    assert pg.query("SELECT current_setting('app.who', true)", format="tuple") == [("",)]


@pytest.mark.parametrize(
    ("column", "type"),
    [(pa.array([1500], pa.duration("ns")), "interval"), (pa.array([1e300]), "real")],
)
def test_a_value_that_the_column_cannot_hold_is_an_error(
    pg: PostgreSQLClient, column: pa.Array, type: str
) -> None:
    pg.execute(f"CREATE TEMPORARY TABLE held (x {type})")
    with pytest.raises(DuctArgumentError, match=f"'x' of the frame does not fit .* which is {type}"):
        pg.dataframe_to_table(pa.table({"x": column}), "held", "append")


@pytest.mark.parametrize("begin", ["BEGIN", "-- first\nBEGIN", "/* x */ BEGIN", "START\tTRANSACTION"])
def test_a_transaction_that_was_typed_is_noted_however_it_is_written(
    pg: PostgreSQLClient, postgresql_server: PostgreSQL, begin: str
) -> None:
    ((number,),) = pg.query("SELECT pg_backend_pid()", format="tuple")
    pg.execute(begin, template=False)
    postgresql_server.admin(f"SELECT pg_terminate_backend({number})")
    there = f"SELECT 1 FROM pg_stat_activity WHERE pid = {number}"
    wait_until(lambda: not postgresql_server.admin(there))
    with pytest.raises(DuctStatementError, match="with it the transaction that was open"):
        pg.execute("SELECT 1")


def test_a_refused_login_is_an_answer_all_the_same(postgresql_server: PostgreSQL) -> None:
    postgresql_server.admin("CREATE ROLE single LOGIN PASSWORD 'x' CONNECTION LIMIT 1")
    duct = client(postgresql_server, username="single", password="x", database="postgres", answer_timeout=0.9)
    assert len(duct.query("SELECT pg_sleep(2.5)", format="tuple")) == 1
    duct.disconnect()
    postgresql_server.admin("DROP ROLE single")


def test_no_frame_of_a_failed_login_has_the_password(
    pg: PostgreSQLClient, postgresql_server: PostgreSQL
) -> None:
    postgresql_server.admin("CREATE ROLE moved LOGIN PASSWORD 's3ntinel'")
    duct = client(postgresql_server, username="moved", password="s3ntinel", database="postgres")
    duct.connect()
    postgresql_server.admin("ALTER ROLE moved PASSWORD 'other'")
    with pytest.raises(DuctAuthenticationError) as raised:
        duct.stream("SELECT 1")
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "s3ntinel" not in shown
    duct.disconnect()
    postgresql_server.admin("DROP ROLE moved")


# Cancelled, it goes on: what only a second interrupt leaves behind.
STUBBORN = """
    DO $$ BEGIN LOOP
        BEGIN PERFORM pg_sleep(0.1); EXCEPTION WHEN query_canceled THEN NULL; END;
    END LOOP; END $$
"""


def in_a_child(server: PostgreSQL, function: str) -> subprocess.CompletedProcess[str]:
    """Call a function of this file with the arguments of a duct, in a process of its own."""
    arguments = {"name": "pg", **server.login}
    program = (
        "import json, sys; from tests.databases import test_postgresql as module; "
        f"module.{function}(json.loads(sys.argv[1]))"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'omniduct_ext'}{os.pathsep}{root}"}
    command = [sys.executable, "-W", "ignore", "-c", program, json.dumps(arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def child_leaves_a_transaction_behind(arguments: dict[str, Any]) -> None:
    pg = PostgreSQLClient(**arguments)
    pg.execute("CREATE TABLE left_behind (x int)")
    former = pg._link
    while pg._link is former:  # now and then a cancel strikes between two of its sleeps, and it ends
        pg.execute("BEGIN; INSERT INTO left_behind VALUES (1)")
        interrupted(lambda: pg.execute(STUBBORN, template=False), 0.3, 0.4, 1.2)
    for _ in range(2):
        try:
            pg.execute("INSERT INTO left_behind VALUES (2)")
            break
        except DuctStatementError as error:
            print(error, flush=True)
    print(pg.query("SELECT x FROM left_behind", format="tuple"), flush=True)
    os._exit(0)


def test_a_transaction_that_was_left_behind_with_its_session_is_not_gone_on_with(
    postgresql_server: PostgreSQL,
) -> None:
    server = postgresql_server
    done = in_a_child(server, "child_leaves_a_transaction_behind")
    lines = done.stdout.splitlines()
    assert "with it the transaction that was open" in lines[0], done.stderr
    assert lines[1] == "[(2,)]"
    server.admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE '%query_canceled%' AND pid <> pg_backend_pid()"
    )
    duct = client(server)
    duct.table_drop("left_behind")
    duct.disconnect()


def child_works_in_the_main_thread(arguments: dict[str, Any]) -> None:
    from adbc_driver_manager import _lib

    for _ in range(3):
        pg = PostgreSQLClient(**arguments, session_properties={"work_mem": "2MB"})
        pg.query("SELECT 1", session_properties={"work_mem": "3MB"})
        sum(1 for _ in pg.stream("SELECT generate_series(1, 10)"))
        pg.dataframe_to_table(pa.table({"x": [1]}), "main_thread", "replace")
        with pg.transaction():
            pg.execute("SELECT {{ x | bind }}", context={"x": "a"})
        pg.is_connected()
        pg.disconnect()
    print(_lib._init_blocking_call.cache_info().currsize)


def test_the_drivers_own_handler_of_signals_is_never_installed(postgresql_server: PostgreSQL) -> None:
    """It would lose an interrupt that comes while a call lasts, and may stay."""
    done = in_a_child(postgresql_server, "child_works_in_the_main_thread")
    assert done.stdout.split() == ["0"], done.stderr
