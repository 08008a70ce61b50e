"""Logging in through OpenSSH's program: keys, passwords, codes, trust, and who is asked."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.leftovers import nothing_is_left
from tests.services.networks import Network
from tests.services.openssh import Files
from tests.services.ports import LOOPBACK
from tests.services.softhsm import Card
from tests.services.ssh_agent import Agent
from tests.services.sshd import SSHD

from omniduct.credentials import Question, prompting_with
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctPromptUnavailable,
    DuctServerUnreachable,
    DuctWarning,
)
from omniduct.remotes.ssh.openssh.client import OpenSSHClient


class Person:
    """Answers from a list."""

    patient = False

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    def can_ask(self) -> bool:
        return True

    def ask(self, question: Question) -> str | bool:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer  # type: ignore[no-any-return]

    def withdraw(self, question: Question) -> None:
        raise AssertionError("it is not patient")

    @property
    def texts(self) -> list[str]:
        return [question.text for question in self.asked]


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"]) as server:
        yield server


def bastion(server: SSHD, **arguments: Any) -> OpenSSHClient:
    given = {"host": server.host, "port": server.port, "username": server.user, **arguments}
    return OpenSSHClient(name="bastion", **given)


def trusting(files: Files, *servers: SSHD) -> None:
    files.known_hosts.write_text("".join(server.known_hosts() for server in servers))


def with_key(files: Files, server: SSHD, key: Path | None = None, text: str = "") -> None:
    files.configure(f"{text}\nIdentityFile {key or server.key}\n")
    trusting(files, server)


# Keys


def test_a_key_of_the_configuration_logs_in_without_a_question(server: SSHD, files: Files) -> None:
    with_key(files, server)
    person = Person()
    with prompting_with(person):
        duct = bastion(server).connect()
    assert duct.is_connected() and person.asked == []
    assert duct.execute("whoami").stdout == f"{server.user}\n".encode()
    duct.disconnect()
    assert not duct.is_connected()


def test_a_passphrase_is_asked_for_and_kept_until_reset(server: SSHD, files: Files) -> None:
    with_key(files, server, server.locked_key)
    person = Person("wrong", server.passphrase, server.passphrase)
    with prompting_with(person):
        duct = bastion(server).connect()
        text = f"Passphrase of {server.locked_key}"
        assert person.texts == [text, f"{text} (the last one was refused)"]
        duct.reconnect()
        assert len(person.asked) == 2
        duct.reset().connect()
        assert person.texts[2:] == [text]
    duct.disconnect()


def test_without_anybody_to_ask_another_key_is_tried_before_the_passphrase_is_missed(
    server: SSHD, files: Files
) -> None:
    with_key(files, server, text=f"IdentityFile {server.locked_key}")
    bastion(server).connect().disconnect()
    with_key(files, server, server.locked_key, text="PreferredAuthentications publickey")
    with pytest.raises(DuctPromptUnavailable, match=r"its passphrase of .*locked_key has to be asked for"):
        bastion(server).connect()


def test_the_agent_logs_in(server: SSHD, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(files, server)
    with Agent() as agent:
        agent.add(server.locked_key, server.passphrase)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        bastion(server).connect().disconnect()


def test_a_smartcard_logs_in_with_its_pin_which_is_kept(
    server: SSHD, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card(tmp_path, server.make_key("card", "rsa"))
    monkeypatch.setenv(*next(iter(card.environment.items())))
    files.configure("PreferredAuthentications publickey\n")
    trusting(files, server)
    person = Person(card.pin)
    duct = bastion(server, smartcards={"old": "/nowhere/lib.so", "card": str(card.library)})
    with prompting_with(person):
        duct.connect().reconnect()
    assert [(question.text, question.kind) for question in person.asked] == [("PIN of 'card'", "secret")]
    duct.disconnect()
    with pytest.raises(DuctConfigError, match=r"none of the libraries of its smartcards is there: /nowhere"):
        bastion(server, smartcards={"old": "/nowhere/lib.so"}).connect()


# Passwords and codes


def test_the_password_of_the_duct_logs_in_without_a_question(server: SSHD, files: Files) -> None:
    trusting(files, server)
    person = Person()
    with prompting_with(person):
        bastion(server, password=lambda duct: server.password).connect().disconnect()
    assert person.asked == []


def test_a_password_is_asked_for_and_kept_until_reset(server: SSHD, files: Files) -> None:
    trusting(files, server)
    person = Person("wrong", server.password, server.password)
    with prompting_with(person):
        duct = bastion(server).connect()
        text = f"Password for {server.user}@{server.host}"
        assert person.texts == [text, f"{text} (the last one was refused)"]
        duct.reconnect()
        assert len(person.asked) == 2
        duct.reset().connect()
        assert person.texts[2:] == [text]
    duct.disconnect()


def test_a_password_that_is_to_be_asked_for_is_asked_for_again_when_it_was_refused(
    server: SSHD, files: Files
) -> None:
    trusting(files, server)
    person = Person("wrong", server.password)
    with prompting_with(person):
        bastion(server, password=True).connect().disconnect()
    assert person.texts == ["Password for bastion", "Password for bastion (the last one was refused)"]


def test_a_password_that_is_refused_is_told_where_nobody_can_be_asked(server: SSHD, files: Files) -> None:
    trusting(files, server)
    begun = time.monotonic()
    with pytest.raises(
        DuctAuthenticationError, match=f"bastion: {server.user}@.* refused the password"
    ) as caught:
        bastion(server, password="s3cret-swordfish").connect()
    assert "swordfish" not in str(caught.value)
    with pytest.raises(DuctPromptUnavailable, match=r"its password for .* has to be asked for"):
        bastion(server).connect()
    assert time.monotonic() - begun < 10


def test_a_password_is_followed_by_a_code_which_is_asked_for_each_time(files: Files) -> None:
    with SSHD(dialog=["password", "code"], kinds=["ed25519"]) as server:
        trusting(files, server)
        person = Person(server.password, server.code, server.code)
        with prompting_with(person):
            duct = bastion(server).connect().reconnect()
        assert [question.kind for question in person.asked] == ["secret"] * 3
        assert person.texts[0] == f"Password for {server.user}@{server.host}"
        assert "one-time password" in person.texts[1].lower()
        assert person.texts[1] == person.texts[2]
        duct.disconnect()


def test_an_interrupt_at_a_question_ends_the_attempt_and_the_next_one_works(
    server: SSHD, files: Files
) -> None:
    trusting(files, server)
    duct = bastion(server)
    with prompting_with(Person(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
        duct.connect()
    assert duct.status.state == "disconnected"
    assert files.processes() == []
    with prompting_with(Person(server.password)):
        duct.connect().disconnect()


def test_no_secret_is_on_a_command_line_in_a_variable_or_in_a_file(server: SSHD, files: Files) -> None:
    trusting(files, server)
    password, seen = server.password, []
    duct = bastion(server, password=lambda _: password)

    def looked_at() -> bool:
        for process in files.processes():
            seen.append(" ".join([*process.cmdline(), *process.environ().values()]))
            folder = Path(process.environ().get("SSH_ASKPASS", "/none")).parent
            seen.extend(file.read_text() for file in folder.glob("askpass*"))
            assert not folder.exists() or stat.S_IMODE(folder.stat().st_mode) == 0o700
        return True

    files.known_hosts.unlink()
    with prompting_with(Person(looked_at)):
        duct.connect()
    looked_at()
    duct.disconnect()
    assert len(seen) > 5
    assert not any(password in text for text in seen)


# Trust


def test_a_machine_that_nobody_knows_is_asked_about_and_remembered(server: SSHD, files: Files) -> None:
    with_key(files, server)
    files.known_hosts.unlink()
    person = Person(True)
    with prompting_with(person):
        bastion(server).connect().disconnect()
    [question] = person.asked
    assert question.kind == "confirm"
    assert f"Its ED25519 key is {server.fingerprint()}. Trust it" in question.text
    bastion(server).connect().disconnect()


def test_a_machine_that_is_not_trusted_gets_no_login(server: SSHD, files: Files) -> None:
    before = server.log().count("Failed password")
    for prompts, match in [
        (prompting_with(Person(False)), "you did not trust .* so nothing was sent there"),
        (
            prompting_with(_Nobody()),
            f"there is nobody to ask. Its ED25519 key is {re.escape(server.fingerprint())}",
        ),
    ]:
        with prompts, pytest.raises(DuctConnectionError, match=match):
            bastion(server, password="s3cret").connect()
    assert not files.known_hosts.exists()
    assert server.log().count("Failed password") == before


class _Nobody(Person):
    def can_ask(self) -> bool:
        return False


def test_a_key_that_has_changed_is_refused_with_both_fingerprints_and_what_to_do(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as server:
        with_key(files, server)
        former = server.fingerprint()
        server.change_host_keys()
        person = Person()
        with prompting_with(person), pytest.raises(DuctConnectionError) as caught:
            bastion(server, password="s3cret").connect()
        assert person.asked == []
        said = str(caught.value)
        for part in (
            former,
            server.fingerprint(),
            f"{files.known_hosts}, line 1",
            "nothing was sent",
            "ssh-keygen -R",
        ):
            assert part in said
        assert not isinstance(caught.value, DuctAuthenticationError)


def test_without_the_check_of_keys_there_is_a_warning_and_nothing_is_remembered(
    server: SSHD, files: Files
) -> None:
    files.configure(f"IdentityFile {server.key}\n")
    with pytest.warns(DuctWarning, match="anybody in between may pass for"):
        bastion(server, check_known_hosts=False).connect().disconnect()
    assert not files.known_hosts.exists()


def test_a_configuration_that_trusts_everybody_does_not_hold(server: SSHD, files: Files) -> None:
    files.configure(f"IdentityFile {server.key}\nStrictHostKeyChecking no\n")
    with prompting_with(Person(False)), pytest.raises(DuctConnectionError, match="you did not trust"):
        bastion(server).connect()


# Where it is


def test_a_name_of_the_configuration_brings_its_host_port_and_user(server: SSHD, files: Files) -> None:
    named = f"Host far\n HostName {server.host}\n Port {server.port}\n User {server.user}\n"
    files.configure(f"{named} IdentityFile {server.key}\n")
    trusting(files, server)
    duct = OpenSSHClient(name="far", host="far").connect()
    assert duct.execute("whoami").stdout.decode().strip() == server.user
    duct.disconnect()
    with pytest.raises(
        DuctServerUnreachable, match=r"port 22: Connection refused|port 1: Connection refused"
    ):
        OpenSSHClient(name="far", host="far", port=1).connect()
    with pytest.raises(DuctAuthenticationError, match=f"stranger@{server.host} refused the login"):
        person = Person("x", "x", "x")
        files.configure(f"{named} NumberOfPasswordPrompts 1\n")
        with prompting_with(person):
            OpenSSHClient(name="far", host="far", username="stranger").connect()


def test_what_else_the_configuration_wants_of_a_session_does_not_get_in_the_way(
    server: SSHD, files: Files
) -> None:
    wishes = "BatchMode yes\nRemoteCommand false\nRequestTTY force\nControlMaster auto\nControlPersist 60\n"
    taken = (
        f"ControlPath {files.folder}/own\nLogLevel QUIET\nLocalForward {LOOPBACK}:{server.port} nowhere:1\n"
    )
    with_key(files, server, text=f"{wishes}{taken}ExitOnForwardFailure yes\n")
    duct = bastion(server).connect()
    assert duct.execute("echo hello").stdout == b"hello\n"
    duct.disconnect()
    assert not (files.folder / "own").exists()
    files.known_hosts.unlink()
    with prompting_with(Person(True)):
        bastion(server).connect().disconnect()


def test_variables_are_sent_that_the_configuration_says_to_send(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_TRIP", "there and back")
    monkeypatch.setenv("LC_", "x")
    monkeypatch.setenv("HOMEWARD", "no")
    with SSHD(kinds=["ed25519"], AcceptEnv="LC_* HOMEWARD") as server:
        with_key(files, server, text="SendEnv LC_T*\n")
        duct = bastion(server).connect()
        assert duct.execute('echo "$LC_TRIP$HOMEWARD"').stdout == b"there and back\n"
        duct.disconnect()


def test_a_jump_is_asked_about_for_itself_and_is_not_told_the_password_of_the_duct(files: Files) -> None:
    with Network("jump", "far") as network:
        jump, far = (
            network["jump"].runs(SSHD(kinds=["ed25519"])),
            network["far"].runs(SSHD(kinds=["ed25519"])),
        )
        with jump, far:
            network.hide("far")
            files.configure(f"Host {far.host}\n ProxyJump {jump.user}@{jump.host}:{jump.port}\n")
            trusting(files, jump, far)
            person = Person(jump.password)
            with prompting_with(person):
                duct = bastion(far, password=lambda _: far.password).connect()
            assert person.texts == [f"Password for {jump.user}@{jump.host}"]
            assert duct.execute("pwd").stdout.decode().strip() == str(far.user_home)
            duct.disconnect()


def test_a_jump_with_the_name_and_user_of_the_machine_is_not_told_its_password(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as jump, SSHD(kinds=["ed25519"]) as far:
        assert (jump.user, jump.host) == (far.user, far.host) and jump.password != far.password
        place = f"Host far\n HostName {far.host}\n Port {far.port}\n User {far.user}\n"
        files.configure(f"{place} ProxyJump {jump.user}@{jump.host}:{jump.port}\n")
        trusting(files, jump, far)
        person = Person(jump.password)
        with prompting_with(person):
            duct = OpenSSHClient(name="bastion", host="far", password=lambda _: far.password).connect()
        assert person.texts == [f"Password for {jump.user}@far, on the way"]
        assert duct.execute("pwd").stdout.decode().strip() == str(far.user_home)
        duct.disconnect()


def test_through_a_remote_the_key_of_the_far_machine_is_checked_under_its_own_name(files: Files) -> None:
    with Network("near", "far") as network:
        near, far = (
            network["near"].runs(SSHD(kinds=["ed25519"])),
            network["far"].runs(SSHD(kinds=["ed25519"])),
        )
        with near, far:
            files.configure(f"IdentityFile {near.key}\nIdentityFile {far.key}\n")
            trusting(files, near, far)
            first = bastion(near)
            second = OpenSSHClient(name="far", host=far.host, port=far.port, username=far.user, remote=first)
            assert second.connect().execute("pwd").stdout.decode().strip() == str(far.user_home)
            assert second.host == LOOPBACK
            second.disconnect()
            far.change_host_keys()
            with pytest.raises(
                DuctConnectionError, match=rf"the key of \[?{far.host}.* is not the one that is known"
            ):
                second.connect()
            first.disconnect()


def test_through_a_remote_the_password_of_the_duct_serves_without_a_question(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as near, SSHD(kinds=["ed25519"]) as far:
        files.configure(f"IdentityFile {near.key}\n")
        trusting(files, near, far)
        first = bastion(near)
        second = bastion(far, password=far.password, remote=first)
        assert second.execute("whoami").stdout.decode().strip() == far.user
        second.disconnect()
        first.disconnect()


# What goes wrong


def test_what_goes_wrong_is_one_sentence_of_the_fitting_kind(
    server: SSHD, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(files, server)
    with pytest.raises(DuctServerUnreachable, match=r"bastion: .*Connection refused"):
        bastion(server, port=1).connect()
    with pytest.raises(DuctServerUnreachable, match=r"Could not resolve hostname nowhere.invalid"):
        bastion(server, host="nowhere.invalid").connect()
    with pytest.raises(DuctAuthenticationError, match=r"asks for a password, and the duct has none"):
        bastion(server, password=False).connect()
    files.configure("PreferredAuthentications publickey\n")
    with pytest.raises(
        DuctAuthenticationError, match=r"refused the login. It takes: publickey, password, key"
    ):
        bastion(server).connect()
    with pytest.raises(DuctConfigError, match="bastion: it has no host"):
        OpenSSHClient(name="bastion").connect()
    with pytest.raises(DuctConfigError, match="or the host: hostname contains invalid characters"):
        bastion(server, host="-oProxyCommand=false").connect()
    files.configure("Nonsense yes\n")
    with pytest.raises(
        DuctConfigError,
        match=r"bastion: ssh does not take its configuration, or the host: .*line 1: Bad .*nonsense",
    ):
        bastion(server).connect()
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(DuctDriverMissing, match="needs OpenSSH's program ssh, which is not installed"):
        bastion(server).connect()


def test_a_machine_that_does_not_answer_is_given_up(server: SSHD, files: Files) -> None:
    class Impatient(OpenSSHClient):
        CONNECT_TIMEOUT = 1.0

    trusting(files, server)
    begun = time.monotonic()
    server.freeze()
    try:
        with pytest.raises(DuctServerUnreachable, match="timed out"):
            Impatient(name="bastion", host=server.host, port=server.port, username=server.user).connect()
    finally:
        server.thaw()
    assert time.monotonic() - begun < 5


def test_a_failure_leaves_nothing(server: SSHD, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(files, server)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with nothing_is_left(), pytest.raises(DuctAuthenticationError):
            bastion(server, password=False).connect()
        assert os.listdir(folder) == []


def test_a_temporary_folder_with_a_long_path_or_without_programs_is_no_trouble(
    server: SSHD, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(files, server)
    long = tmp_path / ("x" * 80)
    long.mkdir()
    for folder in (str(long), "/proc", "/dev/mqueue"):
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with prompting_with(Person(server.password)):
            bastion(server).connect().disconnect()
    assert list(long.iterdir()) == []
