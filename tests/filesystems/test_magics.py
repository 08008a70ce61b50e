"""The magics of files, in a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services import shells
from tests.services.shells import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    with shells.started() as own:
        own.run("%load_ext omniduct")
        yield own


def test_without_any_configuration_the_local_files_are_there(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\n")
    (tmp_path / "data").mkdir()
    assert shell.value("%files.listdir") == ["data", "notes.txt"]
    assert shell.value("%files.listdir data") == []
    assert shell.value("%files.showdir")["type"].tolist() == ["directory", "file"]
    assert shell.value("%files.read notes.txt") == "one\n"
    assert shell.user["files"].path_cwd == str(tmp_path)


def test_a_cell_is_written_as_it_is_replaced_and_added_to(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("%%files.write notes.txt\n{x} $y\n  two\n").error is None
    assert (tmp_path / "notes.txt").read_text() == "{x} $y\n  two\n"
    shell.run("%%files.write notes.txt\nnew\n")
    shell.run("%%files.write notes.txt append=True\nmore\n")
    assert (tmp_path / "notes.txt").read_text() == "new\nmore\n"
    shell.run("%%files.write begun.txt append=True\nfirst\n")
    assert (tmp_path / "begun.txt").read_text() == "first\n"


def test_text_is_of_any_encoding_and_files_need_not_be_text(shell: Shell, tmp_path: Path) -> None:
    shell.run("%%files.write 'my notes.txt' encoding='latin-1'\nKöln\n")
    assert (tmp_path / "my notes.txt").read_bytes() == b"K\xf6ln\n"
    assert shell.value("%files.read 'my notes.txt' encoding='latin-1'") == "Köln\n"
    assert shell.value("%files.read 'my notes.txt' binary=True") == b"K\xf6ln\n"
    assert shell.value("%files.read 'my notes.txt' errors='replace'") == "K\ufffdln\n"
    said = shell.run("%files.read 'my notes.txt'").said
    assert said == (
        "%files.read: 'my notes.txt' is no text in UTF-8; another `encoding` or errors='replace' may "
        "read it, and binary=True gives its bytes"
    )


def test_what_an_encoding_does_not_have_leaves_the_former_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("former")
    assert "'本' cannot be written in latin-1" in shell.run("%%files.write x encoding='latin-1'\n本").said
    shell.run("%%files.write x encoding='latin-1' append=True\n本")
    assert "unknown encoding: latni" in shell.run("%%files.write x encoding='latni'\n本").said
    assert (tmp_path / "x").read_text() == "former"


def test_a_slip_on_the_line_is_named(shell: Shell) -> None:
    assert "did you mean 'encoding'" in shell.run("%files.read x encodign='latin-1'").said
    assert "there is no such file or folder" in shell.run("%files.read nothing.txt").said
