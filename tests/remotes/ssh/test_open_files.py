"""Open files over SFTP: read and written as local ones are, by many threads, interrupted, and cut off."""

from __future__ import annotations

import csv
import hashlib
import io
import random
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from tests.services.interrupts import Caller, interrupted, wait_until
from tests.services.sftp import Direct
from tests.services.sshd import SSHD

from omniduct.errors import DuctConnectionError
from omniduct.filesystems.base import FileSystemClient
from omniduct.filesystems.local import LocalFsClient
from omniduct.remotes.ssh.openssh.client import OpenSSHClient


def put(fs: FileSystemClient, path: str, data: bytes) -> None:
    with fs.open(path, "wb") as file:
        file.write(data)


def got(fs: FileSystemClient, path: str) -> bytes:
    with fs.open(path, "rb") as file:
        return file.read()  # type: ignore[no-any-return]


# Reading and writing


@pytest.mark.parametrize("size", [0, 1, 255 << 10, (256 << 10) + 1, 9_000_001])
def test_a_file_comes_back_as_it_was_written(remote: OpenSSHClient, folder: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    put(remote, "data", data)
    assert (folder / "data").read_bytes() == data
    assert got(remote, "data") == data
    with remote.open("data", "rb") as file:
        assert b"".join(iter(lambda: file.read(100_003), b"")) == data
    with remote.open("data", "rb") as file:
        assert (
            hashlib.sha1(b"".join(iter(lambda: file.read1(-1), b""))).digest() == hashlib.sha1(data).digest()
        )


def test_text_is_utf8_and_lines_are_read_as_python_does(remote: OpenSSHClient, folder: Path) -> None:
    text = "ñandú\r\nzwei\n\nlast – 🦆"
    with remote.open("text", "w") as file:
        assert file.write(text) == len(text)
    assert (folder / "text").read_bytes() == text.encode()
    with remote.open("text", "at") as file:
        file.write("!")
    with remote.open("text") as file:
        assert list(file) == ["ñandú\n", "zwei\n", "\n", "last – 🦆!"]
    (folder / "latin").write_bytes("ñandú".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError), remote.open("latin") as file:
        file.read()


def test_what_is_read_and_written_at_random_is_as_in_a_local_file(direct: Direct, tmp_path: Path) -> None:
    dice = random.Random(7)
    start = dice.randbytes(1_000_000)
    (tmp_path / "near").write_bytes(start)
    (tmp_path / "far").write_bytes(start)
    with open(tmp_path / "near", "r+b") as near, direct.open("far", "r+b") as far:
        for _ in range(600):
            action, where, size = (
                dice.randrange(6),
                dice.randrange(1_100_000),
                dice.choice([1, 1000, 300_000]),
            )
            if action == 0:
                assert near.seek(where) == far.seek(where)
            elif action == 1:
                assert near.seek(-min(where, 1000), io.SEEK_END) == far.seek(-min(where, 1000), io.SEEK_END)
            elif action == 2:
                data = dice.randbytes(size)
                assert near.write(data) == far.write(data)
            elif action == 3 and where < 50_000:
                assert near.truncate(900_000 + where) == far.truncate(900_000 + where)
            else:
                assert near.read(size) == far.read(size)
            assert near.tell() == far.tell()
    assert (tmp_path / "near").read_bytes() == (tmp_path / "far").read_bytes()


@pytest.mark.parametrize("mode", ["w+b", "a+b", "xb", "x+b", "ab"])
def test_a_mode_means_what_it_means_locally(direct: Direct, tmp_path: Path, mode: str) -> None:
    results = []
    for fs, name in ((LocalFsClient(cwd=tmp_path), "near"), (direct, "far")):
        if "x" not in mode:
            (tmp_path / name).write_bytes(b"before")
        with fs.open(name, mode) as file:
            said = [file.tell(), file.readable(), file.writable(), file.seekable(), file.write(b"12345")]
            if "+" in mode:
                file.seek(2)
                said += [file.read(3), file.tell()]
                file.write(b"!")
        results.append((said, (tmp_path / name).read_bytes()))
    assert results[0] == results[1]


def test_what_was_read_ahead_and_is_written_to_meanwhile_is_read_anew(direct: Direct, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"." * 4_000_000)
    with direct.open("data", "r+b") as file:
        raw = file.raw
        for position in (100_000, 2_000_000):
            raw.seek(position - 100_000)
            assert raw.readinto(bytearray(100_000)) == 100_000
            raw.seek(position)
            raw.write(b"!" * 1_000_000)
            raw.seek(position)
            assert raw.read(1000) == b"!" * 1000
        raw.seek(50_000)
        raw.readinto(bytearray(1000))
        raw.truncate(51_000)
        assert raw.read(1) == b""


def test_who_writes_waits_when_the_server_does_not_keep_up(direct: Direct) -> None:
    written: list[int] = []

    def write() -> None:
        with direct.open("data", "wb") as file:
            direct.servers[0].send_signal(signal.SIGSTOP)
            for _ in range(40):
                written.append(file.write(bytes(1 << 20)))

    caller = Caller(write)
    wait_until(lambda: bool(direct.servers) and len(written) > 3)
    time.sleep(0.3)
    assert sum(written) < 12 << 20
    direct.servers[0].send_signal(signal.SIGCONT)
    caller.ended()
    assert sum(written) == 40 << 20


def test_libraries_take_an_open_file(remote: OpenSSHClient, folder: Path) -> None:
    import pyarrow.parquet

    frame = pd.DataFrame({"n": range(100_000), "text": [f"row {n}" for n in range(100_000)]})
    with remote.open("frame.parquet", "wb") as file:
        frame.to_parquet(file)
    with remote.open("frame.parquet", "rb") as file:
        assert pd.read_parquet(file).equals(frame)
    with remote.open("frame.parquet", "rb") as file:
        assert pyarrow.parquet.ParquetFile(file).metadata.num_rows == 100_000
    with remote.open("frame.csv", "wt") as file:
        frame.to_csv(file, index=False)
    with remote.open("frame.csv") as file:
        assert sum(1 for _ in csv.reader(file)) == 100_001
    with remote.open("frame.csv", "rb") as file:
        assert pd.read_csv(file).equals(frame)


def test_a_file_that_has_grown_is_read_on(remote: OpenSSHClient, folder: Path) -> None:
    put(remote, "log", b"one\n")
    with remote.open("log", "rb") as file:
        assert file.read() == b"one\n"
        assert file.read() == b""
        with (folder / "log").open("ab") as more:
            more.write(b"two\n")
        assert file.read() == b"two\n"


def test_files_without_a_size_are_read_to_their_end(remote: OpenSSHClient) -> None:
    assert b"processor" in got(remote, "/proc/cpuinfo")


def test_large_files_take_little_memory(remote: OpenSSHClient, folder: Path, tmp_path: Path) -> None:
    size = 200 << 20
    with open(tmp_path / "large", "wb") as file:
        file.truncate(size)
    process = psutil.Process()
    before, highest, is_over = process.memory_info().rss, [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            highest[0] = max(highest[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    remote.upload(tmp_path / "large", "large")
    remote.download("large", tmp_path / "back")
    is_over.set()
    watcher.join()
    assert (tmp_path / "back").stat().st_size == size
    assert highest[0] - before < 100e6


# One session for all


def test_threads_share_the_session(direct: Direct) -> None:
    def copy(number: int) -> bool:
        data = random.Random(number).randbytes(700_000)
        for turn in range(4):
            put(direct, f"{number}-{turn}", data)
            if got(direct, f"{number}-{turn}") != data or len(direct.listdir()) < 1:
                return False
        return True

    callers = [Caller(lambda n=n: copy(n)) for n in range(8)]  # type: ignore[misc]
    assert [caller.ended(60).result for caller in callers] == [True] * 8
    assert len(direct.servers) == 1


def test_an_interrupt_while_reading_or_writing_does_no_harm_to_the_session(
    direct: Direct, tmp_path: Path
) -> None:
    data = random.Random(1).randbytes(30_000_000)
    (tmp_path / "data").write_bytes(data)

    def read() -> None:
        while True:
            assert got(direct, "data") == data

    def write() -> None:
        while True:
            put(direct, "copy", data)

    direct.listdir()  # an interrupt while the session begins ends it
    for turn in range(6):
        interrupted(read if turn % 2 else write, 0.02 + 0.013 * turn)
        assert got(direct, "data") == data
        put(direct, "copy", data)
        assert (tmp_path / "copy").read_bytes() == data
    assert len(direct.servers) == 1


def test_a_read_that_was_interrupted_can_be_taken_up_again(direct: Direct, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(20_000_000)
    (tmp_path / "data").write_bytes(data)
    pieces: list[bytes] = []
    with direct.open("data", "rb") as file:
        for _ in range(3):
            direct.servers[0].send_signal(
                signal.SIGSTOP
            )  # stands still, so that it is interrupted while it waits
            interrupted(lambda: [pieces.append(file.read(1 << 20)) for _ in range(200)], 0.05)
            file.seek(sum(map(len, pieces)))
            direct.servers[0].send_signal(signal.SIGCONT)
            pieces.append(file.read(1_000_001))
        pieces.append(file.read())
    assert b"".join(pieces) == data


def test_a_server_that_has_ended_is_started_again(direct: Direct, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 20_000_000)
    file = direct.open("data", "rb")
    writer = direct.open("other", "wb")
    writer.write(b"x")
    file.read(10)
    direct.servers[0].kill()
    with pytest.raises(DuctConnectionError, match=r"direct: could not read .*data': the connection failed"):
        file.read()
    with pytest.raises(DuctConnectionError, match=r"direct: could not write .*other'"):
        writer.close()
    file.close()
    assert direct.listdir() == ["data", "other"]
    assert len(direct.servers) == 2


def test_a_session_that_ends_with_the_connection_is_opened_again(server: SSHD, remote: OpenSSHClient) -> None:
    remote.listdir()
    server.sessions()[0].kill()
    wait_until(lambda: not remote._files.is_open)  # type: ignore[union-attr]
    assert remote.exists("~")
    remote.listdir()
    remote.disconnect()
    assert remote.exists("~")


def test_open_files_that_nobody_holds_are_closed_there(direct: Direct, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 1_000_000)
    for _ in range(50):
        direct.open("data", "rb").read(10)
    process = psutil.Process(direct.servers[0].pid)
    direct.listdir()
    assert len(process.open_files()) < 10
