"""The files of a machine over SFTP: what a local filesystem does, over real servers."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.services.sftp import Direct
from tests.services.sshd import SSHD

from omniduct.filesystems.base import FileSystemClient
from omniduct.filesystems.local import LocalFsClient
from omniduct.remotes.ssh.openssh.client import OpenSSHClient

ODD_NAMES = [
    " leading and trailing ",
    "two\nlines",
    "日本語 – ñandú 🦆",
    "~",
    "a'b\"c",
    "%s {x} $HOME",
    "-rf",
    "x" * 255,
]


def put(fs: FileSystemClient, path: str, data: bytes) -> None:
    with fs.open(path, "wb") as file:
        file.write(data)


def got(fs: FileSystemClient, path: str) -> bytes:
    with fs.open(path, "rb") as file:
        return file.read()  # type: ignore[no-any-return]


# Paths and names


def test_home_is_where_the_login_leads(server: SSHD, remote: OpenSSHClient) -> None:
    assert remote.path_home == remote.path_cwd == str(server.user_home)


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_any_name_can_be_written_listed_found_copied_and_removed(
    remote: OpenSSHClient, folder: Path, name: str
) -> None:
    path = str(folder / name)
    with remote.open_atomic(path, "wt") as file:
        file.write("inside")
    assert remote.listdir() == [name]
    assert [entry.path for entry in remote.find(name=name)] == [path]
    remote.mkdir("folder")
    assert remote.download(path, "folder/", fs=remote) == str(folder / "folder" / name)
    remote.download("folder", "again", fs=remote)
    assert (folder / "again" / name).read_text() == "inside"
    remote.remove(path)
    assert remote.listdir() == ["again", "folder"]


def test_a_name_that_is_no_utf8_is_listed_and_opened(remote: OpenSSHClient, folder: Path) -> None:
    with open(os.fsencode(folder) + b"/caf\xe9", "wb") as file:
        file.write(b"x")
    (name,) = remote.listdir()
    assert got(remote, name) == b"x"


def test_entries_are_described_as_the_local_filesystem_does_it(
    server: SSHD, remote: OpenSSHClient, folder: Path
) -> None:
    put(remote, "a.txt", b"hello")
    remote.execute(
        "chmod 640 a.txt; mkfifo pipe; ln -s folder 'to folder'; ln -s nothing 'to nothing'; ln -s a.txt l"
    )
    remote.mkdir("folder")
    found = {entry.name: entry for entry in remote.dir()}
    here = {entry.name: entry for entry in LocalFsClient().dir(folder)}
    assert found.keys() == here.keys()
    for name, entry in found.items():
        wanted = here[name]._replace(owner=server.user, group=server.user)
        for field in ("last_modified", "last_accessed"):  # whole seconds alone
            assert abs(getattr(entry, field) - getattr(wanted, field)) < timedelta(seconds=1)
        keep = {"last_modified": entry.last_modified, "last_accessed": entry.last_accessed}
        assert entry == wanted._replace(**keep)
    assert [found[name].type for name in ("a.txt", "folder", "pipe", "to folder", "to nothing", "l")] == [
        *("file", "directory", "other", "directory", "link", "file")
    ]
    assert datetime.now(timezone.utc) - found["a.txt"].last_modified < timedelta(minutes=1)  # type: ignore[operator]


def test_links_lead_where_they_lead_and_are_removed_themselves(remote: OpenSSHClient, folder: Path) -> None:
    remote.execute(
        "mkdir -p real/deep; echo kept > real/deep/file; ln -s real link; ln -s loop loop; ln -s . here"
    )
    assert remote.isdir("link") and remote.isfile("link/deep/file")
    assert not remote.exists("loop") and not remote.isfile("loop")
    assert remote._real_path(str(folder / "link/deep")) == str(folder / "real/deep")
    assert remote._real_path(str(folder / "link/new")) == str(folder / "real/new")
    assert {path for path, _, _ in remote.walk()} == {
        str(folder),
        str(folder / "real"),
        str(folder / "real/deep"),
    }
    remote.execute("mkdir tree; ln -s ../real tree/out")
    remote.remove("tree", recursive=True)
    remote.remove("link")
    remote.remove("loop")
    assert (folder / "real/deep/file").read_text() == "kept\n"
    with remote.open_atomic("real/deep/also", "wt") as file:
        file.write("x")


def test_ten_thousand_entries_are_listed_copied_and_removed_in_moderate_time(
    remote: OpenSSHClient, folder: Path
) -> None:
    remote.execute("mkdir many; cd many; seq -f 'file %g' 10000 | tr '\\n' '\\0' | xargs -0 touch")
    begun = time.monotonic()
    assert len(remote.listdir("many")) == 10_000
    assert next(iter(remote.dir("many"))).type == "file"
    assert sum(1 for _ in remote.find("many", type="file")) == 10_000
    remote.remove("many", recursive=True)
    assert time.monotonic() - begun < 30
    assert not (folder / "many").exists()


# What goes wrong


OPERATIONS: list[Callable[[FileSystemClient], object]] = [
    lambda fs: fs.open("missing"),
    lambda fs: fs.open("missing", "r+"),
    lambda fs: fs.open("missing/x", "w"),
    lambda fs: fs.open("file/x"),
    lambda fs: fs.open("file/x", "w"),
    lambda fs: fs.open("file", "x"),
    lambda fs: fs.open("folder"),
    lambda fs: fs.open("folder", "w"),
    lambda fs: fs.open("folder", "a"),
    lambda fs: fs.open("folder", "x"),
    lambda fs: fs.open("folder", "r+"),
    lambda fs: fs.open("x" * 300, "w"),
    lambda fs: fs.open("x" * 300),
    lambda fs: fs.open("loop"),
    lambda fs: fs.open("dangling"),
    lambda fs: fs.mkdir("file"),
    lambda fs: fs.mkdir("folder"),
    lambda fs: fs.mkdir("file/x"),
    lambda fs: fs.mkdir("missing/x", recursive=False),
    lambda fs: fs.mkdir("dangling"),
    lambda fs: list(fs.dir("missing")),
    lambda fs: list(fs.dir("file")),
    lambda fs: fs.remove("missing"),
    lambda fs: fs.remove("folder"),
    lambda fs: fs.remove("file/x"),
    lambda fs: fs.open("file").write("x"),
    lambda fs: fs.open("file", "w").read(),
    lambda fs: fs.open("file").seek(-1),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=range(len(OPERATIONS)))
def test_what_goes_wrong_is_of_the_kind_that_it_is_locally(
    direct: Direct, tmp_path: Path, operation: Callable[[FileSystemClient], object]
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    kinds = []
    for fs in (LocalFsClient(cwd=tmp_path), direct):
        with pytest.raises((OSError, ValueError)) as caught:
            operation(fs)
        kinds.append((type(caught.value), getattr(caught.value, "errno", None)))
    local, ours = kinds
    if local[1] == errno.ELOOP:  # the protocol has no number for it
        assert ours[1] == errno.ENOENT
    else:
        assert ours == local


def test_what_the_user_may_not_is_a_permission_error(remote: OpenSSHClient, folder: Path) -> None:
    remote.execute("echo x > secret; chmod 0 secret; mkdir closed; chmod 500 closed")
    for operation in (lambda: remote.open("secret"), lambda: remote.open("secret", "w")):
        with pytest.raises(PermissionError, match=r"bastion: could not open .*secret': Permission denied"):
            operation()
    with pytest.raises(PermissionError):
        remote.mkdir("closed/x")
    with pytest.raises(PermissionError):
        remote.open("closed/x", "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a filesystem of its own")
def test_a_full_disk_is_told_at_the_latest_when_the_file_is_closed(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=2m tmpfs '{small}'"  # for the server alone, and gone with it
    direct = Direct(
        name="direct",
        cwd=tmp_path,
        global_writes=True,
        command=f'exec unshare --mount sh -c "{mount} && exec %"',
    )
    data = os.urandom(1 << 20)
    with pytest.raises(OSError, match=r"direct: could not write .*small/big': no space left") as caught:
        file = direct.open("small/big", "wb")
        for _ in range(64):
            file.write(data)
        file.close()
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="no space left"):
        file.close()
    with pytest.raises(OSError, match="no space left"), direct.open("small/two", "wb") as file:
        file.write(data * 3)  # all of it is under way, and nothing has been heard
    direct.remove("small/big")
    with pytest.raises(OSError, match="no space left"):
        LocalFsClient().download(_filled(tmp_path / "large", data * 3), "small/three", fs=direct)
    assert sorted(direct.listdir("small")) == ["two"]
    direct.disconnect()


def _filled(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# Renaming


@pytest.mark.parametrize("options", ["", "-P posix-rename"])
def test_a_file_takes_the_place_of_another_also_where_the_server_cannot_do_that_at_once(
    tmp_path: Path, options: str
) -> None:
    direct = Direct(name="direct", cwd=tmp_path, global_writes=True, command=f"exec % {options}")
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o600)
    with direct.open_atomic("old", "wt") as file:
        file.write("new")
    assert (tmp_path / "old").read_text() == "new"
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ZeroDivisionError), direct.open_atomic("old", "wt") as file:
        file.write(str(1 // 0))
    direct._rename(str(tmp_path / "old"), str(tmp_path / "other"))
    with pytest.raises(OSError):
        direct._rename(str(tmp_path / "missing"), str(tmp_path / "other"))
    assert direct.listdir() == ["other"]
    direct.disconnect()


def test_a_server_without_extensions_does_all_the_same(tmp_path: Path) -> None:
    all_of_them = "posix-rename,statvfs,fstatvfs,hardlink,fsync,lsetstat,limits,expand-path"
    direct = Direct(name="direct", cwd=tmp_path, global_writes=True, command=f"exec % -P {all_of_them}")
    data = os.urandom(3_000_000)
    put(direct, "data", data)
    assert got(direct, "data") == data
    assert direct._sftp().read_size == 32 << 10
    direct.disconnect()
