"""A login stands in every place where one can stand, and is looked for in all that a session leaves."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pexpect
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

MARK = "s3ntinel"
"""Every password of this file begins so, and quoting it for an URL or a repr leaves that as it is."""

PLACES = ["ducts", "file", "section", "environment", "keyring", "command", "typed"]
WAIT = 30.0

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "leaky-duct"
version = "1.0"

[project.entry-points."omniduct.protocols"]
leaky = "leaky_duct.client:LeakyClient"
"""

DRIVER = """
import time


class LeakyError(Exception):
    def __init__(self, text, dsn):
        super().__init__(text)
        self.dsn = dsn


def login(mood, user, password):
    dsn = f"leaky://{user}:{password}@example"
    if mood == "slow":
        print("logging in", flush=True)
        time.sleep(60)
    if mood != "good":
        try:
            raise ValueError(dsn)
        except ValueError as error:
            raise LeakyError(f"cannot {mood} with {dsn!r}", dsn) from error
"""

CLIENT = '''
import hashlib
from leaky_duct import driver
from omniduct import Duct


class LeakyClient(Duct):
    """Tells the password wherever it can."""

    PROTOCOLS = ["leaky"]
    DUCT_TYPE = Duct.Type.RESTFUL

    def _init(self, connects: str = "good", checks="good", ends="good"):
        self.moods = {"connect": connects, "check": checks, "end": ends}

    def _call(self, doing):
        password = self.password
        driver.login(self.moods[doing], self.username, password)
        return password

    def _connect(self):
        self.proof = hashlib.sha256(self._call("connect").encode()).hexdigest()[:12]

    def _is_connected(self):
        return bool(self._call("check"))

    def _disconnect(self):
        self._call("end")
'''

DUCTS = """
ducts: {protocol: leaky, username: me, password: s3ntinel/ducts@1}
section: {protocol: leaky}
environment: {protocol: leaky, password: "env:LEAKY_PASSWORD"}
keyring: {protocol: leaky, password: "keyring:leaky"}
typed: {protocol: leaky, password: true}
refused: {protocol: leaky, password: s3ntinel/refused@1, connects: log in, ends: clean up}
loose: {protocol: leaky, password: s3ntinel/loose@1, checks: check, ends: end}
untyped: {protocol: leaky, password: true}
slow: {protocol: leaky, password: s3ntinel/slow@1, connects: slow}
bad_argument: {protocol: leaky, password: s3ntinel/bad@1, conects: now}
bad_type: {protocol: leaky, password: s3ntinel/bad@1, connects: {password: s3ntinel/bad@2}}
"""

FILE = """
file: {protocol: leaky, username: me, password: s3ntinel/file@1}
command: {protocol: leaky, password: "command:cat FOLDER/password"}
no_space: {protocol: leaky, password:s3ntinel/nospace}
"""

CONFIG = """
c.DuctRegistry.ducts = {ducts!r}
c.DuctRegistry.config_files = [{file!r}]
c.LeakyClient.password = "s3ntinel/section@1"
c.LeakyClient.pasword = "s3ntinel/misspelt@1"
c.Duct.username = "me"
c.TerminalInteractiveShell.simple_prompt = True
c.InteractiveShell.colors = "NoColor"
c.HistoryManager.db_log_output = True
"""

TOUR = """
%config IPCompleter.greedy = True
%load_ext omniduct
%xmode Verbose
import logging; logging.basicConfig(level=logging.DEBUG, force=True)
registry, list(registry), registry.problems
[vars(duct) for duct in registry], [duct.status for duct in registry]
vars(registry), registry.config, registry.ducts, str(registry.ducts)
get_ipython().config, get_ipython().parent.config
[each.config for each in get_ipython().configurables]
%config DuctRegistry
%config DuctRegistry.ducts
%omniduct
%omniduct config
bad_argument
registry["bad_argument"]
registry["bad_type"]
registry["no_space"]
registry.new("x", "leaky", password=registry["ducts"]._password, conects=registry["ducts"]._password)
registry["refused"].connect()
%tb
import sys, traceback; traceback.print_exception(sys.last_value)
last = sys.last_value; last.__cause__, vars(last.__cause__), last.__cause__.args, last.__cause__.__cause__
logging.getLogger("mine").error("it failed", exc_info=last)
%omniduct connect refused
registry["loose"].connect(); registry["loose"].is_connected(), registry["loose"].status
registry["loose"].connect().disconnect()
print({name: registry[name].connect().proof for name in NAMES})
[vars(duct) for duct in registry], list(registry)
import copy, pickle; [vars(copy.deepcopy(duct)) for duct in registry]
[vars(copy.copy(duct)) for duct in registry], [pickle.dumps(duct) for duct in registry]
pickle.dumps(registry)
pickle.dumps(registry.ducts)
pickle.dumps(registry["ducts"]._password)
[vars(pickle.loads(pickle.dumps(duct))) for duct in registry]
%reload_ext omniduct
%omniduct
%config DuctRegistry.register_magics = "no"
%config DuctRegistry.config_files = 5
%whos
from os import environ
%config DuctRegistry.ducts = {"typed": {"protocol": "leaky", "password": environ["LEAKY_PASSWORD"]}}
%config DuctRegistry
[each.config for each in get_ipython().configurables]
%unload_ext omniduct
get_ipython().config
%history -g -o
"""

