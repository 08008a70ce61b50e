"""Errors for people, from the errors of drivers: one sentence, the cause chained, no secrets."""

from __future__ import annotations

import contextvars
import logging
import socket
import threading
from typing import TYPE_CHECKING

from omniduct import credentials
from omniduct.core.endpoints import where
from omniduct.credentials import Secret
from omniduct.errors import DuctConnectionError, DuctDriverMissing, DuctError, DuctServerUnreachable

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["cause", "of_check", "of_connecting", "of_disconnecting", "redact"]

logger = logging.getLogger("omniduct")


def of_connecting(duct: Duct, error: Exception) -> DuctError:
    """What to tell the person when a hook failed to connect."""
    if isinstance(error, DuctError):
        own = error.with_traceback(None)
        own.args = tuple(redact(duct, a) if isinstance(a, str) else a for a in own.args)
        return own
    said = redact(duct, _said(error))
    at = f" to {where(duct)}" if where(duct) else ""
    if isinstance(error, ImportError):
        return DuctDriverMissing(
            f"{duct.name}: {duct.protocol or type(duct).__name__} needs a Python package that is not here: {said}"
        )
    if isinstance(error, (ConnectionRefusedError, socket.gaierror, TimeoutError)):
        return DuctServerUnreachable(f"{duct.name}: could not connect{at}: {said}")
    return DuctConnectionError(f"{duct.name}: could not connect{at}: {said}")


def of_disconnecting(duct: Duct, error: Exception) -> DuctError:
    """What to tell the person when a connection could not be closed in order."""
    if isinstance(error, DuctError):
        return error.with_traceback(None)
    return DuctConnectionError(
        f"{duct.name}: is disconnected, but closing the connection failed: {redact(duct, _said(error))}"
    )


def of_check(duct: Duct) -> str:
    """Why a connected duct is no longer connected, found within its `CHECK_TIMEOUT`; empty if it is."""
    if duct._host is None and duct._remote is None:
        return _check(duct)
    answers: list[str] = []
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=lambda: answers.append(context.run(_check, duct)),
        daemon=True,
        name=f"omniduct check {duct.name}",
    )
    thread.start()
    thread.join(duct.CHECK_TIMEOUT)
    return answers[0] if answers else f"no answer within {duct.CHECK_TIMEOUT:g} s"


def _check(duct: Duct) -> str:
    with duct._life.checking():
        try:
            reason = duct._unreachable(duct.CHECK_TIMEOUT)
            return reason or ("" if duct._is_connected() else "the connection has ended")
        except Exception as error:
            logger.debug("%s: the check of its connection failed", duct.name, exc_info=True)
            return redact(duct, _said(error))


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return text or type(error).__name__


def _secrets(duct: Duct) -> list[str]:
    found = [s.reveal() for s in duct._answers.values() if isinstance(s, Secret)]
    raw = duct._password
    if isinstance(raw, Secret) and not credentials.is_tagged(raw):
        found.append(raw.reveal())
    username = duct._answers.get("username")
    return [s for s in found if len(s) > 2 and s != (username.reveal() if username else None)]


def redact(duct: Duct, text: str) -> str:
    """A text in which every secret of the duct is replaced by asterisks."""
    for secret in _secrets(duct):
        text = text.replace(secret, "***")
    return text


def cause(duct: Duct, error: Exception) -> BaseException | None:
    """What to chain as the cause: the driver's exception without its frames, or a stand-in if it tells."""
    if isinstance(error, DuctError):
        return _bare(duct, error.__cause__) if error.__cause__ else None
    return _bare(duct, error)


def _bare(duct: Duct, error: BaseException) -> BaseException:
    told = f"{error!r} {error}"
    if redact(duct, told) != told:
        return DuctConnectionError(redact(duct, f"{type(error).__name__}: {error}"))
    error.__traceback__ = None
    error.__context__ = None
    if error.__cause__ is not None:
        error.__cause__ = _bare(duct, error.__cause__)
    return error
