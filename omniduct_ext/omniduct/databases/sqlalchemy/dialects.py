"""What has to be known of a database to speak to it through SQLAlchemy: drivers, names, placeholders."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from omniduct.core.arguments import did_you_mean

__all__ = ["DIALECTS", "PLACEHOLDERS", "Address", "Dialect", "Driver", "near_dialects"]


@dataclass(frozen=True)
class Driver:
    """A driver: SQLAlchemy's name for it, the module that is imported, the package that pip installs.

    A dialect's only driver has no name. `timeout` is the argument with the seconds that a login may take.
    """

    name: str
    module: str
    package: str
    timeout: str = ""


@dataclass(frozen=True)
class Settings:
    """Statements that set, reset and read a setting of the session.

    ``{name}`` is its name, ``{value}`` and ``{text}`` are literals: of the value, of the name. Without
    `read` a setting cannot be put back, so it can only be one of the duct's.
    """

    write: str
    reset: str = ""
    read: str = ""


@dataclass(frozen=True)
class Dialect:
    """The facts of one kind of database.

    Parameters
    ----------
    drivers : tuple of Driver
        The first that is installed is used.
    plugin : str
        The package that teaches SQLAlchemy the dialect, if SQLAlchemy does not know it.
    sqlglot : str, optional
        The name by which sqlglot knows it.
    levels : tuple of str
        The levels of a table's name, from the outermost.
    quote : str
        What is put around a name.
    port : int, optional
        Where it listens, unless told otherwise.
    upper : bool
        Whether a name that is not quoted is one in capitals.
    transactional : bool
        Whether a transaction takes back the tables that it made.
    settings : Settings, optional
        How settings of the session are set and read.
    makes_of_queries, renames : bool
        Whether it has CREATE TABLE ... AS, and gives a table another name.
    autocommits : bool
        Whether a driver that cannot be told to commit each statement does so of itself.
    digits : int, optional
        The most of an exact number, where that is less than 38.
    tick : int
        The microseconds of the smallest part of a second.
    place : str
        The database with host and port in it, where its driver must not be given them apart.
    """

    drivers: tuple[Driver, ...] = ()
    plugin: str = ""
    sqlglot: str | None = None
    levels: tuple[str, ...] = ("schema", "table")
    quote: str = '"'
    port: int | None = None
    upper: bool = False
    transactional: bool = False
    settings: Settings | None = None
    makes_of_queries: bool = True
    renames: bool = True
    autocommits: bool = False
    digits: int | None = None
    tick: int = 1
    place: str = ""

    def driver(self) -> Driver | None:
        """The driver to use: the first that is installed, else the first."""
        installed = (each for each in self.drivers if _is_installed(each.module))
        return next(installed, self.drivers[0] if self.drivers else None)


_THREE = ("database", "schema", "table")
_MYSQL = (
    Driver("pymysql", "pymysql", "pymysql", "connect_timeout"),
    Driver("mysqldb", "MySQLdb", "mysqlclient", "connect_timeout"),
    Driver("mysqlconnector", "mysql.connector", "mysql-connector-python", "connection_timeout"),
)
_MYSQL_SETTINGS = Settings(
    "SET SESSION {name} = {value}", "SET SESSION {name} = DEFAULT", "SELECT @@SESSION.{name}"
)
_POSTGRESQL = (
    Driver("psycopg", "psycopg", "psycopg[binary]", "connect_timeout"),
    Driver("psycopg2", "psycopg2", "psycopg2-binary", "connect_timeout"),
    Driver("pg8000", "pg8000", "pg8000"),
)

DIALECTS = {
    "duckdb": Dialect(
        (Driver("", "duckdb_engine", "duckdb-engine"),),
        plugin="duckdb-engine",
        sqlglot="duckdb",
        levels=_THREE,
        transactional=True,
        autocommits=True,
    ),
    "firebird": Dialect(
        (Driver("firebird", "firebird.driver", "firebird-driver"),),
        plugin="sqlalchemy-firebird",
        levels=("table",),
        port=3050,
        upper=True,
        makes_of_queries=False,
        renames=False,
        digits=18,  # version 4 has more
        tick=100,
        # Apart, they are kept by the name of the database, for all servers that have one of that name.
        place="inet://{host}:{port}/{database}",
    ),
    "mariadb": Dialect(
        (*_MYSQL, Driver("mariadbconnector", "mariadb", "mariadb", "connect_timeout")),
        sqlglot="mysql",
        levels=("database", "table"),
        quote="`",
        port=3306,
        settings=_MYSQL_SETTINGS,
    ),
    "mssql": Dialect(
        (
            Driver("pymssql", "pymssql", "pymssql", "login_timeout"),
            Driver("pyodbc", "pyodbc", "pyodbc", "timeout"),
        ),
        sqlglot="tsql",
        levels=_THREE,
        port=1433,
        transactional=True,
        settings=Settings("SET {name} {value}"),
    ),
    "mysql": Dialect(
        _MYSQL,
        sqlglot="mysql",
        levels=("database", "table"),
        quote="`",
        port=3306,
        settings=_MYSQL_SETTINGS,
    ),
    "oracle": Dialect(
        (Driver("oracledb", "oracledb", "oracledb", "tcp_connect_timeout"),),
        sqlglot="oracle",
        port=1521,
        upper=True,
        settings=Settings(
            "ALTER SESSION SET {name} = {value}",
            read="SELECT value FROM nls_session_parameters WHERE parameter = upper({text})",
        ),
    ),
    "postgresql": Dialect(
        _POSTGRESQL,
        sqlglot="postgres",
        port=5432,
        transactional=True,
        settings=Settings("SET {name} = {value}", "RESET {name}", "SELECT current_setting({text})"),
    ),
    "snowflake": Dialect(
        (Driver("", "snowflake.sqlalchemy", "snowflake-sqlalchemy", "login_timeout"),),
        plugin="snowflake-sqlalchemy",
        sqlglot="snowflake",
        levels=_THREE,
        upper=True,
        settings=Settings("ALTER SESSION SET {name} = {value}", "ALTER SESSION UNSET {name}"),
    ),
    "sqlite": Dialect(
        (Driver("pysqlite", "sqlite3", ""),),
        sqlglot="sqlite",
        transactional=True,
        settings=Settings("PRAGMA {name} = {value}", read="PRAGMA {name}"),
    ),
    "sybase": Dialect(
        (Driver("pyodbc", "pyodbc", "pyodbc", "timeout"),),
        plugin="sqlalchemy-sybase",
        sqlglot="tsql",
        levels=_THREE,
        port=5000,
    ),
}
"""Dialects that are known here; any other that SQLAlchemy finds works too."""

PLACEHOLDERS = {
    "qmark": "?",
    # What cannot be seen is between: every other `%` of the statement is doubled before it is sent.
    "format": "%\u2060s",
    "pyformat": "%\u2060s",
    "numeric": ":{n}",
    "named": ":{n}",
    "numeric_dollar": "${n}",
}
"""How a bind parameter is written, by the paramstyle of the driver; values are given as a list."""


def near_dialects(name: str) -> str:
    """The near misses of a dialect's name; or those there are."""
    return did_you_mean(name, DIALECTS) or f"; it takes {', '.join(sorted(DIALECTS))}, and those of plug-ins"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # the package around it is not
        return False


