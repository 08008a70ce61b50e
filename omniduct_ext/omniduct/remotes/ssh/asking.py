"""What the person is asked to log in somewhere, and what they have said before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from omniduct import credentials
from omniduct.core import fields
from omniduct.credentials import Question, Secret

if TYPE_CHECKING:
    from omniduct.duct import Duct
    from omniduct.remotes.ssh.config import Place

__all__ = ["Asking"]

_OWN = "password"


class Asking:
    """Asks for one duct. What is typed is kept with the duct, until that is reset.

    Attributes
    ----------
    count : int
        How often the person was asked.
    """

    def __init__(self, duct: Duct, own: Place) -> None:
        self.name = duct.name
        self.count = 0
        self._duct = duct
        self._own = own

    def confirm(self, field: str, text: str) -> bool:
        """Ask for a yes or no."""
        return self._asked(field, text, "confirm") is True

    def once(self, field: str, text: str, is_secret: bool = True) -> str:
        """Ask for what serves but once, as a code."""
        return str(self._asked(field, text, "secret" if is_secret else "text"))

    def secret(self, field: str, text: str) -> str:
        """What was said before, or ask for it."""
        known = self.said(field)
        if known is None:
            known = self.once(field, text)
            with self._duct._prepare_lock:
                self._duct._answers[field] = Secret(known)
        return known

    def said(self, field: str) -> str | None:
        """What was said before."""
        answer = self._duct._answers.get(field)
        return None if answer is None else answer.reveal()

    def forget(self, field: str) -> None:
        """Forget what was refused."""
        with self._duct._prepare_lock:
            self._duct._answers.pop(field, None)

    # Passwords

    def password(self, place: Place, again: bool = False) -> str | None:
        """The password for a place: the one that the duct has, what was said before, or ask for it.

        None if the duct says that there is none.
        """
        if place != self._own:
            refused = " (the last one was refused)" if again else ""
            return self.secret(f"password for {place}", f"Password for {place}{refused}")
        if not self._is_asked():
            return cast("str | None", self._duct.password)
        known = self.said(_OWN)
        if known is None:
            self.count += 1
            self._duct._login_refused = again
            known = credentials.resolve(
                True, self.name, _OWN, username=lambda: self._duct.username, asker=self._duct
            )
            with self._duct._prepare_lock:
                self._duct._answers[_OWN] = Secret(str(known))
        return known

    def forget_password(self, place: Place) -> bool:
        """Forget a password that was refused; whether another can be asked for."""
        if place == self._own and not self._is_asked():
            return False
        self.forget(_OWN if place == self._own else f"password for {place}")
        return True

    def _is_asked(self) -> bool:
        return fields.raw(self._duct, "_password") in (None, True)

    def _asked(self, field: str, text: str, kind: Literal["text", "secret", "confirm"]) -> str | bool:
        self.count += 1
        return credentials.ask(Question(self.name, field, text, kind, self._duct))
