"""Where a username or password comes from, and who asks the person.

A username or password is one of: a value; a callable; a tagged source (``env:VAR``,
``keyring:service``, ``command:pass show db``); True (ask the person); False (none). A backslash
before a tag makes it an ordinary value.

Who asks is a `Prompter`. A question has one owner at a time: whoever else needs the same answer
waits for it, and an owner that is `patient` (a field in the panel) gives its question up to one that
is not (a cell that cannot go on without the answer).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Literal, Protocol, cast

from omniduct.errors import DuctAuthenticationError, DuctDriverMissing, DuctPromptUnavailable, Interrupted

__all__ = [
    "Prompter",
    "Question",
    "Secret",
    "Withdrawn",
    "ask",
    "holds_login",
    "is_tagged",
    "prompting_with",
    "resolve",
    "take_over",
    "without_password",
]

_TAGS = ("env:", "keyring:", "command:")
_COMMAND_TIMEOUT = 60.0  # seconds; a password manager may itself be asking the person


class Secret:
    """A text that no repr, str, log line or traceback shows.

    >>> Secret("swordfish")
    <secret>
    >>> Secret("swordfish") == "swordfish"
    True
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            return self._text == other._text
        return self._text == other

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self  # it cannot change

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere: take it out before you pickle")

    @staticmethod
    def wrap(value: object) -> object:
        """A text as a Secret; everything else (True, a callable, None, a Secret) as it is."""
        return Secret(value) if isinstance(value, str) else value


_LOGIN = re.compile(r"/[^/@\s]*:[^@\s]+@")
_PASSWORDS = ("password", "passwd", "pwd")  # as drivers name it


def holds_login(value: object) -> bool:
    """Whether a value is a URL with a password in it."""
    return isinstance(value, str) and _LOGIN.search(value) is not None


def without_password(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    """A driver's options without the password, and that: a duct keeps it where nothing shows it."""
    rest = dict(options or {})
    found = [rest.pop(name) for name in _PASSWORDS if name in rest]
    return rest, next((str(password) for password in found if password), None)


def is_tagged(value: object, tag: str | None = None) -> bool:
    r"""Whether a username or password names a source, rather than being the value itself.

    >>> is_tagged("env:DB_PASSWORD"), is_tagged("swordfish"), is_tagged(r"\env:literally")
    (True, False, False)
    """
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and text.startswith(f"{tag}:" if tag else _TAGS)


def resolve(
    raw: object, duct: str, field: str, username: Callable[[], str | None], asker: object = None
) -> str | None:
    """The text of a username or password.

    Parameters
    ----------
    raw : str, Secret, True, False or None
        What was configured.
    duct, field : str
        For which duct and field, as errors and questions name them.
    username : callable
        Gives the name under which ``keyring:`` looks a password up.
    asker : object, optional
        For whom it is: those who ask the same for the same one share the answer.

    Raises
    ------
    DuctAuthenticationError
        A source has no value.
    DuctPromptUnavailable
        The person has to be asked and there is nobody to ask.
    """
    if raw is True:
        kind: Literal["text", "secret"] = "text" if field == "username" else "secret"
        refused = " (the last one was refused)" if getattr(asker, "_login_refused", False) else ""
        text = f"{field.capitalize()} for {duct}{refused}"
        known = functools.partial(_remembered, field, asker)
        return cast(str, ask(Question(duct, field, text, kind, asker, known)))
    if raw is None or raw is False:
        return None
    text = raw.reveal() if isinstance(raw, Secret) else str(raw)
    if text.startswith("\\") and is_tagged(text[1:]):
        return text[1:]
    if not is_tagged(text):
        return text
    tag, _, rest = text.partition(":")
    return _SOURCES[tag](rest.strip(), duct, field, username)


def _remembered(field: str, asker: Any) -> str | None:
    """The password that the person has saved before, unless the service has just refused it."""
    if field != "password" or not hasattr(asker, "_login_refused") or asker._login_refused:
        return None
    from omniduct.core import remembered

    return remembered.saved(asker)


def _named(rest: str, tag: str, what: str, duct: str, field: str) -> str:
    """What stands after a tag."""
    if not rest:
        raise DuctAuthenticationError(f"{duct}: its {field} is {tag}: and names no {what}")
    return rest


def _from_env(variable: str, duct: str, field: str, _username: Callable[[], str | None]) -> str:
    _named(variable, "env", "variable", duct, field)
    try:
        return os.environ[variable]
    except KeyError:
        raise DuctAuthenticationError(
            f"{duct}: its {field} is env:{variable}, but the environment has no variable {variable}; "
            "set it before Python starts, or in os.environ"
        ) from None


def _from_keyring(service: str, duct: str, field: str, username: Callable[[], str | None]) -> str:
    _named(service, "keyring", "service", duct, field)
    try:
        import keyring
    except ImportError as error:
        raise DuctDriverMissing(
            f"{duct}: its {field} is in the keyring, which needs the `keyring` package: "
            "pip install 'omniduct-ext[keyring]'"
        ) from error
    user = username() if field == "password" else None
    try:
        if user:
            found = keyring.get_password(service, user)
        else:  # whichever there is
            credential = keyring.get_credential(service, None)
            found = getattr(credential, field) if credential else None
    except Exception as error:  # a backend has errors of its own
        raise DuctAuthenticationError(
            f"{duct}: the keyring did not give the {field} of {service!r}: {error}"
        ) from error.with_traceback(None)
    if found is None:
        wanted = f"{field} of {user!r}" if user else field
        advice = f"keyring set {shlex.quote(service)} {shlex.quote(user) if user else '<username>'}"
        raise DuctAuthenticationError(
            f"{duct}: the keyring has no {wanted} under {service!r}; set it with: {advice}"
        )
    return found


def _from_command(command: str, duct: str, field: str, _username: Callable[[], str | None]) -> str:
    """The first line that a command prints, as password managers do; no shell is involved."""
    import subprocess

    program = _named(command, "command", "command", duct, field).split()[0]
    complaint = f"{duct}: the command that gives its {field} ({program})"
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=_COMMAND_TIMEOUT)
    except (OSError, ValueError) as error:
        raise DuctAuthenticationError(f"{complaint} cannot be run: {error}") from error.with_traceback(None)
    except subprocess.TimeoutExpired:
        raise DuctAuthenticationError(f"{complaint} gave no answer within {_COMMAND_TIMEOUT:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it says nothing more"]
        raise DuctAuthenticationError(f"{complaint} failed with exit code {done.returncode}: {said[0]}")
    try:
        first = done.stdout.partition(b"\n")[0].decode().rstrip("\r")
    except UnicodeDecodeError:
        raise DuctAuthenticationError(f"{complaint} printed what is not UTF-8 text") from None
    if not first:
        raise DuctAuthenticationError(f"{complaint} printed nothing in its first line")
    return first


