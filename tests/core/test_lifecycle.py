"""A duct's life: connecting, checking, losing, healing and ending, with threads, interrupts and observers."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from tests.services.tcp import (
    LOOPBACK,
    PATIENCE,
    Service,
    TcpDuct,
    answers,
    frozen_port,
    join,
    run,
    until,
    unused_port,
    wait,
    waiting_in,
)

import omniduct
from omniduct.core import lifecycle
from omniduct.duct import Duct
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctServerUnreachable,
)

PACKAGE = os.path.dirname(omniduct.__file__)
SENTINEL = "s3ntinel/p@ss word"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def duct_for(service: Service, cls: type[TcpDuct] = TcpDuct, **arguments: Any) -> TcpDuct:
    return cls(name="tcp", host=service.host, port=service.port, username="ada", **arguments)


class ProbedAlways(TcpDuct):
    """Every use comes after a long idle time."""

    PROBE_AFTER_IDLE = 0.0


class Gated(TcpDuct):
    """Its hooks stop until they are let go on, and count."""

    def _init(self) -> None:
        self.calls: list[str] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.failure: BaseException | None = None

    def _connect(self) -> None:
        self.calls.append("connect")
        self.entered.set()
        wait(self.gate)
        if self.failure is not None:
            raise self.failure
        super()._connect()

    def _disconnect(self) -> None:
        self.calls.append("disconnect")
        super()._disconnect()


def everything_said(error: BaseException | None, seen: set[int] | None = None) -> str:
    """All that can be reached from an exception: its messages, its past, and the locals of its frames."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return ""
    seen.add(id(error))
    frames = [
        f.f_locals
        for f, _ in traceback.walk_tb(error.__traceback__)
        if f.f_code.co_filename.startswith(PACKAGE)
    ]
    said = f"{error!r} {error} {error.__dict__} {frames}"
    return said + everything_said(error.__cause__, seen) + everything_said(error.__context__, seen)


# Reaching the service


def test_a_use_connects_and_later_uses_share_the_connection(service: Service) -> None:
    duct = duct_for(service)
    assert service.logins == []
    assert [duct.ask("one"), duct.ask("two")] == ["one", "two"]
    assert service.logins == [("ada", "None")]
    assert duct.status.state == "connected"


def test_a_service_that_is_not_there_is_unreachable_and_its_hook_is_not_called() -> None:
    port = unused_port()
    duct = Gated(name="far", host=LOOPBACK, port=port)
    with pytest.raises(
        DuctServerUnreachable, match=rf"far: .*127\.0\.0\.1:{port}: connection refused"
    ) as caught:
        duct.connect()
    assert duct.calls == []
    assert (duct.status.state, duct.status.last_error) == ("failed", str(caught.value))


def test_the_next_use_after_a_failure_tries_again(service: Service) -> None:
    duct = duct_for(service)
    service.stop()
    with pytest.raises(DuctServerUnreachable):
        duct.ask("anybody?")
    service.start()
    assert duct.ask("anybody?") == "anybody?"
    assert (duct.status.state, duct.status.last_error) == ("connected", "")


def test_an_unknown_host_is_said_to_be_unknown() -> None:
    duct = TcpDuct(name="nowhere", host="no-such-host.invalid", port=80)
    with pytest.raises(
        DuctServerUnreachable, match=r"nowhere: .*no-such-host\.invalid:80: the host name is unknown"
    ):
        duct.connect()
    with pytest.raises(DuctServerUnreachable, match="the host name is unknown"):
        TcpDuct(host="two..dots", port=80).connect()


def test_connecting_to_a_frozen_peer_ends_in_time() -> None:
    class Hasty(TcpDuct):
        CONNECT_TIMEOUT = 0.2

    with frozen_port() as port, pytest.raises(DuctServerUnreachable, match=r"no answer within 0\.2 s"):
        Hasty(host=LOOPBACK, port=port).connect()


