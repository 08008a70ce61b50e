from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniduct.config import Entry, Reading, read
from omniduct.config.documents import parse
from omniduct.credentials import Secret

SENTINEL = "s3ntinel-swordfish"
NESTED = 500
"""Deeper than any configuration is."""


def names(reading: Reading) -> list[str]:
    """All the names that were read."""
    return [name for entry in reading.entries for name in entry.names]


def told(reading: Reading) -> list[str]:
    """The problems as a person reads them, without the place when that is a given text."""
    return [str(problem).replace("the YAML text given, ", "") for problem in reading.problems]


def only(reading: Reading) -> Entry:
    """The one entry of a configuration that has no problem."""
    assert reading.problems == []
    (entry,) = reading.entries
    return entry


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a configuration file in a folder that is not the working one."""

    def write_it(text: str | bytes) -> Path:
        path = tmp_path / "ducts.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_it


# Shapes


SHAPES: dict[str, Any] = {
    "a list of mappings": [{"name": "db", "protocol": "duckdb", "host": "h"}],
    "a tuple of mappings": ({"name": "db", "protocol": "duckdb", "host": "h"},),
    "names": {"db": {"protocol": "duckdb", "host": "h"}},
    "kinds, then names": {"databases": {"db": {"protocol": "duckdb", "host": "h"}}},
    "kinds, then a list": {"databases": [{"name": "db", "protocol": "duckdb", "host": "h"}]},
    "a YAML list": "- name: db\n  protocol: duckdb\n  host: h\n",
    "YAML names": "db:\n  protocol: duckdb\n  host: h\n",
    "YAML kinds": "databases:\n  db: {protocol: duckdb, host: h}\n",
    "JSON, which is YAML": '{"databases":\n  {"db": {"protocol": "duckdb", "host": "h"}}}',
    "merged keys": "db:\n  <<: {host: h}\n  protocol: duckdb\n",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_a_configuration_says_the_same(shape: Any) -> None:
    entry = only(read(shape))
    assert (entry.names, entry.protocol, entry.arguments) == (("db",), "duckdb", {"host": "h"})


@pytest.mark.parametrize("name", [str, Path], ids=["its name", "its path"])
def test_a_yaml_file_is_read_by(name: Callable[[Path], Any], write: Callable[[str], Path]) -> None:
    path = write("databases:\n  # a comment\n  db:\n    protocol: duckdb\n")
    entry = only(read(name(path)))
    assert (str(entry.origin), entry.kind) == (f"{path}, databases.db (line 3)", "databases")


def test_a_file_is_found_in_the_home_folder_and_shown_with_a_tilde() -> None:
    path = Path.home() / "of-a-test.yaml"
    path.write_text("db: {protocol: duckdb}", "utf-8")
    assert str(only(read("~/of-a-test.yaml")).origin) == "~/of-a-test.yaml, db (line 1)"


@pytest.mark.parametrize("empty", [None, {}, [], "\n", "# nothing yet\n", "databases:\n", "---\n"])
def test_an_empty_configuration_says_nothing(empty: Any) -> None:
    assert read(empty) == Reading()


def test_an_empty_file_says_nothing(write: Callable[[str], Path]) -> None:
    assert read(write("")) == Reading()


def test_a_file_may_begin_with_a_byte_order_mark(write: Callable[[bytes], Path]) -> None:
    assert only(read(write(b"\xef\xbb\xbfdb: {protocol: duckdb}\n"))).names == ("db",)


def test_groups_nest_at_any_depth_beneath_a_kind_and_without_one() -> None:
    reading = read(
        """
databases:
  hive: {protocol: duckdb}
  prod:
    hive: {protocol: duckdb}
    eu:
      west:
        - {name: "hive, hive2", protocol: duckdb}
prod:
  files: {protocol: localfs}
