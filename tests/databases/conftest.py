"""The database servers of the tests: each is started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.services.firebird import Firebird
from tests.services.kerberos import KDC
from tests.services.mariadb import MariaDB
from tests.services.oidc import OpenID
from tests.services.postgresql import PostgreSQL
from tests.services.presto import Presto
from tests.services.processes import Server
from tests.services.shared import shared
from tests.services.trino import Trino, whole_trino


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A PostgreSQL for all tests, which no test stops, freezes or reconfigures."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """A MariaDB for all tests, which no test stops, freezes or reconfigures."""
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def firebird_server() -> Iterator[Firebird]:
    """A Firebird for all tests, which no test stops, freezes or reconfigures."""
    with Firebird() as server:
        yield server


@pytest.fixture(scope="session")
def trino_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """A Trino with all it can have, for all tests of all processes: no test stops, freezes or changes it."""
    with shared(whole_trino, "trino", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def presto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Presto]:
    """A Presto for all tests of all processes, which no test stops, freezes or reconfigures."""
    with shared(Presto, "presto", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def trino_kdc(trino_server: Trino) -> KDC:
    """Who issues the tickets that `trino_server` takes."""
    if trino_server.kdc is None:
        KDC().find_programs()  # skips the test
    assert trino_server.kdc is not None
    return trino_server.kdc


@pytest.fixture(scope="session")
def trino_issuer(trino_server: Trino) -> OpenID:
    """The OpenID provider to which `trino_server` sends those who log in."""
    assert trino_server.issuer is not None
    return trino_server.issuer


@pytest.fixture(scope="module")
def modules_postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def modules_mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="module")
def modules_trino() -> Iterator[Trino]:
    with Trino() as server:
        yield server


@pytest.fixture(scope="module")
def modules_presto() -> Iterator[Presto]:
    with Presto() as server:
        yield server


@pytest.fixture
def own_postgresql(modules_postgresql: PostgreSQL) -> Iterator[PostgreSQL]:
    """A PostgreSQL that a test may stop, freeze and reconfigure; the module's tests share its data."""
    yield modules_postgresql
    restore(modules_postgresql)


@pytest.fixture
def own_mariadb(modules_mariadb: MariaDB) -> Iterator[MariaDB]:
    """A MariaDB that a test may stop, freeze and reconfigure; the module's tests share its data."""
    yield modules_mariadb
    restore(modules_mariadb)


@pytest.fixture
def own_trino(modules_trino: Trino) -> Iterator[Trino]:
    """A Trino of plain HTTP that a test may stop, freeze and reconfigure; it takes 10 s or more to start."""
    yield modules_trino
    restore(modules_trino)


@pytest.fixture
def own_presto(modules_presto: Presto) -> Iterator[Presto]:
    """A Presto that a test may stop, freeze and reconfigure; it takes 10 s or more to start."""
    yield modules_presto
    restore(modules_presto)


def restore(server: Server) -> None:
    """Let a server run as it did at first."""
    if server.is_running:
        server.thaw()
        if server.settings:
            server.stop()
    server.settings.clear()
    if not server.is_running:
        server.start()
