"""What SHOW CREATE says: texts as Trino and Presto give them."""

from __future__ import annotations

import pytest

from omniduct.databases.presto.definitions import Definition, read

TABLE = """CREATE TABLE iceberg.s.t (
   ts timestamp(6) COMMENT 'it''s ) WITH (x = 1) ',
   "a, ""b" varchar NOT NULL,
   r ROW(x integer, y varchar(5))
)
COMMENT 'a ''quoted''
WITH (n = 1)'
WITH (
   format = 'ORC',
   format_version = 2,
   "odd name" = 'it''s',
   extra_properties = map_from_entries(ARRAY[ROW('a', '1')]),
   flags = ARRAY[true,false],
   partitioning = ARRAY['day(ts)','bucket("a, ""b", 4)','truncate(n, 10)', 'n', 'ts'],
   sorted_by = ARRAY['n ASC NULLS FIRST']
)"""


def test_properties_and_comment_stand_behind_the_columns() -> None:
    found = read(TABLE)
    assert found.comment == "a 'quoted'\nWITH (n = 1)"
    assert found.properties == {
        "format": "ORC",
        "format_version": "2",
        "odd name": "it's",
        "extra_properties": "map_from_entries(ARRAY[ROW('a', '1')])",
        "flags": "ARRAY[true,false]",
        "partitioning": r'["day(ts)", "bucket(\"a, \"\"b\", 4)", "truncate(n, 10)", "n", "ts"]',
        "sorted_by": '["n ASC NULLS FIRST"]',
    }
    assert found.partitions == ["ts", 'a, "b', "n"]


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("CREATE VIEW m.s.v AS\nWITH x (a) AS (SELECT 1) SELECT a FROM x WITH (b = 1)", None),
        ("CREATE VIEW m.s.v COMMENT 'c' SECURITY INVOKER AS\nSELECT 'COMMENT' COMMENT", "c"),
        ('CREATE VIEW "m"."s"."v" (a, b) COMMENT \'c\' AS\nSELECT 1, 2', "c"),
    ],
)
def test_what_a_view_selects_is_no_property(text: str, comment: str | None) -> None:
    assert read(text) == Definition(comment)


@pytest.mark.parametrize("text", ["", "CREATE TABLE t (a integer)", "CREATE TABLE t (a integer", "it's none"])
def test_nothing_is_made_of_what_says_nothing(text: str) -> None:
    assert read(text) == Definition()
    assert read(text).partitions == []
