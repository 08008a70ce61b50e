"""How a database is reached through SQLAlchemy: address, driver, engine, and the connections themselves."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from omniduct.core import cleanup
from omniduct.core.sockets import Wire, connected
from omniduct.credentials import without_password
from omniduct.databases.base import DatabaseClient
from omniduct.databases.sqlalchemy import errors
from omniduct.databases.sqlalchemy.dialects import DIALECTS, PLACEHOLDERS, Address, Dialect, near_dialects
from omniduct.databases.sqlalchemy.links import Link
from omniduct.errors import DuctArgumentError, DuctConfigError, DuctDriverMissing, DuctError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

__all__ = ["SQLAlchemyConnections"]


class SQLAlchemyConnections(DatabaseClient):
    """Connections through SQLAlchemy; a part of `SQLAlchemyClient`."""

    def _init(
        self,
        dialect: str | None = None,
        driver: str | None = None,
        database: str = "",
        engine_opts: dict[str, Any] | None = None,
        url: str | None = None,
    ) -> None:
        address = self._take_url(url)
        named, _, behind = (dialect or "").partition("+")
        own = self.protocol if self.protocol in DIALECTS else None
        self._dialect = named or (address and address.dialect) or own or self._default_dialect()
        self._driver = driver or behind or (address and address.driver) or ""
        self.database = database or (address.database if address else "")
        self.engine_opts = self._take_password(dict(engine_opts or {}))
        self._query = dict(address.query) if address else {}
        self._engine: Engine | None = None
        self._link: Link | None = None
        self._take_facts(DIALECTS.get(self._dialect, Dialect()))
        self.connection_fields = (*self.connection_fields, "database", "engine_opts")

    def _take_url(self, url: str | None) -> Address | None:
        """Read a URL, and move its host and login to the duct's own fields."""
        if url is None:
            return None
        address = Address.read(url)
        if address is None:
            raise DuctArgumentError(
                f"{self.name}: url cannot be read: it is written dialect+driver://username:password@host:port/"
                "database, with %40 for an @ in the password, %2F for a /"
            )
        self._host = self._host or address.host or None
        self._port = self._port or address.port or None
        self._username = address.username or None if self._username is None else self._username
        if self._password is None and address.password:
            self.password = address.password
        self._arguments["url"] = address.without_login()  # what copies are made from
        return address

    def _take_password(self, engine_opts: dict[str, Any]) -> dict[str, Any]:
        """Move a password among the driver's arguments to the duct's own field."""
        rest, password = without_password(engine_opts.get("connect_args"))
        if password is None:
            return engine_opts
        if self._password is None:
            self.password = password
        self._arguments["engine_opts"] = {**engine_opts, "connect_args": rest}
        return dict(self._arguments["engine_opts"])

    def _default_dialect(self) -> str:
        protocol = self.PROTOCOLS[0]
        if protocol in DIALECTS:
            return protocol
        raise DuctArgumentError(
            f"{self.name}: sqlalchemy needs a dialect, as dialect='mssql', or a url, as 'mssql://host/database'"
        )

    def _take_facts(self, facts: Dialect) -> None:
        """Be of a dialect: the class constants of other protocols."""
        self._facts = facts
        vars(self).update(
            DIALECT=facts.sqlglot,
            DEFAULT_PORT=facts.port,
            NAMESPACE_NAMES=list(facts.levels),
            NAMESPACE_QUOTECHAR=facts.quote,
            SUPPORTS_SESSION_PROPERTIES=facts.settings is not None,
        )

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name for the database."""
        return self._dialect

    @property
    def driver(self) -> str:
        """SQLAlchemy's name for the driver."""
        found = self._driver or self._facts.driver()
        return found if isinstance(found, str) else found.name if found else ""

    @property
    def engine(self) -> Engine:
        """A SQLAlchemy engine for this database, with connections of its own, as `pandas.read_sql` takes it.

        It is made anew when the duct connects anew: do not keep it.
        """
        self.connect()
        assert self._engine is not None
        return self._engine

    # Life-cycle

    def _connect(self) -> None:
        self._engine = self._new_engine(self._url())
        try:
            self._link = self._open()
        except Exception as error:
            reason = errors.driver_error(error)
            if isinstance(reason, (DuctError, OSError, ImportError)):
                raise reason from None
            failure = self._refusal(reason)
            failure.__cause__ = reason
        else:
            return
        raise failure

    def _refusal(self, reason: Exception) -> DuctError:
        """What to tell the person of a connection that was refused."""
        return errors.of_connecting(self, reason)

    def _new_engine(self, url: URL) -> Engine:
        import sqlalchemy
        from sqlalchemy.pool import NullPool

        given: dict[str, Any] = {"poolclass": NullPool, **self.engine_opts}
        given["connect_args"] = {**self._connect_args(self.CONNECT_TIMEOUT), **given.get("connect_args", {})}
        _, driver = self._sqlalchemy_dialect  # which says what is missing
        cleanup.come_first()
        if self._facts.place and self._host is not None:
            _configure(driver.driver_config, str(url.database), self.CONNECT_TIMEOUT)
        try:
            return sqlalchemy.create_engine(url, **given)
        except (TypeError, sqlalchemy.exc.ArgumentError) as error:
            failure = DuctConfigError(f"{self.name}: engine_opts cannot be used: {error}")
        raise failure

    def _connect_args(self, timeout: float) -> dict[str, Any]:
        """What the driver is told, so that a login does not take for ever."""
        named = next((each.timeout for each in self._facts.drivers if each.name == self.driver), "")
        return {named: max(1, round(timeout))} if named else {}

    @functools.cached_property
    def _sqlalchemy_dialect(self) -> Any:
        """SQLAlchemy's class for the dialect and the driver, and the driver's module."""
        try:
            import sqlalchemy
        except ImportError as error:
            raise self._missing("sqlalchemy") from error
        name = f"{self._dialect}+{self.driver}" if self.driver else self._dialect
        try:
            cls = sqlalchemy.URL.create(name).get_dialect()
        except sqlalchemy.exc.NoSuchModuleError:
            failure = self._unknown()
        except ImportError as error:  # what a plug-in imports
            raise self._missing(self._package_of(error)) from error
        else:
            try:
                return cls, cls.import_dbapi()
            except ImportError as error:
                raise self._missing(self._package_of(error)) from error
        raise failure

    def _package_of(self, error: ImportError) -> str:
        """The package that brings the module that is missing."""
        name = str(error.name)
        if name.partition(".")[0] == self._facts.plugin.replace("-", "_"):
            return self._facts.plugin
        return next((d.package for d in self._facts.drivers if d.name == self.driver), "") or name

    def _missing(self, package: str) -> DuctDriverMissing:
        """What to install: our extra, if that has it."""
        protocol = self.protocol or self._dialect
        brought = ["sqlalchemy"]
        if protocol in DIALECTS:
            brought += [self._facts.plugin, self._facts.drivers[0].package]
        ours = protocol in _EXTRAS and package in brought
        wanted = f"omniduct-ext[{protocol}]" if ours else package
        return DuctDriverMissing(
            f"{self.name}: {protocol} needs the `{package}` package: pip install '{wanted}'"
        )

    def _unknown(self) -> Exception:
        """Why SQLAlchemy does not know the dialect, or not the driver."""
        if self._facts.plugin:
            return self._missing(self._facts.plugin)
        if self._dialect not in DIALECTS:
            return DuctConfigError(
                f"{self.name}: SQLAlchemy has no dialect {self._dialect!r}{near_dialects(self._dialect)}"
            )
        known = ", ".join(each.name for each in self._facts.drivers)
        return DuctConfigError(
            f"{self.name}: SQLAlchemy has no driver {self.driver!r} for {self._dialect}; it takes {known}"
        )

    def _url(self, database: str | None = None) -> URL:
        """Where to connect to; only here a password is beside the host."""
        import sqlalchemy

        host, port, wanted = self.host, self.port, self.database if database is None else database
        logs_in = host is not None or self._username is not None
        if host is not None and self._facts.place:
            at = f"[{host}]" if ":" in host else host
            wanted = self._facts.place.format(host=at, port=port, database=wanted)
            host = None
        return sqlalchemy.URL.create(
            f"{self._dialect}+{self.driver}" if self.driver else self._dialect,
            username=self.username if logs_in else None,
            password=self.password,
            host=host,
            port=port if host is not None else None,
            database=wanted or None,
            query=self._query,
        )

    def _open(self, beside: bool = False) -> Link:
        """A new connection, ready for statements."""
        assert self._engine is not None
        opened, wire = connected(self._engine.connect, self.port if self._host is not None else None)
        return self._ready(opened, wire, beside)

    def _ready(self, opened: Connection, wire: Wire, beside: bool) -> Link:
        link = Link(opened, wire, beside)
        try:
            self._to_autocommit(link)
            self._apply(self.session_properties, link)
        except BaseException:
            link.close()
            raise
        return link

    def _to_autocommit(self, link: Link) -> None:
        dialect = link.connection.dialect
        try:
            levels = dialect.get_isolation_level_values(link.dbapi)
        except NotImplementedError:
            levels = []
        link.begun = False
        link.autocommits = "AUTOCOMMIT" in levels
        if link.autocommits:
            try:
                dialect.set_isolation_level(link.dbapi, "AUTOCOMMIT")
            except AttributeError:  # the driver cannot be told
                link.is_told, link.autocommits = False, self._facts.autocommits

    def _is_connected(self) -> bool:
        link = self._link
        if link is None or link.is_cut():
            return False
        with link.inside():
            answers = bool(link.connection.dialect.do_ping(link.dbapi))
            if not link.autocommits and not link.begun:
                link.rollback()
            return answers

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        engine, self._engine = self._engine, None
        if link is not None:
            link.close()
        if engine is not None:
            engine.dispose()

    def _replace_connection(self) -> None:
        self._link = self._open()  # the former goes with the thread that is inside of it

    def _session_handle(self) -> Link | None:
        return self._link

    def _sibling_cursor(self) -> Any:
        return self._call_driver(lambda: self._open(beside=True))

    def _call_driver(self, function: Any) -> Any:
        """Call what speaks to the driver in the caller's thread; its errors are for people."""
        try:
            return function()
        except Exception as error:
            failure = self._failure(error)
        raise failure

    def _is_cut(self) -> bool:
        link = self._link
        return link is not None and link.is_cut()

    def _is_answering(self, timeout: float) -> bool:
        """Whether the service answers a login; a refusal, as of one login too many, is an answer as well."""
        assert self._engine is not None
        dialect, began = self._engine.dialect, time.monotonic()
        try:
            own = self._login(timeout)
        except Exception as error:
            in_time = time.monotonic() - began < 0.9 * timeout
            return in_time and not errors.is_lost(dialect, errors.driver_error(error))
        try:
            return bool(dialect.do_ping(own))
        finally:
            own.close()

    def _login(self, timeout: float) -> Any:
        """A connection of the driver alone, that answers within so many seconds or fails."""
        assert self._engine is not None
        dialect, further = self._engine.dialect, self.engine_opts.get("connect_args", {})
        positional, named = dialect.create_connect_args(self._engine.url)
        return dialect.connect(*positional, **{**named, **further, **self._connect_args(timeout)})

    def _location(self) -> str:
        return f"{self._dialect}:///{self.__dict__['database']}"

    @property
    def PLACEHOLDER(self) -> str:  # type: ignore[override]
        """How a bind parameter is written, which is the driver's affair."""
        return PLACEHOLDERS[self._sqlalchemy_dialect[1].paramstyle]


def _configure(driver_config: Any, place: str, timeout: float) -> None:
    """Tell Firebird's driver how long a login may take, which is no argument of its connecting."""
    known = driver_config.get_database(place) or driver_config.register_database(place)
    known.dsn.value = place
    known.timeout.value = max(1, round(timeout))


_EXTRAS = frozenset("sqlalchemy mysql mariadb sqlite mssql oracle snowflake firebird sybase".split())
