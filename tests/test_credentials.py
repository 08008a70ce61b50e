from __future__ import annotations

import contextlib
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
    """A prompter that answers from a list; one that is `slow` answers when it `may_answer`."""

    def __init__(self, *answers: Any, patient: bool = False, slow: bool = False) -> None:
        self.answers = list(answers)
        self.patient = patient
        self.asked: list[Question] = []
        self.withdrawn: list[Question] = []
        self.is_asking = threading.Event()
        self.may_answer = threading.Event()
        if not slow:
            self.may_answer.set()

    def can_ask(self) -> bool:
        return True

    def ask(self, question: Question) -> str | bool:
        self.asked.append(question)
        self.is_asking.set()
        assert self.may_answer.wait(WAIT)
        if len(self.withdrawn) == len(self.asked):
            raise Withdrawn
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def withdraw(self, question: Question) -> None:
        self.withdrawn.append(question)
        self.may_answer.set()

    def answers_soon(self) -> None:
        threading.Timer(0.05, self.may_answer.set).start()


@contextlib.contextmanager
def meanwhile(person: Person, run: Callable[[], Any]) -> Iterator[list[Any]]:
    """While another thread runs something and asks a person; what came of it, or its exception."""
    ended: list[Any] = []

    def target() -> None:
        try:
            with prompting_with(person):
                ended.append(run())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    assert person.is_asking.wait(WAIT)
    yield ended
    thread.join(WAIT)
    assert not thread.is_alive()


def connecting(duct: Duct, person: Person) -> contextlib.AbstractContextManager[list[Any]]:
    """While another thread connects a duct, and asks a person; the password it used."""
    return meanwhile(person, lambda: duct.connect().password)


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
    assert refusal("keyring:prod 2") == (
        "db: the keyring has no password of 'me' under 'prod 2'; set it with: keyring set 'prod 2' me"
    )
    assert refusal("keyring:prod", "username") == (
        "db: the keyring has no username under 'prod'; set it with: keyring set prod <username>"
    )
    assert refusal("keyring:") == "db: its password is keyring: and names no service"


def test_a_ducts_password_is_looked_up_under_its_username(keyring: Any) -> None:
    keyring.set_password("prod", getpass.getuser(), "of the local user")
    keyring.set_password("prod", "me", "mine")
    passwords = {
        username: CredentialsDuct(username=username, password="keyring:prod").password
        for username in (None, "me")
    }
    assert passwords == {None: "of the local user", "me": "mine"}


