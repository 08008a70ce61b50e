"""What ``%load_ext omniduct`` puts into a session, and what ``%unload_ext`` takes back."""

from __future__ import annotations

import builtins
import keyword
import warnings
import weakref
from typing import TYPE_CHECKING, Any, cast

from IPython.display import display

from omniduct.duct import Duct
from omniduct.errors import DuctWarning
from omniduct.ipython.commands import OmniductCommands
from omniduct.ipython.completion import LineCompleter
from omniduct.ipython.magics import HelpLines, register_declared, say, table
from omniduct.ipython.panel.showing import DuctPanel, close_panel, shown
from omniduct.ipython.progress import CellStarts
from omniduct.registry import DuctRegistry

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Extension", "load", "unload"]

_MOST_SHOWN = 5


class Extension:
    """What one shell has of omniduct: the registry, the magics and the names."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = cast("Any", shell)  # IPython has no types here
        self._names: dict[str, object] = {}
        self._told: set[str] = set()
        self.registry = DuctRegistry(parent=shell)
        self._shell.configurables.append(self.registry)
        self._panel = DuctPanel(parent=shell)
        self._shell.configurables.append(self._panel)
        self._completer = LineCompleter(shell)
        self._help = HelpLines(shell)
        self._cells = CellStarts(shell)
        try:
            self._fill()
        except BaseException:
            self.close()
            raise
        self.registry.observe(self._reload, names=["ducts", "config_files"])
        if self._panel.show_on_load:
            display(shown(self.registry))  # type: ignore[no-untyped-call]

    def _fill(self) -> None:
        self.registry.load()
        with table(self._shell).telling("omniduct"):
            register_declared(OmniductCommands(self.registry, self._populate), "omniduct")
        self._populate()
        self._report()

    def _populate(self) -> None:
        """Put the ducts into the user's namespace; a name of the user's own stays theirs."""
        if not self.registry.populate_namespace:
            return
        new = {}
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always", DuctWarning)
            names = self.registry.populate_namespace()
        for notice in notices:
            if str(notice.message) not in self._told:
                self._told.add(str(notice.message))
                say(str(notice.message))
        for name, value in {"registry": self.registry, **names}.items():
            owner = self._owner(name)
            if owner:
                self._leave(name, value, owner)
            elif self._names.get(name) is not value:  # else it is there, or the person has deleted it
                new[name] = value
        self._names.update(new)
        self._shell.push(new, interactive=False)

    def _owner(self, name: str) -> str:
        """Whose a name is, in words; empty if it may be given to a duct."""
        user = self._shell.user_ns
        if name in user:
            return "" if user[name] is self._names.get(name) else "a variable of yours"
        return "Python's own" if hasattr(builtins, name) or keyword.iskeyword(name) else ""

    def _leave(self, name: str, value: object, owner: str) -> None:
        if name in self._told or self._shell.user_ns.get(name) is value:
            return
        self._told.add(name)
        text = f"{name} is {owner} and stays so"
        if isinstance(value, Duct):
            text += f"; the duct is registry[{self.registry.names_of(value)[0]!r}]"
        say(text)

    def _report(self) -> None:
        problems = self.registry.problems
        for problem in problems[:_MOST_SHOWN]:
            say(str(problem))
        if len(problems) > _MOST_SHOWN:
            say(f"{len(problems) - _MOST_SHOWN} more entries have problems: %omniduct status lists them")

    def _reload(self, _change: object) -> None:
        """Read the configuration again, after ``%config`` changed it; ducts made in the session stay."""
        mine = {name: self.registry[name] for name in self.registry.names if self.registry.is_own(name)}
        self._take_names()
        table(self._shell).take_back()
        self.registry.clear(keep=mine)
        self._fill()

    def _take_names(self) -> None:
        hidden = self._shell.user_ns_hidden
        for name, value in self._names.items():
            self._shell.drop_by_id({name: value})
            if hidden.get(name) is value:  # the person has given the name to something else
                del hidden[name]
        self._names.clear()

    def close(self) -> None:
        """Disconnect, and take back exactly what was put in."""
        self.registry.unobserve_all()
        self._completer.close()
        self._help.close()
        self._cells.close()
        close_panel(self.registry)
        self._take_names()
        table(self._shell).take_back()
        for configurable in (self.registry, self._panel):
            if configurable in self._shell.configurables:
                self._shell.configurables.remove(configurable)
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
