"""fsspec's filesystems as ducts: in memory, in archives, and on real servers."""

from __future__ import annotations

import datetime
import io
import pickle
import socket
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.services import files as servers
from tests.services.tcp import Relay, Service

from omniduct import Duct, DuctRegistry
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctServerUnreachable,
)
from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc
from omniduct.filesystems.fsspec.client import FsspecClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "served"
    (place / "data" / "deep").mkdir(parents=True)
    (place / "notes.txt").write_text("one\ntwo\n")
    (place / "data" / "trips ü#1.csv").write_text("id,km\n1,2.5\n")
    (place / "data" / "deep" / "large").write_bytes(bytes(range(256)) * 20_000)
    return place


@pytest.fixture
def ftp(folder: Path) -> Iterator[FsspecClient]:
    with servers.ftp(folder) as served:
        duct = FsspecClient(
            name="ftp",
            filesystem="ftp",
            host=f"127.0.0.1:{served.port}",
            username=servers.USER,
            password=servers.PASSWORD,
        )
        yield duct
        duct.disconnect()  # or the server waits for it


@pytest.fixture
def memory() -> FsspecClient:
    return FsspecClient(name="mem", filesystem="memory", options={"global_store": False})


@pytest.fixture
def local(folder: Path) -> FsspecClient:
    return FsspecClient(name="dir", filesystem="file", root=str(folder))


def filled(fs: FsspecClient, folder: Path) -> FsspecClient:
    fs.upload(folder, "/served")
    fs.path_cwd = "/served"
    return fs


