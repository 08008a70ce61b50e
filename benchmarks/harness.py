"""What the benchmarks share: sides measured in fresh processes, turn by turn, and the table of ratios.

A script makes a `Benchmark`, declares its sides with `Benchmark.side` and calls `Benchmark.main`. Each side
is a function that measures and returns samples. The script runs itself once for every side and round, as
``python bench_x.py --side NAME``, in the order A B C A B C ..., so that what else the machine does strikes
all sides alike.

This module imports little at its top: it is loaded in every process that is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "PEER",
    "Benchmark",
    "Call",
    "Samples",
    "duckdb_connection",
    "ducts_file",
    "load_peer",
    "peer_shell",
    "sections_file",
    "shell",
    "shell_with_db",
    "times",
]

Samples = dict[str, list[float]]
"""Seconds by what was measured."""
Call = Callable[[int], Any]
"""What is timed; it gets the number of the call."""

PEER = "jupysql"
PEERS_PYTHON = "OMNIDUCT_PEERS_PYTHON"
PEERS = Path(__file__).resolve().parents[1] / "build" / "peers"
PINNED = ("duckdb", "ipython", "pandas", "polars", "pyarrow")
THREADS = min(4, os.cpu_count() or 1)
"""DuckDB's threads, for every side."""


@dataclass(frozen=True)
class _Side:
    function: Callable[[], Samples]
    peer: bool


@dataclass(frozen=True)
class _Goal:
    measure: str
    side: str
    at_most: float
    against: str | None


class Benchmark:
    """Sides that are measured against each other.

    Parameters
    ----------
    title : str
        What is measured.
    rounds : int
        Processes of each side, unless ``--rounds`` says otherwise.
    """

    def __init__(self, title: str, rounds: int) -> None:
        self._title = title
        self._rounds = rounds
        self._sides: dict[str, _Side] = {}
        self._goals: list[_Goal] = []

    def side(self, name: str, peer: bool = False) -> Callable[[Callable[[], Samples]], Callable[[], Samples]]:
        """Declare a side; the first that has a measure is the floor of its table.

        Parameters
        ----------
        peer : bool
            Whether it runs in the peers' environment; otherwise with the interpreter that runs the script.
        """

        def declare(function: Callable[[], Samples]) -> Callable[[], Samples]:
            self._sides[name] = _Side(function, peer)
            return function

        return declare

    def goal(self, measure: str, side: str, at_most: float, against: str | None = None) -> None:
        """Print what is wanted beside the figures of a side: at most so many times another, or seconds."""
        self._goals.append(_Goal(measure, side, at_most, against))

    def main(self) -> None:
        """Measure one side, if the command line names it; otherwise all, and print the tables."""
        import argparse

        parser = argparse.ArgumentParser(description=self._title)
        parser.add_argument("--rounds", type=int, default=self._rounds, help="processes of each side")
        parser.add_argument(
            "--side", choices=self._sides, help="measure this side here, and print its samples"
        )
        given = parser.parse_args()
        if given.side:
            samples = self._sides[given.side].function()
            print(json.dumps({"samples": samples, "versions": _versions()}))
        else:
            self._measure_all(given.rounds)

    def _measure_all(self, rounds: int) -> None:
        import tempfile

        # Nobody's own configuration is read, and no history written.
        with tempfile.TemporaryDirectory(prefix="omniduct-bench-") as home:
            runners = {name: _Runner(name, side.peer, home) for name, side in self._sides.items()}
            print(
                f"\n{self._title}\n{rounds} processes of each side by turns, after one that is not counted",
                flush=True,
            )
            for turn in range(-1, rounds):
                for runner in runners.values():
                    runner.run(counts=turn >= 0)
        _print_versions(runners.values())
        _print_tables({name: runner.samples for name, runner in runners.items()}, self._goals)


# Processes


class _Runner:
    """Runs the script for one side and collects what it measures."""

    def __init__(self, name: str, peer: bool, home: str) -> None:
        self._python = peers_python() if peer else sys.executable
        self._command = [self._python, sys.argv[0], "--side", name]
        self._environment = _environment(home, peer)
        self.samples: Samples = {}
        self.versions: dict[str, str] = {}

    def run(self, counts: bool) -> None:
        """Run one process; keep its samples if they count."""
        import subprocess

        done = subprocess.run(self._command, env=self._environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(self._command)} failed:\n{done.stdout}{done.stderr}")
        # not the last line: jupysql closes its connections at exit, and says so
        answer = json.loads(next(each for each in done.stdout.splitlines() if each.startswith('{"samples"')))
        self.versions = answer["versions"]
        for measure, seconds in answer["samples"].items() if counts else ():
            self.samples.setdefault(measure, []).extend(seconds)


def _environment(home: str, peer: bool) -> dict[str, str]:
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


