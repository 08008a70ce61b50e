"""What every filesystem can do, shown by one that supplies only the basic hooks, as a third party's would."""

from __future__ import annotations

import copy
import csv
import errno
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pytest

from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError, DuctConnectionError, DuctError, DuctMagicError, DuctWarning
from omniduct.filesystems.base import DuctFileError, DuctReadOnly, FileSystemClient, FileSystemFileDesc
from omniduct.filesystems.local import LocalFsClient


class MemoryFs(FileSystemClient):
    """Files in a dictionary. Its hooks work only while it is connected, and fail as dictionaries do."""

    def _init(self) -> None:
        self.contents: dict[str, bytes | None] = {"/": None, "/home": None, "/home/ada": None, "/tmp": None}
        self.locked: set[str] = set()
        self.calls: list[tuple[str, int]] = []
        self.alive = False

    def _connect(self) -> None:
        self.alive = True

    def _is_connected(self) -> bool:
        return self.alive

    def _disconnect(self) -> None:
        self.alive = False

    def _held(self) -> dict[str, bytes | None]:
        assert self.alive, "a hook was called before connecting"
        return self.contents

    def _path_home(self) -> str:
        self._held()
        return "/home/ada"

    def _path_separator(self) -> str:
        return "/"

    def _exists(self, path: str) -> bool:
        return path in self._held()

    def _isdir(self, path: str) -> bool:
        return self._held().get(path, b"") is None

    def _isfile(self, path: str) -> bool:
        return self._held().get(path) is not None

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        if path in self.locked:
            raise PermissionError(f"{path} is locked")
        for each, data in self._held().items():
            folder, _, name = each.rpartition("/")
            if name and (folder or "/") == path:
                kind = "directory" if data is None else "file"
                yield FileSystemFileDesc(each, name, kind, bytes=None if data is None else len(data))

    def _mkdir(self, path: str, recursive: bool, exist_ok: bool) -> None:
        parent = path.rpartition("/")[0] or "/"
        if recursive and parent not in self._held():
            self._mkdir(parent, recursive, exist_ok)
        self._held()[path] = None

    def _remove(self, path: str, recursive: bool) -> None:
        for each in [each for each in self._held() if each == path or each.startswith(f"{path}/")]:
            del self.contents[each]

    def _file_read_(self, path: str, size: int = -1, offset: int = 0, binary: bool = False) -> bytes | str:
        data = self._held()[path]
        assert data is not None
        self.calls.append(("read", size))
        piece = data[offset:] if size < 0 else data[offset : offset + size]
        return piece if binary else piece.decode()

    def _file_write_(self, path: str, s: Any, binary: bool) -> None:
        assert self._held()[path.rpartition("/")[0] or "/"] is None
        self.calls.append(("write", len(s)))
        self.contents[path] = s if binary else s.encode()

    def _file_append_(self, path: str, s: Any, binary: bool) -> None:
        data = self._held()[path]
        assert data is not None
        self.calls.append(("append", len(s)))
        self.contents[path] = data + (s if binary else s.encode())


class WriteOnceFs(MemoryFs):
    """One that cannot append."""

    _file_append_ = FileSystemClient._file_append_


class RenamingFs(MemoryFs):
    """One that can rename too."""

    def _rename(self, path: str, new_path: str) -> None:
        for each in [each for each in self._held() if each == path or each.startswith(f"{path}/")]:
            self.contents[new_path + each[len(path) :]] = self.contents.pop(each)


@pytest.fixture
def fs() -> MemoryFs:
    return filled(MemoryFs(name="store"))


def filled(fs: MemoryFs) -> MemoryFs:
    fs.mkdir("data/2024")
    for path, text in {
        "notes.txt": "one\ntwo\n",
        "data/trips.csv": "id,km\n1,2.5\n2,7.25\n",
        "data/2024/may.csv": "id\n1\n",
        "data/2024/june.csv": "id\n",
    }.items():
        with fs.open(path, "wt") as file:
            file.write(text)
    return fs


def read(fs: FileSystemClient, path: str) -> str:
    with fs.open(path) as file:
        return str(file.read())


# ------------------------------------------------------------------------------------------------ paths


