"""``%omniduct`` and its subcommands."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from omniduct import protocols
from omniduct.core import fields, remembered
from omniduct.core.cleanup import in_order
from omniduct.credentials import holds_login, is_tagged
from omniduct.duct import Duct
from omniduct.errors import DuctConnectionError, DuctError, DuctMagicError
from omniduct.ipython.lines import Declaration, parse
from omniduct.ipython.panel.showing import shown
from omniduct.ipython.panel.texts import table_of
from omniduct.ipython.tables import Table
from omniduct.utils.magics import Declared, MagicCall, MagicsProvider, Rest, line_magic

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["OmniductCommands"]

_COMMANDS = ("panel", "status", "connect", "disconnect", "forget", "new", "config")


class OmniductCommands(MagicsProvider):
    """The magic of the registry itself."""

    def __init__(self, registry: DuctRegistry, publish: Callable[[], None]) -> None:
        self._registry = registry
        self._publish = publish  # puts new names into the user's namespace

    @line_magic()
    def _omniduct(self, call: MagicCall, command: Rest = "panel") -> Any:
        """Show the ducts and their state, connect and disconnect them, make new ones.

        ``%omniduct``
            The panel, where a page shows widgets; elsewhere the same as status.
        ``%omniduct status``
            Every duct: name, kind, protocol, where it is, and its state; and what could not be loaded.
        ``%omniduct connect NAME ...``
            Connect ducts now, rather than when they are first used.
        ``%omniduct disconnect NAME ...``
            Disconnect ducts; all of them if no name is given.
        ``%omniduct forget NAME ...``
            Forget the logins that were typed for ducts, in this session and in the keyring. What is connected
            stays so.
        ``%omniduct new NAME PROTOCOL key=value ...``
            Make a duct and register it. A password is not written here, where it would stay in the
            notebook: use ``password=True`` to be asked, or a source as ``password='env:DB_PASSWORD'``.
        ``%omniduct config``
            Where each duct and setting came from.
        """
        name, _, rest = command.strip().partition(" ")
        if name not in _COMMANDS:
            near = difflib.get_close_matches(name, _COMMANDS, n=1, cutoff=0.7)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(_COMMANDS)}"
            raise DuctMagicError(f"%omniduct has no command {name!r}; {hint}")
        chosen = getattr(self, f"_{name}")
        words, keys = parse(rest, Declaration(_unbound(chosen), name, 1), f"%omniduct {name}", call.namespace)
        return chosen(*words, **keys)

    def _complete_magic(self, declared: Declared, before: str) -> list[str]:
        words = before.split()
        if not words:
            return list(_COMMANDS)
        if words[0] in ("connect", "disconnect", "forget"):
            return [name for name in self._registry.names if name not in words]
        return protocols.known() if words[0] == "new" and len(words) == 2 else []

    def _panel(self) -> Any:
        """Show the panel."""
        return shown(self._registry)

    def _status(self) -> Table:
        """Show every duct and its state, and what could not be loaded."""
        return table_of(self._registry)

    def _table(self, ducts: list[Duct], notes: Iterable[str] = ()) -> Table:
        return table_of(self._registry, ducts, notes)

    def _connect(self, *names: str) -> Table:
        """Connect ducts."""
        ducts = self._named("connect", names)
        failures = []
        for duct in ducts:
            try:
                duct.connect()
            except DuctError as error:
                failures.append(error)
        if len(failures) > 1:
            raise DuctConnectionError("\n".join(map(str, failures)))
        if failures:
            raise failures[0]
        return self._table(ducts)

    def _disconnect(self, *names: str) -> Table:
        """Disconnect ducts; all of them without a name."""
        ducts = self._named("disconnect", names) if names else list(self._registry)
        complaints = []
        for duct in in_order(ducts):
            try:
                duct.disconnect()
            except DuctError as error:  # the others are disconnected all the same
                complaints.append(str(error))
        return self._table(ducts, complaints)

    def _forget(self, *names: str) -> Table:
        """Forget the logins of ducts."""
        rows = [(duct.name, *_forgotten(duct)) for duct in self._named("forget", names)]
        return Table(("name", "in this session", "in the keyring"), rows)

    def _named(self, command: str, names: tuple[str, ...]) -> list[Duct]:
        parts = [part for name in names for part in name.split(",") if part]
        if not parts:
            raise DuctMagicError(
                f"%omniduct {command} needs the name of a duct; there are {', '.join(self._registry.names)}"
            )
        return list({id(duct): duct for duct in map(self._registry.lookup, parts)}.values())

    def _new(self, name: str, protocol: str, **arguments: Any) -> Table:
        """Make a duct and register it."""
        password = arguments.get("password")
        literal = isinstance(password, str) and not is_tagged(password)
        if literal or any(map(holds_login, arguments.values())):
            raise DuctMagicError(
                "%omniduct new takes no literal password, which would stay in the notebook and the history; "
                "use password=True to be asked, or a source: 'env:NAME', 'keyring:service' or 'command:...'"
            )
        duct = self._registry.new(name, protocol, **arguments)
        self._publish()
        return self._table([duct])

    def _config(self) -> Table:
        """Show where each duct came from, and the settings."""
        rows = [(name, self._registry[name].protocol or "", str(self._registry.origin(name)))
                for name in self._registry.names]  # fmt: skip
        files = ", ".join(self._registry.sources()) or "none"
        settings = (
            f"files: {files}; register_magics: {self._registry.register_magics}; "
            f"populate_namespace: {self._registry.populate_namespace}"
        )
        return Table(("name", "protocol", "from"), rows, map(str, self._registry.problems), settings)


def _forgotten(duct: Duct) -> tuple[str, str]:
    """Forget what was typed for a duct; what was forgotten, in words."""
    try:
        kept = remembered.forget(duct)  # first, as it is kept under the username, which may have been typed
    finally:
        known = fields.forget_answers(duct)
    return "forgotten" if known else "nothing", "forgotten" if kept else "nothing"


def _unbound(method: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = method.__func__
    return function