"""
    )
    expected = ["hive", "prod/hive", "prod/eu/west/hive", "prod/eu/west/hive2", "prod/files"]
    assert (names(reading), told(reading)) == (expected, [])
    assert str(reading.entries[2].origin) == "the YAML text given, databases.prod.eu.west[0] (line 8)"


def test_two_names_with_a_comma_are_one_duct() -> None:
    assert only(read({"a, b , a,": {"protocol": "duckdb"}})).names == ("a", "b")


def test_a_name_inside_an_entry_wins_over_its_key() -> None:
    assert only(read({"databases": {"x": {"name": "y", "protocol": "duckdb"}}})).names == ("y",)


def test_a_duct_may_be_named_like_a_kind() -> None:
    assert only(read({"databases": {"protocol": "duckdb"}})).names == ("databases",)


def test_names_that_yaml_takes_for_something_else_stay_as_they_are_written() -> None:
    text = "\n".join(f"{name}: {{protocol: duckdb}}" for name in ("no", "on", "007", "1.50", "2024-01-02"))
    assert names(read(f"{text}\n")) == ["no", "on", "007", "1.50", "2024-01-02"]


def test_special_keys_are_no_arguments() -> None:
    entry = only(read({"db": {"protocol": "duckdb", "register_magics": False, "__OMNIDUCT_SKIP__": False}}))
    assert (entry.arguments, entry.register_magics) == ({}, False)


@pytest.mark.parametrize(
    "config",
    [
        {"db": {"protocol": "duckdb", "__OMNIDUCT_SKIP__": True}},
        {"db": {"__OMNIDUCT_SKIP__": True}},
        {"databases": {"__OMNIDUCT_SKIP__": True, "db": {"protocol": "duckdb"}}},
        {"prod": {"__OMNIDUCT_SKIP__": True, "db": {"protocol": "nonsense", 5: 6}}},
        {"__OMNIDUCT_SKIP__": True, "db": {"protocol": "duckdb"}},
        [{"__OMNIDUCT_SKIP__": True, "protocol": "duckdb"}],
    ],
)
def test_what_is_marked_to_be_skipped_is_not_even_looked_at(config: Any) -> None:
    assert read(config) == Reading()


def test_a_skip_mark_that_is_off_changes_nothing() -> None:
    group = {"__OMNIDUCT_SKIP__": False, "db": {"protocol": "duckdb"}}
    assert only(read({"prod": group})).names == ("prod/db",)


# YAML


def test_anchors_and_merge_keys_fill_entries_in() -> None:
    reading = read(
        """
base: &base {protocol: duckdb, host: a, __OMNIDUCT_SKIP__: true}
db: &db {<<: *base, host: b, __OMNIDUCT_SKIP__: false}
again: *db
more: {<<: *db, port: 3}
inline: {<<: &inner {<<: *db, host: c}}
inner: *inner
"""
    )
    found = {entry.names[0]: entry.arguments for entry in reading.entries}
    c = {"host": "c"}
    assert found == {
        "db": {"host": "b"},
        "again": {"host": "b"},
        "more": {"host": "b", "port": 3},
        "inline": c,
        "inner": c,
    }
    assert [entry.origin.line for entry in reading.entries] == [3, 4, 5, 6, 7]
    assert told(reading) == []


def test_two_ducts_never_share_a_list_of_an_anchor() -> None:
    reading = read("a: {protocol: duckdb, x: &x [1]}\nb: {protocol: duckdb, x: *x}\n")
    first, second = (entry.arguments["x"] for entry in reading.entries)
    assert first == second == [1] and first is not second


def test_a_key_that_comes_twice_is_told_at_any_depth_and_the_first_is_kept() -> None:
    reading = read(
        """
databases:
  db: &db
    protocol: duckdb
    options: {deep: [{x: 1, x: 2}]}
    host: a
    host: b
  again: *db
  db: {protocol: duckdb}
