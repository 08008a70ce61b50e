"""Copying between filesystems: how far it is, what it costs, what is left when it fails."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest
from tests.filesystems.test_base import MemoryFs, RenamingFs

from omniduct.core import lines
from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc
from omniduct.filesystems.local import LocalFsClient
from omniduct.filesystems.progress import Copied

LARGE = bytes(range(256)) * (20 << 10)  # 5 MiB, no two of its pieces alike in place


@pytest.fixture
def files(tmp_path: Path) -> LocalFsClient:
    return LocalFsClient(name="files", cwd=tmp_path)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path / "large"


# --------------------------------------------------------------------------------------------- progress


def test_a_function_is_told_how_far_it_is(files: LocalFsClient, large: Path) -> None:
    told: list[Copied] = []
    files.download("large", "copy", fs=files, progress=told.append)
    assert [each.bytes >> 20 for each in told] == [1, 2, 3, 4, 5, 5]
    assert {(each.path, each.total) for each in told} == {(str(large), len(LARGE))}
    assert told[-1].files == 1


def test_of_a_folder_files_are_counted(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "folder/deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c"):
        (tmp_path / "folder" / name).write_text(name)
    told: list[Copied] = []
    files.upload("folder", "copy", fs=files, progress=told.append)
    assert (told[-1].files, told[-1].total) == (3, None)


def test_what_that_function_raises_ends_the_copying(files: LocalFsClient, large: Path) -> None:
    def enough(copied: Copied) -> None:
        if copied.bytes > 2 << 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.download("large", "copy", fs=files, progress=enough)
    assert files.listdir() == ["large"]


class Screen:
    """A line that remembers what it showed."""

    ascii = True
    width = 70

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.closed = 0

    def show(self, text: str, link: str) -> None:
        self.shown.append(text)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Stands for a terminal that somebody looks at."""
    own = Screen()
    monkeypatch.setattr("omniduct.filesystems.progress.is_watched", lambda: True)
    monkeypatch.setattr("omniduct.filesystems.progress.new_line", lambda: own)
    return own


