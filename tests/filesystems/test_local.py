"""The local filesystem, on real folders."""

from __future__ import annotations

import os
import stat
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest

from omniduct.errors import DuctError, DuctWarning
from omniduct.filesystems.local import LocalFsClient

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


@pytest.fixture
def files(tmp_path: Path) -> LocalFsClient:
    return LocalFsClient(name="files", cwd=tmp_path)


def test_relative_paths_start_from_the_working_folder_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = LocalFsClient()
    with files.open("here.txt", "w") as file:
        file.write("x")
    assert (tmp_path / "here.txt").exists()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert files.listdir() == []
    assert files.path_cwd == str(tmp_path / "sub")


def test_a_tilde_is_the_persons_home_unless_another_is_given(tmp_path: Path) -> None:
    assert LocalFsClient().path_home == os.path.expanduser("~")
    assert LocalFsClient(home=tmp_path).path_normpath("~/x") == str(tmp_path / "x")


def test_writing_is_not_kept_to_the_home_folder(files: LocalFsClient, tmp_path: Path) -> None:
    files = LocalFsClient(home=tmp_path / "home")
    files.mkdir(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(len(ODD_NAMES)))
def test_any_name_can_be_written_listed_found_copied_and_removed(
    files: LocalFsClient, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with files.open_atomic(path, "wt") as file:
        file.write("inside")
    assert files.listdir() == [name]
    assert [entry.path for entry in files.find(name=name)] == [str(path)]
    files.mkdir("folder")
    assert files.download(path, "folder/", fs=files) == str(tmp_path / "folder" / name)
    files.download("folder", "again", fs=files)
    assert (tmp_path / "again" / name).read_text() == "inside"
    files.remove(path)
    assert files.listdir() == ["again", "folder"]


def test_a_name_that_is_no_utf8_is_listed_and_opened(files: LocalFsClient, tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9", "wb") as file:
        file.write(b"x")
    (name,) = files.listdir()
    with files.open(name, "rb") as file:
        assert file.read() == b"x"


def test_entries_are_described(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.txt").chmod(0o640)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "to nothing").symlink_to("nothing")
    entries = {entry.name: entry for entry in files.dir()}
    assert {name: entry.type for name, entry in entries.items()} == {
        "a.txt": "file",
        "folder": "directory",
        "pipe": "other",
        "to folder": "directory",
        "to nothing": "link",
    }
    text = entries["a.txt"]
    assert (text.path, text.bytes, text.permissions) == (str(tmp_path / "a.txt"), 5, "rw-r-----")
    assert (text.owner, text.group) == ((tmp_path / "a.txt").owner(), (tmp_path / "a.txt").group())
    assert text.last_modified is not None
    assert abs(datetime.now(timezone.utc) - text.last_modified) < timedelta(minutes=1)
    assert text.extra == {"is_link": False}
    assert entries["to folder"].extra == {"is_link": True}


def test_a_folder_is_shown_as_a_frame_with_the_same_columns_even_when_empty(
    files: LocalFsClient, tmp_path: Path
) -> None:
    empty = files.showdir()
    (tmp_path / "b.txt").write_text("hello")
    (tmp_path / "a").mkdir()
    shown = files.showdir()
    assert shown.columns.tolist() == empty.columns.tolist()
    assert shown["name"].tolist() == ["a", "b.txt"]
    assert str(shown["bytes"].dtype) == str(empty["bytes"].dtype) == "Int64"
    assert shown["bytes"].tolist() == [pd.NA, 5]
    for frame in (shown, empty):
        assert isinstance(frame["last_modified"].dtype, pd.DatetimeTZDtype)


def test_ten_thousand_entries_are_listed_found_and_walked_in_moments(
    files: LocalFsClient, tmp_path: Path
) -> None:
    for number in range(10_000):
        (tmp_path / f"{number:05}").touch()
    started = time.perf_counter()
    assert len(files.listdir()) == 10_000
    assert sum(1 for _ in files.find(type="file", bytes=0)) == 10_000
    assert sum(len(names) for _, _, names in files.walk()) == 10_000
    assert time.perf_counter() - started < 3


def test_links_that_lead_in_a_circle_are_not_followed(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to("self")
    assert [folder for folder, _, _ in files.walk("a")] == [str(tmp_path / "a"), str(tmp_path / "a/b")]
    assert [entry.name for entry in files.find("a")] == ["b", "file", "up"]
    assert not files.exists("self")
    with pytest.warns(DuctWarning, match=r"1 of the things"):
        files.download("a", "copy", fs=files)
    assert sorted(p.name for p in (tmp_path / "copy/b").iterdir()) == ["file"]


def test_links_to_folders_and_files_elsewhere_are_copied_as_what_they_lead_to(
    files: LocalFsClient, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/x").write_text("x")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/folder").symlink_to(tmp_path / "far")
    (tmp_path / "near/file").symlink_to(tmp_path / "far/x")
    files.download("near", "copy", fs=files)
    assert (tmp_path / "copy/folder/x").read_text() == (tmp_path / "copy/file").read_text() == "x"
    assert not (tmp_path / "copy/folder").is_symlink()


def test_removing_a_link_leaves_what_it_leads_to(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept").touch()
    for name, target in (("link", "folder"), ("again", "folder"), ("broken", "nothing")):
        (tmp_path / name).symlink_to(target)
    files.remove("link")
    files.remove("again", recursive=True)
    files.remove("broken")
    assert files.listdir() == ["folder"]
    assert files.listdir("folder") == ["kept"]


def test_a_whole_tree_is_removed(files: LocalFsClient, tmp_path: Path) -> None:
    files.mkdir("a/b/c")
    (tmp_path / "a/x").touch()
    files.remove("a", recursive=True)
    assert files.listdir() == []


def test_errors_are_those_of_python_and_name_duct_and_path(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases = [
        (FileNotFoundError, lambda: files.open("missing")),
        (FileNotFoundError, lambda: files.open("missing/x", "w")),
        (FileExistsError, lambda: files.open("file", "x")),
        (IsADirectoryError, lambda: files.open(".", "r")),
        (NotADirectoryError, lambda: files.open("file/x")),
        (NotADirectoryError, lambda: files.mkdir("file/x/y")),
        (FileNotFoundError, lambda: files.remove("missing")),
        (OSError, lambda: files.open("nul\0l")),
        (OSError, lambda: files.open("x" * 300, "w")),
    ]
    for kind, use in cases:
        with pytest.raises(kind, match=r"^files: could not ") as caught:
            use()
        assert isinstance(caught.value, DuctError)
        assert repr(str(tmp_path))[:-1] in str(caught.value)


def test_a_file_that_is_replaced_stays_readable_by_the_same_people(
    files: LocalFsClient, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old")
    secret.chmod(0o600)
    with files.open_atomic(secret) as file:
        file.write(b"new")
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("new", 0o600)


def test_a_link_to_a_file_stays_one_when_the_file_is_replaced(files: LocalFsClient, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with files.open_atomic("link", "wt") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_failed_write_leaves_the_former_file_and_nothing_beside_it(
    files: LocalFsClient, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), files.open_atomic("x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert files.listdir() == ["x"]
    assert (tmp_path / "x").read_text() == "old"


def test_text_is_utf8_whatever_the_locale_and_every_mode_of_python_works(
    files: LocalFsClient, tmp_path: Path
) -> None:
    with files.open("x", "w") as file:
        file.write("größe")
    assert (tmp_path / "x").read_bytes() == "größe".encode()
    with files.open("x", "r+b") as file:
        file.seek(2)
        file.write(b"OO")
    assert (tmp_path / "x").read_bytes() == b"grOO\xc3\x9fe"


def test_it_needs_no_host_and_connects_by_itself(files: LocalFsClient) -> None:
    assert not files.is_connected()
    files.listdir()
    assert files.is_connected()
    assert files.disconnect().listdir() == []
