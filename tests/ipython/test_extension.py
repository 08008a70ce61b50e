"""Loading, unloading and reloading the extension: what it puts into a session, and what it leaves alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import IPython.core.magic
import pandas as pd
import pytest
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, register_line_magic
from tests.services.shells import Shell, started

from omniduct import Duct, MagicsProvider
from omniduct.errors import DuctNotFound
from omniduct.ipython import extension

TWO = "db:\n  protocol: duckdb\nother:\n  protocol: duckdb\n"


@pytest.fixture(scope="module")
def session() -> Iterator[Shell]:
    with started() as shell:
        shell.run("%load_ext omniduct")  # once, so that IPython itself has loaded all that this takes
        shell.run("%unload_ext omniduct")
        yield shell


@pytest.fixture
def shell(session: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A session into which nothing is loaded, and whose names are put back."""
    monkeypatch.delenv("OMNIDUCT_CONFIG", raising=False)
    before = dict(session.user)
    session.configure()
    yield session
    extension.unload(session.ip)
    session.ip.extension_manager.loaded.discard("omniduct")
    for name in set(session.user) - set(before):
        del session.user[name]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration that OMNIDUCT_CONFIG names."""
    path = tmp_path / "ducts.yaml"
    path.write_text(TWO)
    monkeypatch.setenv("OMNIDUCT_CONFIG", str(path))
    return path


def load(shell: Shell) -> str:
    """Load or reload it; what was told."""
    ran = shell.run(
        "%reload_ext omniduct" if "omniduct" in shell.ip.extension_manager.loaded else "%load_ext omniduct"
    )
    assert ran.error is None, ran.error
    return ran.stderr


# What it puts in


def test_without_any_configuration_there_are_a_database_and_the_files(shell: Shell) -> None:
    assert load(shell) == ""
    assert shell.user["registry"].names == ["db", "files"]
    assert shell.value("%db SELECT 1 AS a")["a"].tolist() == [1]
    assert isinstance(shell.value("%files.listdir"), list)
    assert shell.user["db"] is shell.user["registry"]["db"]


def test_names_that_were_put_in_are_not_listed_as_the_user_s(shell: Shell) -> None:
    load(shell)
    shell.user["mine"] = 1
    assert shell.run("%who").stdout.split() == ["mine"]


def test_the_file_that_the_environment_names_is_read(shell: Shell, file: Path) -> None:
    load(shell)
    assert shell.user["registry"].names == ["db", "other"]
    assert shell.value("%other SELECT 2 AS a")["a"].tolist() == [2]


def test_the_configuration_of_ipython_is_read(shell: Shell) -> None:
    shell.configure(
        DuctRegistry={"ducts": {"mine": {"protocol": "duckdb"}}}, DuckDBClient={"config": {"threads": 3}}
    )
    assert load(shell) == ""
    assert shell.user["registry"].names == ["mine"]
    assert shell.value("%mine SELECT current_setting('threads') AS n")["n"].tolist() == [3]


def test_names_and_magics_can_be_switched_off(shell: Shell) -> None:
    shell.configure(DuctRegistry={"populate_namespace": False, "register_magics": False})
    load(shell)
    assert "db" not in shell.user and "registry" not in shell.user
    assert "db" not in shell.magics()["line"]
    assert "db" in shell.run("%omniduct").stdout


def test_both_names_of_a_duct_and_the_last_part_of_a_nested_one_are_variables(shell: Shell) -> None:
    shell.configure(
        DuctRegistry={"ducts": {"a, b": {"protocol": "duckdb"}, "prod": {"hive": {"protocol": "duckdb"}}}}
    )
    load(shell)
    assert shell.user["a"] is shell.user["b"]
    assert shell.user["hive"] is shell.user["registry"]["prod/hive"]


def test_problems_are_told_and_the_rest_is_loaded(shell: Shell, file: Path) -> None:
    file.write_text(TWO + "".join(f"bad{i}:\n  protocol: duckd\n" for i in range(8)))
    told = load(shell)
    assert told.count("did you mean 'duckdb'?") == 5
    assert "3 more entries have problems: %omniduct status lists them" in told
    assert shell.user["registry"].names == ["db", "other"]
    with pytest.raises(DuctNotFound, match="did you mean 'duckdb'"):
        shell.value("registry['bad3']")


# What it takes back


def busy(shell: Shell) -> None:
    """Use much of it."""
    shell.run("%db SELECT 1")
    shell.run("%%db.template t\nSELECT 1")
    shell.run("%omniduct new more duckdb")
    shell.run("%omniduct")
    shell.run("%db nope")
    shell.run("%db?")
    shell.run("%omniduct new time duckdb")


def test_unloading_leaves_nothing_behind(shell: Shell) -> None:
    before = shell.state()
    load(shell)
    busy(shell)
    registry = shell.user["registry"]
    db = registry["db"]
    assert db.is_connected()
    shell.run("%unload_ext omniduct")
    assert shell.state() == before
    assert not db.is_connected()
    assert "not found" in shell.run("%db SELECT 1").stderr
    load(shell)
    assert shell.value("%db SELECT 1 AS a")["a"].tolist() == [1]


def test_reloading_many_times_piles_nothing_up(shell: Shell) -> None:
    load(shell)
    state = shell.state()
    for _ in range(3):
        busy(shell)
        load(shell)
    now = shell.state()
    for part in state:
        if part not in ("line", "cell", "names", "hidden", "cleanup", "matchers"):
            assert now[part] == state[part], part
        assert len(now[part]) == len(state[part]), part


def test_what_the_user_made_of_our_names_stays_theirs(shell: Shell) -> None:
    load(shell)
    mine = pd.DataFrame({"a": [1]})
    shell.user["db"] = mine
    shell.ip.register_magic_function(lambda line: "mine", "line", "db.head")
    shell.run("%unload_ext omniduct")
    assert shell.user["db"] is mine
    assert shell.value("%db.head") == "mine"
    assert "db" not in shell.ip.user_ns_hidden
    del shell.magics()["line"]["db.head"]


def test_a_failed_load_leaves_nothing_behind(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shell.state()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extension.Extension, "_populate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extension.load(shell.ip)
    assert shell.state() == before


def test_loading_twice_by_hand_is_loading_anew(shell: Shell) -> None:
    extension.load(shell.ip)
    first = shell.user["registry"]
    extension.load(shell.ip)
    assert shell.user["registry"] is not first
    extension.unload(shell.ip)
    extension.unload(shell.ip)


def test_unloading_goes_on_when_a_duct_cannot_be_disconnected(shell: Shell) -> None:
    class Stubborn(Duct):
        PROTOCOLS = ["stubborn_to_leave"]

        def _connect(self) -> None: ...

        def _is_connected(self) -> bool:
            return True

        def _disconnect(self) -> None:
            raise OSError("no")

    shell.configure(
        DuctRegistry={"ducts": {"a": {"protocol": "stubborn_to_leave"}, "b": {"protocol": "duckdb"}}}
    )
    before = shell.state()
    load(shell)
    b = shell.user["b"].connect()
    shell.user["a"].connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ran = shell.run("%unload_ext omniduct")
    assert ran.error is None
    assert not b.is_connected()
    assert shell.state() == before


# What it leaves alone


def test_a_variable_of_the_user_s_stays_and_that_is_told_once(shell: Shell) -> None:
    shell.user["db"] = 5
    assert load(shell) == "omniduct: db is a variable of yours and stays so; the duct is registry['db']\n"
    assert shell.user["db"] == 5
    assert shell.value("%db SELECT 1 AS a")["a"].tolist() == [1]
    assert shell.run("%omniduct new more duckdb").stderr == ""
    assert shell.user["db"] == 5


def test_making_a_duct_gives_no_other_name_back(shell: Shell) -> None:
    load(shell)
    shell.run("db = 5\ndel files")
    shell.run("%omniduct new more duckdb")
    assert shell.user["db"] == 5
    assert "files" not in shell.user
    assert shell.value("more") is shell.user["registry"]["more"]


def test_a_variable_registry_of_the_user_s_stays(shell: Shell) -> None:
    shell.user["registry"] = "mine"
    assert load(shell) == "omniduct: registry is a variable of yours and stays so\n"
    shell.run("%unload_ext omniduct")
    assert shell.user["registry"] == "mine"


def test_the_same_duct_under_a_name_that_the_user_gave_is_no_matter(shell: Shell) -> None:
    load(shell)
    db = shell.user["registry"].new("fresh", "duckdb")
    shell.user["fresh"] = db
    assert shell.run("%omniduct new more duckdb").stderr == ""
    shell.run("%unload_ext omniduct")
    assert shell.user["fresh"] is db


@pytest.mark.parametrize("name", ["list", "print", "get_ipython", "display"])
def test_python_s_own_names_are_not_hidden(shell: Shell, name: str) -> None:
    load(shell)
    before = shell.value(name)
    told = shell.run(f"%omniduct new {name} duckdb").stderr
    assert f"{name} is " in told and f"the duct is registry['{name}']" in told
    assert shell.value(name) is before
    assert shell.value(f"%{name} SELECT 1 AS a")["a"].tolist() == [1]


def test_the_hint_for_a_nested_name_is_its_whole_name(shell: Shell) -> None:
    shell.user["hive"] = 5
    shell.configure(DuctRegistry={"ducts": {"prod/hive": {"protocol": "duckdb"}}})
    assert "the duct is registry['prod/hive']" in load(shell)


@pytest.mark.parametrize("name", ["time", "sql"])
def test_a_magic_of_somebody_else_s_stays_and_that_is_told_once(shell: Shell, name: str) -> None:
    shell.configure(DuctRegistry={"ducts": {name: {"protocol": "duckdb"}}})
    before = shell.magics()["line"].get(name), shell.magics()["cell"].get(name)
    assert load(shell) == (
        f"omniduct: %{name} and %%{name} are left to others; for magics of the duct '{name}' "
        "under another name call its register_magics('another_name')\n"
    )
    assert (shell.magics()["line"].get(name), shell.magics()["cell"].get(name)) == before
    assert shell.run(f"{name}.register_magics()").stderr == ""  # once is enough
    shell.run(f"{name}.register_magics('another')")
    assert shell.value("%another SELECT 1 AS a")["a"].tolist() == [1]
    shell.run("%unload_ext omniduct")
    assert (shell.magics()["line"].get(name), shell.magics()["cell"].get(name)) == before


def test_a_magic_that_the_user_has_declared_for_later_stays(shell: Shell) -> None:
    shell.ip.magics_manager.lazy_magics["later"] = "some_extension"
    shell.configure(DuctRegistry={"ducts": {"later": {"protocol": "duckdb"}}})
    try:
        assert "%later and %%later are left to others" in load(shell)
        assert not isinstance(shell.magics()["line"].get("later"), type(shell.magics()["line"]["later.head"]))
    finally:
        del shell.ip.magics_manager.lazy_magics["later"]


# Reading it again


def test_reloading_reads_a_changed_file(shell: Shell, file: Path) -> None:
    load(shell)
    shell.run("%db SELECT 1")
    file.write_text("third:\n  protocol: duckdb\n")
    load(shell)
    assert shell.user["registry"].names == ["third"]
    assert "db" not in shell.user and "other" not in shell.user
    assert "db" not in shell.magics()["line"]
    assert shell.value("%third SELECT 1 AS a")["a"].tolist() == [1]


def test_reloading_sees_another_file_in_the_environment(
    shell: Shell, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(shell)
    another = tmp_path / "another.yaml"
    another.write_text("new:\n  protocol: duckdb\n")
    monkeypatch.setenv("OMNIDUCT_CONFIG", str(another))
    load(shell)
    assert shell.user["registry"].names == ["new"]


def test_config_shows_the_registry_and_changes_it(shell: Shell, tmp_path: Path) -> None:
    load(shell)
    assert "DuctRegistry" in shell.run("%config").stdout
    shown = shell.run("%config DuctRegistry").stdout
    for trait in ("ducts", "config_files", "register_magics", "populate_namespace"):
        assert f"DuctRegistry.{trait}" in shown
    registry = shell.user["registry"]
    assert shell.run("%config DuctRegistry.ducts = {'mine': {'protocol': 'duckdb'}}").stderr == ""
    assert shell.user["registry"] is registry
    assert registry.names == ["mine"]
    assert "db" not in shell.user and "db" not in shell.magics()["line"]
    path = tmp_path / "more.yaml"
    path.write_text("more:\n  protocol: duckdb\n")
    shell.run(f"%config DuctRegistry.config_files = [{str(path)!r}]")
    assert registry.names == ["mine", "more"]
    assert shell.value("%more SELECT 1 AS a")["a"].tolist() == [1]
    told = shell.run("%config DuctRegistry.config_files = ['/nowhere/x.yaml']").stderr
    assert "/nowhere/x.yaml" in told
    assert registry.names == ["mine"]


# Magics of third parties


class Plugin(Duct, MagicsProvider):
    """A duct that registers magics by IPython's own means, as one written for omniduct 1.3 does."""

    PROTOCOLS = ["plugin"]

    def _init(self, takes: str = "", fails: bool = False) -> None:
        self.takes = takes
        self.fails = fails

    def _connect(self) -> None: ...

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None: ...

    def _register_magics(self, base_name: str) -> None:
        def hello(line: str) -> str:
            return f"hello {line} from {base_name}"

        for name in filter(None, (f"{base_name}.hello", self.takes)):
            magic: Any = register_line_magic
            magic(name)(hello)
        if self.fails:
            raise LookupError("not today")


