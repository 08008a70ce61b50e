"""Loading the extension with 100 ducts, and loading it plus the result of the first cell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LOAD = "load"
FIRST = "load and first cell"
DUCTS = 100

bench = harness.Benchmark(f"%load_ext with {DUCTS} ducts, IPython being up", rounds=9)
bench.goal(LOAD, "ours", 0.1, against=harness.PEER)


def measured(ip: InteractiveShell, load: Callable[[], object], cell: str) -> harness.Samples:
    """Load, run the cell, and see that it gave the frame."""
    start = time.perf_counter()
    load()
    loaded = time.perf_counter()
    frame = ip.run_cell(cell).result  # shown, as a cell's value is
    ended = time.perf_counter()
    assert frame["answer"].tolist() == [42]
    return {LOAD: [loaded - start], FIRST: [ended - start]}


@bench.side("no-op, driver")
def floor() -> harness.Samples:
    """Load an extension that does nothing; the cell uses the driver."""
    ip = harness.shell()
    cell = "import duckdb\nduckdb.sql('SELECT 42 AS answer').df()"
    return measured(ip, lambda: ip.run_line_magic("load_ext", "noop_extension"), cell)


@bench.side("ours")
def ours() -> harness.Samples:
    """Load omniduct, the ducts in a YAML file."""
    ip = harness.shell()
    os.environ["OMNIDUCT_CONFIG"] = harness.ducts_file(DUCTS)
    cell = "%%duck5\nSELECT 42 AS answer"
    samples = measured(ip, lambda: ip.run_line_magic("load_ext", "omniduct"), cell)
    assert len(ip.user_ns["registry"]) == DUCTS
    return samples


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """Load jupysql, as many connections in its file."""
    ip = harness.shell()
    file = harness.sections_file(DUCTS)
    return measured(
        ip,
        lambda: harness.load_peer(ip, dsn_filename=file, autopandas=True),
        "%%sql --section duck5\nSELECT 42 AS answer",
    )


if __name__ == "__main__":
    bench.main()
