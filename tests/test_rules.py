"""The house rules: what may import what, how large a module may be, what the files may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import omniduct

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "omniduct_ext"
MODULES = sorted((SOURCE / "omniduct").rglob("*.py"))

PUBLIC_NAMES = {"Duct", "DuctRegistry", "MagicsProvider", "__version__", "errors"}
CALLED_BY_IPYTHON = {"load_ipython_extension", "unload_ipython_extension"}

LOADED_WHEN_USED = {
    "IPython",
    "anywidget",
    "duckdb",
    "fsspec",
    "ipywidgets",
    "jinja2",
    "keyring",
    "nbformat",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "sqlglot",
    "tqdm",
    "yaml",
}

IMPORTED_AT_MODULE_LEVEL = {*sys.stdlib_module_names, "omniduct", "traitlets"}
ONLY_IN_THE_IPYTHON_ROOM = {"IPython", "anywidget", "ipykernel", "ipywidgets"}
# A module that no other imports when it loads may do so with what its classes are made of.
LOADED_LATE = {
    "omniduct.filesystems.fsspec.adapter": {"fsspec"},
    "omniduct.filesystems.fsspec.arrow": {"pyarrow"},
}
ONLY_IN_THE_TESTING_ROOM = {"pytest"}  # its modules are tests, which nothing but a test imports

# What a room shares with the others; every other file in it is a protocol's.
SHARED = {
    "caches": {"base"},
    "databases": {"_namespaces", "arrow", "base", "namespaces", "results", "session", "statements"},
    "filesystems": {"base"},
    "remotes": {"base", "forwarding"},
    "restful": {"base"},
}

MAX_LINES = 500

# Where a file would name the machine it was written on, or where packages are fetched from.
UNWANTED = re.compile(
    r"(?<![\w.])/(?:root|work|tmp/b|tmp/dev)/"
    r"|\.\./shared\b"
    r"|\b(?:pypi\.org|pythonhosted\.org|repo1?\.maven(?:\.apache)?\.org|registry\.npmjs\.org|deb\.debian\.org)\b"
)
LOCK_FILES = {"Pipfile.lock", "package-lock.json", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "yarn.lock"}


def name_of(path: Path) -> str:
    """The dotted name of a module's file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, package: str, everywhere: bool = False) -> Iterator[str]:
    """The dotted names that a module of `package` imports when it loads, or `everywhere` in it."""
    for node in nodes(ast.parse(source), everywhere):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def nodes(tree: ast.AST, everywhere: bool) -> Iterator[ast.AST]:
    """The nodes beneath; those in functions and under TYPE_CHECKING only if `everywhere`."""
    for child in ast.iter_child_nodes(tree):
        if not everywhere and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if not everywhere and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            child = ast.Module(child.orelse, [])
        yield child
        yield from nodes(child, everywhere)


def package_of(path: Path) -> str:
    """The package that relative imports in a file start from."""
    return name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]


def early_imports(source: str, module: str, package: str) -> list[str]:
    """What a module imports when it loads and may not."""
    in_room = f"{module}.".startswith("omniduct.ipython.")
    allowed = IMPORTED_AT_MODULE_LEVEL | (ONLY_IN_THE_IPYTHON_ROOM if in_room else set())
    allowed |= LOADED_LATE.get(module, set())
    if f"{module}.".startswith("omniduct.testing."):
        allowed |= ONLY_IN_THE_TESTING_ROOM
    return [
        name
        for name in imports(source, package)
        if name.split(".")[0] not in allowed
        or (f"{name}.".startswith("omniduct.ipython.") and not in_room)
        or any(f"{name}.".startswith(f"{late}.") for late in LOADED_LATE)
    ]


def imports_across_rooms(source: str, module: str, package: str) -> list[str]:
    """The protocol files of other kinds that a kind's module imports, wherever in it."""
    room = [*module.split("."), ""][1]
    if room not in SHARED:
        return []
    wrong = []
    for name in imports(source, package, everywhere=True):
        root, other, file = [*name.split("."), "", ""][:3]
        if root == "omniduct" and other in SHARED.keys() - {room} and file not in SHARED[other]:
            wrong.append(name)
    return wrong


