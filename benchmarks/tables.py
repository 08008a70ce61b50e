"""What a benchmark prints: the versions, and a table of figures and ratios for each measure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from environments import PEER, PINNED, THREADS

__all__ = ["Goal", "Layout", "print_tables", "print_versions"]

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""Samples by side and measure."""


@dataclass(frozen=True)
class Goal:
    """What is wanted of a side: at most so many times another side, or so much."""

    measure: str
    side: str
    at_most: float
    against: str | None


@dataclass
class Layout:
    """What the tables show besides figures: goals, units other than of time, measures to divide by others."""

    goals: list[Goal] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    quotients: list[tuple[str, str]] = field(default_factory=list)


def print_versions(found: Mapping[str, Mapping[str, str]]) -> None:
    """Print the versions in each environment, and in what those of them differ that have it."""
    for python, versions in found.items():
        print(f"  {python}: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    for name in ("python", *PINNED):
        if len({versions[name] for versions in found.values() if name in versions}) > 1:
            print(f"  the sides differ in {name}: compare with care")


def print_tables(sides: Figures, layout: Layout) -> None:
    """Print a table for each measure, the first side that has it being its floor, and one of quotients."""
    if hasattr(os, "getloadavg"):
        print(f"  {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, DuckDB threads {THREADS}")
    print("  x: times the median of (times the minimum of)")
    measures = list(dict.fromkeys(m for samples in sides.values() for m in samples))
    width = max(len(name) for name in (*sides, *measures)) + 6
    for measure in measures:
        rows = {name: samples[measure] for name, samples in sides.items() if measure in samples}
        goals = [goal for goal in layout.goals if goal.measure == measure]
        wanted = {name: _wanted([goal for goal in goals if goal.side == name], layout) for name in rows}
        if measure in layout.units:
            _print_table(f"{measure}, {layout.units[measure]}", rows, 1, [], wanted, width)
        else:
            scale, unit = _unit(max(_median(values) for values in rows.values()))
            _print_table(f"{measure}, {unit}", rows, scale, _compared(rows, goals), wanted, width)
    for of, by in layout.quotients:
        _print_quotients(of, by, sides)


def _compared(rows: Mapping[str, Sequence[float]], goals: Sequence[Goal]) -> list[str]:
    """The sides that the others are set in proportion to: the floor, those of goals, the peer's first."""
    others = {goal.against for goal in goals}
    peer = next((name for name in rows if name.startswith(PEER)), None)
    return [name for n, name in enumerate(rows) if n == 0 or name in others or name == peer]


def _print_table(
    head: str,
    rows: Mapping[str, Sequence[float]],
    scale: float,
    others: list[str],
    wanted: Mapping[str, str],
    width: int,
) -> None:
    heads = "".join(f"{f'x {name}':>{_column(name)}}" for name in others)
    print(f"\n{head:<{width}}{'min':>9}{'median':>9}{'max':>9}{heads}")
    for name, values in rows.items():
        figures = "".join(f"{_short(v * scale):>9}" for v in (min(values), _median(values), max(values)))
        ratios = "".join(f"{_ratios(values, rows[other]):>{_column(other)}}" for other in others)
        print(f"{name:<{width}}{figures}{ratios}{wanted.get(name, '')}")


def _print_quotients(of: str, by: str, sides: Figures) -> None:
    print(f"\n{of}, times the median of {by}")
    for name, samples in sides.items():
        if of in samples and by in samples:
            print(f"  {name}: {_short(_median(samples[of]) / _median(samples[by]))}")


def _median(values: Sequence[float]) -> float:
    import statistics

    return statistics.median(values)


def _column(name: str) -> int:
    return max(len(name) + 4, 16)


def _ratios(values: Sequence[float], others: Sequence[float]) -> str:
    """Of the medians and, in brackets, of the minima."""
    return f"{_short(_median(values) / _median(others))} ({_short(min(values) / min(others))})"


def _wanted(goals: Sequence[Goal], layout: Layout) -> str:
    said = []
    for goal in goals:
        if goal.against is not None:
            said.append(f"{goal.at_most:g} x {goal.against}")
        elif goal.measure in layout.units:
            said.append(f"{goal.at_most:g}")
        else:
            scale, unit = _unit(goal.at_most)
            said.append(f"{_short(goal.at_most * scale)} {unit}")
    return f"   goal: {', '.join(said)}" if said else ""


def _short(figure: float) -> str:
    """A figure in three places or so.

    >>> [_short(figure) for figure in (1435.2, 82.75, 1.234, 0.0912, 0.000312)]
    ['1,435', '82.8', '1.23', '0.091', '0.00031']
    """
    if 0 < figure < 0.01:
        return f"{figure:.2g}"
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 2 if figure >= 1 else 3
    return f"{figure:,.{digits}f}"


def _unit(seconds: float) -> tuple[float, str]:
    """The unit in which a time is easily read: how many are a second, and its name."""
    for scale, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * scale < 1000:
            return scale, unit
    return 1.0, "s"
