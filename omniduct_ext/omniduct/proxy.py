"""The ducts of a registry as attributes of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniduct.core.arguments import did_you_mean

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["DuctProxy"]


class DuctProxy:
    """A view of a registry, in which every part of a name is an attribute.

    Ducts that are registered later are seen too.
    """

    def __init__(self, registry: DuctRegistry, by_kind: bool = True, path: tuple[str, ...] = ()) -> None:
        self.__dict__["registry"] = registry
        self.__dict__["_by_kind"] = by_kind
        self.__dict__["_path"] = path

    def _paths(self) -> dict[tuple[str, ...], Any]:
        registry: DuctRegistry = self.__dict__["registry"]
        found = {}
        for name in registry.names:
            duct = registry[name]
            kind = (duct.DUCT_TYPE.value,) if self.__dict__["_by_kind"] else ()
            found[(*kind, *name.split("/"))] = duct
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks, as when it is copied
            raise AttributeError(name)
        return self._find(name.split("/"), AttributeError)

    def __getitem__(self, name: str) -> Any:
        return self._find(name.split("/"), KeyError)

    def _find(self, parts: list[str], error: type[Exception]) -> Any:
        path, paths = (*self.__dict__["_path"], *parts), self._paths()
        if path in paths:
            return paths[path]
        if any(other[: len(path)] == path for other in paths):
            return DuctProxy(self.__dict__["registry"], self.__dict__["_by_kind"], path)
        raise error(self._why_not(path))

    def _why_not(self, path: tuple[str, ...]) -> str:
        """Why there is nothing at a path: an entry that could not be used, or a slip."""
        registry: DuctRegistry = self.__dict__["registry"]
        names = {"/".join(path), "/".join(path[1:])} if self.__dict__["_by_kind"] else {"/".join(path)}
        for problem in filter(None, map(registry.problem_of, names)):
            return f"there is no duct {'.'.join(path)!r}: {problem.reason} [{problem.origin}]"
        return f"there is no duct {'.'.join(path)!r}{did_you_mean(path[-1], self.__dir__())}"

    def __dir__(self) -> list[str]:
        depth, path = len(self.__dict__["_path"]), self.__dict__["_path"]
        names = {other[depth] for other in self._paths() if other[:depth] == path and len(other) > depth}
        return sorted(names | {"registry"})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a proxy only shows ducts: use registry.register to add one")

    def __repr__(self) -> str:
        names = [name for name in self.__dir__() if name != "registry"]
        return f"<DuctProxy {'.'.join(self.__dict__['_path'])}: {', '.join(names) or 'no ducts'}>"