def project_files() -> list[Path]:
    """What is, or would be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def unwanted_words(text: str) -> list[str]:
    """What a text says that no project file may say."""
    return [found.group() for found in UNWANTED.finditer(text)]


@pytest.mark.parametrize("then", ["pass", "[getattr(omniduct, name) for name in omniduct.__all__]"])
def test_neither_importing_omniduct_nor_its_public_names_load_a_driver_or_ipython(then: str) -> None:
    program = (
        f"import sys; before = set(sys.modules); import omniduct; {then}; print(*set(sys.modules) - before)"
    )
    new = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {name.split(".")[0] for name in new.split()} & LOADED_WHEN_USED == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_loads_only_the_standard_library_and_traitlets(path: Path) -> None:
    assert early_imports(path.read_text("utf-8"), name_of(path), package_of(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_kind_imports_no_protocol_file_of_another_kind(path: Path) -> None:
    assert imports_across_rooms(path.read_text("utf-8"), name_of(path), package_of(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_longer_than_500_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def test_every_folder_of_modules_is_a_package() -> None:
    assert [path for path in MODULES if not (path.parent / "__init__.py").exists()] == []


def test_no_project_file_names_the_machine_it_was_written_on_or_a_package_registry() -> None:
    said = {
        str(path.relative_to(ROOT)): words
        for path in project_files()
        if path != Path(__file__).resolve() and (words := unwanted_words(path.read_text("utf-8", "replace")))
    }
    assert said == {}


def test_no_lock_file_is_kept() -> None:
    assert [path for path in project_files() if path.name in LOCK_FILES] == []


def test_the_public_names_are_these() -> None:
    assert set(omniduct.__all__) == PUBLIC_NAMES
    assert [name for name in PUBLIC_NAMES | CALLED_BY_IPYTHON if not hasattr(omniduct, name)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import json, pandas as pd", ["pandas"]),
        ("try:\n    from duckdb import connect\nexcept ImportError:\n    pass", ["duckdb.connect"]),
        ("class A:\n    import yaml", ["yaml"]),
        ("import IPython.display", ["IPython.display"]),
        ("from ..ipython.panel import Panel", ["omniduct.ipython.panel.Panel"]),
        ("from .. import ipython", ["omniduct.ipython"]),
        ("if TYPE_CHECKING:\n    import json\nelse:\n    import polars", ["polars"]),
        ("if TYPE_CHECKING:\n    import pandas", []),
        ("def f():\n    import pandas", []),
        (
            "from omniduct.filesystems.fsspec.adapter import DuctFileSystem",
            ["omniduct.filesystems.fsspec.adapter.DuctFileSystem"],
        ),
        ("from ..filesystems.fsspec import adapter", ["omniduct.filesystems.fsspec.adapter"]),
        ("from ..errors import DuctError\nfrom traitlets import Int", []),
    ],
)
def test_the_import_rule_finds_what_it_forbids(source: str, found: list[str]) -> None:
    assert early_imports(source, "omniduct.databases.a", "omniduct.databases") == found


def test_the_ipython_room_may_load_ipython_but_no_driver() -> None:
    source = "import IPython, ipywidgets, pandas\nfrom .panel import Panel"
    assert early_imports(source, "omniduct.ipython.lines", "omniduct.ipython") == ["pandas"]


def test_only_the_testing_room_may_load_pytest() -> None:
    source = "import pytest, pandas"
    assert early_imports(source, "omniduct.testing.area", "omniduct.testing") == ["pandas"]
    assert early_imports(source, "omniduct.databases.a", "omniduct.databases") == ["pytest", "pandas"]


def test_nothing_but_tests_imports_the_testing_room() -> None:
    users = [
        name_of(path)
        for path in MODULES
        if not f"{name_of(path)}.".startswith("omniduct.testing.")
        and any(
            f"{name}.".startswith("omniduct.testing.")
            for name in imports(path.read_text("utf-8"), package_of(path), everywhere=True)
        )
    ]
    assert users == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from omniduct.filesystems.local import A", ["omniduct.filesystems.local.A"]),
        ("def f():\n    from ..filesystems import local", ["omniduct.filesystems.local"]),
        ("from ..filesystems.base import FileSystemClient", []),
        ("from .ssh import SSHClient", []),
        ("from ..errors import DuctError", []),
    ],
)
def test_the_rule_of_the_rooms_finds_what_it_forbids(source: str, found: list[str]) -> None:
    assert imports_across_rooms(source, "omniduct.remotes.base", "omniduct.remotes") == found


def test_the_rule_of_words_finds_what_it_forbids() -> None:
    assert unwanted_words("see ../shared/x, /work/main and (/root/.ssh)") == ["../shared", "/work/", "/root/"]
    assert unwanted_words("a/work/b, ./root/x and /tmp/build are none of ours") == []


SKIPS = """
import pytest
def test_passes(): pass
def test_skips(): pytest.skip("no server")
@pytest.mark.skip(reason="not today")
def test_is_marked(): pass
@pytest.mark.xfail(reason="known")
def test_is_expected_to_fail(): assert False
"""


@pytest.mark.parametrize(
    ("switch", "source", "closing"),
    [
        ("0", SKIPS, "1 passed, 2 skipped, 1 xfailed"),
        ("1", SKIPS, "1 failed, 1 passed, 1 xfailed, 1 error"),
        ("0", "import pytest\npytest.importorskip('nothing_of_that_name')", "1 skipped"),
        ("1", "import pytest\npytest.importorskip('nothing_of_that_name')", "1 error"),
    ],
)
def test_a_skip_is_a_failure_where_services_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, source: str, closing: str
) -> None:
    monkeypatch.setenv("OMNIDUCT_TESTS_NEED_SERVICES", switch)
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_it.py").write_text(source, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "-p", "no:cacheprovider"]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert output.splitlines()[-1].startswith(closing), output
    assert ("nothing may be skipped" in output) == (switch == "1")
