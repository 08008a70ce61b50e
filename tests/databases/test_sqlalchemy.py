"""What SQLAlchemy speaks to: addresses, drivers, and a real PostgreSQL that is reached this way."""

from __future__ import annotations

import copy
import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from tests.services.postgresql import PostgreSQL

from omniduct import Duct
from omniduct.databases.sqlalchemy import SQLAlchemyClient, dialects
from omniduct.databases.sqlalchemy.dialects import Address
from omniduct.databases.sqlalchemy.mysql import MySQLClient
from omniduct.databases.sqlalchemy.sqlite import SQLiteClient
from omniduct.errors import (
    DuctArgumentError,
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctError,
    DuctStatementError,
)


def through_sqlalchemy(server: PostgreSQL, **arguments: Any) -> SQLAlchemyClient:
    given: dict[str, Any] = {
        "protocol": "sqlalchemy",
        "dialect": "postgresql",
        "driver": "psycopg",
        "name": "pg",
        **server.login,
    }
    return SQLAlchemyClient(**{**given, **arguments})


@pytest.fixture
def pg(postgresql_server: PostgreSQL) -> Iterator[SQLAlchemyClient]:
    duct = through_sqlalchemy(postgresql_server)
    yield duct
    duct.disconnect()


def said_by(kind: type[DuctError], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# Addresses


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("sqlite://", ("sqlite", "", "", "", "", "", "")),
        ("sqlite:////tmp/a b.db", ("sqlite", "", "", "", "", "", "/tmp/a b.db")),
        ("mysql+pymysql://ann:p%40ss@db:33/shop", ("mysql", "pymysql", "ann", "p@ss", "db", "33", "shop")),
        ("postgresql://ann@[::1]/shop", ("postgresql", "", "ann", "", "::1", "", "shop")),
        ("mssql://ann:a@b@c@db", ("mssql", "", "ann", "a@b@c", "db", "", "")),
    ],
)
def test_a_url_is_read_in_its_parts(url: str, parts: tuple[str, ...]) -> None:
    found = Address.read(url)
    assert found is not None
    named = found.dialect, found.driver, found.username, found.password, found.host, found.port
    assert (*named, found.database) == parts
    assert "p@ss" not in repr(found)


def test_host_and_login_of_a_url_are_fields_of_the_duct() -> None:
    duct = SQLAlchemyClient(name="ms", url="mssql+pyodbc://ann:swordfish@db:1444/shop?driver=ODBC")
    assert (duct.host, duct.port, duct.username, duct.password) == ("db", 1444, "ann", "swordfish")
    assert (duct.dialect, duct.driver, duct.database) == ("mssql", "pyodbc", "shop")
    assert duct._url().query == {"driver": "ODBC"}


def test_what_is_given_by_name_comes_before_the_url() -> None:
    duct = SQLAlchemyClient(url="mssql://ann:one@db:1/shop", host="other", username="bob", password="two")
    assert (duct.host, duct.username, duct.password, duct.database) == ("other", "bob", "two", "shop")


def test_no_password_of_a_url_is_shown_or_copied() -> None:
    duct = SQLAlchemyClient(name="ms", url="mssql://ann:swordfish@db/shop?charset=utf8")
    shown = [repr(duct), repr(vars(duct)), repr(duct._arguments), pickle.dumps(duct).decode("latin1")]
    assert not any("swordfish" in text for text in shown)
    twin = copy.copy(duct)
    assert (twin._host, twin._username, twin._password) == ("db", "ann", True)
    assert (twin.dialect, twin.database, twin._query) == ("mssql", "shop", {"charset": "utf8"})


def test_a_url_that_is_none_is_an_error_that_does_not_show_it() -> None:
    text = said_by(DuctArgumentError, lambda: SQLAlchemyClient(name="x", url="mysql:/ann:swordfish@db"))
    assert text == (
        "x: url cannot be read: it is written dialect+driver://username:password@host:port/database, with "
        "%40 for an @ in the password, %2F for a /"
    )


def test_without_a_dialect_there_is_an_error_that_says_how() -> None:
    text = said_by(DuctArgumentError, lambda: SQLAlchemyClient(protocol="sqlalchemy", name="x"))
    assert text == ("x: sqlalchemy needs a dialect, as dialect='mssql', or a url, as 'mssql://host/database'")


def test_a_dialect_that_there_is_none_of_is_named_with_its_near_miss() -> None:
    duct = SQLAlchemyClient(name="x", dialect="mssq")
    text = said_by(DuctConfigError, lambda: duct.query("SELECT 1"))
    assert text == "x: SQLAlchemy has no dialect 'mssq'; did you mean 'mssql'?"


