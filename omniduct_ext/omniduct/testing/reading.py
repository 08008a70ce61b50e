"""The contract of results: formats, streams, files."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctArgumentError, DuctConfigError, DuctStatementError
from omniduct.testing.area import Area, of

__all__ = ["ResultsContract"]


class ResultsContract(Area):
    """What comes back, in which shape, and as what file."""

    @property
    def _head(self) -> str:
        """The header of the table `filled`."""
        return ",".join(self.named("a", "b"))

    # Formats

    @of("format csv")
    def test_csv_has_a_header_and_leaves_nulls_empty(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        assert duct.query(query, format="csv") == f"{self._head}\n1,x\n2,\n"
        opts: dict[str, Any] = {"delimiter": ";", "include_header": False, "null": "-"}
        assert duct.query(query, format="csv", format_opts=opts) == "1;x\n2;-\n"

    @of("format hive")
    def test_hive_is_parted_by_tabs_without_a_header(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        assert duct.query(query, format="hive") == "1\tx\n2\t\\N\n"
        head = self._head.replace(",", "\t")
        with_header = duct.query(query, format="hive", format_opts={"include_header": True})
        assert with_header.startswith(f"{head}\n1\t")

    @of("format dict")
    def test_dicts_have_the_names_as_keys(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        a, b = self.named("a", "b")
        assert duct.query(query, format="dict") == [{a: 1, b: "x"}, {a: 2, b: None}]
        opts = {"column_name_formatter": str.upper}
        assert duct.query(query, format="dict", format_opts=opts)[0] == {"A": 1, "B": "x"}

    @of("format tuple")
    def test_tuples_are_plain_python(self, duct: DatabaseClient, table: str) -> None:
        found = duct.query(self.filled(duct, table), format="tuple")
        assert found == [(1, "x"), (2, None)]
        assert [type(value) for value in found[0]] == [int, str]

    @of("format raw")
    def test_raw_is_what_the_driver_gives(self, duct: DatabaseClient, table: str) -> None:
        cursor = duct.query(self.filled(duct, table), format="raw")
        assert [tuple(row) for row in cursor.fetchall()] == [(1, "x"), (2, None)]

    @of("format arrow")
    def test_arrow_is_a_table(self, duct: DatabaseClient, table: str) -> None:
        import pyarrow as pa

        found = duct.query(self.filled(duct, table), format="arrow")
        assert isinstance(found, pa.Table)
        a, b = self.named("a", "b")
        assert found.to_pydict() == {a: [1, 2], b: ["x", None]}

    @of("format polars")
    def test_polars_is_a_frame(self, duct: DatabaseClient, table: str) -> None:
        pl = pytest.importorskip("polars")
        found = duct.query(self.filled(duct, table), format="polars")
        assert isinstance(found, pl.DataFrame)
        assert found.rows() == [(1, "x"), (2, None)]

    @of("format pandas")
    def test_pandas_is_the_default_and_takes_its_options(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table)
        frame = duct.query(query)
        a, b = self.named("a", "b")
        assert frame.columns.tolist() == [a, b]
        assert str(frame[a].dtype).startswith("int")
        assert duct.query(query, format_opts={"index_fields": a}).index.tolist() == [1, 2]
        backend = duct.query(query, format_opts={"dtype_backend": "pyarrow"})
        assert all(str(dtype).endswith("[pyarrow]") for dtype in backend.dtypes)
        (d,) = self.named("d")
        dates = duct.query(self.select("'2020-02-03' AS d"), format_opts={"date_fields": [d]})
        assert dates[d].dt.day.tolist() == [3]
        with pytest.raises(DuctArgumentError, match="index_field"):
            duct.query(query, format_opts={"index_field": a})

    @of("empty results")
    @pytest.mark.parametrize("format", ["pandas", "polars", "arrow", "csv", "tuple", "dict", "hive"])
    def test_an_empty_result_keeps_its_columns(self, duct: DatabaseClient, table: str, format: str) -> None:
        query = self.filled(duct, table).replace(" ORDER", " WHERE 1 = 0 ORDER")
        found = duct.query(query, format=format)
        if hasattr(found, "columns"):
            names = found.column_names if format == "arrow" else list(found.columns)
            assert names == self.named("a", "b")
        else:
            assert found == (f"{self._head}\n" if format == "csv" else "" if format == "hive" else [])

    @of("names of columns", "duplicate_names")
    def test_columns_of_one_name_stay_two(self, duct: DatabaseClient) -> None:
        query = self.select("1 AS x, 2 AS x, 3 AS y")
        x, y = self.named("x", "y")
        assert duct.query(query, format="tuple") == [(1, 2, 3)]
        assert duct.query(query, format="arrow").column_names == [x, x, y]
        assert duct.query(query).columns.tolist() == [x, x, y]
        assert duct.query(query, format="csv") == f"{x},{x},{y}\n1,2,3\n"
        assert duct.query(query, format="dict") == [{x: 1, f"{x}_1": 2, y: 3}]
        assert duct.query(query, format="polars").columns == [x, f"{x}_1", y]
        assert [column[0] for column in duct.execute(query).description] == [x, x, y]

    @of("names of columns", "empty_names")
    def test_a_column_may_have_an_empty_name(self, duct: DatabaseClient) -> None:
        query = self.select(f"1 AS {duct._quote('')}, 2 AS b")
        names = ["", *self.named("b")]
        assert duct.query(query, format="arrow").column_names == names
        assert duct.query(query).columns.tolist() == names
        assert duct.query(query, format="tuple") == [(1, 2)]

    @of("names of columns", "table_names_as_written")
    @pytest.mark.parametrize("name", ["two words", 'a "quote"', "select", "MiXed", "ä%s:x?", "a.b", "1"])
    def test_a_column_keeps_its_name(self, duct: DatabaseClient, name: str) -> None:
        query = self.select("1 AS {{ name | identifier }}")
        assert duct.query(query, context={"name": name}, format="arrow").column_names == [name]
        assert duct.query(query, context={"name": name}, format="dict") == [{name: 1}]

    # Streams

    @of("stream")
    def test_a_stream_gives_rows_as_tuples(self, duct: DatabaseClient) -> None:
        stream = duct.stream(self.facts.some_rows(3500))
        assert tuple(next(stream)) == (0,)
        assert [row[0] for row in stream] == list(range(1, 3500))
        assert duct.status.running == 0

    @of("stream")
    @pytest.mark.parametrize(("format", "kind"), [(None, "DataFrame"), ("arrow", "Table"), ("tuple", "list")])
    def test_a_stream_in_pieces_has_n_rows_in_each_but_the_last(
        self, duct: DatabaseClient, format: str | None, kind: str
    ) -> None:
        pieces = list(duct.stream(self.facts.some_rows(25), format=format, batch=10))
        assert [len(piece) for piece in pieces] == [10, 10, 5]
        assert {type(piece).__name__ for piece in pieces} == {kind}

    @of("stream")
    def test_a_stream_of_dicts(self, duct: DatabaseClient) -> None:
        (n,) = self.named("n")
        assert list(duct.stream(self.facts.some_rows(2), format="dict")) == [{n: 0}, {n: 1}]

    @of("stream")
    def test_a_stream_of_no_result_is_empty(self, duct: DatabaseClient, table: str) -> None:
        assert list(duct.stream(f"CREATE TABLE {table} (a {self.facts.integer})")) == []
        assert list(duct.stream(f"SELECT * FROM {table}")) == []

    @of("stream")
    def test_a_stream_that_is_closed_early_leaves_nothing_behind(self, duct: DatabaseClient) -> None:
        stream: Any = duct.stream(self.facts.some_rows(20_000))
        with stream:
            assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
        assert duct.status.running == 0
        assert list(stream) == []
        assert self.rows(duct, self.select("1")) == [(1,)]

    @of("under_way")
    def test_an_open_stream_is_under_way_until_it_is_closed(self, duct: DatabaseClient) -> None:
        text = self.facts.some_rows(20_000).strip()
        stream: Any = duct.stream(text)
        with stream:
            next(stream)
            (call,) = duct.under_way()
            assert call.statement == text
            fraction = call.progress().fraction
            assert fraction is None or 0 <= fraction <= 1
        assert duct.under_way() == []

    @of("stream")
    def test_statements_run_while_a_stream_is_read(self, duct: DatabaseClient) -> None:
        stream = duct.stream(self.facts.some_rows(5000))
        assert next(stream)[0] == 0
        assert self.rows(duct, self.select("1")) == [(1,)]
        assert sum(1 for _ in stream) == 4999

    @of("stream", "interleaved_streams")
    def test_two_streams_are_read_in_turn(self, duct: DatabaseClient) -> None:
        one, other = (duct.stream(self.facts.some_rows(2500)) for _ in range(2))
        pairs = list(zip(one, other, strict=True))
        assert len(pairs) == 2500
        assert all(a[0] == b[0] for a, b in pairs)

    @of("stream")
    def test_a_stream_that_fails_half_way_says_so_once_and_ends(self, duct: DatabaseClient) -> None:
        stream = None
        with pytest.raises(DuctStatementError, match=f"{duct.name}: "):
            stream = duct.stream(self.facts.fails_late)
            list(stream)
        assert stream is None or list(stream) == []
        assert duct.status.running == 0
        assert self.rows(duct, self.select("1")) == [(1,)]

    # Files

    @of("stream_to_file")
    def test_a_csv_file_has_one_header(self, duct: DatabaseClient, tmp_path: Path) -> None:
        duct.stream_to_file(self.facts.some_rows(12_000), tmp_path / "n.csv")
        lines = (tmp_path / "n.csv").read_text("utf-8").splitlines()
        assert lines[:1] == self.named("n")
        assert lines[1:] == [str(n) for n in range(12_000)]

    @of("stream_to_file")
    def test_a_hive_file_has_none(self, duct: DatabaseClient, table: str, tmp_path: Path) -> None:
        duct.stream_to_file(self.filled(duct, table), str(tmp_path / "t"), format="hive")
        assert (tmp_path / "t").read_bytes() == b"1\tx\n2\t\\N\n"

    @of("stream_to_file")
    def test_a_parquet_file_has_the_values(self, duct: DatabaseClient, table: str, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        duct.stream_to_file(self.filled(duct, table), tmp_path / "t.parquet", format="parquet")
        a, b = self.named("a", "b")
        assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {a: [1, 2], b: ["x", None]}

    @of("stream_to_file")
    def test_a_file_object_is_written_to(self, duct: DatabaseClient, table: str, tmp_path: Path) -> None:
        with open(tmp_path / "t", "wb") as file:
            duct.stream_to_file(self.filled(duct, table), file, format_opts={"delimiter": "|"})
        assert (tmp_path / "t").read_bytes() == f"{self._head}\n1,x\n2,\n".replace(",", "|").encode()

    @of("stream_to_file")
    def test_a_file_of_a_filesystem_duct_is_whole_or_is_not_there(
        self, duct: DatabaseClient, table: str, tmp_path: Path
    ) -> None:
        from omniduct.filesystems.local import LocalFsClient

        files = LocalFsClient(name="files", cwd=str(tmp_path))
        duct.stream_to_file(self.filled(duct, table), "t.csv", fs=files)
        for name in ("t.csv", "new.csv"):
            with pytest.raises(DuctStatementError):
                duct.stream_to_file(self.facts.fails_late, name, fs=files)
        assert files.listdir() == ["t.csv"]
        assert (tmp_path / "t.csv").read_bytes() == f"{self._head}\n1,x\n2,\n".encode()

    @of("stream_to_file")
    def test_an_empty_result_is_a_file_with_the_header(
        self, duct: DatabaseClient, table: str, tmp_path: Path
    ) -> None:
        query = self.filled(duct, table).replace(" ORDER", " WHERE 1 = 0 ORDER")
        duct.stream_to_file(query, tmp_path / "t.csv")
        assert (tmp_path / "t.csv").read_bytes() == f"{self._head}\n".encode()

    @of("stream_to_file")
    def test_a_frame_is_no_file_and_nothing_runs(
        self, duct: DatabaseClient, table: str, tmp_path: Path
    ) -> None:
        with pytest.raises(DuctConfigError, match="cannot be written to a file"):
            duct.stream_to_file(
                f"CREATE TABLE {table} (a {self.facts.integer})", tmp_path / "x", format="pandas"
            )
        assert not duct.table_exists(table)

    @of("stream_to_file")
    def test_one_that_fails_leaves_no_file_and_keeps_the_former(
        self, duct: DatabaseClient, tmp_path: Path
    ) -> None:
        (tmp_path / "former.csv").write_text("former")
        for name in ("former.csv", "new.csv"):
            with pytest.raises(DuctStatementError):
                duct.stream_to_file(self.facts.fails_late, tmp_path / name)
        assert [file.name for file in tmp_path.iterdir()] == ["former.csv"]
        assert (tmp_path / "former.csv").read_text() == "former"

    @of("stream_to_file", "cancel")
    def test_one_that_is_interrupted_leaves_no_file(self, duct: DatabaseClient, tmp_path: Path) -> None:
        if threading.current_thread() is not threading.main_thread() or os.name == "nt":
            pytest.xfail("only a main thread is interrupted")  # pragma: no cover
        interrupter = threading.Thread(target=_interrupt_when_begun, args=(duct, tmp_path), daemon=True)
        with pytest.raises(KeyboardInterrupt):
            interrupter.start()
            duct.stream_to_file(self.facts.some_rows(10**9), tmp_path / "n.csv")
        interrupter.join()
        assert list(tmp_path.iterdir()) == []
        assert duct.status.running == 0
        assert self.rows(duct, self.select("1")) == [(1,)]


def _interrupt_when_begun(duct: DatabaseClient, folder: Path) -> None:
    """Press Control and C, once the file has been begun."""
    deadline = time.monotonic() + 10
    while not (duct.status.running and any(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGINT)
