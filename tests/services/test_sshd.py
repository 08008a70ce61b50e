"""The throwaway SSH server and agent do what tests rely on."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from tests.services import sshd as module
from tests.services.guard import have_ended, of_user
from tests.services.networks import Network
from tests.services.ssh_agent import Agent
from tests.services.sshd import SSHD

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds

# Answers the questions of a client in turn, and writes them down.
ASKPASS = """#!/bin/sh
echo "$1" >>{folder}/questions
head -n 1 {folder}/answers
sed -i 1d {folder}/answers
"""

# Starts a server with a command of its user that outlives its connection, and waits for its end.
PROGRAM = """
import subprocess, sys
from tests.services.sshd import SSHD
server = SSHD()
server.start()
subprocess.run([*server.client(), "setsid sleep 600 >/dev/null 2>&1 </dev/null &"], check=True)
server.freeze()
print(server.pid, server.port, server.home, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD() as server:
        yield server


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent() as agent:
        yield agent


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def done(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def answered(
    folder: Path, command: Sequence[str], *answers: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """What a command did whose questions were answered so, and the questions."""
    program, questions = folder / "askpass", folder / "questions"
    program.write_text(ASKPASS.format(folder=folder))
    program.chmod(0o700)
    questions.write_text("")
    (folder / "answers").write_text("".join(f"{answer}\n" for answer in answers))
    outcome = done(command, SSH_ASKPASS=str(program), SSH_ASKPASS_REQUIRE="force", DISPLAY="none")
    return outcome, questions.read_text().splitlines()


def only(method: str) -> list[str]:
    """Options of a client that tries one way of logging in, once."""
    keys = [] if method == "publickey" else ["-o", "PubkeyAuthentication=no"]
    return ["-o", f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1", *keys]


@contextlib.contextmanager
def connected(server: SSHD, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Within this block one client is logged in, and runs a command or forwards alone."""
    until(lambda: not server.connections())  # those before may be about to end
    options = [] if words else ["-N"]
    with subprocess.Popen([*server.client(*options), *words], stderr=subprocess.DEVNULL) as process:
        try:
            until(server.sessions)
            yield process
        finally:
            process.kill()
    until(lambda: not server.connections())


def test_its_keys_log_in_and_no_other(server: SSHD) -> None:
    assert done([*server.client(), "whoami"]).stdout == f"{server.user}\n"
    stranger = server.make_key("stranger", accepted=False)
    assert "Permission denied" in done([*server.client(key=stranger), "true"]).stderr
    later = server.make_key("later", "rsa")
    assert done([*server.client(key=later), "true"]).returncode == 0


def test_the_locked_key_needs_the_passphrase(server: SSHD, tmp_path: Path) -> None:
    command = [*server.client(*only("publickey"), key=server.locked_key), "true"]
    for passphrase, code in [(server.passphrase, 0), ("wrong", 255)]:
        outcome, questions = answered(tmp_path, command, passphrase)
        assert outcome.returncode == code
        assert "passphrase" in questions[0]


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_the_password_logs_in_and_no_other(server: SSHD, tmp_path: Path, method: str) -> None:
    for password, code in [(server.password, 0), ("wrong", 255), ("", 255)]:
        outcome, questions = answered(tmp_path, [*server.client(*only(method)), "true"], password)
        assert outcome.returncode == code, outcome.stderr
        assert "assword:" in questions[0]


def test_it_asks_for_the_password_and_then_for_a_code_that_holds_once(tmp_path: Path) -> None:
    with SSHD(dialog=["password", "code"]) as server:
        command = [*server.client(*only("keyboard-interactive")), "true"]
        first, second, third = (server.code() for _ in range(3))
        for password, code, expected in [
            (server.password, first, 0),
            (server.password, first, 255),
            (server.password, "000000", 255),
            ("wrong", second, 255),
            (server.password, third, 0),
        ]:
            outcome, questions = answered(tmp_path, command, password, code)
            assert outcome.returncode == expected, server.log()
            assert [question.split()[-1] for question in questions] == ["Password:", f"`{server.user}':"]
        outcome, questions = answered(tmp_path, [*server.client(*only("password")), "true"], server.password)
        assert (outcome.returncode, questions) == (255, [])


def test_it_can_ask_for_a_key_and_then_for_a_code(tmp_path: Path) -> None:
    methods = "publickey,keyboard-interactive"
    with SSHD(dialog=["code"], AuthenticationMethods=methods) as server:
        command = server.client("-o", f"PreferredAuthentications={methods}")
        outcome, questions = answered(tmp_path, [*command, "true"], server.code())
        assert outcome.returncode == 0, server.log()
        assert len(questions) == 1
        assert "one-time" in questions[0].lower()
        assert done([*server.client("-o", "BatchMode=yes"), "true"]).returncode == 255


def test_its_user_is_known_to_it_alone(server: SSHD) -> None:
    assert server.password
    before = Path("/etc/passwd").read_text()
    said = done([*server.client(), "id -u; pwd; touch mine; cat /etc/passwd"]).stdout.splitlines()
    assert said[:2] == [str(server.port), str(server.user_home)]
    assert said[2].startswith(f"{server.user}:x:{server.port}:")
    assert "\n".join(said[3:]) + "\n" == before
    assert (server.user_home / "mine").stat().st_uid == server.port
    with pytest.raises(KeyError):
        pwd.getpwuid(server.port)


def test_its_host_keys_are_those_of_its_known_hosts(server: SSHD, tmp_path: Path) -> None:
    for kind in ("ed25519", "ecdsa"):
        shown = done(["ssh-keygen", "-l", "-f", str(server.home / f"host_{kind}.pub")]).stdout
        assert shown.split()[1] == server.fingerprint(kind)
        file = tmp_path / kind
        file.write_text(server.known_hosts(kind))
        trusting = f"-oUserKnownHostsFile={file}", "-oStrictHostKeyChecking=yes"
        outcome = done([*server.client("-v", *trusting), "true"])
        assert outcome.returncode == 0
        assert server.fingerprint(kind) in outcome.stderr


def test_it_starts_again_with_other_host_keys() -> None:
    with SSHD(kinds=["ed25519"]) as server:
        command, port, before = server.client(), server.port, server.fingerprint()
        server.change_host_keys()
        assert server.port == port
        assert server.fingerprint() != before
        outcome = done([*command, "true"])
        assert outcome.returncode == 255
        assert "HOST IDENTIFICATION HAS CHANGED" in outcome.stderr
        assert server.fingerprint() in outcome.stderr
        assert done([*server.client(), "true"]).returncode == 0


@pytest.mark.parametrize("immediate", [False, True])
def test_it_stops_with_all_connections_and_commands_and_starts_at_the_same_port(
    server: SSHD, immediate: bool
) -> None:
    port, pid = server.port, server.pid
    with subprocess.Popen(
        [*server.client(), "sleep 600"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        until(lambda: "sleep 600" in server.commands())
        server.stop(immediate)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 255, said
    assert [each for each in of_user(port) if each.is_running()] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, port))
    server.start()
    assert server.port == port
    assert server.pid != pid
    assert done([*server.client(), "true"]).returncode == 0


def test_a_frozen_server_is_silent_until_it_thaws(server: SSHD) -> None:
    with connected(server, "sleep 600"):
        before = server.processes()
        server.freeze()
        try:
            until(lambda: {each.status() for each in before} == {psutil.STATUS_STOPPED})
            with socket.create_connection((server.host, server.port), timeout=0.3) as connection:
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                server.thaw()
                connection.settimeout(PATIENCE)
                assert connection.recv(4) == b"SSH-"
        finally:
            server.thaw()


def test_it_tells_connections_from_those_that_have_logged_in(server: SSHD) -> None:
    until(lambda: server.connections() == 0)
    with socket.create_connection((server.host, server.port)) as connection:
        assert connection.recv(4) == b"SSH-"
        assert server.connections() == 1
        assert server.sessions() == []
        for words in [(), ("sleep 600",)]:
            with subprocess.Popen([*server.client(*([] if words else ["-N"])), *words]) as process:
                until(server.sessions)
                assert server.connections() == 2
                assert len(server.sessions()) == 1
                server.sessions()[0].kill()
                assert process.wait(PATIENCE) == 255
            until(lambda: server.sessions() == [])
    until(lambda: server.connections() == 0)


def test_it_knows_what_its_user_runs_and_ends_it_at_the_end() -> None:
    with SSHD(kinds=["ed25519"]) as server:
        detached = "setsid sleep 601 >/dev/null 2>&1 </dev/null &"
        assert done([*server.client(), detached]).returncode == 0
        until(lambda: server.connections() == 0)
        until(lambda: server.commands() == ["sleep 601"])
        processes = of_user(server.port)
    assert have_ended(processes, 0)


def test_settings_hold_from_the_next_start(server: SSHD) -> None:
    server.stop()
    server.settings["AllowTcpForwarding"] = "no"
    server.start()
    try:
        forward = server.client("-W", f"{server.host}:{server.port}")
        assert "prohibited" in done(forward).stderr
    finally:
        server.settings.clear()
        server.stop()
        server.start()
    with subprocess.Popen(forward, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"SSH-"
        process.kill()


def test_it_knows_names_that_nobody_else_knows() -> None:
    with SSHD(kinds=["ed25519"], names={"db.example.test": "127.0.0.1"}) as server:
        assert server.password
        with pytest.raises(OSError):
            socket.getaddrinfo("db.example.test", 1)
        forward = server.client("-W", f"db.example.test:{server.port}")
        with subprocess.Popen(forward, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.read(4) == b"SSH-"
            process.kill()


def test_it_waits_for_a_name_server_that_does_not_answer() -> None:
    with Network("here") as network:
        here = network["here"]
        server = SSHD(
            kinds=["ed25519"], names={"db.example.test": here.address}, asks_first=(network.nowhere, 2)
        )
        with here.runs(server):
            assert server.password
            forward = server.client("-W", f"db.example.test:{server.port}")
            begun = time.monotonic()
            with subprocess.Popen(forward, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                assert process.stdout.read(4) == b"SSH-"
                process.kill()
            assert time.monotonic() - begun > 2


def test_without_a_user_of_its_own_it_takes_keys_and_a_password_is_a_skip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_can_hide_files", lambda: False)
    with SSHD(kinds=["ed25519"]) as server:
        assert server.user == pwd.getpwuid(os.geteuid()).pw_name
        assert done([*server.client(), "id -u"]).stdout == f"{os.geteuid()}\n"
        with connected(server):
            assert len(server.sessions()) == 1
        for secret in (lambda: server.password, server.code, server.commands):
            with pytest.raises(pytest.skip.Exception, match="needs root, and mount namespaces"):
                secret()
    with pytest.raises(pytest.skip.Exception, match="needs root"):
        SSHD(dialog=["code"]).start()


def test_what_is_not_installed_is_a_skip_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAM_OATH", ())
    with pytest.raises(pytest.skip.Exception, match=r"libpam-oath|needs root"):
        SSHD(dialog=["code"]).start()
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=r"sshd is not installed .*openssh-server"):
        SSHD().start()
    with pytest.raises(pytest.skip.Exception, match=r"ssh-agent is not installed .*openssh-client"):
        Agent().start()


def test_a_server_that_does_not_come_up_says_why_and_leaves_nothing() -> None:
    server = SSHD(kinds=["ed25519"], Nonsense="yes")
    with pytest.raises(AssertionError, match=r"(?s)it ended.*Nonsense"):
        server.start()
    assert not server.home.exists()


def test_it_ends_with_who_started_it_and_so_does_all_that_its_user_runs(server: SSHD) -> None:
    assert server.password
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    pid, uid, home = child.stdout.readline().split()
    processes = [psutil.Process(int(pid)), *of_user(int(uid))]
    assert len(processes) > 1
    child.kill()
    child.communicate()
    until(lambda: not Path(home).exists())
    assert have_ended(processes, 0)


def test_an_agent_logs_in_with_the_keys_it_was_given(server: SSHD, agent: Agent) -> None:
    no_key = server.home / "none"
    through_agent = [*server.client("-oBatchMode=yes", "-oIdentitiesOnly=no", key=no_key), "true"]
    environment = {"SSH_AUTH_SOCK": str(agent.socket)}
    assert agent.keys() == []
    assert done(through_agent, **environment).returncode == 255
    agent.add(server.locked_key, server.passphrase)
    shown = done(["ssh-keygen", "-l", "-f", f"{server.locked_key}.pub"]).stdout
    assert agent.keys() == [shown.split()[1]]
    assert done(through_agent, **environment).returncode == 0
    with pytest.raises(AssertionError, match="did not take"):
        agent.add(server.locked_key, "wrong")
    agent.add(server.key)
    assert len(agent.keys()) == 2
    agent.clear()
    assert agent.keys() == []


def test_an_agent_that_was_killed_starts_again_without_keys(server: SSHD, agent: Agent) -> None:
    agent.add(server.key)
    path = agent.socket
    agent.stop(immediate=True)
    agent.start()
    assert agent.socket == path
    assert agent.keys() == []
