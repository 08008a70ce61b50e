"""A coordinator that is put through something: ducts to it, what it says of their queries, what is left."""

from __future__ import annotations

import datetime
import json
import time
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

from tests.services.coordinator import DIRECT, Coordinator
from tests.services.http_proxy import HTTPProxy, Request, Rule
from tests.services.interrupts import NewThreads, wait_until

from omniduct import Duct
from omniduct.databases.presto import PrestoClient

SETTINGS = {
    "query.client.timeout": "5s",
    "query.max-concurrent-queries": "4",
    # So that a query waits for its reader soon, and computes nothing meanwhile.
    "exchange.max-buffer-size": "1MB",
    "sink.max-buffer-size": "1MB",
}
ABANDONED_AFTER = 5.0  # seconds, as above
AT_A_TIME = 4

# Runs for minutes, and on one core where task_concurrency is 1.
SLOW = (
    "SELECT count(*) FROM UNNEST(sequence(1, 10000)) a (x), UNNEST(sequence(1, 10000)) b (y), "
    "UNNEST(sequence(1, 10000)) c (z) WHERE x + y + z < 0"
)
LONG = "SELECT * FROM tpch.sf1.lineitem"  # 900 MB
ROWS = 15_000
# 30 MB: so many rows, numbered from 0.
SOME = (
    "SELECT 1000 * a.x + b.y AS number, rpad(CAST(b.y AS varchar), 2000, 'x') AS padding "
    f"FROM UNNEST(sequence(0, {ROWS // 1000 - 1})) a (x) CROSS JOIN UNNEST(sequence(0, 999)) b (y)"
)

_OVER = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class Seen:
    """What a coordinator says of a query.

    Attributes
    ----------
    error : str
        Empty if it has not failed.
    created, ended : float
        Seconds since the epoch, by the server's clock, which is this machine's.
    """

    state: str
    error: str
    created: float
    ended: float

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in _OVER

    def __str__(self) -> str:
        return "/".join(filter(None, [self.state, self.error]))


class Gate(HTTPProxy):
    """A proxy that also knows what has come and is not answered yet.

    Attributes
    ----------
    came : list of (str, str)
        The methods and paths of all requests, in the order in which they came.
    known : float
        Since when the latest statement's id may be known, in seconds since the epoch.
    """

    known = 0.0

    def __init__(self, target_host: str, target_port: int) -> None:
        self.came: list[tuple[str, str]] = []
        super().__init__(target_host, target_port)

    def __enter__(self) -> Gate:
        return self

    def rule(self, method: str, path: str) -> Rule | None:
        self.came.append((method, path))
        return super().rule(method, path)

    def saw(self, request: Request) -> None:
        if request.method == "POST":
            self.known = time.time()
        super().saw(request)

    def clear(self) -> None:
        super().clear()
        self.came.clear()


class Scene:
    """A coordinator, a proxy before it, ducts that lead there, and what is left of them.

    Attributes
    ----------
    mark : str
        Stands in the statements that `marked` gives, to find them on the server.
    threads : NewThreads
        The threads that are left.
    """

    def __init__(self, server: Coordinator, proxy: Gate) -> None:
        self.server, self.proxy = server, proxy
        self.renew()
        self._ducts: list[PrestoClient] = []
        self.threads = NewThreads()

    def renew(self) -> None:
        """Begin anew: with another mark, and a proxy that just passes everything on."""
        self.mark = uuid.uuid4().hex
        self.proxy.clear()

    def duct(self, **arguments: Any) -> PrestoClient:
        """A duct to the server."""
        own = {"name": "db", "session_properties": {"task_concurrency": 1}, **self.server.login}
        duct = Duct.for_protocol(self.server.PROTOCOL)(**{**own, **arguments})
        assert isinstance(duct, PrestoClient)
        self._ducts.append(duct)
        return duct

    def through_proxy(self, **arguments: Any) -> PrestoClient:
        """A duct that leads there through the proxy."""
        return self.duct(port=self.proxy.port, **arguments)

    def connected(self) -> PrestoClient:
        """A duct through the proxy, which is connected."""
        duct = self.through_proxy()
        assert answers(duct)
        self.renew()
        return duct

    def marked(self, statement: str) -> str:
        """A statement that can be found on the server."""
        return f"/* {self.mark} */ {statement}"

    def seen(self) -> list[Seen]:
        """What the server says of the queries with the mark."""
        return _listed(self.server, self.mark)

    def state(self) -> str:
        """The state of the query with the mark; nothing while there is none."""
        return "".join(seen.state for seen in self.seen())

    def outcome(self) -> list[Seen]:
        """What the server says of the queries with the mark, once they have ended."""
        wait_until(lambda: all(seen.is_over for seen in self.seen()))
        return self.seen()

    def asked_for(self, path: str, method: str = "GET") -> int:
        """How many such requests have come to the proxy."""
        return sum(came == method and path in at for came, at in list(self.proxy.came))

    def left(self) -> str:
        """What is left, once all ducts are disconnected, in words."""
        for duct in self._ducts:
            duct.disconnect()
        deadline = time.monotonic() + 5
        while (found := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return ", ".join(found) or "nothing"

    def _left(self) -> list[str]:
        running = [] if not self.server.is_running else _listed(self.server, "")
        return [*self.threads.names(), *(f"a query: {seen}" for seen in running if not seen.is_over)]


def answers(duct: PrestoClient) -> bool:
    """Whether the next statement works."""
    return bool(duct.query("SELECT 42 AS x", format="tuple") == [(42,)])


def _listed(server: Coordinator, mark: str) -> list[Seen]:
    headers = {f"{server.HEADERS}-User": server.ADMIN}
    request = urllib.request.Request(f"{server.url}/v1/query", headers=headers)
    with DIRECT.open(request, timeout=60) as answer:
        return [_seen(each) for each in json.load(answer) if mark in each["query"]]


def _seen(told: dict[str, Any]) -> Seen:
    times = told["queryStats"]
    error = told.get("errorCode", {}).get("name", "")
    return Seen(told["state"], error, _moment(times["createTime"]), _moment(times.get("endTime")))


def _moment(told: str | None) -> float:
    if told is None:
        return 0.0
    return datetime.datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp()
