from __future__ import annotations

import copy
import os
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from traitlets import TraitError
from traitlets.config import Application, Config, Configurable

from omniduct import Duct, DuctRegistry, MagicsProvider
from omniduct.credentials import Secret
from omniduct.errors import (
    DuctArgumentError,
    DuctConfigError,
    DuctError,
    DuctNotFound,
    DuctProtocolUnknown,
    DuctWarning,
)

SENTINEL = "s3ntinel-swordfish"
SERVICE = {"protocol": "registry_service"}


class RegistryDuct(Duct):
    """Connects to nothing."""

    def _connect(self) -> None:
        pass

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None:
        pass


class RegistryService(RegistryDuct):
    DUCT_TYPE = Duct.Type.DATABASE
    PROTOCOLS: ClassVar[list[str]] = ["registry_service"]

    def _init(
        self, catalog: str | None = None, depth: int = 1, options: dict[str, Any] | None = None
    ) -> None:
        self.catalog = catalog
        self.depth = depth


class RegistryOpen(RegistryDuct):
    PROTOCOLS: ClassVar[list[str]] = ["registry_open"]

    def _init(self, **client_options: Any) -> None:
        self.client_options = client_options


class RegistryRemote(RegistryDuct):
    DUCT_TYPE = Duct.Type.REMOTE
    PROTOCOLS: ClassVar[list[str]] = ["registry_remote"]


class RegistryCache(RegistryDuct):
    DUCT_TYPE = Duct.Type.CACHE
    PROTOCOLS: ClassVar[list[str]] = ["registry_cache"]


class RegistryFailing(RegistryDuct):
    PROTOCOLS: ClassVar[list[str]] = ["registry_failing"]

    def _init(self, path: str) -> None:
        raise OSError(f"no room for {path} of {self.username}, who has {self.password}")


class RegistryMagic(MagicsProvider, RegistryDuct):
    PROTOCOLS: ClassVar[list[str]] = ["registry_magic"]
    registered: ClassVar[list[str | None]] = []

    def register_magics(self, base_name: str | None = None) -> None:
        self.registered.append(base_name)


