"""Statements as tokens: splitting, hashing and the placing of bind parameters."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from omniduct.databases import tokens
from omniduct.databases.statements import (
    Binding,
    BindValue,
    Statement,
    Tokenizer,
    cleanup,
    duckdb_tokenizer,
    marker,
    place,
    shown,
    split,
    sqlglot_tokenizer,
    statement_hash,
)
from omniduct.databases.tokens import Untokenizable
from omniduct.errors import DuctTemplateError

NONCE = "0123456789abcdef"
X = marker(NONCE, 1)
Y = marker(NONCE, 2)

TOKENIZERS: dict[str, Tokenizer] = {
    "duckdb": duckdb_tokenizer,
    "sqlglot-duckdb": sqlglot_tokenizer("duckdb"),
    "sqlglot-postgres": sqlglot_tokenizer("postgres"),
    "sqlglot-trino": sqlglot_tokenizer("trino"),
    "sqlglot-hive": sqlglot_tokenizer("hive"),
    "sqlglot-sqlite": sqlglot_tokenizer("sqlite"),
    "sqlglot": sqlglot_tokenizer(None),
}
# Those that know literals between dollars.
WITH_DOLLARS = [TOKENIZERS[name] for name in ("duckdb", "sqlglot-duckdb", "sqlglot-postgres")]


@pytest.fixture(params=list(TOKENIZERS.values()), ids=list(TOKENIZERS))
def tokenize(request: pytest.FixtureRequest) -> Tokenizer:
    found: Tokenizer = request.param
    return found


def never(text: str) -> list[Any]:
    """A tokenizer that must not be asked."""
    raise AssertionError(f"tokenized: {text}")


def unable(text: str) -> list[Any]:
    """A tokenizer that can read nothing."""
    raise Untokenizable


def pieces(text: str, tokenize: Tokenizer) -> list[tuple[str, str]]:
    return [(text[token.start : token.end], token.kind) for token in tokenize(text)]


def bound(text: str, tokenize: Tokenizer, **values: object) -> Statement:
    """The statement with its values placed; `x` and `y` stand for the markers of these."""
    marks = {name: marker(NONCE, n) for n, name in enumerate(values, 1)}
    bindings = {marks[name]: Binding(name, value) for name, value in values.items()}
    return place(text.format(**marks), bindings, tokenize, lambda number, name: f"${number}")


def values(statement: Statement) -> list[object]:
    return [parameter.value for parameter in statement.parameters]


# Tokens


def test_tokens_say_where_they_are_and_of_what_kind(tokenize: Tokenizer) -> None:
    text = "select a1, 'b c' -- d\n, 1.5 /* e */ >= x::int"
    assert pieces(text, tokenize) == [
        ("select", "word"),
        ("a1", "word"),
        (",", "operator"),
        ("'b c'", "string"),
        (",", "operator"),
        ("1.5", "number"),
        (">=", "operator"),
        ("x", "word"),
        ("::", "operator"),
        ("int", "word"),
    ]


def test_a_dot_between_names_is_an_operator(tokenize: Tokenizer) -> None:
    assert pieces("a.b.*", tokenize) == [
        ("a", "word"),
        (".", "operator"),
        ("b", "word"),
        (".", "operator"),
        ("*", "operator"),
    ]


def test_places_are_those_of_characters_not_bytes(tokenize: Tokenizer) -> None:
    text = "select 'é𝒳;' as größe /* 名 */ from 名前"
    assert pieces(text, tokenize) == [
        ("select", "word"),
        ("'é𝒳;'", "string"),
        ("as", "word"),
        ("größe", "word"),
        ("from", "word"),
        ("名前", "word"),
    ]


@pytest.mark.parametrize("name", ["duckdb", "sqlglot-duckdb", "sqlglot-postgres", "sqlglot-trino", "sqlglot"])
def test_a_quoted_name_is_one_token(name: str) -> None:
    assert pieces('select "a ""b"" ;"', TOKENIZERS[name])[1] == ('"a ""b"" ;"', "quoted")


def test_words_that_are_read_together_are_words_of_their_own(tokenize: Tokenizer) -> None:
    text = "group  by\u00a0a"
    assert pieces(text, tokenize) == [("group", "word"), ("by", "word"), ("a", "word")]


@pytest.mark.parametrize("tokenize", WITH_DOLLARS)
@pytest.mark.parametrize("literal", ["$$ ; ' $$", "$tag$ ; $$ $tag$"])
def test_a_literal_between_dollars_is_one_token(tokenize: Tokenizer, literal: str) -> None:
    assert pieces(f"select {literal}, b", tokenize)[1] == (literal, "string")


@pytest.mark.parametrize("name", ["duckdb", "sqlglot-postgres"])
def test_a_literal_with_escapes_is_one_token(name: str) -> None:
    assert pieces("select E'a\\';' , b", TOKENIZERS[name])[1] == ("E'a\\';'", "string")


def test_before_duckdb_gave_comments_its_tokens_are_sqlglots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_gives_comments", lambda: False)
    text = "select E'a\\';', $$ ; $$ -- ';\n, \"b\""
    assert duckdb_tokenizer(text) == sqlglot_tokenizer("postgres")(text)


@pytest.mark.parametrize("command", ["show", "call f", "explain", "execute", "fetch"])
def test_what_follows_a_command_is_tokens_too(tokenize: Tokenizer, command: str) -> None:
    assert ("'a;  b'", "string") in pieces(f"{command} ('a;  b', 1)", tokenize)


def test_a_number_with_a_type_is_one_token_of_hives() -> None:
    assert pieces("5L + 1", TOKENIZERS["sqlglot-hive"]) == [
        ("5L", "number"),
        ("+", "operator"),
        ("1", "number"),
    ]


def test_what_cannot_be_tokenized_says_so(tokenize: Tokenizer) -> None:
    with pytest.raises(Untokenizable):
        tokenize("select /* a")


def test_a_text_that_is_no_unicode_is_left_to_the_driver(tokenize: Tokenizer) -> None:
    assert split("select '\ud800'; ", tokenize) == ["select '\ud800'"]
    assert cleanup("select '\ud800'", tokenize) == "select '\ud800'"


def test_an_unknown_dialect_cannot_be_tokenized() -> None:
    with pytest.raises(Untokenizable):
        sqlglot_tokenizer("no_such_dialect")("select 1")


def test_sqlglot_is_loaded_by_the_first_text_and_then_silent() -> None:
    program = (
        "import sys, logging; from omniduct.databases.statements import sqlglot_tokenizer;"
        "tokenize = sqlglot_tokenizer('trino'); before = 'sqlglot' in sys.modules; tokenize('select 1');"
        "print(before, 'sqlglot' in sys.modules, logging.getLogger('sqlglot').level)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True", str(logging.CRITICAL)]


# Splitting


def test_statements_come_in_order_without_semicolons(tokenize: Tokenizer) -> None:
    text = "select 1;\n\n  select 2 ;select\n3;"
    assert split(text, tokenize) == ["select 1", "select 2", "select\n3"]


def test_a_trailing_comment_is_no_statement(tokenize: Tokenizer) -> None:
    assert split("select 1; -- done", tokenize) == ["select 1"]
    assert split("select 1;\n/* done; */\n-- really;\n", tokenize) == ["select 1"]
    assert split("select 1; /* a; */ ; -- b\n;", tokenize) == ["select 1"]


@pytest.mark.parametrize(
    "text", ["", "  \n", ";", " ; \n;;", "-- a", "/* a */", "-- a;\n;/* b; */;", "-- a\n--b"]
)
def test_nothing_is_no_statement(tokenize: Tokenizer, text: str) -> None:
    assert split(text, tokenize) == []


def test_the_comments_of_a_statement_stay_in_it(tokenize: Tokenizer) -> None:
    text = "-- first; one\nselect 1 /* a; b */ + 2 -- end;\n; -- second\nselect 3 -- end"
    assert split(text, tokenize) == [
        "-- first; one\nselect 1 /* a; b */ + 2 -- end;",
        "-- second\nselect 3 -- end",
    ]


@pytest.mark.parametrize("literal", ["';'", "'a'';'", "'\n;\n'", "'--;'", "'/*;'", "'é;𝒳'"])
def test_a_semicolon_in_a_literal_ends_nothing(tokenize: Tokenizer, literal: str) -> None:
    assert split(f"select {literal}; select 2", tokenize) == [f"select {literal}", "select 2"]


@pytest.mark.parametrize("name", ["duckdb", "sqlglot-postgres", "sqlglot-trino", "sqlglot-sqlite"])
def test_a_semicolon_in_a_quoted_name_ends_nothing(name: str) -> None:
    text = 'select 1 as "a;b"; select 2'
    assert split(text, TOKENIZERS[name]) == ['select 1 as "a;b"', "select 2"]


@pytest.mark.parametrize("tokenize", WITH_DOLLARS)
def test_a_semicolon_between_dollars_ends_nothing(tokenize: Tokenizer) -> None:
    assert split("select $$;$$, $x$ $$;' $x$; select 2", tokenize) == [
        "select $$;$$, $x$ $$;' $x$",
        "select 2",
    ]


def test_a_command_ends_at_its_semicolon(tokenize: Tokenizer) -> None:
    text = "show tables; explain select ';'; call f(';'); select 1"
    assert split(text, tokenize) == ["show tables", "explain select ';'", "call f(';')", "select 1"]


@pytest.mark.parametrize(
    "text", ["select 1", " select 1 ; ", "(select 1);;\n", "select 'a -- b'", "with é as (x) y"]
)
def test_one_statement_is_not_tokenized(text: str) -> None:
    assert split(text, never) == [text.strip().rstrip("; \n")]


@pytest.mark.parametrize("text", ["select 'a; b", " a; /* b "])
def test_a_text_that_cannot_be_tokenized_is_sent_as_it_is(text: str) -> None:
    assert split(text, unable) == [text]
    assert split(text, sqlglot_tokenizer("postgres")) == [text]


TRIGGER = """create trigger if not exists t after update on a for each row begin
    update b set n = case when new.begin > 1 then 1 else 2 end;
    insert into c values (';');