databases: {}
"""
    )
    assert told(reading) == [
        "this key comes twice, first in line 5; the first is kept [databases.db.options.deep[0].x (line 5)]",
        "this key comes twice, first in line 6; the first is kept [databases.db.host (line 7)]",
        "this key comes twice, first in line 3; the first is kept [databases.db (line 9)]",
        "this key comes twice, first in line 2; the first is kept [databases (line 10)]",
    ]
    assert [(e.names[0], e.arguments["host"]) for e in reading.entries] == [("db", "a"), ("again", "a")]


SPACES = "; indent with spaces, not with tabs"
QUOTES = "; a value that begins with * & ! % @ or ` belongs in quotes"
NO_TOKEN = "found character that cannot start any token"
BAD_YAML = {
    "a: [1\nb: 2\n": "line 2, column 2: did not find expected ',' or ']'",
    "db:\n\tprotocol: duckdb\n": f"line 2, column 1: {NO_TOKEN}{SPACES}",
    "db:\n  a: b\n\tc: d\n": f"line 3, column 1: found a tab character that violates indentation{SPACES}",
    f"db:\n  protocol: duckdb\n  password:{SENTINEL}\n": (
        "line 3, column 3: could not find expected ':'; a colon and a space stand between a key and its value"
    ),
    f"db:\n  password: a: {SENTINEL}\n": (
        "line 2, column 14: mapping values are not allowed in this context; "
        "a value with a colon and a space in it belongs in quotes"
    ),
    f"db:\n  password: *{SENTINEL}\n": f"line 2, column 13: found undefined alias{QUOTES}",
    f"db:\n  password: !{SENTINEL}\n": (
        f"line 2, column 13: could not determine a constructor for the tag{QUOTES}"
    ),
    f"db:\n  password: %{SENTINEL}\n": f"line 2, column 13: {NO_TOKEN}{QUOTES}",
    "db:\n  password: {{ secret }}\n": (
        "line 2, column 14: a key is a text; a value that begins with { or [ belongs in quotes"
    ),
    "? [a, b]\n: c\n": "line 1, column 3: a key is a text; ",
    "db: {protocol: duckdb}\n---\nx: 1\n": (
        "line 2, column 1: a second document (---) begins here; a configuration is one"
    ),
    "db: &db\n  protocol: duckdb\n  x: [*db]\n": "line 1, column 5: this contains itself",
    "db: &db\n  <<: [*db, 5]\n": "line 2, column",
    "a: 1\nb: \x07\n": "line 2: a control character stands there",
    "[" * NESTED + "\n" + "]" * NESTED: "it is nested too deeply",
}


@pytest.mark.parametrize(("text", "said"), BAD_YAML.items(), ids=range(len(BAD_YAML)))
def test_bad_yaml_is_told_once_with_line_and_column_and_without_any_value(text: str, said: str) -> None:
    (problem,) = told(read(text))
    assert problem.startswith(f"the YAML cannot be read: {said}")
    assert SENTINEL not in problem


def test_a_text_that_only_looks_like_a_date_or_a_number_is_a_text() -> None:
    assert parse("[2024-13-45, 0x_, 12:99:99]", note=print) == ["2024-13-45", "0x_", "12:99:99"]


def test_what_cannot_be_read_of_a_file_is_told(tmp_path: Path, write: Callable[[bytes], Path]) -> None:
    missing, binary = tmp_path / "nope.yaml", write(b"db: \xff\xfe\n")
    for path, said in (
        (missing, "there is no such file"),
        (tmp_path, "it is a folder"),
        (binary, "it is not UTF-8 text"),
    ):
        assert told(read(path)) == [f"the configuration file cannot be read: {said} [{path}]"]


@pytest.mark.parametrize("text", [f"db: {{protocol: duckdb, password: {SENTINEL}}}", "- {name: db}", ""])
def test_yaml_of_one_line_is_no_files_name_and_is_not_shown(text: str) -> None:
    (problem,) = told(read(text))
    assert problem.startswith(
        "this text of one line is taken as a file's name, and there is no such file; YAML has"
    )
    assert SENTINEL not in problem


# Bad entries


BAD: dict[str, tuple[Any, str]] = {
    "a text for an entry": (
        {"x": "text"},
        "'x' is skipped: an entry is a mapping with a protocol, not a text [x]",
    ),
    "nothing for an entry": (
        {"x": None},
        "'x' is skipped: an entry is a mapping with a protocol, not nothing [x]",
    ),
    "an empty entry": ({"x": {}}, "'x' is skipped: it has no protocol [x]"),
    "no protocol": ({"x": {"host": "h"}}, "'x' is skipped: it has no protocol [x]"),
    "a misspelt protocol": (
        {"x": {"protocl": "duckdb", "host": "h"}},
        "'x' is skipped: it has no protocol; did you mean that by 'protocl'? [x]",
    ),
    "a blank protocol": ({"x": {"protocol": None}}, "'x' is skipped: it has no protocol [x]"),
    "a number for a protocol": (
        {"x": {"protocol": 5}},
        "'x' is skipped: its protocol is a name, not a number [x]",
    ),
    "magics": (
        {"x": {"protocol": "duckdb", "register_magics": "no"}},
        "'x' is skipped: its register_magics is true or false, not a text [x]",
    ),
    "a registry": (
        {"x": {"protocol": "duckdb", "registry": 1}},
        "'x' is skipped: its registry is the one that reads it; leave that key out [x]",
    ),
    "a key that is no text": (
        {"x": {"protocol": "duckdb", 5: 1}},
        "'x' is skipped: a key is a text, not a number [x]",
    ),
    "an empty name": ({" , ": {"protocol": "duckdb"}}, "its name is empty [ , ]"),
    "an empty part of a name": (
        {"a//b": {"protocol": "duckdb"}},
        "'a//b' is skipped: a part of its name is empty [a//b]",
    ),
    "a number for a password": (
        {"x": {"protocol": "duckdb", "password": 12345}},
        "'x' is skipped: its password is a number; put it in quotes [x]",
    ),
    "a list for a username": (
        {"x": {"protocol": "duckdb", "username": ["me"]}},
        "'x' is skipped: its username is a list; put it in quotes [x]",
    ),
    "no space after password:": (
        {"x": {"protocol": "duckdb", f"password:{SENTINEL}": None}},
        "'x' is skipped: there is no space after 'password:' [x]",
    ),
    "a list without names": ([{"protocol": "duckdb"}], "an entry of a list needs a name [[0]]"),
    "a name in the place of name": (
        [{"x": {"protocol": "duckdb"}}],
        "an entry of a list needs a name; write it as a key: name: x [[0]]",
    ),
    "an empty mapping in a list": ([{}], "an entry of a list needs a name [[0]]"),
    "a misspelt name": (
        [{"nmae": "x", "protocol": "duckdb"}],
        "an entry of a list needs a name; did you mean that by 'nmae'? [[0]]",
    ),
    "a number for a name": (
        [{"name": 5, "protocol": "duckdb"}],
        "its name is a number; put it in quotes [[0]]",
    ),
    "a text in a list": (["db"], "an entry is a mapping with a protocol, not a text [[0]]"),
    "a text for a kind": ({"databases": "db"}, "databases is a mapping or a list, not a text [databases]"),
    "a text in a group": (
        {"prod": {"hive": {"protocol": "duckdb"}, "note": "text"}},
        "'prod/note' is skipped: an entry is a mapping with a protocol, not a text [prod.note]",
    ),
    "a group of bad entries": (
        {"prod": {"hive": {"host": "h"}}},
        "'prod/hive' is skipped: it has no protocol [prod.hive]",
    ),
    "nearly a kind": (
        {"Database": {"db": {"protocol": "duckdb"}}},
        "'Database' is taken as a part of names ('Database/…'); did you mean the kind 'databases'? "
        "[Database]",
    ),
    "one duct without a name": (
        {"name": "x", "protocol": "duckdb"},
        "one duct alone is no configuration; put it under its name (name: {protocol: …}) or in a list",
    ),
    "a number": (5, "a configuration is a mapping or a list of mappings, not a number"),
}


@pytest.mark.parametrize(("config", "said"), BAD.values(), ids=BAD)
def test_a_bad_entry_is_told_once(config: Any, said: str) -> None:
    (problem,) = read(config).problems
    place = " [the configuration given"
    assert str(problem) == said.replace(" [", f"{place}, ") if "[" in said else f"{said}{place}]"
    assert SENTINEL not in str(problem)


def test_bad_entries_stop_no_other_at_any_depth() -> None:
    reading = read(
        """
