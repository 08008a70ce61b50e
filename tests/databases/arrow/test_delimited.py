from __future__ import annotations

import csv
import datetime
import io
import json
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from omniduct.databases.arrow.delimited import CsvText, HiveText, encoded
from omniduct.databases.arrow.text import text_column, text_of
from omniduct.errors import DuctArgumentError


def text(table: pa.Table, **params: Any) -> str:
    return "".join(str(encoded(CsvText(**params).lines(batch)), "utf-8") for batch in table.to_batches())


def hive(*values: Any, **params: Any) -> str:
    batch = pa.record_batch([pa.array([value]) for value in values], [str(n) for n in range(len(values))])
    return str(HiveText(**params).lines(batch)[0])


AWKWARD = [
    "plain",
    "a,b",
    'say "x"',
    '"',
    "two\nlines",
    "cr\rlf\r\n",
    "emoji 🦆",
    " spaces ",
    "",
    None,
    "a;b\t",
]


def test_awkward_text_comes_back_from_the_csv_module() -> None:
    table = pa.table({"x": AWKWARD, "n": range(len(AWKWARD))})
    found = list(csv.reader(io.StringIO(text(table), newline="")))
    assert found == [[value or "", str(n)] for n, value in enumerate(AWKWARD)]


def test_awkward_text_comes_back_from_duckdb_with_its_nulls(tmp_path: Any) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(text(pa.table({"x": AWKWARD, "n": range(len(AWKWARD))})).encode())
    query = (
        "SELECT x FROM read_csv(?, header=false, names=['x', 'n'], allow_quoted_nulls=false, new_line='\\n')"
    )
    with duckdb.connect() as connection:
        assert [row[0] for row in connection.execute(query, [str(file)]).fetchall()] == AWKWARD


def test_only_what_has_to_be_is_quoted() -> None:
    table = pa.table({"a": ["x", None, ""], "b": [1, None, -3], "c": [0.5, None, 1e300]})
    assert text(table) == 'x,1,0.5\n,,\n"",-3,1e+300\n'


def test_the_row_of_one_null_is_no_empty_line() -> None:
    assert text(pa.table({"a": [None, "x"]})) == '""\nx\n'


def test_text_that_reads_as_null_is_quoted() -> None:
    table = pa.table({"a": ["NULL", None, "", "NULLS"], "b": [1, None, 2, 3]})
    assert text(table, null="NULL") == '"NULL",1\nNULL,NULL\n,2\nNULLS,3\n'


@pytest.mark.parametrize("delimiter", [".", "-", " ", ":", "1", "||"])
def test_a_number_with_the_delimiter_in_it_is_quoted(delimiter: str) -> None:
    table = pa.table({"a": [-1.5], "t": [datetime.datetime(2021, 1, 1)]})
    line = text(table, delimiter=delimiter)
    if len(delimiter) == 1:
        assert next(csv.reader([line], delimiter=delimiter)) == ["-1.5", "2021-01-01 00:00:00.000000"]
    else:
        assert line == "-1.5||2021-01-01 00:00:00.000000\n"


def test_quoting_can_be_asked_for() -> None:
    table = pa.table({"a": ["x", None], "b": [1, None]})
    assert text(table, quoting=csv.QUOTE_ALL) == '"x","1"\n,\n'
    assert text(table, quoting=csv.QUOTE_NONNUMERIC, quotechar="'") == "'x',1\n,\n"


def test_values_cannot_be_left_without_quotes() -> None:
    with pytest.raises(DuctArgumentError, match=f"quoting={csv.QUOTE_NONE} is none of"):
        CsvText(quoting=csv.QUOTE_NONE)


def test_a_header_is_quoted_as_values_are() -> None:
    assert CsvText().header(["a,b", "", "c"]) == '"a,b","",c\n'
    assert HiveText().header(["a\tb", "c"]) == "a\\\tb\tc\n"


def hive_reads(line: str) -> list[str | None]:
    """What Hive's LazySimpleSerDe makes of a line: it splits at a tab without a backslash before it."""
    fields, field = [], ""
    characters = iter(line.removesuffix("\n"))
    for character in characters:
        if character == "\t":
            fields.append(field)
            field = ""
        else:
            field += character + (next(characters, "") if character == "\\" else "")
    return [None if raw == "\\N" else hive_unescapes(raw) for raw in [*fields, field]]