class RegistryStuck(RegistryService):
    PROTOCOLS: ClassVar[list[str]] = ["registry_stuck"]

    def _disconnect(self) -> None:
        raise OSError("it is stuck")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any configuration; the working folder is another."""
    folder = tmp_path / "home"
    (folder / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("OMNIDUCT_CONFIG", raising=False)
    monkeypatch.setenv("REGISTRY_PASSWORD", SENTINEL)
    monkeypatch.chdir(folder / "work")
    return folder


@pytest.fixture
def registry() -> DuctRegistry:
    return DuctRegistry()


def told(registry: DuctRegistry) -> list[str]:
    """The problems, as a person reads them."""
    return [str(problem) for problem in registry.problems]


def loaded(config: Any, **kwargs: Any) -> tuple[DuctRegistry, list[str]]:
    """A registry that took a configuration, and what it warned of."""
    registry = DuctRegistry()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.register_from_config(config, **kwargs)
    assert {str(w.filename) for w in caught} <= {__file__}
    assert [str(w.message) for w in caught] == told(registry)
    return registry, told(registry)


def traits(**sections: Any) -> DuctRegistry:
    """A registry loaded from a traitlets configuration."""
    registry = DuctRegistry(Config(sections))
    registry.load()
    return registry


# Registering


def test_a_duct_is_registered_under_its_own_name_another_or_several(registry: DuctRegistry) -> None:
    duct = RegistryService(name="own")
    assert registry.register(duct) is duct
    registry.register(duct, "other")
    registry.register(duct, name="b, a , ,b")
    assert registry.names == ["a", "b", "other", "own"]
    assert list(registry) == [duct]
    assert registry.names_of(duct)[0] == "own"
    assert "own" in registry and "nobody" not in registry
    assert (len(registry), repr(registry)) == (4, "<DuctRegistry: a, b, other, own>")
    assert repr(DuctRegistry()) == "<DuctRegistry: no ducts>"


def test_a_new_duct_knows_its_protocol_name_and_registry(registry: DuctRegistry) -> None:
    duct = registry.new("first, second", "registry_service", host="h:5", depth=2)
    assert (duct.name, duct.protocol, duct.registry) == ("first", "registry_service", registry)
    assert registry["second"] is duct
    assert str(registry.origin("second")) == "this session"


def test_a_name_that_is_taken_is_kept_unless_it_is_overridden(registry: DuctRegistry) -> None:
    first = registry.register_from_config({"db": SERVICE})["db"]
    for attempt in (
        lambda: registry.new("x, db", "registry_service"),
        lambda: registry.register(RegistryService(name="db")),
    ):
        with pytest.raises(DuctConfigError) as caught:
            attempt()
        assert str(caught.value) == (
            f"the name 'db' is taken by {first!r} [the configuration given, db]; "
            "choose another, or pass override=True"
        )
    assert registry.names == ["db"] and registry["db"] is first
    second = registry.new("db", "registry_service", override=True)
    assert registry["db"] is second
    assert str(registry.origin("db")) == "this session"


def test_registering_the_same_duct_again_is_no_clash(registry: DuctRegistry) -> None:
    duct = registry.new("db", "registry_service")
    assert registry.register(duct) is duct


@pytest.mark.parametrize("name", ["", " , ", 5])
def test_a_name_has_to_be_one(registry: DuctRegistry, name: Any) -> None:
    for attempt in (
        lambda: registry.new(name, "registry_service"),
        lambda: registry.register(RegistryService(), name),
    ):
        with pytest.raises(
            DuctConfigError, match=f"cannot be registered under the name {name!r}; it takes a t"
        ):
            attempt()
    assert registry.names == []


def test_only_ducts_are_registered(registry: DuctRegistry) -> None:
    with pytest.raises(DuctConfigError, match="a registry holds ducts, not a text"):
        registry.register("db")  # type: ignore[arg-type]


def test_a_new_duct_that_cannot_be_leaves_nothing_behind(registry: DuctRegistry) -> None:
    with pytest.raises(DuctProtocolUnknown, match="'registry_servce'; did you mean 'registry_service'"):
        registry.new("db", "registry_servce")
    with pytest.raises(
        DuctArgumentError, match="db: RegistryService takes no argument 'catlog'; did you mean 'cata"
    ):
        registry.new("db", "registry_service", catlog="hive")
    assert registry.names == []


# Finding


def test_lookup_finds_a_duct_by_name_and_kind(registry: DuctRegistry) -> None:
    bastion = registry.new("bastion", "registry_remote")
    assert registry.lookup("bastion") is registry["bastion"] is bastion
    assert (
        registry.lookup("bastion", Duct.Type.REMOTE) is registry.lookup("bastion", kind="remotes") is bastion
    )
    with pytest.raises(DuctNotFound, match="'bastion' is not one of the databases: it is one of the remotes"):
        registry.lookup("bastion", "databases")
    with pytest.raises(DuctConfigError, match="there is no kind 'database'; did you mean 'databases'"):
        registry.lookup("bastion", "database")
    with pytest.raises(
        DuctConfigError, match="there is no kind 'x'; there are remotes, filesystems, caches, r"
    ):
        registry.lookup("bastion", "x")


def test_a_name_that_is_not_there_brings_near_misses_or_what_there_is(registry: DuctRegistry) -> None:
    with pytest.raises(DuctNotFound, match=r"^there is no duct 'db'; there are none$"):
        registry["db"]
    for name in ("presto", "prod/hive", "dev/hive"):
        registry.new(name, "registry_service")
    for name, near in {
        "Presto": "; did you mean 'presto'?",
        "hive": "; did you mean 'dev/hive' or 'prod/hive'?",
        "zzz": "; there are dev/hive, presto, prod/hive",
    }.items():
        with pytest.raises(DuctNotFound) as caught:
            registry[name]
        assert str(caught.value) == f"there is no duct {name!r}{near}"
    for number in range(30):
        registry.new(f"n{number:02}", "registry_service")
    with pytest.raises(DuctNotFound, match=r"there are dev/hive, n00, .*, n18, …$"):
        registry["zzz"]


def test_a_duct_that_was_not_found_is_an_error_of_look_ups(registry: DuctRegistry) -> None:
    with pytest.raises(LookupError):
        registry["db"]


def test_iteration_gives_each_duct_once(registry: DuctRegistry) -> None:
    first, second = registry.new("a, b", "registry_service"), registry.new("c", "registry_cache")
    assert list(registry) == [first, second]


# Handing out


def test_a_namespace_is_populated_by_the_last_parts_of_names(registry: DuctRegistry) -> None:
    hive, files = registry.new("prod/eu/hive", "registry_service"), registry.new("files", "registry_cache")
    assert registry.populate_namespace() == {"hive": hive, "files": files}
    own: dict[str, Any] = {"x": 1}
    assert registry.populate_namespace(own, names=["files"]) is own
    assert own == {"x": 1, "files": files}
    assert registry.populate_namespace(kinds=["databases"]) == {"hive": hive}
    assert registry.populate_namespace(kinds=[Duct.Type.CACHE, "databases"]) == {"hive": hive, "files": files}
    assert registry.populate_namespace(names=["files"], kinds=["databases"]) == {}
    with pytest.raises(DuctNotFound, match="there is no duct 'file'; did you mean 'files'"):
        registry.populate_namespace(names=["file"])
    with pytest.raises(DuctConfigError, match="there is no kind 'database'"):
        registry.populate_namespace(kinds=["database"])


def test_of_two_names_that_end_alike_the_shorter_or_first_is_the_variable_and_that_is_said(
    registry: DuctRegistry,
) -> None:
    for name in ("prod/hive", "dev/hive", "dev/db", "db"):
        registry.new(name, "registry_service")
    with pytest.warns(DuctWarning) as caught:
        namespace = registry.populate_namespace()
    assert namespace == {"hive": registry["dev/hive"], "db": registry["db"]}
    assert [str(w.message) for w in caught] == [
        "db is the duct 'db', and 'dev/db' is registry['dev/db']; "
        "hive is the duct 'dev/hive', and 'prod/hive' is registry['prod/hive']"
    ]
    assert caught[0].filename == __file__


def test_the_switch_of_that_name_is_a_method_as_well(registry: DuctRegistry) -> None:
    assert registry.populate_namespace
    registry.populate_namespace = False
    assert not registry.populate_namespace and repr(registry.populate_namespace) == "False"
    assert registry.populate_namespace() == {}
    with pytest.raises(TraitError):
        registry.populate_namespace = "no"


def test_a_proxy_has_the_kinds_and_the_parts_of_names_as_attributes(registry: DuctRegistry) -> None:
    hive = registry.new("prod/hive", "registry_service")
    proxy = registry.get_proxy()
    assert proxy.databases.prod.hive is hive
    assert proxy["databases"]["prod/hive"] is proxy["databases/prod/hive"] is hive
    assert dir(proxy) == ["databases", "registry"]
    assert dir(proxy.databases.prod) == ["hive", "registry"]
    assert proxy.registry is proxy.databases.registry is registry
    assert repr(proxy.databases.prod) == "<DuctProxy databases.prod: hive>"
    flat = registry.get_proxy(by_kind=False)
    assert flat.prod.hive is hive
    later = registry.new("my-db", "registry_service")
    assert flat["my-db"] is later
    assert "my-db" in dir(proxy.databases)


def test_a_proxy_says_what_it_has_not_and_why(registry: DuctRegistry) -> None:
    with pytest.warns(DuctWarning):
        registry.register_from_config({"prod": {"hive": SERVICE, "bad": {**SERVICE, "depth": "deep"}}})
    proxy = registry.get_proxy()
    with pytest.raises(AttributeError, match=r"there is no duct 'databses'; did you mean 'databases'\?"):
        _ = proxy.databses
    with pytest.raises(KeyError, match=r"there is no duct 'databases.prod.hve'; did you mean 'hive'"):
        proxy["databases"]["prod"]["hve"]
    for bad in (lambda: proxy.databases.prod.bad, lambda: registry.get_proxy(by_kind=False).prod.bad):
        with pytest.raises(
            AttributeError, match=r"prod.bad': depth cannot be 'deep'; it takes a whole number \[the "
        ):
            bad()
    with pytest.raises(AttributeError, match=r"use registry\.register"):
        proxy.db = 5
    assert copy.copy(proxy).databases.prod.hive is registry["prod/hive"]


# From configurations


def test_ducts_are_loaded_kind_by_kind_and_else_in_their_order() -> None:
    registry, problems = loaded(
        {
            "z": SERVICE,
            "a": SERVICE,
            "cache": {"protocol": "registry_cache"},
            "far": {"protocol": "registry_remote", "remote": "near"},
            "near": {"protocol": "registry_remote"},
        }
    )
    assert ([duct.name for duct in registry], problems) == (["far", "near", "cache", "z", "a"], [])


def test_register_from_config_gives_the_registry_back_and_the_constructor_takes_the_same() -> None:
    registry = DuctRegistry({"db": SERVICE})
    assert registry.register_from_config("other:\n  protocol: registry_service\n") is registry
    assert registry.names == ["db", "other"]
    assert str(registry.origin("other")) == "the YAML text given, other (line 1)"


def test_the_constructor_warns_where_it_is_called() -> None:
    with pytest.warns(DuctWarning, match="'db' is skipped: it has no protocol") as caught:
        DuctRegistry({"db": {}})
    assert caught[0].filename == __file__


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown protocol": (
        {"protocol": "registry_servise"},
        "no class offers the protocol 'registry_servise'; did you mean 'registry_service'",
    ),
    "unknown argument": (
        {**SERVICE, "catlog": SENTINEL},
        "RegistryService takes no argument 'catlog'; did you mean 'catalog'?",
    ),
    "unknown argument, far off": (
        {**SERVICE, "zzz": 1},
        "RegistryService takes no argument 'zzz'; it takes cache, cache_namespace, catalog, depth, host, "
        "options, password, port, remote, username",
    ),
    "wrong type": ({**SERVICE, "depth": "deep"}, "depth cannot be 'deep'; it takes a whole number"),
    "wrong type, of true": ({**SERVICE, "depth": True}, "depth cannot be True; it takes a whole number"),
    "wrong type, with a login": (
        {**SERVICE, "options": f"acme://me:{SENTINEL}@host/x"},
        "options cannot be 'acme://***@host/x'; it takes a mapping",
    ),
    "wrong type, nested": (
        {**SERVICE, "catalog": {"password": SENTINEL}},
        "catalog cannot be a mapping; it takes a text",
    ),
    "wrong type, long": (
        {**SERVICE, "depth": "x" * 100},
        f"depth cannot be '{'x' * 59}…; it takes a whole number",
    ),
    "bad port": ({**SERVICE, "port": 70000}, "port cannot be 70000; it takes a number from 1 to 65535"),
    "missing argument": ({"protocol": "registry_failing"}, "RegistryFailing needs the argument 'path'"),
    "no such remote": (
        {**SERVICE, "remote": "bastio"},
        "its remote cannot be used: there is no duct 'bastio'; did you mean 'bastion'?",
    ),
    "remote of another kind": (
        {**SERVICE, "remote": "cache"},
        "its remote cannot be used: 'cache' is not one of the remotes: it is one of the caches",
    ),
    "cache of another kind": (
        {**SERVICE, "cache": "bastion"},
        "its cache cannot be used: 'bastion' is not one of the caches: it is one of the remotes",
    ),
    "remote that is no name": (
        {**SERVICE, "remote": {"host": "h"}},
        "its remote is the name of one of the remotes, not a mapping",
    ),
    "its own remote": (
        {"protocol": "registry_remote", "remote": "bad"},
        "its remotes run in a circle: bad -> bad",
    ),
    "constructor that fails": (
        {"protocol": "registry_failing", "path": "/x", "username": "me", "password": SENTINEL},
        "OSError: no room for /x of me, who has ***",
    ),
}


@pytest.mark.parametrize(("entry", "reason"), BAD.values(), ids=BAD)
def test_a_bad_entry_is_told_once_stops_no_other_and_using_it_says_why(entry: Any, reason: str) -> None:
    others = {
        "bastion": {"protocol": "registry_remote"},
        "cache": {"protocol": "registry_cache"},
        "db": SERVICE,
    }
    registry, problems = loaded({"bad": entry, **others})
    (problem,) = problems
    assert problem.startswith(f"'bad' is skipped: {reason}") and SENTINEL not in problem
    assert registry.names == ["bastion", "cache", "db"]
    with pytest.raises(DuctNotFound) as caught:
        registry["bad"]
    assert str(caught.value) == problem.replace("'bad' is skipped", "there is no duct 'bad'")


def test_a_protocol_that_is_known_but_not_built_yet_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniduct.protocols.NOT_YET", frozenset({"registry_later"}))
    _, (problem,) = loaded({"bad": {"protocol": "registry_later"}})
    assert problem.startswith(
        "'bad' is skipped: the protocol 'registry_later' is known, but this version of omn"
    )
    _, (problem,) = loaded({"bad": {"protocol": "registry_laterr"}})
    assert "did you mean 'registry_later'" in problem


def test_a_bad_duct_of_two_names_is_told_once_and_both_names_say_why() -> None:
    for entry in ({**SERVICE, "remote": "nobody"}, {**SERVICE, "depth": "x"}):
        registry, (problem,) = loaded({"prod": {"a, b": entry}})
        assert problem.startswith("'prod/a, prod/b' is skipped: ")
        for name in ("prod/a", "prod/b"):
            with pytest.raises(DuctNotFound, match=r"the configuration given, prod\.a, b"):
                registry[name]


def test_remotes_in_a_circle_are_each_told_once_and_who_depends_on_them_too() -> None:
    registry, problems = loaded(
        {
            "a": {"protocol": "registry_remote", "remote": "b2"},
            "b, b2": {"protocol": "registry_remote", "remote": "c"},
            "c": {"protocol": "registry_remote", "remote": "a"},
            "user": {**SERVICE, "remote": "a"},
            "good": SERVICE,
        }
    )
    place = "the configuration given"
    assert registry.names == ["good"]
    assert problems == [
        f"'a' is skipped: its remotes run in a circle: a -> b2 -> c -> a [{place}, a]",
        f"'b, b2' is skipped: its remotes run in a circle: b -> c -> a -> b2 [{place}, b, b2]",
        f"'c' is skipped: its remotes run in a circle: c -> a -> b2 -> c [{place}, c]",
        f"'user' is skipped: its remote is 'a', which is skipped [{place}, user]",
    ]


def test_a_name_that_comes_twice_is_told_with_both_places() -> None:
    registry, (problem,) = loaded(
        [{"name": "db", **SERVICE}, {"name": "x, db", **SERVICE, "depth": 2}, {"name": "y", **SERVICE}]
    )
    place = "the configuration given"
    assert problem == f"'db' is skipped: the name is taken already, by {place}, [0] [{place}, [1]]"
    assert (registry.names, registry["db"].depth, registry["x"].depth) == (["db", "x", "y"], 1, 2)


def test_a_name_that_is_taken_is_given_away_with_override() -> None:
    registry = DuctRegistry({"db": SERVICE})
    registry.register_from_config({"db": {**SERVICE, "depth": 2}}, override=True)
    assert (registry["db"].depth, told(registry)) == (2, [])


def test_a_duct_under_another_kind_is_loaded_and_that_is_said() -> None:
    registry, (problem,) = loaded({"filesystems": {"db": SERVICE}})
    assert problem.startswith(
        "'db' stands under filesystems, and 'registry_service' is one of the databases; it is loaded as "
    )
    assert registry["db"].DUCT_TYPE is Duct.Type.DATABASE


def test_a_name_that_works_now_has_no_problem_any_more() -> None:
    registry, _ = loaded({"bad": {}, "worse": {}})
    registry.new("bad", "registry_service")
    assert [problem.name for problem in registry.problems] == ["worse"]


def test_a_file_that_cannot_be_read_is_named_when_one_asks_for_a_duct(home: Path) -> None:
    (home / "ducts.yaml").write_text("db: [", "utf-8")
    registry, (problem,) = loaded("~/ducts.yaml")
    with pytest.raises(DuctNotFound) as caught:
        registry["db"]
    assert str(caught.value) == f"there is no duct 'db'; there are none; {problem}"
    assert problem.startswith(
        "the YAML cannot be read: line 2, column 1: did not find expected node content ["
    )


def test_a_password_in_a_registry_is_shown_nowhere(registry: DuctRegistry) -> None:
    registry.register_from_config({"a": {**SERVICE, "password": SENTINEL}})
    registry.new("b", "registry_service", password=SENTINEL)
    for shown in (repr(registry), repr(vars(registry)), *(repr(vars(duct)) for duct in registry)):
        assert SENTINEL not in shown
    assert [duct.password for duct in registry] == [SENTINEL, SENTINEL]


def test_no_frame_of_an_error_on_the_way_to_a_duct_holds_the_password(registry: DuctRegistry) -> None:
    class RegistryUnready(RegistryDuct):
        PROTOCOLS: ClassVar[list[str]] = ["registry_unready"]

        def _init(self) -> None:
            raise OSError("not today")

    config = {"x": {"protocol": "registry_unready", "password": SENTINEL}}
    registry.ducts = config
    registry.update_config(Config(RegistryUnready={"password": SENTINEL}))
    with pytest.raises(OSError, match="not today") as caught:
        registry.new("x", "registry_unready", password=os.environ["REGISTRY_PASSWORD"])
    frames = traceback.TracebackException(*caught._excinfo, capture_locals=True)  # type: ignore[misc]
    shown = "".join(
        f"{name}={text}" for frame in frames.stack[1:] for name, text in (frame.locals or {}).items()
    )
    assert "kwargs=" in shown and SENTINEL not in shown


# Loading


def test_without_any_configuration_there_are_two_ducts(registry: DuctRegistry) -> None:
    registry.load()
    assert [(duct.name, duct.protocol) for duct in registry] == [("files", "localfs"), ("db", "duckdb")]
    assert (told(registry), str(registry.origin("db"))) == ([], "the defaults, db")
    assert registry["db"].query("SELECT 1", format="tuple") == [(1,)]


def test_a_configuration_that_is_empty_on_purpose_is_one() -> None:
    assert traits(DuctRegistry={"ducts": {}}).names == []


@pytest.mark.parametrize(
    "ducts", [{"db": SERVICE}, [{"name": "db", **SERVICE}], "db:\n  protocol: registry_service\n"]
)
def test_the_trait_takes_every_shape(ducts: Any) -> None:
    registry = traits(DuctRegistry={"ducts": ducts})
    assert (registry.names, told(registry)) == (["db"], [])
    assert registry.origin("db").source == "c.DuctRegistry.ducts"


def test_the_trait_takes_a_files_name(home: Path) -> None:
    (home / "ducts.yaml").write_text("db: {protocol: registry_service}", "utf-8")
    registry = traits(DuctRegistry={"ducts": "~/ducts.yaml"})
    assert str(registry.origin("db")) == "~/ducts.yaml, db (line 1)"


def test_the_trait_takes_what_is_appended_or_updated() -> None:
    for method, argument in (("update", {"db": SERVICE}), ("append", {"name": "db", **SERVICE})):
        config = Config()
        getattr(config.DuctRegistry.ducts, method)(argument)
        registry = DuctRegistry(config)
        registry.load()
        assert (registry.names, told(registry)) == (["db"], [])


def test_a_trait_that_was_only_looked_at_is_not_set() -> None:
    config = Config()
    assert config.DuctRegistry.ducts is config.DuctRegistry.ducts
    assert config.RegistryService.catalog is not None
    registry = DuctRegistry(config)
    registry.load()
    assert (registry.names, registry.new("x", "registry_service").catalog) == (["db", "files"], None)


def test_what_a_trait_refuses_is_told_and_stops_nothing() -> None:
    registry = traits(
        DuctRegistry={
            "ducts": {"db": SERVICE},
            "register_magics": "no",
            "config_files": [{"password": SENTINEL}],
        }
    )
    assert (registry.names, registry.register_magics, registry.config_files) == (["db"], True, [])
    assert [problem.partition(" is left out: ")[0] for problem in sorted(told(registry))] == [
        "c.DuctRegistry.config_files",
        "c.DuctRegistry.register_magics",
    ]
    assert SENTINEL not in str(told(registry))


def test_several_files_are_one_configuration_whose_entries_may_refer_to_each_other(home: Path) -> None:
    (home / "a.yaml").write_text("db: {protocol: registry_service, remote: bastion}\nx: 5\n", "utf-8")
    (home / "b.yaml").write_text(
        "bastion: {protocol: registry_remote}\ndb: {protocol: registry_service}\n"
        "lost: {protocol: registry_service, remote: nobody}\n",
        "utf-8",
    )
    files = ["~/a.yaml", str(home / "b.yaml"), "~/c.yaml"]
    registry = traits(DuctRegistry={"ducts": {"y": {**SERVICE, "remote": "bastion"}}, "config_files": files})
    assert registry.names == ["bastion", "db", "y"]
    assert told(registry) == [
        "'x' is skipped: an entry is a mapping with a protocol, not a number [~/a.yaml, x (line 2)]",
        "the configuration file cannot be read: there is no such file [~/c.yaml]",
        "'db' is skipped: the name is taken already, by ~/a.yaml, db (line 1) [~/b.yaml, db (line 2)]",
        "'lost' is skipped: its remote cannot be used: there is no duct 'nobody'; of the remotes there are "
        f"bastion; {told(registry)[1]} [~/b.yaml, lost (line 3)]",
    ]
    assert registry.sources() == [str(home / name) for name in ("a.yaml", "b.yaml", "c.yaml")]


def test_one_file_need_not_stand_in_a_list(home: Path) -> None:
    (home / "a.yaml").write_text("db: {protocol: registry_service}", "utf-8")
    for files in ("~/a.yaml", home / "a.yaml", ("~/a.yaml",)):
        assert traits(DuctRegistry={"config_files": files}).names == ["db"]


def test_a_duct_where_a_files_name_belongs_is_refused_without_showing_it(registry: DuctRegistry) -> None:
    for value in ([{"password": SENTINEL}], {"password": SENTINEL}, 5):
        with pytest.raises(
            TraitError, match=r"config_files takes names of files, not a \w+; ducts thems"
        ) as caught:
            registry.config_files = value
        assert SENTINEL not in str(caught.value)


def test_the_environment_names_the_file_unless_the_configuration_does(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own", "environment", "configured"):
        (home / ".omniduct").mkdir(exist_ok=True)
        path = home / ".omniduct/config" if name == "own" else home / f"{name}.yaml"
        path.write_text(f"{name}: {{protocol: registry_service}}", "utf-8")
    assert traits().names == ["own"]
    monkeypatch.setenv("OMNIDUCT_CONFIG", "~/environment.yaml")
    assert traits().names == ["environment"]
    assert traits(DuctRegistry={"config_files": ["~/configured.yaml"]}).names == ["configured"]
    monkeypatch.setenv("OMNIDUCT_CONFIG", "~/nobody.yaml")
    registry = traits()
    assert told(registry) == ["the configuration file cannot be read: there is no such file [~/nobody.yaml]"]
    assert registry.names == []


def test_a_changed_trait_hides_its_passwords_and_leaves_what_was_given_alone(registry: DuctRegistry) -> None:
    given = {"db": {**SERVICE, "password": SENTINEL}, "list": [({"passwrod": SENTINEL},)]}
    before = copy.deepcopy(given)
    registry.ducts = given
    assert given == before
    assert registry.ducts == {
        "db": {**SERVICE, "password": Secret(SENTINEL)},
        "list": [({"passwrod": SENTINEL},)],
    }
    assert SENTINEL not in repr(registry.ducts)
    registry.ducts = text = f"db:\n  password: {SENTINEL}\n"
    assert (repr(registry.ducts), f"{registry.ducts}") == ("<YAML of 2 lines>",) * 2
    assert registry.ducts.reveal() == text
    registry.ducts = f"{{db: {{password: {SENTINEL}}}}}"
    assert repr(registry.ducts) == "<YAML of 1 line>"
    registry.ducts = "~/ducts.yaml"
    assert registry.ducts == "~/ducts.yaml"


def test_magics_are_registered_unless_entry_call_or_trait_says_otherwise() -> None:
    RegistryMagic.registered.clear()
    magic = {"protocol": "registry_magic"}
    config = {"a, b": magic, "off": {**magic, "register_magics": False}, "bad": {**magic, "remote": "nobody"}}
    registry = traits(DuctRegistry={"ducts": config})
    registry.new("c", "registry_magic")
    registry.new("d", "registry_magic", register_magics=False)
    registry.register(registry["a"], "e", register_magics=False)
    assert RegistryMagic.registered == ["a", "b", "c"]
    registry.register_magics = False
    registry.new("f", "registry_magic")
    assert RegistryMagic.registered == ["a", "b", "c"]


# Set-up files in Python


@pytest.fixture
def own(home: Path) -> Callable[[str], tuple[DuctRegistry, list[str]]]:
    """Load a text as ~/.omniduct/config."""

    def load(text: str) -> tuple[DuctRegistry, list[str]]:
        (home / ".omniduct").mkdir(exist_ok=True)
        (home / ".omniduct/config").write_text(textwrap.dedent(text), "utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            registry = traits()
        return registry, [problem.replace("~/.omniduct/config", "FILE") for problem in told(registry)]

    return load


Own = Callable[[str], tuple[DuctRegistry, list[str]]]


def test_a_set_up_file_may_be_python(own: Own) -> None:
    registry, problems = own(
        """
        # My own ducts
        import os

        def password(duct) -> str:
            return os.path.join("pass", duct.name)

        registry.new("db", "registry_service", password=password)
        if True:
            registry.register_from_config({"many": {"protocol": "registry_service"}})
        """
    )
    assert (registry.names, problems) == (["db", "many"], [])
    assert str(registry.origin("db")) == "~/.omniduct/config (line 8)"
    assert registry["db"].connect().password == "pass/db"


def test_python_in_a_set_up_file_is_plain_python(own: Own) -> None:
    registry, problems = own(
        """
        def password(duct: print) -> None: ...

        assert password.__annotations__["duct"] is print
        assert __file__.endswith("config")
        registry.new("db", "registry_service")
        """
    )
    assert (registry.names, problems) == (["db"], [])


def test_what_a_python_file_says_comes_after_all_else(home: Path) -> None:
    (home / "a.py").write_text("db = registry['db']\nregistry.new('bastion', 'registry_remote')\n", "utf-8")
    ducts = {"db": {**SERVICE, "remote": "bastion"}}
    registry = traits(DuctRegistry={"ducts": ducts, "config_files": ["~/a.py"]})
    assert (registry.names, told(registry)) == (["bastion", "db"], [])


STOPPED = "the set-up file stopped here, and what follows is not loaded: "
PYTHON_ERRORS = {
    "registry.new('a', 'registry_service')\n\nregistry.new('b', 'registry_servic')": (
        f"{STOPPED}DuctProtocolUnknown: no class offers the protocol 'registry_servic'; "
        "did you mean 'registry_service'? [FILE (line 3)]"
    ),
    "def f():\n    raise OSError('no disk')\n\nf()": f"{STOPPED}OSError: no disk [FILE (line 2)]",
    "registry.new('a', 'registry_service')\nraise SystemExit(1)": f"{STOPPED}SystemExit: 1 [FILE (line 2)]",
    "x = 1\nregistry.new('b'": f"{STOPPED}SyntaxError: '(' was never closed [FILE (line 2)]",
    "import nothing_of_that_name": (
        f"{STOPPED}ModuleNotFoundError: No module named 'nothing_of_that_name' [FILE (line 1)]"
    ),
    "import json\nregistry.register_from_config({'x': {}})\n": (
        "'x' is skipped: it has no protocol [the configuration given, x]"
    ),
}


@pytest.mark.parametrize(("text", "said"), PYTHON_ERRORS.items(), ids=range(len(PYTHON_ERRORS)))
def test_an_error_in_a_python_file_is_told_once_with_its_line(own: Own, text: str, said: str) -> None:
    registry, problems = own(text)
    assert problems == [said]
    assert registry.names == (["a"] if "'a'" in text else [])


@pytest.mark.parametrize(
    "text",
    [
        "db: {protocol: registry_service}",
        "{db: {protocol: registry_service}}",
        '{"db": {"protocol": "registry_service"}}',
        "- {name: db, protocol: registry_service}",
        "---\ndb:\n  protocol: registry_service\n",
        "# import this\ndb:\n  protocol: registry_service\n",
        "databases:\n  db:\n    protocol: registry_service\n    catalog: |\n      import os\n",
    ],
)
def test_yaml_is_not_taken_for_python(own: Own, text: str) -> None:
    registry, problems = own(text)
    assert (registry.names, problems) == (["db"], [])


def test_bad_yaml_is_told_as_yaml(own: Own) -> None:
    assert own("db: {protocl: registry_service}")[1] == [
        "'db' is skipped: it has no protocol; did you mean that by 'protocl'? [FILE, db (line 1)]"
    ]
    assert own("db:\n  protocol: a: b\n")[1][0].startswith("the YAML cannot be read: line 2, column 14: ")


def test_python_from_the_working_folder_runs_only_when_its_name_says_so(home: Path) -> None:
    for name in ("setup", "setup.py"):
        (home / "work" / name).write_text("registry.new('db', 'registry_service')\n", "utf-8")
    registry = traits(DuctRegistry={"config_files": ["setup"]})
    assert registry.names == []
    assert told(registry)[0].startswith(
        "this file is Python, and is not run from the working folder, as it may "
    )
    assert traits(DuctRegistry={"config_files": ["setup.py"]}).names == ["db"]


# c.<Class>.<argument>


def test_a_class_section_supplies_what_an_entry_leaves_out() -> None:
    registry = traits(
        DuctRegistry={"ducts": {"a": {**SERVICE, "catalog": "own"}, "b": SERVICE}},
        RegistryDuct={"username": "me", "password": SENTINEL},
        RegistryService={"catalog": "hive", "depth": 3},
    )
    assert [(d.catalog, d.depth, d._username, d.password) for d in registry] == [
        ("own", 3, "me", SENTINEL),
        ("hive", 3, "me", SENTINEL),
    ]
    assert told(registry) == []
    assert SENTINEL not in repr(registry.config)
    assert registry.new("c", "registry_service").catalog == "hive"
    assert registry.new("d", "registry_service", catalog=None).catalog is None


def test_a_section_of_a_class_above_reaches_only_those_that_take_the_key() -> None:
    registry = traits(
        DuctRegistry={"ducts": {"db": SERVICE, "cache": {"protocol": "registry_cache"}}},
        Duct={"catalog": "hive", "host": "h"},
    )
    assert (registry["db"].catalog, registry["cache"]._host, told(registry)) == ("hive", "h", [])


def test_a_class_that_takes_any_argument_takes_those_of_its_own_section_only() -> None:
    registry = traits(
        DuctRegistry={"ducts": {"open": {"protocol": "registry_open"}}},
        Duct={"catalog": "hive"},
        RegistryOpen={"timeout": 5},
    )
    assert (registry["open"].client_options, told(registry)) == ({"timeout": 5}, [])


def test_a_section_or_key_that_fits_nothing_is_told_once_and_the_rest_counts() -> None:
    registry = traits(
        DuctRegistry={"ducts": {"a": SERVICE, "b": SERVICE}},
        RegistryService={"catlog": "hive", "depth": "deep", "port": 0, "name": "x", "catalog": "hive"},
        RegistryServic={"catalog": "hive"},
        DuckDbClient={"database": "x"},
        SomethingElse={"catalog": "hive"},
        HistoryManager={"enabled": False},
    )
    assert sorted(problem.partition(" [")[0] for problem in told(registry)) == [
        "c.DuckDbClient fits no class; did you mean 'DuckDBClient'?",
        "c.RegistryServic fits no class; did you mean 'RegistryService'?",
        "c.RegistryService.catlog fits no argument; did you mean 'catalog'?",
        "c.RegistryService.depth cannot be 'deep'; it takes a whole number",
        "c.RegistryService.name fits no argument; did you mean 'username'?",
        "c.RegistryService.port cannot be 0; it takes a number from 1 to 65535",
    ]
    assert [duct.catalog for duct in registry] == ["hive", "hive"]


def test_sections_of_other_packages_classes_keep_their_passwords_as_they_are() -> None:
    class RegistryStranger(Configurable):
        pass

    registry = traits(
        DuctRegistry={"ducts": {}}, RegistryStranger={"password": "theirs"}, Later={"password": "ours"}
    )
    assert type(registry.config.RegistryStranger.password) is str
    assert registry.config.Later.password == Secret("ours")


@pytest.fixture
def application(home: Path) -> Iterator[Callable[[str], Application]]:
    """Make an application with a configuration file."""

    def make(text: str) -> Application:
        (home / "app_config.py").write_text(textwrap.dedent(text), "utf-8")
        app = Application(log_level="CRITICAL")
        app.load_config_file("app_config", str(home))
        return app

    yield make
    Application.clear_instance()


def test_what_an_applications_file_says_is_told_with_that_file_and_line(
    application: Callable[[str], Application],
) -> None:
    registry = DuctRegistry(
        parent=application(
            f"""
            # c.DuctRegistry.ducts: see below
            c.RegistryService.catlog = "hive"
            c.RegistryService.password = {SENTINEL!r}
            c.DuctRegistry.ducts = {{"db": {SERVICE}, "bad": {{}}}}
            """
        )
    )
    registry.load()
    assert str(registry.origin("db")) == "~/app_config.py (line 5), c.DuctRegistry.ducts, db"
    assert told(registry) == [
        "'bad' is skipped: it has no protocol [~/app_config.py (line 5), c.DuctRegistry.ducts, bad]",
        "c.RegistryService.catlog fits no argument; did you mean 'catalog'? [~/app_config.py (line 3)]",
    ]
    assert registry["db"].password == SENTINEL


def test_passwords_are_hidden_in_the_configuration_of_the_application_too(
    application: Callable[[str], Application],
) -> None:
    text = f"c.DuctRegistry.ducts = [{{'password': {SENTINEL!r}}}]\nc.Later.password = {SENTINEL!r}"
    app = application(text)
    other = Configurable(config=copy.deepcopy(app.config))
    app.configurables = [other]  # type: ignore[attr-defined]
    assert SENTINEL in repr(app.config)
    registry = DuctRegistry(parent=app)
    for each in (app, other, registry):
        assert SENTINEL not in repr(each.config)
    registry.update_config(Config(DuctRegistry={"ducts": {"db": {**SERVICE, "password": SENTINEL}}}))
    assert SENTINEL not in repr(registry.config) + repr(vars(registry))


# The end


def test_clearing_disconnects_every_duct_the_remotes_last_and_forgets_all() -> None:
    registry = DuctRegistry({"db": SERVICE, "bastion": {"protocol": "registry_remote"}})
    ended = []
    for duct in registry:
        duct.connect()
        duct.status.observe(lambda change, name=duct.name: ended.append(name), names=["state"])
    registry.clear()
    assert (ended, registry.names, registry.problems) == (["db", "bastion"], [], [])


def test_a_duct_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    registry = DuctRegistry({"stuck": {"protocol": "registry_stuck"}, "db": SERVICE})
    ducts = list(registry)
    for duct in ducts:
        duct.connect()
    with pytest.warns(DuctWarning, match="stuck: .*it is stuck"):
        registry.clear()
    assert [duct.status.state for duct in ducts] == ["disconnected", "disconnected"]
    assert registry.names == []


def test_errors_of_the_registry_are_the_packages_own(registry: DuctRegistry) -> None:
    for attempt in (lambda: registry["x"], lambda: registry.new("", "x"), lambda: registry.lookup("x", "y")):
        with pytest.raises(DuctError):
            attempt()
