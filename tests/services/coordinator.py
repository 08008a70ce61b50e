"""What the throwaway Trino and Presto have in common: the Java, the settings, the statements over HTTP."""

from __future__ import annotations

import json
import signal
import urllib.request
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import jars
from tests.services.processes import Server

SOURCE = "omniduct-tests"
JAVA = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # it lives too short for what the second compiler gains
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # which it would leave behind when it is killed
]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class QueryFailed(Exception):
    """What a server says of a statement."""


@dataclass(frozen=True)
class Query:
    """What a server tells of a query that runs or ran.

    Attributes
    ----------
    error_name : str
        Empty if it has not failed.
    """

    query_id: str
    state: str
    error_name: str
    user: str
    source: str
    text: str


class Coordinator(Server):
    """A server of one node, which is asked over HTTP by anybody, without a password.

    Its tables are in catalogs; `shop` is a schema of the catalog `memory`, and lost at each stop.
    """

    HEADERS: str  # what the names of its headers begin with
    JAR: str  # its name in `jars`
    MAIN: str  # the class that runs it
    ALIVE = "SELECT count(*) FROM tpch.tiny.region"  # for this it needs a worker
    RUNNING = """
        SELECT query FROM system.runtime.queries
        WHERE state NOT IN ('FINISHED', 'FAILED') AND query NOT LIKE '%system.runtime.queries%'
    """
    USERS = """
        SELECT "user" FROM system.runtime.queries
        WHERE state NOT IN ('FINISHED', 'FAILED') AND query NOT LIKE '%system.runtime.queries%'
    """
    STOP = signal.SIGTERM
    END = signal.SIGKILL  # asked to quit it would print its threads
    PATIENCE = 120.0
    PAUSE = 0.1
    UNPRIVILEGED = False  # it runs as root, who alone may read the jars in root's cache
    HEAP = "2g"

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        self.database = "memory.shop"

    @property
    def login(self) -> dict[str, Any]:
        catalog, schema = self.database.split(".")
        return {
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "catalog": catalog,
            "schema": schema,
        }

    def find_programs(self) -> None:
        self._java = jars.java()
        self._jars = jars.home(self.JAR)

    def probe(self) -> None:
        # Asked for more while it starts, it would count queries that failed.
        if self._get(f"{self.url}/v1/info")["starting"]:
            raise ConnectionError("it is starting")
        super().probe()

    def make_data(self) -> None:
        (self.home / "etc" / "catalog").mkdir(parents=True)
        (self.home / "data").mkdir()

    def make_users(self) -> None:
        """Anybody is a user."""

    def start(self) -> None:
        super().start()
        self.ask(f"CREATE SCHEMA IF NOT EXISTS {self.database}", self.ADMIN)

    def command(self) -> list[str]:
        self._configure()
        options = {
            "config": "etc/config.properties",
            "log.levels-file": "etc/log.properties",
            **self.options(),
        }
        return [
            *(self._java, f"-Xmx{self.HEAP}", *JAVA, f"-Djava.io.tmpdir={self.home}", *self.java_options()),
            *(f"-D{name}={value}" for name, value in options.items()),
            *("-cp", f"{self._jars / 'lib'}/*", self.MAIN),
        ]

    @abstractmethod
    def java_options(self) -> list[str]:
        """The options of Java beside the usual ones."""

    @abstractmethod
    def options(self) -> dict[str, str]:
        """The options of the server that are no settings."""

    @abstractmethod
    def configuration(self) -> dict[str, str]:
        """Its usual settings."""

    @abstractmethod
    def catalogs(self) -> dict[str, dict[str, str]]:
        """The settings of its catalogs."""

    def write(self, name: str, settings: Mapping[str, str]) -> Path:
        """Write a file of settings; where it is."""
        file = self.home / "etc" / f"{name}.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return file

    def _configure(self) -> None:
        self.write("config", {**self.configuration(), **self.settings})
        self.write("log", {"io.trino": "WARN", "com.facebook.presto": "WARN", "Bootstrap": "WARN"})
        for name, settings in self.catalogs().items():
            self.write(f"catalog/{name}", settings)

    def ask(self, sql: str, user: str, password: str = "", database: str = "") -> list[tuple[Any, ...]]:
        """Run one statement, which is all that it takes at a time; the rows as they are in JSON."""
        catalog, _, schema = database.partition(".")
        headers = {"User": user, "Source": SOURCE, "Catalog": catalog, "Schema": schema}
        page = self._get(f"{self.url}/v1/statement", headers, sql)
        rows = list(map(tuple, page.get("data", ())))
        while "nextUri" in page:
            page = self._get(page["nextUri"], headers)
            rows += map(tuple, page.get("data", ()))
        if "error" in page:
            raise QueryFailed(f"{page['error']['errorName']}: {page['error']['message']}")
        return rows

    def queries(self, marker: str) -> list[Query]:
        """The queries with that text in them that run or ran, the oldest first."""
        listed = self._get(f"{self.url}/v1/query", {"User": self.ADMIN})
        found = [
            Query(
                query_id=each["queryId"],
                state=each["state"],
                error_name=each.get("errorCode", {}).get("name", ""),
                user=each["session"]["user"],
                source=each["session"].get("source", ""),
                text=each["query"],
            )
            for each in listed
            if marker in each["query"]
        ]
        return sorted(found, key=lambda query: query.query_id)

    @property
    def url(self) -> str:
        """Where it is, without TLS."""
        return f"http://{self.host}:{self.port}"

    def _get(self, url: str, headers: Mapping[str, str] = {}, body: str | None = None) -> Any:
        own = {f"{self.HEADERS}-{name}": value for name, value in headers.items() if value}
        request = urllib.request.Request(url, None if body is None else body.encode(), own)
        with DIRECT.open(request, timeout=60) as answer:
            return json.load(answer)
