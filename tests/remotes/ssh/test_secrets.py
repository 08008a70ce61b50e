"""Passphrases, passwords and codes of SSH are looked for in all that a session shows, starts and leaves."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from tests.services.kernels import SOURCE
from tests.services.openssh import PROGRAM
from tests.services.processes import program
from tests.services.sshd import SSHD

MARK = "s3ntinel"
WAIT = 90.0

HOSTS = """
Host jump
    HostName 127.0.0.1
    Port {jump.port}
    IdentityFile none
Host locked coded
    HostName far.example
    Port {far.port}
    ProxyJump jump
Host locked
    IdentityFile {far.locked_key}
Host coded
    IdentityFile none
Host *
    User alice
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
"""
CONFIG = """
c.DuctRegistry.ducts = {ducts!r}
c.HistoryManager.db_log_output = True
c.InteractiveShell.colors = "NoColor"
"""
START = """
%load_ext omniduct
%xmode Verbose
import copy, logging, pickle, sys, traceback
import omniduct.remotes.ssh.transport, omniduct.remotes.ssh.tunnels
logging.basicConfig(level=logging.DEBUG, filename="session.log", force=True)
for name in ("omniduct", "omniduct.paramiko", "omniduct.sshtunnel", "paramiko", "sshtunnel"): \
    logging.getLogger(name).setLevel(logging.DEBUG)
from helpers import chain
"""
HELPERS = '''
def chain(error):
    """All that hangs on an error: its causes, what their frames hold, and what that holds."""
    seen, found, todo = set(), [], [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        found.append((repr(each), each.args, vars(each)))
        todo += [each.__cause__, each.__context__]
        trace = each.__traceback__
        while trace is not None:
            if "omniduct" in (name := trace.tb_frame.f_code.co_filename) or "paramiko" in name:
                held = dict(trace.tb_frame.f_locals)
                found.append((trace.tb_frame, held, [shallow(value) for value in held.values()]))
            trace = trace.tb_next
    return found


def shallow(value):
    try:
        return vars(value)
    except TypeError:
        return None
'''
AFTER = """
registry, [vars(duct) for duct in registry], [duct.status for duct in registry]
[vars(duct.__dict__.get("_line")) for duct in registry if duct.__dict__.get("_line")]
[vars(duct.__dict__.get("_master")) for duct in registry if duct.__dict__.get("_master")]
[vars(copy.copy(duct)) for duct in registry], [vars(copy.deepcopy(duct)) for duct in registry]
[pickle.dumps(duct) for duct in registry if duct.name != "told"]
pickle.dumps(registry["told"])
%config DuctRegistry
%omniduct
%omniduct config
import ipywidgets; [each.get_state() for each in list(ipywidgets.widgets.widget._instances.values())]
%whos
%history -g -o
"""
LOOK_BACK = """
%tb
traceback.print_exception(sys.last_value)
print(chain(sys.last_value))
logging.getLogger("mine").error("it failed", exc_info=sys.last_value)
"""

Reply = Callable[[str], str]


class Secrets:
    """All that was given, and all places in which it must not be found."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.given: set[str] = set()
        self.told: list[str] = []
        self.programs: set[str] = set()
        self.files: set[str] = set()

    def give(self, secret: str) -> str:
        """Answer with a secret, which is looked for from now on."""
        self.given.add(secret)
        return secret

    def look(self, what: str, text: str) -> None:
        """Note a secret that stands in a text; a code is but digits, and so none beside others."""
        for each in [MARK, *self.given]:
            if each in text and (found := re.search(rf"(?<![0-9a-f]){each}(?![0-9a-f])", text)):
                self.told.append(f"{what}: {text[max(found.start() - 200, 0) : found.end() + 50]}")

    def look_at_processes(self, pid: int) -> None:
        """What a process has started: what is on their command lines, and in their variables."""
        for process in psutil.Process(pid).children(recursive=True):
            try:
                line, variables = process.cmdline(), process.environ()
            except psutil.Error:  # it has ended just now
                continue
            self.programs.add(next((name for name in ("askpass", "ssh") if name in " ".join(line)), ""))
            self.look(f"a process of {line}", "\n".join([*line, *variables, *variables.values()]))

    def look_at_files(self) -> None:
        """What lies in the home, in which the temporary files are, too."""
        for path in self.home.rglob("*"):
            if path.name != "ipython_config.py" and path.exists() and stat.S_ISREG(path.stat().st_mode):
                self.files.add(path.name)
                self.look(str(path), path.read_bytes().decode("latin-1"))


class Session:
    """A kernel, its page, and a person who answers."""

    def __init__(self, protocol: str, secrets: Secrets, environment: dict[str, str]) -> None:
        self.protocol = protocol
        self.secrets = secrets
        self.prompts: list[str] = []
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=environment, cwd=str(secrets.home))
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=WAIT)

    @property
    def pid(self) -> int:
        return int(self._manager.provisioner.pid)  # type: ignore[union-attr]

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def run(self, code: str, reply: Reply | None = None) -> str:
        """Run a cell; all that the kernel says of it is looked at."""
        said: list[str] = []

        def on_output(message: dict[str, Any]) -> None:
            content = message["content"]
            said.append(content.get("text", "") + "\n".join(content.get("traceback", [])))
            said.append(content.get("data", {}).get("text/plain", ""))
            said.append(json.dumps(content, ensure_ascii=False, default=str))

        def on_question(message: dict[str, Any]) -> None:
            prompt = message["content"]["prompt"]
            self.prompts.append(prompt)
            self.look_around()
            assert reply is not None, prompt
            self._client.input(reply(prompt))

        self._client.execute_interactive(
            code, allow_stdin=True, output_hook=on_output, stdin_hook=on_question, timeout=WAIT
        )
        shown = "\n".join(said)
        self.secrets.look(f"the cell {code!r}", shown)
        return shown

    def run_all(self, cells: str) -> str:
        return "\n".join(map(self.run, cells.replace("\\\n", "").strip().splitlines()))

    def look_around(self) -> None:
        self.secrets.look_at_processes(self.pid)
        self.secrets.look_at_files()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=False)