_URL = re.compile(
    r"""(?P<dialect>\w+)(?:\+(?P<driver>\w+))?://
        (?:(?P<login>[^/]*)@)?
        (?P<host>\[[^\]/]*\]|[^/:?@]*)(?::(?P<port>\d*))?
        (?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?\Z""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Address:
    """A URL of SQLAlchemy's in its parts; what it does not have is empty.

    >>> Address.read("mysql+pymysql://ann:p%40ss@db:3307/shop?charset=utf8mb4").host
    'db'
    """

    dialect: str
    driver: str
    username: str
    password: str
    host: str
    port: str
    database: str
    query: dict[str, Any]

    @classmethod
    def read(cls, url: str) -> Address | None:
        """The parts of a URL; None if it is none."""
        match = _URL.match(url.strip())
        if match is None:
            return None
        given = {name: text or "" for name, text in match.groupdict().items()}
        username, _, password = given.pop("login").partition(":")
        query = dict(parse_qsl(given.pop("query"), keep_blank_values=True))
        given["host"] = given["host"].strip("[]")
        return cls(username=unquote(username), password=unquote(password), query=query, **given)

    def without_login(self) -> str:
        """The URL without host and login, which a duct keeps apart."""
        name = f"{self.dialect}+{self.driver}" if self.driver else self.dialect
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{name}:///{self.database}{query}"

    def __repr__(self) -> str:
        return f"<Address {self.dialect}>"  # it may hold a login
