"""Logging in: keys, the agent, codes and passwords, in the order in which OpenSSH tries them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctPromptUnavailable
from omniduct.remotes.ssh.asking import Asking
from omniduct.remotes.ssh.config import Place
from omniduct.remotes.ssh.dialogs import Round, converse
from omniduct.remotes.ssh.keys import Keys

if TYPE_CHECKING:
    from paramiko import Transport

__all__ = ["HungUp", "log_in"]

_TRIES = 3  # of a code or a password
_MOST_KEYS = 5  # servers let go of who tries six
_ANSWER = 30.0  # seconds that the machine has to say whether it takes what it was given
_PASSWORD = re.compile(r"(?:\S+ ){0,3}(?:\S+'s )?password(?: for \S+)?\s*:?\s*", re.IGNORECASE)
_NOT_OURS = re.compile(r"one.?time|otp|oath|token|code|second|2fa|\bnew\b|again|retype", re.IGNORECASE)
_METHODS = ("publickey", "keyboard-interactive", "password")


class HungUp(DuctAuthenticationError):
    """The machine ended the connection before anybody had logged in."""


def log_in(transport: Transport, place: Place, asking: Asking) -> None:
    """Log in at a place.

    Raises
    ------
    DuctAuthenticationError
        It takes nothing of what there is.
    HungUp
        It ended the connection; perhaps it was the person who took too long.
    """
    transport.auth_timeout = _ANSWER
    _Login(transport, place, asking).run()


class _Login:
    def __init__(self, transport: Transport, place: Place, asking: Asking) -> None:
        self._transport = transport
        self._place = place
        self._asking = asking
        self._keys = Keys(place, asking)
        self._tried: list[str] = []
        self._nobody: DuctPromptUnavailable | None = None

    def run(self) -> None:
        methods = self._methods()
        used: set[str] = set()
        while not self._transport.is_authenticated():
            method = next((each for each in _METHODS if each in methods - used), None)
            if method is None:
                raise self._refused(methods)
            used.add(method)
            further = self._further(method)
            if further:  # this was one of several that it wants; a key may be wanted twice
                methods, used = further, set()

    def _further(self, method: str) -> set[str]:
        """Try one method; what the machine wants besides, if it took that."""
        try:
            if method == "publickey":
                return self._try_keys()
            return self._try_codes() if method == "keyboard-interactive" else self._try_passwords()
        except DuctPromptUnavailable as error:
            self._nobody = self._explained(error)
            if not self._transport.is_active():  # a question of the machine cannot be left unanswered
                raise self._nobody from None
            return set()

    def _explained(self, error: DuctPromptUnavailable) -> DuctPromptUnavailable:
        """With the keys that could not be used: most often one of them was meant to be."""
        if not self._keys.locked:
            return error
        files = " ".join(shlex.quote(str(file)) for file in self._keys.locked)
        return DuctPromptUnavailable(
            f"{self._asking.name}: {self._place} was not shown the key {files}: it has a passphrase, which "
            f"nobody can be asked for here. Give it to the agent: ssh-add {files}"
        )

    def _methods(self) -> set[str]:
        """What the machine takes."""
        import paramiko

        try:
            self._transport.auth_none(self._place.user)
        except paramiko.BadAuthenticationType as error:
            return set(error.allowed_types)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._hung_up(error) from error
        return set()

    def _hung_up(self, error: BaseException | None = None) -> HungUp:
        before = f" ({'; '.join(self._tried)})" if self._tried else ""
        said = f": {error}" if error is not None and str(error) else ""
        return HungUp(
            f"{self._asking.name}: {self._place} ended the connection before anybody was logged in"
            f"{before}{said}"
        )

    def _refused(self, methods: set[str]) -> DuctConnectionError:
        if not self._transport.is_active():
            return self._hung_up()
        if self._nobody is not None:
            return self._nobody
        tried = "; ".join(self._tried) or "there was nothing to try"
        return DuctAuthenticationError(
            f"{self._asking.name}: {self._place} refused the login: {tried}. "
            f"It takes: {', '.join(sorted(methods))}"
        )

    # Keys

    def _try_keys(self) -> set[str]:
        import paramiko

        count = 0
        for name, load in self._keys:
            if count == _MOST_KEYS:
                self._tried.append("further keys were not tried (name one with IdentityFile)")
                break
            key = load()
            if key is None:
                continue
            count += 1
            try:
                return set(self._transport.auth_publickey(self._place.user, key))
            except paramiko.AuthenticationException:
                self._check()
                self._tried.append(f"the key {name} was refused")
            except (paramiko.SSHException, ValueError, TypeError) as error:
                self._check(error)
                self._tried.append(f"the key {name} cannot be used: {error}")
        self._tried += self._keys.left_out
        return set()

    def _check(self, error: BaseException | None = None) -> None:
        if not self._transport.is_active():
            raise self._hung_up(error)

    # Codes and passwords

    def _try_codes(self) -> set[str]:
        import paramiko

        for attempt in range(_TRIES):
            replies = _Replies(self._place, self._asking, again=attempt > 0)
            try:
                return set(converse(self._transport, self._place.user, replies, _ANSWER))
            except paramiko.SSHException as error:
                self._check(error)  # first: what was given too late was not refused
                replies.refused()
            if not replies.can_try_again:
                break
        self._tried.append(replies.said)
        return set()

    def _try_passwords(self) -> set[str]:
        import paramiko

        for attempt in range(_TRIES):
            password = self._asking.password(self._place, again=attempt > 0)
            if password is None:
                return set()
            self._check()
            try:
                return set(self._transport.auth_password(self._place.user, password, fallback=False))
            except paramiko.SSHException as error:
                self._check(error)
                self._tried.append("the password was refused")
                can_try_again = self._asking.forget_password(self._place)
            if not can_try_again:
                break
        return set()


class _Replies:
    """Answers to what a machine asks in one attempt: the password where it wants that, else what is typed."""

    def __init__(self, place: Place, asking: Asking, again: bool) -> None:
        self._place = place
        self._asking = asking
        self._again = again
        self._gave_password = False
        self.can_try_again = False
        self.said = "what was answered to its questions was refused"

    def __call__(self, asked: Round) -> list[str]:
        return [self._reply(asked, prompt, shown) for prompt, shown in asked.prompts]

    def _reply(self, asked: Round, prompt: str, shown: bool) -> str:
        if _wants_password(prompt) and not shown and not self._gave_password:
            self._gave_password = True
            password = self._asking.password(self._place, self._again)
            if password is None:
                self.said = "it asks for a password, and there is none (password=False)"
            return password or ""
        self.can_try_again = True
        parts = (asked.title, asked.instructions, prompt)
        words = " ".join(part.strip().rstrip(":") for part in parts if part.strip())
        refused = " (the last one was refused)" if self._again else ""
        field = f"{prompt.strip().rstrip(':').lower() or 'answer'} for {self._place}"
        return self._asking.once(field, f"{words} for {self._place}{refused}", is_secret=not shown)

    def refused(self) -> None:
        """Forget a password that was given: it may have been that."""
        if self._gave_password:
            self.can_try_again |= self._asking.forget_password(self._place)


def _wants_password(prompt: str) -> bool:
    """Whether a question is about the login's password, and not about one that holds once, or a new one."""
    return bool(_PASSWORD.fullmatch(prompt)) and not _NOT_OURS.search(prompt)