def test_a_missing_driver_is_said_to_be_missing(service: Service) -> None:
    class Undriven(TcpDuct):
        def _connect(self) -> None:
            import no_such_driver  # noqa: F401

    with pytest.raises(DuctDriverMissing, match=r"tcp: odd needs a Python package .*no_such_driver"):
        duct_for(service, Undriven, protocol="odd").connect()


# Checking


def test_a_dead_service_is_lost_and_heals_with_the_next_use_when_it_is_back(service: Service) -> None:
    duct = duct_for(service, ProbedAlways).connect()
    assert duct.is_connected()
    service.stop()
    assert not duct.is_connected()
    assert (duct.status.state, duct.status.last_error) == ("lost", "connection refused")
    with pytest.raises(DuctServerUnreachable):
        duct.ask("still there?")
    assert duct.status.state == "failed"
    service.start()
    assert not duct.is_connected()  # it never connects by itself
    assert duct.ask("back?") == "back?"
    assert duct.status.state == "connected"
    assert len(service.logins) == 2


def test_a_session_that_has_ended_is_lost_though_the_service_still_answers(service: Service) -> None:
    duct = duct_for(service).connect()
    service.drop_sessions()
    assert not duct.is_connected()
    assert duct.status.state == "lost"
    assert duct.line is not None  # closed with the next use, or by disconnecting
    assert duct.disconnect().line is None
    assert (duct.status.state, duct.status.last_error) == ("disconnected", "")


def test_a_use_after_idling_probes_first_and_reconnects_once(service: Service) -> None:
    duct = duct_for(service, ProbedAlways)
    assert duct.ask("a") == "a"
    service.drop_sessions()
    assert duct.ask("b") == "b"
    assert len(service.logins) == 2


def test_a_use_shortly_after_another_does_not_probe(service: Service) -> None:
    duct = duct_for(service)
    for _ in range(50):
        duct.ask("x")
    assert service.pings == 0


def test_a_duct_that_is_not_prepared_is_not_connected_and_its_hook_is_not_asked(service: Service) -> None:
    class Asked(TcpDuct):
        def _is_connected(self) -> bool:
            raise AssertionError("asked")

    duct = duct_for(service, Asked)
    assert not duct.is_connected()
    duct.prepare()
    assert not duct.is_connected()
    assert duct.status.state == "disconnected"


def test_a_hook_that_fails_while_checking_means_lost(service: Service) -> None:
    class Failing(TcpDuct):
        def _is_connected(self) -> bool:
            raise RuntimeError(f"broken pipe to {self.password}")

    duct = duct_for(service, Failing, password="pass-word").connect()
    assert not duct.is_connected()
    assert (duct.status.state, duct.status.last_error) == ("lost", "broken pipe to ***")


def test_a_frozen_peer_is_lost_within_two_seconds(service: Service) -> None:
    duct = duct_for(service).connect()
    service.stop()
    with frozen_port() as port:
        duct._port = port  # the same service, seen from the duct, that has frozen
        started = time.monotonic()
        assert not duct.is_connected()
        assert 1.0 < time.monotonic() - started < 4.0
    assert duct.status.state == "lost"
    assert "no answer within 2 s" in duct.status.last_error


def test_a_hook_that_blocks_is_given_up_in_time(service: Service) -> None:
    class Blocking(TcpDuct):
        CHECK_TIMEOUT = 0.2
        let_go = threading.Event()

        def _is_connected(self) -> bool:
            wait(self.let_go)
            return True

    duct = duct_for(service, Blocking).connect()
    assert not duct.is_connected()
    assert (duct.status.state, duct.status.last_error) == ("lost", "no answer within 0.2 s")
    duct.let_go.set()


def test_a_duct_with_a_statement_under_way_is_connected_and_never_probed(service: Service) -> None:
    duct = duct_for(service, ProbedAlways).connect()
    duct._life.begin_statement()
    assert duct.status.running == 1
    service.stop()
    assert duct.is_connected()
    duct.connect()
    assert service.pings == 0
    duct._life.end_statement()
    assert not duct.is_connected()


