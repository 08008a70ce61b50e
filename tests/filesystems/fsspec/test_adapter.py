"""What pandas, pyarrow, polars and DuckDB do with a duct as one of fsspec's filesystems."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tests.filesystems.test_base import MemoryFs, RenamingFs, WriteOnceFs

from omniduct.filesystems.base import FileSystemClient
from omniduct.filesystems.fsspec.client import FsspecClient
from omniduct.filesystems.local import LocalFsClient

KINDS: dict[str, Callable[[Path], FileSystemClient]] = {
    "local": lambda folder: LocalFsClient(name="my files", cwd=folder, home=folder),
    "hooks": lambda folder: MemoryFs(name="my files"),
    "hooks that cannot append": lambda folder: WriteOnceFs(name="my files"),
    "memory": lambda folder: FsspecClient(
        name="my files", filesystem="memory", options={"global_store": False}
    ),
}
TABLE = pa.table({"year": [2023, 2024, 2024], "km": [1.5, 2.5, 3.5]})


@pytest.fixture(params=KINDS)
def duct(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystemClient:
    return KINDS[request.param](tmp_path)


def test_pyarrow_writes_and_reads_parquet_and_data_sets(duct: FileSystemClient) -> None:
    there = duct.pyarrow_fs
    pq.write_table(TABLE, "one.parquet", filesystem=there)
    assert pq.read_table("one.parquet", filesystem=there, columns=["km"])["km"].to_pylist() == [1.5, 2.5, 3.5]
    ds.write_dataset(TABLE, "parts", format="parquet", partitioning=["year"], filesystem=there)
    assert duct.listdir("parts") == ["2023", "2024"]
    parts = ds.dataset("parts", partitioning=["year"], filesystem=there)
    assert parts.to_table(filter=ds.field("year") == 2024)["km"].to_pylist() == [2.5, 3.5]
    with there.open_output_stream("x.csv") as out:
        pyarrow.csv.write_csv(TABLE, out)
    with there.open_input_stream("x.csv") as file:
        assert pyarrow.csv.read_csv(file).num_rows == 3
    assert [info.base_name for info in there.get_file_info(["x.csv", "none"])] == ["x.csv", "none"]
    there.move("x.csv", "y.csv")
    there.copy_file("y.csv", "z.csv")
    there.delete_dir("parts")
    assert duct.listdir() == ["one.parquet", "y.csv", "z.csv"]


def test_pandas_and_polars_read_and_write(duct: FileSystemClient) -> None:
    frame = TABLE.to_pandas()
    frame.to_parquet("x.parquet", filesystem=duct.fsspec)
    assert pd.read_parquet("x.parquet", filesystem=duct.fsspec).equals(frame)
    with duct.fsspec.open("x.csv", "w") as file:
        frame.to_csv(file, index=False)
    with duct.fsspec.open("x.csv") as file:
        assert pd.read_csv(file).equals(frame)
    with duct.fsspec.open("x.parquet", "rb") as file:
        assert pl.read_parquet(file)["km"].to_list() == [1.5, 2.5, 3.5]
    assert pl.scan_pyarrow_dataset(ds.dataset("x.parquet", filesystem=duct.pyarrow_fs)).collect().height == 3


def test_duckdb_queries_its_files(duct: FileSystemClient) -> None:
    pq.write_table(TABLE, "x.parquet", filesystem=duct.pyarrow_fs)
    connection = duckdb.connect()
    connection.register_filesystem(duct.fsspec)
    url = f"duct-my-files://{duct.path_normpath('x.parquet')}"
    assert connection.sql(f"SELECT sum(km) FROM read_parquet('{url}')").fetchall() == [(7.5,)]
    connection.sql(f"COPY (SELECT 42 AS x) TO 'duct-my-files://{duct.path_normpath('y.csv')}'")
    with duct.open("y.csv") as file:
        assert file.read() == "x\n42\n"


def test_a_file_is_whole_or_is_not_there(duct: FileSystemClient) -> None:
    fs = duct.fsspec
    fs.pipe("x", b"former")
    with pytest.raises(ZeroDivisionError), fs.open("new", "wb") as file:
        file.write(b"half" * 1_000_000)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), fs.open("new", "w") as text:
        text.write("half")
        raise ZeroDivisionError
    assert duct.listdir() == ["x"]
    with fs.open("y", "wb") as file:
        file.write(b"all of it")
        assert not duct.exists("y") or isinstance(duct, MemoryFs)
    assert fs.cat("y") == b"all of it"


def test_a_transaction_puts_all_files_there_or_none() -> None:
    duct = RenamingFs()
    fs = duct.fsspec
    with fs.transaction:
        with fs.open("x", "wb") as file:
            file.write(b"1")
        assert not duct.exists("x")
    assert fs.cat("x") == b"1"
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open("y", "wb") as file:
            file.write(b"2")
        raise ZeroDivisionError
    assert duct.listdir() == ["x"]


def test_what_the_duct_refuses_stays_refused() -> None:
    writes: list[Callable[[Any], object]] = [
        lambda fs: fs.pipe("/tmp/y", b"2"),
        lambda fs: fs.mkdir("/tmp/y"),
        lambda fs: fs.cp_file("/home/ada/x", "/tmp/y"),
        lambda fs: fs.mv("/home/ada/x", "/tmp/y"),
        lambda fs: fs.mv("/tmp/z", "x"),
        lambda fs: fs.touch("/tmp/y"),
    ]
    for kind in (MemoryFs, RenamingFs):
        duct = kind(name="store")
        duct.fsspec.pipe("x", b"1")
        duct.contents["/tmp/z"] = b"theirs"
        before = dict(duct.contents)
        for write in writes:
            with pytest.raises(PermissionError, match=r"outside the home folder"):
                write(duct.fsspec)
        duct.read_only = duct.global_writes = True
        for write in (*writes, lambda fs: fs.rm("/home/ada/x"), lambda fs: fs.mv("x", "y")):
            with pytest.raises(PermissionError, match=r"read_only=True"):
                write(duct.fsspec)
        with pytest.raises(PermissionError, match=r"read_only=True"):
            pq.write_table(TABLE, "x.parquet", filesystem=duct.pyarrow_fs)
        assert duct.contents == before


def test_parts_of_a_file_are_read_as_a_slice_is(duct: FileSystemClient) -> None:
    fs = duct.fsspec
    fs.pipe("x", b"0123456789")
    for start, end in [(None, None), (2, 5), (-3, None), (None, -3), (-4, -2), (5, 2), (8, 20)]:
        assert fs.cat_file("x", start, end) == b"0123456789"[start:end]
    assert fs.cat_ranges(["x", "x"], [0, 5], [2, 7]) == [b"01", b"56"]
    assert (fs.head("x", 3), fs.tail("x", 3), fs.read_block("x", 4, 2)) == (b"012", b"789", b"45")
    assert (fs.size("x"), fs.du("."), fs.open("x").size) == (10, 10, 10)


def test_links_that_lead_in_a_circle_are_listed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    (tmp_path / "a/up").symlink_to(tmp_path)
    fs = LocalFsClient(cwd=tmp_path).fsspec
    assert fs.find(".") == [f"{tmp_path}/a/file"]
    assert fs.find(".", withdirs=True)[1:] == [f"{tmp_path}/a", f"{tmp_path}/a/file", f"{tmp_path}/a/up"]
    assert [path for path, _, _ in fs.walk(".", topdown=False)] == [f"{tmp_path}/a", str(tmp_path)]


def test_paths_mean_what_they_mean_to_the_duct(duct: FileSystemClient) -> None:
    fs = duct.fsspec
    fs.pipe("a/b.txt", b"1")
    home = duct.path_home.rstrip("/")
    assert fs.ls("~/a", detail=False) == fs.glob("a/*.txt") == [f"{home}/a/b.txt"]
    assert fs.unstrip_protocol(f"{home}/a/b.txt") == f"duct-my-files://{home}/a/b.txt"
    assert fs.exists(fs.unstrip_protocol(f"{home}/a/b.txt"))
    with pytest.raises(FileNotFoundError, match=r"my files: could not list .*did you mean 'a'"):
        fs.ls("aa")


def test_times_are_given_where_they_are_known(tmp_path: Path) -> None:
    fs = LocalFsClient(cwd=tmp_path).fsspec
    fs.touch("x")
    assert abs(fs.modified("x").timestamp() - (tmp_path / "x").stat().st_mtime) < 1
    with pytest.raises(NotImplementedError):
        MemoryFs().fsspec.created("/home")


def test_two_are_the_same_when_their_ducts_are_and_it_can_be_pickled(tmp_path: Path) -> None:
    one, two = LocalFsClient(name="a", cwd=tmp_path), LocalFsClient(name="a", cwd=tmp_path)
    assert one.fsspec == one.fsspec
    assert one.fsspec != two.fsspec
    one.fsspec.pipe("x", b"1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(pickle.dumps(one.fsspec)).cat("x") == b"1"