@magics_class
class PluginMagics(Magics):
    """Magics in a class, IPython's other way."""

    @line_magic
    def plugged(self, line: str) -> str:
        return f"plugged {line}"

    @line_cell_magic
    def both(self, line: str, cell: str | None = None) -> str:
        return f"both {line} {cell}"


class ClassyPlugin(Plugin):
    PROTOCOLS = ["classy"]

    def _register_magics(self, base_name: str) -> None:
        from IPython.core.getipython import get_ipython

        shell: Any = get_ipython()
        shell.register_magics(PluginMagics)
        shell.run_line_magic("alias_magic", "plugged_too plugged")
        shell.find_line_magic("matplotlib")  # IPython loads this one when it is first looked for


def test_a_third_party_s_magics_are_taken_back(shell: Shell) -> None:
    shell.configure(
        DuctRegistry={"ducts": {"mine, yours": {"protocol": "plugin"}, "classy": {"protocol": "classy"}}}
    )
    before = shell.state()
    assert load(shell) == ""
    assert shell.value("%mine.hello you") == "hello you from mine"
    assert shell.value("%yours.hello you") == "hello you from yours"
    assert shell.value("%plugged in") == "plugged in"
    assert shell.value("%plugged_too in") == "plugged in"
    assert shell.value("%%both line\ncell") == "both line cell\n"
    shell.run("%unload_ext omniduct")
    assert shell.state() == before
    assert shell.run("%time 1").error is None
    load(shell)
    assert shell.value("%plugged in") == "plugged in"