REPORTED_ONCE = [
    "'bad_argument' is skipped: LeakyClient takes no argument 'conects'; did you mean 'connects'? [",
    "'no_space' is skipped: there is no space after 'password:' [",
    "c.LeakyClient.pasword fits no argument; did you mean 'password'? [",
]

SHOWN = [
    "<secret>",
    "refused: could not connect: cannot log in with 'leaky://me:***@example'",
    "loose: is disconnected, but closing the connection failed: cannot end with 'leaky://me:***@example'",
    "a secret is not written anywhere",
    "there is no duct 'bad_type': connects cannot be a mapping",
    *REPORTED_ONCE,
]


def proofs(names: list[str]) -> str:
    """What the cell that connects prints: the driver had the very password."""
    secrets = {name: f"{MARK}/{name}@1" for name in names}
    return str({name: hashlib.sha256(secret.encode()).hexdigest()[:12] for name, secret in secrets.items()})


def cells(names: list[str]) -> list[str]:
    """The cells of the tour, which connects these ducts."""
    return TOUR.replace("NAMES", repr(names)).strip().splitlines()


@dataclass
class Place:
    """A person's home folder, with the configuration in it, and all that a session writes."""

    home: Path
    environment: dict[str, str]

    @property
    def work(self) -> Path:
        return self.home / "work"

    def written(self) -> dict[str, bytes]:
        """What is in files that nobody has put a password into."""
        own = {
            self.home / name
            for name in ("ducts.yaml", "password", "ipython/profile_default/ipython_config.py")
        }
        found = [path for path in self.home.rglob("*") if path.is_file() and path not in own]
        return {str(path): path.read_bytes() for path in found if "python_keyring" not in path.parts}


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed a client whose driver tells the password in its errors."""
    project, target = tmp_path_factory.mktemp("leaky-duct"), tmp_path_factory.mktemp("target")
    (project / "leaky_duct").mkdir()
    for name, text in {"__init__": "", "driver": DRIVER, "client": CLIENT}.items():
        (project / f"leaky_duct/{name}.py").write_text(text, "utf-8")
    (project / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--no-index", "--target", str(target), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture
def place(leaky: Path, tmp_path: Path) -> Place:
    """A home folder in which a session may start."""
    pytest.importorskip("keyrings.alt.file")
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    (home / "password").write_text(f"{MARK}/command@1\n", "utf-8")
    (home / "ducts.yaml").write_text(FILE.replace("FOLDER", str(home)), "utf-8")
    environment = os.environ | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "XDG_DATA_HOME": str(home / "data"),
        "LEAKY_PASSWORD": f"{MARK}/environment@1",
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "PYTHONPATH": os.pathsep.join([str(leaky), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "TERM": "dumb",
    }
    put = "import keyring; keyring.set_password('leaky', 'me', 's3ntinel/keyring@1')"
    subprocess.run([sys.executable, "-c", put], env=environment, check=True)
    return Place(home, environment)


def configure(place: Place, ducts: object) -> None:
    """Write the configuration of IPython, in which the ducts stand in some shape."""
    folder = place.home / "ipython/profile_default"
    folder.mkdir(parents=True)
    text = CONFIG.format(ducts=ducts, file=str(place.home / "ducts.yaml"))
    (folder / "ipython_config.py").write_text(text, "utf-8")


def mapping() -> Any:
    import yaml

    return yaml.safe_load(DUCTS)


def check(place: Place, transcript: str, names: list[str]) -> None:
    """Nothing tells a password, and the tour has seen what it was to see."""
    missing = [text for text in [*SHOWN, proofs(names)] if text not in transcript]
    assert missing == [], transcript
    told = [line for line in transcript.splitlines() if MARK in line]
    assert told == []
    assert [path for path, content in place.written().items() if MARK.encode() in content] == []


# Hosts


class Terminal:
    """IPython in a terminal."""

    def __init__(self, place: Place) -> None:
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--no-banner"],
            env=place.environment,  # type: ignore[arg-type]
            cwd=str(place.work),
            encoding="utf-8",
            timeout=WAIT,
            dimensions=(50, 500),
        )
        self._child.delaybeforesend = None
        self._count = 0
        self.transcript = ""
        self._until("In [1]: ")

    def _until(self, text: str) -> str:
        self._child.expect_exact(text)
        self.transcript += self._child.before + self._child.after
        return str(self._child.before)

    def start(self, line: str) -> None:
        """Type a line, and go on."""
        self._count += 1
        self._child.sendline(line)

    def wait_for(self, text: str) -> None:
        self._until(text)

    def type(self, text: str) -> None:
        """Type what is not to be seen."""
        self._child.sendline(text)

    def interrupt(self) -> None:
        self._child.sendintr()

    def end(self) -> str:
        """Wait for the next prompt; what stood before it."""
        return self._until(f"In [{self._count + 1}]: ")

    def run(self, line: str) -> str:
        """Type a line; what it shows."""
        self.start(line)
        return self.end()

    def close(self) -> None:
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        self._child.close()


class Kernel:
    """A notebook's kernel, whose page answers questions."""

    def __init__(self, place: Place) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=place.environment, cwd=str(place.work))
        self.client: BlockingKernelClient = self._manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT)
        self.transcript = ""
        self.questions: list[dict[str, Any]] = []

    def run(self, code: str, answer: str | None = None, allow_stdin: bool = True) -> str:
        """Run a cell; what it shows. All that the kernel says of it goes into the transcript."""
        shown: list[str] = []

        def on_output(message: dict[str, Any]) -> None:
            content = message["content"]
            shown.append("".join([*content.get("traceback", []), content.get("text", "")]))
            shown.append(content.get("data", {}).get("text/plain", ""))
            self.transcript += f"{shown[-2]}\n{json.dumps(content, ensure_ascii=False)}\n"

        def on_question(message: dict[str, Any]) -> None:
            self.questions.append(message["content"])
            assert answer is not None, message["content"]
            self.client.input(answer)

        self.client.execute_interactive(
            code, allow_stdin=allow_stdin, output_hook=on_output, stdin_hook=on_question, timeout=WAIT
        )
        return "".join(shown)

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Send a message as a widget does, and wait until the kernel has taken it."""
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        while True:
            said = self.client.get_iopub_msg(timeout=WAIT)
            mine = said["parent_header"].get("msg_id") == message["header"]["msg_id"]
            if mine and said["content"].get("execution_state") == "idle":
                return

    def was_asked(self) -> bool:
        """Whether a question is waiting that no cell has asked."""
        try:
            self.client.stdin_channel.get_msg(timeout=0.2)
        except queue.Empty:
            return False
        return True

    def close(self) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(place: Place) -> Iterator[Kernel]:
    """A kernel; the ducts stand in its configuration as a YAML text."""
    configure(place, DUCTS)
    kernel = Kernel(place)
    yield kernel
    kernel.close()


# Tests


def test_no_password_is_seen_in_a_terminal_or_left_behind_by_it(place: Place) -> None:
    configure(place, mapping())
    terminal = Terminal(place)
    for line in cells(PLACES):
        terminal.start(line)
        if "connect().proof" in line:
            terminal.wait_for("Password for typed: ")
            terminal.type(f"{MARK}/typed@1")
        terminal.end()
        if line == "%omniduct config":
            terminal.start("registry['slow'].connect()")
            terminal.wait_for("logging in")
            terminal.interrupt()
            assert "KeyboardInterrupt" in terminal.end()
    terminal.close()
    check(place, terminal.transcript, PLACES)


def test_no_password_is_seen_in_a_kernels_messages_or_left_behind_by_it(place: Place, kernel: Kernel) -> None:
    for code in cells(PLACES):
        kernel.run(code, answer=f"{MARK}/typed@1")
    assert kernel.questions == [{"prompt": "Password for typed: ", "password": True}]
    kernel.close()
    check(place, kernel.transcript, PLACES)


def test_no_password_is_left_in_a_notebook_that_runs_without_a_person(place: Place) -> None:
    names = [name for name in PLACES if name != "typed"]
    configure(place, [{"name": name, **entry} for name, entry in mapping().items()])
    notebook = nbformat.v4.new_notebook()
    notebook.cells = list(
        map(
            nbformat.v4.new_code_cell,
            ["%load_ext omniduct", "typed.connect()", "%unload_ext omniduct", *cells(names)],
        )
    )
    resources = {"metadata": {"path": str(place.work)}}
    client = nbclient.NotebookClient(notebook, allow_errors=True, timeout=WAIT, resources=resources)
    client.execute(env=place.environment)
    nbformat.write(notebook, place.work / "tour.ipynb")
    outputs = [output for cell in notebook.cells for output in cell["outputs"]]
    said = [
        [*o.get("traceback", []), o.get("text", ""), *map(str, o.get("data", {}).values())] for o in outputs
    ]
    transcript = "\n".join(line for lines in said for line in lines)
    check(place, transcript, names)
    assert (
        "DuctPromptUnavailable: typed: its password has to be asked for, and there is nobody to a"
        in transcript
    )


THREAD = """
    import threading

    def connect(told):
        try:
            untyped.connect()
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")

    told = []
    thread = threading.Thread(target=connect, args=[told])
    thread.start()
    thread.join()
    print(told)
