"""The database servers of the tests: each is started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.services.firebird import Firebird
from tests.services.mariadb import MariaDB
from tests.services.postgresql import PostgreSQL
from tests.services.processes import Server


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


@pytest.fixture(scope="module")
def modules_postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="module")
def modules_mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
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


def restore(server: Server) -> None:
    """Let a server run as it did at first."""
    if server.is_running:
        server.thaw()
        if server.settings:
            server.stop()
    server.settings.clear()
    if not server.is_running:
        server.start()