@pytest.fixture(scope="module")
def jump() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"], names={"far.example": "127.0.0.1"}) as server:
        yield server


@pytest.fixture(scope="module")
def far() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"], dialog=("password", "code")) as server:
        yield server


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a path so short that sockets may be in it."""
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder:
        yield Path(folder)


@pytest.fixture(params=["ssh", "ssh_cli"])
def session(request: pytest.FixtureRequest, jump: SSHD, far: SSHD, home: Path) -> Iterator[Session]:
    """A session whose ducts are reached by SSH; of two machines, one behind the other."""
    (home / ".ssh").mkdir(mode=0o700)
    config, wrapper = home / ".ssh/config", home / "bin/ssh"
    config.write_text(HOSTS.format(jump=jump, far=far, folder=home))
    wrapper.parent.mkdir()
    wrapper.write_text(PROGRAM.format(ssh=program("ssh", package="openssh-client"), config=config))
    wrapper.chmod(0o755)
    (home / "t").mkdir()
    (home / "helpers.py").write_text(HELPERS)
    profile = home / "ipython/profile_default"
    profile.mkdir(parents=True)
    coded = {"protocol": request.param, "host": "coded"}
    ducts = {
        "keyed": {"protocol": request.param, "host": "locked"},
        "typed": coded,
        "told": {**coded, "password": far.password},
        "refused": {"protocol": request.param, "host": "locked"},
        "stopped": coded,
        "outdated": {**coded, "password": f"{MARK}/outdated@1"},
        "lost": coded,
    }
    (profile / "ipython_config.py").write_text(CONFIG.format(ducts=ducts))
    secrets = Secrets(home)
    secrets.give(far.password)
    own = {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "TMPDIR": str(home / "t"),
        "PYTHONPATH": str(SOURCE),
        "PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}",
    }
    session = Session(request.param, secrets, {**os.environ, **own})
    yield session
    session.close()


class Person:
    """Who answers, and knows the first machine's password in any case."""

    def __init__(self, session: Session, jump: SSHD, far: SSHD) -> None:
        self.session, self.jump, self.far = session, jump, far

    def knowing(self, prompt: str) -> str:
        """Say what is right."""
        give = self.session.secrets.give
        if "[yes/no]" in prompt:
            return "yes"
        if "Passphrase" in prompt:
            return give(self.far.passphrase)
        if _wants_code(prompt):
            return give(self.far.code())
        return give(self.jump.password if "@127.0.0.1" in prompt else self.far.password)

    def mistaken(self, prompt: str) -> str:
        """Say what is wrong."""
        is_of_first = "@127.0.0.1" in prompt
        return self.knowing(prompt) if is_of_first else f"{MARK}/{len(self.session.prompts)}@1"

    def interrupting(self, prompt: str) -> str:
        """Interrupt when the code is asked for, after a password was taken."""
        if _wants_code(prompt):
            self.session.interrupt()
        return self.knowing(prompt)

    def waiting(self, prompt: str) -> str:
        """Say what is right to a machine that answers no more, and interrupt."""
        if _wants_code(prompt):
            self.far.freeze()
            threading.Timer(2, self.session.interrupt).start()
        return self.knowing(prompt)


def _wants_code(prompt: str) -> bool:
    return "one-time" in prompt.lower()


def test_no_passphrase_password_or_code_is_shown_started_or_left_behind(
    session: Session, jump: SSHD, far: SSHD
) -> None:
    secrets, person = session.secrets, Person(session, jump, far)
    shown = session.run_all(START)
    assert "Traceback" not in shown, shown
    for name in ("keyed", "typed", "told"):
        shown = session.run(f"registry[{name!r}].connect().execute('whoami').stdout", person.knowing)
        assert f"b'{far.user}\\n'" in shown, shown
        session.look_around()
    for name, reply, error in (
        ("refused", person.mistaken, "DuctAuthenticationError"),
        ("outdated", person.mistaken, "DuctAuthenticationError"),
        ("stopped", person.interrupting, "was not told its"),
        ("lost", person.waiting, "KeyboardInterrupt"),
    ):
        shown = session.run(f"registry[{name!r}].connect()", reply)
        assert error in shown, shown
        session.run_all(LOOK_BACK)
    far.thaw()
    session.run_all(AFTER)
    session.look_around()
    session.run("for duct in registry: duct.disconnect()")
    assert secrets.told == []
    kinds = ["Passphrase of", "Password for", "one-time", "[yes/no]", "(the last one was"]
    missing = [k for k in kinds if not any(k.lower() in prompt.lower() for prompt in session.prompts)]
    assert missing == [], session.prompts
    assert {"known_hosts", "history.sqlite", "session.log"} <= secrets.files
    if session.protocol == "ssh_cli":
        assert {"askpass", "ssh"} <= secrets.programs and "askpass.py" in secrets.files