"""

CALLBACK = """
    def target(comm, message):
        connect(told)
        comm.on_msg(lambda message: connect(told))

    get_ipython().kernel.comm_manager.register_target("widget", target)
    told.clear()
"""

WITHIN = """
    kernel = get_ipython().kernel
    parent = kernel.get_parent("shell")
    kernel.set_parent([], {**parent, "header": {**parent["header"], "msg_type": "comm_msg"}}, "shell")
    told.clear()
    connect(told)
    kernel.set_parent([], parent, "shell")
    print(told)
"""
"""A cell that handles widgets' messages while it runs, as some packages let it."""

FIELD = """
    from omniduct.credentials import Withdrawn, prompting_with

    class Field:
        patient = True

        def __init__(self):
            self.asking, self.withdrawn = threading.Event(), threading.Event()

        def can_ask(self):
            return True

        def ask(self, question):
            self.asking.set()
            self.withdrawn.wait()
            raise Withdrawn

        def withdraw(self, question):
            self.withdrawn.set()

    def click():
        with prompting_with(field):
            connect(told)

    field = Field()
    told.clear()
    thread = threading.Thread(target=click)
    thread.start()
    field.asking.wait()
"""

TASK = """
    import asyncio

    async def later():
        await asyncio.sleep(0.05)
        connect(told)

    told.clear()
    task = asyncio.get_event_loop().create_task(later())
"""