@pytest.fixture(params=["ftp", "memory", "local", "zip", "tar", "http", "http with ranges"])
def fs(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[FsspecClient]:
    """Each of them, with the same files, read from its working folder."""
    if request.param in ("ftp", "local"):
        yield request.getfixturevalue(request.param)
    elif request.param == "memory":
        yield filled(request.getfixturevalue("memory"), folder)
    elif request.param.startswith("http"):
        with servers.http(folder, ranges=request.param != "http") as served:
            yield FsspecClient(name="web", filesystem="http", host="127.0.0.1", port=served.port)
    else:
        yield archive(request.param, folder, tmp_path)


def archive(kind: str, folder: Path, tmp_path: Path) -> FsspecClient:
    name = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(name, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder))
    else:
        with tarfile.open(name, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.add(path, path.relative_to(folder), recursive=False)
    return FsspecClient(name=kind, filesystem=kind, options={"fo": str(name)})


WRITABLE = ["ftp", "memory", "local"]


def described(fs: FileSystemClient, name: str) -> FileSystemFileDesc:
    return next(entry for entry in fs.dir() if entry.name == name)


# ---------------------------------------------------------------------------------------------- reading


def test_folders_are_listed_walked_and_searched(fs: FsspecClient) -> None:
    assert fs.listdir() == ["data", "notes.txt"]
    assert fs.listdir("data") == ["deep", "trips ü#1.csv"]
    top = fs.path_cwd
    assert [(path.removeprefix(top).strip("/"), names) for path, _, names in fs.walk()] == [
        ("", ["notes.txt"]),
        ("data", ["trips ü#1.csv"]),
        ("data/deep", ["large"]),
    ]
    assert [entry.name for entry in fs.find(type="file")] == ["notes.txt", "trips ü#1.csv", "large"]
    assert [fs.isdir(p) for p in ("data", "notes.txt", "nothing", "data/deep")] == [True, False, False, True]
    assert [fs.isfile(p) for p in ("data", "notes.txt", "nothing", "data/trips ü#1.csv")] == [
        False,
        True,
        False,
        True,
    ]


def test_files_are_real_ones_to_libraries_and_are_read_from_any_place(fs: FsspecClient) -> None:
    with fs.open("data/trips ü#1.csv", "rb") as file:
        assert isinstance(file, io.BufferedReader)
        assert pd.read_csv(file)["km"].tolist() == [2.5]
    with fs.open("notes.txt") as file:
        assert file.readlines() == ["one\n", "two\n"]
    with fs.open("data/deep/large", "rb") as file:
        if file.seekable():
            file.seek(-256, io.SEEK_END)
            assert file.read() == bytes(range(256))
            file.seek(1_000_003)
        else:
            assert fs.filesystem == "http"
            assert len(file.read(1_000_003)) == 1_000_003
        assert file.read(3) == bytes([1_000_003 % 256, 1_000_004 % 256, 1_000_005 % 256])


def test_two_may_read_one_file_at_once(fs: FsspecClient) -> None:
    with fs.open("notes.txt", "rb") as one, fs.open("notes.txt", "rb") as two:
        assert (one.read(4), two.read(), one.read()) == (b"one\n", b"one\ntwo\n", b"two\n")


def test_what_is_there_is_downloaded_with_all_that_is_in_it(fs: FsspecClient, tmp_path: Path) -> None:
    fs.download("data", tmp_path / "here")
    assert (tmp_path / "here" / "trips ü#1.csv").read_text() == "id,km\n1,2.5\n"
    assert (tmp_path / "here" / "deep" / "large").stat().st_size == 256 * 20_000


def test_entries_are_described_as_far_as_the_filesystem_says(fs: FsspecClient) -> None:
    entry = described(fs, "notes.txt")
    assert (entry.path, entry.type) == (fs.path_join(fs.path_cwd, "notes.txt"), "file")
    assert described(fs, "data").type == "directory"
    if fs.filesystem == "http":
        assert (entry.bytes, entry.last_modified) == (None, None)
        return
    assert entry.bytes == 8
    moment = entry.created if fs.filesystem == "memory" else entry.last_modified
    assert moment is not None
    assert abs(datetime.datetime.now(datetime.timezone.utc) - moment) < datetime.timedelta(minutes=5)
    if fs.filesystem in ("file", "tar"):
        assert (entry.permissions or "").startswith("rw-")
    assert fs.showdir()["name"].tolist() == ["data", "notes.txt"]


def test_errors_are_those_of_every_filesystem(fs: FsspecClient) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{fs.name}: could not open .*did you mean 'notes.txt'"):
        fs.open("note.txt")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'data'"):
        fs.listdir("dat")
    with pytest.raises(NotADirectoryError):
        fs.listdir("notes.txt")
    with pytest.raises(IsADirectoryError):
        fs.open("data")
    with pytest.raises(OSError, match=r"cannot read and write a file at once"):
        fs.open("notes.txt", "r+b")


# ---------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("fs", WRITABLE, indirect=True)
def test_files_are_written_replaced_and_removed(fs: FsspecClient) -> None:
    with fs.open("new.txt", "w", encoding="latin-1") as file:
        file.write("Köln")
    with fs.open("new.txt", "rb") as file:
        assert file.read() == b"K\xf6ln"
    with fs.open_atomic("new.txt", "wt") as file:
        file.write("replaced")
    with fs.open("new.txt") as file:
        assert file.read() == "replaced"
    with pytest.raises(FileExistsError):
        fs.open("new.txt", "x")
    fs.mkdir("a/b/c")
    with pytest.raises(FileExistsError):
        fs.mkdir("a/b")
    fs.mkdir("a/b", exist_ok=True)
    with fs.open("a/b/empty", "x"):
        pass
    assert fs.listdir("a/b") == ["c", "empty"]
    fs.remove("new.txt")
    fs.remove("a", recursive=True)
    assert fs.listdir() == ["data", "notes.txt"]


@pytest.mark.parametrize("fs", WRITABLE, indirect=True)
def test_a_failed_write_leaves_the_former_file_and_nothing_beside_it(fs: FsspecClient) -> None:
    with pytest.raises(KeyboardInterrupt), fs.open_atomic("notes.txt") as file:
        file.write(b"half" * 100_000)
        raise KeyboardInterrupt
    assert fs.listdir() == ["data", "notes.txt"]
    with fs.open("notes.txt") as file:
        assert file.read() == "one\ntwo\n"


@pytest.mark.parametrize("fs", WRITABLE, indirect=True)
def test_folders_are_uploaded_and_their_files_replaced(fs: FsspecClient, folder: Path) -> None:
    assert fs.upload(folder / "data", "copy") == fs.path_join(fs.path_cwd, "copy")
    assert fs.listdir("copy/deep") == ["large"]
    fs.upload(folder / "data", "copy", overwrite=True)
    assert sorted(fs.listdir()) == ["copy", "data", "notes.txt"]


@pytest.mark.parametrize("fs", WRITABLE, indirect=True)
def test_something_is_added_to_a_file_or_that_is_refused_before_any_harm(fs: FsspecClient) -> None:
    if fs.filesystem == "ftp":
        with pytest.raises(OSError, match=r"fsspec's 'ftp' cannot add to a file"):
            fs.open("notes.txt", "a")
    else:
        with fs.open("notes.txt", "a") as file:
            file.write("three\n")
    with fs.open("notes.txt") as file:
        assert file.read().startswith("one\ntwo\n")
        assert (file.seek(0), file.read().endswith("three\n")) == (0, fs.filesystem != "ftp")


@pytest.mark.parametrize("fs", ["zip", "tar", "http"], indirect=True)
def test_what_can_only_be_read_says_so(fs: FsspecClient, folder: Path) -> None:
    for write in (
        lambda: fs.open("new", "w"),
        lambda: fs.mkdir("new"),
        lambda: fs.remove("notes.txt"),
        lambda: fs.upload(folder / "notes.txt", "new"),
    ):
        with pytest.raises(PermissionError, match=rf"{fs.name}: could not .*can only be read"):
            write()


def test_an_archive_is_written(tmp_path: Path) -> None:
    fs = FsspecClient(filesystem="zip", options={"fo": str(tmp_path / "x.zip"), "mode": "w"})
    with fs.open("a/b.txt", "w") as file:
        file.write("inside")
    fs.disconnect()
    assert zipfile.ZipFile(tmp_path / "x.zip").read("a/b.txt") == b"inside"


def test_writes_outside_the_home_folder_are_refused(memory: FsspecClient) -> None:
    fs = FsspecClient(filesystem="memory", home="/home/ann", options={"global_store": False})
    fs.mkdir("~")
    with pytest.raises(PermissionError, match=r"outside the home folder '/home/ann'"):
        fs.open("/x", "w")


# ------------------------------------------------------------------------------------------ connecting


def test_it_is_configured_by_the_name_of_fsspecs_filesystem(folder: Path) -> None:
    registry = DuctRegistry(
        f"filesystems:\n  box:\n    protocol: fsspec\n    filesystem: dir\n    root: data\n"
        f"    options: {{path: {folder}, target_protocol: file}}\n"
    )
    box = registry["box"]
    assert isinstance(box, FsspecClient)
    assert box.DUCT_TYPE == Duct.Type.FILESYSTEM
    assert box.listdir() == ["deep", "trips ü#1.csv"]


def test_a_large_file_of_a_server_that_gives_no_parts_is_read_to_its_end(folder: Path) -> None:
    (folder / "huge").write_bytes(b"0123456789abcdef" * (1 << 20))
    for ranges in (False, True):
        with servers.http(folder, ranges=ranges) as served:
            web = FsspecClient(filesystem="http", host=f"127.0.0.1:{served.port}")
            with web.open("huge", "rb") as file:
                assert file.seekable() is ranges
                assert sum(map(len, iter(lambda: file.read(1 << 20), b""))) == 16 << 20


def test_a_root_is_what_a_slash_stands_for(ftp: FsspecClient, folder: Path) -> None:
    ftp.root = "/data"
    assert ftp.reconnect().listdir("/") == ["deep", "trips ü#1.csv"]
    with servers.http(folder) as served:
        web = FsspecClient(filesystem="http", root=f"http://127.0.0.1:{served.port}/data/")
        assert web.listdir() == ["deep", "trips ü#1.csv"]


def test_a_change_that_others_make_is_seen(ftp: FsspecClient, folder: Path) -> None:
    assert ftp.listdir() == ["data", "notes.txt"]
    (folder / "another").touch()
    assert ftp.listdir() == ["another", "data", "notes.txt"]


def test_the_login_is_that_of_the_duct_and_a_wrong_one_is_refused(ftp: FsspecClient, folder: Path) -> None:
    ftp.password = "wrong secret"
    with pytest.raises(DuctAuthenticationError, match=r"ftp: the login was refused: 530") as caught:
        ftp.listdir()
    assert "wrong secret" not in f"{caught.value!r} {caught.value.__cause__!r} {ftp!r}"
    with servers.http(folder, login=True) as served:
        web = FsspecClient(filesystem="http", host="127.0.0.1", port=served.port)
        with pytest.raises(PermissionError, match=r"the server says 401"):
            web.listdir()
        web.username, web.password = servers.USER, servers.PASSWORD
        assert web.listdir() == ["data", "notes.txt"]


def test_a_login_that_a_filesystem_does_not_take_is_an_error(memory: FsspecClient) -> None:
    memory.username = "ann"
    with pytest.raises(DuctConfigError, match=r"mem: fsspec's 'memory' takes no username"):
        memory.connect()


def test_a_link_that_breaks_is_noticed_and_healed(folder: Path) -> None:
    with servers.ftp(folder) as served:
        ftp = FsspecClient(
            filesystem="ftp",
            host=f"127.0.0.1:{served.port}",
            username=servers.USER,
            password=servers.PASSWORD,
        )
        ftp.listdir()
        ftp._fs.ftp.sock.shutdown(socket.SHUT_RDWR)
        ftp.PROBE_AFTER_IDLE = 60  # type: ignore[misc]  # or it would have healed before anybody saw
        with pytest.raises(DuctConnectionError, match=r"could not list '/': the connection failed"):
            ftp.listdir()
        assert ftp.listdir() == ["data", "notes.txt"]
        assert served.requests == [servers.USER] * 2
    assert not ftp.is_connected()
    with pytest.raises(DuctServerUnreachable):
        ftp.listdir()


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(DuctDriverMissing, match=r"lake: .*install gcsfs"):
        FsspecClient(name="lake", filesystem="gcs").connect()
    with pytest.raises(DuctConfigError, match=r"fsspec knows no filesystem 'memroy'; did you mean 'memory'"):
        FsspecClient(filesystem="memroy").connect()


def test_a_filesystem_that_trusts_any_machine_is_asked_for_by_saying_so() -> None:
    with pytest.raises(DuctConfigError, match=r"use protocol: ssh"):
        FsspecClient(filesystem="sftp", host="example.org")


def test_a_copy_is_one_of_the_same_filesystem(ftp: FsspecClient) -> None:
    ftp.listdir()
    twin = pickle.loads(pickle.dumps(ftp))
    assert (twin.filesystem, twin.root, twin.options) == ("ftp", "", {})
    assert twin._fs is None
    assert servers.PASSWORD not in repr(pickle.dumps(ftp))


def test_two_ducts_share_no_connection(ftp: FsspecClient) -> None:
    other = FsspecClient(
        filesystem="ftp", host=ftp._host, port=ftp._port, username="ann", password=servers.PASSWORD
    )
    ftp.listdir()
    other.listdir()
    assert ftp._fs is not other._fs
    ftp.disconnect()
    assert other.listdir() == ["data", "notes.txt"]


def test_the_server_is_reached_through_a_remote(folder: Path) -> None:
    registry = DuctRegistry()
    with Service() as gate, servers.http(folder) as served:
        registry.register(Relay(name="bastion", host=gate.host, port=gate.port, username="ann", password="x"))
        web = registry.new("web", "fsspec", filesystem="http", host="localhost", port=served.port)
        web.remote = "bastion"
        assert isinstance(web, FsspecClient)
        assert web.listdir() == ["data", "notes.txt"]
        assert web.port != served.port
        assert {line.split()[0] for line in served.requests} == {f"localhost:{served.port}"}