def test_a_keyring_may_know_the_username_as_well(keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.credentials import SimpleCredential

    def any_credential(service: str, username: str | None) -> SimpleCredential:
        assert username is None
        return SimpleCredential(f"user of {service}", SENTINEL)

    monkeypatch.setattr(keyring.get_keyring(), "get_credential", any_credential)
    assert found("keyring:prod", "username") == "user of prod"
    assert CredentialsDuct(username=False, password="keyring:prod").password == SENTINEL


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
        ("Username for db (the last one was refused)", "text"),
        ("Password for db (the last one was refused)", "secret"),
    ]
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
    program = """
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
    duct, person = CredentialsDuct(name="db", password=True), Person(SENTINEL, slow=True)

    def connect() -> Duct:
        with prompting_with(person):
            return duct.connect()

    with connecting(duct, person) as first:
        person.answers_soon()
        assert in_threads(50, connect) == [duct] * 50
    assert first == [SENTINEL]
    assert (len(person.asked), len(duct.logins)) == (1, 1)


def test_those_who_cannot_ask_wait_for_the_answer_that_another_gets() -> None:
    duct, person = CredentialsDuct(name="db", password=True), Person(SENTINEL, slow=True)
    with connecting(duct, person):
        person.answers_soon()
        assert duct.password == SENTINEL  # nobody can be asked from here
    assert len(person.asked) == 1


def test_two_ducts_of_one_name_ask_each_for_itself() -> None:
    first, second = (CredentialsDuct(name="db", password=True) for _ in range(2))
    with prompting_with(Person("a", "b")):
        assert (first.password, second.password) == ("a", "b")


def test_when_the_one_who_asks_is_interrupted_the_next_asks_himself() -> None:
    duct, interrupted = CredentialsDuct(name="db", password=True), Person(KeyboardInterrupt(), slow=True)
    next_one = Person(SENTINEL)
    with connecting(duct, interrupted) as ended:
        interrupted.answers_soon()
        with prompting_with(next_one):
            duct.connect()
    assert isinstance(ended[0], KeyboardInterrupt)
    assert (len(next_one.asked), duct.status.state) == (1, "connected")


def test_a_patient_prompter_gives_its_question_up_and_both_askers_get_the_answer() -> None:
    duct = CredentialsDuct(name="db", password=True)
    field, cell = Person(patient=True, slow=True), Person(SENTINEL)
    with connecting(duct, field) as clicked, prompting_with(cell):
        assert duct.connect().password == SENTINEL
    assert clicked == [SENTINEL]
    assert field.asked == field.withdrawn == cell.asked
    assert len(duct.logins) == 1


def test_a_question_that_was_given_up_is_not_asked_again_when_the_answer_came_at_once() -> None:
    duct, cell = CredentialsDuct(name="db", password=True), Person(SENTINEL)

    class Slow(Person):
        def withdraw(self, question: Question) -> None:
            self.withdrawn.append(question)  # and notices it only after the cell has its answer

    field = Slow(patient=True, slow=True)
    with connecting(duct, field) as clicked:
        with prompting_with(cell):
            duct.connect()
        field.may_answer.set()
    assert (clicked, len(field.asked)) == ([SENTINEL], 1)


def test_an_answer_that_comes_after_the_question_was_answered_elsewhere_counts_for_nothing() -> None:
    class Late(Person):
        def withdraw(self, question: Question) -> None:
            """Too late: the person has begun to type."""

    question = Question("db", "password", "Password", "secret")
    field, owner = Late("late", patient=True, slow=True), Person("second", slow=True)
    with contextlib.ExitStack() as both:
        clicked = both.enter_context(meanwhile(field, lambda: ask(question)))
        with prompting_with(Person("first")):
            assert ask(question) == "first"
        with meanwhile(owner, lambda: ask(question)):  # the same, asked anew
            field.may_answer.set()
            both.close()
            assert clicked == ["first"]
            owner.answers_soon()
            with prompting_with(Person()):  # who would not know
                assert ask(question) == "second"


@pytest.mark.parametrize("patient", [True, False])
def test_a_question_is_taken_neither_from_one_that_cannot_wait_nor_by_one_that_can(patient: bool) -> None:
    duct = CredentialsDuct(name="db", password=True)
    owner, other = Person(SENTINEL, patient=patient, slow=True), Person(patient=patient)
    with connecting(duct, owner):
        owner.answers_soon()
        with prompting_with(other):
            assert duct.password == SENTINEL
    assert (other.asked, owner.withdrawn) == ([], [])


def test_the_main_thread_does_not_wait_for_the_page_that_it_serves() -> None:
    duct, field = CredentialsDuct(name="db", password=True), Person(SENTINEL, patient=True, slow=True)
    with connecting(duct, field) as clicked:
        with pytest.raises(DuctPromptUnavailable, match="db: its password has to be asked for"):
            duct.connect()
        field.may_answer.set()
    assert clicked == [SENTINEL]


def test_another_thread_waits_for_a_page_but_not_for_one_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    duct, field = CredentialsDuct(name="db", password=True), Person(SENTINEL, patient=True, slow=True)
    with connecting(duct, field):
        with monkeypatch.context() as gone:
            gone.setattr(field, "can_ask", lambda: False)
            (error,) = in_threads(1, lambda: duct.password)
        assert isinstance(error, DuctPromptUnavailable)
        field.answers_soon()
        assert in_threads(1, lambda: duct.password) == [SENTINEL]
    assert len(field.asked) == 1


def test_when_the_cell_that_took_the_question_is_interrupted_the_field_asks_again() -> None:
    duct = CredentialsDuct(name="db", password=True)
    field, cell = Person(SENTINEL, patient=True, slow=True), Person(KeyboardInterrupt())
    with connecting(duct, field) as clicked, prompting_with(cell), pytest.raises(KeyboardInterrupt):
        duct.connect()
    assert (clicked, len(field.asked), len(duct.logins)) == ([SENTINEL], 2, 1)
