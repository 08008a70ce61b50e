"""Completing a name by Tab with 1,000 ducts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

DUCTS = 1000
CALLS = 5
TEXTS = ("duck5", "%duck5", "%%duck5", "duck50.conn")
LIMIT = 0.1

bench = harness.Benchmark(f"Tab on a name, {DUCTS} ducts or as many plain objects", rounds=5)
for jedi in ("with", "without"):
    for text in TEXTS:
        for which in ("first", "later"):
            bench.goal(f"{text}, {jedi} jedi, {which}", "ours", LIMIT)


class Plain:
    """An object with an attribute to complete."""

    connect = None


def completed(ip: InteractiveShell) -> harness.Samples:
    """Complete each text with and without jedi, as the kernel does when Tab is pressed."""
    from IPython.core.completer import provisionalcompleter

    samples = {}
    for jedi in (False, True):
        ip.Completer.use_jedi = jedi
        for text in TEXTS:
            with provisionalcompleter():
                seconds = harness.times(
                    lambda _, text=text: list(ip.Completer.completions(text, len(text))), CALLS
                )
            name = f"{text}, {'with' if jedi else 'without'} jedi"
            samples[f"{name}, first"] = seconds[:1]
            samples[f"{name}, later"] = seconds[1:]
    return samples


def shell_with_objects() -> InteractiveShell:
    """A shell with as many plain objects."""
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
    return completed(ip)


@bench.side(harness.PEER, peer=True)
def jupysql() -> harness.Samples:
    """The peer loaded, and plain objects: it makes none."""
    ip = shell_with_objects()
    harness.load_peer(ip)
    return completed(ip)


if __name__ == "__main__":
    bench.main()
