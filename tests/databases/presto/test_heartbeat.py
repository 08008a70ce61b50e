"""Queries that are kept alive beside a coordinator that is silent to some requests: it is pretended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.databases.presto.telling import timed
from tests.services.interrupts import interrupted, wait_until
from tests.services.pretending import (
    COLUMNS,
    SILENCE,
    Answer,
    Answering,
    Asked,
    Pretender,
    compact,
    coordinator,
    duct_to,
    page,
)

from omniduct.databases.presto import heartbeat
from omniduct.databases.session import running
from omniduct.errors import DuctWarning


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.5)


def endless(silent: bool) -> Answering:
    """A coordinator of which every page is one row, and another follows; it may be silent to heartbeats."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "HEAD" and silent:
            return SILENCE
        number = 0 if asked.method == "POST" else int(asked.path.rpartition("/")[2])
        return Answer(200, compact(page(asked, number + 1, columns=COLUMNS, data=[[number]])))

    return coordinator(answer)


@pytest.fixture
def silent() -> Iterator[Pretender]:
    with Pretender(endless(silent=True)) as server:
        yield server


def test_a_silent_coordinator_does_not_keep_others_from_being_asked_after(silent: Pretender) -> None:
    with (
        Pretender(endless(silent=False)) as healthy,
        duct_to(silent, answer_timeout=20.0) as one,
        duct_to(healthy) as other,
    ):
        rows, others = one.stream("SELECT x FROM t", batch=1), other.stream("SELECT x FROM t", batch=1)
        next(rows), next(others)
        wait_until(lambda: silent.times("HEAD") == 1)
        before = healthy.times("HEAD")
        time.sleep(3)
        assert healthy.times("HEAD") - before >= 3
        assert silent.times("HEAD") == 1  # one at a time
        rows.close(), others.close()


def test_who_reads_on_does_not_wait_for_a_heartbeat(silent: Pretender) -> None:
    with duct_to(silent, answer_timeout=20.0) as duct:
        rows = duct.stream("SELECT x FROM t", batch=1, format="tuple")
        assert next(rows) == [(0,)]
        wait_until(lambda: silent.times("HEAD") == 1)
        with timed() as seconds:
            assert [next(rows) for _ in range(3)] == [[(1,)], [(2,)], [(3,)]]
            rows.close()
        assert seconds[0] < 1


def test_a_session_that_is_given_up_leaves_its_settings_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.3)

    def answer(asked: Asked) -> Answer:
        return SILENCE if "slow" in asked.body else Answer(200, compact(page(asked)))

    with Pretender(coordinator(answer)) as server, duct_to(server) as duct:
        duct.connect()
        sent = lambda: any("slow" in each.body for each in list(server.asked))  # noqa: E731
        with pytest.warns(DuctWarning) as told:
            interrupted(lambda: duct.execute("SELECT slow"), 0.1, 0.7, when=sent)
        assert str(told[-1].message).endswith(
            "It goes on being cancelled in the background; a new session was opened"
        )
