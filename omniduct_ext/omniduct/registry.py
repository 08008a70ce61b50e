"""DuctRegistry: the ducts of a session by name, and how they come from configuration."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from traitlets import Bool, List, TraitType, Unicode
from traitlets.config import Config, Configurable

from omniduct import config as configuration
from omniduct import loading
from omniduct.config import Origin, Problem
from omniduct.core.arguments import did_you_mean
from omniduct.credentials import Secret
from omniduct.duct import Duct
from omniduct.errors import DuctConfigError, DuctNotFound, DuctWarning
from omniduct.proxy import DuctProxy
from omniduct.utils.magics import MagicsProvider

__all__ = ["DuctRegistry"]


class _Ducts(TraitType[Any, Any]):
    """A configuration of any shape. Passwords are wrapped when it is set, so that no display shows one."""

    info_text = "a mapping or a list of ducts, a YAML text, or the name of a YAML file"

    def validate(self, obj: Any, value: object) -> object:
        return loading.wrap_secrets(value)


class _Populate(Bool):
    """A switch that can be called: ``registry.populate_namespace`` is the method, too."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        return _Populator(obj, bool(super().get(obj, cls)))


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

    ducts = _Ducts(None, allow_none=True, help="The ducts: any shape that register_from_config takes.").tag(
        config=True
    )
    config_files = List(
        Unicode(),
        help="Files of ducts, in YAML; instead of the file named by OMNIDUCT_CONFIG or ~/.omniduct/config.",
    ).tag(config=True)
    register_magics = Bool(True, help="Whether ducts get magics when they are registered.").tag(config=True)
    populate_namespace: Any = _Populate(
        True, help="Whether the extension puts the ducts into the user's namespace."
    ).tag(config=True)

    def __init__(self, config: Any = None, *, parent: Any = None, **kwargs: Any) -> None:
        given = config if isinstance(config, Config) else None
        if given is not None:
            kwargs["config"] = given
        self._ducts: dict[str, Duct] = {}
        self._origins: dict[str, Origin] = {}
        self.problems: list[Problem] = []
        super().__init__(parent=parent, **kwargs)
        if config is not None and given is None:
            self.register_from_config(config)

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
            raise DuctConfigError(f"a registry holds ducts, not a {type(duct).__name__}")
        names = [part.strip() for part in (name or duct.name).split(",") if part.strip()]
        if not names:
            raise DuctConfigError(f"a duct cannot be registered under the name {name!r}")
        for each in names:
            if each in self._ducts and self._ducts[each] is not duct and not override:
                raise DuctConfigError(
                    f"the name {each!r} is taken by {self._ducts[each]!r} [{self.origin(each)}]; "
                    "choose another, or pass override=True"
                )
        for each in names:
            self._ducts[each] = duct
            self._origins.setdefault(each, Origin("this session"))
            if register_magics:
                self._register_magics(each)
        return duct

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
        if "password" in kwargs:
            kwargs["password"] = Secret.wrap(kwargs["password"])
        first = name.split(",")[0].strip()
        cls = Duct.for_protocol(protocol)
        arguments = {**loading.class_defaults(self.config, cls.func), **kwargs}
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
        for problem in self._take(configuration.read(config), override):
            warnings.warn(str(problem), DuctWarning, stacklevel=2)
        return self

    def _take(self, reading: configuration.Reading, override: bool = False) -> list[Problem]:
        """Register what was read; the problems that this met."""
        before = len(self.problems)
        self.problems.extend(reading.problems)
        loading.register_entries(self, reading.entries, override)
        return self.problems[before:]

    def load(self) -> None:
        """Register what the traits, the files and, if there is neither, the defaults say.

        Problems are collected in `problems`, not raised.
        """
        loading.load(self)

    def _forget(self, name: str) -> None:
        del self._ducts[name]
        self._origins.pop(name, None)

    def clear(self) -> None:
        """Disconnect and forget every duct, those reached through a remote before the remote."""
        for duct in sorted(self, key=lambda d: d.DUCT_TYPE is Duct.Type.REMOTE):
            duct.disconnect()
        self._ducts.clear()
        self._origins.clear()
        self.problems.clear()

    # Finding

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._ducts)

    def __getitem__(self, name: str) -> Duct:
        return self.lookup(name)

    def __contains__(self, name: object) -> bool:
        return name in self._ducts

    def __len__(self) -> int:
        return len(self._ducts)

    def __iter__(self) -> Iterator[Duct]:
        return iter({id(duct): duct for duct in self._ducts.values()}.values())

    def __repr__(self) -> str:
        return f"<DuctRegistry: {', '.join(self.names) or 'no ducts'}>"

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
        duct = self._ducts.get(name)
        if duct is None:
            raise DuctNotFound(self._why_not(name))
        if kind is not None and duct.DUCT_TYPE is not Duct.Type(kind):
            raise DuctNotFound(
                f"{name!r} is not one of the {Duct.Type(kind).value}: it is one of the {duct.DUCT_TYPE.value}"
            )
        return duct

    def _why_not(self, name: str) -> str:
        for problem in self.problems:
            if name in (part.strip() for part in problem.name.split(",")):
                return f"there is no duct {name!r}: {problem.reason} [{problem.origin}]"
        near = did_you_mean(name, self._ducts) or f"; there are {', '.join(self.names) or 'none'}"
        return f"there is no duct {name!r}{near}"

    def names_of(self, duct: Duct) -> list[str]:
        """All the names under which a duct is registered, its own first."""
        names = [name for name, other in self._ducts.items() if other is duct]
        return sorted(names, key=lambda name: name != duct.name)

    def origin(self, name: str) -> Origin:
        """The file and key that a name came from."""
        return self._origins.get(name, Origin("this session"))

    # Handing out

    def _populate(
        self,
        namespace: MutableMapping[str, Any],
        names: Iterable[str] | None,
        kinds: Iterable[Duct.Type | str] | None,
    ) -> MutableMapping[str, Any]:
        wanted = None if kinds is None else {Duct.Type(kind) for kind in kinds}
        for name in self.names if names is None else names:
            duct = self.lookup(name)
            if wanted is None or duct.DUCT_TYPE in wanted:
                namespace[name.rpartition("/")[2]] = duct
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