_SOURCES = {"env": _from_env, "keyring": _from_keyring, "command": _from_command}


@dataclasses.dataclass(frozen=True)
class Question:
    """What has to be asked of the person."""

    duct: str
    field: str
    text: str
    kind: Literal["text", "secret", "confirm"]
    asker: object = None
    known: Callable[[], str | None] | None = None
    """Looked up before the person is asked, by the one who would ask."""
    withdrawn: threading.Event = dataclasses.field(
        default_factory=threading.Event, init=False, repr=False, compare=False
    )
    """Set while one that cannot wait asks it instead of a patient prompter."""

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells questions apart: the same key, the same answer."""
        return id(self.asker), self.duct, self.field


class Withdrawn(Exception):
    """Raised out of `Prompter.ask` by a patient prompter whose question somebody else took over."""


class Prompter(Protocol):
    """Somebody who can ask the person: a terminal, a notebook cell, a field in the panel."""

    patient: bool
    """Whether this prompter's questions may be taken over by one that cannot wait."""

    def can_ask(self) -> bool:
        """Whether the person can be reached from here, now."""

    def ask(self, question: Question) -> str | bool:
        """Ask, wait, and return the answer (a bool for a ``confirm``)."""

    def withdraw(self, question: Question) -> None:
        """Stop asking: `ask` raises `Withdrawn`, even if it is yet to be called. Only for patient ones."""


class Link(Protocol):
    """Where the link to a page that the person logs in at is shown."""

    def can_show(self) -> bool:
        """Whether somebody sees it there, now."""

    def show(self, url: str) -> None:
        """Show it."""

    def is_given_up(self) -> bool:
        """Whether the person has said, where it is shown, that they will not follow it."""

    def close(self, said: str) -> None:
        """Show this instead, in the end."""


class TerminalPrompter:
    """Asks on the terminal that the program runs in."""

    patient = False

    def can_ask(self) -> bool:
        """Whether standard input is a terminal."""
        try:
            return sys.stdin is not None and sys.stdin.isatty()
        except ValueError:  # closed
            return False

    def ask(self, question: Question) -> str | bool:
        """Ask on the terminal; a secret is not echoed."""
        return ask_with_input(question)

    def withdraw(self, question: Question) -> None:
        """Never called: a terminal's question stays its own."""


def ask_with_input(question: Question) -> str | bool:
    """Ask through `input` and `getpass`, which in a notebook's kernel go to the cell's own prompt."""
    try:
        return _typed(question)
    except EOFError:  # Ctrl-D
        raise DuctPromptUnavailable(
            f"{question.duct}: its {question.field} was asked for, and the input was closed without an answer"
        ) from None


def _typed(question: Question) -> str | bool:
    import getpass

    if question.kind == "secret":
        return getpass.getpass(f"{question.text}: ")
    if question.kind == "text":
        return input(f"{question.text}: ")
    while True:
        answer = input(f"{question.text} [yes/no]: ").strip().lower()
        if answer in ("yes", "y", "no", "n"):
            return answer[0] == "y"


