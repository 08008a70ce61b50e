"""Gateways before a coordinator that fail, are slow or cut connections: what people are told, what is left.

What was said and left stands in build/gateways-presto.md afterwards.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.databases.presto.scenes import LONG, SLOW, Scene, answers
from tests.databases.presto.telling import LOST, PERHAPS, fails, timed
from tests.services.ports import LOOPBACK

from omniduct.databases.presto import PrestoClient, link
from omniduct.errors import DuctConnectionError, DuctStatementError

EXACT = 60_175, 1_802_759_573
GIVEN_UP = 7.1  # seconds, in which eight requests were made in vain
FOR_EVER = float("inf")
EXECUTING = "^/v1/statement/executing/"
PASSING = [502, 503, 504, 429]

Note = Callable[..., None]

TABLE = "gateways-presto"  # see the fixture `note`


def reads(duct: PrestoClient) -> tuple[int, int]:
    """How many rows come of some pages, and the sum of a column."""
    found = duct.query("SELECT * FROM tpch.tiny.lineitem", format="arrow")
    return found.num_rows, sum(found.column("orderkey").to_pylist())


@pytest.fixture
def duct(scene: Scene) -> PrestoClient:
    return scene.connected()


@pytest.fixture
def target(scene: Scene) -> str:
    """A table to insert into."""
    name = f"t{uuid.uuid4().hex}"
    scene.server.admin(f"CREATE TABLE {name} (x BIGINT)")
    return name


def stored(scene: Scene, target: str) -> int:
    """How many rows a table has."""
    ((count,),) = scene.server.admin(f"SELECT count(*) FROM {target}")
    return int(count)


# It answers itself


@pytest.mark.parametrize("status", PASSING)
def test_a_page_that_a_gateway_keeps_back_is_asked_for_again(
    status: int, scene: Scene, duct: PrestoClient, note: Note
) -> None:
    later = {"retry_after": "1"} if status == 429 else {}
    scene.proxy.answer(status, times=2, method="GET", path=EXECUTING, **later)
    scene.proxy.delay(0, times=3, method="GET", path=EXECUTING)
    scene.proxy.answer(status, times=1, method="GET", path=EXECUTING, **later)
    with timed() as seconds:
        assert reads(duct) == EXACT
    assert seconds[0] > 3 or not later
    note(f"{status} instead of pages, three times{', Retry-After: 1' if later else ''}", seconds=seconds[0])


@pytest.mark.parametrize("status", PASSING)
def test_a_query_that_a_gateway_does_not_take_is_sent_again(
    status: int, scene: Scene, duct: PrestoClient, note: Note
) -> None:
    scene.proxy.answer(status, times=2, method="POST")
    with timed() as seconds:
        assert reads(duct) == EXACT
    assert scene.asked_for("/v1/statement", "POST") == 3
    note(f"{status} to the POST of a SELECT, twice", seconds=seconds[0])


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_change_that_a_gateway_may_have_passed_on_is_never_sent_twice(
    status: int, scene: Scene, duct: PrestoClient, target: str, note: Note
) -> None:
    scene.proxy.answer(status, method="POST")
    said = fails(DuctConnectionError, lambda: duct.execute(f"INSERT INTO {target} VALUES 1"))
    phrase = {502: "502 Bad Gateway", 503: "503 Service Unavailable", 504: "504 Gateway Timeout"}[status]
    assert said == f"db: {at(scene)} is not available ({phrase}: said by the proxy): {PERHAPS}"
    assert scene.asked_for("/v1/statement", "POST") == 1
    assert stored(scene, target) == 0
    assert answers(duct)
    note(f"{status} to the POST of an INSERT", f"DuctConnectionError: {said}")


@pytest.mark.parametrize("status", [503, 429])
def test_a_change_that_was_not_taken_is_sent_again(
    status: int, scene: Scene, duct: PrestoClient, target: str, note: Note
) -> None:
    later = {"retry_after": "1"} if status == 503 else {}
    scene.proxy.answer(status, times=2, method="POST", **later)
    duct.execute(f"INSERT INTO {target} VALUES 1")
    assert scene.asked_for("/v1/statement", "POST") == 3
    assert stored(scene, target) == 1
    which = f"{status} with Retry-After" if later else str(status)
    note(f"{which} to the POST of an INSERT, twice", "(nothing: it has taken effect once)")


def test_a_change_that_is_never_taken_was_not_run(
    scene: Scene, duct: PrestoClient, target: str, note: Note, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried(monkeypatch)
    scene.proxy.answer(503, times=FOR_EVER, method="POST", retry_after="0")
    said = fails(DuctConnectionError, lambda: duct.execute(f"INSERT INTO {target} VALUES 1"))
    assert said == (
        f"db: {at(scene)} is not available (503 Service Unavailable: said by the proxy), so the statement "
        "was not run. Try again later"
    )
    assert stored(scene, target) == 0
    scene.renew()
    note("503 with Retry-After to the POST of an INSERT, for ever", f"DuctConnectionError: {said}")


def at(scene: Scene) -> str:
    """Where the gateway is."""
    return f"http://{LOOPBACK}:{scene.proxy.port}"


def hurried(monkeypatch: pytest.MonkeyPatch) -> float:
    """Have requests made in vain four times only; the seconds in which that is done."""
    monkeypatch.setattr(link, "_ATTEMPTS", 4)
    return 0.7


@pytest.mark.parametrize("statement", ["SELECT", "INSERT"])
def test_a_gateway_that_stays_away_is_one_clear_error(
    statement: str,
    scene: Scene,
    duct: PrestoClient,
    target: str,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_up = GIVEN_UP if statement == "SELECT" else hurried(monkeypatch)
    scene.proxy.answer(503, times=FOR_EVER, method="GET", path=EXECUTING)
    text = scene.marked(SLOW if statement == "SELECT" else f"INSERT INTO {target} {SLOW}")
    with timed() as seconds:
        said = fails(DuctConnectionError, lambda: duct.query(text))
    fate = LOST if statement == "SELECT" else PERHAPS
    assert said == f"db: {at(scene)} is not available (503 Service Unavailable: said by the proxy): {fate}"
    assert given_up < seconds[0] < given_up + 4
    assert [seen.state for seen in scene.outcome()] == ["FAILED"]
    note(f"503 for ever instead of pages of a {statement}", f"DuctConnectionError: {said}", seconds[0])


@pytest.mark.parametrize("statement", [SLOW, LONG], ids=["before rows", "while rows come"])
@pytest.mark.parametrize("status", [500, 200])
def test_a_gateway_that_fails_is_said_and_nothing_runs_on(
    status: int, statement: str, scene: Scene, duct: PrestoClient, note: Note
) -> None:
    scene.proxy.delay(0, times=2 if statement == LONG else 0, method="GET", path=EXECUTING)
    scene.proxy.answer(status, method="GET", path=EXECUTING)
    kind = DuctStatementError if status == 500 else DuctConnectionError
    said = fails(kind, lambda: duct.query(scene.marked(statement)))
    told = {500: "failed (500 Internal Server Error", 200: "answers, but is no Trino or Presto (200 OK"}
    assert said.startswith(f"db: {at(scene)} {told[status]}: said by the proxy)")
    assert [str(seen) for seen in scene.outcome()] == ["FAILED/USER_CANCELED"]
    assert answers(duct)
    when = "while rows come" if statement == LONG else "before rows come"
    note(f"{status} and another's text instead of a page, {when}", f"{kind.__name__}: {said}")


def test_slow_answers_only_take_longer(scene: Scene, duct: PrestoClient, note: Note) -> None:
    scene.proxy.delay(2.0, times=3)
    with timed() as seconds:
        assert reads(duct) == EXACT
    assert seconds[0] > 6
    note("three answers late by 2 s", seconds=seconds[0])


# A connection that is cut


@pytest.mark.parametrize("after", [0, 100, 50_000])
def test_a_page_that_is_cut_is_asked_for_again(
    after: int, scene: Scene, duct: PrestoClient, note: Note
) -> None:
    scene.proxy.cut(after, times=2, method="GET", path=EXECUTING)
    scene.proxy.delay(0, times=3, method="GET", path=EXECUTING)
    scene.proxy.cut(after, method="GET", path=EXECUTING)
    assert reads(duct) == EXACT
    note(f"cut after {after} bytes of a page, three times")


@pytest.mark.parametrize("after", [0, 20])
def test_a_cut_answer_to_a_statement_is_asked_for_again_only_if_it_changes_nothing(
    after: int, scene: Scene, duct: PrestoClient, target: str, note: Note
) -> None:
    scene.proxy.cut(after, method="POST")
    assert reads(duct) == EXACT
    assert scene.asked_for("/v1/statement", "POST") == 2
    scene.renew()
    scene.proxy.cut(after, method="POST")
    said = fails(DuctConnectionError, lambda: duct.execute(f"INSERT INTO {target} VALUES 1"))
    reason = re.fullmatch(
        r"db: the connection was lost while the statement ran \((.+)\): (.+)\. The next one connects anew",
        said,
    )
    assert reason and reason[2] == PERHAPS
    assert scene.asked_for("/v1/statement", "POST") == 1
    assert stored(scene, target) == 0
    assert answers(duct)
    note(f"cut after {after} bytes of the answer to the POST of a SELECT")
    note(f"cut after {after} bytes of the answer to the POST of an INSERT", f"DuctConnectionError: {said}")


@pytest.mark.parametrize("path", ["/queued/", "/executing/"])
def test_a_change_whose_progress_is_cut_takes_effect_once(
    path: str, scene: Scene, duct: PrestoClient, target: str, note: Note
) -> None:
    scene.proxy.cut(10, times=2, method="GET", path=path)
    duct.execute(f"INSERT INTO {target} VALUES 1")
    assert stored(scene, target) == 1
    note(f"cut within the {path.strip('/')} pages of an INSERT", "(nothing: it has taken effect once)")


def test_pages_that_are_cut_for_ever_are_one_clear_error(
    scene: Scene, duct: PrestoClient, tmp_path: Path, note: Note, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried(monkeypatch)
    text = scene.marked(LONG)
    rows = duct.stream(text)
    next(rows)
    scene.proxy.delay(0, times=3, method="GET", path=EXECUTING)
    scene.proxy.cut(100, times=FOR_EVER, method="GET", path=EXECUTING)
    with timed() as seconds:
        said = fails(DuctConnectionError, lambda: sum(1 for _ in rows))
    assert fails(DuctConnectionError, lambda: duct.stream_to_file(text, tmp_path / "rows.csv")) == said
    assert said.startswith("db: the connection was lost while the statement ran (")
    assert said.endswith(f"): {LOST}. The next one connects anew")
    assert list(tmp_path.iterdir()) == []
    assert [seen.state for seen in scene.outcome()] == ["FAILED", "FAILED"]
    scene.renew()
    assert answers(duct)
    note("cut in every page, for ever", f"DuctConnectionError: {said}", seconds[0])
