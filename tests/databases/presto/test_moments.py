"""Moments of zones, and what lies at the limits of what can be counted."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.databases.presto.test_columns import columns, page
from tests.services.presto import Presto
from tests.services.schemas import client
from tests.services.trino import Trino

from omniduct.databases.presto import PrestoClient, moments
from omniduct.errors import DuctStatementError

ZONED = "timestamp(3) with time zone"
ZONES = [
    "Europe/Paris",
    "America/New_York",
    "America/Santiago",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Africa/Cairo",
    "Pacific/Auckland",
    "Antarctica/Troll",
    "America/Nuuk",
    "Asia/Jerusalem",
    "Asia/Beirut",
]
# Morocco's clocks follow the moon, which its zone has years of, and no rule for those behind them.
YEARS = [1970, 1999, 2020, 2037, 2038, 2039, 2044, 2050, 2087, 2100, 2399, 2400, 2401, 9999, 12020]


@pytest.fixture(params=["trino", "presto"])
def duct(request: pytest.FixtureRequest) -> Iterator[PrestoClient]:
    with client(request.getfixturevalue(f"{request.param}_server")) as duct:
        yield duct


@pytest.fixture
def trino(trino_server: Trino) -> Iterator[PrestoClient]:
    with client(trino_server) as duct:
        yield duct


@pytest.fixture
def presto(presto_server: Presto) -> Iterator[PrestoClient]:
    with client(presto_server) as duct:
        yield duct


def counts(*texts: str, kind: str = ZONED) -> list[int]:
    """What texts are in Arrow."""
    found = columns(kind).table(page([[text] for text in texts])).column(0)
    return list(found.cast(pa.int64()).to_pylist())


# The zones


def test_moments_of_a_zone_are_those_of_the_server_in_any_year(duct: PrestoClient) -> None:
    days = [(month, day) for month in (1, 3, 4, 7, 10, 11) for day in (1, 12, 28)]
    years = YEARS if duct.protocol == "trino" else YEARS[:-1]
    texts = [f"{year:+06d}" if year > 9999 else f"{year}" for year in years]
    dates = [
        f"TIMESTAMP '{year}-{month:02d}-{day:02d} 12:30:00.000 " for year in texts for month, day in days
    ]
    for zone in ZONES:
        rows = ", ".join(f"({date}{zone}')" for date in dates)
        found = duct.query(f"SELECT t, to_unixtime(t) AS u FROM (VALUES {rows}) AS v (t)", format="arrow")
        assert found["t"].type == pa.timestamp("ms", zone)
        assert found["t"].cast(pa.int64()).to_pylist() == [u * 1000 for u in found["u"].to_pylist()], zone


def test_summers_after_2037_are_not_an_hour_off(duct: PrestoClient) -> None:
    ((found,),) = duct.query("SELECT TIMESTAMP '2050-07-01 00:00:00.000 Europe/Paris'", format="tuple")
    assert found.timestamp() == 2540239200
    assert found == datetime.datetime(2050, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))


def test_an_hour_that_a_clock_will_show_twice_is_said() -> None:
    seen: set[str] = set()
    texts = pa.array([f"2050-10-30 0{hour}:30:00.000 Europe/Paris" for hour in (1, 2, 3)])
    found = moments.instants(texts, "ms", seen)
    assert seen == {"2050-10-30 02:30:00.000 Europe/Paris"}
    assert [each.as_py().hour for each in found] == [23, 0, 2]


def test_an_hour_that_no_clock_showed_is_not_said_to_be_twice() -> None:
    seen: set[str] = set()
    texts = ["2020-03-29 02:30:00.000 Europe/Paris", "2050-03-27 02:30:00.000 Europe/Paris"]
    moments.instants(pa.array(texts), "ms", seen)
    assert seen == set()


def test_years_before_and_beyond_those_of_python_have_their_zone() -> None:
    seconds = [count // 1000 for count in counts("+12000-07-01 00:00:00.000 Europe/Paris")]
    assert seconds == [count // 1000 - 7200 for count in counts("+12000-07-01 00:00:00.000 UTC")]
    assert counts("-0044-03-15 00:00:00.000 Europe/Paris", kind=ZONED) == [
        counts("-0044-03-15 00:00:00.000 UTC")[0] - 561_000
    ]


def test_nulls_are_kept_beside_all_of_them() -> None:
    kind = columns(ZONED)
    texts = ["2050-07-01 00:00:00.000 Europe/Paris", None, "2020-07-01 00:00:00.000 Europe/Paris", None]
    found = kind.table(page([[text] for text in texts])).column(0).cast(pa.int64()).to_pylist()
    assert found == [2540239200000, None, 1593554400000, None]


@pytest.fixture
def fresh_zones(tmp_path: Path) -> Iterator[Path]:
    """A folder of zones, of which Arrow knows nothing."""
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    yield tmp_path
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


def test_a_zone_that_arrow_does_not_know_is_one_of_pythons(fresh_zones: Path) -> None:
    (fresh_zones / "Mars").mkdir()
    known = next(Path(folder, "Europe/Paris") for folder in ("/usr/share/zoneinfo", "/usr/lib/zoneinfo"))
    shutil.copy(known, fresh_zones / "Mars" / "Olympus")
    made = columns(ZONED).table(page([["2020-07-01 02:00:00.000 Mars/Olympus"]])).column(0)
    assert made.type == pa.timestamp("ms", "UTC")
    assert made[0].as_py().isoformat() == "2020-07-01T00:00:00+00:00"


def test_a_zone_that_nobody_knows_is_named() -> None:
    said = (
        r"trino: the column 'c0' cannot be read: the time zone 'Mars/Olympus' is not in this machine's tz "
        r"database: add AT TIME ZONE 'UTC' in the statement"
    )
    with pytest.raises(DuctStatementError, match=said):
        counts("2020-07-01 00:00:00.000 Mars/Olympus")


# The limits


@pytest.mark.parametrize("zone", ["-08:00", "America/Los_Angeles"])
def test_nanoseconds_that_the_zone_leads_beyond_their_limit_are_an_error(
    trino: PrestoClient, zone: str
) -> None:
    text = f"2262-04-11 23:47:16.000000000 {zone}"
    said = rf"'t' cannot be read: {re.escape(text)} lies beyond the years 1677 to 2262.*timestamp\(6\)"
    with pytest.raises(DuctStatementError, match=said):
        trino.query(f"SELECT t FROM (VALUES now(), TIMESTAMP '{text}') AS v (t)")


def test_nanoseconds_at_their_limit_are_read() -> None:
    kind = "timestamp(9) with time zone"
    assert counts("2262-04-11 23:47:16.854775807 UTC", kind=kind) == [2**63 - 1]
    assert counts("1677-09-21 00:12:43.145224193 UTC", kind=kind) == [-(2**63) + 1]
    with pytest.raises(DuctStatementError, match=r"1677-09-21 00:12:44\.0* Asia/Tokyo lies beyond"):
        counts("1677-09-21 00:12:44.000000000 Asia/Tokyo", kind=kind)


def test_microseconds_beyond_their_limit_are_not_told_of_nanoseconds() -> None:
    with pytest.raises(
        DuctStatementError, match=r"beyond what 64 bits can count.*cast it to varchar"
    ) as said:
        counts("+300000-01-01 00:00:00.000000", kind="timestamp(6)")
    assert "1677" not in str(said.value)


# What is written otherwise


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("interval day to second", "1 02:03:04"),
        ("interval day to second", "P1D"),
        ("interval year to month", "14"),
        (ZONED, "2020-01-01T00:00:00Z"),
        ("array(interval day to second)", "[x]"),
    ],
)
def test_a_text_that_is_none_of_the_type_is_no_null(kind: str, text: str) -> None:
    value = [text] if kind.startswith("array") else text
    rows = json.dumps([[value], [None]]).encode()
    with pytest.raises(
        DuctStatementError, match=f"'c0' cannot be read: {re.escape(repr(text))} cannot be read"
    ):
        columns(kind).table(rows)


def test_intervals_reach_to_the_ends_of_milliseconds() -> None:
    ends = counts("106751991167 07:12:55.807", "-106751991167 07:12:55.808", kind="interval day to second")
    assert ends == [2**63 - 1, -(2**63)]
    with pytest.raises(DuctStatementError, match="'c0' cannot be read: overflow"):
        counts("106751991167 07:12:55.808", kind="interval day to second")


def test_a_page_of_mixed_zones_names_the_text_without_one() -> None:
    with pytest.raises(
        DuctStatementError, match="'2020-01-01' cannot be read as a timestamp with a time zone"
    ):
        counts("2020-01-01 00:00:00.000 UTC", "2020-01-01")
