"""Results that a server puts into a storage: how they are fetched, what is told where they cannot be.

The Trino is real, and so is its storage, which a proxy stands before; it sends us there by a redirect, as
with `protocol.spooling.retrieval-mode` COORDINATOR_STORAGE_REDIRECT. (Elsewhere it names the storage itself.)
What neither does is pretended.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.databases.presto.telling import timed
from tests.services.http_proxy import HTTPProxy
from tests.services.interrupts import Caller, interrupted, quickest, wait_until
from tests.services.moto import Moto
from tests.services.pretending import (
    ROWS,
    SILENCE,
    Answer,
    Asked,
    Pretender,
    duct_to,
    spooled,
    storage,
)
from tests.services.tcp import unused_port
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctConnectionError, DuctError, DuctStatementError

SIGNED = "?X-Amz-Signature=s3ntinel"
SEGMENT = "/spool/"
EXACT = 60_175, 1_802_759_573
FOR_EVER = float("inf")


class Behind(Moto):
    """A storage that is reached by a proxy."""

    proxy: HTTPProxy | None = None

    @property
    def url(self) -> str:
        if self.proxy is None:
            self.proxy = HTTPProxy(self.host, self.port)
        return f"http://{self.proxy.host}:{self.proxy.port}"

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.close()
        super().close()


@pytest.fixture(scope="module")
def spooling() -> Iterator[Trino]:
    """A Trino that spools, and sends on to the storage who wants a segment."""
    settings: Any = {"protocol.spooling.retrieval-mode": "COORDINATOR_STORAGE_REDIRECT"}
    with Trino(storage=Behind(), **settings) as server:
        yield server


@pytest.fixture
def way(spooling: Trino) -> HTTPProxy:
    """What stands before the storage."""
    assert isinstance(spooling.storage, Behind) and spooling.storage.proxy is not None
    spooling.storage.proxy.clear()
    return spooling.storage.proxy


@pytest.fixture
def duct(spooling: Trino) -> Iterator[PrestoClient]:
    own = {"progress": False, "http_headers": {"X-Gateway-Key": "s3ntinel"}}
    duct = Duct.for_protocol("trino")(name="db", **spooling.login, **own)
    assert isinstance(duct, PrestoClient)
    yield duct
    duct.disconnect()


def reads(duct: PrestoClient) -> tuple[int, int]:
    found = duct.query("SELECT * FROM tpch.tiny.lineitem", format="arrow")
    return found.num_rows, sum(found.column("orderkey").to_pylist())


def fetched(way: HTTPProxy) -> list[Any]:
    """The requests for segments that came to the storage."""
    return [each for each in list(way.requests) if each.method == "GET" and SEGMENT in each.path]


# A real server and storage


def test_segments_come_by_a_redirect_and_the_storage_learns_nothing(
    duct: PrestoClient, way: HTTPProxy
) -> None:
    assert reads(duct) == EXACT
    assert fetched(way)
    for each in fetched(way):
        sent = {name.lower() for name in each.headers}
        assert not [name for name in sent if name.startswith(("x-trino", "x-gateway", "authorization"))]


def test_segments_are_let_go(spooling: Trino) -> None:
    with HTTPProxy(spooling.host, spooling.port) as before:
        duct = Duct.for_protocol("trino")(name="db", **{**spooling.login, "port": before.port})
        assert isinstance(duct, PrestoClient)
        assert reads(duct) == EXACT
        segments = [each for each in before.requests if "/v1/spooled/download/" in each.path]

        def acks() -> list[Any]:
            return [each for each in list(before.requests) if "/v1/spooled/ack/" in each.path]

        wait_until(lambda: len(acks()) == len(segments) > 0)
        assert {each.status for each in acks()} == {200}
        duct.disconnect()


def test_a_storage_that_is_busy_or_breaks_off_is_asked_again(duct: PrestoClient, way: HTTPProxy) -> None:
    for status in (500, 503, 429):
        way.answer(status, method="GET", path=SEGMENT)
    way.cut(100, times=2, method="GET", path=SEGMENT)
    assert reads(duct) == EXACT
    assert [each.status for each in fetched(way)][:3] == [500, 503, 429]


@pytest.mark.parametrize(("status", "phrase"), [(403, "403 Forbidden"), (404, "404 Not Found")])
def test_a_storage_that_refuses_is_one_sentence(
    status: int, phrase: str, duct: PrestoClient, way: HTTPProxy
) -> None:
    way.answer(status, times=FOR_EVER, method="GET", path=SEGMENT)
    with pytest.raises(DuctStatementError) as raised:
        reads(duct)
    assert str(raised.value) == (
        f"db: the storage at http://{way.host}:{way.port} does not give a part of the result ({phrase}): run "
        "it again, or set spooling: false"
    )
    way.clear()
    assert reads(duct) == EXACT


def test_a_storage_that_is_silent_is_an_error_in_time(duct: PrestoClient, way: HTTPProxy) -> None:
    duct.answer_timeout = 1.0
    way.delay(20.0, times=FOR_EVER, method="GET", path=SEGMENT)
    with timed() as seconds, pytest.raises(DuctConnectionError) as raised:
        reads(duct)
    assert seconds[0] < 4
    assert_unreachable(raised.value, f"http://{way.host}:{way.port}", "it does not answer")


def test_an_interrupt_ends_the_wait_for_a_segment(duct: PrestoClient, way: HTTPProxy) -> None:
    duct.connect()
    way.delay(20.0, times=FOR_EVER, method="GET", path=SEGMENT)
    begun = []

    def waits() -> bool:
        query = duct._link.query if duct._link is not None else None
        if query is not None and query.columns is not None:
            begun.append(time.monotonic())
        return bool(begun)

    assert interrupted(lambda: reads(duct), 0.5, when=waits) == "db: the statement was cancelled"
    assert time.monotonic() - begun[0] < 2
    way.clear()


def test_a_stream_is_closed_while_a_segment_is_waited_for(duct: PrestoClient, way: HTTPProxy) -> None:
    rows: Any = duct.stream("SELECT * FROM tpch.sf1.lineitem", format="arrow", batch=1000)
    next(rows)
    way.delay(20.0, times=FOR_EVER, method="GET", path=SEGMENT)
    time.sleep(0.5)
    closing = Caller(rows.close)
    closing.ended(3)
    way.clear()


def assert_unreachable(error: DuctError, at: str, reason: str) -> None:
    assert str(error) == (
        f"db: the storage at {at} that the server refers to cannot be reached from here ({reason}): set "
        "spooling: false, or open the way to it"
    )
    chain: BaseException | None = error
    while chain is not None:
        assert "s3ntinel" not in f"{chain!r} {vars(chain)}"
        chain = chain.__cause__ or chain.__context__


# Storages and coordinators that are pretended


def test_a_storage_that_nothing_is_at_is_said_and_none_of_its_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniduct.databases.presto.link._ATTEMPTS", 2)
    port = unused_port()
    for host, reason in [("127.0.0.1", "Connection refused"), ("minio.invalid", "Name or service not known")]:
        uri = f"http://{host}:{port}/segment{SIGNED}"
        with Pretender(spooled(uri)) as server, duct_to(server) as duct:
            with pytest.raises(DuctConnectionError) as raised:
                duct.query("SELECT 1")
            assert_unreachable(raised.value, f"http://{host}:{port}", reason)


def test_an_interrupt_ends_the_wait_for_the_first_segment() -> None:
    with (
        storage(lambda asked: SILENCE) as store,
        Pretender(spooled(store.url + "/segment")) as server,
        duct_to(server) as duct,
    ):
        with timed() as seconds:
            said = interrupted(lambda: duct.query("SELECT 1"), 0.1, when=lambda: bool(store.asked))
        assert said == "db: the statement was cancelled"
        assert seconds[0] < 5


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(200, "<html>sign in, s3ntinel</html>"), "it sends 30 bytes instead of 9"),
        (Answer(302, "", {"Location": "/again"}), "302 Found"),
        (Answer(403, "<Error><StringToSign>s3ntinel</StringToSign></Error>"), "403 Forbidden"),
    ],
)
def test_what_is_no_segment_is_one_sentence(answer: Answer, fault: str) -> None:
    with (
        storage(lambda asked: answer) as store,
        Pretender(spooled(store.url + "/segment" + SIGNED)) as server,
        duct_to(server) as duct,
    ):
        with pytest.raises(DuctStatementError) as raised:
            duct.query("SELECT 1")
        assert str(raised.value) == (
            f"db: the storage at {store.url} does not give a part of the result ({fault}): run it again, or "
            "set spooling: false"
        )


def test_only_the_coordinator_sees_the_login_and_the_headers_for_it() -> None:
    login = {"password": "s3ntinel", "allow_cleartext_password": True}
    headers = {"X-Gateway-Key": "s3ntinel"}
    with storage() as store:
        uri = store.url + "/segment" + SIGNED
        with (
            Pretender(spooled(uri, **{"x-amz-key": ["one", "two"]})) as server,
            duct_to(server, http_headers=headers, **login) as duct,  # the same host, another port
        ):
            assert duct.query("SELECT x FROM t", format="tuple") == [(1,), (2,)]
        (seen,) = store.asked
    assert seen.headers["x-amz-key"] == "one, two"
    assert "Authorization" not in seen.headers and "X-Gateway-Key" not in seen.headers

    def own(asked: Asked) -> Answer:
        at_home = Answer(200, ROWS) if asked.path == "/v1/spooled/download/1" else None
        return at_home or spooled("/v1/spooled/download/1")(asked)

    with Pretender(own) as server, duct_to(server, host="LOCALHOST", http_headers=headers, **login) as duct:
        server.url = f"http://LocalHost:{server.port}"
        assert duct.query("SELECT x FROM t", format="tuple") == [(1,), (2,)]
        (seen,) = [each for each in server.asked if each.path == "/v1/spooled/download/1"]
    assert seen.headers["X-Gateway-Key"] == "s3ntinel"
    assert seen.headers["Authorization"].startswith("Basic ")


def test_a_segment_that_cannot_be_let_go_is_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(500, "s3cret") if "/ack/" in asked.path else spooled(store.url + "/segment")(asked)

    caplog.set_level(logging.DEBUG, "omniduct")
    with storage() as store, Pretender(answer) as server, duct_to(server) as duct:
        assert duct.query("SELECT x FROM t", format="tuple") == [(1,), (2,)]
        wait_until(lambda: "letting a segment go" in caplog.text)
        assert server.times("GET", "/ack/") == 1
    (record,) = [each for each in caplog.records if "letting a segment go" in each.message]
    assert (record.name, record.levelname, record.getMessage()) == (
        *("omniduct", "DEBUG"),
        "db: letting a segment go: 500",
    )


def test_the_end_of_python_does_not_wait_for_segments_that_are_let_go() -> None:
    program = "import sys, time; from omniduct import Duct\n"
    program += "duct = Duct.for_protocol('trino')(name='db', host='127.0.0.1', port=int(sys.argv[1]))\n"
    program += "print(duct.query('SELECT x FROM t', format='tuple')); print(time.time())"

    def answer(asked: Asked) -> Answer:
        return SILENCE if "/ack/" in asked.path else spooled(store.url + "/segment")(asked)

    def seconds(port: int) -> float:
        ended = subprocess.run(
            [sys.executable, "-c", program, str(port)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        at = time.time()
        found, left = ended.stdout.splitlines()
        assert (found, ended.stderr) == ("[(1,), (2,)]", "")
        return at - float(left)

    with storage() as store, Pretender(answer) as server:
        assert quickest(lambda: seconds(server.port), 1.5) < 1.5