def test_a_relative_path_starts_from_the_working_folder_and_a_tilde_from_home(fs: MemoryFs) -> None:
    assert fs.path_home == fs.path_cwd == "/home/ada"
    assert fs.path_normpath("a/./b//../c/") == "/home/ada/a/c"
    assert fs.path_normpath("/../etc") == "/etc"
    fs.path_cwd = "data"
    assert fs.path_normpath("x") == "/home/ada/data/x"
    assert fs.path_normpath("~/x") == "/home/ada/x"
    assert fs.path_normpath("~") == "/home/ada"
    assert fs.path_normpath("~bob") == "/home/ada/data/~bob"


def test_joining_discards_what_stands_before_an_absolute_path_or_a_tilde(fs: MemoryFs) -> None:
    assert fs.path_join("a", "b", "c.txt") == "a/b/c.txt"
    assert fs.path_join("a/", "b", "..") == "a/b/.."
    assert fs.path_join("a", "/b", "c") == "/b/c"
    assert fs.path_join("a", "~", "c") == "/home/ada/c"
    assert fs.path_join(PurePosixPath("a"), PurePosixPath("b")) == "a/b"


def test_a_path_parts_into_folder_and_name(fs: MemoryFs) -> None:
    assert [fs.path_basename(p) for p in ("/a/b.txt", "b.txt", "a/b/", "/")] == ["b.txt", "b.txt", "", ""]
    assert [fs.path_dirname(p) for p in ("/a/b.txt", "b.txt", "a/b/", "/a", "/")] == [
        "/a",
        "",
        "a/b",
        "/",
        "/",
    ]


def test_home_and_cwd_can_be_given_and_may_be_relative_to_the_home_of_the_filesystem() -> None:
    fs = MemoryFs(home="~/work", cwd="~/data")
    assert (fs.path_home, fs.path_cwd) == ("/home/ada/work", "/home/ada/work/data")
    fs = MemoryFs(home="/tmp", cwd=Path("x/../y"))
    assert (fs.path_home, fs.path_cwd) == ("/tmp", "/tmp/y")


def test_the_working_folder_is_set_to_folders_only(fs: MemoryFs) -> None:
    with pytest.raises(NotADirectoryError):
        fs.path_cwd = "notes.txt"
    with pytest.raises(FileNotFoundError, match=r"'/home/ada/dat'.*did you mean 'data'"):
        fs.path_cwd = "dat"
    fs.path_cwd = "data"
    fs.path_cwd = None
    assert fs.path_cwd == "/home/ada"


def test_a_path_is_text_or_a_path_object(fs: MemoryFs) -> None:
    assert fs.exists(PurePosixPath("data"))
    for wrong in (b"data", 3, None):
        with pytest.raises(DuctArgumentError, match=r"store: a path is a text"):
            fs.exists(wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- looking


def test_folders_are_listed_by_name_and_described(fs: MemoryFs) -> None:
    assert fs.listdir() == ["data", "notes.txt"]
    assert fs.listdir("data") == ["2024", "trips.csv"]
    by_name = {entry.name: entry for entry in fs.dir()}
    assert (by_name["data"].type, by_name["notes.txt"].type) == ("directory", "file")
    assert by_name["notes.txt"].bytes == 8
    shown = fs.showdir()
    assert shown["name"].tolist() == ["data", "notes.txt"]
    assert shown["bytes"].tolist() == [pd.NA, 8]
    assert "extra" not in shown.columns


def test_what_is_there_is_told_from_what_is_not(fs: MemoryFs) -> None:
    assert [fs.exists(p) for p in ("data", "notes.txt", "nothing")] == [True, True, False]
    assert [fs.isdir(p) for p in ("data", "notes.txt", "nothing")] == [True, False, False]
    assert [fs.isfile(p) for p in ("data", "notes.txt", "nothing")] == [False, True, False]


def test_listing_a_folder_that_is_not_there_fails_at_once_and_names_near_misses(fs: MemoryFs) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fs.dir("daata")
    assert str(caught.value) == (
        "store: could not list '/home/ada/daata': there is no such file or folder; did you mean 'data'?"
    )
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "/home/ada/daata")
    assert isinstance(caught.value, DuctError)
    with pytest.raises(FileNotFoundError, match=r"nor is there the folder '/home/ada/x'"):
        fs.dir("x/y")
    with pytest.raises(NotADirectoryError, match=r"store: could not list '/home/ada/notes.txt'"):
        fs.dir("notes.txt")


