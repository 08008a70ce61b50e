"""Pages of rows in Arrow: by the reader of CSV where that is exact, and by JSON where it is not."""

from __future__ import annotations

import json
import random
import warnings
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from omniduct.databases.presto.columns import Columns
from omniduct.databases.presto.pages import parted, whole_rows
from omniduct.databases.presto.types import SqlType, parsed
from omniduct.errors import DuctStatementError, DuctWarning


def columns(*types: str) -> Columns:
    return Columns([{"name": f"c{n}", "type": kind} for n, kind in enumerate(types)], "trino")


def page(rows: list[list[Any]]) -> bytes:
    """Rows as the servers write them: without white space, and with no character escaped that need not be."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


NASTY = [
    "",
    "null",
    "],[",
    "[[",
    "]]",
    '"',
    "\\",
    "\\n",
    "\n",
    "\t",
    "\r\n",
    "\b\f",
    "a,b",
    "'",
    "ž🐎",
    "\x01",
    "\x7f",
    "NaN",
]


def test_a_flat_page_is_read_as_csv() -> None:
    rows = page([[1, "a", 0.5, "2020-01-02", "1.50", None], [None, None, None, None, None, True]])
    made = columns("bigint", "varchar", "double", "date", "decimal(5,2)", "boolean")
    assert made._by_csv(rows) is not None
    assert made.table(rows).num_rows == 2


def test_texts_survive_whatever_they_hold() -> None:
    rng = random.Random(7)
    texts = [None, *NASTY, *("".join(rng.choices(NASTY, k=5)) for _ in range(500))]
    for chunk in ([text] for text in texts), [texts]:
        for some in chunk:
            rows = page([[text, 1] for text in some])
            assert columns("varchar", "integer").table(rows).column(0).to_pylist() == some


@pytest.mark.parametrize("text", ["a],[b", "\x01", "\x00"])
def test_a_page_that_is_not_as_good_as_csv_is_read_as_json(text: str) -> None:
    rows = page([[text], ["x"]])
    assert columns("varchar")._by_csv(rows) is None
    assert columns("varchar").table(rows).column(0).to_pylist() == [text, "x"]


def test_a_page_of_one_column_with_nulls_and_empty_texts_keeps_its_rows() -> None:
    rows = page([[None], [""], [None], ["null"]])
    assert columns("varchar").table(rows).column(0).to_pylist() == [None, "", None, "null"]


def test_nested_values_are_read_as_json_and_those_that_come_as_text_as_csv() -> None:
    as_json, as_text = page([[1, [1, 2]], [2, None]]), page([[1, "[ 1, 2 ]"], [2, None]])
    for rows, by_csv in ((as_json, False), (as_text, True)):
        made = columns("integer", "array(integer)")
        assert made.table(rows).column(1).to_pylist() == [[1, 2], None]
        assert (made._by_csv(rows) is not None) is by_csv


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_rows_that_are_cut_anywhere_come_whole_and_once(size: int) -> None:
    rng = random.Random(size)
    rows = [[n, rng.choice([None, "".join(rng.choices(NASTY, k=3))])] for n in range(300)]
    text = page(rows)
    parts = list(whole_rows(text[start : start + size] for start in range(0, len(text), size)))
    assert [row for part in parts for row in json.loads(part)] == rows
    assert len(parts) > min(100, len(text) // size // 2)
    made = columns("bigint", "varchar")
    assert pa.concat_tables(map(made.table, parts)).to_pydict() == made.table(text).to_pydict()


def test_no_blocks_are_no_rows() -> None:
    assert list(whole_rows([])) == []


def test_the_zone_of_the_first_page_stays_that_of_the_column() -> None:
    made = columns("timestamp(3) with time zone")
    first = made.table(page([["2020-07-05 01:02:03.000 Europe/Paris"], [None]]))
    second = made.table(page([["2020-07-05 01:02:03.000 UTC"]]))
    assert first.schema.types == second.schema.types == [pa.timestamp("ms", "Europe/Paris")]
    assert second.column(0)[0].as_py().isoformat() == "2020-07-05T03:02:03+02:00"


@pytest.mark.parametrize("kind", ["timestamp(3) with time zone", "array(timestamp(3) with time zone)"])
def test_an_hour_that_a_clock_showed_twice_is_said_once_a_column(kind: str) -> None:
    made = columns(kind)

    def rows(*texts: str) -> bytes:
        return page([[[text] if "array" in kind else text] for text in texts])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.table(rows("2020-10-25 01:59:59.999 Europe/Paris", "2020-10-25 03:00:00.000 Europe/Paris"))
    said = (
        "trino: '2020-10-25 02:30:00.000 Europe/Paris' in the column 'c0' is an hour that the clocks there "
        "showed twice, and the server does not say which is meant: such moments are taken for the first. "
        "To have them exactly, add AT TIME ZONE 'UTC' in the statement"
    )
    twice = rows("2020-10-25 01:00:00.000 Europe/Paris", "2020-10-25 02:30:00.000 Europe/Paris")
    with pytest.warns(DuctWarning) as warned:
        found = made.table(twice)
        made.table(twice)
    assert [str(each.message) for each in warned] == [said]
    values = pc.list_flatten(found.column(0)) if "array" in kind else found.column(0)
    assert values.cast(pa.timestamp("ms", "UTC"))[1].as_py().isoformat() == "2020-10-25T00:30:00+00:00"


def test_a_value_that_its_type_cannot_hold_names_the_column() -> None:
    with pytest.raises(DuctStatementError, match="trino: the column 'c0' cannot be read"):
        columns("tinyint").table(page([[300]]))


OBJECT = {"x": 16, "y": [1, 'ž"\\']}


@pytest.mark.parametrize(
    "values",
    [
        [OBJECT, None, OBJECT],
        [[[1], [2]], [[3], [4]]],
        [None, [], {}],
        [True, 1, "a],[b"],
        ["[1]", None, "{}"],
    ],
    ids=repr,
)
def test_values_of_a_type_that_is_not_known_are_the_text_of_their_json(values: list[Any]) -> None:
    texts = [
        value
        if value is None or isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for value in values
    ]
    for n in range(1, len(values) + 1):
        assert columns("bingtile").table(page([[value] for value in values[:n]])).to_pydict() == {
            "c0": texts[:n]
        }
        one = columns("integer", "bingtile", "varchar").table(page([[1, value, "x"] for value in values[:n]]))
        assert one.to_pydict() == {"c0": [1] * n, "c1": texts[:n], "c2": ["x"] * n}


def test_a_column_of_nulls_does_not_vouch_for_the_pages_behind() -> None:
    made = columns("array(integer)", "bingtile")
    made.table(page([["[ 1 ]", None]]))
    assert not made.is_flat
    assert made.table(page([["[ 2 ]", [[1], [2]]]])).to_pydict() == {"c0": [[2]], "c1": ["[[1],[2]]"]}
    made.table(page([["[ 1 ]", "x"]]))
    assert made.is_flat


DIGITS = ["1.12345678901234567890123", "1.50", "123456789012345678901234567890", "1E+400", "-0.0"]


def test_numbers_of_a_type_that_is_not_known_keep_their_digits() -> None:
    for text in DIGITS:
        flat = columns("number", "double", "bigint").table(f"[[{text},0.1,{2**63 - 1}]]".encode())
        assert flat.to_pydict() == {"c0": [text], "c1": [0.1], "c2": [2**63 - 1]}
        rows = f'[[[{text}],{{"k":{text}}},{{"a":{text}}}],["[ {text} ]",null,null]]'
        nested = columns("array(number)", "map(varchar,number)", "number").table(rows.encode())
        assert nested.to_pydict() == {
            "c0": [[text], [text]],
            "c1": [[("k", text)], None],
            "c2": [f'{{"a":{text}}}', None],
        }


def test_half_of_a_character_is_shown_as_none() -> None:
    rows = rb'[["a\ud83d"],["\ud83d\ude00"],[null]]'
    assert columns("varchar").table(rows).to_pydict() == {"c0": ["a\ufffd", "😀", None]}
    assert columns("array(varchar)").table(rb'[[["\udc00"]]]').to_pydict() == {"c0": [["\ufffd"]]}


@pytest.mark.parametrize("rows", [b'[["\xff"]]', b'[["a]]', b"<html>", b'[[{"a":1}]]'])
def test_what_is_none_of_the_type_is_an_error_of_a_statement(rows: bytes) -> None:
    with pytest.raises(DuctStatementError, match=r"trino: the (rows|column 'c0') cannot be read: "):
        columns("bigint").table(rows)


def test_the_quotes_in_names_of_fields_are_those_of_the_server() -> None:
    made = Columns(
        [{"name": "x", "type": 'row("a""""b" integer)', "typeSignature": {"literalArguments": ['a""b']}}],
        "presto",
    )
    assert made.table(b'[["[ 1 ]"]]').to_pydict() == {"x": [{'a"b': 1}]}
    assert columns('row("a""""b" integer)').table(b"[[[1]]]").to_pydict() == {"c0": [{'a""b': 1}]}