def peers_python() -> str:
    """The interpreter of the peers' environment, which is made in build/peers when it is not there.

    The environment variable OMNIDUCT_PEERS_PYTHON names another.
    """
    given = os.environ.get(PEERS_PYTHON)
    if given:
        return given
    wanted = "\n".join([sys.version, *_requirements()])
    stamp = PEERS / "made-for"
    if not stamp.exists() or stamp.read_text() != wanted:
        _make_peers(_requirements())
        stamp.write_text(wanted)
    return str(_python_of(PEERS))


def _make_peers(requirements: list[str]) -> None:
    import subprocess

    print(f"making the peers' environment in {PEERS} (a minute or two): {' '.join(requirements)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
    install = [_python_of(PEERS), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*install, *requirements]).returncode != 0:
        print("no release of a peer goes with our versions of the libraries: it gets its own", flush=True)
        subprocess.run([*install, *(each.partition("==")[0] for each in requirements)], check=True)


def _requirements() -> list[str]:
    """The peers, and the libraries in the versions that our side has."""
    ours = _versions()
    pinned = [f"{name}=={ours[name]}" if name in ours else name for name in PINNED]
    return [PEER, "duckdb-engine", *pinned]


def _python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in ("omniduct-ext", PEER, *PINNED):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


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


def shell_with_db() -> InteractiveShell:
    """A shell with our extension and one duct, `db`."""
    ip = shell()
    ip.config.DuctRegistry.ducts = {"db": {"protocol": "duckdb", "config": {"threads": THREADS}}}
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


def times(call: Call, repeat: int, warm_up: int = 0) -> list[float]:
    """Seconds of each of `repeat` calls, which get their number, after some that are not counted."""
    seconds = []
    for number in range(warm_up + repeat):
        start = time.perf_counter()
        result = call(number)
        seconds.append(time.perf_counter() - start)
        del result  # what it takes to free it is not counted
    return seconds[warm_up:]


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


# The tables


def _median(values: list[float]) -> float:
    import statistics

    return statistics.median(values)


def _print_versions(runners: Iterable[_Runner]) -> None:
    found: dict[str, dict[str, str]] = {}
    for runner in runners:
        found.setdefault(runner._python, {}).update(runner.versions)
    for python, versions in found.items():
        print(f"  {python}: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    for name in ("python", *PINNED):
        if len({versions.get(name) for versions in found.values()}) > 1:
            print(f"  the sides differ in {name}: compare with care")
    if hasattr(os, "getloadavg"):
        print(f"  {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, DuckDB threads {THREADS}")


def _print_tables(sides: dict[str, Samples], goals: list[_Goal]) -> None:
    print("  x: times the median of (times the minimum of)")
    width = max(len(name) for name in (*sides, *(m for samples in sides.values() for m in samples))) + 6
    for measure in dict.fromkeys(m for samples in sides.values() for m in samples):
        rows = {name: samples[measure] for name, samples in sides.items() if measure in samples}
        _print_table(measure, rows, {g.side: _wanted(g) for g in goals if g.measure == measure}, width)


def _print_table(measure: str, rows: dict[str, list[float]], wanted: dict[str, str], width: int) -> None:
    scale, unit = _unit(max(_median(values) for values in rows.values()))
    floor = next(iter(rows))
    peer = next((name for name in rows if name.startswith(PEER)), None)
    others = [name for name in (floor, peer) if name is not None]
    heads = "".join(f"{f'x {name}':>{_column(name)}}" for name in others)
    print(f"\n{f'{measure}, {unit}':<{width}}{'min':>9}{'median':>9}{'max':>9}{heads}")
    for name, values in rows.items():
        figures = "".join(f"{_short(v * scale):>9}" for v in (min(values), _median(values), max(values)))
        ratios = "".join(f"{_ratios(values, rows[other]):>{_column(other)}}" for other in others)
        print(f"{name:<{width}}{figures}{ratios}{wanted.get(name, '')}")


def _column(name: str) -> int:
    return max(len(name) + 4, 16)


def _ratios(values: list[float], others: list[float]) -> str:
    """Of the medians and, in brackets, of the minima."""
    return f"{_short(_median(values) / _median(others))} ({_short(min(values) / min(others))})"


def _wanted(goal: _Goal) -> str:
    if goal.against is not None:
        return f"   goal: {goal.at_most:g} x {goal.against}"
    scale, unit = _unit(goal.at_most)
    return f"   goal: {_short(goal.at_most * scale)} {unit}"


def _short(figure: float) -> str:
    """A figure in three places or so.

    >>> [_short(figure) for figure in (1435.2, 82.75, 1.234, 0.0912)]
    ['1,435', '82.8', '1.23', '0.091']
    """
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 2 if figure >= 1 else 3
    return f"{figure:,.{digits}f}"


def _unit(seconds: float) -> tuple[float, str]:
    """The unit in which a time is easily read: how many are a second, and its name."""
    for scale, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * scale < 1000:
            return scale, unit
    return 1.0, "s"
