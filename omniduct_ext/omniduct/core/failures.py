"""Errors for people, from the errors of drivers: one sentence, the cause chained, no secrets."""

from __future__ import annotations

import contextvars
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from omniduct import credentials
from omniduct.core.endpoints import where
from omniduct.credentials import Secret
from omniduct.errors import DuctConnectionError, DuctDriverMissing, DuctError, DuctServerUnreachable

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["cause", "log", "of_check", "of_connecting", "of_disconnecting", "redact"]

logger = logging.getLogger("omniduct")


def of_connecting(duct: Duct, error: Exception) -> DuctError:
    """What to tell the person when a hook failed to connect, chained to its cause."""
    if isinstance(error, DuctError):
        return _own(duct, error)
    said = redact(duct, _said(error))
    at = f" to {where(duct)}" if where(duct) else ""
    kind, sentence = DuctConnectionError, f"could not connect{at}: {said}"
    if isinstance(error, ImportError):
        protocol = duct.protocol or type(duct).__name__
        kind, sentence = DuctDriverMissing, f"{protocol} needs a Python package that is not here: {said}"
    elif isinstance(error, (ConnectionRefusedError, socket.gaierror, TimeoutError)):
        kind = DuctServerUnreachable
    return _chained(kind(f"{duct.name}: {sentence}"), cause(duct, error))


def of_disconnecting(duct: Duct, error: Exception) -> DuctError:
    """What to tell the person when a connection could not be closed in order, chained to its cause."""
    if isinstance(error, DuctError):
        return _own(duct, error)
    sentence = f"is disconnected, but closing the connection failed: {redact(duct, _said(error))}"
    return _chained(DuctConnectionError(f"{duct.name}: {sentence}"), cause(duct, error))


def _own(duct: Duct, error: DuctError) -> DuctError:
    """An error of ours, without secrets and frames."""
    reason = cause(duct, error)
    error.args = tuple(redact(duct, a) if isinstance(a, str) else a for a in error.args)
    error.__context__ = None
    return _chained(error.with_traceback(None), reason)


def _chained(error: DuctError, reason: BaseException | None) -> DuctError:
    error.__cause__ = reason
    return error


def log(duct: Duct, doing: str, error: BaseException) -> None:
    """Note an error that does not matter, without its frames and secrets."""
    logger.debug("%s: %s: %s", duct.name, doing, redact(duct, f"{type(error).__name__}: {error}"))


def of_check(duct: Duct) -> str:
    """Why a connected duct is no longer connected, found within its `CHECK_TIMEOUT`; empty if it is."""
    if duct._host is None and duct._remote is None:
        return _check(duct)
    answers: list[str] = []
    given_up = threading.Event()
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=lambda: answers.append(context.run(_check, duct, given_up.is_set)),
        daemon=True,
        name=f"omniduct check {duct.name}",
    )
    thread.start()
    thread.join(duct.CHECK_TIMEOUT)
    given_up.set()
    return answers[0] if answers else f"no answer within {duct.CHECK_TIMEOUT:g} s"


def _check(duct: Duct, is_given_up: Callable[[], bool] = lambda: False) -> str:
    def find_fault() -> str:
        reason = duct._unreachable(duct.CHECK_TIMEOUT)
        if is_given_up():  # by now the connection may be another one, or busy
            return reason
        return reason or ("" if duct._is_connected() else "the connection has ended")

    try:
        return duct._life.checking(find_fault)
    except Exception as error:
        log(duct, "the check of its connection failed", error)
        return redact(duct, _said(error))


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return text or type(error).__name__


def _secrets(duct: Duct) -> list[str]:
    found = {s.reveal() for s in duct._answers.values() if isinstance(s, Secret)}
    raw = duct._password
    if isinstance(raw, Secret) and not credentials.is_tagged(raw):
        found.add(raw.reveal().removeprefix("\\"))
    found.update(duct._secrets_besides())
    username = duct._answers.get("username")
    return [s for s in found if len(s) > 2 and s != (username.reveal() if username else None)]


def redact(duct: Duct, text: str) -> str:
    """A text in which every secret of the duct is replaced by asterisks, also where it is quoted."""
    from urllib.parse import quote, quote_plus

    for secret in _secrets(duct):
        quoted = quote(secret), quote(secret, safe=""), quote_plus(secret)
        for written in (secret, repr(secret)[1:-1], *quoted):
            text = text.replace(written, "***")
    return text


def cause(duct: Duct, error: Exception) -> BaseException | None:
    """What to chain as the cause: the driver's exception without its frames, or a stand-in if it tells."""
    if not isinstance(error, DuctError):
        return _bare(duct, error)
    reason = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return _bare(duct, reason) if reason else None


def _bare(duct: Duct, error: BaseException) -> BaseException:
    told = f"{error!r} {error}"
    if redact(duct, told) != told:
        return DuctConnectionError(redact(duct, f"{type(error).__name__}: {error}"))
    error.__traceback__ = None
    error.__context__ = None
    if error.__cause__ is not None:
        error.__cause__ = _bare(duct, error.__cause__)
    return error
