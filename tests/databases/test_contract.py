"""The contract of `omniduct.testing`, on every database that there is here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services import ducts, facts
from tests.services.processes import Server

from omniduct.databases.base import DatabaseClient
from omniduct.testing import DatabaseContract, types

README = Path(__file__).parents[2] / "README.md"


class Documented(DatabaseContract):
    """The contract; and the README's table of types, which `docs/make_types.py` makes."""

    def test_the_readme_says_what_each_type_becomes(self, duct: DatabaseClient) -> None:
        said = types.read(README.read_text("utf-8"))
        assert said[self.facts.service] == types.measured(duct, self.facts)


class TestDuckDB(Documented):
    facts = facts.DUCKDB

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls) -> Iterator[DatabaseClient]:
        with ducts.duckdb() as duct:
            yield duct


class TestSQLite(Documented):
    facts = facts.SQLITE

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseClient]:
        with ducts.sqlite(str(tmp_path_factory.mktemp("sqlite") / "contract.db")) as duct:
            yield duct


class TestPostgreSQL(Documented):
    facts = facts.POSTGRESQL

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, postgresql_server: Server) -> Iterator[DatabaseClient]:
        with ducts.postgresql(postgresql_server) as duct:
            yield duct


class TestFirebird(DatabaseContract):
    facts = facts.FIREBIRD

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, firebird_server: Server) -> Iterator[DatabaseClient]:
        with ducts.firebird(firebird_server) as duct:
            yield duct


class TestMariaDB(Documented):
    facts = facts.MARIADB

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, mariadb_server: Server) -> Iterator[DatabaseClient]:
        with ducts.mariadb(mariadb_server) as duct:
            yield duct