def test_a_statement_beside_the_connection_does_not_speak_for_it(service: Service) -> None:
    duct = duct_for(service).connect()
    duct._life.begin_statement(beside=True)
    assert duct.status.running == 1
    assert duct.is_connected()
    assert service.pings == 1
    service.stop()
    assert not duct.is_connected()
    duct._life.end_statement(beside=True)
    assert duct.status.running == 0


def test_after_a_statement_that_failed_the_next_use_checks_first(service: Service) -> None:
    duct = duct_for(service).connect()
    service.drop_sessions()
    duct._life.doubt()
    assert duct.ask("x") == "x"
    assert len(service.logins) == 2
    duct.ask("y")
    assert service.pings == 0


def test_a_statement_waits_for_a_check_that_touches_the_connection(service: Service) -> None:
    class Slow(TcpDuct):
        def _init(self) -> None:
            self.order: list[str] = []
            self.checking, self.gate = threading.Event(), threading.Event()

        def _is_connected(self) -> bool:
            self.checking.set()
            wait(self.gate)
            self.order.append("checked")
            return True

    duct: Any = duct_for(service, Slow).connect()

    def statement() -> None:
        duct._life.begin_statement()
        duct.order.append("statement")
        duct._life.end_statement()

    check = run(duct.is_connected)
    wait(duct.checking)
    statements = run(statement)
    until(lambda: waiting_in(lifecycle.Lifecycle.begin_statement) == 1)
    duct.gate.set()
    join(check + statements)
    assert duct.order == ["checked", "statement"]


def test_what_a_check_finds_of_a_former_connection_does_not_end_the_next(service: Service) -> None:
    class Slow(TcpDuct):
        def _init(self) -> None:
            self.checking, self.gate = threading.Event(), threading.Event()

        def _is_connected(self) -> bool:
            self.checking.set()
            wait(self.gate)
            return False

    duct: Any = duct_for(service, Slow).connect()
    check = run(duct.is_connected)
    wait(duct.checking)
    duct.reconnect()
    duct.gate.set()
    join(check)
    assert duct.status.state == "connected"


# Threads


def test_200_threads_share_one_attempt_and_each_gets_an_exception_of_its_own(service: Service) -> None:
    duct: Any = duct_for(service, Gated)
    cause = ValueError("the driver said no")
    duct.failure = cause
    start = threading.Barrier(200)
    errors: list[DuctConnectionError] = []

    def use() -> None:
        start.wait()
        try:
            duct.ask("x")
        except DuctConnectionError as error:
            errors.append(error)

    threads = run(use, 200)
    until(lambda: waiting_in(lifecycle._Attempt.wait) == 199, "199 waiters")
    duct.gate.set()
    join(threads)
    assert duct.calls == ["connect", "disconnect"]
    assert len({id(error) for error in errors}) == 200
    assert all(error.__cause__ is cause for error in errors)
    assert {str(error) for error in errors} == {
        f"tcp: could not connect to {service.host}:{service.port}: the driver said no"
    }
    assert cause.__traceback__ is None

    duct.failure = None
    assert duct.ask("again") == "again"
    assert duct.calls.count("connect") == 2


def test_10_000_uses_from_32_threads_make_one_connection(service: Service) -> None:
    duct = duct_for(service)
    replies: list[str] = []

    def use() -> None:
        for _ in range(313):
            duct.connect()
        replies.append(duct.ask("done"))

    join(run(use, 32))
    assert replies == ["done"] * 32
    assert len(service.logins) == 1


