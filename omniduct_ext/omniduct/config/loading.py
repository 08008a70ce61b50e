"""From what was read to ducts in a registry: each entry on its own, so that a bad one stops no other."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import traceback
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from omniduct import config as configuration
from omniduct import protocols
from omniduct.config import Entry, Origin, Problem, shorten
from omniduct.config.defaults import class_defaults, unfit_sections
from omniduct.core.arguments import article
from omniduct.credentials import Secret
from omniduct.duct import Duct
from omniduct.errors import DuctError

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["load", "register_all", "script_origin"]

DEFAULTS = {"db": {"protocol": "duckdb"}, "files": {"protocol": "localfs"}}
"""What there is without any configuration, so that the first cell works."""

_SCRIPT = "omniduct_set_up"
_PYTHON_LINE = re.compile(r"^(?:import|from|def|class|with|for|if|try)\b|^(?:registry\b|@|\w+\s*=)", re.M)


def load(registry: DuctRegistry) -> None:
    """Read the registry's traits and files, or take the defaults when there are none.

    Python files run after all else has been read: what they say may use the other ducts. Only then is
    it checked that remotes and caches are there.
    """
    readings, scripts = [], []
    if registry.ducts is not None:
        readings.append(configuration.read(registry.ducts, _traits_source(registry)))
    for path in registry.sources():
        if _is_python(path):
            scripts.append(path)
        else:
            readings.append(configuration.read_file(path))
    if not readings and not scripts:
        readings.append(configuration.read(DEFAULTS, "the defaults"))
    for reading in readings:
        registry.problems.extend(reading.problems)
    made = _register_entries(registry, [entry for reading in readings for entry in reading.entries])
    for path in scripts:
        _run(registry, path)
    _finish(registry, made)
    for name, reason in registry._refused:
        place = _place_of(registry, "DuctRegistry", name)
        registry.problems.append(Problem("", f"c.DuctRegistry.{name} is left out: {reason}", place))
    for section, key, reason in unfit_sections(registry.config):
        registry.problems.append(Problem("", reason, _place_of(registry, section, key)))


def register_all(registry: DuctRegistry, reading: configuration.Reading, override: bool) -> None:
    """Register all that was read; problems are noted in the registry."""
    registry.problems.extend(reading.problems)
    _finish(registry, _register_entries(registry, reading.entries, override))


# Where traits were set


def _traits_source(registry: DuctRegistry) -> str:
    place = _place_of(registry, "DuctRegistry", "ducts")
    line = f" (line {place.line})" if place.line else ""
    return f"{place.source}{line}, c.DuctRegistry.ducts" if place.line else "c.DuctRegistry.ducts"


def _place_of(registry: DuctRegistry, section: str, key: str) -> Origin:
    """The file and line of the application's configuration that says something, where that can be told."""
    application: Any = registry.parent
    while application is not None and not hasattr(application, "loaded_config_files"):
        application = getattr(application, "parent", None)
    said = re.compile(rf"\b{re.escape(section)}\b.*\b{re.escape(key)}\b")
    for path in reversed(getattr(application, "loaded_config_files", [])):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file, 1):
                    if said.search(line.partition("#")[0]):
                        return Origin(shorten(path), line=number)
        except OSError:
            continue
    return Origin("the configuration")


# Set-up files in Python


def _is_python(path: str) -> bool:
    """Whether a set-up file is Python, which is told by its ending, else by its text."""
    if path.endswith((".py", ".yaml", ".yml")):
        return path.endswith(".py")
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return False
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):  # YAML mostly, or Python with a slip in it
        return bool(_PYTHON_LINE.search(text))
    return not all(_may_be_yaml(statement) for statement in statements)


def _may_be_yaml(statement: ast.stmt) -> bool:
    """Whether it is one of the few YAML texts that Python can read: ``a: b``, ``{a: b}``, ``- a``."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    return isinstance(statement, ast.Expr) and isinstance(
        statement.value, (ast.Dict, ast.List, ast.Set, ast.UnaryOp, ast.Constant, ast.Name)
    )


def _run(registry: DuctRegistry, path: str) -> None:
    """Run a set-up file, in which the name `registry` is this one."""
    place = Origin(shorten(path))
    if not path.endswith(".py") and configuration.in_working_folder(path):
        reason = (
            "this file is Python, and is not run from the working folder, as it may be somebody else's; "
            "move it to ~/.omniduct/config, or let its name end with .py"
        )
        registry.problems.append(Problem("", reason, place, whole=True))
        return
    module = types.ModuleType(_SCRIPT)
    module.__dict__.update(registry=registry, __file__=path)
    sys.modules[_SCRIPT] = module  # its classes can be pickled
    registry._script = path
    try:
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        registry.problems.append(_stopped(path, error))
    finally:
        registry._script = None


def _stopped(path: str, error: BaseException) -> Problem:
    if isinstance(error, SyntaxError) and error.filename == path:
        line, said = error.lineno, error.msg
    else:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line, said = (lines[-1] if lines else None), str(error)
    reason = f"the set-up file stopped here, and what follows is not loaded: {type(error).__name__}: {said}"
    return Problem("", reason, Origin(shorten(path), line=line), whole=True)


def script_origin(path: str) -> Origin:
    """The line of a set-up file that is running."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename != path:
        frame = frame.f_back
    return Origin(shorten(path), line=frame.f_lineno if frame else None)


