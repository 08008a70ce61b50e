"""``%omniduct`` and its subcommands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.shells import Shell, started

from omniduct import Duct
from omniduct.core import remembered
from omniduct.errors import (
    DuctArgumentError,
    DuctConfigError,
    DuctConnectionError,
    DuctMagicError,
    DuctNotFound,
    DuctProtocolUnknown,
)
from omniduct.ipython.tables import Table


class Stubborn(Duct):
    """A duct that never connects, and says so in two lines."""

    PROTOCOLS = ["stubborn"]

    def _connect(self) -> None:
        raise OSError("not today\nnor tomorrow")

    def _is_connected(self) -> bool:
        return False

    def _disconnect(self) -> None: ...


@pytest.fixture(scope="module")
def session() -> Iterator[Shell]:
    with started() as shell:
        yield shell


@pytest.fixture
def shell(session: Shell) -> Shell:
    """A session with the ducts db, files, a and b."""
    session.configure(
        DuctRegistry={
            "ducts": {
                "db": {"protocol": "duckdb"},
                "files": {"protocol": "localfs"},
                "no, nope": {"protocol": "stubborn"},
                "never": {"protocol": "stubborn"},
                "bad": {"protocol": "duckd"},
            }
        }
    )
    session.run("%reload_ext omniduct")
    return session


def rows(table: Table) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in table.rows}


# status


@pytest.mark.parametrize("line", ["%omniduct", "%omniduct status"])
def test_status_shows_every_duct_and_its_state(shell: Shell, line: str) -> None:
    table = shell.value(line)
    assert table.heading == ["name", "kind", "protocol", "where", "state", "since / why"]
    assert rows(table) == {
        "files": ["filesystems", "localfs", "", "○ disconnected", ""],
        "db": ["databases", "duckdb", ":memory:", "○ disconnected", ""],
        "never": ["other", "stubborn", "", "○ disconnected", ""],
        "no, nope": ["other", "stubborn", "", "○ disconnected", ""],
    }


def test_status_lists_what_could_not_be_loaded(shell: Shell) -> None:
    shown = shell.run("%omniduct").stdout
    assert "! 'bad' is skipped: no class offers the protocol 'duckd'; did you mean 'duckdb'?" in shown


def test_status_connects_and_prepares_nothing(shell: Shell) -> None:
    shell.run("%omniduct")
    db = shell.user["db"]
    assert db.status.state == "disconnected" and not db._prepared


def test_the_reason_of_a_failure_is_in_one_line_of_the_table(shell: Shell) -> None:
    shell.run("%omniduct connect never")
    table = shell.value("%omniduct")
    assert rows(table)["never"][-2:] == ["✗ failed", "never: could not connect: not today nor tomorrow"]
    assert "tomorrow" in table._repr_html_()


def test_in_a_page_the_table_is_html_and_every_text_is_escaped(shell: Shell) -> None:
    html = Table(("a",), [("<b>&",)], ["<i>"])._repr_html_()
    assert "&lt;b&gt;&amp;" in html and "&lt;i&gt;" in html


# connect and disconnect


def test_connect_connects_the_ducts_that_are_named(shell: Shell) -> None:
    table = shell.value("%omniduct connect db files")
    assert [row[0] for row in table.rows] == ["files", "db"]
    assert all("● connected" in row for row in table.rows)
    assert rows(table)["db"][-1].startswith("since ")
    assert shell.user["db"].is_connected()


@pytest.mark.parametrize("names", ["db,files", "'db' 'files'", "db, files"])
def test_names_may_be_parted_by_commas(shell: Shell, names: str) -> None:
    assert len(shell.value(f"%omniduct connect {names}").rows) == 2


def test_a_name_of_either_of_two_will_do_and_makes_one_row(shell: Shell) -> None:
    assert isinstance(shell.run("%omniduct connect nope").error, DuctConnectionError)
    assert len(shell.value("%omniduct disconnect no nope").rows) == 1


def test_one_that_fails_keeps_no_other_from_being_connected(shell: Shell) -> None:
    ran = shell.run("%omniduct connect never db")
    assert isinstance(ran.error, DuctConnectionError)
    assert ran.said.startswith("never: could not connect: not today")
    assert shell.user["db"].is_connected()
    assert "never: " in shell.run("%omniduct connect never no").said
    assert "no: " in shell.run("%omniduct connect never no").said


def test_a_name_that_is_misspelt_stops_before_anything_is_done(shell: Shell) -> None:
    ran = shell.run("%omniduct connect db fils")
    assert isinstance(ran.error, DuctNotFound)
    assert ran.said == "there is no duct 'fils'; did you mean 'files'?"
    assert not shell.user["db"].is_connected()


def test_the_name_of_an_entry_that_could_not_be_loaded_says_why(shell: Shell) -> None:
    assert "no class offers the protocol 'duckd'" in shell.run("%omniduct connect bad").said


def test_connect_needs_a_name_and_disconnect_does_not(shell: Shell) -> None:
    assert "needs the name of a duct; there are db, files" in shell.run("%omniduct connect").said
    shell.run("%omniduct connect db")
    table = shell.value("%omniduct disconnect")
    assert len(table.rows) == 4
    assert not shell.user["db"].is_connected()


def test_disconnect_disconnects_the_ducts_that_are_named(shell: Shell) -> None:
    shell.run("%omniduct connect db files")
    shell.value("%omniduct disconnect db")
    assert not shell.user["db"].is_connected() and shell.user["files"].is_connected()


# new


def test_new_makes_a_duct_with_magics_and_a_variable(shell: Shell, tmp_path: Path) -> None:
    shell.user["path"] = tmp_path
    table = shell.value(
        "%omniduct new mine duckdb database=str(path / 'x.db') templates={'one': 'SELECT 1 AS a'}"
    )
    assert rows(table)["mine"][:3] == ["databases", "duckdb", str(tmp_path / "x.db")]
    assert shell.value("%mine one")["a"].tolist() == [1]
    assert shell.value("mine") is shell.user["registry"]["mine"]
    assert rows(shell.value("%omniduct config"))["mine"] == ["duckdb", "this session"]


def test_new_may_give_two_names_and_replace(shell: Shell) -> None:
    shell.value("%omniduct new 'x, y' duckdb")
    assert shell.value("x") is shell.value("y")
    before = shell.value("x")
    assert isinstance(shell.run("%omniduct new x duckdb").error, DuctConfigError)
    shell.value("%omniduct new x duckdb override=True")
    assert shell.value("x") is not before
    shell.run("%x CREATE TABLE t (i INT)")
    assert shell.user["x"].table_exists("t") and not before.table_exists("t")


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        (
            "%omniduct new",
            DuctMagicError,
            "`name` and `protocol` must be given\nUsage: %omniduct new name protocol",
        ),
        ("%omniduct new x", DuctMagicError, "`protocol` must be given"),
        ("%omniduct new x duckd", DuctProtocolUnknown, "did you mean 'duckdb'?"),
        ("%omniduct new x duckdb databse='a'", DuctArgumentError, "did you mean 'database'?"),
        ("%omniduct new x duckdb database=a.db", DuctMagicError, "text needs quotes: database='a.db'"),
        ("%omniduct new x duckdb y", DuctMagicError, "'y' is one more"),
        ("%omniduct new db duckdb", DuctConfigError, "the name 'db' is taken"),
        ("%omniduct connet db", DuctMagicError, "%omniduct has no command 'connet'; did you mean 'connect'?"),
        (
            "%omniduct dance",
            DuctMagicError,
            "it takes panel, status, connect, disconnect, forget, new",
        ),
        ("%omniduct status x", DuctMagicError, "%omniduct status: it takes no words, and 'x' is one more"),
        ("%omniduct connect name='x'", DuctMagicError, "%omniduct connect: there is no key `name`"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(
    shell: Shell, line: str, error: type[Exception], said: str
) -> None:
    ran = shell.run(line)
    assert type(ran.error) is error
    assert said in ran.said
    assert "x" not in shell.user["registry"]


@pytest.mark.parametrize("word", ["'hunter2'", "hunter2", "'hun' + 'ter2'"])
def test_new_refuses_a_literal_password_and_repeats_it_nowhere(shell: Shell, word: str) -> None:
    ran = shell.run(f"%omniduct new secret duckdb password={word}")
    assert isinstance(ran.error, DuctMagicError)
    assert "hunter2" not in ran.stdout + ran.stderr + ran.said
    assert "secret" not in shell.user["registry"]


def test_new_takes_a_source_of_a_password(shell: Shell) -> None:
    assert shell.run("%omniduct new safe duckdb password='env:NOWHERE' username=False").error is None


# config


def test_config_says_where_each_duct_and_setting_came_from(
    session: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ducts.yaml"
    path.write_text("group:\n  db, alias:\n    protocol: duckdb\nbad:\n  protocol: duckd\n")
    monkeypatch.setenv("OMNIDUCT_CONFIG", str(path))
    session.configure()
    session.run("%reload_ext omniduct")
    ran = session.run("%omniduct config")
    assert set(rows(ran.result)) == {"group/db", "group/alias"}
    assert str(path) in ran.result.rows[0][2] and "group" in ran.result.rows[0][2]
    assert f"files: {path}" in ran.stdout
    assert "register_magics: True; populate_namespace: True" in ran.stdout
    assert "'bad' is skipped" in ran.stdout


# forget


def test_forget_forgets_a_login_in_the_session_and_in_the_keyring(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keyring = pytest.importorskip("keyring")
    files = pytest.importorskip("keyrings.alt.file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(keyring.core, "_keyring_backend", files.PlaintextKeyring())
    never = shell.user["never"]
    never.username, never.password = "alice", "env:NEVERS_PASSWORD"
    monkeypatch.setenv("NEVERS_PASSWORD", "swordfish")
    remembered.save(never, never.password)
    assert rows(shell.value("%omniduct forget never")) == {"never": ["forgotten", "forgotten"]}
    assert remembered.saved(never) is None
    assert rows(shell.value("%omniduct forget never db")) == {
        "never": ["forgotten", "nothing"],
        "db": ["nothing", "nothing"],
    }


def test_forget_needs_a_name(shell: Shell) -> None:
    assert "%omniduct forget needs the name of a duct" in shell.run("%omniduct forget").said