def test_a_magic_that_ipython_itself_loads_meanwhile_is_nobody_s(shell: Shell) -> None:
    lazy: Any = getattr(IPython.core.magic, "LazyMagic", None)
    if lazy is not None:  # as IPython 9 begins: a stand-in, until the magic is looked for
        manager, spec = shell.ip.magics_manager, "IPython.core.magics.pylab:PylabMagics"
        manager._loaded_lazy.discard(spec)
        shell.magics()["line"]["matplotlib"] = lazy(manager, spec, "line", "matplotlib")
    shell.configure(DuctRegistry={"ducts": {"classy": {"protocol": "classy"}}})
    assert load(shell) == ""
    assert shell.ip.find_line_magic("matplotlib").__name__ == "matplotlib"
    shell.run("%unload_ext omniduct")
    assert shell.ip.find_line_magic("matplotlib").__name__ == "matplotlib"


@pytest.mark.parametrize("name", ["time", "sql"])
def test_a_third_party_cannot_take_somebody_else_s_magic(shell: Shell, name: str) -> None:
    shell.configure(DuctRegistry={"ducts": {"p": {"protocol": "plugin", "takes": name}}})
    told = load(shell)
    assert told.count(f"%{name} is left to others") == 1
    assert shell.value("%p.hello you") == "hello you from p"
    if name == "time":
        assert shell.value("%time 1 + 1") == 2
    else:
        assert "sql" not in shell.magics()["line"]


