"""A million and ten million rows of PostgreSQL to a file: time, and how much the process grows meanwhile."""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import harness
import servers

PARTS = {"1M": 1, "10M": 10}
SECONDS, GROWTH = "{} rows to a file", "{} rows: peak memory"
FILE = Path(tempfile.gettempdir(), "trips")
FEW = "SELECT * FROM trips LIMIT 10"

bench = harness.Benchmark(
    "PostgreSQL to a file: 1,000,000 and 10,000,000 rows "
    "(bigint, double, varchar, date, timestamp, decimal(12,2)), once a process",
    rounds=3,
    fixture=servers.postgresql,
)
for name in PARTS:
    bench.goal(SECONDS.format(name), "ours, csv", 1.5, against="COPY, psycopg 3")
    bench.unit(GROWTH.format(name), "MB")
bench.quotient(GROWTH.format("10M"), GROWTH.format("1M"))

Write = Callable[[str], object]


def measured(part: str, write: Write, rows: Callable[[], int]) -> harness.Samples:
    """Measure, and see that the file has the rows; what is loaded when first used is not counted."""
    write(FEW)
    statement = "SELECT trips.* FROM trips" + (f", generate_series(1, {PARTS[part]})" if part != "1M" else "")
    with harness.peak() as grown:
        start = time.perf_counter()
        write(statement)
        seconds = time.perf_counter() - start
    assert rows() == PARTS[part] * servers.ROWS
    os.unlink(FILE)
    return {SECONDS.format(part): [seconds], GROWTH.format(part): grown}


def lines(header: bool = True) -> int:
    """Count the rows of a text file."""
    with FILE.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - header


def on_all(name: str, measure: Callable[[str], harness.Samples]) -> None:
    """Declare a side for each number of rows."""
    for part in PARTS:
        bench.side(name, part=part)(functools.partial(measure, part))


def copy(part: str) -> harness.Samples:
    """Let the server make the text."""
    cursor = servers.psycopg_connection().cursor()

    def write(statement: str) -> None:
        with (
            FILE.open("wb") as file,
            cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv, HEADER)") as blocks,
        ):
            for block in blocks:
                file.write(block)

    return measured(part, write, lines)


def ours_csv(part: str) -> harness.Samples:
    """Text made of Arrow."""
    db = servers.ours()
    return measured(part, lambda statement: db.stream_to_file(statement, FILE), lines)


def ours_parquet(part: str) -> harness.Samples:
    """Arrow to Parquet, compressed."""
    import pyarrow.parquet

    db = servers.ours()
    return measured(
        part,
        lambda statement: db.stream_to_file(statement, FILE, format="parquet"),
        lambda: pyarrow.parquet.read_metadata(FILE).num_rows,
    )


on_all("COPY, psycopg 3", copy)
on_all("ours, csv", ours_csv)
on_all("ours, parquet", ours_parquet)


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer has a frame alone; pandas writes it."""
    ip = servers.jupysql(autopandas=True)
    return measured(
        "1M", lambda statement: ip.run_cell_magic("sql", "", statement).to_csv(FILE, index=False), lines
    )


@bench.side(harness.OLD, peer=harness.OLD)
def old() -> harness.Samples:
    """The method; it writes no header."""
    db = servers.old()
    return measured(
        "1M", lambda statement: db.stream_to_file(statement, str(FILE)), lambda: lines(header=False)
    )


if __name__ == "__main__":
    bench.main()