@pytest.mark.parametrize(
    ("arguments", "levels", "quote", "port"),
    [
        ({"protocol": "mssql"}, ["database", "schema", "table"], '"', 1433),
        ({"protocol": "oracle"}, ["schema", "table"], '"', 1521),
        ({"protocol": "snowflake"}, ["database", "schema", "table"], '"', None),
        ({"protocol": "firebird"}, ["table"], '"', 3050),
        ({"protocol": "sybase"}, ["database", "schema", "table"], '"', 5000),
        ({"protocol": "sqlalchemy", "dialect": "mysql+pymysql"}, ["database", "table"], "`", 3306),
    ],
)
def test_each_dialect_has_its_levels_quotes_and_port(
    arguments: dict[str, str], levels: list[str], quote: str, port: int | None
) -> None:
    duct = SQLAlchemyClient(host="db", database="x", **arguments)
    assert levels == duct.NAMESPACE_NAMES
    assert duct._quote("a") == f"{quote}a{quote}"
    assert duct.port == port


def test_names_without_quotes_are_in_capitals_where_the_service_reads_them_so() -> None:
    duct = SQLAlchemyClient(protocol="oracle", host="db")
    assert str(duct._parse_namespaces("hr.emp")) == '"HR"."EMP"'
    assert str(duct._parse_namespaces('hr."emp"')) == '"hr"."emp"'


def test_a_known_dialect_is_of_the_class_that_knows_more_of_it() -> None:
    assert type(SQLAlchemyClient(url="mysql://db/x")) is MySQLClient
    assert type(SQLAlchemyClient(protocol="sqlalchemy", dialect="mariadb")) is MySQLClient
    assert type(SQLAlchemyClient(protocol="sqlalchemy", dialect="sqlite")) is SQLiteClient
    assert type(SQLAlchemyClient(dialect="mssql")) is SQLAlchemyClient


# Drivers