def test_a_third_party_cannot_take_a_magic_that_the_user_has_made(shell: Shell) -> None:
    shell.run(
        "from IPython.core.magic import register_line_magic\n"
        "@register_line_magic\ndef own(line):\n    return 'own'"
    )
    shell.configure(DuctRegistry={"ducts": {"p": {"protocol": "plugin", "takes": "own"}}})
    assert "%own is left to others" in load(shell)
    assert shell.value("%own x") == "own"
    shell.run("%unload_ext omniduct")
    assert shell.value("%own x") == "own"
    del shell.magics()["line"]["own"]


def test_a_third_party_that_fails_is_told_and_stops_nothing(shell: Shell) -> None:
    shell.configure(
        DuctRegistry={"ducts": {"a_bad": {"protocol": "plugin", "fails": True}, "db": {"protocol": "duckdb"}}}
    )
    before = shell.state()
    told = load(shell)
    assert "the magics of 'a_bad' could not all be registered: LookupError: not today" in told
    assert Path(__file__).name in told
    assert shell.value("%db SELECT 1 AS a")["a"].tolist() == [1]
    assert shell.value("%a_bad.hello you") == "hello you from a_bad"
    shell.run("%unload_ext omniduct")
    assert shell.state() == before


def test_a_third_party_may_add_to_what_its_class_declares(shell: Shell) -> None:
    from omniduct.utils.magics import MagicCall
    from omniduct.utils.magics import line_magic as declare

    class Both(Plugin):
        PROTOCOLS = ["declares_and_registers"]

        @declare("declared")
        def _declared(self, call: MagicCall, word: str = "nothing") -> str:
            return f"declared {word}"

        def _register_magics(self, base_name: str) -> None:
            MagicsProvider._register_magics(self, base_name)
            Plugin._register_magics(self, base_name)

    before = shell.state()
    shell.configure(DuctRegistry={"ducts": {"p": {"protocol": "declares_and_registers"}}})
    load(shell)
    assert shell.value("%p.declared word='a b'") == "declared a b"
    assert shell.value("%p.hello you") == "hello you from p"
    shell.run("%unload_ext omniduct")
    assert shell.state() == before