def test_walking_goes_through_every_folder_but_those_taken_out(fs: MemoryFs) -> None:
    assert list(fs.walk()) == [
        ("/home/ada", ["data"], ["notes.txt"]),
        ("/home/ada/data", ["2024"], ["trips.csv"]),
        ("/home/ada/data/2024", [], ["june.csv", "may.csv"]),
    ]
    seen = []
    for folder, folders, _ in fs.walk():
        seen.append(folder)
        if "2024" in folders:
            folders.remove("2024")
    assert seen == ["/home/ada", "/home/ada/data"]


def test_walking_and_finding_pass_over_folders_that_may_not_be_read(fs: MemoryFs) -> None:
    fs.locked.add("/home/ada/data/2024")
    assert [folder for folder, _, _ in fs.walk()][-1] == "/home/ada/data/2024"
    assert [entry.name for entry in fs.find(type="file")] == ["notes.txt", "trips.csv"]
    fs.locked.add("/home/ada")
    with pytest.raises(PermissionError, match=r"store: could not walk '/home/ada'"):
        list(fs.walk())


def test_finding_takes_values_and_predicates(fs: MemoryFs) -> None:
    def found(*args: Any, **attrs: Any) -> list[str]:
        return [entry.path.removeprefix("/home/ada/") for entry in fs.find(*args, **attrs)]

    assert found(type="directory") == ["data", "data/2024"]
    assert found(name="may.csv") == ["data/2024/may.csv"]
    assert found("data", bytes=lambda n: n > 4) == ["data/trips.csv", "data/2024/may.csv"]
    assert found("data/2024/m") == ["data/2024/may.csv"]
    assert found(type="file", name=lambda n: n.endswith(".csv"), bytes=3) == ["data/2024/june.csv"]
    with pytest.raises(DuctArgumentError, match=r"no attribute 'tpye'; did you mean 'type'"):
        fs.find(tpye="file")
    with pytest.raises(FileNotFoundError):
        fs.find("nowhere/x")


def test_a_thing_that_is_named_as_the_home_folder_is_written_is_just_a_name(fs: MemoryFs) -> None:
    fs.mkdir("./~/deep")
    assert fs.exists("/home/ada/~/deep")
    assert ("/home/ada/~", ["deep"], []) in list(fs.walk())
    fs.upload("./~", "/home/ada/copy", fs=fs)
    assert fs.isdir("copy/deep")


# --------------------------------------------------------------------------------------------- changing


def test_folders_are_made_with_those_that_lead_to_them(fs: MemoryFs) -> None:
    fs.mkdir("a/b/c")
    assert fs.isdir("a/b/c")
    fs.mkdir("a/b/c", exist_ok=True)
    with pytest.raises(FileExistsError, match=r"store: could not make '/home/ada/a/b/c'"):
        fs.mkdir("a/b/c")
    with pytest.raises(FileExistsError):
        fs.mkdir("notes.txt", exist_ok=True)
    with pytest.raises(FileNotFoundError):
        fs.mkdir("x/y", recursive=False)


def test_a_folder_is_removed_only_when_that_is_said(fs: MemoryFs) -> None:
    fs.remove("notes.txt")
    assert not fs.exists("notes.txt")
    with pytest.raises(IsADirectoryError, match=r"recursive=True"):
        fs.remove("data")
    fs.remove("data", recursive=True)
    assert fs.listdir() == []
    with pytest.raises(FileNotFoundError):
        fs.remove("data", recursive=True)


@pytest.mark.parametrize("path", ["~", "/home/ada/", "/home", "/", "."])
def test_the_home_folder_and_what_it_is_in_are_never_removed(path: str) -> None:
    fs = filled(MemoryFs(global_writes=True))
    with pytest.raises(PermissionError, match=r"home folder"):
        fs.remove(path, recursive=True)
    assert fs.exists("notes.txt")


def test_an_empty_path_names_nothing_that_can_be_written(fs: MemoryFs) -> None:
    for write in (fs.mkdir, lambda path: fs.remove(path, recursive=True), lambda path: fs.open(path, "w")):
        with pytest.raises(FileNotFoundError, match=r"the path is empty"):
            write("")


