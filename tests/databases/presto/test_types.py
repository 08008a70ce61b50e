"""Every type of Trino and Presto, value by value; build/types-presto.md has what each is in each format."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.databases.presto.cases import CASES, PRESTO, TRINO, Case
from tests.services.presto import Presto
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctStatementError
from omniduct.testing.markdown import table

FORMATS = ("arrow", "pandas", "polars", "tuple", "dict", "csv", "hive")
ON = [(server, case) for case in CASES for server in case.on]
IDS = [f"{server}-{case}" for server, case in ON]
TABLE = Path(__file__).resolve().parents[3] / "build" / "types-presto.md"

seen: list[list[str]] = []


@pytest.fixture(scope="module")
def ducts(trino_server: Trino, presto_server: Presto) -> Iterator[dict[str, PrestoClient]]:
    made = {
        TRINO: Duct.for_protocol("trino")(name="trino", **trino_server.login),
        PRESTO: Duct.for_protocol("presto")(name="presto", **presto_server.login),
    }
    yield made
    for duct in made.values():
        duct.disconnect()


@pytest.fixture(scope="module", autouse=True)
def noted() -> Iterator[None]:
    yield
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(["type", "server", *FORMATS], seen) + "\n")


def shown(value: Any) -> str:
    """A value, so that a NaN is equal to itself, a zero not to one of another sign, and order no matter."""
    if isinstance(value, pa.MonthDayNano):
        return repr(tuple(value))
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


def in_python(case: Case) -> list[Any]:
    return [*case.values.values(), None]


def of(case: Case, duct: PrestoClient) -> list[Any]:
    return [row[0] for row in duct.query(case.query, format="tuple", template=False)]


@pytest.mark.parametrize(("server", "case"), ON, ids=IDS)
def test_values_come_whole(server: str, case: Case, ducts: dict[str, PrestoClient]) -> None:
    duct = ducts[server]
    found = duct.query(case.query, format="arrow", template=False)
    assert str(found.schema.field(0).type).replace("key: ", "") == case.arrow
    assert found.column(0).null_count == 1 + sum(value is None for value in case.values.values())
    assert list(map(shown, of(case, duct))) == list(map(shown, in_python(case)))


@pytest.mark.parametrize(("server", "case"), ON, ids=IDS)
def test_every_format_takes_them(server: str, case: Case, ducts: dict[str, PrestoClient]) -> None:
    duct = ducts[server]
    made = {name: duct.query(case.query, format=name, template=False) for name in FORMATS}
    assert [len(made[name]) for name in FORMATS[:5]] == [len(case.values) + 1] * 5
    assert [next(iter(row.values())) for row in made["dict"]][-1] is None
    assert made["hive"].splitlines()[-1] == "\\N"
    seen.append([str(case), server, *(in_a_word(name, made[name]) for name in FORMATS)])


def in_a_word(name: str, made: Any) -> str:
    """The type of the column, or the first value."""
    if name == "arrow":
        return str(made.schema.field(0).type)
    if name == "pandas":
        return str(made.dtypes.iloc[0])
    if name == "polars":
        return str(made.dtypes[0])
    if name in ("csv", "hive"):
        return f"`{made.splitlines()[-2]}`"
    return type(made[0]["v"] if name == "dict" else made[0][0]).__name__


@pytest.mark.parametrize("case", [case for case in CASES if case.driver and TRINO in case.on], ids=str)
def test_the_driver_of_trino_gives_the_same(
    case: Case, ducts: dict[str, PrestoClient], trino_server: Trino
) -> None:
    import trino

    connection = trino.dbapi.connect(host=trino_server.host, port=trino_server.port, user=trino_server.user)
    rows = connection.cursor().execute(case.query).fetchall()
    connection.close()
    assert list(map(comparable, (row[0] for row in rows))) == list(map(comparable, of(case, ducts[TRINO])))


def comparable(value: Any) -> Any:
    """Values as the same in spite of how the two write them: moments of one instant, a NaN."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc)
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, (list, tuple)):
        return list(map(comparable, value))
    return value


def test_what_nanoseconds_cannot_count_is_said(ducts: dict[str, PrestoClient]) -> None:
    with pytest.raises(
        DuctStatementError, match=r"trino: the column 'v' cannot be read: 9999.* 1677 to 2262.*timestamp\(6\)"
    ):
        ducts[TRINO].query("SELECT TIMESTAMP '9999-12-31 00:00:00.000000000' AS v")


def test_years_beyond_those_of_python_are_kept(ducts: dict[str, PrestoClient]) -> None:
    found = ducts[TRINO].query(
        "SELECT DATE '-0044-03-15' AS d, DATE '12020-01-01' AS e, TIMESTAMP '12020-01-01 00:00:01' AS t",
        format="arrow",
    )
    assert found.column("d").cast("int32").to_pylist() == [-735525]
    assert found.column("e").cast("int32").to_pylist() == [3670687]
    assert found.column("t").cast("int64").to_pylist() == [317147356801]


def test_years_before_0_have_four_digits_in_every_format(ducts: dict[str, PrestoClient]) -> None:
    for duct in ducts.values():
        statement = "SELECT DATE '-0001-02-03' AS d, TIMESTAMP '-0044-03-15 00:00:01.000' AS t"
        assert duct.query(statement, format="tuple") == [("-0001-02-03", "-0044-03-15T00:00:01.000")]
        assert duct.query(statement, format="csv").splitlines()[1].startswith("-0001-02-03,-0044-03-15")


def test_the_name_of_a_field_is_the_same_on_both(ducts: dict[str, PrestoClient]) -> None:
    statement = 'SELECT CAST(ROW(ROW(1)) AS ROW("a""b" ROW("c""""d" integer)))'
    for duct in ducts.values():
        ((found,),) = duct.query(statement, format="tuple")
        assert found == {'a"b': {'c""d': 1}}


def test_objects_of_a_type_that_is_not_known_are_text(ducts: dict[str, PrestoClient]) -> None:
    statement = "SELECT bing_tile_at(1e0, 1e0, 5) AS t, 1 AS n FROM (VALUES 1, 2)"
    found = ducts[PRESTO].query(statement, format="tuple")
    assert found == [('{"x":16,"y":15,"zoom":5}', 1)] * 2


def test_a_value_of_many_megabytes_is_read(ducts: dict[str, PrestoClient]) -> None:
    text = "SELECT rpad('x', 17000000, 'x') AS v UNION ALL SELECT 'b' ORDER BY v"
    found = ducts[TRINO].query(text, format="arrow")  # Presto takes ten seconds to make it
    assert [len(text.as_py()) for text in found["v"]] == [1, 17_000_000]


def test_a_sketch_is_bytes(ducts: dict[str, PrestoClient]) -> None:
    for duct in ducts.values():
        found = duct.query("SELECT approx_set(1) AS h", format="arrow")
        assert str(found.schema.field(0).type) == "binary"
        assert found.column(0).to_pylist() == [b"\x02\x0c\x01\x00\x80\x03D\x00"]


def test_wide_results_without_rows_have_their_types(ducts: dict[str, PrestoClient]) -> None:
    for server, duct in ducts.items():
        kinds = [case for case in CASES if server in case.on]
        columns = ", ".join(f"{next(iter(case.values))} AS c{n}" for n, case in enumerate(kinds))
        found = duct.query(f"SELECT {columns} WHERE random() > 2", format="arrow", template=False)
        said = [
            str(kind).replace("tz=America/New_York", "tz=UTC").replace("tz=+05:30", "tz=UTC")
            for kind in (case.arrow for case in kinds)
        ]
        assert [str(kind) for kind in found.schema.types] == said