def test_outside_ipython_registering_magics_does_nothing() -> None:
    Plugin(name="p").register_magics()
    extension_shells = extension._loaded
    assert len(extension_shells) == 0


def test_another_registry_does_not_take_the_magics_of_the_first(shell: Shell) -> None:
    shell.run("%load_ext omniduct")
    shell.run("%db CREATE TABLE mine AS SELECT 1 AS a")
    ran = shell.run("import omniduct\nother = omniduct.DuctRegistry()\nother.new('db', 'duckdb')\nNone")
    assert ran.error is None
    assert "left to others" in ran.stderr
    assert len(shell.value("%db FROM mine")) == 1


def test_ducts_made_in_the_session_outlive_a_change_of_the_configuration(shell: Shell) -> None:
    shell.run("%load_ext omniduct")
    shell.run("%omniduct new other duckdb")
    shell.run("%other CREATE TABLE precious AS SELECT 1 AS a")
    shell.run("%config DuctRegistry.ducts = {'x': {'protocol': 'duckdb'}}")
    assert shell.value("registry.names") == ["other", "x"]
    assert len(shell.value("%other FROM precious")) == 1
    assert shell.value("other.table_exists('precious')")


def test_a_duct_whose_name_is_overridden_gives_its_magics_back(shell: Shell) -> None:
    shell.run("%load_ext omniduct")
    shell.run("registry.new('mine', 'duckdb')")
    assert "mine.head" in shell.magics()["line"]
    shell.run("registry.new('mine', 'localfs', override=True)")
    assert "mine.head" not in shell.magics()["line"]
    assert "mine.listdir" in shell.magics()["line"]