def hive_unescapes(raw: str) -> str:
    value, characters = "", iter(raw)
    for character in characters:
        if character == "\\":
            character = next(characters, "\\")
            character = {"n": "\n", "r": "\r"}.get(character, character)
        value += character
    return value


@pytest.mark.parametrize(
    "value", ["a\tb", "back\\slash", "\\", "\\N", "\\n", "two\nlines", "\r\n", "", None, "a\\\tb", "🦆", '"']
)
def test_awkward_text_comes_back_from_hive(value: str | None) -> None:
    line = hive("before", value, "after")
    assert line.count("\n") == 1 and "\r" not in line
    assert hive_reads(line) == ["before", value, "after"]


def test_hive_has_null_as_backslash_n_and_bytes_as_base64() -> None:
    assert hive(None, 1, True, b"\xff\t", "x") == "\\N\t1\ttrue\t/wk=\tx\n"


def test_hive_escapes_the_delimiter_that_it_is_given() -> None:
    assert hive("a\x01b", "c\td", delimiter="\x01") == "a\\\x01b\x01c\td\n"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", "true"),
        ("9007199254740993", "9007199254740993"),
        ("0.1::DOUBLE", "0.1"),
        ("1.50::DECIMAL(9, 2)", "1.50"),
        ("DATE '0001-01-01'", "0001-01-01"),
        ("DATE 'infinity'", "5881580-07-11"),
        ("TIMESTAMP '2020-01-01 01:02:03.4'", "2020-01-01 01:02:03.400000"),
        ("TIMESTAMP_NS '2020-01-01 00:00:00.000000001'", "2020-01-01 00:00:00.000000001"),
        ("TIMESTAMPTZ '2020-07-01 12:00:00+00'", "2020-07-01 14:00:00.000000+0200"),
        ("TIME '24:00:00'", "24:00:00"),
        ("'\\xFF\\x00'::BLOB", "ff00"),
        ("'x'::ENUM('x')", "x"),
        ("[1, NULL]", "[1, null]"),
        ("{'a': {'b': 'é\"'}}", '{"a": {"b": "é\\""}}'),
        ("MAP {1: DATE '2020-01-01'}", '{"1": "2020-01-01"}'),
        ("[1.5::DECIMAL(2, 1)]", '["1.5"]'),
        ("'{\"a\": 1}'::JSON", '{"a": 1}'),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("(-5)::HUGEINT", "-5"),
        ("'0101'::BIT", "0101"),
    ],
)
def test_every_type_has_a_text(expression: str, expected: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'Europe/Berlin'")
        connection.execute("SET arrow_lossless_conversion = true")
        query = f"SELECT {expression} AS x UNION ALL SELECT NULL"
        column = connection.sql(query).to_arrow_table().column(0)
    assert [value for chunk in column.chunks for value in text_column(chunk).to_pylist()] == [expected, None]


@pytest.mark.parametrize(
    "interval", ["1 month 2 days 3.5 seconds", "-1 month", "0 days", "-0.000001 seconds"]
)
def test_databases_read_the_text_of_an_interval(interval: str) -> None:
    with duckdb.connect() as connection:
        query = f"SELECT INTERVAL '{interval}' AS x"
        written = text_column(connection.sql(query).to_arrow_table().column(0).chunk(0))[0].as_py()
        assert connection.execute(f"SELECT INTERVAL '{written}' = INTERVAL '{interval}'").fetchone() == (
            True,
        )


def test_nested_values_are_json() -> None:
    value = {
        "a": [None, True, 1, 0.5, "x", b"\x01", Decimal("1.5"), datetime.date(2020, 1, 1)],
        2: {None: ()},
    }
    assert json.loads(text_of(value)) == {
        "a": [None, True, 1, 0.5, "x", "01", "1.5", "2020-01-01"],
        "2": {"null": []},
    }


def test_a_part_of_the_lines_is_that_part_of_the_text() -> None:
    lines = pa.array(["a\n", "bc\n", "d\n"], pa.large_string())
    assert bytes(encoded(lines.slice(1, 1))) == b"bc\n"
    assert bytes(encoded(lines.slice(3))) == b""
    assert bytes(encoded(pa.array([], pa.large_string()))) == b""
