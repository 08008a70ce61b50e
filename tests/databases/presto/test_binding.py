"""Bind values as the servers take them: whole, or refused."""

from __future__ import annotations

import datetime
import decimal
import enum
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.services.presto import Presto
from tests.services.schemas import client
from tests.services.trino import Trino

from omniduct.databases.presto import PrestoClient
from omniduct.databases.presto.binding import bound, written
from omniduct.errors import DuctStatementError

NANOS = pd.Timestamp("2020-01-01 01:02:03.123456789")
TOKYO = ZoneInfo("Asia/Tokyo")
PARIS = ZoneInfo("Europe/Paris")


class Number(int, enum.Enum):
    A = 5


class Real(float, enum.Enum):
    A = 1.5


class Word(str, enum.Enum):
    A = "it's"


@pytest.fixture
def trino(trino_server: Trino) -> Iterator[PrestoClient]:
    with client(trino_server) as duct:
        yield duct


@pytest.fixture
def presto(presto_server: Presto) -> Iterator[PrestoClient]:
    with client(presto_server) as duct:
        yield duct


def value(duct: PrestoClient, given: Any) -> Any:
    found = duct.query("SELECT {{ given | bind }} AS v", context={"given": given}, format="arrow")
    return found["v"][0].as_py()


# Nanoseconds


@pytest.mark.parametrize(
    "given", [NANOS, NANOS.tz_localize("Europe/Paris"), NANOS.to_datetime64(), pa.scalar(NANOS)], ids=repr
)
def test_nanoseconds_reach_trino(given: Any, trino: PrestoClient) -> None:
    expected = given.as_py() if isinstance(given, pa.Scalar) else pd.Timestamp(given)
    assert value(trino, given) == expected
    assert value(trino, {"a": [given]}) == [("a", [expected])]


@pytest.mark.parametrize("given", [NANOS, pd.Timestamp(1), [NANOS.to_datetime64()], {"a": pd.Timestamp(1)}])
def test_presto_has_no_nanoseconds(given: Any, presto: PrestoClient) -> None:
    with pytest.raises(DuctStatementError, match="has parts of a millisecond, which Presto does not count"):
        value(presto, {"given": given})


def test_parts_of_a_microsecond_are_not_rounded_in_a_complaint() -> None:
    for given in (pd.Timedelta(1_000_500, "ns"), np.timedelta64(1_000_500, "ns")):
        with pytest.raises(DuctStatementError, match=r"0 days 00:00:00\.001000500'\) has parts of a milli"):
            written(given)


@pytest.mark.parametrize(
    "given",
    [np.datetime64("12020-01-01"), np.datetime64(1, "ps"), np.timedelta64(5, "Y"), pd.DataFrame({"a": [1]})],
    ids=repr,
)
def test_what_has_no_type_is_refused_also_within_another(given: Any) -> None:
    for each in (given, [given], {"a": given}):
        with pytest.raises(DuctStatementError, match="which has no type in Presto"):
            bound("SELECT ?", [each], 480)


# Values of numpy and pandas within others


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (np.array([1, 2]), "ARRAY[1, 2]"),
        (np.array([[1], [2]]), "ARRAY[ARRAY[1], ARRAY[2]]"),
        (np.array(5), "5"),
        (pd.Series([1, None], dtype="Int64"), "ARRAY[1, NULL]"),
        (pd.Categorical(["x"]), "ARRAY['x']"),
        (np.datetime64("2020-01-01", "ns"), "TIMESTAMP '2020-01-01 00:00:00.000'"),
        (np.array("2020-01-01", "M8[ns]"), "TIMESTAMP '2020-01-01 00:00:00.000'"),
        (np.datetime64("NaT", "ns"), "NULL"),
        (np.timedelta64(10**9, "ns"), "INTERVAL '1.000' SECOND"),
        (pd.DatetimeIndex(["2020-01-01"]), "ARRAY[TIMESTAMP '2020-01-01 00:00:00.000']"),
        ((pd.NA, pd.NaT, np.True_, np.str_("a")), "ARRAY[NULL, NULL, true, 'a']"),
        (pa.scalar([1]), "ARRAY[1]"),
    ],
    ids=repr,
)
def test_values_within_others_are_those_of_python(given: Any, text: str) -> None:
    assert written(given) == text
    assert written([given]) == f"ARRAY[{text}]"
    assert written({"a": given}) == f"MAP(ARRAY['a'], ARRAY[{text}])"


@pytest.mark.parametrize(("given", "text"), [(Number.A, "5"), (Real.A, "DOUBLE '1.5'"), (Word.A, "'it''s'")])
def test_a_member_of_an_enum_is_its_value(given: Any, text: str) -> None:
    assert written(given) == text
    assert written(decimal.Decimal("1.50")) == "DECIMAL '1.50'"


# Zones


@pytest.mark.parametrize(
    "zone", [TOKYO, PARIS, datetime.timezone(datetime.timedelta(seconds=561))], ids=["tokyo", "paris", "odd"]
)
def test_a_time_whose_zone_has_no_fixed_offset_is_refused(zone: datetime.tzinfo) -> None:
    with pytest.raises(
        DuctStatementError, match=r"has no fixed offset of whole minutes from UTC: .*or bind a datetime"
    ):
        written(datetime.time(1, 2, tzinfo=zone))


def test_a_time_with_an_offset_keeps_it(trino: PrestoClient, presto: PrestoClient) -> None:
    given = datetime.time(1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-9, minutes=-30)))
    for duct in (trino, presto):
        assert value(duct, given) == "01:02:00.000-09:30"


def test_an_offset_with_seconds_is_not_rounded(trino: PrestoClient, presto: PrestoClient) -> None:
    zone = datetime.timezone(datetime.timedelta(seconds=561))
    given = datetime.datetime(1900, 1, 1, tzinfo=zone)
    for duct in (trino, presto):
        assert value(duct, given) == given