WRITES: dict[str, Callable[[FileSystemClient, str], object]] = {
    "mkdir": lambda fs, path: fs.mkdir(path),
    "remove": lambda fs, path: fs.remove(path),
    "open w": lambda fs, path: fs.open(path, "w"),
    "open a": lambda fs, path: fs.open(path, "ab"),
    "open x": lambda fs, path: fs.open(path, "x"),
    "open r+": lambda fs, path: fs.open(path, "r+"),
    "open_atomic": lambda fs, path: fs.open_atomic(path),
    "upload": lambda fs, path: fs.upload(__file__, path),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_read_only_filesystem_refuses_every_write(write: str) -> None:
    fs = MemoryFs(name="store", read_only=True, global_writes=True)
    with pytest.raises(DuctReadOnly, match=r"store: could not .* '.*x.txt': .*read_only=True") as caught:
        WRITES[write](fs, "x.txt")
    assert isinstance(caught.value, DuctError)
    assert isinstance(caught.value, PermissionError)
    fs.connect()
    assert "/home/ada/x.txt" not in fs.contents


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("path", ["/tmp/x", "~/../x", "/home/adam", "../x"])
def test_writes_outside_the_home_folder_are_refused(write: str, path: str, fs: MemoryFs) -> None:
    before = dict(fs.contents)
    with pytest.raises(DuctReadOnly, match=r"outside the home folder '/home/ada'"):
        WRITES[write](fs, path)
    assert fs.contents == before


def test_global_writes_permits_them(fs: MemoryFs) -> None:
    fs.global_writes = True
    with fs.open("/tmp/x", "w") as file:
        file.write("there")
    assert read(fs, "/tmp/x") == "there"


# ------------------------------------------------------------------------------------------------- files


def test_pandas_and_csv_take_the_files(fs: MemoryFs) -> None:
    with fs.open("data/trips.csv") as text:
        assert [*csv.reader(text)][1] == ["1", "2.5"]
    with fs.open("data/trips.csv", "rb") as binary:
        frame = pd.read_csv(binary)
    with fs.open("copy.csv", "w") as text:
        frame.to_csv(text, index=False)
    assert read(fs, "copy.csv") == read(fs, "data/trips.csv")
    with fs.open("trips.parquet", "wb") as binary:
        frame.to_parquet(binary)
    with fs.open("trips.parquet", "rb") as binary:
        pd.testing.assert_frame_equal(pd.read_parquet(binary), frame)


def test_a_large_file_is_written_and_read_in_pieces(fs: MemoryFs) -> None:
    line = b"0123456789abcde\n"
    fs.calls.clear()
    with fs.open("large", "wb") as file:
        for _ in range(200_000):
            file.write(line)
    assert [name for name, _ in fs.calls] == ["write", "append", "append", "append"]
    fs.calls.clear()
    with fs.open("large", "rb") as file:
        assert sum(1 for _ in file) == 200_000
    assert max(size for _, size in fs.calls) == min(size for _, size in fs.calls) == 1 << 20


def test_a_file_can_be_read_from_any_place(fs: MemoryFs) -> None:
    with fs.open("notes.txt", "rb") as file:
        assert (file.seek(4), file.read(3), file.tell()) == (4, b"two", 7)
        assert (file.seek(-4, 2), file.read()) == (4, b"two\n")
        assert (file.seek(0), file.seek(2, 1), file.readline()) == (0, 2, b"e\n")
    with fs.open("notes.txt") as file:
        assert file.readlines() == ["one\n", "two\n"]


@pytest.mark.parametrize("kind", [MemoryFs, WriteOnceFs])
def test_a_file_can_be_written_anew_appended_to_and_left_empty(kind: type[MemoryFs]) -> None:
    fs = kind()
    with fs.open("x", "w") as file:
        file.write("größer\n")
    with fs.open("x", "a") as file:
        file.write("und mehr")
    assert read(fs, "x") == "größer\nund mehr"
    with fs.open("x", "w"):
        pass
    assert read(fs, "x") == ""
    with fs.open("new", "a") as file:
        file.write("made")
    assert read(fs, "new") == "made"


def test_a_client_that_cannot_append_gets_the_whole_file_at_once() -> None:
    fs = WriteOnceFs()
    with fs.open("large", "wb") as file:
        for _ in range(3):
            file.write(b"x" * (1 << 20))
    assert fs.calls == [("write", 3 << 20)]


def test_opening_fails_as_pythons_own_does(fs: MemoryFs) -> None:
    with pytest.raises(FileNotFoundError, match=r"store: could not open .*; did you mean 'notes.txt'"):
        fs.open("note.txt")
    with pytest.raises(FileExistsError, match=r"store: could not open '/home/ada/notes.txt'"):
        fs.open("notes.txt", "x")
    for mode in ("r", "w", "ab"):
        with pytest.raises(IsADirectoryError):
            fs.open("data", mode)
    for mode in ("", "t", "rw", "q", "U"):
        with pytest.raises(DuctArgumentError, match=r"mode cannot be"):
            fs.open("notes.txt", mode)
    with pytest.raises(OSError, match=r"MemoryFs cannot read and write a file at once"):
        fs.open("notes.txt", "r+")


def test_what_a_hook_raises_becomes_an_error_that_names_duct_and_path(fs: MemoryFs) -> None:
    with pytest.raises(DuctFileError, match=r"store: could not write '/home/ada/no/x': .*no") as caught:
        fs.open("no/x", "w").close()
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None


def test_a_connection_that_fails_is_no_error_of_the_file(
    fs: MemoryFs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MemoryFs, path: str) -> bool:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(MemoryFs, "_isdir", broken)
    with pytest.raises(
        DuctConnectionError, match=r"store: .*'/home/ada/x': the connection failed: reset by peer"
    ):
        fs.isdir("x")


def test_an_error_survives_pickling_and_copying(fs: MemoryFs) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fs.open("nothing")
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (type(twin), str(twin)) == (type(caught.value), str(caught.value))
        assert twin.filename == "/home/ada/nothing"


def test_a_file_is_whole_or_is_not_there() -> None:
    for fs in (RenamingFs(), MemoryFs()):
        with fs.open_atomic("x", "wt") as file:
            file.write("whole")
        with pytest.raises(ZeroDivisionError), fs.open_atomic("y") as file:
            file.write(b"half" * (1 << 20))
            raise ZeroDivisionError
        assert fs.listdir() == ["x"]
        with pytest.raises(IsADirectoryError):
            fs.open_atomic("~").__enter__()
        with pytest.raises(DuctArgumentError):
            fs.open_atomic("x", "rb")


def test_where_files_can_be_renamed_a_failed_write_leaves_the_former_file() -> None:
    fs = filled(RenamingFs())
    with pytest.raises(ZeroDivisionError), fs.open_atomic("notes.txt") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert read(fs, "notes.txt") == "one\ntwo\n"
    with fs.open_atomic("notes.txt") as file:
        file.write(b"new")
    assert read(fs, "notes.txt") == "new"


# ------------------------------------------------------------------------------------------------ copying


@pytest.mark.parametrize("kind", [MemoryFs, RenamingFs, WriteOnceFs])
def test_files_and_folders_are_copied_between_any_two(
    fs: MemoryFs, kind: type[MemoryFs], tmp_path: Path
) -> None:
    other = kind(name="other")
    assert fs.download("notes.txt", fs=other) == "/home/ada/notes.txt"
    assert other.upload("data", "mine", fs=fs) == "/home/ada/mine"
    assert read(other, "notes.txt") == "one\ntwo\n"
    assert [folder for folder, _, _ in other.walk("mine")] == ["/home/ada/mine", "/home/ada/mine/2024"]
    assert read(other, "mine/2024/may.csv") == "id\n1\n"
    assert other.listdir() == ["mine", "notes.txt"]
    assert other.download("mine", tmp_path / "here") == str(tmp_path / "here")
    assert (tmp_path / "here/2024/may.csv").read_text() == "id\n1\n"
    assert other.upload(tmp_path / "here", "back") == "/home/ada/back"
    assert read(other, "back/trips.csv") == read(fs, "data/trips.csv")


def test_what_is_there_is_replaced_only_when_that_is_said(fs: MemoryFs) -> None:
    other = filled(RenamingFs(name="other"))
    with fs.open("data/2024/may.csv", "w") as file:
        file.write("newer")
    other.mkdir("data/kept")
    for source in ("notes.txt", "data"):
        with pytest.raises(FileExistsError, match=r"other: could not write .* overwrite=True"):
            fs.download(source, fs=other)
        fs.download(source, fs=other, overwrite=True)
    assert read(other, "data/2024/may.csv") == "newer"
    assert other.listdir("data") == ["2024", "kept", "trips.csv"]


def test_a_destination_that_ends_in_the_separator_is_a_folder_to_put_it_in(fs: MemoryFs) -> None:
    other = RenamingFs()
    other.mkdir("into")
    assert fs.download("notes.txt", "into/", fs=other) == "/home/ada/into/notes.txt"
    assert fs.download("data/trips.csv", "into", fs=other) == "/home/ada/into/trips.csv"
    assert fs.download("data", "into/", fs=other) == "/home/ada/into/data"
    with pytest.raises(FileExistsError):
        fs.download("data", "into", fs=other)


def test_a_folder_can_be_copied_into_itself_and_nothing_onto_itself(fs: MemoryFs) -> None:
    assert fs.download("data", "data/copy", fs=fs) == "/home/ada/data/copy"
    assert fs.listdir("data/copy") == ["2024", "trips.csv"]
    with pytest.raises(FileExistsError, match=r"onto itself"):
        fs.download("notes.txt", "notes.txt", overwrite=True, fs=fs)
    assert read(fs, "notes.txt") == "one\ntwo\n"


def test_copying_that_fails_leaves_nothing_half_made(monkeypatch: pytest.MonkeyPatch) -> None:
    source, other = filled(MemoryFs(name="store")), RenamingFs(name="other")
    real = MemoryFs._file_read_

    def failing(self: MemoryFs, path: str, *args: Any) -> Any:
        if path.endswith("may.csv"):
            raise OSError(errno.EIO, "bad sector")
        return real(self, path, *args)

    monkeypatch.setattr(MemoryFs, "_file_read_", failing)
    with pytest.raises(OSError, match=r"store: could not read '/home/ada/data/2024/may.csv': bad sector"):
        source.download("data", fs=other)
    assert other.listdir() == []
    assert source.status.running == other.status.running == 0


def test_what_is_neither_file_nor_folder_is_left_out_and_said(
    fs: MemoryFs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MemoryFs._dir

    def with_socket(self: MemoryFs, path: str) -> Iterator[FileSystemFileDesc]:
        yield from real(self, path)
        yield FileSystemFileDesc(f"{path}/socket", "socket", "other")

    monkeypatch.setattr(MemoryFs, "_dir", with_socket)
    with pytest.warns(DuctWarning, match=r"store: 2 of the things in '/home/ada/data' were not copied"):
        fs.download("data", "copy", fs=fs)


def test_only_filesystems_can_be_copied_to_and_only_what_is_there_from(fs: MemoryFs) -> None:
    with pytest.raises(DuctArgumentError, match=r"store: fs has to be a filesystem's duct, not '/tmp'"):
        fs.download("notes.txt", fs="/tmp")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"store: could not copy '/home/ada/x'"):
        fs.download("x")
    with pytest.raises(FileNotFoundError):
        fs.upload(tempfile.gettempdir() + "/no such thing")


def test_a_subclass_may_copy_in_a_way_of_its_own(fs: MemoryFs, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(MemoryFs, "_download", lambda self, *args: seen.append(args))
    other = MemoryFs()
    fs.download("data", "there", overwrite=True, fs=other)
    assert seen == [("/home/ada/data", "/home/ada/there", True, other)]


# --------------------------------------------------------------------------------------------- the duct


USES: dict[str, Callable[[MemoryFs], object]] = {
    "path_home": lambda fs: fs.path_home,
    "path_cwd": lambda fs: fs.path_cwd,
    "path_separator": lambda fs: fs.path_separator,
    "path_join": lambda fs: fs.path_join("~", "a"),
    "path_basename": lambda fs: fs.path_basename("a"),
    "path_dirname": lambda fs: fs.path_dirname("a"),
    "path_normpath": lambda fs: fs.path_normpath("a"),
    "exists": lambda fs: fs.exists("a"),
    "isdir": lambda fs: fs.isdir("a"),
    "isfile": lambda fs: fs.isfile("/a"),
    "dir": lambda fs: fs.dir(),
    "listdir": lambda fs: fs.listdir(),
    "showdir": lambda fs: fs.showdir(),
    "walk": lambda fs: fs.walk(),
    "find": lambda fs: fs.find(),
    "mkdir": lambda fs: fs.mkdir("a"),
    "remove": lambda fs: fs.remove("notes.txt"),
    "open": lambda fs: fs.open("/home/ada/notes.txt"),
    "open_atomic": lambda fs: fs.open_atomic("a"),
    "download": lambda fs: fs.download("notes.txt", fs=filled(MemoryFs()), dest="a"),
    "upload": lambda fs: fs.upload("notes.txt", fs=filled(MemoryFs()), dest="a"),
    "fsspec": lambda fs: fs.fsspec,
    "pyarrow_fs": lambda fs: fs.pyarrow_fs,
}


@pytest.mark.parametrize("use", USES)
def test_every_use_connects_first(use: str, fs: MemoryFs) -> None:
    fs.disconnect()
    USES[use](fs)
    assert fs.is_connected()


def test_every_public_operation_is_among_those_that_are_seen_to_connect() -> None:
    public = {
        name
        for name in dir(FileSystemClient)
        if not name.startswith("_") and not name.isupper() and name not in dir(Duct)
    }
    assert public - {"register_magics"} == set(USES)


def test_a_copy_keeps_folders_and_permissions() -> None:
    fs = MemoryFs(home="/home/ada", cwd="/tmp", read_only=True)
    fs.global_writes = True
    for twin in (copy.copy(fs), pickle.loads(pickle.dumps(fs))):
        assert (twin.path_home, twin.path_cwd) == ("/home/ada", "/tmp")
        assert (twin.read_only, twin.global_writes) == (True, True)
    fs = filled(MemoryFs())
    fs.path_cwd = "data"
    assert copy.copy(fs).path_cwd == "/home/ada/data"


def test_another_login_may_have_another_home(fs: MemoryFs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fs.path_home == "/home/ada"
    monkeypatch.setattr(MemoryFs, "_path_home", lambda self: "/home/bob")
    fs.username = "bob"
    assert fs.path_home == "/home/bob"


def test_a_duct_that_supplies_no_files_says_which_hook_it_lacks() -> None:
    class Bare(FileSystemClient):
        def _connect(self) -> None: ...

        def _is_connected(self) -> bool:
            return True

        def _disconnect(self) -> None: ...

    with pytest.raises(NotImplementedError, match=r"box: Bare does not supply the hook _isdir"):
        Bare(name="box").listdir()
    assert Bare().path_home == "/"


# ---------------------------------------------------------------------------------------------- magics


@pytest.fixture
def shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    yield InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    InteractiveShell.clear_instance()


def test_magics_list_show_read_and_write(fs: MemoryFs, shell: Any) -> None:
    fs.register_magics()
    assert shell.run_line_magic("store.listdir", "") == ["data", "notes.txt"]
    shell.user_ns["folder"] = PurePosixPath("data")
    assert shell.run_line_magic("store.listdir", "path=folder") == ["2024", "trips.csv"]
    assert shell.run_line_magic("store.showdir", "data")["name"].tolist() == ["2024", "trips.csv"]
    shell.run_cell_magic("store.write", "'my notes.txt'", "three\nfour\n")
    text = shell.run_line_magic("store.read", "'my notes.txt'")
    assert text == "three\nfour\n"
    assert isinstance(text, str)
    assert repr(text) == "three\nfour\n"


def test_magics_say_what_is_wrong(fs: MemoryFs, shell: Any) -> None:
    fs.register_magics()
    with pytest.raises(DuctMagicError, match=r"needs quotes: 'my notes.txt'"):
        shell.run_line_magic("store.read", "my notes.txt")
    with pytest.raises(DuctMagicError, match=r"`path` must be given"):
        shell.run_cell_magic("store.write", "", "text")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'notes.txt'"):
        shell.run_line_magic("store.read", "note.txt")
    with fs.open("picture.png", "wb") as file:
        file.write(b"\x89PNG\xff")
    with pytest.raises(DuctMagicError, match=r"%store.read: 'picture.png' is no text in UTF-8"):
        shell.run_line_magic("store.read", "picture.png")
    fs.read_only = True
    with pytest.raises(PermissionError, match=r"read_only=True"):
        shell.run_cell_magic("store.write", "x.txt", "text")


def test_ten_thousand_paths_are_made_absolute_in_no_time(fs: MemoryFs) -> None:
    started = time.perf_counter()
    for number in range(10_000):
        fs.path_normpath(f"a/{number}/../b")
    assert time.perf_counter() - started < 2


def test_the_protocol_is_known_by_its_name() -> None:
    files = Duct.for_protocol("localfs")(name="files")
    assert isinstance(files, LocalFsClient)
    assert (files.protocol, files.DUCT_TYPE) == ("localfs", Duct.Type.FILESYSTEM)