_chosen: ContextVar[Prompter | None] = ContextVar("omniduct_prompter", default=None)


@contextlib.contextmanager
def prompting_with(prompter: Prompter) -> Iterator[None]:
    """Within this block questions go to `prompter`."""
    token = _chosen.set(prompter)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen_link(duct: str) -> Link | None:
    """Where the prompter of `prompting_with` shows a link; None if there is none, or if it has no place."""
    shows: Callable[[str], Link | None] | None = getattr(_chosen.get(), "link", None)
    return None if shows is None else shows(duct)


def _prompter() -> Prompter | None:
    chosen = _chosen.get()
    if chosen is None and "IPython" in sys.modules:
        from omniduct.ipython.prompts import notebook_prompter

        chosen = notebook_prompter()
    if chosen is None:
        chosen = TerminalPrompter()
    return chosen if chosen.can_ask() else None


class _Asked:
    """A question under way: who asks it, and the answer for all who wait for it."""

    def __init__(self, question: Question, owner: Prompter) -> None:
        self.question = question
        self.owner = owner
        self.over = threading.Event()
        self.answer: str | bool | None = None


_asked: dict[tuple[int, str, str], _Asked] = {}
_asked_lock = threading.Lock()


def ask(question: Question) -> str | bool:
    """Ask the person, or wait for the answer when the same is being asked already.

    Raises
    ------
    DuctPromptUnavailable
        There is nobody to ask.
    """
    while True:
        asked, prompter = _own_or_join(question)
        if prompter is not None:
            with contextlib.suppress(Withdrawn):
                _put(asked, prompter)
        asked.over.wait()
        if asked.answer is not None:
            return asked.answer


def take_over(asker: object) -> None:
    """Ask what a patient prompter asks for somebody just now, if the person can be asked from here.

    For who waits for a connection, which another thread makes and which needs an answer.
    """
    with _asked_lock:
        asked = [each for each in _asked.values() if each.question.asker is asker and each.owner.patient]
    for each in asked:
        ask(each.question)


def _own_or_join(question: Question) -> tuple[_Asked, Prompter | None]:
    """The question under way, with the prompter that is to ask it when that is for this caller."""
    prompter = _prompter()
    with _asked_lock:
        asked = _asked.get(question.key)
        if asked is None:
            prompter = prompter or _Nobody()
            question.withdrawn.clear()
            asked = _asked[question.key] = _Asked(question, prompter)
            return asked, prompter
        if prompter is None and asked.owner.patient and not _may_wait_for(asked.owner):
            raise _nobody(question)
        if prompter is None or prompter.patient or not asked.owner.patient:
            return asked, None
        former, asked.owner = asked.owner, prompter
    former.withdraw(asked.question)
    return asked, None if asked.over.is_set() else prompter  # answered in this very moment


def _may_wait_for(owner: Prompter) -> bool:
    """Whether one who can ask nobody may wait for what a page is asking: the main thread serves the page."""
    return threading.current_thread() is not threading.main_thread() and owner.can_ask()


def _put(asked: _Asked, prompter: Prompter) -> None:
    known = asked.question.known
    try:
        found = None if known is None else known()
        answer = prompter.ask(asked.question) if found is None else found
    except Withdrawn:
        raise
    except KeyboardInterrupt:
        _close(asked, None)  # one who waits asks next
        raise Interrupted(f"{asked.question.duct}: was not told its {asked.question.field}") from None
    except BaseException:
        _close(asked, None)
        raise
    _close(asked, answer)


def _close(asked: _Asked, answer: str | bool | None) -> None:
    with _asked_lock:
        if _asked.get(asked.question.key) is asked:
            del _asked[asked.question.key]
        if not asked.over.is_set():  # by one who took the question over
            asked.answer = answer
            asked.over.set()


class _Nobody:
    """Who asks where nobody can be asked."""

    patient = False

    def can_ask(self) -> bool:
        return False

    def ask(self, question: Question) -> str | bool:
        raise _nobody(question)

    def withdraw(self, question: Question) -> None:
        """Never called."""


def _nobody(question: Question) -> DuctPromptUnavailable:
    field, duct = question.field, question.duct
    advice = [f"connect it in a cell first (%omniduct connect {duct})"] if "IPython" in sys.modules else []
    if field in ("username", "password"):
        variable = re.sub(r"\W", "_", f"{duct}_{field}").upper()
        source = f"{field}: env:{variable}, or a keyring: or command: source"
        advice.append(f"give the {field} in the configuration, for example {source}")
    sentence = ", or ".join(advice)
    return DuctPromptUnavailable(
        f"{duct}: its {field} has to be asked for, and there is nobody to ask here: no terminal, and no "
        "running cell of a page that takes input (a background thread or a widget's callback has none). "
        f"{sentence[:1].upper()}{sentence[1:]}".rstrip()
    )
