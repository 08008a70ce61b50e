"""Presto and Trino: catalogs, schemas and tables, and what they say of themselves."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.services.schemas import client

from omniduct.databases.presto import PrestoClient, tables
from omniduct.errors import DuctConfigError, DuctNotFound, DuctStatementError, DuctWarning

Made = Callable[..., PrestoClient]
BOTH = ("trino", "presto")


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Made]:
    """Makes a duct to a server, "trino" or "presto"."""
    with contextlib.ExitStack() as ducts:
        yield lambda server, **arguments: ducts.enter_context(
            client(request.getfixturevalue(f"{server}_server"), **arguments)
        )


# Lists


@pytest.mark.parametrize("server", BOTH)
def test_tables_are_listed_of_a_schema_a_catalog_or_all(make: Made, server: str) -> None:
    duct = make(server, catalog="tpch", schema="tiny")
    ours = duct.table_list()
    assert {"nation", "region"} <= set(ours["table_name"])
    assert set(ours["table_catalog"]) == {"tpch"}
    assert set(ours["table_schema"]) == {"tiny"}
    assert duct.table_list("sf1")["table_schema"].unique().tolist() == ["sf1"]
    assert duct.table_list("TPCH.Tiny").equals(ours)
    assert {"tiny", "sf1"} <= set(duct.table_list("*")["table_schema"])
    assert duct.table_list("tpch.*").equals(duct.table_list("*"))
    assert set(duct.table_list("*.tiny")["table_catalog"]) == {"tpch"}
    every = duct.table_list("*.*")
    assert {"tpch", "system"} <= set(every["table_catalog"])
    assert "information_schema" not in set(every["table_schema"])


@pytest.mark.parametrize("server", BOTH)
def test_a_name_that_is_no_schema_here_may_be_a_catalog(make: Made, server: str) -> None:
    duct = make(server)
    assert set(duct.table_list("tpch")["table_catalog"]) == {"tpch"}


@pytest.mark.parametrize("server", BOTH)
def test_without_a_schema_the_catalog_is_listed_and_without_a_catalog_all(make: Made, server: str) -> None:
    assert {"tiny", "sf1"} <= set(make(server, catalog="tpch", schema=None).table_list()["table_schema"])
    # there is no schema "default", which is what a duct begins with
    assert {"tiny", "sf1"} <= set(make(server, catalog="tpch", schema="default").table_list()["table_schema"])
    nowhere = make(server, catalog=None, schema="default")
    assert {"tpch", "system"} <= set(nowhere.table_list()["table_catalog"])
    assert set(nowhere.table_list("tpch")["table_catalog"]) == {"tpch"}


@pytest.mark.parametrize("server", BOTH)
def test_the_session_says_where_names_are_looked_for(make: Made, server: str) -> None:
    duct = make(server)
    assert not duct.table_exists("nation")
    duct.execute("USE tpch.tiny")
    assert duct.table_exists("nation")
    assert "nation" in duct.table_list()["table_name"].tolist()
    assert duct.table_desc("nation")["column_name"][0] == "nationkey"


@pytest.mark.parametrize("server", BOTH)
def test_a_schema_that_is_missing_is_said_with_its_near_misses(make: Made, server: str) -> None:
    duct = make(server, catalog="tpch", schema="tiny")
    with pytest.raises(DuctNotFound, match=rf"{server}: there is no schema 'tinny' .*'tpch'.*'tiny'"):
        duct.table_list("tinny")
    with pytest.raises(DuctNotFound, match=r"there is no schema 'tinny' .*'tpch'.*did you mean 'tiny'"):
        duct.table_list("tpch.tinny")
    with pytest.raises(DuctNotFound, match=r"there is no catalog 'tpcj'; did you mean 'tpch'"):
        duct.table_list("tpcj.tiny")
    with pytest.raises(DuctNotFound, match=r"no schema 'tpcj' in the session, which has no catalog.*'tpch'"):
        make(server, catalog=None).table_list("tpcj")


def test_an_empty_schema_has_no_tables(lake: PrestoClient) -> None:
    found = lake.table_list(f"iceberg.{lake.schema}")
    assert found.columns.tolist() == ["table_catalog", "table_schema", "table_name", "table_type"]
    assert len(found) == 0


def test_a_list_comes_in_any_format(make: Made) -> None:
    duct = make("trino", catalog="tpch", schema="tiny")
    assert ("tpch", "tiny", "nation", "BASE TABLE") in duct.table_list(format="tuple")
    assert "tpch,tiny,nation,BASE TABLE" in duct.table_list(format="csv").splitlines()


def test_catalogs_that_do_not_answer_in_time_are_named(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_PATIENCE", 0.0)
    duct = make("trino")
    with pytest.warns(DuctWarning, match=r"without the tables of .*tpch \(there was no time left for it\)"):
        assert len(duct.table_list("*.*")) == 0


def test_a_catalog_that_fails_leaves_the_others(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    duct = make("trino")
    monkeypatch.setattr(duct, "_catalogs", lambda: ["gone", "tpch"])  # as if one went away just now
    with pytest.warns(DuctWarning, match=r"without the tables of gone \(trino: Catalog 'gone' not found"):
        found = duct.table_list("*.*")
    assert set(found["table_catalog"]) == {"tpch"}


# One table


@pytest.mark.parametrize("server", BOTH)
@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("nation", True),
        ("NATION", True),
        ('"Nation"', True),
        ("tiny.nation", True),
        ("tpch.sf1.nation", True),
        ("nations", False),
        ("nowhere.nation", False),
        ("nowhere.tiny.nation", False),
    ],
)
def test_a_table_is_found_by_any_of_its_names(make: Made, server: str, name: str, is_there: bool) -> None:
    assert make(server, catalog="tpch", schema="tiny").table_exists(name) is is_there


@pytest.mark.parametrize("server", BOTH)
@pytest.mark.parametrize(
    ("name", "meant"),
    [("natoin", "nation"), ("sf1.natoin", "nation"), ("tinny.nation", "tiny"), ("tpcg.tiny.nation", "tpch")],
)
def test_the_near_miss_is_that_of_the_part_that_is_missing(
    make: Made, server: str, name: str, meant: str
) -> None:
    with pytest.raises(DuctNotFound, match=f"there is no table '{name}'; did you mean '{meant}'"):
        make(server, catalog="tpch", schema="tiny").table_desc(name)


@pytest.mark.parametrize("server", BOTH)
def test_a_table_of_which_the_catalog_is_not_known_is_refused(make: Made, server: str) -> None:
    with pytest.raises(DuctConfigError, match=r"the catalog of .* is not known: name it as catalog\.schema"):
        make(server, catalog=None).table_exists("nation")


@pytest.mark.parametrize("server", BOTH)
def test_a_table_of_which_the_schema_is_not_known_is_refused(make: Made, server: str) -> None:
    with pytest.raises(DuctConfigError, match=r"the schema of .* is not known"):
        make(server, catalog="tpch", schema=None).table_exists("nation")


def test_a_description_has_what_the_server_tells(lake: PrestoClient) -> None:
    name = f"iceberg.{lake.schema}.t"
    lake.execute(f"CREATE TABLE {name} (a bigint NOT NULL COMMENT 'it''s a', b decimal(12, 2))")
    found: Any = lake.table_desc(name, format="dict")
    assert found[0] == {
        "column_name": "a",
        "data_type": "bigint",
        "is_nullable": "NO",
        "column_default": None,
        "extra": None,
        "comment": "it's a",
    }
    assert (found[1]["data_type"], found[1]["is_nullable"]) == ("decimal(12,2)", "YES")


def test_the_properties_of_a_table_are_columns(lake: PrestoClient) -> None:
    name = f"iceberg.{lake.schema}.t"
    lake.execute(
        f"CREATE TABLE {name} (a integer, ts timestamp(6) COMMENT 'WITH (') COMMENT 'ours: ''t''' "
        "WITH (format = 'ORC', partitioning = ARRAY['day(ts)', 'bucket(a, 4)'])"
    )
    lake.execute(f"INSERT INTO {name} VALUES (1, TIMESTAMP '2020-01-01 00:00:00'), (2, NULL)")
    found: Any = lake.table_props(name, format="dict")[0]
    assert (found["table_catalog"], found["table_name"], found["table_type"]) == (
        "iceberg",
        "t",
        "BASE TABLE",
    )
    assert (found["comment"], found["format"], found["estimated_rows"]) == ("ours: 't'", "ORC", 2)
    assert found["partitioning"] == '["day(ts)", "bucket(a, 4)"]'
    assert found["definition"].startswith("CREATE TABLE")
    assert lake.table_partition_cols(name) == ["ts", "a"]


@pytest.mark.parametrize("server", BOTH)
def test_the_properties_of_a_table_that_has_none(make: Made, server: str) -> None:
    found = make(server).table_props("tpch.tiny.nation")
    assert len(found) == 1
    assert found["estimated_rows"][0] == 25
    assert found["table_type"][0] == "BASE TABLE"


def test_hives_columns_of_partitions_come_in_order(lake: PrestoClient) -> None:
    name = f"hive.{lake.schema}.t"
    lake.execute(
        f'CREATE TABLE {name} (a integer, ds date, "a b" varchar) '
        "WITH (partitioned_by = ARRAY['ds', 'a b'])"
    )
    assert lake.table_partition_cols(name) == ["ds", "a b"]
    assert lake.table_desc(name)["extra"].tolist()[1:] == ["partition key"] * 2


@pytest.mark.parametrize("server", BOTH)
def test_a_table_without_partitions_has_no_columns_of_them(make: Made, server: str) -> None:
    assert make(server).table_partition_cols("tpch.tiny.nation") == []


@pytest.mark.parametrize("server", BOTH)
def test_views_are_described_and_dropped(make: Made, server: str) -> None:
    duct, name = make(server), f"v{uuid.uuid4().hex}"
    duct.execute(f"CREATE VIEW {name} AS WITH x (a) AS (SELECT 1) SELECT a FROM x")
    assert duct.table_props(name)["table_type"].tolist() == ["VIEW"]
    assert duct.table_partition_cols(name) == []
    assert duct.table_desc(name)["data_type"].tolist() == ["integer"]
    duct.table_drop(name)
    assert not duct.table_exists(name)


def test_materialized_views_are_known_for_what_they_are(lake: PrestoClient) -> None:
    name = f"iceberg.{lake.schema}.m"
    lake.execute(f"CREATE MATERIALIZED VIEW {name} WITH (partitioning = ARRAY['a']) AS SELECT 1 a")
    assert lake.table_props(name)["table_type"].tolist() == ["MATERIALIZED VIEW"]
    assert lake.table_partition_cols(name) == ["a"]
    lake.table_drop(name)
    assert not lake.table_exists(name)


@pytest.mark.parametrize("server", BOTH)
def test_asking_about_a_table_leaves_a_transaction_open(make: Made, server: str) -> None:
    duct = make(server)
    with duct.transaction():
        duct.table_props("tpch.tiny.nation")
        assert duct.query("SELECT 1", format="tuple") == [(1,)]
        assert duct._in_transaction()


@pytest.mark.parametrize("server", BOTH)
def test_what_the_server_does_not_tell_is_left_out(
    make: Made, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    duct = make(server)
    ask = duct._ask

    def refuse(statement: str, **options: Any) -> Any:
        if statement.startswith(("SHOW CREATE", "SHOW STATS")):  # as a server's rules of access do
            raise DuctStatementError("Access Denied")
        return ask(statement, **options)

    monkeypatch.setattr(duct, "_ask", refuse)
    found: Any = duct.table_props("tpch.tiny.nation", format="dict")[0]
    assert (found["estimated_rows"], found["definition"]) == (None, None)