def test_a_line_is_shown_only_of_what_takes_long(
    files: LocalFsClient, large: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.download("large", "quick", fs=files)
    assert screen.shown == []
    monkeypatch.setattr("omniduct.filesystems.progress.SHOWN_AFTER", 0)
    files.download("large", "slow", fs=files)
    assert screen.shown[0].startswith("files: large:  20%|")
    assert all(len(text) <= screen.width for text in screen.shown)
    assert screen.closed == 1


def test_a_line_is_shown_at_once_or_never_if_that_is_said(
    files: LocalFsClient, large: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.download("large", "copy", fs=files, progress=True)
    assert (len(screen.shown), screen.closed) == (1, 1)
    monkeypatch.setattr("omniduct.filesystems.progress.SHOWN_AFTER", 0)
    files.download("large", "copy", fs=files, progress=False, overwrite=True)
    assert len(screen.shown) == 1


def test_a_script_prints_nothing(large: Path) -> None:
    program = (
        "from omniduct.filesystems import progress; progress.SHOWN_AFTER = 0\n"
        "from omniduct.filesystems.local import LocalFsClient\n"
        f"LocalFsClient().download({str(large)!r}, {str(large) + '2'!r}, progress=True)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")
    assert lines.SHOWN_AFTER == 1


# ------------------------------------------------------------------------------------------------ costs


class Trickle(FileSystemClient):
    """A filesystem with one file of any size, and a folder of any number of files, kept nowhere."""

    def _init(self, size: int = 0, count: int = 0) -> None:
        self.size, self.count = size, count

    def _connect(self) -> None: ...

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None: ...

    def _isdir(self, path: str) -> bool:
        return path.removeprefix("/top").strip("/").isdigit() or path in ("/", "/top")

    def _isfile(self, path: str) -> bool:
        return not self._isdir(path)

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        if path in ("/", "/top"):
            yield FileSystemFileDesc("/huge", "huge", "file", bytes=self.size)
            for number in range(self.count // 100):
                yield FileSystemFileDesc(f"/{number}", str(number), "directory")
        else:
            for number in range(100):
                yield FileSystemFileDesc(f"{path}/f{number:0100}", f"f{number:0100}", "file", bytes=1)

    def _file_read_(self, path: str, size: int = -1, offset: int = 0, binary: bool = False) -> Any:
        assert size >= 0, "all of it at once"
        return b"x" * max(0, min(size, self.size - offset))


class Sink(RenamingFs):
    """Counts what is written, and keeps nothing of it."""

    def _file_write_(self, path: str, s: Any, binary: bool) -> None:
        self.contents[path] = b""
        self.written = len(s)

    def _file_append_(self, path: str, s: Any, binary: bool) -> None:
        self.written += len(s)

    written = 0


@contextlib.contextmanager
def at_most(mebibytes: float) -> Iterator[None]:
    """Within this block no more memory is taken."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * (1 << 20), f"{peak / (1 << 20):.1f} MiB"


def test_a_file_of_any_size_is_copied_in_little_memory() -> None:
    source, sink = Trickle(size=300 << 20), Sink()
    with at_most(8):
        source.download("/huge", "here", fs=sink)
    assert sink.written == 300 << 20


def test_a_tree_of_any_size_is_searched_walked_and_copied_in_little_memory() -> None:
    source = Trickle(count=50_000)
    with at_most(3):
        assert sum(1 for _ in source.find("/", type="file")) == 50_001
        assert sum(len(names) for _, _, names in source.walk("/")) == 50_001
    tree = transfer_tree(source)
    with at_most(3):
        assert sum(1 for _ in tree) == 50_502


def transfer_tree(source: FileSystemClient) -> Iterator[Any]:
    from omniduct.filesystems import transfer

    source.connect()
    return transfer._tree(source, "/")


def test_a_tree_is_not_listed_as_a_whole_before_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    source, sink = Trickle(size=1, count=50_000), Sink(name="sink")

    class Enough(Exception):
        pass

    def stop(copied: Copied) -> None:
        raise Enough

    listed: list[str] = []
    real = Trickle._dir
    monkeypatch.setattr(Trickle, "_dir", lambda self, path: listed.append(path) or real(self, path))
    with pytest.raises(OSError, match=r"Enough"):
        source.download("/top", "there", fs=sink, progress=stop)
    assert listed == ["/top"]
    assert sink.listdir() == []


def test_ten_thousand_small_files_are_copied_in_few_round_trips(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2_000):
        (folder / str(number)).write_bytes(b"x")
    calls: dict[str, int] = {}

    class Counting(LocalFsClient):
        PROTOCOLS = []

        def __getattribute__(self, name: str) -> Any:
            if name in HOOKS:
                calls[name] = calls.get(name, 0) + 1
            return super().__getattribute__(name)

    HOOKS = {name for name in dir(FileSystemClient) if name.startswith(("_is", "_exists", "_open", "_dir"))}
    HOOKS |= {"_real_path", "_rename", "_mkdir", "_describe", "_remove"}
    started = time.perf_counter()
    Counting().download(folder, tmp_path / "copy", fs=Counting())
    assert time.perf_counter() - started < 5
    assert len(list((tmp_path / "copy").iterdir())) == 2_000
    assert sum(calls.values()) < 2 * 2_000 + 60, calls


# ---------------------------------------------------------------------------------- what may go wrong


def test_an_interrupt_while_copying_leaves_nothing(files: LocalFsClient, large: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from omniduct.filesystems.local import LocalFsClient\n"
        "def wait(copied):\n"
        "    print('begun', flush=True)\n"
        "    sys.stdin.read()\n"
        f"LocalFsClient().download({str(large)!r}, {str(tmp_path / 'out' / 'copy')!r}, progress=wait)"
    )
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert len(os.listdir(tmp_path / "out")) == 1
        child.send_signal(2)
        assert b"KeyboardInterrupt" in child.communicate(timeout=30)[1]
    assert os.listdir(tmp_path / "out") == []


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a filesystem of its own, with room for 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small filesystem")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_is_left_there(files: LocalFsClient, large: Path, full: Path) -> None:
    (full / "former").write_bytes(b"kept")
    for dest in ("new", "former"):
        with pytest.raises(
            OSError, match=rf"files: could not write '{full}/{dest}': No space left"
        ) as caught:
            files.upload(large, full / dest, overwrite=True)
        assert caught.value.errno == errno.ENOSPC
    (large.parent / "folder").mkdir()
    large.rename(large.parent / "folder" / "large")
    with pytest.raises(OSError, match=r"No space left"):
        files.upload(large.parent / "folder", full / "folder")
    with pytest.raises(OSError, match=r"No space left"), files.open_atomic(full / "x") as file:
        file.write(LARGE)
    assert os.listdir(full) == ["former"]
    assert (full / "former").read_bytes() == b"kept"


def test_a_pipe_is_not_opened_to_copy_it(files: LocalFsClient, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"files: could not copy .*it is neither a file nor a folder"):
        files.download("pipe", "copy", fs=files)


def test_a_folder_is_copied_into_itself_by_another_duct_too(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    LocalFsClient().upload(tmp_path / "a", tmp_path / "link" / "copy")
    assert sorted(os.listdir(tmp_path / "a")) == ["b", "copy"]
    assert os.listdir(tmp_path / "a/copy") == ["b"]


# --------------------------------------------------------------------------------------------- resuming


class Breaking(LocalFsClient):
    """The local filesystem, whose files break off after some bytes; it counts those that were read."""

    PROTOCOLS = []
    breaks_after: int | None = 3 << 20
    taken = 0

    def _open(self, path: str, mode: str) -> IO[Any]:
        file = super()._open(path, mode)
        real = file.read

        def read(size: int = -1) -> Any:
            if self.breaks_after is not None and file.tell() >= self.breaks_after:
                raise ConnectionResetError("cut")
            data = real(size)
            self.taken += len(data)
            return data

        if "r" not in mode:
            return file
        return cast("IO[Any]", _Wrapped(file, read))


class _Wrapped:
    def __init__(self, file: IO[Any], read: Any) -> None:
        self._file, self.read = file, read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.fixture
def source(tmp_path: Path, large: Path) -> Breaking:
    return Breaking(name="far", cwd=tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def begun(source: Breaking, here: Path) -> Path:
    """The part that is left of a copy that broke off."""
    with pytest.raises(Exception, match=r"far: could not read '.*/large': the connection failed: cut"):
        source.download("large", here / "copy", resume=True)
    (part,) = here.iterdir()
    assert part.name.startswith(".")
    return part


def test_an_interrupted_copy_goes_on_where_it_was(source: Breaking, here: Path) -> None:
    begun(source, here)
    source.breaks_after, source.taken = None, 0
    assert source.download("large", here / "copy", resume=True) == str(here / "copy")
    assert (here / "copy").read_bytes() == LARGE
    assert os.listdir(here) == ["copy"]
    assert source.taken < (2 << 20) + (100 << 10)


def test_without_saying_so_nothing_is_left_to_resume(source: Breaking, here: Path) -> None:
    with pytest.raises(Exception, match=r"cut"):
        source.download("large", here / "copy")
    assert os.listdir(here) == []


def test_what_has_changed_meanwhile_is_copied_from_its_beginning(
    source: Breaking, here: Path, large: Path
) -> None:
    begun(source, here)
    large.write_bytes(b"another" + LARGE[7:])  # of the same size, and nowhere else different
    source.breaks_after = None
    source.download("large", here / "copy", resume=True)
    assert (here / "copy").read_bytes() == b"another" + LARGE[7:]


def test_a_part_that_does_not_end_as_the_source_does_there_is_not_gone_on_with(
    source: Breaking, here: Path
) -> None:
    part = begun(source, here)
    part.write_bytes(part.read_bytes()[:-10] + b"0123456789")
    source.breaks_after = None
    source.download("large", here / "copy", resume=True)
    assert (here / "copy").read_bytes() == LARGE


def test_a_source_that_changes_while_it_is_copied_is_not_taken(
    source: Breaking, here: Path, large: Path
) -> None:
    source.breaks_after = None

    def change(copied: Copied) -> None:
        if copied.bytes == len(LARGE):
            os.utime(large, (0, 0))

    with pytest.raises(OSError, match=r"it was changed meanwhile"):
        source.download("large", here / "copy", resume=True, progress=change)
    assert os.listdir(here) == []


def test_what_cannot_be_resumed_says_so(source: Breaking, here: Path) -> None:
    with pytest.raises(OSError, match=r"resume=True is for one file"):
        source.download(".", here / "copy", resume=True)
    store = MemoryFs(name="store")
    with pytest.raises(OSError, match=r"'store' cannot rename files, which resume=True needs"):
        store.upload("large", "copy", fs=source, resume=True)
    with store.open("x", "w"):
        pass
    with pytest.raises(OSError, match=r"does not say its size and when it was changed"):
        store.download("x", here / "x", resume=True)
