"""A login in the browser: who sees the link, who follows it, and how often."""

from __future__ import annotations

import io
import queue
import re
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.services.couriers import request, who
from tests.services.pretending import COLUMNS, Answer, Asked, Pretender, compact, coordinator, duct_to, page
from tests.services.tcp import until, waiting_in
from tests.services.trino import Trino

from omniduct.credentials import Secret
from omniduct.databases.presto import TrinoClient, heartbeat, oauth2
from omniduct.databases.presto import authentication as logins
from omniduct.databases.presto.oauth2 import _Login
from omniduct.databases.presto.transport import Courier
from omniduct.databases.session.running import Session
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctPromptUnavailable,
    DuctStatementError,
)

Sit = Callable[[], "Person"]
LINK = re.compile(r"log in at (https://\S+)")

pytestmark = pytest.mark.usefixtures("no_environment")


class Person(io.StringIO):
    """A terminal, and a person who follows each link that is printed there.

    Parameters
    ----------
    follow : callable
        What the person does with a link.
    """

    def __init__(self, follow: Callable[[str], object]) -> None:
        super().__init__()
        self.follow = follow
        self.links: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if found := LINK.search(text):
            self.links.append(found[1])
            threading.Thread(target=self.follow, args=(found[1],), daemon=True).start()
        return super().write(text)


def deny(url: str, server: Trino) -> None:
    """Follow a link, and come back as who did not want to: the provider of these tests forgets the state."""
    trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(server.ca)))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
    opener.add_handler(urllib.request.HTTPCookieProcessor())
    with opener.open(url, timeout=20) as form:
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(form.url).query)
    answer = urllib.parse.urlencode({"error": "access_denied", "state": asked["state"][0]})
    opener.open(f"{asked['redirect_uri'][0]}?{answer}", timeout=20).close()


@pytest.fixture
def sit(trino_server: Trino, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Person]:
    """Have a person sit at the terminal, without a browser to open, who logs in as alice.

    In the test itself: before, pytest puts a terminal of its own there.
    """
    issuer, ca = trino_server.issuer, trino_server.ca
    assert issuer is not None

    def sit() -> Person:
        person = Person(lambda url: issuer.log_in(url, "alice", ca))
        monkeypatch.setattr(sys, "stdin", person)
        monkeypatch.setattr(sys, "stderr", person)
        for display in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(display, raising=False)
        return person

    return sit


class Sending:
    """Requests of one duct, as its statements make them."""

    def __init__(self, duct: TrinoClient) -> None:
        duct.prepare()
        self.courier = Courier(duct)
        self._sender = request(self.courier, duct, logins.authentication(duct), attempts=3)

    def __call__(self, _: object = None) -> int:
        return self._sender.post("SELECT 1").status_code


@pytest.fixture
def sending(trino: Any) -> Iterator[Callable[..., Sending]]:
    made: list[Sending] = []

    def make(**options: Any) -> Sending:
        duct = trino(auth="oauth2", auth_options=options)
        made.append(Sending(duct))
        made[-1].duct = duct  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for each in made:
        each.courier.close()


def test_one_logs_in_once_until_reset(sit: Sit, trino: Any) -> None:
    person = sit()
    duct = trino(auth="oauth2")
    assert who(duct) == who(duct) == "alice"
    duct.reconnect()
    assert who(duct) == "alice"
    assert person.getvalue() == f"tri: log in at {person.links[0]}\ntri: logged in\n"
    assert re.search(r"token.*<secret>", repr(vars(duct)))
    duct.reset()
    assert who(duct) == "alice"
    assert len(person.links) == 2


def test_threads_share_one_login(sit: Sit, sending: Any) -> None:
    person = sit()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sending(), range(10))) == [200] * 10
    assert len(person.links) == 1


def test_a_token_that_is_refused_is_replaced_once_for_all_threads(sit: Sit, sending: Any) -> None:
    person = sit()
    send = sending()
    assert send() == 200
    answers = send.duct._answers
    (field,) = answers
    answers[field] = Secret("expired")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(10))) == [200] * 10
    assert len(person.links) == 2


def test_who_logs_in_as_somebody_else_is_let_in_as_that(trino_server: Trino, sit: Sit, trino: Any) -> None:
    person = sit()
    issuer = trino_server.issuer
    assert issuer is not None
    person.follow = lambda url: issuer.log_in(url, "bob", trino_server.ca)
    assert who(trino(auth="oauth2")) == "bob"


def test_a_login_that_is_denied_is_refused(trino_server: Trino, sit: Sit, trino: Any) -> None:
    person = sit()
    person.follow = lambda url: deny(url, trino_server)
    with pytest.raises(DuctAuthenticationError, match=r"tri: the login was refused: .*access_denied"):
        trino(auth="oauth2").connect()
    assert person.getvalue().endswith("tri: the login was given up\n")


def test_the_wait_for_a_login_ends(sit: Sit, sending: Any) -> None:
    person = sit()
    person.follow = lambda url: None
    send = sending(timeout=0.5)
    failures: list[DuctError] = []

    def try_it(_: int) -> None:
        with pytest.raises(DuctAuthenticationError, match=r"nobody has logged in within 0\.5 s") as raised:
            send()
        failures.append(raised.value)

    began = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(try_it, range(3)))
    assert time.monotonic() - began < 3
    assert len(person.links) == 1
    assert len(set(map(id, failures))) == 3