def test_only_a_running_cell_of_a_page_that_takes_input_asks(kernel: Kernel) -> None:
    sentence = (
        "DuctPromptUnavailable: untyped: its password has to be asked for, and there is nobody to ask here: "
    )
    kernel.run("%load_ext omniduct")
    assert sentence in kernel.run("untyped.connect()", allow_stdin=False)
    assert sentence in kernel.run(textwrap.dedent(THREAD))
    kernel.run(textwrap.dedent(CALLBACK))
    kernel.send("comm_open", {"comm_id": "1", "target_name": "widget", "data": {}})
    kernel.send("comm_msg", {"comm_id": "1", "data": {}})
    assert kernel.run("print(told)").count(sentence) >= 2
    kernel.run(textwrap.dedent(TASK))
    assert not kernel.was_asked()
    while not (shown := kernel.run("print(*told)")).strip():
        time.sleep(0.1)
    assert sentence in shown
    assert kernel.questions == []
    assert sentence in kernel.run(textwrap.dedent(WITHIN))
    kernel.run(textwrap.dedent(FIELD))
    kernel.run("untyped.connect()", answer=f"{MARK}/untyped@1")
    assert kernel.questions == [{"prompt": "Password for untyped: ", "password": True}]
    shown = kernel.run("thread.join(); print(told, field.withdrawn.is_set(), untyped.status.state)")
    assert shown == "[] True connected\n"


def test_problems_are_told_once_a_load_and_a_changed_configuration_is_read_again(kernel: Kernel) -> None:
    for load in ("%load_ext omniduct", "%reload_ext omniduct"):
        shown = kernel.run(load)
        assert [shown.count(f"omniduct: {line}") for line in REPORTED_ONCE] == [1, 1, 1]
        status = kernel.run("%omniduct")
        assert [status.count(f"! {line}") for line in REPORTED_ONCE] == [1, 1, 1]
    shown = kernel.run("%config DuctRegistry.ducts = {'other': {'protocol': 'leaky', 'password': 'env:X'}}")
    assert [shown.count(f"omniduct: {line}") for line in REPORTED_ONCE] == [0, 1, 1]
    assert "['file', 'other']" in kernel.run("[name for name in registry.names if name != 'command']")
    kernel.run("%config DuctRegistry.register_magics = 'no'")
    shown = kernel.run("%reload_ext omniduct")
    assert (
        "c.DuctRegistry.register_magics is left out: The 'register_magics' trait of a DuctRegistry" in shown
    )
    assert "other" in kernel.run("registry.names")
