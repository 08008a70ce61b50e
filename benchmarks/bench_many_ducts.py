"""A thousand ducts with magics from one YAML file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import harness

FRESH = "load, imports included"
TOP = "on top of the imports"
DUCTS = 1000

bench = harness.Benchmark(f"{DUCTS} ducts with magics from one YAML file", rounds=7)
bench.goal(TOP, "ours", 0.25)


def loading(count: int) -> Callable[[int], object]:
    """Return what loads omniduct with so many ducts."""
    file = harness.ducts_file(count)
    ip = harness.shell()

    def load(_: int) -> None:
        os.environ["OMNIDUCT_CONFIG"] = file
        ip.run_line_magic("load_ext", "omniduct")

    return load


@bench.side("reading the YAML alone")
def floor() -> harness.Samples:
    """Read the file with the fastest loader there is, and do nothing with it."""
    import yaml

    text = Path(harness.ducts_file(DUCTS)).read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {TOP: harness.times(lambda _: yaml.load(text, loader), 1)}


@bench.side("ours")
def ours() -> harness.Samples:
    """Load with ten, which imports everything; then afresh with all."""
    ip = harness.shell()
    loading(10)(0)
    ip.run_line_magic("unload_ext", "omniduct")
    seconds = harness.times(loading(DUCTS), 1)
    assert len(ip.user_ns["registry"]) == DUCTS
    assert "duck0" in ip.magics_manager.magics["cell"]
    return {TOP: seconds}


@bench.side("no-op")
def noop() -> harness.Samples:
    """Load an extension that does nothing."""
    ip = harness.shell()
    return {FRESH: harness.times(lambda _: ip.run_line_magic("load_ext", "noop_extension"), 1)}


@bench.side("ours, 10 ducts")
def few() -> harness.Samples:
    """Load with ten ducts: nearly the imports alone."""
    return {FRESH: harness.times(loading(10), 1)}


@bench.side(f"ours, {DUCTS} ducts")
def all_of_them() -> harness.Samples:
    """Load with all, in a process that has imported nothing of omniduct."""
    return {FRESH: harness.times(loading(DUCTS), 1)}


@bench.side(f"{harness.PEER}, {DUCTS} sections", peer=harness.PEER)
def jupysql() -> harness.Samples:
    """Load jupysql, as many connections in its file; it makes no objects and no magics of them."""
    ip = harness.shell()
    file = harness.sections_file(DUCTS)
    return {FRESH: harness.times(lambda _: harness.load_peer(ip, dsn_filename=file), 1)}


if __name__ == "__main__":
    bench.main()
