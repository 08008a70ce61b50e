"""Streams: one that nobody reads on is cancelled, and one that is read slowly is kept alive, page by page."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from tests.databases.presto.scenes import ABANDONED_AFTER, LONG, ROWS, SOME, SUM, Scene, answers
from tests.services.interrupts import wait_until

from omniduct.databases.presto import heartbeat
from omniduct.databases.session.streaming import Stream
from omniduct.errors import DuctConnectionError, DuctError

PAGE = 2 << 20  # bytes; about what a page of these rows has
LONGER = ABANDONED_AFTER + 3  # seconds; the server looks once a second


def begun(scene: Scene, statement: str = LONG) -> Stream:
    """A stream of which one batch is read."""
    rows: Stream = scene.through_proxy().stream(scene.marked(statement), batch=1000, format="arrow")
    assert len(next(rows)) == 1000
    return rows


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
    with pytest.raises(DuctConnectionError, match="^db: was disconnected, which ended the stream$"):
        next(rows)
    assert answers(duct)


def test_a_stream_that_was_read_to_its_end_is_not_cancelled(scene: Scene) -> None:
    rows = scene.through_proxy().stream(scene.marked("SELECT * FROM tpch.tiny.nation"))
    assert len(list(rows)) == 25
    rows.close()
    assert [str(seen) for seen in scene.outcome()] == ["FINISHED"]
    assert scene.asked_for("/", "DELETE") == 0


# Somebody reads slowly


def test_a_stream_that_is_read_slowly_is_kept_alive_and_its_rows_come_once(scene: Scene) -> None:
    rows = begun(scene, SOME)
    time.sleep(LONGER)
    (seen,) = scene.seen()
    assert not seen.is_over
    rest = list(rows)
    assert sum(len(batch) for batch in rest) == ROWS - 1000
    assert [str(seen) for seen in scene.outcome()] == ["FINISHED"]
    heads, gets = scene.asked_for("/executing/", "HEAD"), paths(scene, "GET")
    if scene.server.PROTOCOL == "trino":
        assert heads >= LONGER / 2
        assert len(gets) == len(set(gets))
    else:  # which knows no HEAD: the page before is asked for again
        assert heads == 1
        assert len(gets) - len(set(gets)) >= LONGER / 2


def test_the_rows_of_a_stream_that_is_read_slowly_are_all_there(scene: Scene) -> None:
    with scene.through_proxy().stream(scene.marked(SOME)) as rows:
        total = 0
        for n, (key, padding) in enumerate(rows):
            assert len(padding) == 2000
            total += key
            if n % 3000 == 0:
                time.sleep(1.5 * heartbeat.EVERY)
    assert (n + 1, total) == (ROWS, SUM)


def test_without_that_the_server_gives_it_up_and_the_person_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 3600.0)
    monkeypatch.setattr(heartbeat, "watch_over", lambda query: None)
    rows = begun(scene, SOME)
    wait_until(lambda: scene.state() == "FAILED", LONGER)
    assert [seen.error for seen in scene.seen()] == ["ABANDONED_QUERY"]
    with pytest.raises(DuctError) as raised:
        list(rows)
    assert str(raised.value).startswith(
        "db: the server gave the query up, as nobody had asked for its rows for 5."
    )
    assert answers(scene.duct())


def test_a_stream_that_is_kept_alive_is_cancelled_when_it_is_dropped(scene: Scene) -> None:
    rows = begun(scene, SOME)
    time.sleep(2 * heartbeat.EVERY)
    assert "omniduct keeps queries alive" in scene.threads()
    del rows
    gc.collect()
    assert cancelled(scene, time.time())
    wait_until(lambda: "omniduct keeps queries alive" not in scene.threads(), 3 * heartbeat.EVERY)


def test_streams_are_kept_alive_beside_each_other(scene: Scene) -> None:
    streams = [begun(scene, SOME) for _ in range(3)]
    time.sleep(LONGER)
    assert [seen.is_over for seen in scene.seen()] == [False] * 3
    assert sum(name == "omniduct keeps queries alive" for name in scene.threads()) == 1
    for rows in streams:
        assert sum(len(batch) for batch in rows) == ROWS - 1000


def paths(scene: Scene, method: str) -> list[str]:
    return [path for came, path in scene.proxy.came if came == method and "/executing/" in path]


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
    before = peak = process.memory_info().rss
    for batch in rows:
        assert len(batch.schema) == 2
        peak = max(peak, process.memory_info().rss)
        if scene.proxy.sent > 100e6:
            break
        time.sleep(0.005)
    rows.close()
    assert peak - before < 60e6
    assert threading.active_count() < 50
