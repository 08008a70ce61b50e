"""Magics of ducts in an IPython shell: what calls them, and the record of what was put in."""

from __future__ import annotations

import re
import sys
import traceback
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, cast

from IPython.core.getipython import get_ipython

from omniduct.ipython.lines import Declaration, parse
from omniduct.utils.magics import Declared, MagicsProvider, declared_magics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Call",
    "HelpLines",
    "MagicFunction",
    "MagicTable",
    "register",
    "register_declared",
    "say",
    "table",
]

Kind = Literal["line", "cell"]
_KINDS: tuple[Kind, Kind] = ("line", "cell")
_OTHER: dict[Kind, Kind] = {"line": "cell", "cell": "line"}
NEVER = frozenset({"sql"})  # belongs to other packages


def say(text: str) -> None:
    """Tell the person something that is no error."""
    print(f"omniduct: {text}", file=sys.stderr)  # noqa: T201


def _spelled(kind: Kind, name: str) -> str:
    """As it is typed: ``%name`` or ``%%name``."""
    return f"{'%' if kind == 'line' else '%%'}{name}"


def _of_ipython(function_or_object: Any) -> bool:
    return str(getattr(function_or_object, "__module__", "")).startswith("IPython.")


class Call:
    """What a magic's method may do with the session: a `omniduct.utils.magics.MagicCall`."""

    __slots__ = ("_shell", "namespace")

    def __init__(self, shell: InteractiveShell, local: Mapping[str, Any] | None) -> None:
        self._shell = cast("Any", shell)  # IPython has no types here
        user = shell.user_ns
        self.namespace: Mapping[str, Any] = user if local is None or local is user else ChainMap(local, user)  # type: ignore[arg-type]

    def assign(self, name: str, value: object) -> None:
        """Give a variable of the user's a value."""
        self._shell.push({name: value})

    def show(self, value: object) -> None:
        """Display a value below the cell."""
        from IPython import display

        show: Any = display.display
        show(value)

    def note(self, text: str) -> None:
        """Print a line below the cell."""
        print(text)  # noqa: T201


