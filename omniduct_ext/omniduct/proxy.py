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
        path = (*self.__dict__["_path"], name)
        paths = self._paths()
        if path in paths:
            return paths[path]
        if any(other[: len(path)] == path for other in paths):
            return DuctProxy(self.__dict__["registry"], self.__dict__["_by_kind"], path)
        raise AttributeError(f"there is no duct {'.'.join(path)!r}{did_you_mean(name, self.__dir__())}")

    __getitem__ = __getattr__

    def __dir__(self) -> list[str]:
        depth, path = len(self.__dict__["_path"]), self.__dict__["_path"]
        names = {other[depth] for other in self._paths() if other[:depth] == path and len(other) > depth}
        return sorted(names | {"registry"})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a proxy only shows ducts: use registry.register to add one")

    def __repr__(self) -> str:
        names = [name for name in self.__dir__() if name != "registry"]
        return f"<DuctProxy {'.'.join(self.__dict__['_path'])}: {', '.join(names) or 'no ducts'}>"
