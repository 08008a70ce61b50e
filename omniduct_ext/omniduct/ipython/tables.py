"""A small table that shows itself in a terminal and in a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Table"]


class Table:
    """Rows under a heading, a footer, and beneath it what is wrong.

    >>> Table(("name", "state"), [("db", "connected")], ["all is well"])
    name  state
    ────  ─────────
    db    connected
    <BLANKLINE>
    ! all is well
    """

    def __init__(
        self,
        heading: Sequence[str],
        rows: Sequence[Sequence[str]],
        notes: Iterable[str] = (),
        footer: str = "",
    ) -> None:
        self.heading = list(heading)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in rows]
        self.notes = list(notes)
        self.footer = footer

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heading, *self.rows, strict=True)]
        ruled = [self.heading, ["─" * width for width in widths], *self.rows]
        lines = [
            "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in ruled
        ]
        if self.footer:
            lines += ["", self.footer]
        if self.notes:
            lines += ["", *(f"! {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        import html

        head = "".join(f'<th scope="col" style="text-align:left">{html.escape(h)}</th>' for h in self.heading)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(c)}</td>' for c in row) + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<p>⚠ {html.escape(note)}</p>" for note in self.notes)
        footer = f"<p>{html.escape(self.footer)}</p>" if self.footer else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}{notes}"
