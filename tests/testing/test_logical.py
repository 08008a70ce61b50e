"""When two values are the same, and when one is all there in another type."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import pytest

from omniduct.testing import Facts, Value
from omniduct.testing.logical import preserved, same

UTC = datetime.timezone.utc
NOON = datetime.datetime(2020, 1, 1, 12, tzinfo=UTC)
ZONE = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (True, 1, False),
        (math.nan, math.nan, True),
        (None, math.nan, False),
        (0.0, -0.0, False),
        (2**53, 2**53 + 1, False),
        (Decimal("1.0"), Decimal("1.0"), True),
        (NOON, NOON.astimezone(ZONE), True),
        (NOON, NOON.replace(tzinfo=None), False),
        ([1, None], [1, None], True),
        ([1, 2.0], [1, 2], False),
    ],
)
def test_same_values_are_of_one_type(one: Any, other: Any, expected: bool) -> None:
    assert same(one, other) is expected


@pytest.mark.parametrize(
    ("found", "stored", "expected"),
    [
        (1, True, True),
        (Decimal(2**64 - 1), 2**64 - 1, True),
        (float(2**53), 2**53 + 1, False),
        ("2020-01-01 12:00:00.000000Z", NOON, True),
        ("2020-01-01 12:00:00", NOON.replace(tzinfo=None), True),
        ("2020-01-01 12:00:01", NOON.replace(tzinfo=None), False),
        (NOON.replace(tzinfo=None), NOON, True),
        (datetime.timedelta(hours=12), datetime.time(12), True),
        ("[1, null]", [1, None], True),
        (None, 0, False),
    ],
)
def test_a_value_is_preserved_in_a_type_with_room_for_it(found: Any, stored: Any, expected: bool) -> None:
    assert preserved(found, stored) is expected


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (-3, "-3"),
        (0.5, "'0.5'"),
        (Decimal("1E-10"), "'0.0000000001'"),
        ("it's", "'it''s'"),
        (b"\x00\xff", "X'00ff'"),
        (NOON, "'2020-01-01 12:00:00+00:00'"),
        ([1, None], "'[1, null]'"),
        (Value(1, "ONE"), "ONE"),
    ],
)
def test_values_are_spelt_as_most_services_read_them(value: Any, literal: str) -> None:
    assert Facts("x", types={}).literal(value) == literal
