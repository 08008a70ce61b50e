"""DuctRegistry: the ducts of a session by name, and how they come from configuration."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, cast

from traitlets import Bool, Int, List, TraitError, TraitType, Unicode
from traitlets.config import Config, Configurable
from traitlets.config.loader import LazyConfigValue

from omniduct import config as configuration
from omniduct.config import Origin, Problem, defaults, loading
from omniduct.core import cleanup
from omniduct.core.arguments import article, configured, did_you_mean
from omniduct.duct import Duct
from omniduct.errors import DuctConfigError, DuctError, DuctNotFound, DuctWarning
from omniduct.proxy import DuctProxy
from omniduct.utils.magics import MagicsProvider

__all__ = ["DuctRegistry"]

_MOST_NAMES = 20
_THIS_SESSION = Origin("this session")


class Ducts(TraitType[Any, Any]):
    """A configuration of any shape. Passwords are wrapped when it is set, so that no display shows one."""

    info_text = "a mapping or a list of ducts, a YAML text, or the name of a YAML file"

    def validate(self, obj: Any, value: object) -> object:
        return defaults.hidden(value)


class Files(List[str]):
    """Names of files; one need not stand in a list."""

    def validate(self, obj: Any, value: Any) -> Any:
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        for name in names:
            if not isinstance(name, (str, os.PathLike)):  # traitlets would show it, and the logins in it
                raise TraitError(
                    f"config_files takes names of files, not {article(name)}; ducts themselves go to `ducts`"
                )
        return super().validate(obj, list(map(os.fspath, names)))


class Populate(Bool):  # type: ignore[type-arg]
    """A switch that can be called: ``registry.populate_namespace`` is the method, too."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        return _Populator(obj, bool(super().get(obj, cls)))

    def validate(self, obj: Any, value: Any) -> bool:
        # traitlets reads values and sets them again when it takes in a configuration
        return bool(super().validate(obj, bool(value) if isinstance(value, _Populator) else value))


class _Populator:
    def __init__(self, registry: DuctRegistry, switch: bool) -> None:
        self._registry = registry
        self._switch = switch

    def __bool__(self) -> bool:
        return self._switch

    def __repr__(self) -> str:
        return repr(self._switch)

    def __call__(
        self,
        namespace: MutableMapping[str, Any] | None = None,
        names: Iterable[str] | None = None,
        kinds: Iterable[Duct.Type | str] | None = None,
    ) -> MutableMapping[str, Any]:
        """Put the ducts into a namespace under the last parts of their names.

        Parameters
        ----------
        namespace : MutableMapping, optional
            Where; by default a new dictionary. In a module, pass ``globals()``.
        names, kinds : iterable, optional
            Only these names, only these kinds.

        Returns
        -------
        MutableMapping
            The namespace.
        """
        return self._registry._populate({} if namespace is None else namespace, names, kinds)