good1: {protocol: duckdb}
bad1: 5
databases:
  good2: {protocol: duckdb}
  bad2: {host: h}
  prod:
    bad3: {protocol: [a]}
    good3: {protocol: duckdb}
    deep:
      - {name: good4, protocol: duckdb}
      - bad4
"""
    )
    assert names(reading) == ["good1", "good2", "prod/good3", "prod/deep/good4"]
    assert [p.name for p in reading.problems] == ["bad1", "bad2", "prod/bad3", ""]
    assert [p.origin.line for p in reading.problems][1:3] == [6, 8]


@pytest.mark.parametrize("value", [2024, 1e5, "2024-01-02", "12:30:45"])
def test_a_password_that_yaml_takes_for_something_else_is_to_be_quoted(value: object) -> None:
    (problem,) = told(read(f"db:\n  protocol: duckdb\n  password: {value}\n"))
    assert problem.endswith("; put it in quotes [db (line 1)]")
    assert str(value) not in problem
    assert only(read(f"db:\n  protocol: duckdb\n  password: '{value}'\n")).arguments["password"] == str(value)


# Secrets


def test_a_password_is_wrapped_as_soon_as_it_is_read() -> None:
    reading = read(f"db: {{protocol: duckdb, password: {SENTINEL}, username: me}}\n")
    assert only(reading).arguments == {"password": Secret(SENTINEL), "username": "me"}
    assert SENTINEL not in repr(reading)


@pytest.mark.parametrize("field", ["password", "username"])
@pytest.mark.parametrize("depth", ["", "below/", "below/further/"])
def test_a_command_is_refused_from_a_file_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: str, field: str
) -> None:
    path = tmp_path / depth / "ducts.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"db: {{protocol: duckdb, {field}: 'command:cat x'}}\nok: {{protocol: duckdb}}\n", "utf-8"
    )
    monkeypatch.chdir(tmp_path)
    for name in (f"{depth}ducts.yaml", str(path)):
        reading = read(name)
        (problem,) = reading.problems
        assert problem.reason.startswith(
            f"its {field} is a command: source, and those are refused from a file in the working folder"
        )
        assert names(reading) == ["ok"]
    monkeypatch.chdir("/")  # beneath which all there is stands
    assert names(read(path)) == ["db", "ok"]


def test_a_command_is_refused_whichever_way_a_link_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    for folder, other in ((here, there), (there, here)):
        text = "db: {protocol: duckdb, password: 'command:cat x'}"
        (folder / "real.yaml").write_text(text, "utf-8")
        (other / "link.yaml").symlink_to(folder / "real.yaml")
    monkeypatch.chdir(here)
    for path in ("real.yaml", "link.yaml", str(there / "link.yaml")):
        assert len(read(path).problems) == 1, path
    assert only(read(there / "real.yaml")).names == ("db",)


def test_a_command_is_taken_from_elsewhere_from_a_text_and_from_the_persons_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str], Path]
) -> None:
    text = "db: {protocol: duckdb, password: 'command:cat x'}\n"
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    assert only(read(write(text))).names == ("db",)
    assert only(read(text)).names == ("db",)
    monkeypatch.setenv("HOME", str(away))
    (away / ".omniduct").mkdir()
    (away / ".omniduct" / "config").write_text(text, "utf-8")
    assert only(read("~/.omniduct/config")).names == ("db",)


@pytest.mark.parametrize("value", [r"\command:cat x", "env:COMMAND", True])
def test_what_is_no_command_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    text = f"db: {{protocol: duckdb, password: {str(value).lower() if value is True else repr(value)}}}"
    (tmp_path / "ducts.yaml").write_text(text.replace("\\\\", "\\"), "utf-8")
    monkeypatch.chdir(tmp_path)
    assert only(read("ducts.yaml")).arguments["password"] == value


def test_a_working_folder_that_is_gone_stops_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[str], Path]
) -> None:
    path = write("db: {protocol: duckdb}\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    assert only(read(path)).names == ("db",)