# Entries


def _register_entries(
    registry: DuctRegistry, entries: Iterable[Entry], override: bool = False
) -> list[tuple[Entry, list[str]]]:
    """Make and register the duct of each entry, kinds in order; the entries with the names they got."""
    found = []
    for entry in entries:
        try:
            found.append((entry, protocols.find(entry.protocol)))
        except Exception as error:  # also an import that fails in somebody else's package
            _complain(registry, entry, error)
    order = list(Duct.Type)
    made = []
    for entry, cls in sorted(found, key=lambda pair: order.index(pair[1].DUCT_TYPE)):
        try:
            made.append((entry, _register(registry, entry, cls, override)))
        except Exception as error:
            _complain(registry, entry, error)
    return made


def _complain(registry: DuctRegistry, entry: Entry, error: Exception) -> None:
    text = str(error) if isinstance(error, DuctError) else f"{type(error).__name__}: {error}"
    for value in entry.arguments.values():  # somebody else's constructor may tell what it was given
        if isinstance(value, Secret) and len(value.reveal()) > 2:
            text = text.replace(value.reveal(), "***")
    text = text.removeprefix(f"{entry.names[0]}: ")
    registry.problems.append(Problem(", ".join(entry.names), text, entry.origin))


def _register(registry: DuctRegistry, entry: Entry, cls: type[Duct], override: bool) -> list[str]:
    """Make the duct of an entry and add it; the names it got."""
    arguments = {**class_defaults(registry.config, cls), **entry.arguments}
    duct = cls(protocol=entry.protocol, name=entry.names[0], registry=registry, **arguments)
    if entry.kind is not None and cls.DUCT_TYPE.value != entry.kind:
        reason = (
            f"{entry.names[0]!r} stands under {entry.kind}, and {entry.protocol!r} is one of the "
            f"{cls.DUCT_TYPE.value}; it is loaded as that"
        )
        registry.problems.append(Problem("", reason, entry.origin))
    taken = [name for name in entry.names if name in registry and not override]
    new = [name for name in entry.names if name not in taken]
    if new:
        registry._add(duct, new, entry.origin)
    for name in taken:
        reason = f"the name is taken already, by {registry.origin(name)}"
        registry.problems.append(Problem(name, reason, entry.origin))
    return new


def _finish(registry: DuctRegistry, made: list[tuple[Entry, list[str]]]) -> None:
    """Take out the ducts whose remote or cache cannot be used, and give the others their magics."""
    while True:
        bad = [(entry, names, _bad_reference(registry, names[0])) for entry, names in made if names]
        bad = [each for each in bad if each[2]]
        for entry, names, reason in bad:
            for name in names:
                registry._forget(name)
            registry.problems.append(Problem(", ".join(names), reason, entry.origin))
            made = [each for each in made if each[0] is not entry]
        if not bad:
            break
    for entry, names in made:
        for name in names:
            if entry.register_magics:
                registry._register_magics(name)


def _bad_reference(registry: DuctRegistry, name: str) -> str:
    duct = registry[name]
    for field, kind in (("remote", Duct.Type.REMOTE), ("cache", Duct.Type.CACHE)):
        value = getattr(duct, f"_{field}")
        if isinstance(value, str) and registry.problem_of(value) and value not in registry:
            return f"its {field} is {value!r}, which is skipped"
        if isinstance(value, str):
            try:
                registry.lookup(value, kind)
            except DuctError as error:
                return f"its {field} cannot be used: {error}"
        elif not (value is None or isinstance(value, Duct) or callable(value)):
            return f"its {field} is the name of one of the {kind.value}, not {article(value)}"
    circle = _circle(registry, name)
    return f"its remotes run in a circle: {' -> '.join(circle)}" if circle else ""


def _circle(registry: DuctRegistry, name: str) -> list[str]:
    """The names from a duct's remote back to it; empty when they end, or circle further on."""
    start = registry[name]
    path, seen = [name], [start]
    while True:
        remote = seen[-1]._remote
        if not isinstance(remote, str) or remote not in registry:
            return []
        path.append(remote)
        if registry[remote] is start:
            return path
        if registry[remote] in seen:
            return []
        seen.append(registry[remote])