@pytest.mark.parametrize(
    ("protocol", "package", "extra"),
    [
        ("mssql", "pymssql", "omniduct-ext[mssql]"),
        ("oracle", "oracledb", "omniduct-ext[oracle]"),
        ("snowflake", "snowflake-sqlalchemy", "omniduct-ext[snowflake]"),
        ("firebird", "sqlalchemy-firebird", "omniduct-ext[firebird]"),
        ("sybase", "sqlalchemy-sybase", "omniduct-ext[sybase]"),
    ],
)
def test_a_missing_driver_is_said_with_what_to_install(
    protocol: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = package.replace("-", "_")
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    duct = SQLAlchemyClient(protocol=protocol, name="db", host="127.0.0.1")
    text = said_by(DuctDriverMissing, lambda: duct._sqlalchemy_dialect)
    assert text == f"db: {protocol} needs the `{package}` package: pip install '{extra}'"


def test_a_driver_that_no_extra_of_ours_brings_is_named_itself() -> None:
    duct = SQLAlchemyClient(protocol="sqlalchemy", dialect="postgresql", driver="pg8000", name="db")
    if dialects._is_installed("pg8000"):
        pytest.skip("pg8000 is installed")
    text = said_by(DuctDriverMissing, lambda: duct._sqlalchemy_dialect)
    assert text == "db: sqlalchemy needs the `pg8000` package: pip install 'pg8000'"


def test_neither_sqlalchemy_nor_a_driver_is_imported_before_it_is_used() -> None:
    program = (
        "import sys; from omniduct.databases.sqlalchemy.mysql import MySQLClient; MySQLClient(url='mysql://a:b@c/d');"
        "print([n for n in ('sqlalchemy', 'pymysql', 'pandas', 'pyarrow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# A real PostgreSQL


def test_a_statement_without_values_is_sent_as_it_is(pg: SQLAlchemyClient) -> None:
    assert pg.query("SELECT 7 % 4 AS a, '%s :x ?' AS b, '5'::int AS c", format="tuple") == [(3, "%s :x ?", 5)]


def test_with_bound_values_all_else_stays_what_it_was(pg: SQLAlchemyClient) -> None:
    query = "SELECT 7 % 4 AS a, '%s %%' AS b, {{ x | bind }}::text AS c WHERE 'ab' LIKE 'a%'"
    assert pg.query(query, context={"x": "50%"}, format="tuple") == [(3, "%s %%", "50%")]


def test_the_engine_leads_to_the_same_database_for_other_libraries(pg: SQLAlchemyClient) -> None:
    pg.execute("CREATE TABLE IF NOT EXISTS for_engine AS SELECT 1 AS a")
    assert pd.read_sql("SELECT a FROM for_engine", pg.engine)["a"].tolist() == [1]
    pg.table_drop("for_engine")
    assert "***" in str(pg.engine.url) and pg.password not in str(pg.engine.url)


def test_a_failed_statement_in_a_transaction_rolls_it_back_and_says_so(pg: SQLAlchemyClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE t (a INT)")
    text = said_by(DuctStatementError, lambda: pg.execute("BEGIN; INSERT INTO t VALUES (1); SELECT 1 / 0"))
    assert text == (
        "pg: statement 3 of 3: division by zero (22012)\n"
        "The transaction was rolled back; what comes next is outside of it."
    )
    with pytest.raises(DuctStatementError, match="the transaction is over"), pg.transaction():
        with pytest.raises(DuctStatementError, match="rolled back"):
            pg.query("SELECT 1 / 0")
        pg.query("SELECT 1")
    assert pg.query("SELECT count(*) FROM t", format="tuple") == [(0,)]


def test_a_table_that_is_missing_is_marked_and_the_near_misses_named(pg: SQLAlchemyClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE customers (a INT)")
    text = said_by(DuctStatementError, lambda: pg.query("SELECT *\nFROM custmers"))
    assert text == (
        "pg: relation \"custmers\" does not exist (42P01); did you mean 'customers'?\n"
        "  line 2: FROM custmers\n"
        "               ^"
    )


def test_a_wrong_password_and_an_unknown_database_are_said(postgresql_server: PostgreSQL) -> None:
    refused = through_sqlalchemy(postgresql_server, password="swordfish")
    text = said_by(DuctAuthenticationError, lambda: refused.query("SELECT 1"))
    assert text.startswith(f"pg: could not connect to 127.0.0.1:{postgresql_server.port}: ")
    assert "password authentication failed" in text and "swordfish" not in text
    unknown = through_sqlalchemy(postgresql_server, database="nowhere")
    assert '"nowhere" does not exist' in said_by(DuctConnectionError, lambda: unknown.query("SELECT 1"))


def test_a_setting_for_one_call_is_put_back(pg: SQLAlchemyClient) -> None:
    ask = "SELECT current_setting('work_mem')"
    former = pg.query(ask, format="tuple")
    assert pg.query(ask, format="tuple", session_properties={"work_mem": "77kB"}) == [("77kB",)]
    assert pg.query(ask, format="tuple") == former
    text = said_by(DuctArgumentError, lambda: pg.query(ask, session_properties={"x; DROP": 1}))
    assert text == "pg: 'x; DROP' is no name of a session property"


def test_an_option_that_the_engine_does_not_take_is_an_error_that_says_so(
    postgresql_server: PostgreSQL,
) -> None:
    duct = through_sqlalchemy(postgresql_server, engine_opts={"ecko": True})
    assert said_by(DuctConfigError, lambda: duct.query("SELECT 1")).startswith(
        "pg: engine_opts cannot be used: Invalid argument(s) 'ecko'"
    )


def test_an_empty_result_keeps_its_types(pg: SQLAlchemyClient) -> None:
    query = "SELECT 1::smallint AS i, 1.5::numeric(9,2) AS d, now() AS z, 'x'::text AS t WHERE false"
    assert [str(kind) for kind in pg.query(query, format="arrow").schema.types] == [
        "int16",
        "decimal128(9, 2)",
        "timestamp[us, tz=UTC]",
        "string",
    ]


def test_a_stream_leaves_its_rows_at_the_server(pg: SQLAlchemyClient) -> None:
    list(pg.stream("SELECT 1"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in pg.stream("SELECT g, repeat('x', 500) FROM generate_series(1, 200000) g"))
    assert count == 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB; the rows are 100 MB


def test_a_frame_is_written_whole_or_not_at_all(pg: SQLAlchemyClient) -> None:
    pg.execute("CREATE TEMPORARY TABLE filled (a INT CHECK (a < 5))")
    with pytest.raises(DuctStatementError):
        pg.dataframe_to_table(pa.table({"a": [1, 2, 9]}), "filled", if_exists="append")
    assert pg.query("SELECT * FROM filled", format="tuple") == []
    text = said_by(
        DuctStatementError,
        lambda: pg.dataframe_to_table(pa.table({"b": [1], "aa": [2]}), "filled", if_exists="append"),
    )
    assert text == (
        "pg: the table \"filled\" has no column 'b' and no column 'aa', which the frame has; "
        "its columns are a"
    )


def test_a_cursor_of_the_drivers_own_can_be_used_again(pg: SQLAlchemyClient) -> None:
    cursor = pg.execute("SELECT 1")
    assert pg.execute("SELECT 2", cursor=cursor).fetchall() == [(2,)]


# Another dialect, that a plug-in brings


def test_a_plug_ins_dialect_works_without_a_line_about_it(tmp_path: Path) -> None:
    pytest.importorskip("duckdb_engine")
    duct = SQLAlchemyClient(name="duck", url=f"duckdb:///{tmp_path / 'x.db'}")
    try:
        duct.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2)")
        assert duct.query(
            "SELECT sum(a) AS n FROM t WHERE a > {{ n | bind }}", context={"n": 1}
        ).n.tolist() == [2]
        with pytest.raises(ZeroDivisionError), duct.transaction():
            duct.execute("DELETE FROM t")
            1 / 0  # noqa: B018
        assert len(duct.table_head("t")) == 2
        assert duct.table_list()["table_name"].tolist() == ["t"]
    finally:
        duct.disconnect()


def test_the_protocols_are_found() -> None:
    for protocol in ("sqlalchemy", "mssql", "oracle", "snowflake", "firebird", "sybase"):
        assert Duct.for_protocol(protocol).func is SQLAlchemyClient
