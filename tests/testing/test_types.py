"""The tables of types: made, put into a document, and read back."""

from __future__ import annotations

import pytest

from omniduct.errors import DuctConfigError
from omniduct.testing.types import Measured, inserted, read, table_of_types

INTEGER = ("int64", "int64, Int64 with nulls", "Int64", "int")
FOUND = {
    "One": {
        "int64": Measured("BIGINT", *INTEGER),
        "text": Measured("TEXT", "string", "str", "String", "str"),
    },
    "Other": {
        "int64": Measured("INTEGER", *INTEGER),
        "own": Measured("POINT", "binary", "objects", "Binary", "bytes"),
    },
    "Third": {"int64": Measured("NUMBER", "double", "float64", "Float64", "float")},
}
DOCUMENT = "# Title\n<!-- types -->\nold\n<!-- /types -->\nend\n"


def test_services_that_give_the_same_share_a_row() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table_of_types(FOUND).splitlines()]
    assert rows[0][1:4] == list(FOUND)
    assert [row[:5] for row in rows[2:]] == [
        ["int64", "`BIGINT`", "`INTEGER`", "–", "int64"],
        ["int64", "–", "–", "`NUMBER`", "double"],
        ["text", "`TEXT`", "–", "–", "string"],
        ["own", "–", "`POINT`", "–", "binary"],
    ]


def test_what_is_put_into_a_document_is_read_back() -> None:
    text = inserted(DOCUMENT, table_of_types(FOUND))
    assert read(text) == FOUND
    assert text.startswith("# Title\n<!-- types -->\n|")
    assert text.endswith("|\n<!-- /types -->\nend\n")
    assert inserted(text, table_of_types(FOUND)) == text


def test_several_tables_are_read_as_one() -> None:
    some, others = {"One": FOUND["One"]}, {"Other": FOUND["Other"], "Third": FOUND["Third"]}
    text = inserted(DOCUMENT, table_of_types(some), table_of_types(others))
    assert text.count("\n|--") == 2
    assert read(text) == FOUND
    assert inserted(text, table_of_types(some), table_of_types(others)) == text


def test_a_document_without_tables_says_nothing() -> None:
    assert read(inserted(DOCUMENT, "")) == {}


def test_a_document_without_the_marks_is_refused() -> None:
    with pytest.raises(DuctConfigError, match="no marks"):
        inserted("# Title\n", "")