end"""
PROCEDURE = """CREATE OR REPLACE PROCEDURE p() BEGIN
    IF a THEN SELECT 1; END IF;
    BEGIN SELECT 2; END;
    CASE b WHEN 1 THEN SELECT 3; END CASE;
END"""


@pytest.mark.parametrize("body", [TRIGGER, PROCEDURE])
def test_the_body_of_a_trigger_or_routine_is_part_of_its_statement(tokenize: Tokenizer, body: str) -> None:
    assert split(f"select 0; {body}; select 1", tokenize) == ["select 0", body, "select 1"]


def test_a_trigger_reaches_sqlite_whole() -> None:
    text = f"""
    create table a(begin int); create table b(n int); create table c(x text);
    insert into a values (0); insert into b values (0);
    {TRIGGER};
    update a set begin = 5;
    """
    connection = sqlite3.connect(":memory:")
    for statement in split(text, sqlglot_tokenizer("sqlite")):
        connection.execute(statement)
    assert connection.execute("select b.n, c.x from b, c").fetchall() == [(1, ";")]
    connection.close()


def test_begin_case_and_end_elsewhere_are_ordinary_words(tokenize: Tokenizer) -> None:
    text = (
        "begin; select case when a then b end for update; create table t as select case a when b then c end"
    )
    assert [part.split()[0] for part in split(text, tokenize)] == ["begin", "select", "create"]
    drop = "create function f() returns int return case when a then 1 end; drop trigger begin; select 1"
    assert len(split(drop, tokenize)) == 3


def test_what_is_split_runs_as_duckdb_itself_would_run_it() -> None:
    text = "create table t as select ';' as a; -- x;\ninsert into t values ('b'), ($$;$$) /* ; */; from t;"
    mine, theirs = duckdb.connect(), duckdb.connect()
    for statement in split(text, duckdb_tokenizer):
        rows = mine.execute(statement).fetchall()
    assert rows == theirs.execute(text).fetchall() == [(";",), ("b",), (";",)]


# Hashing


def same(one: str, other: str, tokenize: Tokenizer) -> bool:
    return statement_hash(one, tokenize) == statement_hash(other, tokenize)


@pytest.mark.parametrize(
    "other",
    [
        "select a,b from t where x='1  2' group by a",
        "  select\ta , b\r\nfrom t\n\n where x = '1  2' group    by a ; ",
        "-- what\nselect a, b /* both; */ from t -- x\nwhere x = '1  2' group/* ! */by a;;",
        "select\u00a0a, b from t where x = '1  2' group by a",
    ],
)
def test_layout_and_comments_do_not_change_a_hash(tokenize: Tokenizer, other: str) -> None:
    assert same("select a, b from t where x = '1  2' group by a", other, tokenize)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select '1  2'", "select '1 2'"),
        ("select '1\n2'", "select '1 2'"),
        ("select 'a -- b'", "select 'a'"),
        ("select 'a'", "select 'A'"),
        ("select a", "select b"),
        ("select ab", "select a b"),
        ("select 0x1F", "select 0 x1F"),
        ("select b'01'", "select b '01'"),
        ("select - -1", "select --1"),
        ("select 1 .5", "select 1. 5"),
        ("select 2 ** 3", "select 2 * * 3"),
        ("select :a", "select : a"),
        ("select $1", "select $ 1"),
        ("select 1; select 2", "select 1 select 2"),
        ("select /*+ use(a) */ 1", "select /*+ use(b) */ 1"),
        ("select 1 /*! , 2 */", "select 1"),
    ],
)
def test_whatever_else_differs_changes_the_hash(tokenize: Tokenizer, one: str, other: str) -> None:
    assert not same(one, other, tokenize)


def test_a_quoted_name_is_hashed_as_it_is() -> None:
    assert not same('select "a  b"', 'select "a b"', duckdb_tokenizer)
    assert not same('select "a"', "select a", duckdb_tokenizer)


def test_a_hash_is_sha256_in_hex_and_without_cleanup_that_of_the_text() -> None:
    text = "select  1"
    assert statement_hash(text, never, cleanup=False) == hashlib.sha256(text.encode()).hexdigest()
    assert statement_hash(text, duckdb_tokenizer) == hashlib.sha256(b"select 1").hexdigest()


def test_cleanup_keeps_the_meaning_of_a_statement() -> None:
    text = """
    select {'a': [1,2][1:1], 'b': 1_000}, U -- c
        , 1.5e-3::double, -1 - -1, 'a'
        'b', "q  q", $$ ; $$, 7 // 2, 2 ** 3, count(*)
    from (values (1, 2)) v(U, "q  q") group by all;
    """
    clean = cleanup(text, duckdb_tokenizer)
    assert clean.count("\n") == 1  # two literals on two lines are one
    assert "-- c" not in clean
    assert duckdb.execute(clean).fetchall() == duckdb.execute(text).fetchall()


def test_cleanup_keeps_a_comment_that_the_service_obeys(tokenize: Tokenizer) -> None:
    text = "/*! a */select /*+ use(a) */ b /* not this */ from/*+ c */t -- nor /*! this */\n /*M! d */;"
    assert cleanup(text, tokenize) == "/*! a */ select /*+ use(a) */ b from /*+ c */ t /*M! d */"


@pytest.mark.parametrize("text", ["", " ;; ", "-- a\n"])
def test_cleanup_of_nothing_is_nothing(tokenize: Tokenizer, text: str) -> None:
    assert cleanup(text, tokenize) == ""


def test_what_cannot_be_tokenized_is_cleaned_up_to_itself() -> None:
    assert cleanup(" select 'a ", sqlglot_tokenizer(None)) == " select 'a "
    assert same("\ud800", "\ud800", duckdb_tokenizer)


# Bind parameters


def test_each_marker_becomes_a_placeholder(tokenize: Tokenizer) -> None:
    assert bound("select {x}, f({y})", tokenize, x=1, y="b") == Statement(
        "select $1, f($2)", (BindValue("x", 1), BindValue("y", "b"))
    )


def test_placeholders_are_the_drivers() -> None:
    names: list[tuple[int, str]] = []

    def question_mark(number: int, name: str) -> str:
        names.append((number, name))
        return "?"

    bindings = {X: Binding("a.b", 1), Y: Binding("c", [2, 3])}
    found = place(f"f({X}, {Y})", bindings, duckdb_tokenizer, question_mark)
    assert found.text == "f(?, ?, ?)"
    assert names == [(1, "a_b"), (2, "c_1"), (3, "c_2")]
    assert [parameter.name for parameter in found.parameters] == ["a_b", "c_1", "c_2"]


def test_all_else_in_a_statement_stays_as_it_is(tokenize: Tokenizer) -> None:
    text = "select 5 %  {x} , a ? 'b', '100%', c::int, %s, :d, -- e ? %\n\t'é𝒳' || {y}::text /* % */"
    statement = bound(text, tokenize, x=1, y=2)
    assert statement.text == text.format(x="$1", y="$2")


@pytest.mark.parametrize(
    "text", ["{x}", "({x})", "(1,{x},2)", "a={x}", "{x}!=a", "{x}||'a'", "-{x}", "{x}::int", "a%{x}", "{x};"]
)
def test_operators_may_touch_a_marker(tokenize: Tokenizer, text: str) -> None:
    assert bound(text, tokenize, x=1).text == text.format(x="$1")


@pytest.mark.parametrize("text", ["[{x}]", "a[1:{x}]", "a[{x}:]"])
def test_brackets_may_touch_a_marker_where_they_are_operators(text: str) -> None:
    assert bound(text, duckdb_tokenizer, x=1).text == text.format(x="$1")
    with pytest.raises(DuctTemplateError, match="inside a quoted name"):
        bound(text, sqlglot_tokenizer("sqlite"), x=1)


def test_numbering_begins_anew_in_each_statement(tokenize: Tokenizer) -> None:
    bindings = {X: Binding("x", 1), Y: Binding("y", ["a", "b"])}
    text = f"select ';', {X}; select {Y}; -- end"
    placed = [place(one, bindings, tokenize, lambda i, name: f"${i}") for one in split(text, tokenize)]
    assert [one.text for one in placed] == ["select ';', $1", "select $1, $2"]
    assert [values(one) for one in placed] == [[1], ["a", "b"]]


def test_a_marker_that_is_there_twice_has_two_numbers_and_one_name(tokenize: Tokenizer) -> None:
    statement = bound("select {x} + {x}", tokenize, x=7)
    assert statement == Statement("select $1 + $2", (BindValue("x", 7), BindValue("x", 7)))


def test_names_are_never_shared_by_different_values() -> None:
    bindings = {X: Binding("v", 1), Y: Binding("v", 2), marker(NONCE, 3): Binding("v_2", 3)}
    text = " ".join(bindings)
    names = [one.name for one in place(text, bindings, duckdb_tokenizer, lambda i, name: "?").parameters]
    assert names == ["v", "v_2", "v_2_2"]


def test_thousands_of_values_are_placed_at_once() -> None:
    bindings = {marker(NONCE, n): Binding("v", f"value {n}") for n in range(20_000)}
    began = time.perf_counter()
    statement = place(", ".join(bindings), bindings, duckdb_tokenizer, lambda i, name: "?")
    assert time.perf_counter() - began < 5  # 0.2 s where this was written
    assert len({one.name for one in statement.parameters}) == 20_000


@pytest.mark.parametrize(
    ("collection", "expected"),
    [
        ([3, 1], [3, 1]),
        ((3, 1), [3, 1]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({1}), [1]),
        (range(2), [0, 1]),
        ({"a": 1, "b": 2}.keys(), ["a", "b"]),
        ({"a": 1, "b": 2}.values(), [1, 2]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        ([None, "é"], [None, "é"]),
        (np.array([1.5, 2.5]), [1.5, 2.5]),
        (np.array(["2024-01-02"], dtype="datetime64[ns]"), [datetime(2024, 1, 2)]),
        (pd.Series([1, 2], dtype="int8"), [1, 2]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Index(["a"]), ["a"]),
        (pd.array(["a", None], dtype="string"), ["a", None]),
        (pl.Series([1, None]), [1, None]),
        (pa.array([1, None]), [1, None]),
        (pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_collection_expands_to_a_placeholder_each(collection: Any, expected: list[object]) -> None:
    statement = bound("a in ({x})", duckdb_tokenizer, x=collection)
    assert statement.text == f"a in ({', '.join(f'${n}' for n, _ in enumerate(expected, 1))})"
    assert values(statement) == expected
    assert [type(value) for value in values(statement)] == [type(value) for value in expected]


@pytest.mark.parametrize(
    "value",
    [1, 1.5, True, None, "a'b", b"ab", Decimal("1.10"), date(2024, 1, 2), datetime(2024, 1, 2), {"a": [1]}],
    ids=repr,
)
def test_a_single_value_is_bound_as_it_is(value: object) -> None:
    [found] = values(bound("{x}", duckdb_tokenizer, x=value))
    assert found is value


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        (np.int8(3), 3),
        (np.float32(1.5), 1.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(4), 4),
        (np.datetime64("2024-01-02T03:04:05.000006000", "ns"), datetime(2024, 1, 2, 3, 4, 5, 6)),
        (np.datetime64("2024-01-02"), date(2024, 1, 2)),
        (np.datetime64("NaT"), None),
        (np.timedelta64(1500, "ns"), pd.Timedelta(1500, "ns")),
        (np.timedelta64(2000, "ns"), timedelta(microseconds=2)),
        (np.datetime64(1, "ns"), pd.Timestamp(1)),
        (np.array(1, "M8[ns]"), pd.Timestamp(1)),
        (np.datetime64("12020-01-01"), np.datetime64("12020-01-01")),
        (pd.Timestamp(1000), datetime(1970, 1, 1, 0, 0, 0, 1)),
        (pd.NA, None),
        (pd.NaT, None),
        (pa.scalar(5), 5),
    ],
    ids=repr,
)
def test_scalars_of_libraries_become_pythons(scalar: Any, expected: object) -> None:
    [found] = values(bound("{x}", duckdb_tokenizer, x=scalar))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "empty", [[], (), set(), np.array([]), pd.Series([], dtype=object)], ids=lambda v: type(v).__name__
)
def test_an_empty_collection_is_an_error_that_names_the_variable(empty: Any) -> None:
    with pytest.raises(DuctTemplateError, match="'cities' cannot be bound: it is empty"):
        bound("a in ({cities})", duckdb_tokenizer, cities=empty)


@pytest.mark.parametrize("table", [pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), np.ones((2, 2))])
def test_a_table_is_an_error_that_names_the_variable(table: Any) -> None:
    with pytest.raises(DuctTemplateError, match="'cities' cannot be bound: it is a table"):
        bound("a in ({cities})", duckdb_tokenizer, cities=table)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 'a {x}'", "inside a literal"),
        ("select '{x}'", "inside a literal"),
        ("select 1 -- {x}\n, 2", "inside a comment"),
        ("select 1 /* {x} */", "inside a comment"),
        ("-- {x}\nselect 1", "inside a comment"),
        ("select abc{x}", "to what stands beside it"),
        ("select {x}abc", "to what stands beside it"),
        ("select 5{x}", "to what stands beside it"),
        ("select {x}5", "to what stands beside it"),
        ("select {x}{x}", "to what stands beside it"),
        ("select 'a'{x}", "to what stands beside it"),
        ("select t.{x}", "to what stands beside it"),
        ("select {x}.a", "to what stands beside it"),
        ("select ${x}", "to what stands beside it"),
        ("select @{x}", "to what stands beside it"),
    ],
)
def test_a_marker_in_the_wrong_place_is_an_error_that_names_the_variable(
    tokenize: Tokenizer, text: str, reason: str
) -> None:
    with pytest.raises(DuctTemplateError) as caught:
        bound(text, tokenize, x="a secret")
    assert f"'x' cannot be bound {reason}" in str(caught.value)
    assert "a secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["duckdb", "sqlglot-postgres", "sqlglot-trino", "sqlglot-sqlite"])
@pytest.mark.parametrize("text", ['select "{x}"', 'select "a {x} b"'])
def test_a_marker_in_a_quoted_name_is_an_error_that_says_how_to_write_names(name: str, text: str) -> None:
    with pytest.raises(DuctTemplateError, match=r"'x' cannot be bound inside a quoted name.*\| identifier"):
        bound(text, TOKENIZERS[name], x=1)


@pytest.mark.parametrize("tokenize", WITH_DOLLARS)
def test_a_marker_between_dollars_is_inside_a_literal(tokenize: Tokenizer) -> None:
    with pytest.raises(DuctTemplateError, match="'x' cannot be bound inside a literal"):
        bound("select $$ {x} $$", tokenize, x=1)


def test_an_altered_marker_is_an_error(tokenize: Tokenizer) -> None:
    with pytest.raises(DuctTemplateError, match="'x' cannot be bound when another filter follows"):
        place(f"select {X.upper()}", {X: Binding("x", 1)}, tokenize, lambda i, name: "?")


def test_nothing_can_be_bound_where_tokens_cannot_be_found() -> None:
    with pytest.raises(DuctTemplateError, match="'x' cannot be bound: no end is found"):
        bound("select {x}, 'a", sqlglot_tokenizer("postgres"), x=1)


def test_what_looks_like_a_marker_and_is_none_stays(tokenize: Tokenizer) -> None:
    other = marker("f" * 16, 1)
    statement = bound(f"select {{x}}, {other}, '{other}', \"bind\"", tokenize, x=1)
    assert statement.text == f"select $1, {other}, '{other}', \"bind\""


def test_without_bindings_nothing_is_tokenized() -> None:
    text = f"select 1 % 2, {X}"
    assert place(text, {}, never, lambda i, name: "?") == Statement(text, ())
    assert shown(text, {}, never) == text
    assert place("select 1", {X: Binding("x", 1)}, never, lambda i, name: "?") == Statement("select 1", ())


def test_placed_values_reach_duckdb() -> None:
    statement = bound(
        "select a from range(9) t(a) where a in ({x}) and a::text != {y} -- {{}}",
        duckdb_tokenizer,
        x=np.array([1, 3, 5]),
        y="3",
    )
    rows = duckdb.execute(statement.text, values(statement)).fetchall()
    assert rows == [(1,), (5,)]


# For a person to read


def test_shown_names_the_values_and_lists_them_beneath(tokenize: Tokenizer) -> None:
    bindings = {X: Binding("day", date(2024, 1, 2)), Y: Binding("city.names", ["a'b", "é"])}
    text = f"select {X}, ';' where c in ({Y}) and d > {X};\n"
    assert shown(text, bindings, tokenize).splitlines() == [
        "select :day, ';' where c in (:city_names_1, :city_names_2) and d > :day;",
        "-- :day = datetime.date(2024, 1, 2)",
        """-- :city_names_1 = "a'b\"""",
        "-- :city_names_2 = 'é'",
    ]


def test_no_line_of_a_value_leaves_its_comment() -> None:
    class Wide:
        def __repr__(self) -> str:
            return "a\nselect 2"

    text = shown(f"select {X}", {X: Binding("x", Wide())}, duckdb_tokenizer)
    assert text == "select :x\n-- :x = a select 2"


def test_shown_refuses_what_place_refuses(tokenize: Tokenizer) -> None:
    with pytest.raises(DuctTemplateError, match="'x' cannot be bound inside a literal"):
        shown(f"select '{X}'", {X: Binding("x", 1)}, tokenize)
