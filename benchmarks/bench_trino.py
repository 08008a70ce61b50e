"""A million rows of six columns from Trino to pandas and Arrow, plain and spooled; what a statement costs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import harness
import servers

PLAIN, SPOOLED = "", ", spooled"
PANDAS, ARROW, ONE = "1M x 6 to pandas", "1M x 6 to Arrow", "SELECT 1 to pandas"
MEMORY = "peak memory, {}"
READ, FEW = "SELECT * FROM trips", "SELECT * FROM trips LIMIT 10"
CALLS, SMALL_CALLS = 3, 50
ARROW_BYTES = 57.89 * servers.ROWS
"""The result's size as an Arrow table."""

bench = harness.Benchmark(
    f"Trino: {servers.ROWS:,} rows (bigint, double, varchar, date, timestamp(3), decimal(12,2))",
    rounds=3,
    fixture=servers.trino,
)
for how in (PLAIN, SPOOLED):
    for large in (PANDAS, ARROW):
        bench.goal(large + how, "ours", 1.5, against="the wire")
        bench.goal(MEMORY.format(large) + how, "ours", 1.5)
        bench.unit(MEMORY.format(large) + how, "times the Arrow table's size")
    bench.goal(PANDAS + how, "ours", 0.2, against="trino client")
    bench.goal(ONE + how, "ours", 1, against="trino client")
bench.goal(PANDAS, "ours", 1, against="connectorx")


def each_way(name: str, part: str = "") -> Callable[[Callable[[str], harness.Samples]], None]:
    """Declare a side for results that are plain, and for results that are spooled."""

    def declare(measure: Callable[[str], harness.Samples]) -> None:
        for how in (PLAIN, SPOOLED):
            key = ", ".join(filter(None, (part, how[2:])))
            bench.side(name, part=key)(functools.partial(measure, how))

    return declare


def small(read: servers.Read, check: Callable[[Any], bool]) -> list[float]:
    """Measure the smallest of statements."""
    return harness.times(lambda number: read(f"SELECT {number} AS x"), SMALL_CALLS, warm_up=10, check=check)


def measured(read: servers.Read, how: str, calls: int, statement: str = READ) -> harness.Samples:
    """Measure what takes a statement and gives a frame; the small first, as it warms up the large."""
    ones = small(read, lambda df: df.shape == (1, 1))
    return {ONE + how: ones, **measured_large(read, PANDAS, how, calls, statement)}


def measured_large(
    read: servers.Read, measure: str, how: str, calls: int, statement: str = READ
) -> harness.Samples:
    """Measure time, and the memory of the first call; what is loaded when first used is not counted."""
    read(statement.replace(READ, FEW))

    def call(_: int) -> Any:
        return read(statement)

    with harness.peak() as grown:
        first = harness.times(call, 1, check=is_large)
    later = harness.times(call, calls - 1, check=is_large)
    return {
        measure + how: first + later,
        MEMORY.format(measure) + how: [megabytes * 1e6 / ARROW_BYTES for megabytes in grown],
    }


def is_large(df: Any) -> bool:
    """See that it has the rows."""
    return bool(df.shape == (servers.ROWS, 6))


@each_way("the wire")
def wire(how: str) -> harness.Samples:
    """The same bytes, of which nothing is made."""
    from wire import Wire

    read = Wire(spooled=how == SPOOLED).read
    ones = small(read, lambda size: size > 0)
    large = harness.times(lambda _: read(READ), CALLS, check=lambda size: size > 5 * servers.ROWS)
    return {ONE + how: ones, PANDAS + how: large, ARROW + how: large}


@each_way("ours")
def ours(how: str) -> harness.Samples:
    """The method."""
    return measured(servers.ours(spooling=how == SPOOLED).query, how, CALLS)


@each_way("ours", part="to Arrow")
def ours_arrow(how: str) -> harness.Samples:
    """The method, to Arrow."""
    read = functools.partial(servers.ours(spooling=how == SPOOLED).query, format="arrow")
    samples = measured_large(read, ARROW, how, CALLS)
    size = read(READ).nbytes
    assert abs(size / ARROW_BYTES - 1) < 0.05, f"the table has {size} bytes"
    return samples


@each_way("trino client")
def trino_client(how: str) -> harness.Samples:
    """Rows; dates and decimals are Python objects."""
    import pandas as pd

    cursor = servers.trino_connection(spooled=how == SPOOLED).cursor()

    def read(statement: str) -> Any:
        cursor.execute(statement)
        return pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])

    return measured(read, how, calls=1)


@bench.side("pandas.read_sql", peer=harness.PEER)
def read_sql() -> harness.Samples:
    """On SQLAlchemy and the trino client."""
    import pandas as pd
    import sqlalchemy

    connection = servers.trino_engine().connect()
    return measured(lambda statement: pd.read_sql(sqlalchemy.text(statement), connection), PLAIN, calls=1)


@bench.side("connectorx", peer=harness.PEER)
def connectorx() -> harness.Samples:
    """A reader in Rust, which has decimals as floats; it connects anew for each statement."""
    try:
        import connectorx
    except ImportError as error:
        raise harness.Skipped(str(error)) from error
    url = servers.url("http")
    statement = READ.replace("trips", "memory.shop.trips")  # it makes no use of the schema in the URL
    return measured(lambda statement: connectorx.read_sql(url, statement), PLAIN, CALLS, statement)


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's cell magic on SQLAlchemy and the trino client."""
    ip = servers.jupysql(servers.trino_engine(), autopandas=True)
    return measured(lambda statement: ip.run_cell_magic("sql", "", statement), PLAIN, calls=1)


@bench.side(harness.OLD, peer=harness.OLD)
def old() -> harness.Samples:
    """The method, on pyhive."""
    return measured(servers.old().query, PLAIN, calls=1)


if __name__ == "__main__":
    bench.main()
