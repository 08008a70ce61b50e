"""Ducts to the databases of the contract, which are disconnected in the end; and impatient ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tests.services.processes import Server

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient
    from omniduct.duct import Duct

AnyDuct = TypeVar("AnyDuct", bound="Duct")

NAME = "contract"


def impatient(duct: AnyDuct) -> AnyDuct:
    """Have a duct connect, check and wait for an answer for about a second."""
    duct.CONNECT_TIMEOUT = 2.0  # type: ignore[misc]
    duct.CHECK_TIMEOUT = 0.5  # type: ignore[misc]
    duct.PROBE_AFTER_IDLE = 0  # type: ignore[misc]
    return duct


@contextlib.contextmanager
def duckdb() -> Iterator[DatabaseClient]:
    """A database in memory, in UTC."""
    from omniduct.databases.duckdb import DuckDBClient

    duct = DuckDBClient(name=NAME, session_properties={"TimeZone": "UTC"})
    yield duct
    duct.drop_database()


@contextlib.contextmanager
def sqlite(database: str = "") -> Iterator[DatabaseClient]:
    """A database in a file, or in memory."""
    from omniduct.databases.sqlalchemy.sqlite import SQLiteClient

    duct = SQLiteClient(name=NAME, database=database)
    yield duct
    duct.disconnect()


@contextlib.contextmanager
def postgresql(server: Server) -> Iterator[DatabaseClient]:
    """A database with an enum in it."""
    from omniduct.databases.postgresql import PostgreSQLClient

    with _served(PostgreSQLClient, server) as duct:
        duct.execute("CREATE TYPE contract_mood AS ENUM ('sad', 'so so')")
        yield duct
        duct.execute("DROP TYPE contract_mood")


@contextlib.contextmanager
def mariadb(server: Server) -> Iterator[DatabaseClient]:
    """A database."""
    from omniduct.databases.sqlalchemy.mysql import MySQLClient

    with _served(MySQLClient, server) as duct:
        yield duct


@contextlib.contextmanager
def firebird(server: Server) -> Iterator[DatabaseClient]:
    """A database."""
    from omniduct.databases.sqlalchemy import SQLAlchemyClient

    with _served(SQLAlchemyClient, server, protocol="firebird") as duct:
        yield duct


@contextlib.contextmanager
def trino(server: Server) -> Iterator[DatabaseClient]:
    """A schema, in UTC."""
    from omniduct.databases.presto import TrinoClient

    with _served(TrinoClient, server, time_zone="UTC") as duct:
        yield duct


@contextlib.contextmanager
def presto(server: Server) -> Iterator[DatabaseClient]:
    """A schema, in UTC."""
    from omniduct.databases.presto import PrestoClient

    with _served(PrestoClient, server, time_zone="UTC") as duct:
        yield duct


@contextlib.contextmanager
def _served(client: Any, server: Server, **arguments: str) -> Iterator[DatabaseClient]:
    duct = client(
        name=NAME,
        **server.login,
        **arguments,
    )
    yield duct
    duct.disconnect()
