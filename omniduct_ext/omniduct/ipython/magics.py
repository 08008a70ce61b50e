"""Magics of ducts in an IPython shell: what calls them, and the record of what was put in."""

from __future__ import annotations

import warnings
import weakref
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from IPython.core.getipython import get_ipython

from omniduct.errors import DuctWarning
from omniduct.ipython.lines import Declaration, parse
from omniduct.utils.magics import Declared, MagicsProvider, declared_magics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Call", "MagicFunction", "MagicTable", "register", "register_declared", "table"]

Kind = Literal["line", "cell"]
_KINDS: tuple[Kind, Kind] = ("line", "cell")
NEVER = frozenset({"sql"})  # belongs to other packages


class Call:
    """What a magic's method may do with the session: a `omniduct.utils.magics.MagicCall`."""

    __slots__ = ("_shell", "namespace")

    def __init__(self, shell: InteractiveShell, local: Mapping[str, Any] | None) -> None:
        self._shell = shell
        user = shell.user_ns
        self.namespace: Mapping[str, Any] = user if local is None or local is user else ChainMap(local, user)  # type: ignore[arg-type]

    def assign(self, name: str, value: object) -> None:
        """Give a variable of the user's a value."""
        self._shell.push({name: value})

    def show(self, value: object) -> None:
        """Display a value below the cell."""
        from IPython.display import display

        display(value)


class MagicFunction:
    """One magic of one object: reads its line by the signature of the method that declares it.

    What IPython asks of a magic's function it finds here: that ``{}`` and ``$`` on the line are not
    expanded, that local variables are wanted, and the text for ``%NAME?``.
    """

    __slots__ = ("__name__", "_bound", "_declared", "_kind")

    _ipython_magic_no_var_expand = True
    needs_local_scope = True

    def __init__(self, bound: object, declared: Declared, name: str) -> None:
        self._bound = bound
        self._declared = declared
        self._kind = declared.kind
        self.__name__ = name

    @property
    def declaration(self) -> Declaration:
        """How its line is read."""
        return _declaration(self._declared)

    @property
    def spelled(self) -> str:
        """As it is typed: ``%name`` or ``%%name``."""
        return f"{'%' if self._kind == 'line' else '%%'}{self.__name__}"

    def __call__(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> object:
        shell = get_ipython()
        assert shell is not None, "a magic was called outside IPython"
        call = Call(shell, local_ns)
        words, keys = parse(line, self.declaration, self.spelled, call.namespace)
        method = getattr(self._bound, self._declared.attribute)
        if self._kind == "cell":
            return method(call, cell or "", *words, **keys)
        return method(call, *words, **keys)

    def words(self, before: str) -> list[str]:
        """What could stand on the line after `before`, besides keys; of what its owner can name."""
        complete = getattr(self._bound, "_complete_magic", None)
        return [] if complete is None else list(complete(self._declared, before))

    def getdoc(self) -> str:
        """The help, from signature and docstring; IPython asks for it under this name."""
        return self.declaration.help(self.__name__, self._kind == "cell")


_declarations: dict[Declared, Declaration] = {}


def _declaration(declared: Declared) -> Declaration:
    found = _declarations.get(declared)
    if found is None:
        skip = 2 if declared.kind == "line" else 3  # self, call and, for a cell, its text
        found = _declarations[declared] = Declaration(declared.function, declared.suffix, skip)
    return found


class MagicTable:
    """What omniduct put among a shell's magics; it takes back exactly that."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = weakref.ref(shell)
        self._ours: dict[tuple[Kind, str], Any] = {}
        self._told: set[tuple[Kind, str]] = set()

    @property
    def _magics(self) -> dict[str, dict[str, Any]]:
        shell = self._shell()
        return shell.magics_manager.magics if shell is not None else {"line": {}, "cell": {}}

    def put(self, kind: Kind, name: str, function: Callable[..., Any]) -> None:
        """Add a magic, unless the name belongs to somebody else: then that is said, once."""
        held = self._magics[kind].get(name)
        if name in NEVER or (held is not None and held is not self._ours.get((kind, name))):
            self._tell(kind, name)
            return
        self._magics[kind][name] = self._ours[kind, name] = function

    def _tell(self, kind: Kind, name: str) -> None:
        if (kind, name) in self._told:
            return
        self._told.add((kind, name))
        spelled = f"{'%' if kind == 'line' else '%%'}{name}"
        warnings.warn(
            f"{spelled} is not omniduct's to give away and stays as it is; to have magics for the duct "
            f"{name!r}, give it another name, or call its register_magics('another_name')",
            DuctWarning,
            stacklevel=2,
        )

    def adopt(self, register: Callable[[], object]) -> None:
        """Let a third party register magics by itself, and note which; what it overwrote is put back."""
        before = {kind: dict(self._magics[kind]) for kind in _KINDS}
        register()
        for kind in _KINDS:
            for name, function in list(self._magics[kind].items()):
                former = before[kind].get(name)
                if function is former or self._ours.get((kind, name)) is function:
                    continue
                if former is not None and self._ours.get((kind, name)) is not former:
                    self._magics[kind][name] = former
                    self._tell(kind, name)
                else:
                    self._ours[kind, name] = function

    def find(self, kind: Kind, name: str) -> MagicFunction | None:
        """The declared magic of ours that has this name."""
        found = self._ours.get((kind, name))
        return found if isinstance(found, MagicFunction) else None

    def names(self, base_name: str) -> list[str]:
        """The magics of a duct, as they are typed."""
        found = []
        for kind, name in self._ours:
            if name == base_name or name.startswith(f"{base_name}."):
                found.append(f"{'%' if kind == 'line' else '%%'}{name}")
        return sorted(found)

    def take_back(self) -> None:
        """Remove every magic that is still ours."""
        magics = self._magics
        for (kind, name), function in self._ours.items():
            if magics[kind].get(name) is function:
                del magics[kind][name]
        self._ours.clear()
        self._told.clear()


_tables: weakref.WeakKeyDictionary[InteractiveShell, MagicTable] = weakref.WeakKeyDictionary()


def table(shell: InteractiveShell) -> MagicTable:
    """The record of what was put into a shell."""
    found = _tables.get(shell)
    if found is None:
        found = _tables[shell] = MagicTable(shell)
    return found


def register(provider: MagicsProvider, base_name: str) -> None:
    """Register the magics of a duct in the current shell, if there is one."""
    shell = get_ipython()
    if shell is None:
        return
    names = dict.fromkeys(
        [base_name, base_name.replace("/", ".")]
    )  # %prod.hive: IPython's `?` knows no slash
    for name in names:
        if type(provider)._register_magics is MagicsProvider._register_magics:
            provider._register_magics(name)
        else:
            table(shell).adopt(lambda name=name: provider._register_magics(name))  # type: ignore[misc]


def register_declared(provider: object, base_name: str) -> None:
    """Register what the class declares."""
    shell = get_ipython()
    if shell is None:
        return
    put = table(shell).put
    for declared in declared_magics(type(provider)):
        name = declared.name(base_name)
        put(declared.kind, name, MagicFunction(provider, declared, name))
