"""Passwords that the person had saved in the keyring: one for a user of a service, whichever duct asks."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

from omniduct.core.endpoints import where

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["can_save", "forget", "save", "saved"]

logger = logging.getLogger("omniduct")


def can_save() -> bool:
    """Whether there is a keyring that works."""
    return _keyring() is not None


def saved(duct: Duct) -> str | None:
    """The password of a duct's user that was saved; None if there is none."""
    keyring = _keyring()
    if keyring is None:
        return None
    try:
        found: str | None = keyring.get_password(*_login(duct))
    except Exception:  # a backend has errors of its own, and the person can be asked
        logger.debug("%s: asking the keyring", duct.name, exc_info=True)
        return None
    return found


def save(duct: Duct, password: str) -> None:
    """Save the password of a duct's user.

    Raises
    ------
    Exception
        Whatever the keyring's backend raises.
    """
    keyring = _keyring()
    assert keyring is not None
    keyring.set_password(*_login(duct), password)


def forget(duct: Duct) -> bool:
    """Take the password of a duct's user out of the keyring; whether one was there."""
    keyring = _keyring()
    if keyring is None or saved(duct) is None:
        return False
    keyring.delete_password(*_login(duct))
    return True


def _login(duct: Duct) -> tuple[str, str]:
    """Of what service and user: never another one's, whatever ducts are called."""
    user = str(duct.username or "")  # first: this prepares, which settles where it is
    return f"omniduct {duct.protocol or type(duct).__name__}://{where(duct)}", user


def _keyring() -> Any:
    """The package, if it is installed and has a backend that keeps something."""
    if importlib.util.find_spec("keyring") is None:
        return None
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    return None if isinstance(backend, (fail.Keyring, null.Keyring)) else keyring
