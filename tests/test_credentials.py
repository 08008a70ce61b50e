from __future__ import annotations

import copy
import getpass
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pexpect
import pytest

from omniduct import Duct, DuctRegistry, credentials
from omniduct.credentials import Question, Secret, Withdrawn, ask, is_tagged, prompting_with, resolve
from omniduct.errors import DuctAuthenticationError, DuctDriverMissing, DuctPromptUnavailable

SENTINEL = "s3ntinel-swordfish"
WAIT = 10.0
"""Seconds that a thread may take for what takes it a moment."""


class CredentialsDuct(Duct):
    """Takes the one login, and says what it was."""

    PROTOCOLS: ClassVar[list[str]] = ["credentials_duct"]
    accepts: Any = SENTINEL

    def _connect(self) -> None:
        self.logins = [*getattr(self, "logins", []), (self.username, self.password)]
        if self.password != self.accepts:
            raise DuctAuthenticationError(f"{self.name}: the login was refused")

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None:
        pass


class Person:
    """A prompter that answers from a list, and can be made to take its time."""

    def __init__(self, *answers: Any, patient: bool = False) -> None:
        self.answers = list(answers)
        self.patient = patient
        self.asked: list[Question] = []
        self.withdrawn: list[Question] = []
        self.is_asking = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def can_ask(self) -> bool:
        return True

    def ask(self, question: Question) -> str | bool:
        self.asked.append(question)
        self.is_asking.set()
        assert self.may_answer.wait(WAIT)
        if question in self.withdrawn:
            raise Withdrawn
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def withdraw(self, question: Question) -> None:
        self.withdrawn.append(question)
        self.may_answer.set()


@pytest.fixture(autouse=True)
def nobody_is_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    yield
    sys.stdin.close()
    assert credentials._asked == {}


def found(raw: object, field: str = "password", username: str | None = "me") -> str | None:
    """What a raw value comes to."""
    return resolve(raw, "db", field, lambda: username)


def refusal(raw: object, field: str = "password") -> str:
    """Why a raw value comes to nothing."""
    with pytest.raises(DuctAuthenticationError) as caught:
        found(raw, field)
    return str(caught.value)


def in_threads(number: int, run: Callable[[], Any]) -> list[Any]:
    """What came of running the same in many threads at once; exceptions too."""
    results: list[Any] = []
    start = threading.Barrier(number)

    def one() -> None:
        start.wait(WAIT)
        try:
            results.append(run())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    return results


# Secrets


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(SENTINEL)
    shown = [repr(secret), str(secret), f"{secret}", "%s" % secret, repr([secret]), repr({secret: 1})]  # noqa: UP031
    assert [text for text in shown if SENTINEL in text] == []
    assert secret.reveal() == SENTINEL


def test_a_secret_is_equal_to_its_text_and_true_when_there_is_any() -> None:
    assert Secret("a") == "a" == Secret("a") != Secret("b")
    assert {Secret("a"), "a"} == {"a"}
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)


def test_a_secret_is_copied_within_the_process_and_never_pickled() -> None:
    secret = Secret(SENTINEL)
    assert copy.copy(secret) is copy.deepcopy([secret])[0] is secret
    with pytest.raises(TypeError, match="a secret is not written anywhere") as caught:
        pickle.dumps({"password": secret})
    assert SENTINEL not in str(caught.value)


def test_only_texts_are_wrapped() -> None:
    values: list[Any] = [True, None, print, Secret("a")]
    assert [Secret.wrap(value) for value in values] == values
    assert type(Secret.wrap("a")) is Secret


