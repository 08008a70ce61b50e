from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from omniduct import Duct, DuctRegistry, protocols
from omniduct.errors import DuctProtocolUnknown, DuctWarning

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-duct"
version = "1.0"

[project.entry-points."omniduct.protocols"]
acme = "acme_duct.client:AcmeClient"
acme_alias = "acme_duct.client:AcmeClient"
acme_broken = "acme_duct.broken:BrokenClient"
acme_mistake = "acme_duct.client:HELPER"
acme_gone = "acme_duct.client:GoneClient"
duckdb = "acme_duct.client:AcmeClient"
"""

CLIENT = """
from omniduct import Duct

HELPER = "no duct"


class AcmeClient(Duct):
    PROTOCOLS = ["acme"]
    DUCT_TYPE = Duct.Type.RESTFUL

    def _init(self, rocket=1):
        self.rocket = rocket

    def _connect(self): self.link = True
    def _is_connected(self): return self.link
    def _disconnect(self): self.link = False
"""

FOUR_HOOKS = (
    "class {name}(Duct):\n    PROTOCOLS = {protocols!r}\n    _connect = _is_connected = _disconnect = print\n"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed a small package that offers protocols."""
    project, target = tmp_path_factory.mktemp("acme-duct"), tmp_path_factory.mktemp("target")
    (project / "acme_duct").mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (project / "acme_duct/__init__.py").write_text("", "utf-8")
    (project / "acme_duct/client.py").write_text(CLIENT, "utf-8")
    (project / "acme_duct/broken.py").write_text("import a_driver_that_nobody_has\n", "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    command += [
        "--disable-pip-version-check",
        "--no-index",
        "--no-compile",
        "--target",
        str(target),
        str(project),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test begin with the protocols that there were, and forget what it added."""
    for name in ("_classes", "_duplicates"):
        monkeypatch.setattr(protocols, name, dict(getattr(protocols, name)))
    monkeypatch.setattr(protocols, "_told", set())
    protocols._offers.cache_clear()
    yield
    protocols._offers.cache_clear()
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


@pytest.fixture
def acme(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(installed))
    return installed


def define(name: str, *claimed: str, module: str = "a_cell") -> Callable[[], Any]:
    """Define a class in a module of that name."""
    source = FOUR_HOOKS.format(name=name, protocols=list(claimed))

    def run() -> Any:
        namespace: dict[str, Any] = {"Duct": Duct, "__name__": module}
        exec(compile(source, f"<{module}>", "exec"), namespace)
        return namespace[name]

    return run


def why(protocol: Any) -> str:
    """Why a protocol is not to be had."""
    with pytest.raises(DuctProtocolUnknown) as caught:
        Duct.for_protocol(protocol)
    return str(caught.value)


# The table


def test_a_protocols_module_is_loaded_when_it_is_first_used() -> None:
    program = """
        import sys
        from omniduct import Duct, protocols
        module = "omniduct.databases.duckdb"
        known = "duckdb" in protocols.known()
        before = module in sys.modules
        made = Duct.for_protocol("duckdb")
        after, driver = module in sys.modules, "duckdb" in sys.modules
        print(known, before, after, driver, made.keywords, made.func.__name__)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == "True False True False {'protocol': 'duckdb'} DuckDBClient\n"


@pytest.mark.parametrize("protocol", sorted(protocols.BUILT_IN))
def test_every_protocol_of_the_table_is_claimed_by_its_class(protocol: str) -> None:
    cls = protocols.find(protocol)
    assert protocol in cls.PROTOCOLS
    assert f"{cls.__module__}:{cls.__name__}" == protocols.BUILT_IN[protocol]


def test_a_protocol_is_built_or_not_yet_and_not_both() -> None:
    assert sorted(protocols.NOT_YET & protocols.BUILT_IN.keys()) == []


def test_an_unknown_protocol_brings_near_misses_or_what_there_is() -> None:
    assert why("duckbd") == "no class offers the protocol 'duckbd'; did you mean 'duckdb'?"
    assert why("DuckDB") == "no class offers the protocol 'DuckDB'; did you mean 'duckdb'?"
    assert re.fullmatch(
        r"no class offers the protocol 'zzz'; there are .*\bduckdb, .*\blocalfs.*", why("zzz")
    )
    assert why(None) == "a protocol is named by a text, as 'duckdb', not by None"


# Registration on import


def test_a_class_is_registered_when_it_is_defined() -> None:
    cls = define("Own", "protocols_own", "protocols_own_2")()
    made = Duct.for_protocol("protocols_own_2")
    assert (made.func, made.keywords) == (cls, {"protocol": "protocols_own_2"})
    assert {"protocols_own", "protocols_own_2"} <= set(protocols.known())


def test_a_class_without_protocols_of_its_own_takes_none_from_its_base() -> None:
    cls = define("Own", "protocols_own")()
    type("Child", (cls,), {})
    assert protocols.find("protocols_own") is cls


def test_a_protocol_that_is_written_without_a_list_is_one() -> None:
    class Own(Duct):
        PROTOCOLS: ClassVar[Any] = "protocols_text"
        _connect = _is_connected = _disconnect = print

    assert protocols.find("protocols_text") is Own
    assert "p" not in protocols.known()


def test_a_class_that_is_defined_again_takes_its_own_place() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = define("Own", "protocols_own")(), define("Own", "protocols_own")()
    assert protocols.find("protocols_own") is second is not first
    assert protocols.duplicates() == []


# Duplicates


def test_a_protocol_that_two_classes_claim_stays_with_the_first_and_both_are_named_once() -> None:
    first = define("First", "protocols_own")()
    sentence = (
        "the protocol 'protocols_own' belongs to a_cell:First, and a_cell:Second claims it too; "
        "the first keeps it, so give the other a protocol name of its own"
    )
    with pytest.warns(DuctWarning) as caught:
        define("Second", "protocols_own")()
        define("Second", "protocols_own")()
    assert [(str(w.message), w.filename) for w in caught] == [(sentence, "<a_cell>")]
    assert protocols.duplicates() == [sentence]
    assert protocols.find("protocols_own") is first


def test_a_class_that_has_given_a_protocol_up_is_no_duplicate_any_more() -> None:
    define("First", "protocols_own")()
    with pytest.warns(DuctWarning):
        define("Second", "protocols_own")()
    cls = define("Second", "protocols_second")()
    assert protocols.duplicates() == []
    assert protocols.find("protocols_second") is cls


def test_a_protocol_of_the_table_is_kept_against_a_later_class() -> None:
    with pytest.warns(
        DuctWarning, match="'duckdb' belongs to omniduct.databases.duckdb:DuckDBClient, and a_cell:Own"
    ):
        define("Own", "duckdb")()
    assert protocols.find("duckdb").__name__ == "DuckDBClient"


# Entry points of other packages


def test_an_installed_package_offers_protocols_and_is_imported_when_one_is_used(acme: Path) -> None:
    assert {"acme", "acme_alias", "acme_broken"} <= set(protocols.known())
    assert "acme_duct" not in sys.modules
    duct = DuctRegistry({"rockets": {"protocol": "acme", "rocket": 2}})["rockets"]
    assert (type(duct).__module__, duct.rocket, duct.protocol) == ("acme_duct.client", 2, "acme")
    assert duct.connect().is_connected()
    assert protocols.find("acme_alias") is type(duct)


def test_a_package_that_is_installed_meanwhile_is_found(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(sys, "path", [folder for folder in sys.path if folder != str(acme)])
        assert why("acme").startswith("no class offers the protocol 'acme'; ")
    assert protocols.find("acme").__name__ == "AcmeClient"


def test_an_offer_that_cannot_be_used_names_package_class_and_reason(acme: Path) -> None:
    offer = "the protocol 'acme_{}' is offered by acme-duct as acme_duct.{}, which "
    assert why("acme_broken") == offer.format("broken", "broken:BrokenClient") + (
        "cannot be loaded: ModuleNotFoundError: No module named 'a_driver_that_nobody_has'"
    )
    assert why("acme_mistake") == offer.format("mistake", "client:HELPER") + "is not a Duct"
    assert why("acme_gone").startswith(
        offer.format("gone", "client:GoneClient") + "cannot be loaded: AttributeErr"
    )
    assert why("acmee") == "no class offers the protocol 'acmee'; did you mean 'acme'?"


def test_a_bad_offer_is_told_in_the_registry_and_the_rest_loads(acme: Path) -> None:
    with pytest.warns(DuctWarning) as caught:
        registry = DuctRegistry({"bad": {"protocol": "acme_broken"}, "good": {"protocol": "acme"}})
    assert registry.names == ["good"]
    assert [str(w.message) for w in caught] == [
        f"'bad' is skipped: {why('acme_broken')} [the configuration given, bad]"
    ]


def test_a_package_that_offers_a_protocol_of_the_table_does_not_get_it(acme: Path) -> None:
    assert protocols.find("duckdb").__name__ == "DuckDBClient"
    assert protocols.duplicates() == [
        "the protocol 'duckdb' belongs to omniduct.databases.duckdb:DuckDBClient, and acme_duct.client:"
        "AcmeClient claims it too; the first keeps it, so give the other a protocol name of its own"
    ]


def test_two_packages_that_offer_the_same_are_both_named_when_it_is_used(
    acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "rival_duct-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rival-duct\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(
        "[omniduct.protocols]\nacme = rival_duct:RivalClient\n", "utf-8"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.warns(DuctWarning) as caught:
        assert protocols.find("acme").__name__ == "AcmeClient"
    assert [str(w.message) for w in caught] == [
        "the protocol 'acme' belongs to acme_duct.client:AcmeClient, and rival_duct:RivalClient claims it "
        "too; the first keeps it, so give the other a protocol name of its own"
    ]


def test_a_class_of_the_session_goes_before_an_installed_one_and_both_are_named(acme: Path) -> None:
    cls = define("Own", "acme")()
    assert protocols.find("acme") is cls
    assert any(
        "belongs to a_cell:Own, and acme_duct.client:AcmeClient" in each for each in protocols.duplicates()
    )


def test_an_installed_class_that_was_imported_by_hand_is_no_duplicate(acme: Path) -> None:
    import acme_duct.client  # type: ignore[import-not-found]

    assert protocols.find("acme") is acme_duct.client.AcmeClient
    assert not any("'acme'" in each for each in protocols.duplicates())


def test_the_class_of_a_package_is_known_before_it_is_imported_and_a_near_miss_once_it_is(acme: Path) -> None:
    assert "AcmeClient" in protocols.installed_class_names()
    assert "acme_duct" not in sys.modules
    protocols.find("acme")
    assert {"AcmeClient", "DuckDBClient"} <= protocols.class_names()


def test_a_package_that_pip_puts_into_a_folder_of_the_path_is_found_at_once(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert why("acme").startswith("no class offers the protocol 'acme'; ")
    os.utime(tmp_path, (1, 1))  # the clock of some file systems is coarse
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    assert protocols.find("acme").__name__ == "AcmeClient"


def test_a_hundred_entries_of_unknown_protocols_are_told_in_a_moment() -> None:
    config = {f"db{number}": {"protocol": f"protocols_unknown_{number}"} for number in range(100)}
    began = time.perf_counter()
    with pytest.warns(DuctWarning):
        registry = DuctRegistry(config)
    assert len(registry.problems) == 100
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("protocol", sorted(protocols.BUILT_IN))
def test_the_table_names_each_class_by_the_module_that_defines_it(protocol: str) -> None:
    cls = protocols.find(protocol)
    assert f"{cls.__module__}:{cls.__qualname__}" == protocols.BUILT_IN[protocol]
    assert protocol in cls.PROTOCOLS
