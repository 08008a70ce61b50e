"""Help for every magic: what a question mark behind its name shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.services.shells import Shell, started

from omniduct import Duct, MagicsProvider
from omniduct.utils.magics import MagicCall, line_magic


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with started() as shell:
        shell.run("%load_ext omniduct")
        for name in ("my-db", "prod/hive"):
            shell.run(f"%omniduct new {name} duckdb")
        yield shell


def help_of(shell: Shell, code: str) -> str:
    ran = shell.run(code)
    assert ran.error is None and ran.stderr == "", (ran.error, ran.stderr)
    return ran.stdout


CELLS = {"%%db", "%%db.execute", "%%db.stream", "%%db.render", "%%db.template", "%%files.write"}
LINES = {
    *("%db", "%db.execute", "%db.stream", "%db.render", "%db.template", "%db.head", "%db.desc", "%db.props"),
    "%db.tables",
    *("%files.listdir", "%files.showdir", "%files.read", "%omniduct"),
}


def test_every_magic_is_among_these(shell: Shell) -> None:
    ours = {
        ("%" if kind == "line" else "%%") + name
        for kind, magics in shell.magics().items()
        for name in magics
        if name.partition(".")[0] in ("db", "files", "omniduct")
    }
    assert ours == CELLS | LINES


@pytest.mark.parametrize("magic", sorted(CELLS | LINES))
def test_a_question_mark_shows_usage_and_what_it_is_for(shell: Shell, magic: str) -> None:
    shown = help_of(shell, f"{magic}?")
    usage = next(line for line in shown.splitlines() if line.startswith("%"))
    assert usage.split()[0] == magic
    assert ".\n" in shown, "there is no sentence"
    assert "NAME" not in shown or magic == "%omniduct"
    if not magic.startswith("%%"):
        assert help_of(shell, f"?{magic}") == shown


@pytest.mark.parametrize(
    ("magic", "says"),
    [
        ("%%db", "%%db [variable] show=None transpose=False template=None context=None format=None backgr"),
        ("%%db", "How much to show: 'head', 'all', 'none' or a number of rows."),
        (
            "%db",
            "Run a named template (``%db template key=value``), or the SQL on the line (``%db SELECT 1``).",
        ),
        ("%db.head", "%db.head table [n=10]"),
        ("%db.head", "How many rows."),
        ("%db.template", "%db.template [name]"),
        ("%%db.template", "%%db.template name"),
        ("%%db.execute", "%%db.execute [variable] template=None context=None background=False ..."),
        ("%omniduct", "``%omniduct new NAME PROTOCOL key=value ...``"),
        ("%files.listdir", "The folder; by default the one that relative paths start from."),
    ],
)
def test_the_signature_and_the_docstring_are_the_help(shell: Shell, magic: str, says: str) -> None:
    assert says in help_of(shell, f"{magic}?")


@pytest.mark.parametrize("name", ["db", "db.template", "db.execute", "db.stream", "db.render"])
def test_help_for_a_line_goes_on_with_that_for_the_cell_and_the_other_way_round(
    shell: Shell, name: str
) -> None:
    for first, second in ((f"%{name}", f"%%{name}"), (f"%%{name}", f"%{name}")):
        usages = [
            line.split()[0] for line in help_of(shell, f"{first}?").splitlines() if line.startswith("%")
        ]
        assert usages == [first, second]


def test_the_name_alone_finds_the_magic_where_no_variable_has_it(shell: Shell) -> None:
    assert "%db.head table [n=10]" in help_of(shell, "db.head?")
    assert "%omniduct [command...]" in help_of(shell, "omniduct?")


@pytest.mark.parametrize("name", ["my-db", "prod/hive", "prod.hive"])
def test_names_that_ipython_cannot_ask_about_have_help_too(shell: Shell, name: str) -> None:
    assert f"%{name} statement..." in help_of(shell, f"%{name}?")
    assert f"%%{name} [variable]" in help_of(shell, f"%%{name}?")
    assert f"%{name}.head table" in help_of(shell, f"%{name}.head?")
    assert f"%%{name}.template name" in help_of(shell, f"%%{name}.template?\n")


def test_two_question_marks_show_the_source_of_the_method(shell: Shell) -> None:
    for magic in ("%db.head", "%%db.template"):
        shown = help_of(shell, f"{magic}??")
        assert "return _own(self)" in shown or "own.template_add" in shown or "template_add(name" in shown
        assert "class MagicFunction" not in shown


def test_a_magic_that_does_not_exist_is_no_help_of_ours(shell: Shell) -> None:
    assert "not found" in shell.run("%%db.nothing?").stderr
    assert shell.run("%%time?").error is None  # IPython's own way is left alone


def test_a_cell_that_ends_in_a_question_mark_is_a_statement(shell: Shell) -> None:
    ran = shell.run("%%db\nSELECT 'why' AS a -- or why not?")
    assert ran.result["a"].tolist() == ["why"]


def test_the_quick_reference_has_a_line_for_each(shell: Shell) -> None:
    shown = shell.run("%quickref").stdout
    assert "%db.head:\n    Show the first rows of a table." in shown


def test_help_connects_nothing(shell: Shell) -> None:
    shell.run("%omniduct new idle duckdb")
    for code in ("%idle?", "%%idle?", "%idle.head??", "idle?", "idle"):
        shell.run(code)
    assert shell.user["idle"].status.state == "disconnected"


def test_a_magic_of_a_third_party_has_help_from_its_declaration(shell: Shell) -> None:
    class Pinged(Duct, MagicsProvider):
        PROTOCOLS = ["pinged"]

        def _connect(self) -> None: ...

        def _is_connected(self) -> bool:
            return True

        def _disconnect(self) -> None: ...

        @line_magic("ping")
        def _ping(self, call: MagicCall, times: int = 1) -> str:
            """Ask whether the service is awake."""
            return "pong " * times

    shell.run("%omniduct new svc pinged")
    assert shell.value("%svc.ping 2") == "pong pong "
    assert "%svc.ping [times=1]\n\nAsk whether the service is awake." in help_of(shell, "%svc.ping?")
