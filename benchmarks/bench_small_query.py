"""``SELECT 1`` with changing literals to pandas: what a statement costs beside the driver."""

from __future__ import annotations

import harness

MEASURE = "SELECT 1 to pandas"
CALLS, WARM_UP = 300, 50

bench = harness.Benchmark(f"{MEASURE}, another literal each time, {CALLS} times a process", rounds=9)
bench.goal(MEASURE, "ours, db.query", 1.5, against="driver")
bench.goal(MEASURE, "ours, %%db", 1.5, against="driver")


def statement(i: int) -> str:
    """Write a statement that no cache has seen."""
    return f"SELECT {i} AS x"


def measured(query: harness.Call) -> harness.Samples:
    """Measure, and see that it gives the frame."""
    assert query(42)["x"].tolist() == [42]
    return {MEASURE: harness.times(query, CALLS, WARM_UP)}


@bench.side("driver")
def driver() -> harness.Samples:
    """DuckDB alone, in a shell all the same."""
    harness.shell()
    con = harness.duckdb_connection()
    return measured(lambda i: con.execute(statement(i)).df())


@bench.side("driver in a cell magic")
def driver_magic() -> harness.Samples:
    """DuckDB alone, called by a magic that does nothing else."""
    ip = harness.shell()
    con = harness.duckdb_connection()
    ip.register_magic_function(lambda line, cell: con.execute(cell).df(), "cell", "driver")
    return measured(lambda i: ip.run_cell_magic("driver", "", statement(i)))


@bench.side("ours, db.query")
def query() -> harness.Samples:
    """The method."""
    ip = harness.shell_with_db()
    db = ip.user_ns["db"]
    return measured(lambda i: db.query(statement(i)))


@bench.side("ours, %%db")
def magic() -> harness.Samples:
    """The cell magic."""
    ip = harness.shell_with_db()
    return measured(lambda i: ip.run_cell_magic("db", "", statement(i)))


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's cell magic on the driver's connection, which is faster than one of SQLAlchemy."""
    ip = harness.peer_shell(autopandas=True)
    return measured(lambda i: ip.run_cell_magic("sql", "", statement(i)))


if __name__ == "__main__":
    bench.main()
