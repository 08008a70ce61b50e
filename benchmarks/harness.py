"""What the benchmarks share: sides measured in fresh processes, turn by turn, and the table of ratios.

A script makes a `Benchmark`, declares its sides with `Benchmark.side` and calls `Benchmark.main`. Each side
is a function that measures and returns samples. The script runs itself once for every side and round, as
``python bench_x.py --side NAME``, in the order A B C A B C ..., so that what else the machine does strikes
all sides alike.

This module imports little at its top: it is loaded in every process that is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import OLD, PEER, THREADS, python_for, versions
from tables import Goal, Layout, print_tables, print_versions

if TYPE_CHECKING:
    import duckdb
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "OLD",
    "PEER",
    "Benchmark",
    "Call",
    "Fixture",
    "Samples",
    "Skipped",
    "duckdb_connection",
    "ducts_file",
    "load_peer",
    "peak",
    "peer_shell",
    "sections_file",
    "shell",
    "shell_with_db",
    "times",
]

Samples = dict[str, list[float]]
"""Seconds, or what else is measured, by what was measured."""
Call = Callable[[int], Any]
"""What is timed; it gets the number of the call."""
Fixture = Callable[[], AbstractContextManager[Mapping[str, str]]]
"""What all sides need while they are measured; it gives the environment variables that tell them of it."""

_IS_SET_UP = "OMNIDUCT_BENCHMARK_IS_SET_UP"


class Skipped(Exception):
    """A side, or a whole benchmark, cannot be measured here."""


@dataclass(frozen=True)
class _Side:
    function: Callable[[], Samples]
    name: str
    peer: str | None


class Benchmark:
    """Sides that are measured against each other.

    Parameters
    ----------
    title : str
        What is measured.
    rounds : int
        Processes of each side, unless ``--rounds`` says otherwise.
    fixture : Fixture, optional
        What is entered once, before all sides.
    """

    def __init__(self, title: str, rounds: int, fixture: Fixture | None = None) -> None:
        self._title = title
        self._rounds = rounds
        self._fixture: Fixture = fixture or (lambda: contextlib.nullcontext({}))
        self._sides: dict[str, _Side] = {}
        self._layout = Layout()

    def side(
        self, name: str, peer: str | None = None, part: str = ""
    ) -> Callable[[Callable[[], Samples]], Callable[[], Samples]]:
        """Declare a side; the first that has a measure is the floor of its table.

        Parameters
        ----------
        peer : str, optional
            In whose environment it runs, `PEER` or `OLD`; otherwise with the interpreter that runs the
            script.
        part : str
            What is measured by this function, of a side that has several, each in processes of its own.
        """

        def declare(function: Callable[[], Samples]) -> Callable[[], Samples]:
            self._sides[f"{name}, {part}" if part else name] = _Side(function, name, peer)
            return function

        return declare

    def goal(self, measure: str, side: str, at_most: float, against: str | None = None) -> None:
        """Print what is wanted beside the figures of a side: at most so many times another, or so much."""
        self._layout.goals.append(Goal(measure, side, at_most, against))

    def unit(self, measure: str, unit: str) -> None:
        """Say the unit of a measure that is no time."""
        self._layout.units[measure] = unit

    def quotient(self, of: str, by: str) -> None:
        """Print how many times one measure another is, for each side."""
        self._layout.quotients.append((of, by))

    def main(self) -> None:
        """Measure one side, if the command line names it; otherwise all, and print the tables."""
        import argparse

        parser = argparse.ArgumentParser(description=self._title)
        parser.add_argument("--rounds", type=int, default=self._rounds, help="processes of each side")
        parser.add_argument(
            "--side", choices=self._sides, help="measure this side here, and print its samples"
        )
        parser.add_argument(
            "--only", nargs="+", metavar="NAME", help="measure these alone, as the tables name them"
        )
        given = parser.parse_args()
        if given.side:
            self._measure_here(self._sides[given.side])
        else:
            self._measure_all(given.rounds, given.only)

    def _measure_here(self, side: _Side) -> None:
        skipped = ""
        with contextlib.nullcontext({}) if _IS_SET_UP in os.environ else self._fixture() as variables:
            os.environ.update(variables)
            try:
                samples = side.function()
            except Skipped as why:
                samples, skipped = {}, str(why)
        print(json.dumps({"samples": samples, "skipped": skipped, "versions": versions()}))

    def _measure_all(self, rounds: int, only: list[str] | None) -> None:
        import tempfile

        print(f"\n{self._title}", flush=True)
        # Nobody's own configuration is read, and no history written.
        with tempfile.TemporaryDirectory(prefix="omniduct-bench-") as home:
            chosen = [(key, side) for key, side in self._sides.items() if not only or side.name in only]
            runners = [_Runner(key, side, home) for key, side in chosen]
            try:
                self._take_turns(runners, rounds)
            except Skipped as why:
                print(f"not measured: {why}")
                return
        found: dict[str, dict[str, str]] = {}
        sides: dict[str, Samples] = {}
        for runner in runners:
            found.setdefault(runner.python, {}).update(runner.versions)
            sides.setdefault(runner.name, {}).update(runner.samples)
        print_versions(found)
        print_tables(sides, self._layout)

    def _take_turns(self, runners: list[_Runner], rounds: int) -> None:
        with self._fixture() as variables:
            print(f"{rounds} processes of each side by turns, after one that is not counted", flush=True)
            for turn in range(-1, rounds):
                for runner in runners:
                    runner.run(variables, counts=turn >= 0)


# Processes


class _Runner:
    """Runs the script for one side and collects what it measures."""

    def __init__(self, key: str, side: _Side, home: str) -> None:
        self.name = side.name
        self.python = python_for(side.peer)
        self.samples: Samples = {}
        self.versions: dict[str, str] = {}
        self._command = [self.python, sys.argv[0], "--side", key]
        self._environment = {**_environment(home, side.peer), _IS_SET_UP: "yes"}
        self._is_skipped = False

    def run(self, variables: Mapping[str, str], counts: bool) -> None:
        """Run one process; keep its samples if they count."""
        import subprocess

        if self._is_skipped:
            return
        environment = {**self._environment, **variables}
        done = subprocess.run(self._command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(self._command)} failed:\n{done.stdout}{done.stderr}")
        # not the last line: jupysql closes its connections at exit, and says so
        answer = json.loads(next(each for each in done.stdout.splitlines() if each.startswith('{"samples"')))
        self.versions = answer["versions"]
        if answer["skipped"]:
            self._is_skipped = True
            print(f"without {self.name}: {answer['skipped']}", flush=True)
        for measure, figures in answer["samples"].items() if counts else ():
            self.samples.setdefault(measure, []).extend(figures)


def _environment(home: str, peer: str | None) -> dict[str, str]:
    environment = {
        **os.environ,
        "HOME": home,
        "TMPDIR": home,
        "IPYTHONDIR": os.path.join(home, "ipython"),
        "XDG_CACHE_HOME": os.path.join(home, "cache"),
        "PLOOMBER_STATS_ENABLED": "false",  # jupysql would report that it was loaded, over the network
    }
    # An installed package has its byte code beside it; the first process, not counted, writes it.
    for name in ("PYTHONDONTWRITEBYTECODE", "OMNIDUCT_CONFIG", *(["PYTHONPATH"] if peer else [])):
        environment.pop(name, None)
    return environment


# What sides use


def shell() -> InteractiveShell:
    """An IPython shell without a history file."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell.instance(config=config)