def test_a_page_is_parted_from_its_rows() -> None:
    said = {
        "id": "x",
        "columns": [{"name": "data"}],
        "data": [[']],"stats":{', 1]],
        "stats": {"state": "RUNNING"},
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    rest, rows = parted(body)
    assert json.loads(rest) == {**said, "data": None}
    assert rows is not None
    assert json.loads(rows) == said["data"]


def test_what_is_no_page_of_rows_is_left_whole() -> None:
    body = b'{"id":"x","data":{"segments":[]},"stats":{}}'
    assert parted(body) == (body, None)


@pytest.mark.parametrize(
    ("text", "name", "numbers", "fields"),
    [
        ("decimal(12, 2)", "decimal", (12, 2), ()),
        ("timestamp(3) with time zone", "timestamp with time zone", (3,), ()),
        ("INTERVAL DAY TO SECOND", "interval day to second", (), ()),
        ('row("a b" bigint, c row(d double))', "row", (), ("a b", "c")),
        ("row(timestamp timestamp(3), time time(3) with time zone)", "row", (), ("timestamp", "time")),
        (
            "row(integer, varchar(1), interval day to second, timestamp(3) with time zone)",
            "row",
            (),
            tuple(f"field{n}" for n in range(4)),
        ),
        ("row(a integer, a varchar)", "row", (), ("a", "a1")),
        ('row("quoted ""name""" integer)', "row", (), ('quoted "name"',)),
        ("qdigest(bigint)", "qdigest", (), ()),
        (
            "test.enum.mood:VarcharEnum(test.enum.mood{x})",
            "test.enum.mood:varcharenum",
            (),
            (),
        ),
    ],
)
def test_types_are_read_from_their_text(
    text: str, name: str, numbers: tuple[int, ...], fields: tuple[str, ...]
) -> None:
    found = parsed(text)
    assert (found.name, found.numbers, found.fields) == (name, numbers, fields)


def test_nested_types_are_read_to_the_bottom() -> None:
    found = parsed("map(varchar, array(row(x decimal(5,2), y map(bigint, boolean))))")
    row = found.children[1].children[0]
    assert row.children == (
        SqlType("decimal", (5, 2)),
        SqlType("map", (), (SqlType("bigint"), SqlType("boolean"))),
    )