# Values and sources


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("swordfish", "swordfish"),
        (Secret("swordfish"), "swordfish"),
        (None, None),
        (False, None),
        ("", ""),
        (r"\env:HOME", "env:HOME"),
        (r"\keyring:x", "keyring:x"),
        (r"\command:x", "command:x"),
        (r"\swordfish", r"\swordfish"),
        (r"\\env:HOME", r"\\env:HOME"),
        ("environment:x", "environment:x"),
        ("ENV:HOME", "ENV:HOME"),
        (" env:HOME", " env:HOME"),
    ],
)
def test_what_is_no_source_is_itself(raw: object, text: str | None) -> None:
    assert found(raw) == text


def test_a_source_is_told_from_a_value_and_from_another_source() -> None:
    assert is_tagged("env:x") and is_tagged(Secret("keyring:x")) and is_tagged("command:x", "command")
    assert not (is_tagged("env:x", "command") or is_tagged("x") or is_tagged(True) or is_tagged(None))


def test_a_variable_of_the_environment_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", SENTINEL)
    assert found("env:DB_PASSWORD") == found(Secret("env: DB_PASSWORD ")) == SENTINEL
    monkeypatch.setenv("DB_PASSWORD", "")
    assert found("env:DB_PASSWORD") == ""


def test_a_variable_that_is_not_set_is_named() -> None:
    assert refusal("env:DB_PASSWD") == (
        "db: its password is env:DB_PASSWD, but the environment has no variable DB_PASSWD; "
        "set it before Python starts, or in os.environ"
    )
    assert refusal("env:", "username") == "db: its username is env: and names no variable"


def test_the_first_line_that_a_command_prints_is_a_source(tmp_path: Path) -> None:
    script = tmp_path / "pass word"
    script.write_text(f"print({SENTINEL!r}); print('user: me')", "utf-8")
    assert found(f"command:{sys.executable} '{script}'") == SENTINEL
    assert found("command: printf 'a b\\r\\nc'") == "a b"
    assert found("command:printf ä", "username") == "ä"


def test_a_command_is_run_by_no_shell(tmp_path: Path) -> None:
    assert found(f"command:echo $HOME > {tmp_path}/x; ls") == f"$HOME > {tmp_path}/x; ls"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            f"no-such-program {SENTINEL}",
            " cannot be run: [Errno 2] No such file or directory: 'no-such-program'",
        ),
        (f"echo '{SENTINEL}", " cannot be run: No closing quotation"),
        ("false", " failed with exit code 1: it says nothing more"),
        ("sh -c 'echo first >&2; echo locked >&2; exit 3'", " failed with exit code 3: locked"),
        ("true", " printed nothing in its first line"),
        (f"printf '\\n{SENTINEL}'", " printed nothing in its first line"),
        (r"printf '\377s3ntinel-swordfish'", " printed what is not UTF-8 text"),
    ],
)
def test_a_command_that_gives_nothing_is_named_without_its_arguments(command: str, said: str) -> None:
    message = refusal(f"command:{command}")
    assert message == f"db: the command that gives its password ({command.split()[0]}){said}"
    assert SENTINEL not in message


def test_a_command_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_COMMAND_TIMEOUT", 0.1)
    assert refusal("command:sleep 30").endswith("(sleep) gave no answer within 0 s")
    assert refusal("command: ") == "db: its password is command: and names no command"


# The keyring


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A keyring of this test's own, in a file."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    former = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield keyring
    keyring.set_keyring(former)


def test_the_keyring_is_a_source_of_a_users_password(keyring: Any) -> None:
    keyring.set_password("prod db", "me", SENTINEL)
    assert found("keyring:prod db") == SENTINEL
    assert refusal("keyring:prod") == (
        "db: the keyring has no password of 'me' under 'prod'; set it with: keyring set prod me"
    )
    assert refusal("keyring:prod", "username") == (
        "db: the keyring has no username under 'prod'; set it with: keyring set prod <username>"
    )
    assert refusal("keyring:") == "db: its password is keyring: and names no service"


