"""The contract of tables: the catalog, and filling tables with queries and frames."""

from __future__ import annotations

from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctConfigError, DuctError, DuctNotFound, DuctStatementError
from omniduct.testing.area import Area, of

__all__ = ["TablesContract"]

ODD_NAMES = ["two words", 'a "quote"', "select", "MiXed", "ä%s:x?", "a.b"]


def _frame(make: str, data: dict[str, list[Any]]) -> Any:
    if make == "pandas":
        import pandas as pd

        return pd.DataFrame(data)
    if make == "polars":
        return pytest.importorskip("polars").DataFrame(data)
    import pyarrow as pa

    return pa.table(data)


class TablesContract(Area):
    """`table_*`, `query_to_table` and `dataframe_to_table`."""

    # The catalog

    @of("namespace_list")
    def test_namespaces_are_listed_level_by_level(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        path: list[str] = []
        for level in duct.NAMESPACE_NAMES[:-1]:
            names = duct.namespace_list(*path)
            assert names == sorted(names)
            here = duct.NAMESPACE_DEFAULTS_READ.get(level)
            assert here is None or here in names
            if not names:  # of one whose lists of tables have no schemas
                assert "table_schema" not in duct.table_list()
                return
            path.append(here or names[0])
        with pytest.raises(DuctConfigError, match="there are tables: table_list has them"):
            duct.namespace_list(*path)

    @of("table_list")
    def test_tables_are_listed(self, duct: DatabaseClient, table: str, other: str) -> None:
        assert table not in duct.table_list()["table_name"].tolist()
        for name in (table, other):
            duct.execute(f"CREATE TABLE {name} (a {self.facts.integer})")
        assert {table, other} <= set(duct.table_list(renew=True)["table_name"])

    @of("table_exists")
    def test_a_table_exists_or_does_not(self, duct: DatabaseClient, table: str) -> None:
        assert duct.table_exists(table) is False
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        assert duct.table_exists(table) is True
        assert duct.table_exists(duct._parse_namespaces(table), renew=True) is True
        assert duct.table_exists(duct._quote(table)) is True
        assert duct.table_exists(f"{table}_x") is False
        with pytest.raises(DuctConfigError):
            duct.table_exists("")

    @of("table_exists", "views")
    def test_a_view_exists_and_is_described(self, duct: DatabaseClient, table: str, other: str) -> None:
        self.filled(duct, table)
        (view,) = self.named(f"v_{other}")
        duct.execute(f"CREATE VIEW {view} AS SELECT a FROM {table}")
        try:
            assert duct.table_exists(view)
            assert duct.table_desc(view)["column_name"].tolist() == self.named("a")
            assert sorted(duct.table_head(view, format="tuple")) == [(1,), (2,)]
        finally:
            duct.execute(f"DROP VIEW {view}")

    @of("table_desc")
    def test_a_table_is_described_a_row_a_column(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (z {self.facts.integer} NOT NULL, b {self.facts.text})")
        described = duct.table_desc(table, renew=True)
        assert described["column_name"].tolist() == self.named("z", "b")
        assert described.shape[1] >= 2

    @of("table_head")
    def test_the_head_of_a_table_has_n_rows(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        self.insert(duct, table, *map(str, range(12)))
        assert len(duct.table_head(table)) == 10
        assert len(duct.table_head(table, n=3)) == 3
        assert duct.table_head(table, n=0).columns.tolist() == self.named("a")
        with pytest.raises(DuctConfigError):
            duct.table_head(table, n=-1)

    @of("table_props")
    def test_the_properties_of_a_table(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        assert len(duct.table_props(table, renew=True)) == 1

    @of("table_partition_cols")
    def test_a_table_without_partitions_says_so(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        try:
            assert duct.table_partition_cols(table) == []
        except DuctStatementError as error:
            assert "partition" in str(error)

    @of("table_drop")
    def test_a_table_is_dropped(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        duct.table_drop(table)
        assert not duct.table_exists(table)
        with pytest.raises(DuctNotFound, match=f"{duct.name}: there is no table '{table}'"):
            duct.table_drop(table)

    @of("names of tables", "table_names_as_written")
    @pytest.mark.parametrize("ending", [*ODD_NAMES, "it's"])
    def test_a_table_may_have_any_name(self, duct: DatabaseClient, table: str, ending: str) -> None:
        name = duct._quote(f"{table} {ending}")
        duct.execute(f"CREATE TABLE {name} (a {self.facts.integer})", template=False)
        try:
            assert f"{table} {ending}" in duct.table_list()["table_name"].tolist()
            assert duct.table_exists(name)
            assert duct.table_desc(name)["column_name"].tolist() == self.named("a")
            assert duct.table_head(name).columns.tolist() == self.named("a")
            assert len(duct.table_props(name)) == 1
        finally:
            duct.table_drop(name)
        assert not duct.table_exists(name)

    @of("names of tables", "schemas")
    def test_a_table_is_named_with_its_schema(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer})")
        listed = duct.table_list()
        schema = duct._quote(str(listed.loc[listed["table_name"] == table, "table_schema"].iloc[0]))
        assert duct.table_exists(f"{schema}.{table}")
        assert table in duct.table_list(schema)["table_name"].tolist()
        assert duct.table_desc(f"{schema}.{table}")["column_name"].tolist() == self.named("a")
        assert not duct.table_exists(f"contract_nowhere.{table}")
        duct.table_drop(f"{schema}.{table}")
        assert not duct.table_exists(table)

    # Queries into tables

    @of("query_to_table", "query_to_table")
    def test_a_query_makes_a_table(self, duct: DatabaseClient, table: str) -> None:
        duct.query_to_table(self.select("1 AS a"), table)
        assert self.listed(duct, table) == [1]

    @of("query_to_table", "query_to_table")
    def test_fail_is_the_default_and_leaves_the_table_alone(self, duct: DatabaseClient, table: str) -> None:
        duct.query_to_table(self.select("1 AS a"), table)
        for given in ({}, {"if_exists": "fail"}):
            with pytest.raises(DuctError, match=table):
                duct.query_to_table(self.select("9 AS a"), table, **given)  # type: ignore[arg-type]
        assert self.listed(duct, table) == [1]

    @of("query_to_table", "query_to_table")
    @pytest.mark.parametrize("if_exists", ["replace", "append", "delete_rows"])
    def test_a_table_that_is_not_there_is_made_all_the_same(
        self, duct: DatabaseClient, table: str, if_exists: Any
    ) -> None:
        duct.query_to_table(self.select("1 AS a"), table, if_exists=if_exists)
        assert self.listed(duct, table) == [1]

    @of("query_to_table", "query_to_table")
    def test_replace_makes_the_table_anew(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        duct.query_to_table(self.select("5 AS z"), table, if_exists="replace")
        assert duct.query(f"SELECT * FROM {table}", format="dict") == [{self.facts.named("z"): 5}]
        assert duct.table_desc(table)["column_name"].tolist() == self.named("z")

    @of("query_to_table", "query_to_table")
    def test_append_adds_rows(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        duct.query_to_table(self.select("3 AS a, 'z' AS b"), table, if_exists="append")
        assert self.rows(duct, query) == [(1, "x"), (2, None), (3, "z")]

    @of("query_to_table", "query_to_table")
    def test_delete_rows_keeps_the_table_and_replaces_its_rows(
        self, duct: DatabaseClient, table: str
    ) -> None:
        query = self.filled(duct, table)
        before = duct.table_desc(table)
        duct.query_to_table(self.select("3 AS a, 'z' AS b"), table, if_exists="delete_rows")
        assert self.rows(duct, query) == [(3, "z")]
        assert duct.table_desc(table).equals(before)

    @of("query_to_table", "query_to_table", "read_own_table")
    @pytest.mark.parametrize(
        ("if_exists", "rows"), [("replace", [1]), ("delete_rows", [1]), ("append", [1, 1, 2])]
    )
    def test_a_query_may_read_the_table_that_it_fills(
        self, duct: DatabaseClient, table: str, if_exists: Any, rows: list[int]
    ) -> None:
        self.filled(duct, table)
        duct.query_to_table(f"SELECT a, b FROM {table} WHERE a < 2", table, if_exists=if_exists)
        assert self.listed(duct, table) == rows

    @of("query_to_table", "query_to_table")
    @pytest.mark.parametrize("if_exists", ["replace", "delete_rows", "append"])
    def test_a_query_that_fails_leaves_the_rows_that_were_there(
        self, duct: DatabaseClient, table: str, if_exists: Any
    ) -> None:
        query = self.filled(duct, table)
        tables = set(duct.table_list()["table_name"])
        late = f"SELECT n AS a, 'z' AS b FROM ({self.facts.fails_late}) AS late"
        for bad in (f"SELECT nowhere, b FROM {table}", late):
            with pytest.raises(DuctStatementError):
                duct.query_to_table(bad, table, if_exists=if_exists)
            assert self.rows(duct, query) == [(1, "x"), (2, None)]
        assert set(duct.table_list()["table_name"]) == tables

    @of("query_to_table", "query_to_table", "bind")
    def test_a_query_with_bound_values_fills_a_table(
        self, duct: DatabaseClient, table: str, other: str
    ) -> None:
        self.filled(duct, table)
        query = f"SELECT a, b FROM {table} WHERE a = {{{{ n | bind }}}}"
        for if_exists in ("fail", "append", "delete_rows", "replace"):
            given: Any = {"if_exists": if_exists, "context": {"n": 2}}
            duct.query_to_table(query, other, **given)
        assert self.listed(duct, other) == [2]

    @of("query_to_table")
    def test_what_to_do_with_a_table_is_checked(self, duct: DatabaseClient, table: str) -> None:
        with pytest.raises(DuctConfigError, match="if_exists cannot be 'repalce'"):
            duct.query_to_table(self.select("1 AS a"), table, if_exists="repalce")  # type: ignore[arg-type]
        assert not duct.table_exists(table)

    # Frames into tables

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
    def test_a_frame_becomes_a_table(self, duct: DatabaseClient, table: str, make: str) -> None:
        frame = _frame(make, {"a": [1, 2], "b": ["it's", None]})
        duct.dataframe_to_table(frame, table)
        assert self.rows(duct, f"SELECT a, b FROM {table} ORDER BY a") == [(1, "it's"), (2, None)]

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize(
        ("if_exists", "rows"), [("append", [1, 2, 3]), ("delete_rows", [3]), ("replace", [3])]
    )
    @pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
    def test_a_frame_fills_a_table_that_is_there(
        self, duct: DatabaseClient, table: str, make: str, if_exists: Any, rows: list[int]
    ) -> None:
        self.filled(duct, table)
        before = duct.table_desc(table)
        duct.dataframe_to_table(_frame(make, {"a": [3], "b": ["z"]}), table, if_exists=if_exists)
        assert self.listed(duct, table) == rows
        assert if_exists == "replace" or duct.table_desc(table).equals(before)

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize("if_exists", ["fail", "replace", "append", "delete_rows"])
    def test_a_frame_makes_a_table_that_is_not_there(
        self, duct: DatabaseClient, table: str, if_exists: Any
    ) -> None:
        duct.dataframe_to_table(_frame("arrow", {"a": [3]}), table, if_exists=if_exists)
        assert self.listed(duct, table) == [3]

    @of("dataframe_to_table", "write_frames")
    def test_a_frame_fails_where_a_table_is_and_leaves_it_alone(
        self, duct: DatabaseClient, table: str
    ) -> None:
        duct.dataframe_to_table(_frame("arrow", {"a": [1]}), table)
        with pytest.raises(DuctError, match=table):
            duct.dataframe_to_table(_frame("arrow", {"a": [9]}), table)
        assert self.listed(duct, table) == [1]

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize("if_exists", ["append", "delete_rows"])
    def test_a_frame_that_does_not_fit_leaves_the_rows_that_were_there(
        self, duct: DatabaseClient, table: str, if_exists: Any
    ) -> None:
        duct.dataframe_to_table(_frame("arrow", {"a": [1, 2]}), table)
        tables = set(duct.table_list()["table_name"])
        with pytest.raises(DuctError):
            duct.dataframe_to_table(_frame("arrow", {"a": [9], "zzz": ["z"]}), table, if_exists=if_exists)
        assert self.listed(duct, table) == [1, 2]
        assert set(duct.table_list()["table_name"]) == tables

    @of("dataframe_to_table", "write_frames")
    def test_columns_go_by_their_names(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        duct.dataframe_to_table(_frame("pandas", {"b": ["z"], "a": [3]}), table, if_exists="append")
        assert self.rows(duct, query)[-1] == (3, "z")

    @of("dataframe_to_table", "write_frames", "table_names_as_written")
    @pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
    def test_a_frame_keeps_odd_names_of_columns(self, duct: DatabaseClient, table: str, make: str) -> None:
        data = {name: [place] for place, name in enumerate(ODD_NAMES)}
        duct.dataframe_to_table(_frame(make, data), table)
        duct.dataframe_to_table(_frame(make, data), table, if_exists="append")
        found = duct.query(f"SELECT * FROM {table}", format="arrow")
        assert found.column_names == ODD_NAMES
        assert found.num_rows == 2

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
    def test_a_frame_without_rows_makes_an_empty_table(
        self, duct: DatabaseClient, table: str, make: str
    ) -> None:
        frame = _frame(make, {"a": [1], "b": ["x"]})[:0]
        duct.dataframe_to_table(frame, table)
        assert duct.query(f"SELECT * FROM {table}", format="arrow").column_names == self.named("a", "b")
        duct.dataframe_to_table(frame, table, if_exists="append")
        assert self.rows(duct, f"SELECT * FROM {table}") == []

    @of("dataframe_to_table", "write_frames")
    def test_many_rows_arrive(self, duct: DatabaseClient, table: str) -> None:
        duct.dataframe_to_table(_frame("arrow", {"a": list(range(20_000))}), table)
        assert self.rows(duct, f"SELECT count(*), min(a), max(a) FROM {table}") == [(20_000, 0, 19_999)]

    @of("dataframe_to_table")
    def test_what_is_no_frame_is_refused(self, duct: DatabaseClient, table: str) -> None:
        with pytest.raises(DuctError):
            duct.dataframe_to_table(object(), table)
        assert not duct.table_exists(table)
        assert self.rows(duct, self.select("1")) == [(1,)]
