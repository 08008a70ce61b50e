"""Servers that benchmarks are measured against, and how each side reaches them.

The servers are those of the tests, started once by the process that collects the figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "DRIVERS",
    "ROWS",
    "Read",
    "bastion",
    "configure_home",
    "for_tests",
    "frame",
    "given",
    "jupysql",
    "mariadb",
    "old",
    "ours",
    "postgresql",
    "psycopg_connection",
    "pymysql_connection",
    "rows_dropped",
    "ssh",
    "trino",
    "trino_connection",
    "trino_engine",
    "url",
]

ROWS = 1_000_000
DRIVERS = {"postgresql": "psycopg2", "mysql": "pymysql"}
"""What SQLAlchemy is told to use."""
_OLD = {"trino": "presto"}  # the names that omniduct 1.3 has for protocols

# The first five columns of all tables.
_POSTGRESQL = f"""
    i AS id, i / 7.0::double precision AS distance, ('driver ' || i % 1000)::varchar AS driver,
    DATE '2020-01-01' + (i % 2000)::integer AS day,
    TIMESTAMP '2020-01-01' + i * INTERVAL '1.000003 s' AS began, {{sixth}}
    FROM generate_series(0::bigint, {ROWS - 1}) AS t(i)
"""
_MARIADB = f"""
    seq AS id, seq / 7e0 AS distance, concat('driver ', seq % 1000) AS driver,
    DATE '2020-01-01' + INTERVAL seq % 2000 DAY AS day,
    TIMESTAMP '2020-01-01 00:00:00' + INTERVAL seq * 1000003 MICROSECOND AS began,
    cast(seq % 100000 / 100 AS decimal(12, 2)) AS fare FROM seq_0_to_{ROWS - 1}