def test_a_waiter_takes_over_when_the_one_that_leads_is_interrupted(service: Service) -> None:
    class Interrupted(TcpDuct):
        led_by: list[int] = []
        entered = threading.Event()

        def _connect(self) -> None:
            self.led_by.append(threading.get_ident())
            if threading.current_thread() is threading.main_thread():
                self.entered.set()
                sleep_until_interrupted()
            super()._connect()

    duct: Any = duct_for(service, Interrupted)

    def wait_then_interrupt() -> None:
        wait(duct.entered)
        waiters = run(duct.connect, 3)
        until(lambda: waiting_in(lifecycle._Attempt.wait) == 3)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        join(waiters)

    helper = run(wait_then_interrupt)
    with interruptible(), pytest.raises(KeyboardInterrupt) as caught:
        duct.connect()
    join(helper)
    assert len(duct.led_by) == 2
    assert duct.led_by[1] not in (duct.led_by[0], threading.get_ident())
    assert duct.status.state == "connected"
    assert len(service.logins) == 1
    frames = [f.f_code.co_name for f, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert "_connect" not in frames  # its locals hold logins


def sleep_until_interrupted() -> None:
    """Wait in small steps: a signal that comes just before a long wait begins is not seen until it ends."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.005)
    raise AssertionError("the interrupt never came")


class interruptible:
    """Within, SIGINT is a KeyboardInterrupt, whatever the test runner made of it."""

    def __enter__(self) -> None:
        self.former = signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.former)


def test_an_interrupt_while_connecting_leaves_the_duct_usable_and_takes_back_what_was_made(
    service: Service,
) -> None:
    class HalfWay(TcpDuct):
        interrupts = 1

        def _connect(self) -> None:
            super()._connect()
            if self.interrupts:
                self.interrupts -= 1
                os.kill(os.getpid(), signal.SIGINT)
                sleep_until_interrupted()

    duct = duct_for(service, HalfWay)
    with interruptible(), pytest.raises(KeyboardInterrupt):
        duct.ask("x")
    assert (duct.status.state, duct.status.last_error) == ("disconnected", "")
    assert (service.byes, service.sessions) == (1, 0)
    assert duct.ask("x") == "x"


@pytest.mark.parametrize("what", ["connect", "disconnect", "fails", "checks"])
def test_an_interrupt_anywhere_in_the_life_cycle_leaves_the_duct_usable(service: Service, what: str) -> None:
    points = 0
    for point in range(500):
        duct: Any = duct_for(service, Gated)
        duct.gate.set()
        call = duct.connect
        if what == "fails":
            duct.failure = ValueError("no")
        elif what == "disconnect":
            call = duct.connect().disconnect
        elif what == "checks":
            call = duct.connect().is_connected
        if not interrupt_at(point, call):
            break
        points += 1
        duct.failure = None
        state: list[str] = []

        def use(duct: Any = duct, state: list[str] = state) -> None:
            state.append(duct.ask("x"))
            state.append(duct.reconnect().status.state)

        join(run(use))
        assert state == ["x", "connected"], f"interrupted at point {point}"
        assert duct.disconnect().status.state == "disconnected"
        assert service.sessions == 0, f"interrupted at point {point}"
        assert len(service.logins) == service.byes  # none was closed by the garbage collector
    assert 10 < points < 500


def interrupt_at(number: int, call: Callable[[], object]) -> bool:
    """Call, with a KeyboardInterrupt at the n-th place in lifecycle.py where Python looks for signals.

    It looks when a function begins, and when a call has returned. Gives whether there was a place.
    """
    seen = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal seen
        if frame.f_code.co_filename == lifecycle.__file__ and event in ("call", "return", "c_return"):
            seen += 1
            if seen == number + 1:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        call()
    except DuctConnectionError:
        return seen > number
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def test_disconnecting_in_another_thread_cancels_connecting(service: Service) -> None:
    duct: Any = duct_for(service, Gated)
    errors: list[BaseException] = []

    def connect() -> None:
        try:
            duct.connect()
        except DuctConnectionError as error:
            errors.append(error)

    leader = run(connect)
    wait(duct.entered)
    waiters = run(connect, 3)
    until(lambda: waiting_in(lifecycle._Attempt.wait) == 3)
    duct.disconnect()  # returns at once
    late = run(duct.connect)  # wants a connection of its own
    until(lambda: waiting_in(lifecycle._Attempt.wait) == 4)
    duct.gate.set()
    join(leader + waiters + late)
    assert [str(error) for error in errors] == ["tcp: connecting was cancelled by disconnecting"] * 4
    assert duct.calls == ["connect", "disconnect", "connect"]
    assert duct.status.state == "connected"
    assert service.sessions == 1


def test_an_attempt_that_was_cancelled_and_then_failed_is_no_failure(service: Service) -> None:
    duct: Any = duct_for(service, Gated)
    duct.failure = ValueError("too late to matter")

    def connect() -> None:
        with pytest.raises(DuctConnectionError):
            duct.connect()

    threads = run(connect)
    wait(duct.entered)
    duct.disconnect()
    duct.gate.set()
    join(threads)
    assert (duct.status.state, duct.status.last_error) == ("disconnected", "")


def test_a_use_while_another_thread_disconnects_gets_a_new_connection(service: Service) -> None:
    class Slow(TcpDuct):
        def _init(self) -> None:
            self.closing, self.gate = threading.Event(), threading.Event()

        def _disconnect(self) -> None:
            self.closing.set()
            wait(self.gate)
            super()._disconnect()

    duct: Any = duct_for(service, Slow).connect()
    replies: list[str] = []
    threads = run(duct.disconnect)
    wait(duct.closing)
    threads += run(lambda: replies.append(duct.ask("x")))
    until(lambda: waiting_in(lifecycle._Attempt.wait) == 1)
    duct.gate.set()
    join(threads)
    assert replies == ["x"]
    assert len(service.logins) == 2


def test_reconnecting_makes_a_new_connection(service: Service) -> None:
    duct = duct_for(service).connect()
    assert duct.reconnect() is duct
    assert (len(service.logins), service.byes, service.sessions) == (2, 1, 1)


def test_disconnecting_twice_calls_the_hook_once(service: Service) -> None:
    duct: Any = duct_for(service, Gated)
    duct.gate.set()
    duct.disconnect()
    duct.connect()
    duct.disconnect().disconnect()
    assert duct.calls == ["connect", "disconnect"]


def test_hooks_may_read_any_field_and_use_the_duct_itself(service: Service) -> None:
    class Curious(TcpDuct):
        def _connect(self) -> None:
            assert (self.host, self.port, self.username, self.remote, self.cache) == (
                service.host,
                service.port,
                "ada",
                None,
                None,
            )
            super()._connect()
            assert self.connect() is self and self.disconnect() is self
            assert self.ask("within") == "within"

        def _is_connected(self) -> bool:
            return self.ask("ping?") == "ping?"

        def _disconnect(self) -> None:
            assert self.ask("bye?") == "bye?"
            super()._disconnect()

    duct = duct_for(service, Curious).connect()
    assert duct.is_connected()
    assert duct.disconnect().status.state == "disconnected"
    assert len(service.logins) == 1


# What failed, for people


def test_an_error_when_closing_is_told_and_the_duct_is_disconnected_all_the_same(service: Service) -> None:
    class Rude(TcpDuct):
        def _disconnect(self) -> None:
            super()._disconnect()
            raise OSError(f"no goodbye from {self.password}")

    class Polite(Rude):
        def _disconnect(self) -> None:
            try:
                super()._disconnect()
            except OSError:
                raise DuctConnectionError(f"{self.name}: pardon me")  # noqa: B904

    polite = duct_for(service, Polite, password=SENTINEL).connect()
    with pytest.raises(DuctConnectionError, match="tcp: pardon me") as caught:
        polite.disconnect()
    assert SENTINEL not in everything_said(caught.value)
    assert "no goodbye from ***" in str(caught.value.__cause__)

    duct = duct_for(service, Rude, password=SENTINEL).connect()
    with pytest.raises(
        DuctConnectionError, match=r"tcp: is disconnected, but closing .*: no goodbye from \*\*\*"
    ) as caught:
        duct.disconnect()
    assert SENTINEL not in everything_said(caught.value)
    assert duct.status.state == "disconnected"
    assert duct.connect().status.state == "connected"
    service.drop_sessions()
    assert not duct.is_connected()
    duct.disconnect()  # of what is lost no goodbye is expected


def test_what_runs_before_disconnecting_may_fail_without_keeping_the_connection(service: Service) -> None:
    class Stuck(TcpDuct):
        def _before_disconnect(self) -> None:
            raise OSError("a worker does not end")

    duct = duct_for(service, Stuck).connect()
    with pytest.raises(DuctConnectionError, match="a worker does not end"):
        duct.disconnect()
    assert (service.sessions, duct.line) == (0, None)


class DriverError(Exception):
    """A driver's error with attributes of its own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def test_the_cause_is_the_drivers_own_exception_without_its_frames(service: Service) -> None:
    class Failing(TcpDuct):
        def _connect(self) -> None:
            login = self.password  # noqa: F841
            try:
                raise OSError(5, "inner")
            except OSError as error:
                raise DriverError(1045, "access denied") from error

    with pytest.raises(DuctConnectionError, match="access denied") as caught:
        duct_for(service, Failing, password=SENTINEL).connect()
    cause = caught.value.__cause__
    assert isinstance(cause, DriverError) and cause.code == 1045
    assert cause.__traceback__ is None
    assert isinstance(cause.__cause__, OSError) and cause.__cause__.__traceback__ is None
    assert SENTINEL not in everything_said(caught.value)


@pytest.mark.parametrize(
    "spelled", [SENTINEL, "s3ntinel/p%40ss%20word", "s3ntinel%2Fp%40ss%20word", "s3ntinel%2Fp%40ss+word"]
)
def test_a_secret_in_a_drivers_message_becomes_asterisks(
    service: Service, spelled: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Telling(TcpDuct):
        def _connect(self) -> None:
            try:
                raise DriverError(1, f"tried {spelled}")
            except DriverError as error:
                raise DriverError(2, f"could not open db://ada:{spelled}@host") from error

        def _disconnect(self) -> None:
            raise DriverError(3, f"nothing to close for {spelled}")

    caplog.set_level(logging.DEBUG)
    with pytest.raises(DuctConnectionError, match=r"could not open db://ada:\*\*\*@host") as caught:
        duct_for(service, Telling, password=SENTINEL).connect()
    said = everything_said(caught.value) + caplog.text
    assert spelled not in said and SENTINEL not in said
    assert "DriverError" in repr(caught.value.__cause__)


def test_an_error_of_omniducts_own_raised_by_a_hook_stays_what_it_is(service: Service) -> None:
    class Particular(DuctAuthenticationError):
        def __init__(self, code: int, *, text: str) -> None:
            super().__init__(text)
            self.code = code

    class Failing(TcpDuct):
        def _connect(self) -> None:
            try:
                raise DriverError(7, f"bad {self.password}")
            except DriverError as error:
                raise Particular(error.code, text=f"{self.name}: refused {self.password}")  # noqa: B904

    with pytest.raises(Particular, match=r"tcp: refused \*\*\*") as caught:
        duct_for(service, Failing, password=SENTINEL).connect()
    assert caught.value.code == 7
    assert SENTINEL not in everything_said(caught.value)
    assert "bad ***" in str(caught.value.__cause__)


def test_a_failed_attempt_leaves_no_connection_behind(service: Service) -> None:
    class Late(TcpDuct):
        def _connect(self) -> None:
            super()._connect()
            raise RuntimeError("after all, no")

    with pytest.raises(DuctConnectionError, match="after all, no"):
        duct_for(service, Late).connect()
    assert (service.byes, service.sessions) == (1, 0)


def test_when_a_thread_cannot_even_begin_another_thread_keeps_its_connection(service: Service) -> None:
    class Prepared(TcpDuct):
        """Prepares in vain for one thread that wants it, while another connects."""

        trouble = threading.Event()
        go_on = threading.Event()

        def prepare(self) -> None:
            if threading.current_thread().name == "unlucky":
                self.trouble.set()
                wait(self.go_on)
                raise DuctConfigError("no luck")
            super().prepare()

    duct: Any = duct_for(service, Prepared)
    errors: list[BaseException] = []

    def unlucky() -> None:
        with pytest.raises(DuctConfigError) as caught:
            duct.connect()
        errors.append(caught.value)

    thread = threading.Thread(target=unlucky, name="unlucky", daemon=True)
    thread.start()
    wait(duct.trouble)
    duct.connect()
    duct.go_on.set()
    join([thread])
    assert [str(error) for error in errors] == ["no luck"]
    assert (duct.status.state, service.sessions) == ("connected", 1)


# Observers


def test_observers_hear_of_everything_in_order(service: Service) -> None:
    duct = duct_for(service)
    heard: list[tuple[str, str]] = []
    duct.status.observe(lambda change: heard.append((change["old"], change["new"])), names="state")
    duct.connect()
    service.stop()
    duct.is_connected()
    with pytest.raises(DuctServerUnreachable):
        duct.connect()
    service.start()
    duct.connect()
    duct.disconnect()
    assert heard == [
        ("disconnected", "connecting"),
        ("connecting", "connected"),
        ("connected", "lost"),
        ("lost", "disconnected"),
        ("disconnected", "connecting"),
        ("connecting", "failed"),
        ("failed", "connecting"),
        ("connecting", "connected"),
        ("connected", "disconnected"),
    ]


def test_an_observer_sees_the_state_the_reason_and_the_time_of_one_moment(service: Service) -> None:
    duct = duct_for(service)
    status, seen = duct.status, []
    before = status.since
    status.observe(
        lambda _: seen.append((status.state, status.last_error, status.since > before)), names="state"
    )
    service.stop()
    with pytest.raises(DuctServerUnreachable) as caught:
        duct.connect()
    assert seen == [("connecting", "", True), ("failed", str(caught.value), True)]


def test_observers_hear_how_many_statements_run(service: Service) -> None:
    duct = duct_for(service)
    heard: list[int] = []
    duct.status.observe(lambda change: heard.append(change["new"]), names=["running"])
    duct._life.begin_statement()
    duct._life.begin_statement()
    duct._life.end_statement()
    duct._life.end_statement()
    assert heard == [1, 2, 1, 0]


def test_observers_are_called_outside_the_lock(service: Service) -> None:
    duct = duct_for(service)
    free: list[bool] = []

    def look(_: object) -> None:
        def take() -> None:
            for lock in (duct._life.lock, duct._prepare_lock):
                free.append(lock.acquire(timeout=1))
                lock.release()

        join(run(take))

    duct.status.observe(look, names="state")
    duct.connect()
    duct.disconnect()
    assert free == [True] * 6


@pytest.mark.parametrize("state", ["connecting", "connected", "disconnected"])
@pytest.mark.parametrize(
    "use", [TcpDuct.connect, TcpDuct.disconnect, TcpDuct.is_connected, TcpDuct.reconnect, repr]
)
def test_an_observer_may_use_the_duct(service: Service, state: str, use: Callable[[Any], object]) -> None:
    duct = duct_for(service)
    seen: list[str] = []

    def look(change: Any) -> None:
        if change["new"] == state and len(seen) < 3:
            seen.append(state)
            use(duct)

    duct.status.observe(look, names="state")

    def live() -> None:
        for step in (duct.connect, duct.disconnect, duct.connect):
            try:
                step()
            except DuctConnectionError as error:
                assert "cancelled" in str(error)

    join(run(live))
    assert seen
    assert duct.status.state == duct._life.state
    duct.status.unobserve(look, names="state")
    assert duct.ask("x") == "x"


def test_an_observer_that_disconnects_while_it_is_connecting_is_obeyed(service: Service) -> None:
    duct = duct_for(service, Gated)
    duct.status.observe(lambda c: duct.disconnect() if c["new"] == "connecting" else None, names="state")
    with pytest.raises(DuctConnectionError, match="tcp: connecting was cancelled by disconnecting"):
        duct.connect()
    assert (duct.status.state, duct.status.last_error) == ("disconnected", "")
    assert duct.calls == []  # type: ignore[attr-defined]


def test_an_observer_that_disconnects_when_it_is_connected_is_obeyed(service: Service) -> None:
    duct = duct_for(service)
    duct.status.observe(lambda c: duct.disconnect() if c["new"] == "connected" else None, names="state")
    duct.connect()
    assert (duct.status.state, service.sessions) == ("disconnected", 0)


def test_an_observer_that_blocks_holds_up_nobody_else(service: Service) -> None:
    duct = duct_for(service)
    blocked, gate = threading.Event(), threading.Event()

    def block(change: Any) -> None:
        if change["new"] == "connected" and not gate.is_set():
            blocked.set()
            wait(gate)

    duct.status.observe(block, names="state")
    first = run(duct.connect)
    wait(blocked)
    assert duct.ask("x") == "x"
    assert duct.is_connected()
    duct.disconnect()
    duct.connect()
    assert len(service.logins) == 2
    gate.set()
    join(first)
    until(lambda: duct.status.state == "connected")


def test_an_observer_that_waits_for_another_thread_using_the_duct_is_no_deadlock(service: Service) -> None:
    duct = duct_for(service)

    def wait_for_another(change: Any) -> None:
        if change["new"] in ("connected", "disconnected"):
            join(run(duct.disconnect))

    duct.status.observe(wait_for_another, names="state")
    join(run(duct.connect))
    assert service.sessions == 0


def test_an_observer_that_raises_breaks_nothing_and_the_others_hear_all(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    duct = duct_for(service)
    heard: list[str] = []

    def broken(_: object) -> None:
        raise ZeroDivisionError("mine")

    duct.status.observe(broken)
    duct.status.observe(lambda change: heard.append(change["new"]), names="state")
    assert duct.ask("x") == "x"
    duct.disconnect()
    assert heard == ["connecting", "connected", "disconnected"]
    assert "an observer of a duct's state failed" in caplog.text
    duct.status.unobserve(broken)
    caplog.clear()
    duct.connect()
    assert caplog.text == ""


def test_a_statement_that_is_interrupted_before_it_begins_is_not_counted(service: Service) -> None:
    duct = duct_for(service).connect()

    def interrupted(_: object) -> None:
        duct.status.unobserve(interrupted, "running")
        raise KeyboardInterrupt

    duct.status.observe(interrupted, "running")
    with pytest.raises(KeyboardInterrupt):
        duct._life.begin_statement()
    assert (duct._life.running, duct._life._busy, duct.status.running) == (0, 0, 0)


def test_an_observer_that_is_interrupted_leaves_the_duct_usable(service: Service) -> None:
    for state in ("connecting", "connected", "disconnected"):
        duct = duct_for(service)

        def interrupt(change: Any, state: str = state) -> None:
            if change["new"] == state:
                duct.status.unobserve_all()  # noqa: B023
                raise KeyboardInterrupt

        duct.status.observe(interrupt, names="state")
        with pytest.raises(KeyboardInterrupt):
            duct.connect()
            duct.disconnect()
        join(run(duct.connect))
        assert duct.is_connected()


# Words


def test_a_repr_says_where_and_how_it_is_and_prepares_nothing(service: Service) -> None:
    def computed(_: Duct) -> str:
        raise AssertionError("prepared")

    duct = TcpDuct(name="tcp", protocol="lines", host=computed, username=True, password=SENTINEL)
    assert repr(duct) == "<TcpDuct 'tcp': lines at (computed), disconnected>"
    duct.host, duct.port = ["one", "two:7"], 5
    assert repr(duct) == "<TcpDuct 'tcp': lines at one:5, two:5, disconnected>"
    duct.host = "::1"
    assert repr(duct) == "<TcpDuct 'tcp': lines at [::1]:5, disconnected>"
    duct.remote = "bastion"
    assert repr(duct) == "<TcpDuct 'tcp': lines at [::1]:5 via bastion, disconnected>"
    assert not duct._prepared


def test_a_duct_that_nobody_holds_any_more_disconnects(service: Service) -> None:
    duct: Any = duct_for(service).connect()
    assert service.sessions == 1
    del duct
    gc.collect()
    assert (service.sessions, service.byes) == (0, 1)


def test_the_service_of_these_tests_is_a_real_one() -> None:
    with Service() as service:
        assert answers(service.port)
    assert not answers(service.port)
