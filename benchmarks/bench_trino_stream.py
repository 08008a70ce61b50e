"""A million and ten million rows of Trino to Parquet: time, and how much the process grows meanwhile."""

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
SECONDS, GROWTH = "{} rows to Parquet", "{} rows: peak memory"
FILE = Path(tempfile.gettempdir(), "trips.parquet")
FEW = "SELECT * FROM trips LIMIT 10"

bench = harness.Benchmark(
    "Trino to Parquet: 1,000,000 and 10,000,000 rows "
    "(bigint, double, varchar, date, timestamp(3), decimal(12,2)), once a process",
    rounds=3,
    fixture=servers.trino,
)
for name in PARTS:
    bench.unit(GROWTH.format(name), "MB")
bench.quotient(GROWTH.format("10M"), GROWTH.format("1M"))

Write = Callable[[str], object]


def statement(part: str) -> str:
    """Read the table once, or several times."""
    times = f"UNNEST(sequence(1, {PARTS[part]})) CROSS JOIN " if PARTS[part] > 1 else ""
    return f"SELECT trips.* FROM {times}trips"


def measured(part: str, write: Write) -> harness.Samples:
    """Measure, and see that the file has the rows; what is loaded when first used is not counted."""
    import pyarrow.parquet

    write(FEW)
    with harness.peak() as grown:
        start = time.perf_counter()
        write(statement(part))
        seconds = time.perf_counter() - start
    assert pyarrow.parquet.read_metadata(FILE).num_rows == PARTS[part] * servers.ROWS
    os.unlink(FILE)
    return {SECONDS.format(part): [seconds], GROWTH.format(part): grown}


def on_all(side: str, measure: Callable[[bool, str], harness.Samples]) -> None:
    """Declare a side for each number of rows, of results that are plain and of those that are spooled."""
    for spooled in (False, True):
        for part in PARTS:
            bench.side(side + ", spooled" * spooled, part=part)(functools.partial(measure, spooled, part))


def wire(spooled: bool, part: str) -> harness.Samples:
    """The same bytes, of which nothing is made."""
    from wire import Wire

    read = Wire(spooled).read
    read(FEW)
    seconds = harness.times(
        lambda _: read(statement(part)), 1, check=lambda size: size > PARTS[part] * servers.ROWS
    )
    return {SECONDS.format(part): seconds}


def ours(spooled: bool, part: str) -> harness.Samples:
    """Arrow to Parquet, compressed."""
    db = servers.ours(spooling=spooled)
    return measured(part, lambda text: db.stream_to_file(text, FILE, format="parquet"))


on_all("the wire", wire)
on_all("ours", ours)


@bench.side("trino client, to_parquet")
def trino_client() -> harness.Samples:
    """Rows, and a frame of them, which pandas writes."""
    import pandas as pd

    cursor = servers.trino_connection().cursor()

    def write(text: str) -> None:
        cursor.execute(text)
        frame = pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])
        frame.to_parquet(FILE)

    return measured("1M", write)


if __name__ == "__main__":
    bench.main()
