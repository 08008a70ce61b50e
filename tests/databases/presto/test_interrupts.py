"""Interrupts at every moment of a statement: each ends its query on the server, and nothing else.

Which moment led to what the server says stands in build/interrupts-presto.md afterwards.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.databases.presto.scenes import AT_A_TIME, LONG, SLOW, Scene, answers
from tests.databases.presto.telling import write
from tests.services.interrupts import Caller, interrupted, quickest, wait_until

from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctStatementError

HEAD = ["moment of the interrupt", "server", "what the person sees", "after (s)"]
HEAD += ["what the server says", "after (s)"]
CANCELLED = "db: the statement was cancelled"
RANDOM = 40

# Planned for seconds: of so many tables, every order is tried.
_TABLES = range(10)
PUZZLE = "SELECT count(*) FROM " + ", ".join(f"tpch.tiny.nation n{i}" for i in _TABLES)
PUZZLE += " WHERE " + " AND ".join(f"n{i}.nationkey = n{i + 1}.nationkey" for i in _TABLES[1:-1])

noted: dict[tuple[str, str], list[str]] = {}
"""The table's rows, by the moment and the server."""


@pytest.fixture(scope="module", autouse=True)
def noting() -> Iterator[None]:
    """The table of interrupts, once all tests have run."""
    yield
    write("interrupts-presto", HEAD, [[*key, *row] for key, row in noted.items()])


@pytest.fixture
def duct(scene: Scene) -> PrestoClient:
    return scene.connected()


def note(scene: Scene, moment: str, said: str, pressed: float, raised: float) -> float:
    """Check what an interrupt has led to, and add it to the table; the seconds until the server ended it."""
    seen = scene.outcome()
    assert [str(each) for each in seen] in ([], ["FAILED/USER_CANCELED"])
    ended = [f"{max(each.ended - pressed, 0):.2f}" for each in seen]
    noted[moment, scene.server.PROTOCOL] = [
        *(said, f"{raised - pressed:.2f}"),
        *(str(seen[0]) if seen else "(nothing: it had not begun)", "".join(ended)),
    ]
    return max((each.ended - max(pressed, scene.proxy.known) for each in seen), default=0.0)


def ends_within_a_second(scene: Scene, duct: PrestoClient, attempt: Callable[[], float]) -> None:
    """Check how soon the server has ended what was interrupted, and that the duct is good for the next."""

    def anew() -> float:
        scene.renew()
        seconds = attempt()
        scene.renew()
        assert answers(duct)
        return seconds

    assert quickest(anew, 1) < 1


def new_table(scene: Scene) -> str:
    """A statement that writes a table for minutes."""
    return scene.marked(f"CREATE TABLE t{scene.mark} AS {SLOW.replace('count(*)', 'x')}")


# The moments


@dataclass(frozen=True)
class Moment:
    """What the person does, and when the interrupt comes."""

    call: Callable[[], object]
    when: Callable[[], bool] = lambda: True
    then: float = 0.0  # seconds after that
    within: float = 1.0  # seconds until it is raised


