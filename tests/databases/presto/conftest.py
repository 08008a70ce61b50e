"""Ducts to the coordinators of the tests, and what they log in with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases.presto.scenes import SETTINGS, Gate, Scene
from tests.databases.presto.telling import Faults
from tests.services.coordinator import Coordinator
from tests.services.presto import Presto
from tests.services.schemas import own_schema
from tests.services.trino import Trino

from omniduct.databases.presto import PrestoClient, TrinoClient, heartbeat


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine says of certificates and proxies is of no concern, unless a test says it."""
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def encrypted_key(trino_server: Trino, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of carol, with the passphrase "open sesame"."""
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(trino_server.key.read_bytes(), None)
    cipher = form.BestAvailableEncryption(b"open sesame")
    file = tmp_path_factory.mktemp("carol") / "encrypted.key"
    file.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, cipher))
    return file


@pytest.fixture
def made() -> Iterator[list[TrinoClient]]:
    """The ducts of a test, which are disconnected in the end."""
    ducts: list[TrinoClient] = []
    yield ducts
    for duct in ducts:
        duct.disconnect()


@pytest.fixture
def trino(trino_server: Trino, made: list[TrinoClient]) -> Any:
    """Make a duct to the server with TLS, and no login but what is given."""

    def make(**login: Any) -> TrinoClient:
        place = {"host": "localhost", "port": trino_server.https_port, "verify": str(trino_server.ca)}
        names = {"catalog": "tpch", "schema": "tiny", "progress": False}
        made.append(TrinoClient(name="tri", **{**place, **names, "server_protocol": "https", **login}))
        return made[-1]

    return make


@pytest.fixture(params=["trino", "presto"])
def duct(request: pytest.FixtureRequest) -> Iterator[PrestoClient]:
    """A duct to the memory of either server, with a schema of its own."""
    with own_schema(request.getfixturevalue(f"{request.param}_server"), "memory") as duct:
        yield duct


@pytest.fixture
def memory(trino_server: Trino) -> Iterator[PrestoClient]:
    """A duct to Trino's memory, where nothing is replaced at once, and no rows are deleted one by one."""
    with own_schema(trino_server, "memory") as duct:
        yield duct


@pytest.fixture
def lake(trino_server: Trino) -> Iterator[PrestoClient]:
    """A duct to Trino, with a schema in each catalog of files."""
    with own_schema(trino_server, "iceberg", "hive") as duct:
        yield duct


@pytest.fixture(scope="session", params=[Trino, Presto], ids=["trino", "presto"])
def coordinator(request: pytest.FixtureRequest) -> Iterator[Coordinator]:
    """A server of this process alone, set up as `scenes` says; who stops it starts it again."""
    server: Coordinator = request.param(**SETTINGS)
    with server:
        yield server


@pytest.fixture
def scene(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A server that is put through something, after which nothing may be left."""
    # In this way the thread that does it ends soon after the last.
    monkeypatch.setattr(heartbeat, "EVERY", 1.0)
    with Gate(coordinator.host, coordinator.port) as proxy:
        scene = Scene(coordinator, proxy)
        yield scene
        assert scene.left() == "nothing"


@pytest.fixture(scope="module")
def table_of_faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """The table that a module names as TABLE; written once all of its tests have run."""
    found = Faults(request.module.TABLE)
    yield found
    found.write()


@pytest.fixture
def note(scene: Scene, table_of_faults: Faults) -> Callable[..., None]:
    """Add a row to the module's table of faults."""
    return functools.partial(table_of_faults.note, scene)