class DuctRegistry(Configurable):
    """The ducts of a session, by name.

    Parameters
    ----------
    config : list, Mapping, str or path, optional
        Ducts to begin with: see `register_from_config`.
    parent : Configurable, optional
        The application or shell whose configuration supplies this class's traits and, as
        ``c.<Class>.<argument>``, defaults for the arguments of ducts.

    Examples
    --------
    >>> registry = DuctRegistry({"databases": {"db": {"protocol": "duckdb"}}})
    >>> registry.names
    ['db']
    >>> registry["db"].query("SELECT 42 AS answer", format="tuple")
    [(42,)]
    """

    ducts = Ducts(None, allow_none=True, help="The ducts: any shape that register_from_config takes.").tag(
        config=True
    )
    config_files = Files(
        Unicode(),
        help="Files of ducts, in YAML; instead of the file named by OMNIDUCT_CONFIG or ~/.omniduct/config.",
    ).tag(config=True)
    register_magics = Bool(True, help="Whether ducts get magics when they are registered.").tag(config=True)
    populate_namespace: Any = Populate(
        True, help="Whether the extension puts the ducts into the user's namespace."
    ).tag(config=True)

    revision = Int(read_only=True, help="Grows when a name is added or taken away: observe it to know.")

    def __init__(self, config: Any = None, *, parent: Any = None, **kwargs: Any) -> None:
        given = config if isinstance(config, Config) else None
        if given is not None:
            defaults.hide_in(given)
        defaults.hide_secrets(parent)
        self._refused: list[tuple[str, str]] = []
        kwargs["config"] = self._fitting(given or getattr(parent, "config", None) or Config())
        self._ducts: dict[str, Duct] = {}
        self._origins: dict[str, Origin] = {}
        self._script: str | None = None  # the set-up file that is running
        self.problems: list[Problem] = []
        super().__init__(parent=parent, **kwargs)
        if config is not None and given is None:
            self._read(config, override=False, stacklevel=3)

    def update_config(self, config: Config) -> None:
        """Take in further configuration: ``%config`` gives it to this and to all others of the shell."""
        defaults.hide_in(config)
        try:
            super().update_config(config)
        finally:
            defaults.hide_secrets(self)

    def _fitting(self, config: Config) -> Config:
        """The configuration, without values of this class's traits that they refuse; these are told."""
        section = config.get("DuctRegistry", {})
        fitting = copy.deepcopy(config)
        for name, trait in self.class_traits(config=True).items():
            try:
                if name in section and not isinstance(section[name], LazyConfigValue):
                    trait._validate(self, section[name])
            except TraitError as error:
                self._refused.append((name, str(error)))
                del fitting["DuctRegistry"][name]
        return fitting if self._refused else config

    # Registering

    def register(
        self, duct: Duct, name: str | None = None, override: bool = False, register_magics: bool = True
    ) -> Duct:
        """Add a duct, under its name or another; "a, b" adds it under both.

        Raises
        ------
        DuctConfigError
            The name is taken, and not to be overridden.
        """
        if not isinstance(duct, Duct):
            raise DuctConfigError(f"a registry holds ducts, not {article(duct)}")
        names = self._free_names(duct.name if name is None else name, duct, override)
        for each in names:
            if each not in self._ducts:  # what was said of it is no longer so
                self.problems = [p for p in self.problems if each not in _split(p.name)]
        origin = loading.script_origin(self._script) if self._script else _THIS_SESSION
        replaced = [self._ducts[each] for each in names if each in self._ducts]
        self._add(duct, names, origin)
        for former in replaced:
            if isinstance(former, MagicsProvider) and all(former is not other for other in self):
                former._unregister_magics()
        for each in names:
            if register_magics:
                self._register_magics(each)
        return duct

    def _free_names(self, name: str, duct: Duct | None, override: bool) -> list[str]:
        """The names in "a, b", when a duct may have them."""
        names = _split(name) if isinstance(name, str) else []
        if not names:
            raise DuctConfigError(f"a duct cannot be registered under the name {name!r}; it takes a text")
        for each in names:
            if each in self._ducts and self._ducts[each] is not duct and not override:
                raise DuctConfigError(
                    f"the name {each!r} is taken by {self._ducts[each]!r} [{self.origin(each)}]; "
                    "choose another, or pass override=True"
                )
        return names

    def _add(self, duct: Duct, names: Iterable[str], origin: Origin) -> None:
        for name in names:
            self._ducts[name] = duct
            self._origins[name] = origin
        self._revise()

    def _revise(self) -> None:
        self.set_trait("revision", self.revision + 1)

    def _register_magics(self, name: str) -> None:
        duct = self._ducts[name]
        if self.register_magics and isinstance(duct, MagicsProvider):
            duct.register_magics(name)

    def new(
        self, name: str, protocol: str, override: bool = False, register_magics: bool = True, **kwargs: Any
    ) -> Duct:
        """Make a duct and register it.

        Parameters
        ----------
        name : str
            Its name; "a, b" for two.
        protocol : str
            The protocol, as ``duckdb``.
        **kwargs
            The arguments of its class.

        Raises
        ------
        DuctProtocolUnknown
            Nothing offers the protocol.
        DuctConfigError
            The name is taken, or an argument cannot be used.
        """
        first = self._free_names(name, None, override)[0]
        kwargs = {key: configured(key, value) for key, value in kwargs.items()}
        cls = Duct.for_protocol(protocol)
        arguments = {**defaults.class_defaults(self.config, cast(type[Duct], cls.func)), **kwargs}
        duct = cls(name=first, registry=self, **arguments)
        return self.register(duct, name=name, override=override, register_magics=register_magics)

    def register_from_config(self, config: Any, override: bool = False) -> DuctRegistry:
        """Register every duct of a configuration.

        Parameters
        ----------
        config : list, Mapping, str or path
            A list of mappings with a `name`; a mapping of names to mappings; a mapping of kinds to
            these, nested at will; a YAML text (it has a newline); or the name of a YAML file.
        override : bool
            Whether names that are taken are given to the new ducts.

        Returns
        -------
        DuctRegistry
            This registry. Entries that cannot be used are skipped; each is a warning, and in `problems`.
        """
        self._read(config, override, stacklevel=3)
        return self

    def _read(self, config: Any, override: bool, stacklevel: int) -> None:
        before = len(self.problems)
        loading.register_all(self, configuration.read(config), override)
        if self._script is None:  # else `load` reports them
            for problem in self.problems[before:]:
                warnings.warn(str(problem), DuctWarning, stacklevel=stacklevel)

    def load(self) -> None:
        """Register what the traits, the files and, if there is neither, the defaults say.

        Problems are collected in `problems`, not raised.
        """
        loading.load(self)

    def _forget(self, name: str) -> None:
        del self._ducts[name]
        self._origins.pop(name, None)
        self._revise()

    def clear(self, keep: Iterable[str] = ()) -> None:
        """Disconnect and forget every duct but those to keep, before the remotes that they go through."""
        kept = {name: self._ducts[name] for name in keep}
        gone = [duct for duct in self if all(duct is not other for other in kept.values())]
        for duct in cleanup.in_order(gone):
            try:
                duct.disconnect()
            except DuctError as error:
                warnings.warn(str(error), DuctWarning, stacklevel=2)
        self._ducts.clear()
        self._origins.clear()
        self.problems.clear()
        self._revise()
        for name, duct in kept.items():
            self.register(duct, name)

    def is_own(self, name: str) -> bool:
        """Whether a name was registered in this session, rather than by a configuration."""
        return self.origin(name) == _THIS_SESSION

    # Finding

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._ducts)

    def __getitem__(self, name: str) -> Duct:
        return self.lookup(name)

    def __contains__(self, name: object) -> bool:
        return name in self._ducts

    def _ipython_key_completions_(self) -> list[str]:
        return self.names

    def __len__(self) -> int:
        return len(self._ducts)

    def __iter__(self) -> Iterator[Duct]:
        return iter({id(duct): duct for duct in self._ducts.values()}.values())

    def __repr__(self) -> str:
        return f"<DuctRegistry: {', '.join(self.names) or 'no ducts'}>"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from omniduct.ipython.panel.showing import shown

        display(shown(self))  # type: ignore[no-untyped-call]

    def lookup(self, name: str, kind: Duct.Type | str | None = None) -> Duct:
        """The duct of a name.

        Parameters
        ----------
        kind : Duct.Type or str, optional
            The kind that it must be of, as ``Duct.Type.REMOTE`` or ``"remotes"``.

        Raises
        ------
        DuctNotFound
            There is none, or none of that kind; says why if its entry in the configuration was bad.
        """
        wanted = None if kind is None else _kind(kind)
        duct = self._ducts.get(name)
        if duct is None:
            raise DuctNotFound(self._why_not(name, wanted))
        if wanted is not None and duct.DUCT_TYPE is not wanted:
            raise DuctNotFound(
                f"{name!r} is not one of the {wanted.value}: it is one of the {duct.DUCT_TYPE.value}"
            )
        return duct

    def problem_of(self, name: str) -> Problem | None:
        """Why there is no duct of a name, when its entry in the configuration was bad."""
        return next((p for p in self.problems if name in _split(p.name)), None)

    def _why_not(self, name: str, kind: Duct.Type | None) -> str:
        missing = f"there is no duct {name!r}"
        if (problem := self.problem_of(name)) is not None:
            return f"{missing}: {problem.reason} [{problem.origin}]"
        names = [each for each in self.names if kind is None or self._ducts[each].DUCT_TYPE is kind]
        nested = [each for each in names if each.endswith(f"/{name}")]
        if nested:
            return f"{missing}; did you mean {' or '.join(map(repr, nested))}?"
        if near := did_you_mean(str(name), names):
            return missing + near
        shown = (", ".join(names[:_MOST_NAMES]) or "none") + ", …" * (len(names) > _MOST_NAMES)
        lost = "".join(f"; {problem}" for problem in self.problems if problem.whole)
        return f"{missing}; {'there' if kind is None else f'of the {kind.value} there'} are {shown}{lost}"

    def names_of(self, duct: Duct) -> list[str]:
        """All the names under which a duct is registered, its own first."""
        names = [name for name, other in self._ducts.items() if other is duct]
        return sorted(names, key=lambda name: name != duct.name)

    def origin(self, name: str) -> Origin:
        """The file and key that a name came from."""
        return self._origins.get(name, _THIS_SESSION)

    # Handing out

    def _populate(
        self,
        namespace: MutableMapping[str, Any],
        names: Iterable[str] | None,
        kinds: Iterable[Duct.Type | str] | None,
    ) -> MutableMapping[str, Any]:
        wanted = None if kinds is None else {_kind(kind) for kind in kinds}
        given: dict[str, str] = {}
        hidden = []
        for name in sorted(self.names if names is None else names, key=lambda name: name.count("/")):
            duct, last = self.lookup(name), name.rpartition("/")[2]
            if wanted is not None and duct.DUCT_TYPE not in wanted:
                continue
            if self._ducts[given.setdefault(last, name)] is duct:
                namespace[last] = duct
            else:
                hidden.append(f"{last} is the duct {given[last]!r}, and {name!r} is registry[{name!r}]")
        if hidden:
            warnings.warn("; ".join(hidden), DuctWarning, stacklevel=3)
        return namespace

    def get_proxy(self, by_kind: bool = True) -> DuctProxy:
        """An object with the ducts as attributes: ``.databases.prod.hive``, for completion by Tab.

        Parameters
        ----------
        by_kind : bool
            Whether the kind comes first; otherwise ``.prod.hive``.
        """
        return DuctProxy(self, by_kind)

    def sources(self) -> list[str]:
        """The files that `load` reads, in order."""
        files = list(self.config_files)
        if not files:
            files = [os.environ.get("OMNIDUCT_CONFIG") or os.path.expanduser("~/.omniduct/config")]
            files = [f for f in files if os.environ.get("OMNIDUCT_CONFIG") or os.path.exists(f)]
        return [os.path.abspath(os.path.expanduser(f)) for f in files]


def _split(name: str) -> list[str]:
    """The names in "a, b", each once."""
    return list(dict.fromkeys(part.strip() for part in name.split(",") if part.strip()))


def _kind(kind: Duct.Type | str) -> Duct.Type:
    try:
        return Duct.Type(kind)
    except ValueError:
        kinds = [each.value for each in Duct.Type]
        hint = did_you_mean(str(kind), kinds) or f"; there are {', '.join(kinds)}"
        raise DuctConfigError(f"there is no kind {kind!r}{hint}") from None