def test_a_statement_that_is_cancelled_waits_no_longer_and_who_waits_too_takes_over(
    sit: Sit, sending: Any
) -> None:
    person = sit()
    log_in, person.follow = person.follow, lambda url: None
    send = sending()
    outcomes: dict[Session, object] = {}

    def run(session: Session) -> None:
        try:
            outcomes[session] = session.run(send, lambda: None)
        except DuctStatementError as error:
            outcomes[session] = error

    sessions = first, second, third = [Session(f"session {n}") for n in range(3)]
    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in sessions]
    threads[0].start()
    until(lambda: person.links, "the link")
    for thread in threads[1:]:
        thread.start()
    until(lambda: waiting_in(_Login.join) == 2, "those who wait for the first")
    assert third.cancel(lambda: None)
    until(lambda: third in outcomes, "the end of one that only waits")
    person.follow = log_in
    assert first.cancel(lambda: None)
    for thread in threads:
        thread.join(20)
    assert isinstance(outcomes[first], DuctStatementError)
    assert isinstance(outcomes[third], DuctStatementError)
    assert outcomes[second] == 200
    assert len(person.links) == 2
    for session in sessions:
        session.close(lambda: None)


def test_with_nobody_to_log_in_it_fails_at_once(trino: Any) -> None:
    began = time.monotonic()
    with pytest.raises(DuctPromptUnavailable, match=r"nobody to follow the link.*password: env:TRI_TOKEN"):
        trino(auth="oauth2").connect()
    assert time.monotonic() - began < 3


def test_a_login_does_not_go_on_without_tls(trino_server: Trino, sit: Sit, trino: Any) -> None:
    person = sit()
    duct = trino(auth="oauth2")
    duct.prepare()
    courier = Courier(duct)
    sender = request(courier, duct, logins.authentication(duct))
    with pytest.raises(DuctConnectionError, match="without TLS"):
        sender.post("SELECT 1", {"X-Forwarded-Proto": "http"})
    assert person.getvalue() == ""
    courier.close()


def test_the_link_to_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth2, "_NO_ANSWER", 0.2)
    monkeypatch.setattr(oauth2, "_PAUSE", 0.1)
    duct = TrinoClient(name="tri", host="127.0.0.1", port=1)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    asking = oauth2._Asking("tri", Courier(duct), answers, threading.Event())
    asking.run("http://127.0.0.1:1/oauth2/token/s3ntinel?x=s3ntinel")
    error = answers.get(timeout=5)
    assert str(error) == (
        "tri: the server does not give the token of the login, at http://127.0.0.1:1: ConnectionError"
    )
    assert (error.__cause__, error.__context__) == (None, None)


def test_nothing_but_a_statement_asks_anybody_to_log_in(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, no_environment: None
) -> None:
    """A pretended coordinator: its tokens expire when a test says so."""
    monkeypatch.setattr(heartbeat, "EVERY", 0.5)
    person, valid = sit(), ["first"]

    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/token"):
            return Answer(200, compact({"token": valid[0]} if valid else {"nextUri": asked.url + asked.path}))
        if f"Bearer {''.join(valid)}" != asked.headers["Authorization"]:
            offer = f'Bearer x_redirect_server="{asked.url}/login", x_token_server="{asked.url}/token/1"'
            return Answer(401, "", {"WWW-Authenticate": offer})
        number = 0 if asked.method == "POST" else int(asked.path.rpartition("/")[2])
        return Answer(200, compact(page(asked, number + 1, columns=COLUMNS, data=[[number]])))

    own: Any = {"auth": "oauth2", "allow_cleartext_password": True}
    with Pretender(coordinator(answer)) as server, duct_to(server, **own) as duct:
        rows = duct.stream("SELECT x FROM t", batch=1)
        next(rows)
        said = person.getvalue()
        valid.clear()
        until(lambda: server.times("HEAD") >= 2, "heartbeats")
        rows.close()
        until(lambda: server.times("DELETE") >= 1, "the cancel")
        assert person.getvalue() == said


# The keyring


@pytest.fixture
def keyring(tmp_path: Any) -> Iterator[Any]:
    """A keyring of this test's own, in a file."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    former = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(former)


def test_a_token_is_kept_in_the_keyring_only_where_that_is_wanted(sit: Sit, trino: Any, keyring: Any) -> None:
    person = sit()
    assert who(trino(auth="oauth2")) == "alice"
    assert not open_file(keyring)
    assert who(trino(auth="oauth2", auth_options={"keyring": True})) == "alice"
    assert open_file(keyring)
    assert len(person.links) == 2
    assert who(trino(auth="oauth2", auth_options={"keyring": True})) == "alice"
    assert len(person.links) == 2


def open_file(keyring: Any) -> str:
    """What a keyring has in its file."""
    try:
        with open(keyring.file_path) as file:
            return file.read()
    except FileNotFoundError:
        return ""
