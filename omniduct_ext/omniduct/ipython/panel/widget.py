"""The panel as a widget: what it shows, and what the page says."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anywidget
from traitlets import Dict, List, Unicode

from omniduct.core import cleanup
from omniduct.core.failures import redact
from omniduct.core.lifecycle import CONNECTED
from omniduct.errors import DuctConnectionError, DuctError
from omniduct.ipython import threads
from omniduct.ipython.panel import details, statements
from omniduct.ipython.panel.board import Board
from omniduct.ipython.panel.connecting import Workers
from omniduct.ipython.panel.questions import Fields
from omniduct.ipython.panel.rows import key_of
from omniduct.ipython.panel.texts import table_of

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient
    from omniduct.duct import Duct
    from omniduct.registry import DuctRegistry

__all__ = ["PanelWidget"]

logger = logging.getLogger("omniduct")

_AT_ONCE = 16  # ducts that are begun with while the page waits

_PAGE = Path(__file__).with_name("page")
_SCRIPTS = ("elements.js", "questions.js", "details.js", "rows.js", "kernel.js", "panel.js")


def _script() -> str:
    return "\n".join((_PAGE / name).read_text("utf-8") for name in _SCRIPTS)


def _hear_at_once(comm: Any) -> None:
    """Have messages heard while a cell runs; ipykernel 7.4 has no public way to say so."""
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default


def _begin(act: Callable[[Duct], None], ducts: list[Duct]) -> None:
    """Begin something with ducts; with many aside, as threads start slowly beside others that work."""

    def begin() -> None:
        for duct in ducts:
            act(duct)

    if len(ducts) > _AT_ONCE:
        threads.start("omniduct panel begins", begin)
    else:
        begin()


class PanelWidget(anywidget.AnyWidget):
    """The ducts of a registry, live in every page that shows it, until `close`.

    Parameters
    ----------
    registry : DuctRegistry
        Whose ducts.

    Attributes
    ----------
    columns : list of str
        Which of "protocol", "where", "state" and "since" are shown.
    check_every : float
        Seconds between two checks whether what is connected still is, while somebody sees the panel; 0 for
        none.
    """

    _esm = _script()
    _css = (_PAGE / "panel.css").read_text("utf-8")

    rows = List(Dict()).tag(sync=True, to_json=lambda value, widget: widget.current_rows())
    problems = List(Unicode()).tag(sync=True)
    columns = List(Unicode()).tag(sync=True)

    def __init__(self, registry: DuctRegistry) -> None:
        self._registry = registry
        self._views: dict[str, float] = {}  # when each was last seen by the person
        self._fields = Fields(self._is_shown, self._note)
        self._workers = Workers(self._fields, self._note)
        self._board: Board | None = Board(registry, self._describe, self._push, self._workers.cancel)
        super().__init__(problems=self._problems())
        self.on_msg(self._hear)
        _hear_at_once(self.comm)

    # What it shows

    @property
    def check_every(self) -> float:
        """Of the board that it shows."""
        return 0.0 if self._board is None else self._board.check_every

    @check_every.setter
    def check_every(self, seconds: float) -> None:
        if self._board is not None:
            self._board.check_every = seconds

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, as ``Widget.close_all()`` does too."""
        return self._board is None

    def current_rows(self) -> list[dict[str, Any]]:
        """All rows as they are now: for a page that comes to it later."""
        return [] if self._board is None else self._board.rows()

    def _problems(self) -> list[str]:
        return [str(problem) for problem in self._registry.problems]

    def _describe(self, duct: Duct) -> dict[str, Any]:
        return {
            "doing": self._workers.doing(duct),
            "questions": self._fields.of(duct),
            "calls": statements.shown(duct),
        }

    def _note(self, duct: Duct | None) -> None:
        if self._board is not None:
            self._board.note(duct)

    def _push(self, rows: list[dict[str, Any]], order: list[str] | None) -> None:
        self.send({"type": "rows", "rows": rows, "order": order})
        if order is not None and self.problems != (problems := self._problems()):
            self.problems = problems

    def _is_shown(self) -> bool:
        return bool(self._views)

    # What the page says

    def _hear(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        """Take a message of the page's; it comes in the kernel's main thread, where nothing may wait."""
        handler = getattr(self, f"_hear_{content.get('type')}", None)
        if handler is None or self._board is None:
            logger.debug("the panel's page says %r, which nobody knows", content.get("type"))
            return
        handler(content)
        self.send({"type": "heard", "number": content.get("number"), "view": content.get("view")})

    def _hear_view(self, content: dict[str, Any]) -> None:
        view, board = str(content["view"]), cast("Board", self._board)
        if not content["there"]:
            self._views.pop(view, None)
        elif view not in self._views:
            board.tell_all()
        if content["there"]:
            self._views[view] = time.monotonic() if content["seen"] else -math.inf
        board.see(max(self._views.values(), default=-math.inf))

    def _hear_connect(self, content: dict[str, Any]) -> None:
        _begin(self._workers.connect, self._named(content))

    def _hear_disconnect(self, content: dict[str, Any]) -> None:
        _begin(self._workers.disconnect, cleanup.in_order(self._named(content)))

    def _named(self, content: dict[str, Any]) -> list[Duct]:
        found = map(cast("Board", self._board).duct, content["keys"])
        return [duct for duct in found if duct is not None]

    def _hear_details(self, content: dict[str, Any]) -> None:
        for duct in self._named(content):
            self.send({"type": "details", "key": key_of(duct), **details.details_of(self._registry, duct)})

    def _hear_open(self, content: dict[str, Any]) -> None:
        path = [str(part) for part in content["path"]]
        for duct in self._named(content):
            threads.start(f"omniduct opens {duct.name}", self._open, duct, path)

    def _open(self, duct: Duct, path: list[str]) -> None:
        """Tell the page what is below a namespace; in a thread, as the service is asked."""
        found: dict[str, Any]
        try:
            if duct._life.state != CONNECTED:  # any more: looking into it is not to connect it
                raise DuctConnectionError(f"{duct.name}: is not connected")
            found = details.opened(cast("DatabaseClient", duct), path)
        except Exception as error:
            if not isinstance(error, DuctError):
                logger.exception("%s: listing %s for the panel", duct.name, ".".join(path))
            found = {"error": redact(duct, str(error))}
        self.send({"type": "opened", "key": key_of(duct), "path": path, **found})

    def _hear_stop(self, content: dict[str, Any]) -> None:
        for duct in self._named(content):
            statements.stop(duct, str(content["call"]))

    def _hear_answer(self, content: dict[str, Any]) -> None:
        text = content.pop("text")  # nor is it to stay in the message, which the kernel keeps for a while
        self._fields.answer(str(content["key"]), text, bool(content["keeps"]), bool(content["saves"]))

    def _hear_dismiss(self, content: dict[str, Any]) -> None:
        self._fields.dismiss(str(content["key"]))

    # As anything else that a cell shows

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if data is None:
            return None
        self.send_state("rows")  # a page that has shown it before has those of then
        table = table_of(self._registry)
        data["text/plain"], data["text/html"] = repr(table), table._repr_html_()
        return data, metadata

    def __repr__(self) -> str:
        return f"<panel of {self._registry!r}>"

    def close(self) -> None:
        """Take it out of every page; questions that it asks are cancelled."""
        board, self._board = self._board, None
        if board is not None:
            board.close()
            self._views.clear()
            self._fields.dismiss_all()
        super().close()
