"""Names of tables, level by level."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from omniduct.databases._namespaces import ParsedNamespaces as FromTheOldPath
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.errors import DuctConfigError

LEVELS = ["catalog", "schema", "table"]


def parse(
    name: str | ParsedNamespaces | None, levels: list[str] = LEVELS, **options: Any
) -> ParsedNamespaces:
    return ParsedNamespaces.from_name(name, levels, **options)


def test_the_last_part_belongs_to_the_last_level() -> None:
    name = parse("sales.trips")
    assert (name.catalog, name.schema, name.table) == (None, "sales", "trips")
    assert name.as_dict() == {"catalog": None, "schema": "sales", "table": "trips"}
    assert list(name.as_dict()) == LEVELS


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ('"a.b".c', ["a.b", "c"]),
        ('"say ""hi"" there".c', ['say "hi" there', "c"]),
        ('"a""".""""', ['a"', '"']),
        (' a . "b" ', ["a", "b"]),
        ("größe.名前", ["größe", "名前"]),
        ("my table", ["my table"]),
        ('a"b.c', ['a"b', "c"]),
        ("`a`.b", ["`a`", "b"]),
    ],
)
def test_a_quoted_part_may_hold_separators_and_doubled_quotes(name: str, parts: list[str]) -> None:
    assert [part for part in parse(name).as_dict().values() if part] == parts


@pytest.mark.parametrize("part", ["a", "a.b", 'a"b', '"', '""', ".", " a ", "é"])
def test_what_is_rendered_is_read_as_the_same_name(part: str) -> None:
    name = ParsedNamespaces({"catalog": None, "schema": part, "table": part})
    assert parse(str(name)) == name


def test_other_quotes_and_separators_are_read_and_rendered() -> None:
    name = parse("`a/b`/`c``d`", quote_char="`", separator="/")
    assert (name.schema, name.table) == ("a/b", "c`d")
    assert str(name) == "`a/b`/`c``d`"
    assert name.render(quote_char='"', separator=".") == '"a/b"."c`d"'
    assert name.parent.render() == "`a/b`"
    assert parse("a::b", separator="::").as_dict() == {"catalog": None, "schema": "a", "table": "b"}


def test_without_a_quote_character_parts_are_bare() -> None:
    assert parse("a.b").render(quote_char="") == "a.b"
    assert str(parse('a."b"', quote_char="")) == 'a."b"'


def test_the_levels_left_out_come_from_the_defaults() -> None:
    name = parse("trips", defaults={"catalog": "hive", "schema": "sales", "table": "never"})
    assert str(name) == '"hive"."sales"."trips"'
    assert str(parse("a.b.c", defaults={"catalog": "hive"})) == '"a"."b"."c"'
    assert str(parse(None, ["catalog", "schema"], defaults={"schema": "sales"})) == '"sales"'


def test_a_level_above_one_that_stays_empty_stays_empty_too() -> None:
    assert str(parse("trips", defaults={"catalog": "hive"})) == '"trips"'
    assert str(parse(None, defaults={"catalog": "hive"})) == '"hive"'


@pytest.mark.parametrize("name", [None, "", "  "])
def test_no_name_is_false_and_empty(name: str | None) -> None:
    empty = parse(name)
    assert not empty
    assert str(empty) == ""
    assert empty.name is None
    assert empty.table is None


def test_the_name_is_the_innermost_one_and_the_parent_all_above_it() -> None:
    name = parse("hive.sales.trips")
    assert name
    assert name.name == "trips"
    assert name.parent.as_dict() == {"catalog": "hive", "schema": "sales"}
    assert name.parent.name == "sales"
    assert name.parent.parent.parent.as_dict() == {}
    assert not name.parent.parent.parent


def test_a_parsed_name_is_fitted_to_other_levels() -> None:
    name = parse('sales."a.b"')
    assert parse(name) == name
    assert parse(name, ["schema", "table"]).as_dict() == {"schema": "sales", "table": "a.b"}
    assert parse(name.parent, ["schema"]).schema == "sales"
    assert str(parse(name, quote_char="`")) == "`sales`.`a.b`"
    with pytest.raises(DuctConfigError, match="2 parts"):
        parse(name, ["table"])


def test_too_many_parts_are_refused_with_the_name_and_the_levels() -> None:
    with pytest.raises(DuctConfigError) as caught:
        parse("a.b.c.d")
    assert "'a.b.c.d' has 4 parts" in str(caught.value)
    assert "catalog.schema.table" in str(caught.value)


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", '"".a', "."])
def test_an_empty_part_is_refused(name: str) -> None:
    with pytest.raises(DuctConfigError, match="empty part"):
        parse(name)


@pytest.mark.parametrize(("name", "reason"), [('"a.b', "not closed"), ('"a"b.c', "after a part in quotes")])
def test_a_quote_that_does_not_end_a_part_is_refused(name: str, reason: str) -> None:
    with pytest.raises(DuctConfigError, match=reason):
        parse(name)


def test_a_level_that_is_none_names_the_nearest() -> None:
    with pytest.raises(AttributeError, match="no level 'shema': did you mean 'schema'"):
        _ = parse("a.b").shema
    with pytest.raises(AttributeError, match="the levels are catalog, schema, table"):
        _ = parse("a.b").zzz


def test_names_are_equal_by_their_levels_and_can_be_keys() -> None:
    assert parse('"a"."b"') == parse("a.b")
    assert len({parse('"a"."b"'), parse("a.b"), parse("a.c")}) == 2
    assert parse("a.b") != parse("a.b", ["schema", "table"])
    assert parse("a.b") != "a.b"


def test_copies_and_pickles_are_the_same_name() -> None:
    name = parse('sales."a.b"')
    for other in (copy.copy(name), copy.deepcopy(name), pickle.loads(pickle.dumps(name))):
        assert other == name
        assert str(other) == str(name)


def test_completion_offers_the_levels() -> None:
    assert set(LEVELS) | {"name", "parent", "render"} <= set(dir(parse("a")))


def test_the_old_import_path_gives_the_same_class() -> None:
    assert FromTheOldPath is ParsedNamespaces
