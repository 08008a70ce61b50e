"""A real kernel, driven as a notebook drives it, and a real IPython in a terminal."""

from __future__ import annotations

import os
import queue
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "omniduct_ext"
PATIENCE = 30.0  # seconds

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>()][A-Z0-9]?)")


def plain(text: str) -> str:
    """A text without the escapes that colour it and move the cursor."""
    return _ESCAPE.sub("", text).replace("\r\n", "\n")


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What a process of its own sees: an empty home, and the package as it is here."""
    own = {"HOME": str(folder), "IPYTHONDIR": str(folder / ".ipython"), "PYTHONPATH": str(SOURCE)}
    return {**os.environ, **own, **variables}


@dataclass
class Outcome:
    """What one cell gave."""

    stdout: str = ""
    stderr: str = ""
    shown: list[str] = field(default_factory=list)
    result: str | None = None
    ename: str = ""
    error: str = ""
    help: str = ""
    displays: dict[str, str] = field(default_factory=dict)
    """What the notebook keeps of displays, by their ids."""
    lines: list[str] = field(default_factory=list)
    """All that was displayed, what was written over included."""
    markup: list[str] = field(default_factory=list)
    """The same as HTML, of what has such."""

    @property
    def everything(self) -> str:
        """All that the page shows."""
        return "\n".join([self.stdout, self.stderr, *self.shown, self.result or "", self.error, self.help])


class Kernel:
    """An ipykernel in a process of its own; a context manager.

    Parameters
    ----------
    folder : Path
        Its home and working folder.
    **variables
        Environment variables.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager()
        self._environment = environment(folder, **variables)
        self._folder = folder
        self._client: Any = None
        self.page = Outcome()
        """What all cells have displayed, and what came while none ran."""

    def __enter__(self) -> Kernel:
        self._manager.start_kernel(env=self._environment, cwd=str(self._folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def shut_down(self) -> None:
        """Ask it to end, as closing a notebook does, and wait until it has."""
        self._client.shutdown()
        deadline = time.monotonic() + PATIENCE
        while self._manager.is_alive():
            assert time.monotonic() < deadline, "the kernel did not end"
            time.sleep(0.05)

    def start(self, code: str, printed: str = "") -> str:
        """Begin to run a cell; return when the kernel has begun, and has printed that text."""
        sent = self._send(code)
        outcome = Outcome()
        self._await(sent, "execute_input", outcome)
        while printed not in outcome.stdout:
            self._await(sent, "stream", outcome)
        return sent

    def _send(self, code: str) -> str:
        # With stop_on_error a cell that comes a moment after one that failed is not run at all.
        sent: str = self._client.execute(code, store_history=True, stop_on_error=False)
        return sent

    def interrupt(self) -> None:
        """What the stop button does."""
        self._manager.interrupt_kernel()

    def finish(self, sent: str, timeout: float = PATIENCE) -> Outcome:
        """Wait for the end of a cell that was begun; without its reply, which an interrupt may cost."""
        outcome = Outcome()
        self._await(sent, "idle", outcome, timeout)
        return outcome

    def run(self, code: str, timeout: float = PATIENCE) -> Outcome:
        """Run a cell to its end."""
        sent = self._send(code)
        outcome = self.finish(sent, timeout)
        for page in self._asked(sent, timeout).get("payload", []):
            outcome.help += plain(page.get("data", {}).get("text/plain", ""))
        return outcome

    def value(self, code: str) -> str:
        """The result of a cell that must not fail."""
        outcome = self.run(code)
        assert not outcome.error, outcome.error
        assert outcome.result is not None, f"{code!r} has no result"
        return outcome.result

    def complete(self, code: str, timeout: float = PATIENCE) -> list[str]:
        """What the Tab key offers at the end of a text."""
        content = self._asked(self._client.complete(code, len(code)), timeout)
        matches: list[str] = content["matches"]
        return matches

    def inspect(self, code: str, timeout: float = PATIENCE) -> str:
        """What Shift and Tab show at the end of a text."""
        content = self._asked(self._client.inspect(code, len(code)), timeout)
        return plain(content["data"].get("text/plain", ""))

    def _asked(self, sent: str, timeout: float) -> Mapping[str, Any]:
        while True:
            reply = self._client.get_shell_msg(timeout=timeout)
            if reply["parent_header"].get("msg_id") == sent:
                content: Mapping[str, Any] = reply["content"]
                return content

    def _await(self, sent: str, what: str, outcome: Outcome, timeout: float = PATIENCE) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"no {what} within {timeout:g} s; so far: {outcome}") from None
            kind, content = message["msg_type"], message["content"]
            _note_display(kind, content, self.page)
            shown_elsewhere = kind == "update_display_data" and _display(content) not in outcome.displays
            if message["parent_header"].get("msg_id") != sent:
                continue
            _note(kind, content, outcome)
            if not shown_elsewhere:
                _note_display(kind, content, outcome)
            if what in (kind, content.get("execution_state")):
                return


def _display(content: Mapping[str, Any]) -> str:
    return str(content["transient"].get("display_id", ""))


def _note_display(kind: str, content: Mapping[str, Any], outcome: Outcome) -> None:
    if kind in ("display_data", "update_display_data"):
        text = content["data"].get("text/plain", "")
        outcome.displays[_display(content) or f"#{len(outcome.displays)}"] = text
        outcome.lines.append(text)
        outcome.markup += filter(None, [content["data"].get("text/html")])
    elif kind == "clear_output":
        outcome.displays.clear()


def _note(kind: str, content: Mapping[str, Any], outcome: Outcome) -> None:
    if kind == "stream":
        setattr(outcome, content["name"], getattr(outcome, content["name"]) + plain(content["text"]))
    elif kind == "display_data":
        outcome.shown.append(content["data"].get("text/plain", ""))
    elif kind == "execute_result":
        outcome.result = content["data"]["text/plain"]
    elif kind == "error":
        outcome.ename = content["ename"]
        outcome.error = plain("\n".join(content["traceback"]))
