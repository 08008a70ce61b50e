"""Streams: one that nobody reads on is cancelled, and one that is read slowly is kept alive, page by page."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from tests.databases.presto.scenes import ABANDONED_AFTER, LONG, ROWS, SOME, Gate, Scene, answers
from tests.services.interrupts import wait_until

from omniduct import Duct
from omniduct.databases.presto import heartbeat
from omniduct.errors import DuctConnectionError, DuctError

PAGE = 2 << 20  # bytes; about what a page of these rows has
LONGER = ABANDONED_AFTER + 3  # seconds; the server looks once a second


def begun(scene: Scene, statement: str = LONG) -> Any:
    """A stream of which one batch is read."""
    rows: Any = scene.through_proxy().stream(scene.marked(statement), batch=1000, format="arrow")
    assert len(next(rows)) == 1000
    return rows


class Slow:
    """Numbered rows, of which one batch is read at first."""

    def __init__(self, scene: Scene, port: int) -> None:
        self._rows = scene.duct(port=port).stream(scene.marked(SOME), batch=1000, format="arrow")
        self._numbers = next(self._rows).column("number").to_pylist()

    def are_whole(self) -> bool:
        """Whether all come, and once; reads the rest."""
        for batch in self._rows:
            self._numbers += batch.column("number").to_pylist()
        return sorted(self._numbers) == list(range(ROWS))


def cancelled(scene: Scene, since: float) -> bool:
    """Whether the query ended on the server as it should, within a second."""
    (seen,) = scene.outcome()
    assert str(seen) == "FAILED/USER_CANCELED"
    return seen.ended - since < 1


# Nobody reads on


def closed(scene: Scene) -> None:
    begun(scene).close()


def dropped(scene: Scene) -> None:
    rows = begun(scene)
    del rows
    gc.collect()


def left_with_an_error(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError), begun(scene):
        raise ZeroDivisionError


def left_within_a_loop(scene: Scene) -> None:
    for row in scene.through_proxy().stream(scene.marked(LONG)):
        assert row
        break


@pytest.mark.parametrize("end", [closed, dropped, left_with_an_error, left_within_a_loop])
def test_a_stream_that_nobody_reads_on_is_cancelled(end: Callable[[Scene], None], scene: Scene) -> None:
    end(scene)
    assert cancelled(scene, time.time())
    assert scene.left() == "nothing"


def test_a_stream_that_was_never_read_is_cancelled(scene: Scene) -> None:
    rows = scene.through_proxy().stream(scene.marked(LONG))
    assert repr(rows) == "<Stream of db, open>"
    del rows
    assert cancelled(scene, time.time())


def test_disconnecting_its_duct_cancels_a_stream(scene: Scene) -> None:
    duct = scene.through_proxy()
    rows = duct.stream(scene.marked(LONG), batch=1000)
    next(rows)
    duct.disconnect()
    assert cancelled(scene, time.time())
    with pytest.raises(DuctConnectionError, match=r"^db: was disconnected, which ended the stream$"):
        next(rows)
    assert answers(duct)


def test_a_stream_that_was_read_to_its_end_is_not_cancelled(scene: Scene) -> None:
    rows = scene.through_proxy().stream(scene.marked("SELECT * FROM tpch.tiny.nation"))
    assert len(list(rows)) == 25
    rows.close()
    assert [str(seen) for seen in scene.outcome()] == ["FINISHED"]
    assert scene.asked_for("/", "DELETE") == 0


# Somebody reads slowly


def test_streams_that_are_read_slowly_are_kept_alive_and_their_rows_come_once(scene: Scene) -> None:
    with Gate(scene.server.host, scene.server.port) as narrow:
        # A gateway may let no HEAD through: the page before is asked for instead, which comes again.
        narrow.answer(405, times=float("inf"), method="HEAD")
        rows, others = Slow(scene, scene.proxy.port), Slow(scene, narrow.port)
        time.sleep(LONGER)
        assert [seen.is_over for seen in scene.seen()] == [False, False]
        assert rows.are_whole() and others.are_whole()
        asked, again = pages(scene.proxy), pages(narrow)
    assert [str(seen) for seen in scene.outcome()] == ["FINISHED", "FINISHED"]
    assert (scene.asked_for("/executing/", "HEAD") >= LONGER / 2, len(asked) - len(set(asked))) == (True, 0)
    assert len(again) - len(set(again)) >= LONGER / 2
    assert sum(method == "HEAD" for method, _ in narrow.came) == 1


def pages(gate: Gate) -> list[str]:
    """The pages that were asked for, in order."""
    return [path for method, path in gate.came if method == "GET" and "/executing/" in path]


def test_without_that_the_server_gives_it_up_and_the_person_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "watch_over", lambda query: None)
    rows = begun(scene, SOME)
    wait_until(lambda: scene.state() == "FAILED", LONGER)
    assert [seen.error for seen in scene.seen()] == ["ABANDONED_QUERY"]
    with pytest.raises(DuctError) as raised:
        list(rows)
    assert re.fullmatch(
        r"db: the server gave the query up, as nobody had asked for its rows for \d+ s "
        r"\(query (\w+): http://.*\?\1\)",
        str(raised.value),
    )
    assert answers(scene.duct())


def test_a_stream_that_is_kept_alive_is_cancelled_when_it_is_dropped(scene: Scene) -> None:
    rows = begun(scene, SOME)
    time.sleep(2 * heartbeat.EVERY)
    assert "omniduct keeps queries alive" in scene.threads.names()
    del rows
    gc.collect()
    assert cancelled(scene, time.time())
    wait_until(lambda: "omniduct keeps queries alive" not in scene.threads.names(), 3 * heartbeat.EVERY)


# Ends of processes


def child_reads(protocol: str, login: dict[str, Any], statement: str) -> None:
    """Leave Python while a stream is open, and held by what outlives its duct."""
    duct: Any = Duct.for_protocol(protocol)(name="db", **login)
    rows = duct.stream(statement)
    next(rows)
    duct.query("SELECT 1", background=True)
    sys.held = [rows, duct]  # type: ignore[attr-defined]


def test_the_end_of_python_cancels_a_stream_and_does_not_hang(scene: Scene) -> None:
    program = "import json, sys; from tests.databases.presto.test_streams import child_reads; "
    program += "child_reads(*json.loads(sys.argv[1]))"
    asked = json.dumps([scene.server.PROTOCOL, scene.server.login, scene.marked(LONG)])
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::omniduct.errors.DuctWarning", "-c", program, asked],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [str(seen) for seen in scene.outcome()] == ["FAILED/USER_CANCELED"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_cancel_the_streams_of_its_parent(scene: Scene) -> None:
    rows = Slow(scene, scene.proxy.port)
    child = os.fork()
    if not child:
        del rows
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert rows.are_whole()


# What is held meanwhile


def test_only_a_few_pages_are_fetched_ahead(scene: Scene) -> None:
    rows = begun(scene)
    wait_until(lambda: not grows(scene))
    sent = scene.proxy.sent
    assert sent < 8 * PAGE
    time.sleep(2 * heartbeat.EVERY)
    assert scene.proxy.sent - sent <= (0 if scene.server.PROTOCOL == "trino" else 3 * PAGE)
    rows.close()


def grows(scene: Scene) -> bool:
    """Whether bytes come through the proxy."""
    before = scene.proxy.sent
    time.sleep(0.5)
    return scene.proxy.sent > before


def test_memory_stays_flat_when_a_large_result_is_read_slowly(scene: Scene) -> None:
    process = psutil.Process()
    rows = begun(scene, f"SELECT a.* FROM ({SOME}) a CROSS JOIN UNNEST(sequence(1, 10)) b")  # 300 MB
    before = peak = 0
    for batch in rows:
        assert len(batch) > 0
        time.sleep(0.005)
        held = process.memory_info().rss
        before, peak = (held, held) if scene.proxy.sent < 50e6 else (before, max(peak, held))
        if scene.proxy.sent > 200e6:
            break
    rows.close()
    assert peak - before < 75e6