"""
_TRINO = f"""
    i AS id, i / 7e0 AS distance, 'driver ' || cast(i % 1000 AS varchar) AS driver,
    date_add('day', i % 2000, DATE '2020-01-01') AS day,
    TIMESTAMP '2020-01-01 00:00:00.000' + i * INTERVAL '1.003' SECOND AS began,
    cast(cast(i % 100000 AS decimal(12, 2)) / 100 AS decimal(12, 2)) AS fare
    FROM (SELECT 1000 * thousands + ones AS i FROM
        UNNEST(sequence(0, {ROWS // 1000 - 1})) AS t(thousands), UNNEST(sequence(0, 999)) AS u(ones))
"""
Read = Callable[[str], Any]
"""What takes a statement and gives a frame."""

_GIVEN, _GIVEN_SSH = "OMNIDUCT_BENCHMARK_SERVER", "OMNIDUCT_BENCHMARK_SSH"


# The process that collects


@contextlib.contextmanager
def postgresql() -> Iterator[Mapping[str, str]]:
    """Start a PostgreSQL with the tables `trips`, which ends with a decimal, and `counts`, with a bigint."""
    with _server(_postgresql) as server:
        _fill(
            server,
            "CREATE TABLE trips AS SELECT"
            + _POSTGRESQL.format(sixth="(i % 100000 / 100.0)::decimal(12, 2) AS fare"),
            "CREATE TABLE counts AS SELECT" + _POSTGRESQL.format(sixth="i % 100000 AS passengers"),
            "VACUUM ANALYZE",  # so that the first to read has not more to do than the others
        )
        yield _variables("postgresql", server)


@contextlib.contextmanager
def mariadb() -> Iterator[Mapping[str, str]]:
    """Start a MariaDB with the table `trips`."""
    with _server(_mariadb) as server:
        _fill(
            server,
            "CREATE TABLE trips (id bigint NOT NULL, distance double, driver varchar(20), day date, "
            "began datetime(6), fare decimal(12, 2)) AS SELECT" + _MARIADB,
            "ANALYZE TABLE trips",
        )
        yield _variables("mysql", server)


@contextlib.contextmanager
def trino() -> Iterator[Mapping[str, str]]:
    """Start a Trino, which may spool results, with the table `trips` in memory."""
    with _server(_trino) as server:
        _fill(server, "CREATE TABLE trips AS SELECT" + _TRINO)
        yield _variables("trino", server)


@contextlib.contextmanager
def ssh() -> Iterator[Mapping[str, str]]:
    """Start an SSH server, with a client's configuration that knows it as `far`."""
    with for_tests(), contextlib.ExitStack() as stack:
        import pytest
        from tests.services.openssh import Files
        from tests.services.sshd import SSHD

        machine = stack.enter_context(SSHD(kinds=["ed25519"]))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        files = Files(Path(stack.enter_context(tempfile.TemporaryDirectory())), patch)
        place = f" HostName {machine.host}\n Port {machine.port}\n User {machine.user}\n"
        files.configure(f"Host far\n{place} IdentityFile {machine.key}\n")
        files.known_hosts.write_text(machine.known_hosts())
        at = {
            "host": machine.host,
            "port": machine.port,
            "username": machine.user,
            "key": str(machine.key),
            "known_hosts": str(files.known_hosts),
            "config": str(files.config),
        }
        yield {_GIVEN_SSH: json.dumps(at), "PATH": os.environ["PATH"]}


def _postgresql() -> Any:
    from tests.services.postgresql import PostgreSQL

    return PostgreSQL()


def _mariadb() -> Any:
    from tests.services.mariadb import MariaDB

    return MariaDB()


def _trino() -> Any:
    from tests.services.moto import Moto
    from tests.services.trino import Trino

    class Lasting(Trino):
        def java_options(self) -> list[str]:
            return [*super().java_options(), "-XX:TieredStopAtLevel=4"]  # as Java is without that option

    # The header's name is for omniduct 1.3, which speaks to Presto alone.
    return Lasting(storage=Moto(), **{"protocol.v1.alternate-header-name": "Presto"})


@contextlib.contextmanager
def for_tests() -> Iterator[None]:
    """Use what the tests use; where that cannot be had, this is not measured."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    try:
        import pytest
    except ImportError as error:
        raise harness.Skipped(f"the tests' servers need {error.name}") from error
    try:
        yield
    except ImportError as error:
        raise harness.Skipped(f"the tests' servers need {error.name}") from error
    except pytest.skip.Exception as missing:
        raise harness.Skipped(str(missing)) from missing


@contextlib.contextmanager
def _server(make: Callable[[], Any]) -> Iterator[Any]:
    with for_tests():
        server = make()
        server.start()
    with contextlib.closing(server):
        yield server


def _fill(server: Any, *statements: str) -> None:
    print(f"filling {server.PROTOCOL} with {ROWS:,} rows", flush=True)
    for statement in statements:
        server.ask(statement, server.user, server.password, server.database)


def _variables(protocol: str, server: Any) -> dict[str, str]:
    return {_GIVEN: json.dumps({"protocol": protocol, **server.login})}


# The sides


def given() -> dict[str, Any]:
    """Where the server is, by the names that a duct has for it."""
    found: dict[str, Any] = json.loads(os.environ[_GIVEN])
    return found


def bastion() -> dict[str, Any]:
    """Where the SSH server is, with a key that logs in, and the files that know it."""
    found: dict[str, Any] = json.loads(os.environ[_GIVEN_SSH])
    return found


def configure_home() -> None:
    """Write the configuration of the SSH server's client where others than OpenSSH's program look."""
    folder = Path.home() / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / "config").write_text(Path(bastion()["config"]).read_text())


def url(driver: str = "") -> str:
    """Where the server is, as SQLAlchemy has it; without a driver, as others have."""
    at = given()
    scheme = f"{at['protocol']}+{driver}" if driver else at["protocol"]
    login = f"{at['username']}:{at['password']}" if "password" in at else at["username"]
    database = at.get("database") or f"{at['catalog']}/{at['schema']}"
    return f"{scheme}://{login}@{at['host']}:{at['port']}/{database}"


def psycopg_connection() -> Any:
    """Connect by psycopg."""
    import psycopg

    return psycopg.connect(url(), autocommit=True)


def pymysql_connection() -> Any:
    """Connect by pymysql."""
    import pymysql

    at = given()
    return pymysql.connect(
        host=at["host"],
        port=at["port"],
        user=at["username"],
        password=at["password"],
        database=at["database"],
        autocommit=True,
    )


def trino_connection(spooled: bool = False) -> Any:
    """Connect by the trino client; unless it is told, it has results spooled."""
    import trino.dbapi

    at = given()
    del at["protocol"]
    return trino.dbapi.connect(user=at.pop("username"), **at, **({} if spooled else {"encoding": None}))


def trino_engine(spooled: bool = False) -> Any:
    """Make an engine of SQLAlchemy on the trino client."""
    import sqlalchemy

    return sqlalchemy.create_engine(url(), connect_args={} if spooled else {"encoding": None})


def frame(rows: int) -> pd.DataFrame:
    """Make rows to write."""
    import numpy as np
    import pandas as pd

    number = np.arange(rows)
    return pd.DataFrame(
        {
            "id": number,
            "distance": number / 7,
            "driver": [f"driver {each % 1000}" for each in range(rows)],
            "day": (np.datetime64("2020-01-01", "D") + number % 2000).astype("datetime64[s]"),
            "began": np.datetime64("2020-01-01", "us") + number * 1000003,
            "passengers": number % 100_000,
        }
    )


def rows_dropped(table: str) -> int:
    """Count the rows of a table in PostgreSQL or Trino and drop it."""
    with contextlib.closing(_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT count(*) FROM {table}")
        rows = int(cursor.fetchone()[0])
        cursor.execute(f"DROP TABLE {table}")
        connection.commit()
    return rows


def _connection() -> Any:
    """Connect by the driver that is here."""
    import importlib.util

    if given()["protocol"] == "trino":
        return trino_connection()
    name = "psycopg" if importlib.util.find_spec("psycopg") else "psycopg2"
    return importlib.import_module(name).connect(url())


def ours(**settings: object) -> Any:
    """Our duct, in a shell."""
    return harness.shell_with_db(**{**given(), **settings}).user_ns["db"]


def jupysql(engine: object = None, **settings: object) -> InteractiveShell:
    """A shell with jupysql, connected by SQLAlchemy: by this engine, or by one that it makes."""
    ip = harness.shell()
    harness.load_peer(ip, **settings)
    ip.user_ns["engine"] = engine
    ip.run_line_magic("sql", "engine" if engine else url(DRIVERS.get(given()["protocol"], "")))
    return ip


def old() -> Any:
    """Make a duct of omniduct 1.3; on SQLAlchemy, whose own choice of a driver may not be installed."""
    from omniduct import DuctRegistry

    at = given()
    protocol = at.pop("protocol")
    if protocol in DRIVERS:
        at["driver"] = DRIVERS[protocol]
    return DuctRegistry().new("db", _OLD.get(protocol, protocol), register_magics=False, **at)
