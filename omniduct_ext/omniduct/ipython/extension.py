"""What ``%load_ext omniduct`` puts into a session, and what ``%unload_ext`` takes back."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING

from omniduct.ipython.commands import OmniductCommands
from omniduct.ipython.completion import LineCompleter
from omniduct.ipython.magics import register_declared, table
from omniduct.registry import DuctRegistry

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Extension", "load", "unload"]

_MOST_SHOWN = 5


class Extension:
    """What one shell has of omniduct: the registry, the magics and the names."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._names: dict[str, object] = {}
        self.registry = DuctRegistry(parent=shell)
        shell.configurables.append(self.registry)
        self._completer = LineCompleter(shell)
        self._fill()
        self.registry.observe(self._reload, names=["ducts", "config_files"])

    def _fill(self) -> None:
        self.registry.load()
        register_declared(OmniductCommands(self.registry, self._populate), "omniduct")
        self._populate()
        self._report()

    def _populate(self) -> None:
        """Put the ducts into the user's namespace; a name of the user's own stays theirs."""
        if not self.registry.populate_namespace:
            return
        names = {"registry": self.registry, **self.registry.populate_namespace()}
        taken = []
        for name, value in names.items():
            held = self._shell.user_ns.get(name, value)
            if held is not value and held is not self._names.get(name):
                taken.append(name)
            elif name.isidentifier():
                self._names[name] = value
        self._shell.push(self._names, interactive=False)
        for name in sorted(set(taken) - {"registry"}):
            _say(f"{name} is a variable of yours and stays so; the duct is registry[{name!r}]")

    def _report(self) -> None:
        problems = self.registry.problems
        for problem in problems[:_MOST_SHOWN]:
            _say(str(problem))
        if len(problems) > _MOST_SHOWN:
            _say(f"{len(problems) - _MOST_SHOWN} more entries have problems: %omniduct status lists them")

    def _reload(self, _change: object) -> None:
        """Read the configuration again, after ``%config DuctRegistry...`` changed it."""
        self._take_names()
        table(self._shell).take_back()
        self.registry.clear()
        self._fill()

    def _take_names(self) -> None:
        for name, value in self._names.items():
            if self._shell.user_ns.get(name) is value:
                self._shell.drop_by_id({name: value})
        self._names.clear()

    def close(self) -> None:
        """Disconnect, and take back exactly what was put in."""
        self.registry.unobserve_all()
        self._completer.close()
        self._take_names()
        table(self._shell).take_back()
        if self.registry in self._shell.configurables:
            self._shell.configurables.remove(self.registry)
        self.registry.clear()


_loaded: weakref.WeakKeyDictionary[InteractiveShell, Extension] = weakref.WeakKeyDictionary()


def load(shell: InteractiveShell) -> None:
    """Load the extension into a shell; one that is loaded already is unloaded first."""
    unload(shell)
    _loaded[shell] = Extension(shell)


def unload(shell: InteractiveShell) -> None:
    """Unload it; does nothing where it is not loaded."""
    extension = _loaded.pop(shell, None)
    if extension is not None:
        extension.close()


def _say(text: str) -> None:
    print(f"omniduct: {text}", file=sys.stderr)  # noqa: T201