def test_a_ducts_password_is_looked_up_under_its_username(keyring: Any) -> None:
    keyring.set_password("prod", getpass.getuser(), "of the local user")
    keyring.set_password("prod", "me", "mine")
    keyring.set_password("prod", "", "nobody's")
    passwords = {
        username: CredentialsDuct(username=username, password="keyring:prod").password
        for username in (None, "me", False)
    }
    assert passwords == {None: "of the local user", "me": "mine", False: "nobody's"}


def test_a_keyring_may_know_the_username_as_well(keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.credentials import SimpleCredential

    monkeypatch.setattr(
        keyring.get_keyring(),
        "get_credential",
        lambda service, _: SimpleCredential(f"user of {service}", "x"),
    )
    assert found("keyring:prod", "username") == "user of prod"


def test_a_keyring_that_fails_says_so(keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())
    assert refusal("keyring:prod").startswith(
        "db: the keyring did not give the password of 'prod': No recommended"
    )

    def broken(*_: object) -> None:
        raise OSError("no bus")

    monkeypatch.setattr(keyring.get_keyring(), "get_password", broken, raising=False)
    assert refusal("keyring:prod") == "db: the keyring did not give the password of 'prod': no bus"


def test_without_the_keyring_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(DuctDriverMissing, match=r"pip install 'omniduct-ext\[keyring\]'"):
        found("keyring:prod")


# On a duct


def test_a_callable_gives_a_value_a_source_or_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", SENTINEL)
    assert CredentialsDuct(password=lambda duct: f"of {duct.name}", name="db").password == "of db"
    assert CredentialsDuct(password=lambda duct: "env:DB_PASSWORD").password == SENTINEL
    assert CredentialsDuct(username=lambda duct: None, password=lambda duct: None).password is None
    with prompting_with(Person("typed")):
        assert CredentialsDuct(password=lambda duct: True).password == "typed"


def test_an_answer_is_kept_until_reset_and_a_refused_one_is_asked_again() -> None:
    duct, person = (
        CredentialsDuct(name="db", username=True, password=True),
        Person("me", "wrong", "me", SENTINEL),
    )
    with prompting_with(person):
        duct.connect().disconnect().connect()
    assert [(q.text, q.kind) for q in person.asked] == [
        ("Username for db", "text"),
        ("Password for db", "secret"),
    ] * 2
    assert duct.logins == [("me", "wrong"), ("me", SENTINEL), ("me", SENTINEL)]
    duct.reset()
    again = Person("you", SENTINEL)
    with prompting_with(again):
        duct.connect()
    assert (duct.logins[-1], len(again.asked)) == (("you", SENTINEL), 2)


def test_a_refused_login_is_asked_for_twice_more_and_one_that_was_configured_never() -> None:
    person = Person(*["wrong"] * 9)
    with prompting_with(person), pytest.raises(DuctAuthenticationError, match="refused"):
        CredentialsDuct(password=True).connect()
    assert len(person.asked) == 3
    with prompting_with(person), pytest.raises(DuctAuthenticationError, match="refused"):
        CredentialsDuct(password="wrong").connect()
    assert len(person.asked) == 3


def test_a_source_is_asked_once_and_anew_after_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    duct = CredentialsDuct(password="env:DB_PASSWORD")
    monkeypatch.setenv("DB_PASSWORD", "old")
    assert duct.password == "old"
    monkeypatch.setenv("DB_PASSWORD", "new")
    assert duct.password == "old"
    assert duct.reset().password == "new"


# Who asks


def test_with_nobody_to_ask_it_fails_at_once_and_says_what_to_set() -> None:
    duct = DuctRegistry({"prod/my-db": {"protocol": "credentials_duct", "password": True}})["prod/my-db"]
    began = time.monotonic()
    with pytest.raises(DuctPromptUnavailable) as caught:
        duct.connect()
    assert time.monotonic() - began < 1
    message = str(caught.value)
    assert message.startswith(
        "prod/my-db: its password has to be asked for, and there is nobody to ask here: no "
    )
    assert "password: env:PROD_MY_DB_PASSWORD, or a keyring: or command: source" in message
    assert duct.status.state == "failed"


def test_a_question_that_no_configuration_answers_gets_no_advice_about_it() -> None:
    with pytest.raises(DuctPromptUnavailable) as caught:
        ask(Question("bastion", "host key", "Trust it?", "confirm"))
    assert "env:" not in str(caught.value)


def test_the_terminal_is_asked_where_there_is_one() -> None:
    program = f"""
        import sys
        sys.path[:0] = {sys.path!r}
        from omniduct.credentials import Question, ask
        print([ask(Question("db", "field", text, kind)) for text, kind in
               (("User", "text"), ("Pass", "secret"), ("Sure", "confirm"), ("Really", "confirm"))])
        try:
            ask(Question("db", "password", "Again", "secret"))
        except Exception as error:
            print(type(error).__name__, error)
    """
    child = pexpect.spawn(sys.executable, ["-c", textwrap.dedent(program)], encoding="utf-8", timeout=WAIT)
    for question, answer in (("User: ", "me"), ("Pass: ", SENTINEL), ("no]: ", "maybe"), ("no]: ", "Y")):
        child.expect_exact(question)
        assert SENTINEL not in child.before
        child.sendline(answer)
    child.expect_exact("no]: ")
    child.sendline("no")
    child.expect_exact(f"['me', '{SENTINEL}', True, False]")
    assert SENTINEL not in child.before
    child.expect_exact("Again: ")
    child.sendeof()
    child.expect_exact(
        "DuctPromptUnavailable db: its password was asked for, and the input was closed without an answer"
    )
    child.close()


def test_input_that_is_no_terminal_is_nobody() -> None:
    program = """
        from omniduct.credentials import Question, ask
        ask(Question("db", "password", "Pass", "secret"))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, input=f"{SENTINEL}\n")
    assert "DuctPromptUnavailable: db: its password has to be asked for, and there is nobody" in done.stderr
    assert "%omniduct" not in done.stderr  # which is for IPython


@pytest.mark.parametrize("stdin", [None, "closed"])
def test_a_program_without_any_input_has_nobody(monkeypatch: pytest.MonkeyPatch, stdin: str | None) -> None:
    if stdin == "closed":
        sys.stdin.close()
    else:
        monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DuctPromptUnavailable):
        ask(Question("db", "password", "Pass", "secret"))
    if stdin is None:
        monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115


def test_questions_go_to_the_chosen_prompter_of_this_thread_only() -> None:
    inner, outer = Person("inner"), Person("outer")
    with prompting_with(outer):
        with prompting_with(inner):
            assert ask(Question("a", "password", "", "secret")) == "inner"
        assert ask(Question("a", "password", "", "secret")) == "outer"
        (error,) = in_threads(1, lambda: ask(Question("a", "password", "", "secret")))
    assert isinstance(error, DuctPromptUnavailable)


# One question, many who ask


def test_fifty_threads_that_need_one_password_ask_once() -> None:
    duct, person = CredentialsDuct(name="db", password=True), Person(SENTINEL)
    person.may_answer.clear()

    def connect() -> Duct:
        with prompting_with(person):
            return duct.connect()

    threading.Thread(
        target=lambda: person.is_asking.wait(WAIT) and (time.sleep(0.05), person.may_answer.set())
    ).start()
    assert in_threads(50, connect) == [duct] * 50
    assert (len(person.asked), len(duct.logins)) == (1, 1)


def test_those_who_cannot_ask_wait_for_the_answer_that_another_gets() -> None:
    duct, person = CredentialsDuct(name="db", password=True), Person(SENTINEL)
    person.may_answer.clear()

    def connect() -> Duct:
        with prompting_with(person):
            return duct.connect()

    thread = threading.Thread(target=connect)
    thread.start()
    assert person.is_asking.wait(WAIT)
    threading.Timer(0.05, person.may_answer.set).start()
    assert duct.password == SENTINEL  # nobody can be asked from here
    thread.join(WAIT)
    assert len(person.asked) == 1


def test_two_ducts_of_one_name_ask_each_for_itself() -> None:
    first, second = (CredentialsDuct(name="db", password=True) for _ in range(2))
    with prompting_with(Person("a", "b")):
        assert (first.password, second.password) == ("a", "b")


def test_when_the_one_who_asks_is_interrupted_the_next_asks_himself() -> None:
    duct = CredentialsDuct(name="db", password=True)
    interrupted, next_one = Person(KeyboardInterrupt()), Person(SENTINEL)
    interrupted.may_answer.clear()
    ended: list[type[BaseException]] = []

    def first() -> None:
        try:
            with prompting_with(interrupted):
                duct.connect()
        except KeyboardInterrupt as error:
            ended.append(type(error))

    thread = threading.Thread(target=first)
    thread.start()
    assert interrupted.is_asking.wait(WAIT)
    threading.Timer(0.05, interrupted.may_answer.set).start()
    with prompting_with(next_one):
        duct.connect()
    thread.join(WAIT)
    assert (ended, len(next_one.asked), duct.status.state) == ([KeyboardInterrupt], 1, "connected")


def test_a_patient_prompter_gives_its_question_up_to_one_that_cannot_wait_and_both_get_the_answer() -> None:
    duct = CredentialsDuct(name="db", password=True)
    field, cell = Person(patient=True), Person(SENTINEL)
    field.may_answer.clear()
    answers: list[Any] = []

    def click() -> None:
        with prompting_with(field):
            answers.append(duct.connect().password)

    thread = threading.Thread(target=click)
    thread.start()
    assert field.is_asking.wait(WAIT)
    with prompting_with(cell):
        assert duct.connect().password == SENTINEL
    thread.join(WAIT)
    assert answers == [SENTINEL]
    assert (field.asked, field.withdrawn) == (cell.asked, cell.asked)
    assert len(duct.logins) == 1


def test_a_question_is_not_taken_from_one_that_cannot_wait_nor_by_one_that_can() -> None:
    for owner, other in (
        (Person(SENTINEL), Person()),
        (Person(SENTINEL, patient=True), Person(patient=True)),
    ):
        duct = CredentialsDuct(name="db", password=True)
        owner.may_answer.clear()

        def connect(duct: Duct = duct, owner: Person = owner) -> None:
            with prompting_with(owner):
                duct.connect()

        thread = threading.Thread(target=connect)
        thread.start()
        assert owner.is_asking.wait(WAIT)
        threading.Timer(0.05, owner.may_answer.set).start()
        with prompting_with(other):
            assert duct.password == SENTINEL
        thread.join(WAIT)
        assert (other.asked, owner.withdrawn) == ([], [])


def test_when_the_cell_that_took_the_question_is_interrupted_the_field_asks_again() -> None:
    duct = CredentialsDuct(name="db", password=True)
    field, cell = Person(SENTINEL, patient=True), Person(KeyboardInterrupt())
    field.may_answer.clear()
    thread = threading.Thread(target=lambda: [_ for _ in [prompting_with(field)] if connect_with(_, duct)])
    thread.start()
    assert field.is_asking.wait(WAIT)
    field_asks_again = threading.Event()
    withdraw = field.withdraw

    def withdraw_once(question: Question) -> None:
        withdraw(question)
        threading.Timer(0.05, lambda: (field.withdrawn.clear(), field_asks_again.set())).start()

    field.withdraw = withdraw_once  # type: ignore[method-assign]
    with prompting_with(cell), pytest.raises(KeyboardInterrupt):
        duct.connect()
    thread.join(WAIT)
    assert duct.status.state == "connected"
    assert len(field.asked) == 2


def connect_with(prompter: Any, duct: Duct) -> bool:
    with prompter:
        duct.connect()
    return False
