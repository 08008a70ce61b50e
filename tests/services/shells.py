"""An IPython shell in this process, its cells run as a notebook runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from tests.services.kernels import plain
from traitlets.config import Config


@dataclass
class Ran:
    """What one cell gave."""

    result: Any
    error: BaseException | None
    stdout: str
    stderr: str
    shown: list[str]

    @property
    def said(self) -> str:
        """The message of the error that the cell must have ended with."""
        assert self.error is not None, f"it did not fail: {self.result!r}"
        return str(self.error)


class Shell:
    """Wraps the shell of the process."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.ip: Any = shell

    @property
    def user(self) -> dict[str, Any]:
        """The user's variables."""
        variables: dict[str, Any] = self.ip.user_ns
        return variables

    def run(self, code: str) -> Ran:
        """Run a cell, whatever becomes of it."""
        with capture_output() as seen:
            ran = self.ip.run_cell(code, store_history=True)
        shown = [output.data.get("text/plain", "") for output in seen.outputs]
        error = ran.error_before_exec or ran.error_in_exec
        return Ran(ran.result, error, plain(seen.stdout), plain(seen.stderr), shown)

    def value(self, code: str) -> Any:
        """The result of a cell that must not fail."""
        ran = self.run(code)
        if ran.error is not None:
            raise ran.error
        return ran.result

    def configure(self, **classes: dict[str, Any]) -> None:
        """Set ``c.<Class>.<key>``, in the place of all that was set before."""
        self.ip.config = Config({name: Config(values) for name, values in classes.items()})

    def magics(self) -> dict[str, dict[str, Any]]:
        """The magics there are, of both kinds."""
        magics: dict[str, dict[str, Any]] = self.ip.magics_manager.magics
        return magics

    def state(self) -> dict[str, Any]:
        """All that an extension could leave behind, to be compared."""
        return {
            "line": {name: id(each) for name, each in self.magics()["line"].items() if not _of_ipython(each)},
            "cell": {name: id(each) for name, each in self.magics()["cell"].items() if not _of_ipython(each)},
            "names": _names(self.user),
            "hidden": _names(self.ip.user_ns_hidden),
            "configurables": [type(c).__name__ for c in self.ip.configurables if not _of_ipython(c)],
            "registry": [n for n, o in self.ip.magics_manager.registry.items() if not _of_ipython(o)],
            "cleanup": list(self.ip.input_transformers_cleanup),
            "post": list(self.ip.input_transformers_post),
            "ast": list(self.ip.ast_transformers),
            "matchers": list(self.ip.Completer.custom_matchers),
            "events": {name: list(callbacks) for name, callbacks in self.ip.events.callbacks.items()},
            "formatters": {
                kind: (dict(f.type_printers), dict(f.deferred_printers))
                for kind, f in self.ip.display_formatter.formatters.items()
            },
        }


def _of_ipython(value: Any) -> bool:
    """Whether it is IPython's own: it loads many of its magics when they are first used."""
    modules = getattr(value, "__module__", ""), type(value).__module__
    return any(str(module).startswith("IPython.") for module in modules)


def _names(namespace: dict[str, Any]) -> dict[str, int]:
    """Names and the identities of what they stand for, without IPython's history."""
    history = {"In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "_exit_code"}
    return {n: id(v) for n, v in namespace.items() if n not in history and not n.lstrip("_i").isdigit()}


@contextlib.contextmanager
def started() -> Iterator[Shell]:
    """Within this block there is a shell, with omniduct not loaded."""
    from omniduct.ipython import extension

    in_memory = Config({"HistoryManager": {"hist_file": ":memory:"}})
    shell = InteractiveShell.instance(config=in_memory, colors="nocolor")
    own = Shell(shell)
    try:
        yield own
    finally:
        extension.unload(shell)
        InteractiveShell.clear_instance()
