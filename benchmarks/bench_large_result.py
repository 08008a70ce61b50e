"""A million rows of six columns to pandas and polars: what a result costs beside the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import harness

if TYPE_CHECKING:
    import duckdb

PANDAS, POLARS = "1M x 6 to pandas", "1M x 6 to polars"
ROWS = 1_000_000
CALLS = 3
MAKE = f"""
CREATE TABLE trips AS SELECT
    i AS id,
    i / 7 AS distance,
    'driver ' || (i % 1000) AS driver,
    DATE '2020-01-01' + (i % 2000)::INTEGER AS day,
    TIMESTAMP '2020-01-01' + to_microseconds(i * 1000003) AS began,
    (i % 100000 / 100)::DECIMAL(12, 2) AS fare
FROM range({ROWS}) AS t(i)
"""
READ = "SELECT * FROM trips"

bench = harness.Benchmark(
    f"{ROWS:,} rows (bigint, double, varchar, date, timestamp, decimal(12,2)), {CALLS} times a process",
    rounds=5,
)
bench.goal(PANDAS, "ours", 1.15, against="driver: Arrow, to_pandas")
bench.goal(POLARS, "ours", 1.15, against="driver: Arrow, from_arrow")


def measured(measure: str, read: harness.Call, calls: int = CALLS) -> harness.Samples:
    """Measure, and see that it gives the rows."""
    assert read(0).shape == (ROWS, 6)
    return {measure: harness.times(read, calls)}


def filled() -> duckdb.DuckDBPyConnection:
    """Make the table on the driver's connection."""
    con = harness.duckdb_connection()
    con.execute(MAKE)
    return con


def arrow(relation: Any) -> Any:
    """Return the result as an Arrow table."""
    return relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()


@bench.side("driver: Arrow, to_pandas")
def arrow_to_pandas() -> harness.Samples:
    """Arrow to pandas by pyarrow; dates and decimals become Python objects."""
    con = filled()
    return measured(PANDAS, lambda _: arrow(con.sql(READ)).to_pandas())


@bench.side("driver: df()")
def df() -> harness.Samples:
    """The driver's own way; decimals become floats."""
    con = filled()
    return measured(PANDAS, lambda _: con.sql(READ).df())


@bench.side("driver: Arrow, from_arrow")
def arrow_to_polars() -> harness.Samples:
    """Arrow to polars."""
    import polars

    con = filled()
    return measured(POLARS, lambda _: polars.from_arrow(arrow(con.sql(READ))))


@bench.side("driver: pl()")
def pl() -> harness.Samples:
    """The driver's own way."""
    con = filled()
    return measured(POLARS, lambda _: con.sql(READ).pl())


@bench.side("ours")
def ours() -> harness.Samples:
    """The method; both formats."""
    db = harness.shell_with_db().user_ns["db"]
    db.execute(MAKE)
    return {
        **measured(PANDAS, lambda _: db.query(READ)),
        **measured(POLARS, lambda _: db.query(READ, format="polars")),
    }


def peer(**settings: bool) -> harness.Call:
    """Return the peer's cell magic, with the table made."""
    ip = harness.peer_shell(**settings)
    ip.user_ns["con"].execute(MAKE)
    return lambda _: ip.run_cell_magic("sql", "", READ)


@bench.side(f"{harness.PEER}, autopandas", peer=harness.PEER)
def jupysql_pandas() -> harness.Samples:
    """The peer's cell magic to pandas."""
    return measured(PANDAS, peer(autopandas=True))


@bench.side(f"{harness.PEER}, autopolars", peer=harness.PEER)
def jupysql_polars() -> harness.Samples:
    """The peer's cell magic to polars; once a process, as it takes seconds."""
    return measured(POLARS, peer(autopolars=True), calls=1)


if __name__ == "__main__":
    bench.main()
