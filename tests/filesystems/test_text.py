"""Open files are Python's own kind: text in any encoding, and whatever reads files takes them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.csv
import pytest
from tests.filesystems.test_base import MemoryFs, RenamingFs, WriteOnceFs

from omniduct.errors import DuctArgumentError
from omniduct.filesystems.base import FileSystemClient
from omniduct.filesystems.local import LocalFsClient

KINDS: dict[str, Callable[[Path], FileSystemClient]] = {
    "local": lambda folder: LocalFsClient(name="files", cwd=folder),
    "hooks": lambda folder: MemoryFs(name="files"),
    "hooks that cannot append": lambda folder: WriteOnceFs(name="files"),
}


@pytest.fixture(params=KINDS)
def fs(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystemClient:
    return KINDS[request.param](tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "shift_jis", "utf-8-sig"])
def test_text_is_read_and_written_in_any_encoding(fs: FileSystemClient, encoding: str) -> None:
    text = "日本語\n本\n" if encoding == "shift_jis" else "Köln\nfür\n"
    with fs.open("x", "w", encoding=encoding) as file:
        file.write(text)
    with fs.open("x", "a", encoding="utf-16-le" if encoding == "utf-16" else encoding) as file:
        assert file.mode == "a"
    with fs.open("x", "rb") as file:
        assert file.read() == text.encode(encoding)
    with fs.open("x", encoding=encoding) as file:
        assert (file.readline(), file.read()) == tuple(text.splitlines(keepends=True))


def test_text_is_utf8_unless_said_otherwise(fs: FileSystemClient) -> None:
    with fs.open("x", "w", newline="\n") as file:
        file.write("Köln\n")
    with fs.open("x") as file:
        assert (file.encoding.lower(), file.read()) == ("utf-8", "Köln\n")


def test_line_ends_are_kept_or_changed_as_said(fs: FileSystemClient) -> None:
    with fs.open("x", "w", newline="\r\n") as file:
        file.write("a\nb\n")
    with fs.open("x", "rb") as file:
        assert file.read() == b"a\r\nb\r\n"
    with fs.open("x", newline="") as file:
        assert file.read() == "a\r\nb\r\n"
    with fs.open("x") as file:
        assert file.read() == "a\nb\n"


def test_what_is_no_text_in_an_encoding_can_be_replaced_or_escaped(fs: FileSystemClient) -> None:
    with fs.open("x", "wb") as file:
        file.write(b"caf\xe9")
    with pytest.raises(UnicodeDecodeError), fs.open("x") as file:
        file.read()
    with fs.open("x", errors="replace") as file:
        assert file.read() == "caf\ufffd"
    with fs.open("x", errors="surrogateescape") as file:
        assert file.read().encode(errors="surrogateescape") == b"caf\xe9"


def test_an_encoding_that_cannot_be_is_refused_before_a_file_is_emptied(fs: FileSystemClient) -> None:
    with fs.open("x", "w") as file:
        file.write("kept")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"mode": "w", "encoding": "latni-1"}, r"files: unknown encoding: latni-1; did you mean 'latin"),
        ({"mode": "w", "errors": "repalce"}, r"files: unknown error handler name 'repalce'"),
        ({"mode": "w", "newline": "x"}, r"files: newline cannot be 'x'"),
        ({"mode": "wb", "encoding": "utf-8"}, r"files: encoding is for text, and mode 'wb' is not"),
        ({"mode": "wbt"}, r"files: mode cannot be 'wbt'"),
    ]
    for arguments, message in wrong:
        with pytest.raises(DuctArgumentError, match=message):
            fs.open("x", **arguments)
    with fs.open("x") as file:
        assert file.read() == "kept"


def test_a_whole_file_takes_an_encoding_too() -> None:
    for fs in (RenamingFs(), MemoryFs()):
        with fs.open_atomic("x", "wt", encoding="utf-16", newline="\r\n") as file:
            file.write("ü\n")
        with fs.open("x", "rb") as file:
            assert file.read() == "ü\r\n".encode("utf-16")


def test_a_failed_write_to_a_client_that_writes_at_the_end_leaves_the_former_file() -> None:
    fs = WriteOnceFs()
    with fs.open("x", "w") as file:
        file.write("old")
    with pytest.raises(ZeroDivisionError), fs.open_atomic("x", "wt") as file:
        file.write("half")
        raise ZeroDivisionError
    with fs.open("x") as file:
        assert file.read() == "old"


def test_libraries_take_the_files_as_they_take_pythons_own(fs: FileSystemClient) -> None:
    with fs.open("x.csv", "w", newline="") as file:
        assert isinstance(file, io.TextIOBase)
        csv.writer(file).writerows([["id", "name"], [1, "a\nb"]])
    with fs.open("x.csv", newline="") as file:
        assert [*csv.reader(file)] == [["id", "name"], ["1", "a\nb"]]
    with fs.open("x.csv", "rb") as file:
        assert isinstance(file, io.BufferedIOBase)
        assert pyarrow.csv.read_csv(file, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True))[
            "name"
        ].to_pylist() == ["a\nb"]
    for mode in ("r", "rb"):
        with fs.open("x.csv", mode) as file:
            assert pd.read_csv(file)["id"].tolist() == [1]
    with fs.open("x.json", "w") as file:
        json.dump({"ü": [1]}, file)
    with fs.open("x.json", "rb") as file:
        assert json.load(file) == {"ü": [1]}
