"""Completing a name by Tab with 1,000 ducts."""

from __future__ import annotations

import gc
import os
from itertools import product
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

DUCTS = 1000
CALLS = 5
NAMES = ("duck5", "%duck5", "%%duck5")
ATTRIBUTE = "duck50.conn"
LIMIT = 0.1

bench = harness.Benchmark(f"Tab on a name, {DUCTS} ducts or as many plain objects", rounds=5)


class Plain:
    """An object with an attribute to complete."""

    connect = None


def measure(text: str, jedi: bool, which: str) -> str:
    """Name what is measured."""
    return f"{text}, {'with' if jedi else 'without'} jedi, {which}"


for goal in product(NAMES, (False, True), ("first", "later")):
    bench.goal(measure(*goal), "ours", LIMIT)


def completed(ip: InteractiveShell) -> harness.Samples:
    """Complete each text with and without jedi, as the kernel does when Tab is pressed."""
    from IPython.core.completer import provisionalcompleter

    samples = {}
    for jedi in (False, True):
        ip.Completer.use_jedi = jedi
        for text in (*NAMES, ATTRIBUTE):

            def complete(_: int, text: str = text) -> object:
                with provisionalcompleter():
                    return list(ip.Completer.completions(text, len(text)))

            # jedi allocates so much that a full collection would strike some call or other
            gc.collect()
            first, *later = harness.times(complete, CALLS)
            samples[measure(text, jedi, "first")] = [first]
            samples[measure(text, jedi, "later")] = later
    return samples


def shell_with_objects() -> InteractiveShell:
    """Return a shell with as many plain objects."""
    ip = harness.shell()
    ip.push({f"duck{i}": Plain() for i in range(DUCTS)})
    return ip


@bench.side("IPython alone")
def floor() -> harness.Samples:
    """IPython alone."""
    return completed(shell_with_objects())


@bench.side("ours")
def ours() -> harness.Samples:
    """Ducts and their magics."""
    ip = harness.shell()
    os.environ["OMNIDUCT_CONFIG"] = harness.ducts_file(DUCTS)
    ip.run_line_magic("load_ext", "omniduct")
    samples = completed(ip)
    assert {duct.status.state for duct in ip.user_ns["registry"]} == {"disconnected"}
    return samples


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer loaded, and plain objects: it makes none."""
    ip = shell_with_objects()
    harness.load_peer(ip)
    return completed(ip)


if __name__ == "__main__":
    bench.main()
