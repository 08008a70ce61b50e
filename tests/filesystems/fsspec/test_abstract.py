"""fsspec's own tests of a filesystem, on ducts of every kind.

A further filesystem is one more class: its ``duct`` gives one, which may write beneath its home folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.tests import abstract
from tests.filesystems.test_base import MemoryFs, RenamingFs, WriteOnceFs
from tests.services import files as servers
from tests.services.sshd import SSHD

from omniduct.filesystems.base import FileSystemClient
from omniduct.filesystems.fsspec.client import FsspecClient
from omniduct.filesystems.local import LocalFsClient
from omniduct.remotes.ssh import SSHClient


class OfFiles(abstract.AbstractOpenTests, abstract.AbstractPipeTests, abstract.AbstractFixtures):
    """fsspec's tests of single files, and those of moving, which it has for local files only."""

    @pytest.fixture
    def duct(self, tmp_path: Path) -> FileSystemClient:
        raise NotImplementedError("a subclass gives one")

    @pytest.fixture
    def fs(self, duct: FileSystemClient) -> Any:
        return duct.fsspec

    @pytest.fixture
    def fs_path(self, duct: FileSystemClient) -> Iterator[str]:
        folder = duct.path_join("~", "tested")
        duct.mkdir(folder)
        yield folder
        duct.remove(folder, recursive=True)

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join

    def test_a_file_is_moved(self, fs: Any, fs_path: str, fs_join: Callable[..., str]) -> None:
        one, two, folder = (fs_join(fs_path, name) for name in ("one", "two", "folder"))
        fs.pipe({one: b"1", two: b"2"})
        fs.mv(one, two)
        assert (fs.exists(one), fs.cat_file(two)) == (False, b"1")
        fs.mkdir(folder)
        fs.mv(two, folder)
        assert fs.cat_file(fs_join(folder, "two")) == b"1"
        fs.mv(fs_join(folder, "two"), fs_join(fs_path, "new", "deep"))
        assert fs.cat_file(fs_join(fs_path, "new", "deep")) == b"1"
        with pytest.raises(FileNotFoundError):
            fs.mv(one, two)

    def test_a_folder_is_moved(
        self, fs: Any, fs_bulk_operations_scenario_0: str, fs_target: str, fs_join: Callable[..., str]
    ) -> None:
        deep = fs_join(fs_bulk_operations_scenario_0, "subdir")
        fs.mv(deep, fs_target, recursive=True)
        assert not fs.exists(deep)
        assert fs.isfile(fs_join(fs_target, "nesteddir", "nestedfile"))


class OfADuct(abstract.AbstractCopyTests, abstract.AbstractGetTests, abstract.AbstractPutTests, OfFiles):
    """All of fsspec's tests."""


class TestLocalFs(OfADuct):
    @pytest.fixture
    def duct(self, tmp_path: Path) -> FileSystemClient:
        return LocalFsClient(name="files", home=tmp_path)


class TestFsspecsMemory(OfADuct):
    @pytest.fixture
    def duct(self, tmp_path: Path) -> FileSystemClient:
        return FsspecClient(name="mem", filesystem="memory", options={"global_store": False})


class TestFtp(OfFiles):
    """Not those of whole trees: every step takes a connection of its own, and so ports run out."""

    @pytest.fixture
    def duct(self, tmp_path: Path) -> Iterator[FileSystemClient]:
        (tmp_path / "served").mkdir()
        with servers.ftp(tmp_path / "served") as served:
            host = f"127.0.0.1:{served.port}"
            login = {"username": servers.USER, "password": servers.PASSWORD}
            duct = FsspecClient(name="ftp", filesystem="ftp", host=host, **login)
            yield duct
            duct.disconnect()  # or the server waits for it


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"]) as server:
        yield server


@pytest.fixture(scope="module")
def remote(server: SSHD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHClient]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        (home / ".ssh").mkdir()
        (home / ".ssh" / "known_hosts").write_text(server.known_hosts())
        (home / ".ssh" / "config").write_text(f"IdentityFile {server.key}\n")
        patch.setenv("HOME", str(home))
        remote = SSHClient(name="bastion", host=server.host, port=server.port, username=server.user)
        yield remote
        remote.disconnect()


class TestSftp(OfADuct):
    """The files of a machine that is reached by SSH."""

    @pytest.fixture
    def duct(self, remote: SSHClient) -> FileSystemClient:
        return remote


class TestHooks(OfADuct):
    """The class of a third party that only reads and writes whole pieces."""

    KIND: type[MemoryFs] = MemoryFs

    @pytest.fixture
    def duct(self, tmp_path: Path) -> FileSystemClient:
        return self.KIND(name="store")


class TestHooksThatCannotAppend(TestHooks):
    KIND = WriteOnceFs


class TestHooksThatRename(TestHooks):
    KIND = RenamingFs