class MagicFunction:
    """One magic of one object: reads its line by the signature of the method that declares it.

    What IPython asks of a magic's function it finds here: that ``{}`` and ``$`` on the line are not
    expanded, that local variables are wanted, and the text for ``%NAME?``.
    """

    _ipython_magic_no_var_expand = True
    needs_local_scope = True

    def __init__(self, bound: object, declared: Declared, name: str) -> None:
        self._bound = bound
        self._declared = declared
        self.kind = declared.kind
        self.__name__ = name
        self.__doc__ = declared.function.__doc__  # ``%quickref`` shows its first line

    @property
    def declaration(self) -> Declaration:
        """How its line is read."""
        return _declaration(self._declared)

    @property
    def __wrapped__(self) -> Callable[..., Any]:  # what ``%NAME??`` shows the source of
        return self._declared.function

    def __call__(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> object:
        """Run the magic: what IPython does with a line, and a cell, that begins with its name."""
        shell = get_ipython()
        assert shell is not None, "a magic was called outside IPython"
        call = Call(shell, local_ns if self.kind == "line" else _where_a_cell_magic_was_called())
        words, keys = parse(line, self.declaration, _spelled(self.kind, self.__name__), call.namespace)
        method = getattr(self._bound, self._declared.attribute)
        if self.kind == "cell":
            return method(call, cell or "", *words, **keys)
        return method(call, *words, **keys)

    def serves(self, provider: object) -> bool:
        """Whether it is a magic of that object."""
        return self._bound is provider

    def words(self, before: str) -> list[str]:
        """What could stand on the line after `before`, besides keys; of what its owner can name."""
        complete = getattr(self._bound, "_complete_magic", None)
        return [] if complete is None else list(complete(self._declared, before))

    def getdoc(self) -> str:
        """The help, from signature and docstring; IPython asks for it under this name.

        That of the other magic of the same name follows: ``%NAME.template`` and ``%%NAME.template``.
        """
        shell = get_ipython()
        other = None if shell is None else table(shell).find(_OTHER[self.kind], self.__name__)
        return "\n\n\n".join(each.own_help() for each in (self, other) if each is not None)

    def own_help(self) -> str:
        """The help for this magic alone."""
        text = self.declaration.help(self.__name__, self.kind == "cell")
        base = self.__name__.removesuffix(f".{self._declared.suffix}")
        return text.replace("%NAME", f"%{base}")


def _where_a_cell_magic_was_called() -> Mapping[str, Any] | None:
    """The local variables there: IPython gives a cell magic only those of the user's namespace."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "run_cell_magic":
        frame = frame.f_back
    return None if frame is None or frame.f_back is None else frame.f_back.f_locals


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
        self._objects: list[Any] = []
        self._refused: dict[tuple[Kind, str], None] = {}
        self._told: set[tuple[Kind, str]] = set()

    @property
    def _magics(self) -> dict[str, dict[str, Any]]:
        shell = self._shell()
        return shell.magics_manager.magics if shell is not None else {"line": {}, "cell": {}}

    def put(self, functions: Iterable[MagicFunction]) -> None:
        """Add the magics of one duct, but for those whose names belong to somebody else."""
        magics, lazy = self._magics, self._lazy()  # traits, and so slow to ask for
        for function in functions:
            kind, name = function.kind, function.__name__
            held = magics[kind].get(name)
            if self._may_be_ours(kind, name, held, lazy) and not _serves_another_registry(held, function):
                magics[kind][name] = self._ours[kind, name] = function
            else:
                self._refused[kind, name] = None

    def _lazy(self) -> Mapping[str, str]:
        """The magics that the user has declared, and that load when they are used."""
        shell = self._shell()
        return {} if shell is None else shell.magics_manager.lazy_magics

    def _may_be_ours(self, kind: Kind, name: str, held: object, lazy: Mapping[str, str]) -> bool:
        """Whether a name that is `held` by that function, or by none, may be given away."""
        if name in NEVER or (held is None and name in lazy):
            return False
        return held is None or held is self._ours.get((kind, name))

    @contextmanager
    def telling(self, base_name: str) -> Iterator[None]:
        """When this block ends, say what could not be had in it for the duct; never twice."""
        try:
            yield
        finally:
            refused = [each for each in self._refused if each not in self._told]
            self._told.update(refused)
            self._refused.clear()
            if refused:
                names = [
                    _spelled(*each) for each in sorted(refused, key=lambda each: (each[1], each[0] == "cell"))
                ]
                verb = "is" if len(names) == 1 else "are"
                say(
                    f"{' and '.join(names)} {verb} left to others; for magics of the duct {base_name!r} "
                    "under another name call its register_magics('another_name')"
                )

    @contextmanager
    def adopting(self) -> Iterator[None]:
        """In this block a third party registers by itself: its magics are noted, those of others put back."""
        shell = self._shell()
        assert shell is not None
        before = {kind: dict(self._magics[kind]) for kind in _KINDS}
        objects = dict(shell.magics_manager.registry)
        try:
            yield
        finally:
            for kind in _KINDS:
                self._adopt(kind, before[kind])
            now = shell.magics_manager.registry
            self._objects += [
                now[name] for name in now if now[name] is not objects.get(name) and not _of_ipython(now[name])
            ]

    def _adopt(self, kind: Kind, before: dict[str, Any]) -> None:
        for name, function in list(self._magics[kind].items()):
            former = before.get(name)
            if function is former or self._ours.get((kind, name)) is function:
                continue
            if former is not None and _of_ipython(function):  # IPython loads its own when they are first used
                continue
            if self._may_be_ours(kind, name, former, self._lazy()):
                self._ours[kind, name] = function
                continue
            self._refused[kind, name] = None
            if former is None:
                del self._magics[kind][name]
            else:
                self._magics[kind][name] = former

    def has(self, name: str) -> bool:
        """Whether a magic of this name, of either kind, is ours."""
        return any((kind, name) in self._ours for kind in _KINDS)

    def find(self, kind: Kind, name: str) -> MagicFunction | None:
        """The declared magic of ours that has this name."""
        found = self._ours.get((kind, name))
        return found if isinstance(found, MagicFunction) else None

    def take_back_from(self, provider: object) -> None:
        """Remove the declared magics of one duct, which has given its name away."""
        for (kind, name), function in list(self._ours.items()):
            if isinstance(function, MagicFunction) and function.serves(provider):
                del self._ours[kind, name]
                if self._magics[kind].get(name) is function:
                    del self._magics[kind][name]

    def take_back(self) -> None:
        """Remove every magic that is still ours."""
        magics = self._magics
        for (kind, name), function in self._ours.items():
            if magics[kind].get(name) is function:
                del magics[kind][name]
        for magics_object in self._objects:
            self._forget(magics_object)
        self._ours.clear()
        self._objects.clear()
        self._told.clear()

    def _forget(self, magics_object: object) -> None:
        """Take a third party's ``Magics`` object out of what IPython keeps of it."""
        shell = self._shell()
        if shell is None:
            return
        known, name = shell.magics_manager.registry, type(magics_object).__name__
        if name in known and known[name] is magics_object:
            del known[name]
        shell.configurables[:] = [each for each in shell.configurables if each is not magics_object]


def _serves_another_registry(held: object, function: object) -> bool:
    """Whether a magic is that of a duct which another registry than the function's still holds."""
    if not isinstance(held, MagicFunction) or not isinstance(function, MagicFunction):
        return False
    theirs, mine = (getattr(each._bound, "registry", None) for each in (held, function))
    return theirs is not None and theirs is not mine and any(duct is held._bound for duct in theirs)


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
    names = dict.fromkeys([base_name, base_name.replace("/", ".")])  # %prod.hive is what people try, too
    own = table(shell)
    with own.telling(base_name):
        for name in names:
            if type(provider)._register_magics is MagicsProvider._register_magics:
                provider._register_magics(name)
            else:
                with own.adopting():
                    _register_by_itself(provider, name)


def _register_by_itself(provider: MagicsProvider, name: str) -> None:
    """Let a third party register; its failure is said, and stops nothing else that is being loaded."""
    try:
        provider._register_magics(name)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        say(
            f"the magics of {name!r} could not all be registered: {type(error).__name__}: {error} "
            f"[{place.filename}, line {place.lineno}]"
        )


def unregister(provider: object) -> None:
    """Take the declared magics of a duct out of the current shell, if there is one."""
    shell = get_ipython()
    if shell is not None:
        table(shell).take_back_from(provider)


def register_declared(provider: object, base_name: str) -> None:
    """Register what the class declares."""
    shell = get_ipython()
    if shell is None:
        return
    declared = declared_magics(type(provider))
    table(shell).put(MagicFunction(provider, each, each.name(base_name)) for each in declared)


class HelpLines:
    """Makes ``%%NAME.template?`` and ``%my-duct?`` show help: IPython's own `?` knows no such names."""

    _LINE = re.compile(r"(?P<name>%{1,2}[^\s%?]+)(?P<marks>\?{1,2})\s*\Z")

    def __init__(self, shell: InteractiveShell) -> None:
        self._table = table(shell)
        self._shell = weakref.ref(shell)
        shell.input_transformers_cleanup.insert(0, self)  # before what makes a cell magic of the line

    def __call__(self, lines: list[str]) -> list[str]:
        """The lines of a cell, one that asks for the help of a magic of ours as a call."""
        found = self._LINE.match(lines[0]) if len(lines) == 1 else None
        if found is None or not self._table.has(found["name"].lstrip("%")):
            return lines
        command = "pinfo2" if found["marks"] == "??" else "pinfo"
        return [f"get_ipython().run_line_magic({command!r}, {found['name']!r})\n"]

    def close(self) -> None:
        """Take it out again."""
        shell = self._shell()
        if shell is not None and self in shell.input_transformers_cleanup:
            shell.input_transformers_cleanup.remove(self)
