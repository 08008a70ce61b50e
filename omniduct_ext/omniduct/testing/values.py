"""The contract of types: what each becomes, and that no value is lost on either way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from omniduct.databases.arrow.values import pylist
from omniduct.databases.base import DatabaseClient
from omniduct.testing.area import Area, dropped, new_name, of
from omniduct.testing.facts import Type, Value
from omniduct.testing.logical import ARROW, STANDARD, became, json_same, plain, preserved, same, values_of

__all__ = ["TypesContract", "make_column"]


def make_column(duct: DatabaseClient, facts: Any, logical: str, table: str) -> list[Any]:
    """A table with a column `v` of a type: its values, by the number in `k`; the last is null."""
    kind = facts.types[logical]
    values = values_of(logical, kind)
    duct.execute(f"CREATE TABLE {table} (k {facts.integer}, v {kind.name})", template=False)
    for k, value in enumerate([*values, Value(None)]):
        assigned = facts.assigned.format(value=facts.literal(value), type=kind.name)
        duct.execute(f"INSERT INTO {table} VALUES ({k}, {assigned})", template=False)
    return [*(value.python for value in values), None]


_Test = TypeVar("_Test", bound=Callable[..., Any])


def _each(does: str, *needs: str) -> Callable[[_Test], _Test]:
    """Run a test for each type; `Type.cannot` names what it does."""

    def marked(test: _Test) -> _Test:
        test.contract_does = does  # type: ignore[attr-defined]
        return of("types", *needs)(test)

    return marked


class TypesContract(Area):
    """Every logical type, read in every format, and written in every way."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run a test of types for each: the standard ones, and those that the facts add."""
        if hasattr(metafunc.function, "contract_does"):
            names = dict.fromkeys([*STANDARD, *cls.facts.types])
            metafunc.parametrize("logical", [cls._param(name) for name in names])

    @classmethod
    def _param(cls, name: str) -> Any:
        kind = cls.facts.types.get(name, "its facts do not say what it is")
        marks = [pytest.mark.xfail(reason=kind, run=False)] if isinstance(kind, str) else []
        return pytest.param(name, id=name, marks=marks)

    @pytest.fixture(scope="class")
    @classmethod
    def columns(cls, duct: DatabaseClient) -> Iterator[dict[str, tuple[str, list[Any]]]]:
        """By the logical type, a table with a column of it, and the values; made when first asked for."""
        made: dict[str, tuple[str, list[Any]]] = {}
        yield made
        for table, _ in made.values():
            dropped(duct, table)

    @pytest.fixture
    def column(
        self, duct: DatabaseClient, columns: dict[str, tuple[str, list[Any]]], logical: str
    ) -> tuple[str, list[Any]]:
        """The query of a column of the type, in order, and its values."""
        if logical not in columns:
            table = new_name()
            columns[logical] = table, make_column(duct, self.facts, logical, table)
        table, values = columns[logical]
        return f"SELECT v FROM {table} ORDER BY k", values

    @property
    def _v(self) -> str:
        return self.facts.named("v")

    def _kind(self, logical: str) -> Type:
        kind = self.facts.types[logical]
        assert isinstance(kind, Type)
        return kind

    @_each("read")
    def test_values_are_read_as_they_were_written(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]
    ) -> None:
        query, values = column
        _check(logical, [row[0] for row in self.rows(duct, query)], values)

    @_each("stream")
    def test_a_cursor_and_a_stream_give_the_same_values(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]
    ) -> None:
        query, values = column
        _check(logical, [row[0] for row in duct.execute(query).fetchall()], values)
        _check(logical, [row[0] for row in duct.stream(query)], values)

    @_each("read")
    def test_in_arrow(self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]) -> None:
        query, values = column
        found = duct.query(query, format="arrow").column(self._v)
        assert str(found.type) == self._kind(logical).arrow
        _check(logical, pylist(found), values)

    @_each("read")
    def test_in_pandas(self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]) -> None:
        query, values = column
        expected = became(self._kind(logical))
        with_nulls, without = duct.query(query)[self._v], duct.query(_without_null(query))[self._v]
        assert str(with_nulls.dtype) == expected.pandas_nulls
        assert str(without.dtype) == expected.pandas
        found = [plain(value, other) for value, other in zip(with_nulls.tolist(), values, strict=True)]
        _check(logical, found, values)

    @_each("read")
    def test_in_polars(self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]) -> None:
        pytest.importorskip("polars")
        query, values = column
        found = duct.query(query, format="polars")[self._v]
        assert str(found.dtype) == became(self._kind(logical)).polars
        _check(logical, list(map(plain, found.to_list(), values)), values)

    @_each("read")
    def test_in_a_parquet_file(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]], tmp_path: Path
    ) -> None:
        import pyarrow.parquet as pq

        query, values = column
        duct.stream_to_file(query, tmp_path / "v.parquet", format="parquet")
        found = pylist(pq.read_table(tmp_path / "v.parquet").column(self._v))
        wrong = [(one, other) for one, other in zip(found, values, strict=True) if not preserved(one, other)]
        assert wrong == []

    @_each("empty", "types_of_empty_results")
    def test_in_an_empty_result(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]]
    ) -> None:
        query = column[0].replace(" ORDER", " WHERE 1 = 0 ORDER")
        kind = self._kind(logical)
        assert str(duct.query(query, format="arrow").schema.field(self._v).type) == kind.arrow
        assert str(duct.query(query)[self._v].dtype) == became(kind).pandas

    @_each("bind", "bind")
    def test_bound_values_come_back(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]], other: str
    ) -> None:
        kind = self._kind(logical)
        duct.execute(f"CREATE TABLE {other} (k {self.facts.integer}, v {kind.name})", template=False)
        for k, value in enumerate(column[1]):
            given = [value] if isinstance(value, (list, tuple)) else value  # alone it would expand
            duct.execute(f"INSERT INTO {other} VALUES ({k}, {{{{ v | bind }}}})", context={"v": given})
        found = [row[0] for row in self.rows(duct, f"SELECT v FROM {other} ORDER BY k")]
        _check(logical, found, column[1])

    @_each("write", "write_frames")
    @pytest.mark.parametrize("format", ["arrow", "pandas", "polars"])
    def test_a_frame_becomes_a_table_of_the_same_values(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]], other: str, format: str
    ) -> None:
        kind = self._kind(logical)
        frame = duct.query(column[0].replace("SELECT v", "SELECT k, v"), format=format)
        duct.dataframe_to_table(frame, other)
        found = duct.query(f"SELECT v FROM {other} ORDER BY k", format="arrow").column(self._v)
        if format == "arrow":
            assert str(found.type) == (kind.written or kind.arrow)
        # to pandas a NaN is the same as none
        expected = [None if format == "pandas" and value != value else value for value in column[1]]
        _check(logical, list(map(plain, pylist(found), expected)), expected)

    @_each("write", "write_frames")
    def test_a_frame_is_added_to_a_table_of_the_type(
        self, duct: DatabaseClient, logical: str, column: tuple[str, list[Any]], other: str
    ) -> None:
        kind = self._kind(logical)
        duct.execute(f"CREATE TABLE {other} (k {self.facts.integer}, v {kind.name})", template=False)
        frame = duct.query(column[0].replace("SELECT v", "SELECT k, v"), format="arrow")
        duct.dataframe_to_table(frame, other, if_exists="append")
        found = duct.query(f"SELECT v FROM {other} ORDER BY k", format="arrow").column(self._v)
        assert str(found.type) == kind.arrow
        _check(logical, pylist(found), column[1])

    @of("an integer beside a null")
    @pytest.mark.parametrize("format", ["pandas", "polars", "arrow", "tuple", "dict", "csv", "hive"])
    def test_an_integer_that_no_float_holds_stays_itself_beside_a_null(
        self, duct: DatabaseClient, table: str, format: str
    ) -> None:
        kind = self.facts.types.get("int64", "its facts do not say what an int64 is")
        if isinstance(kind, str):
            pytest.xfail(kind)
        duct.execute(f"CREATE TABLE {table} (k {self.facts.integer}, v {kind.name})")
        self.insert(duct, table, f"1, {2**53 + 1}", "2, NULL")
        query = f"SELECT v FROM {table} ORDER BY k"
        assert str(2**53 + 1) in str(duct.query(query, format=format))
        assert any(str(2**53 + 1) in str(row) for row in duct.stream(query, format=format))
        assert str(2**53 + 1) in str(list(duct.stream(query, format=format, batch=10)))

    @of("dataframe_to_table", "write_frames")
    @pytest.mark.parametrize("arrow", list(ARROW))
    def test_a_column_of_any_arrow_type_is_stored_whole(
        self, duct: DatabaseClient, table: str, arrow: str
    ) -> None:
        import pyarrow as pa

        values = [*(value.python for value in values_of(arrow, Type(arrow, ""))), None]
        frame = pa.table({"k": range(len(values)), "v": pa.array(values, ARROW[arrow]())})
        duct.dataframe_to_table(frame, table)
        found = [row[0] for row in self.rows(duct, f"SELECT v FROM {table} ORDER BY k")]
        wrong = [(one, other) for one, other in zip(found, values, strict=True) if not preserved(one, other)]
        assert wrong == []


def _check(logical: str, found: list[Any], expected: list[Any]) -> None:
    """Complain about the first value that is another."""
    assert len(found) == len(expected)
    alike = json_same if logical == "json" else same
    for one, other in zip(found, expected, strict=True):
        if other is None:
            assert one is None
        else:
            assert alike(one, other), f"{logical}: {one!r} ({type(one).__name__}) is not {other!r}"


def _without_null(query: str) -> str:
    return query.replace(" ORDER", " WHERE v IS NOT NULL ORDER")
