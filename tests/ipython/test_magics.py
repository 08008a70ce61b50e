"""The magics of a database, as they are typed into cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.services.shells import Shell, started

from omniduct.databases.duckdb import DuckDBClient
from omniduct.errors import (
    DuctArgumentError,
    DuctMagicError,
    DuctNotFound,
    DuctStatementError,
    DuctTemplateError,
)


@pytest.fixture(scope="module")
def session() -> Iterator[Shell]:
    with started() as shell:
        shell.run("%load_ext omniduct")
        yield shell


@pytest.fixture
def shell(session: Shell) -> Iterator[Shell]:
    """The session with nothing of another test in it."""
    before = set(session.user)
    yield session
    for name in set(session.user) - before:
        del session.user[name]
    session.user["db"].drop_database()
    session.run("%xmode Context")


# Results


def test_the_result_of_a_line_is_the_result_of_the_cell(shell: Shell) -> None:
    result = shell.value("%db SELECT 1 AS a, 'x' AS b")
    assert isinstance(result, pd.DataFrame)
    assert result.to_dict("records") == [{"a": 1, "b": "x"}]


def test_the_result_of_a_line_can_be_assigned(shell: Shell) -> None:
    ran = shell.run("x = %db SELECT 7 AS a")
    assert ran.result is None and ran.stdout == ""
    assert shell.user["x"]["a"].tolist() == [7]


def test_a_cell_with_a_variable_assigns_all_and_shows_the_first_ten_rows(shell: Shell) -> None:
    ran = shell.run("%%db out\nSELECT range AS i FROM range(30)")
    assert ran.result is None
    assert len(ran.shown) == 1 and len(ran.shown[0].splitlines()) == 11
    assert len(shell.user["out"]) == 30


def test_a_cell_without_a_variable_gives_all_of_the_result(shell: Shell) -> None:
    assert len(shell.value("%%db\nSELECT range AS i FROM range(30)")) == 30


@pytest.mark.parametrize(
    ("show", "rows"),
    [("'head'", 10), ("head", 10), ("'all'", 30), ("all", 30), ("3", 3), ("0", 0), ("3 - 1", 2)],
)
def test_show_says_how_much_of_it_is_shown(shell: Shell, show: str, rows: int) -> None:
    shown = shell.value(f"%%db show={show}\nSELECT range AS i FROM range(30)")
    assert len(shown) == rows
    (text,) = shell.run(f"%%db out show={show}\nSELECT range AS i FROM range(30)").shown
    assert text.count("\n") == (rows if rows else 2)
    assert len(shell.user["out"]) == 30


def test_none_of_it_is_shown_with_show_none(shell: Shell) -> None:
    ran = shell.run("%%db out show='none'\nSELECT 1")
    assert (ran.result, ran.shown, ran.stdout) == (None, [], "")
    assert shell.run("%%db show='none'\nSELECT 1").result is None


def test_a_transposed_result_is_only_shown_so(shell: Shell) -> None:
    (text,) = shell.run("%%db out show=3 transpose=True\nSELECT range i, range + 1 AS j FROM range(9)").shown
    assert [line.split() for line in text.splitlines()] == [
        ["0", "1", "2"],
        ["i", "0", "1", "2"],
        ["j", "1", "2", "3"],
    ]
    assert shell.user["out"].columns.tolist() == ["i", "j"]


@pytest.mark.parametrize(("format", "kind"), [("polars", pl.DataFrame), ("arrow", pa.Table)])
def test_any_frame_can_be_shown_transposed_and_in_part(shell: Shell, format: str, kind: type) -> None:
    cell = (
        f"%%db out format='{format}' show=2 transpose=True\nSELECT range AS numbers, 'x' AS s FROM range(9)"
    )
    (text,) = shell.run(cell).shown
    assert "numbers" in text and "7" not in text
    out = shell.user["out"]
    assert (type(out), out.shape) == (kind, (9, 2))


@pytest.mark.parametrize("cell", ["%db SELECT 5 AS a;", "%%db\nSELECT 5 AS a;", "%%db\nSELECT 5 AS a;\n\n"])
def test_a_semicolon_ends_the_statement_and_hides_no_result(shell: Shell, cell: str) -> None:
    ran = shell.run(cell)
    assert ran.result["a"].tolist() == [5]
    assert "5" in ran.stdout


def test_a_statement_without_a_result_shows_nothing(shell: Shell) -> None:
    ran = shell.run("%%db out\nCREATE TABLE t (i INT)")
    assert (ran.result, ran.shown, ran.stdout, ran.error) == (None, [], "", None)
    assert shell.user["out"] is None


def test_the_result_of_the_last_of_several_statements_is_shown(shell: Shell) -> None:
    assert shell.value("%%db\nCREATE TABLE t AS SELECT 1 AS a;\nSELECT a + 1 AS b FROM t")["b"].tolist() == [
        2
    ]


def test_options_of_query_are_handed_on(shell: Shell) -> None:
    assert shell.value("%%db format='csv' format_opts={'include_header': False}\nSELECT 1, 2") == "1,2\n"
    frame = pd.DataFrame({"a": [4]})
    shell.user["mine"] = frame
    assert shell.value("%%db frames={'other': mine}\nSELECT * FROM other")["a"].tolist() == [4]


# Lines


@pytest.mark.parametrize(
    "text", ["{a}", "$a", "${a}", "{{ 'b' }}"[:1] + "a}", "!ls", "%time", "?", "# no comment"]
)
def test_nothing_on_a_line_is_expanded(shell: Shell, text: str) -> None:
    shell.user["a"] = "expanded"
    assert shell.value(f"%db SELECT '{text}' AS x")["x"].tolist() == [text]


def test_values_are_python_in_the_user_s_namespace(shell: Shell) -> None:
    shell.user.update(n=2, wanted={"word": "b c"})
    ran = shell.run("%%db out show=n + 1 context={'x': wanted['word']}\nSELECT '{{ x }}' AS x FROM range(9)")
    assert len(ran.shown[0].splitlines()) == 4
    assert set(shell.user["out"]["x"]) == {"b c"}


@pytest.mark.parametrize(
    ("cell", "error", "said"),
    [
        (
            "%%db shw=1\nSELECT 1",
            DuctArgumentError,
            "db: a statement takes no option 'shw'; did you mean 'show'?",
        ),
        ("%%db contxt={}\nSELECT 1", DuctArgumentError, "did you mean 'context'?"),
        ("%%db show='al'\nSELECT 1", DuctMagicError, "%%db: `show` takes 'head', 'all', 'none'"),
        ("%%db show=tall\nSELECT 1", DuctMagicError, "did you mean 'all'?"),
        ("%%db out more\nSELECT 1", DuctMagicError, "%%db: it takes one word, and 'more' is one more"),
        ("%%db show=\nSELECT 1", DuctMagicError, "%%db: `show=` has no value"),
        ("%%db format='panda'\nSELECT 1", DuctMagicError, "did you mean 'pandas'?"),
        ("%%db transpose=1\nSELECT 1", DuctMagicError, "`transpose` takes True or False, not 1"),
        ("%%db context=5\nSELECT 1", DuctMagicError, "`context` takes a dict"),
        ("%db.head", DuctMagicError, "%db.head: `table` must be given\nUsage: %db.head table [n=10]"),
        ("%db.head t x", DuctMagicError, "%db.head: `n` takes a whole number, not 'x'"),
        ("%db.head t 3 4", DuctMagicError, "'4' is one more"),
        ("%%db.template\nSELECT 1", DuctMagicError, "%%db.template: `name` must be given"),
        ("%db", DuctMagicError, "%db: `statement` must be given"),
        ("%%db\n-- nothing", DuctStatementError, "db: there is no statement in '-- nothing'"),
    ],
)
def test_an_error_names_the_key_and_the_near_miss(
    shell: Shell, cell: str, error: type[Exception], said: str
) -> None:
    ran = shell.run(cell)
    assert type(ran.error) is error
    assert said in ran.said


@pytest.mark.parametrize("word", ["class", "1st", "a-b", "a.b", "'two words'"])
def test_a_name_that_cannot_be_assigned_to_is_refused_before_anything_runs(shell: Shell, word: str) -> None:
    for magic in ("db", "db.execute", "db.stream"):
        ran = shell.run(f"%%{magic} {word}\nCREATE TABLE made (i INT)")
        assert "cannot be assigned" in ran.said
    assert not shell.user["db"].table_exists("made")


# Statements and templates on a line


@pytest.mark.parametrize(
    "line",
    ["SELECT 1=1", "SELECT a=1 FROM (SELECT 1 AS a)", "SET threads=2", "PRAGMA threads=2",
     "BEGIN; ROLLBACK", "CHECKPOINT", "VACUUM;", "FROM range(2)", "SHOW TABLES",
     "select x == 1 from (select 1 as x)"],
)  # fmt: skip
def test_sql_on_a_line_is_never_taken_for_a_template(shell: Shell, line: str) -> None:
    assert shell.run(f"%db {line}").error is None


def test_a_transaction_can_be_written_line_by_line(shell: Shell) -> None:
    for line in ("CREATE TABLE t (i INT)", "BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK"):
        assert shell.run(f"%db {line}").error is None
    assert shell.value("%db SELECT count(*) AS n FROM t")["n"].tolist() == [0]


def test_a_line_that_begins_with_the_name_of_a_template_runs_it(shell: Shell) -> None:
    shell.run("%%db.template top\nSELECT range AS i FROM range({{ n }}) WHERE i >= {{ least | bind }}")
    assert shell.value("%db top n=4 least=2")["i"].tolist() == [2, 3]
    shell.user.update(n=3, least=1)
    assert shell.value("%db top")["i"].tolist() == [1, 2]
    assert shell.value("x = %db top least=2\nx")["i"].tolist() == [2]
    assert shell.value("%db top n=len('abcd') least=least + 2")["i"].tolist() == [3]


def test_a_template_s_name_that_is_misspelt_is_told(shell: Shell) -> None:
    shell.user["db"].template_add("trips", "SELECT 1")
    for line in ("%db trps", "%db trps day=3", "%db.template trps", "%db.render trps"):
        ran = shell.run(line)
        assert isinstance(ran.error, DuctNotFound)
        assert "did you mean 'trips'?" in ran.said


def test_a_value_that_a_template_lacks_is_named(shell: Shell) -> None:
    shell.user["db"].template_add("needy", "SELECT {{ amount }}")
    ran = shell.run("%db needy")
    assert isinstance(ran.error, DuctTemplateError)
    assert "'amount' is not defined" in ran.said


def test_a_value_that_a_template_does_not_use_is_named(shell: Shell) -> None:
    shell.user["db"].template_add("needy", "SELECT {{ amount }}")
    ran = shell.run("%db needy amout=3")
    assert isinstance(ran.error, DuctMagicError)
    assert "uses no value 'amout'; did you mean 'amount'?" in ran.said


def test_what_is_not_shown_of_a_variable_is_said(shell: Shell) -> None:
    assert "10 of 30 rows; all of them are in out" in shell.run("%%db out\nFROM range(30)").stdout
    assert "rows" not in shell.run("%%db out\nFROM range(3)").stdout
    assert isinstance(shell.run("%%db out show=-1\nFROM range(3)").error, DuctMagicError)


def test_the_lines_of_execute_and_stream_run_templates_too(shell: Shell) -> None:
    shell.user["db"].template_add("needy", "SELECT {{ amount }} AS a")
    assert shell.value("%db.execute needy amount=3").fetchall() == [(3,)]
    assert list(shell.value("%db.stream needy amount=4")) == [(4,)]


def test_templates_are_kept_listed_shown_and_rendered(shell: Shell) -> None:
    shell.run("%%db.template recent\n\nSELECT {{ day | bind }} AS day,\n    1 AS one\n")
    assert "recent" in shell.value("%db.template")
    assert shell.run("%db.template recent").shown == ["SELECT {{ day | bind }} AS day,\n    1 AS one"]
    (text,) = shell.run("%db.render recent day='2024-01-01'").shown
    assert text == "SELECT :day AS day,\n    1 AS one\n-- :day = '2024-01-01'"
    shell.user["day"] = 5
    (text,) = shell.run("%%db.render\nSELECT * FROM ({{{recent}}}) LIMIT {{ 1 + 1 }}").shown
    assert "LIMIT 2" in text and "-- :day = 5" in text
    (text,) = shell.run("%%db.render meta_only=True\nSELECT * FROM ({{{recent}}}) LIMIT {{ 1 + 1 }}").shown
    assert "LIMIT {{ 1 + 1 }}" in text and "{{ day | bind }}" in text


def test_a_template_sees_variables_and_what_is_given_comes_first(shell: Shell) -> None:
    shell.user.update(who="ann", age=40)
    cell = "%%db context={'age': 41}\nSELECT {{ who | bind }} AS who, {{ age | bind }} AS age"
    assert shell.value(cell).to_dict("records") == [{"who": "ann", "age": 41}]


def test_a_cell_need_not_be_a_template(shell: Shell) -> None:
    assert shell.value("%%db template=False\nSELECT '{{ nothing }}' AS x")["x"].tolist() == ["{{ nothing }}"]


def test_local_variables_of_a_function_are_seen_and_come_first(shell: Shell) -> None:
    shell.user["there"] = "global"
    line, cell = shell.value(
        "def function(there, rows):\n"
        "    line = %db SELECT '{{ there }}' AS a\n"
        "    sql = \"SELECT '{{ there }}' AS a FROM range(5)\"\n"
        "    return line, get_ipython().run_cell_magic('db', 'show=rows', sql)\n"
        "function('local', 2)"
    )
    assert line["a"].tolist() == ["local"]
    assert cell["a"].tolist() == ["local", "local"]


def test_a_magic_may_stand_in_a_loop_and_under_other_magics(shell: Shell) -> None:
    shell.run("found = []\nfor i in range(3):\n    x = %db SELECT {{ i }} AS i\n    found.append(x['i'][0])")
    assert shell.user["found"] == [0, 1, 2]
    assert shell.value("%%capture kept\n%db SELECT 1") is None
    assert "1" in shell.user["kept"].outputs[0].data["text/plain"]
    assert shell.value("%time %db SELECT 2 AS a")["a"].tolist() == [2]


# The other magics


def test_execute_gives_a_cursor(shell: Shell) -> None:
    assert shell.value("%db.execute SELECT 1, 2").fetchall() == [(1, 2)]
    ran = shell.run("%%db.execute cursor\nCREATE TABLE t AS SELECT 3 AS a; FROM t")
    assert (ran.result, ran.stdout) == (None, "")
    assert shell.user["cursor"].fetchone() == (3,)
    assert shell.user["cursor"].description[0][0] == "a"


def test_stream_gives_rows_or_pieces(shell: Shell) -> None:
    assert list(shell.value("%db.stream SELECT range FROM range(3)")) == [(0,), (1,), (2,)]
    shell.run("%%db.stream pieces batch=2 format='pandas'\nSELECT range AS i FROM range(3)")
    assert [piece["i"].tolist() for piece in shell.user["pieces"]] == [[0, 1], [2]]


def test_head_desc_and_props_look_at_a_table(shell: Shell) -> None:
    shell.run("%db CREATE TABLE trips AS SELECT range AS i FROM range(30)")
    assert len(shell.value("%db.head trips")) == 10
    assert len(shell.value("%db.head trips 3")) == len(shell.value("%db.head trips n=1 + 2")) == 3
    assert len(shell.value("%db.head main.trips 1")) == 1
    assert shell.value("%db.desc trips").iloc[0, 0] == "i"
    assert shell.value("%db.props trips").loc["table_name", "value"] == "trips"


# Errors


def test_an_error_is_shown_as_one_sentence_without_frames(shell: Shell) -> None:
    for mode in ("Context", "Verbose", "Plain", "Minimal"):
        shell.run(f"%xmode {mode}")
        for cell in ("%db SELECT nonsense", "%%db\nSELECT nonsense"):
            shown = shell.run(cell).stdout.strip()
            assert shown.startswith("DuctStatementError: db: Binder Error")
            assert shown.count("\n") == 0, shown


def test_the_user_s_own_frames_are_shown_and_none_of_ours(shell: Shell) -> None:
    shell.run("def compute(secret):\n    return db.query('SELECT nonsense')")
    for mode in ("Context", "Verbose"):
        shell.run(f"%xmode {mode}")
        for code in ("compute('hunter2')", "%tb"):
            shown = shell.run(code).stdout
            assert "line 2, in compute\n    return db.query('SELECT nonsense')" in shown
            assert "omniduct" not in shown and "site-packages" not in shown and "Traceback" not in shown
    assert "compute('hunter2')" in shell.run("compute('hunter2')").stdout
    assert "secret" not in shell.run("%tb").stdout


def test_frames_of_the_standard_library_are_no_one_s_own(shell: Shell) -> None:
    code = "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n"
    shown = shell.run(code + "    list(pool.map(db.query, ['SELECT nonsense']))").stdout
    assert "list(pool.map" in shown and "concurrent/futures" not in shown


def test_a_failed_cell_leaves_the_database_usable(shell: Shell) -> None:
    shell.run("%db CREATE TEMP TABLE mine AS SELECT 1 AS a")
    for cell in (
        "%db SELEC",
        "%%db\nBEGIN; SELECT nonsense",
        "%%db out\nSELECT error('no')",
        "%db SELECT {{ nope }}",
    ):
        assert shell.run(cell).error is not None
        assert shell.value("%db FROM mine")["a"].tolist() == [1]
    assert "out" not in shell.user


def test_an_error_keeps_nothing_assigned(shell: Shell) -> None:
    shell.user["out"] = "before"
    shell.run("%%db out\nSELECT nonsense")
    assert shell.user["out"] == "before"


# Frames


def test_frames_are_seen_by_the_names_they_have_when_the_statement_runs(shell: Shell) -> None:
    shell.user["people"] = pd.DataFrame({"age": [40, 50]})
    assert shell.value("%db SELECT sum(age) AS n FROM people")["n"].tolist() == [90]
    shell.user["people"] = pl.DataFrame({"age": [1]})
    assert shell.value("%db SELECT sum(age) AS n FROM people")["n"].tolist() == [1]
    shell.user["people"] = pa.table({"age": [2]})
    assert shell.value("%db SELECT sum(age) AS n FROM people")["n"].tolist() == [2]
    shell.run("del people")
    assert "people does not exist" in shell.run("%db FROM people").said


def test_a_table_of_the_catalog_comes_before_a_frame(shell: Shell) -> None:
    shell.user["people"] = pd.DataFrame({"age": [40]})
    shell.run("%db CREATE TABLE people AS SELECT 7 AS age")
    assert shell.value("%db FROM people")["age"].tolist() == [7]
    shell.run("%db DROP TABLE people")
    assert shell.value("%db FROM people")["age"].tolist() == [40]
    assert shell.value("%db SHOW TABLES").empty


def test_no_variable_of_ours_is_seen(shell: Shell) -> None:
    for name in (
        "self",
        "statement",
        "frames",
        "connection",
        "options",
        "prepared",
        "session",
        "call",
        "body",
        "names",
    ):
        assert "does not exist" in shell.run(f"%db SELECT * FROM {name}").said


def test_a_result_can_be_queried_by_its_name(shell: Shell) -> None:
    shell.run("%%db first\nSELECT range AS i FROM range(4)")
    assert shell.value("%db SELECT sum(i) AS n FROM first")["n"].tolist() == [6]


# Names


@pytest.fixture
def named(shell: Shell) -> Iterator[Any]:
    registry, made = shell.user["registry"], []

    def new(name: str) -> DuckDBClient:
        made.append(name)
        duct = registry.new(name, "duckdb")
        assert isinstance(duct, DuckDBClient)
        return duct

    yield new
    shell.run("%reload_ext omniduct")


def test_both_names_of_a_duct_have_magics(shell: Shell, named: Any) -> None:
    named("first, second")
    shell.run("%first CREATE TABLE t AS SELECT 1 AS a")
    assert shell.value("%second SELECT a FROM t")["a"].tolist() == [1]
    assert len(shell.value("%second.head t")) == 1
    assert "Usage: %second.head" in shell.run("%second.head").said


def test_a_nested_name_is_typed_with_a_slash_or_a_dot(shell: Shell, named: Any) -> None:
    named("prod/hive")
    for name in ("prod/hive", "prod.hive"):
        assert shell.value(f"%{name} SELECT 1 AS a")["a"].tolist() == [1]
        assert shell.value(f"%%{name}\nSELECT 2 AS a")["a"].tolist() == [2]
        assert shell.value(f"x = %{name} SELECT 3 AS a\nx")["a"].tolist() == [3]
        assert shell.value(f"%%{name}.execute\nSELECT 4").fetchall() == [(4,)]


def test_a_name_that_is_no_identifier_has_magics_too(shell: Shell, named: Any) -> None:
    named("my-db")
    assert shell.value("%%my-db\nSELECT 2 AS a")["a"].tolist() == [2]


def test_register_magics_gives_a_duct_magics_under_another_name(shell: Shell, named: Any) -> None:
    named("plain").register_magics("fancy")
    assert shell.value("%fancy SELECT 1 AS a")["a"].tolist() == [1]
    assert shell.value("%plain SELECT 1 AS a")["a"].tolist() == [1]


def test_a_duct_made_without_a_registry_has_magics_when_it_registers_them(shell: Shell, named: Any) -> None:
    DuckDBClient(name="loner").register_magics()
    assert shell.value("%loner SELECT 1 AS a")["a"].tolist() == [1]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("INSERT INTO counted VALUES (1), (2)", "2 rows changed"),
        ("UPDATE counted SET x = 3 WHERE x = 1", "1 row changed"),
        ("DELETE FROM counted WHERE x > 5", "0 rows changed"),
        ("INSERT INTO counted VALUES (1); CREATE TABLE another (x INT)", ""),
        ("INSERT INTO counted VALUES (1) RETURNING x", ""),
        ("SELECT 'INSERT' AS x", ""),
    ],
)
def test_a_cell_says_how_many_rows_it_has_changed(shell: Shell, cell: str, said: str) -> None:
    shell.run("%%db\nCREATE TABLE counted AS SELECT 1 AS x")
    ran = shell.run(f"%%db\n{cell}")
    assert [line for line in ran.stdout.splitlines() if "changed" in line] == ([said] if said else [])


def test_the_tables_are_listed(shell: Shell) -> None:
    shell.run("%db CREATE TABLE trips (i INT)")
    assert shell.value("%db.tables")["table_name"].tolist() == ["trips"]
    assert shell.value("%db.tables main")["table_name"].tolist() == ["trips"]


def test_a_plan_is_shown_as_the_text_that_it_is(shell: Shell) -> None:
    shown = repr(shell.value("%%db\nEXPLAIN SELECT 42 AS answer"))
    assert len(shown.splitlines()) > 5
    assert "\\n" not in shown
    ran = shell.run("%%db plan\nEXPLAIN SELECT 42 AS answer")
    assert ran.shown == [shown]
    assert isinstance(shell.user["plan"], pd.DataFrame)


def test_a_plan_that_is_to_be_shown_by_its_rows_is(shell: Shell) -> None:
    assert isinstance(shell.value("%%db show='all'\nEXPLAIN SELECT 42 AS answer"), pd.DataFrame)
