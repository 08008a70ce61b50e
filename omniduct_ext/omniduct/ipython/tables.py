"""A small table that shows itself in a terminal and in a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Table"]


def has_colours() -> bool:
    """Whether what is printed goes to a terminal that has colours, and the person wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and sys.stdout is not None and sys.stdout.isatty()


def _coloured(text: str, colour: str) -> str:
    """A text in a colour, by the number that terminals know it by."""
    return f"\033[{colour}m{text}\033[0m" if colour else text


class Table:
    """Rows under a heading, a footer, and beneath it what is wrong.

    Parameters
    ----------
    heading, rows : sequence
        The texts.
    notes : iterable of str
        What is wrong.
    footer : str
        What stands beneath.
    colours : mapping, optional
        The colours, as terminals number them, of cells with these texts.

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
        colours: Mapping[str, str] | None = None,
    ) -> None:
        self.colours = dict(colours or {})
        self.heading = list(heading)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in rows]
        self.notes = list(notes)
        self.footer = footer

    def __repr__(self) -> str:
        return self._text({})

    def _text(self, colours: Mapping[str, str]) -> str:
        widths = [max(map(len, column)) for column in zip(self.heading, *self.rows, strict=True)]
        ruled = [self.heading, ["─" * width for width in widths], *self.rows]
        lines = [
            "  ".join(
                _coloured(f"{cell:<{w}}", colours.get(cell, "")) for cell, w in zip(row, widths, strict=True)
            ).rstrip()
            for row in ruled
        ]
        if self.footer:
            lines += ["", self.footer]
        if self.notes:
            lines += ["", *(f"! {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self._text(self.colours if has_colours() else {}))

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
