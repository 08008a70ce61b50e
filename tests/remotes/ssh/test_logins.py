"""Logging in by SSH: keys, the agent, passwords and codes; what is asked, and what is said of a refusal."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.ssh_agent import Agent
from tests.services.sshd import SSHD
from tests.services.tcp import Answers, until

from omniduct.credentials import Question, prompting_with
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctPromptUnavailable,
    DuctServerUnreachable,
    Interrupted,
)
from omniduct.remotes.ssh import SSHClient
from omniduct.remotes.ssh.logins import _wants_password

Make = Callable[..., SSHClient]


@pytest.fixture(scope="module")
def strict() -> Iterator[SSHD]:
    """A server that wants a password and a code."""
    with SSHD(dialog=("password", "code")) as server:
        yield server


def client_of(server: SSHD, home: Home, **arguments: Any) -> SSHClient:
    home.knows(server)
    where = {"host": server.host, "port": server.port, "username": server.user}
    return SSHClient(name="bastion", **{**where, **arguments})


def who(client: SSHClient) -> str:
    return client.execute("whoami").stdout.decode().strip()


# Keys


def test_a_key_that_the_configuration_names_logs_in_without_a_question(
    server: SSHD, home: Home, bastion: Make
) -> None:
    home.configure(f"Host 127.*\n  IdentityFile {server.key}\n")
    person = Answers()
    with prompting_with(person):
        assert who(bastion()) == server.user
    assert person.asked == []


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_in_its_usual_place_logs_in(server: SSHD, home: Home, bastion: Make, kind: str) -> None:
    key = server.make_key(f"usual_{kind}", kind)
    (home.ssh / f"id_{kind}").write_bytes(key.read_bytes())
    assert who(bastion()) == server.user


def test_the_passphrase_of_a_key_is_asked_for_until_it_is_right_and_kept(
    server: SSHD, home: Home, bastion: Make
) -> None:
    home.configure(f"IdentityFile {server.locked_key}\n")
    client = bastion()
    person = Answers("wrong", server.passphrase)
    with prompting_with(person):
        assert who(client) == server.user
        client.reconnect()
        assert who(client) == server.user
        assert person.asked == [f"passphrase of {server.locked_key}"] * 2
        client.reset()
        person.given = [server.passphrase]
        assert who(client) == server.user
    assert len(person.asked) == 3


def test_the_agents_key_logs_in(
    server: SSHD, agent: Agent, bastion: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
    agent.add(server.locked_key, server.passphrase)
    assert who(bastion()) == server.user


def test_with_identities_only_the_agents_other_keys_are_left_alone(
    server: SSHD, home: Home, agent: Agent, bastion: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
    for number in range(8):  # more than the server lets anybody try
        agent.add(server.make_key(f"other{number}", accepted=False))
    agent.add(server.key)
    home.configure(f"IdentitiesOnly yes\nIdentityFile {server.key}\n")
    assert who(bastion()) == server.user
    home.configure("IdentitiesOnly no\n")
    complaint = r"other4 of the agent was refused; further keys were not tried \(name one with IdentityFile\)"
    with pytest.raises(DuctAuthenticationError, match=complaint):
        bastion(password=False).connect()


def test_a_key_that_is_refused_is_named_and_the_password_comes_next(
    server: SSHD, home: Home, bastion: Make
) -> None:
    stranger = server.make_key("stranger", accepted=False)
    home.configure(f"IdentityFile {stranger}\n")
    assert who(bastion(password=server.password)) == server.user
    with pytest.raises(DuctAuthenticationError) as caught:
        bastion(password=False).connect()
    where = f"{server.user}@{server.host}:{server.port}"
    assert str(caught.value) == (
        f"bastion: {where} refused the login: the key {stranger} was refused; it asks for a password, and "
        "there is none (password=False). It takes: keyboard-interactive, password, publickey"
    )


def test_a_file_that_is_no_key_is_named(server: SSHD, home: Home, bastion: Make) -> None:
    (home.ssh / "id_rsa").write_text("no key")
    with pytest.raises(DuctAuthenticationError, match=r"the key .*/id_rsa cannot be read: "):
        bastion(password=False).connect()


def test_a_server_that_wants_a_key_and_a_password_gets_both(home: Home) -> None:
    with SSHD(AuthenticationMethods="publickey,password") as server:
        home.configure(f"IdentityFile {server.key}\n")
        client = client_of(server, home, password=server.password)
        assert who(client) == server.user
        client.disconnect()
        with pytest.raises(DuctAuthenticationError, match="the password was refused"):
            client_of(server, home, password="wrong").connect()


# Passwords and codes


def test_the_ducts_own_password_serves_without_a_question(server: SSHD, bastion: Make) -> None:
    person = Answers()
    with prompting_with(person):
        assert who(bastion(password=server.password)) == server.user
    assert person.asked == []


def test_a_password_is_asked_for_only_when_no_key_serves(server: SSHD, home: Home, bastion: Make) -> None:
    home.configure(f"IdentityFile {server.key}\n")
    person = Answers()
    with prompting_with(person):
        assert who(bastion(password=True)) == server.user
    assert person.asked == []


@pytest.mark.parametrize("password", [None, True])
def test_a_password_that_was_typed_wrong_is_asked_for_again_and_the_right_one_kept(
    server: SSHD, bastion: Make, password: bool | None
) -> None:
    client = bastion(password=password)
    person = Answers("wrong", server.password)
    texts = []

    class Noting(Answers):
        def ask(self, question: Question) -> str | bool:
            texts.append(question.text)
            return person.ask(question)

    with prompting_with(Noting()):
        assert who(client) == server.user
        assert who(client.reconnect()) == server.user
    assert person.asked == ["password"] * 2
    assert texts == ["Password for bastion", "Password for bastion (the last one was refused)"]


def test_a_password_that_the_configuration_has_and_that_is_refused_is_not_asked_for(
    server: SSHD, bastion: Make
) -> None:
    person = Answers()
    client = bastion(password="pass-wrong")
    with prompting_with(person), pytest.raises(DuctAuthenticationError, match="refused the login") as caught:
        client.connect()
    assert person.asked == []
    assert "pass-wrong" not in str(caught.value)
    assert client.status.state == "failed"


def test_with_nobody_to_ask_it_fails_at_once_and_says_what_is_missing(server: SSHD, bastion: Make) -> None:
    begun = time.monotonic()
    with pytest.raises(DuctPromptUnavailable, match="bastion: its password has to be asked for"):
        bastion().connect()
    assert time.monotonic() - begun < 10  # not until the server gives up: that is after two minutes
    until(lambda: not server.connections())


def test_with_nobody_to_ask_the_key_that_has_a_passphrase_is_named(
    server: SSHD, home: Home, bastion: Make
) -> None:
    home.configure(f"IdentityFile {server.locked_key}\n")
    key = server.locked_key
    complaint = f"was not shown the key {key}: it has a passphrase, which nobody .* agent: ssh-add {key}"
    with pytest.raises(DuctPromptUnavailable, match=complaint):
        bastion().connect()


def test_smartcards_are_for_the_other_protocol(bastion: Make) -> None:
    with pytest.raises(DuctConfigError, match="bastion: smartcards are for the protocol ssh_cli"):
        bastion(smartcards={"card": "/usr/lib/card.so"}).connect()


def test_a_password_and_a_code_are_asked_for_and_the_code_each_time(strict: SSHD, home: Home) -> None:
    client = client_of(strict, home)
    person = Answers(strict.password, strict.code(), strict.code())
    with prompting_with(person):
        assert who(client) == strict.user
        assert who(client.reconnect()) == strict.user
    code = f"one-time password (oath) for `{strict.user}' for {strict.user}@{strict.host}:{strict.port}"
    assert [field.lower() for field in person.asked] == ["password", code, code]
    client.disconnect()


@pytest.mark.parametrize("has_password", [False, True])
def test_a_password_is_no_answer_to_a_question_for_a_one_time_password(
    home: Home, has_password: bool
) -> None:
    with SSHD(dialog=("code", "password")) as server:
        client = client_of(server, home, password=server.password if has_password else None)
        person = Answers(server.code(), *([] if has_password else [server.password]))
        with prompting_with(person):
            assert who(client) == server.user
        assert person.asked[0].lower().startswith("one-time password")
        assert "password" not in client._answers or client._answers["password"] == server.password
        client.disconnect()


@pytest.mark.parametrize(
    ("prompt", "wants"),
    [
        ("Password: ", True),
        ("password for ada@db: ", True),
        ("ada@db's password: ", True),
        ("(current) LDAP Password:", True),
        ("One-time password (OATH) for `ada': ", False),
        ("New password: ", False),
        ("OTP Password: ", False),
        ("Password or code: ", False),
    ],
)
def test_what_a_question_wants_is_told_by_its_words(prompt: str, wants: bool) -> None:
    assert _wants_password(prompt) is wants


def test_a_keepalive_of_zero_asks_nothing(server: SSHD, bastion: Make) -> None:
    client = bastion(password=server.password, keepalive=0).connect()
    time.sleep(0.3)
    assert (client.status.state, client.is_connected()) == ("connected", True)


def test_who_answers_may_take_long_and_the_machine_may_not_afterwards(server: SSHD, bastion: Make) -> None:
    client = bastion(password=server.password).connect()
    assert client._line is not None
    assert client._line.transport.auth_timeout == 30


def test_a_code_that_was_mistyped_is_asked_for_again(strict: SSHD, home: Home) -> None:
    client = client_of(strict, home, password=strict.password)
    person = Answers("000000", strict.code())
    with prompting_with(person):
        assert who(client) == strict.user
    assert person.given == []
    client.disconnect()


def test_codes_and_passwords_are_in_no_error(strict: SSHD, home: Home) -> None:
    client = client_of(strict, home)
    person = Answers(*["pass-wrong", "code-wrong"] * 3)
    with prompting_with(person), pytest.raises(DuctAuthenticationError) as caught:
        client.connect()
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert person.given == []
    assert not any("wrong" in f"{error!r}" for error in chain)


def test_an_interrupted_question_leaves_no_connection(server: SSHD, bastion: Make) -> None:
    class Interrupting(Answers):
        def ask(self, question: Question) -> str | bool:
            raise KeyboardInterrupt

    client = bastion()
    with prompting_with(Interrupting()), pytest.raises(Interrupted, match="was not told its password"):
        client.connect()
    assert client.status.state == "disconnected"
    until(lambda: not server.connections())
    with prompting_with(Answers(server.password)):
        assert who(client) == server.user


def test_a_person_who_takes_longer_than_the_machine_waits_is_not_asked_again(home: Home) -> None:
    with SSHD(LoginGraceTime="1") as server:

        class Slow(Answers):
            def ask(self, question: Question) -> str | bool:
                time.sleep(2)
                return super().ask(question)

        client = client_of(server, home)
        person = Slow(server.password)
        with prompting_with(person):
            assert who(client) == server.user
        assert person.asked == ["password"]
        client.disconnect()


def test_a_cell_takes_over_what_a_row_of_the_panel_is_asking(server: SSHD, bastion: Make) -> None:
    class Row:
        patient = True

        def __init__(self) -> None:
            self.asked, self.gone = threading.Event(), threading.Event()

        def can_ask(self) -> bool:
            return True

        def ask(self, question: Question) -> str | bool:
            from omniduct.credentials import Withdrawn

            self.asked.set()
            assert self.gone.wait(30)
            raise Withdrawn

        def withdraw(self, question: Question) -> None:
            self.gone.set()

    row, client = Row(), bastion()

    def click() -> None:
        with prompting_with(row):
            client.connect()

    thread = threading.Thread(target=click)
    thread.start()
    assert row.asked.wait(30)
    person = Answers(server.password)
    with prompting_with(person):
        assert who(client) == server.user
    thread.join(30)
    assert not thread.is_alive()
    assert person.asked == ["password"]
    until(lambda: server.connections() == 1)


def test_a_server_that_lets_nobody_in_is_told_from_one_that_is_gone(server: SSHD, bastion: Make) -> None:
    with pytest.raises(DuctConnectionError, match=r"nothing answers at 127\.0\.0\.1:1: connection"):
        bastion(port=1).connect()
    with pytest.raises(DuctConnectionError, match=r"the host 'nowhere\.invalid' is unknown"):
        bastion(host="nowhere.invalid").connect()


def test_a_machine_that_is_reached_and_says_nothing_is_said_so(
    bastion: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SSHClient, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        complaint = r"bastion: 127\.0\.0\.1:\d+ was reached, and has said nothing within 0\.5 s"
        with pytest.raises(DuctServerUnreachable, match=complaint):
            bastion(port=silent.getsockname()[1]).connect()
