"""Answers to what OpenSSH asks: what the duct knows, and else what the person says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from omniduct.credentials import Question, Secret, ask
from omniduct.errors import (
    DuctAuthenticationError,
    DuctPromptUnavailable,
    DuctWarning,
)
from omniduct.remotes.ssh.hostkeys import ask_trust
from omniduct.remotes.ssh.openssh.askpass import Asked, fingerprint

if TYPE_CHECKING:
    from omniduct.remotes.ssh.openssh.client import OpenSSHClient
    from omniduct.remotes.ssh.openssh.settings import Settings

__all__ = ["Answers"]


class Answers:
    """What is answered while one connection is made; called with each question.

    What was typed is kept by the duct, for its next connections; it is offered once to each.

    Parameters
    ----------
    duct : OpenSSHClient
        For which it is.
    settings : Settings
        Its machine's: those on the way ask, too.

    Attributes
    ----------
    failure : DuctPromptUnavailable or None
        Why there was no answer, where OpenSSH went on without.
    """

    def __init__(self, duct: OpenSSHClient, settings: Settings) -> None:
        self._duct, self._settings = duct, settings
        self._given: list[str] = []
        self.failure: DuctPromptUnavailable | None = None

    def __call__(self, asked: Asked) -> str | None:
        """The answer; None if there is none, and OpenSSH is to go on without.

        Raises
        ------
        DuctAuthenticationError, DuctConnectionError
            There is none, and nothing to go on with.
        """
        if asked.kind == "touch":
            warnings.warn(f"{self._duct.name}: {asked.text}", DuctWarning, stacklevel=2)
            return None
        if asked.kind == "trust":
            return self._trust(asked)
        if asked.kind == "passphrase":
            return self._passphrase(asked.what)
        if asked.kind == "pin":
            return self._secret(f"PIN of {asked.what}", f"PIN of {asked.what}")
        who = asked.what or self._settings.asked
        # The machines may have one name, and differ by their ports, which no question says.
        is_own = who == self._settings.asked and not (asked.is_on_the_way and self._settings.has_way)
        shown = self._shown(who, is_own)
        if asked.kind == "code":  # it holds once
            self._given.append("")
            return self._typed(f"{asked.text.lower()} for {shown}", f"{asked.text} ({shown})")
        return self._own_password(shown) if is_own else self._password(shown)

    def forget_last(self) -> None:
        """The login was refused: what was answered last is not offered again."""
        self._duct._answers.pop(next(reversed(self._given), ""), None)

    def _shown(self, who: str, is_own: bool) -> str:
        """Who it is as the person knows it, though the machine is reached at another place."""
        if who != self._settings.asked:
            return who
        return f"{self._settings['user']}@{self._duct._host}" + ("" if is_own else ", on the way")

    def _trust(self, asked: Asked) -> str:
        name, place = self._duct.name, asked.what.partition(" ")[0]
        kind, key = fingerprint(asked)
        if not key:  # another question with yes and no for an answer
            return "yes" if self._confirm("consent", asked.text) else "no"
        advice = ", connect once where somebody can say so, or write it down with ssh-keyscan"
        ask_trust(self._confirm, name, place, f"Its {kind} key is {key}", advice)
        return "yes"

    def _confirm(self, field: str, text: str) -> bool:
        return ask(Question(self._duct.name, field, text, "confirm", self._duct)) is True

    def _passphrase(self, key: str) -> str | None:
        try:
            return self._secret(f"passphrase of {key}", f"Passphrase of {key}")
        except DuctPromptUnavailable as error:  # there may be another key, or another way
            self.failure = error
            return None

    def _own_password(self, shown: str) -> str:
        """The password for the duct's own machine: the duct's, once, and then the person's."""
        raw = self._duct._password
        if raw is False:
            raise DuctAuthenticationError(
                f"{self._duct.name}: {shown} asks for a password, and the duct has none (password=False)"
            )
        was_offered = "its own" in self._given
        own: str | None = None if raw is None or was_offered else self._duct.password
        if own is not None:
            self._given.append("its own")
            return own
        if was_offered and raw is True:  # the one who asked for it asks again
            raise self._refused(shown)
        try:
            return self._password(shown, was_offered)
        except DuctPromptUnavailable:
            if was_offered:
                raise self._refused(shown) from None
            raise

    def _refused(self, shown: str) -> DuctAuthenticationError:
        return DuctAuthenticationError(f"{self._duct.name}: {shown} refused the password")

    def _password(self, shown: str, was_refused: bool = False) -> str:
        return self._secret(f"password for {shown}", f"Password for {shown}", was_refused)

    def _secret(self, field: str, text: str, was_refused: bool = False) -> str:
        """What is known of former connections, once; else what the person types."""
        was_refused = was_refused or field in self._given
        known = None if was_refused else self._duct._answers.get(field)
        if known is None:
            self._duct._answers.pop(field, None)
            known = Secret(self._typed(field, f"{text} (the last one was refused)" if was_refused else text))
            self._duct._answers[field] = known
        self._given.append(field)
        return known.reveal()

    def _typed(self, field: str, text: str) -> str:
        return str(ask(Question(self._duct.name, field, text, "secret", self._duct)))