def duckdb_connection() -> duckdb.DuckDBPyConnection:
    """The driver's connection to a database in memory."""
    import duckdb

    return duckdb.connect(config={"threads": THREADS})


def shell_with_db(**duct: object) -> InteractiveShell:
    """A shell with our extension and one duct, `db`; unless it is described, a DuckDB in memory."""
    ip = shell()
    described = duct or {"protocol": "duckdb", "config": {"threads": THREADS}}
    ip.config.DuctRegistry.ducts = {"db": described}
    ip.run_line_magic("load_ext", "omniduct")
    return ip


def load_peer(ip: InteractiveShell, **settings: object) -> None:
    """Load jupysql's extension, with its settings as from a configuration file."""
    ip.config.SqlMagic.update({"feedback": 0, "displaycon": False, **settings})
    ip.run_line_magic("load_ext", "sql")


def peer_shell(**settings: object) -> InteractiveShell:
    """A shell with jupysql, connected to the driver's connection `con`."""
    ip = shell()
    load_peer(ip, **settings)
    ip.user_ns["con"] = duckdb_connection()
    ip.run_line_magic("sql", "con")
    return ip


def times(
    call: Call, repeat: int, warm_up: int = 0, check: Callable[[Any], bool] = lambda result: True
) -> list[float]:
    """Seconds of each of `repeat` calls, which get their number, after some that are not counted."""
    seconds = []
    for number in range(warm_up + repeat):
        start = time.perf_counter()
        result = call(number)
        seconds.append(time.perf_counter() - start)
        assert check(result), "that is not the right answer"
        del result  # what it takes to free it is not counted
    return seconds[warm_up:]


@contextlib.contextmanager
def peak() -> Iterator[list[float]]:
    """Give a list that has, in the end, by how many MB the process was larger at most than at the start."""
    grown: list[float] = []
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak until now is forgotten; on Linux
    start = _peak()
    yield grown
    grown.append((_peak() - start) / 1e6)


def _peak() -> int:
    """Bytes that the process had at most."""
    import resource

    with contextlib.suppress(OSError):
        # getrusage() counts in the process that started this one, as it was before it became another program
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def ducts_file(count: int) -> str:
    """Write a YAML file of ducts duck0, duck1, ...: nine databases to one filesystem. Its name."""
    lines = ["databases:"]
    lines += [
        f"  duck{i}:\n    protocol: duckdb\n    config: {{threads: {THREADS}}}"
        for i in range(count)
        if i % 10 != 9
    ]
    lines += ["filesystems:"] if count > 9 else []
    lines += [f"  duck{i}:\n    protocol: localfs" for i in range(9, count, 10)]
    return _written(f"ducts{count}.yaml", lines)


def sections_file(count: int) -> str:
    """Write jupysql's nearest thing, a file of connections duck0, duck1, ... Its name."""
    return _written(f"connections{count}.ini", [f"[duck{i}]\ndrivername = duckdb\n" for i in range(count)])


def _written(name: str, lines: Iterable[str]) -> str:
    import tempfile

    path = Path(tempfile.gettempdir(), name)
    path.write_text("\n".join(lines) + "\n")
    return str(path)