def before_the_answer_to_the_post(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    scene.proxy.delay(1.0, method="POST")
    sent = lambda: scene.asked_for("/v1/statement", "POST") == 1  # noqa: E731
    yield Moment(lambda: duct.query(scene.marked(SLOW)), sent, then=0.3, within=2.0)
    assert (scene.asked_for("/v1/statement", "POST"), scene.asked_for("/v1/statement/")) == (1, 0)
    wait_until(lambda: scene.asked_for("/v1/statement/queued/", "DELETE") > 0)


def while_it_is_queued(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    others = [scene.duct().stream(LONG) for _ in range(AT_A_TIME)]
    yield Moment(lambda: duct.query(scene.marked(SLOW)), lambda: scene.state() == "QUEUED")
    for other in others:
        other.close()


def while_it_is_planned(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    duct.session_properties["max_reordered_joins"] = 12
    yield Moment(lambda: duct.query(scene.marked(PUZZLE)), lambda: scene.state() == "PLANNING", then=0.1)


def while_no_rows_come_yet(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    yield Moment(lambda: duct.query(scene.marked(SLOW)), lambda: scene.state() == "RUNNING", then=0.2)


def while_an_answer_is_late(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    scene.proxy.delay(1.5, method="GET", path="/executing/")
    yield Moment(lambda: duct.query(scene.marked(SLOW)), lambda: scene.state() == "RUNNING", within=2.5)


def while_pages_come(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    yield Moment(lambda: duct.query(scene.marked(LONG)), lambda: scene.asked_for("/executing/") > 4)


def between_two_pages_of_a_stream(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    between: list[object] = []

    def read() -> None:
        with duct.stream(scene.marked(LONG), batch=1000) as batches:
            for batch in batches:
                between.append(batch)
                time.sleep(10 if len(between) == 3 else 0)

    yield Moment(read, lambda: len(between) == 3, then=0.1)


def while_a_page_of_a_stream_is_waited_for(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    waiting: list[bool] = []

    def read() -> None:
        rows = duct.stream(scene.marked(SLOW.replace("count(*)", "x")))
        waiting.append(True)
        next(rows)

    yield Moment(read, lambda: scene.state() == "RUNNING", then=0.3)


def while_a_file_is_written(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    folder = Path.cwd()
    yield Moment(
        lambda: duct.stream_to_file(scene.marked(LONG), "rows.csv"),
        lambda: any(path.stat().st_size > 0 for path in folder.iterdir()),
    )
    assert list(folder.iterdir()) == []


def while_a_table_is_written(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    yield Moment(
        lambda: duct.execute(new_table(scene)),
        lambda: scene.state() == "RUNNING",
        then=0.2,
    )


def while_a_gateway_says_to_come_later(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    scene.proxy.answer(429, method="GET", path="/executing/", retry_after="8")
    yield Moment(lambda: duct.query(scene.marked(SLOW)), lambda: scene.asked_for("/executing/") > 0)


def while_a_gateway_is_away(scene: Scene, duct: PrestoClient) -> Iterator[Moment]:
    scene.proxy.answer(502, times=99, method="GET", path="/executing/")
    yield Moment(lambda: duct.query(scene.marked(SLOW)), lambda: scene.asked_for("/executing/") > 3)


MOMENTS = [
    before_the_answer_to_the_post,
    while_it_is_queued,
    while_it_is_planned,
    while_no_rows_come_yet,
    while_an_answer_is_late,
    while_pages_come,
    between_two_pages_of_a_stream,
    while_a_page_of_a_stream_is_waited_for,
    while_a_file_is_written,
    while_a_table_is_written,
    while_a_gateway_says_to_come_later,
    while_a_gateway_is_away,
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_ends_the_query_on_the_server(
    moment: Callable[[Scene, PrestoClient], Iterator[Moment]],
    scene: Scene,
    duct: PrestoClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    def attempt() -> float:
        pressed: list[float] = []

        def come(this: Moment) -> bool:
            if this.when():
                pressed.append(time.time() + this.then)
            return bool(pressed)

        with contextlib.contextmanager(moment)(scene, duct) as this:
            said = interrupted(lambda: this.call(), this.then, when=lambda: come(this))
            raised = time.time()
            shown = f"KeyboardInterrupt: {said}".removesuffix(": ")
            seconds = note(scene, moment.__name__.replace("_", " "), shown, pressed[0], raised)
            assert raised - pressed[0] < this.within
        assert said == ("" if moment is between_two_pages_of_a_stream else CANCELLED)
        return seconds

    ends_within_a_second(scene, duct, attempt)


# Without a person at the keyboard


def test_what_runs_in_the_background_is_cancelled_on_the_server(scene: Scene, duct: PrestoClient) -> None:
    def attempt() -> float:
        background = duct.query(scene.marked(SLOW), background=True)
        wait_until(lambda: scene.state() == "RUNNING")
        pressed = time.time()
        assert background.cancel() and background.cancelled()
        ended = time.time()
        error = background.exception()
        assert (type(error), str(error)) == (DuctStatementError, CANCELLED)
        return note(scene, "in the background: .cancel()", f"DuctStatementError: {error}", pressed, ended)

    ends_within_a_second(scene, duct, attempt)


def test_another_thread_cancels_what_runs(scene: Scene, duct: PrestoClient) -> None:
    def attempt() -> float:
        caller = Caller(lambda: duct.query(scene.marked(SLOW)))
        wait_until(lambda: scene.state() == "RUNNING")
        pressed = time.time()
        assert duct.cancel()
        error = caller.ended().error
        assert (type(error), str(error)) == (DuctStatementError, CANCELLED)
        said = f"DuctStatementError: {error}"
        return note(scene, "from another thread: duct.cancel()", said, pressed, time.time())

    ends_within_a_second(scene, duct, attempt)


def test_disconnecting_cancels_what_runs(scene: Scene, duct: PrestoClient) -> None:
    def attempt() -> float:
        caller = Caller(lambda: duct.query(scene.marked(SLOW)))
        wait_until(lambda: scene.state() == "RUNNING")
        pressed = time.time()
        duct.disconnect()
        error = caller.ended().error
        assert isinstance(error, DuctStatementError)
        return note(scene, "the duct is disconnected", f"DuctStatementError: {error}", pressed, time.time())

    ends_within_a_second(scene, duct, attempt)


# At any moment


def test_interrupts_at_random_moments_end_the_query_on_the_server(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chance, duct = random.Random(5), scene.through_proxy()
    assert answers(duct)
    kinds: list[Callable[[], object]] = [
        lambda: duct.query(scene.marked(SLOW)),
        lambda: duct.query(scene.marked(LONG), format="arrow"),
        lambda: duct.query(f"SELECT 1; {scene.marked(SLOW)}; SELECT 2"),
        lambda: sum(1 for _ in duct.stream(scene.marked(LONG))),
        lambda: duct.stream_to_file(scene.marked(LONG), "rows.csv"),
        lambda: duct.execute(new_table(scene)),
    ]
    slowest, latest = 0.0, 0.0
    for i in range(RANDOM):
        scene.renew()
        first = chance.choice([0, chance.random() * 0.01, chance.random() * 0.1, chance.random() * 0.8])
        more = [first + chance.random() * 0.02 for _ in range(i % 3 if i % 2 else 0)]
        pressed = time.time() + first
        interrupted(kinds[i % len(kinds)], first, *sorted(more))
        slowest = max(slowest, time.time() - pressed)
        seen = scene.outcome()
        assert {str(each) for each in seen} <= {"FAILED/USER_CANCELED"}, f"try {i}: {seen}"
        latest = max([latest, *(each.ended - max(pressed, scene.proxy.known) for each in seen)])
        assert answers(duct), f"try {i}"
        assert list(tmp_path.iterdir()) == [], f"try {i}"
    assert slowest < 2.5
    assert latest < 1
    noted[f"{RANDOM} random moments, a third of them twice or thrice", scene.server.PROTOCOL] = [
        *(f"KeyboardInterrupt: {CANCELLED}", f"{slowest:.2f}"),
        *("FAILED/USER_CANCELED, or nothing", f"{latest:.2f}"),
    ]
