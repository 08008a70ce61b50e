"""A login in the browser (OAuth2): the server names a page, and a token once the person has logged in there.

The `trino` package has this, too; but it gives up after five questions for the token, may leave threads
waiting for each other for ever, takes any status from 400 on for a login, and cannot be interrupted.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from omniduct.core.lifecycle import twin
from omniduct.credentials import Secret
from omniduct.databases.presto.loginlinks import place
from omniduct.databases.session.running import check_wanted, tell
from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctDriverMissing, DuctError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from omniduct.credentials import Link
    from omniduct.databases.presto.transport import Courier

__all__ = ["OPTIONS", "Bearer"]

OPTIONS: dict[str, Any] = {"timeout": float, "keyring": bool}
"""What `auth_options` takes, and of which type."""

_PATIENCE = 300.0  # seconds that the person has, unless they say otherwise
_TICK = 0.1  # seconds between two looks at whether the statement is still wanted
_ANSWERS_WITHIN = (10.0, 30.0)  # seconds to connect, and to answer: a server holds the question for ten
_PAUSE = 1.0  # seconds before asking again when no answer came
_NO_ANSWER = 60.0  # seconds without any, after which it is given up
_BUSY = (429, 502, 503, 504)


class _Challenge(NamedTuple):
    """What a server says that wants a login."""

    page: str
    """For the person; empty where there is nothing to do for them."""
    token: str
    """Whence the token comes."""


def _challenge(response: Response) -> _Challenge | None:
    said = response.headers.get("WWW-Authenticate", "")
    found = dict(re.findall(r'\b(x_\w+_server)="(https?://[^"]*)"', said))
    if "x_token_server" not in found:
        return None
    return _Challenge(found.get("x_redirect_server", ""), found["x_token_server"])


class _Login:
    """One login under way: one thread leads, the others wait for what comes of it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failure: DuctError | None = None

    def join(self) -> None:
        """Wait for its end, as long as the statement is wanted."""
        while not self.over.wait(_TICK):
            check_wanted()
        if self.failure is not None:
            raise twin(self.failure)


class Bearer:
    """Puts the token into requests, and gets another when the server refuses it; from any number of threads.

    The token is kept among the duct's answers, where `reset` forgets it.

    Parameters
    ----------
    client : PrestoClient
        The duct.
    user : str, optional
        Whose token it is.
    """

    def __init__(self, client: Any, user: str | None) -> None:
        self._name: str = client.name
        self._patience = float(client.auth_options.get("timeout", _PATIENCE))
        self._answers: dict[str, Any] = client._answers
        self._key = f"token of {user or 'whoever logs in'} at {client._host}:{client._port}"
        self._lock = threading.Lock()
        self._login: _Login | None = None
        self._keyring = client.auth_options.get("keyring", False)
        if self._keyring and self._token is None:
            self._take_from_keyring()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token in, if there is one."""
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def renew(self, courier: Courier, response: Response) -> bool:
        """Get another token than the one that was refused; False where the server wants none.

        Raises
        ------
        DuctPromptUnavailable
            There is nobody to log in.
        DuctAuthenticationError
            Nobody has logged in, or who did is not let in.
        """
        challenge = _challenge(response)
        if challenge is None:
            return False
        refused = response.request.headers.get("Authorization")
        while self._token is None or f"Bearer {self._token}" == refused:
            login, leads = self._join()
            if leads:
                self._lead(login, courier, challenge)
            else:
                login.join()
        return True

    @property
    def _token(self) -> str | None:
        answer = self._answers.get(self._key)
        return answer.reveal() if isinstance(answer, Secret) else None

    def _join(self) -> tuple[_Login, bool]:
        """The login under way, and whether the caller is to lead it."""
        with self._lock:
            if self._login is not None:
                return self._login, False
            self._login = _Login()
            return self._login, True

    def _lead(self, login: _Login, courier: Courier, challenge: _Challenge) -> None:
        """Log in; when that is interrupted, one who waits leads the next."""
        try:
            token = self._logged_in(courier, challenge)
            self._answers[self._key] = Secret(token)
            if self._keyring:
                self._put_into_keyring(token)
        except DuctConnectionError as error:
            login.failure = error
            raise
        finally:
            self._login = None
            login.over.set()

    def _logged_in(self, courier: Courier, challenge: _Challenge) -> str:
        courier.refuse_downgrade(challenge.token)
        link = place(self._name)
        said = "the login was given up"
        try:
            if challenge.page:
                link.show(challenge.page)
            token = self._awaited(courier, challenge.token, link)
            said = "logged in"
            return token
        finally:
            link.close(f"{self._name}: {said}")

    def _awaited(self, courier: Courier, url: str, link: Link) -> str:
        """The token, asked for in a thread of its own: here the wait can be ended at any time."""
        answers: queue.SimpleQueue[str | DuctError] = queue.SimpleQueue()
        over = threading.Event()
        asking = _Asking(self._name, courier, answers, over)
        threading.Thread(
            target=asking.run, args=(url,), name=f"omniduct login {self._name}", daemon=True
        ).start()
        deadline = time.monotonic() + self._patience
        try:
            while time.monotonic() < deadline:
                check_wanted()
                if link.is_given_up():
                    raise DuctConnectionError(f"{self._name}: the login was given up")
                try:
                    answer = answers.get(timeout=_TICK)
                except queue.Empty:
                    continue
                if isinstance(answer, DuctError):
                    raise answer
                return answer
        finally:
            over.set()
        raise DuctAuthenticationError(
            f"{self._name}: nobody has logged in within {self._patience:g} s at the link that was shown; "
            "run it again for another one"
        )

    # The keyring, for who wants it

    @property
    def _account(self) -> tuple[str, str]:
        return "omniduct", self._key

    def _take_from_keyring(self) -> None:
        try:
            import keyring

            token = keyring.get_password(*self._account)
        except ImportError as error:
            raise DuctDriverMissing(
                f"{self._name}: auth_options say keyring: true, which needs the `keyring` package: "
                "pip install 'omniduct-ext[keyring]'"
            ) from error
        except Exception as error:  # a backend has errors of its own
            raise DuctAuthenticationError(
                f"{self._name}: the keyring did not give its token: {error}"
            ) from error.with_traceback(None)
        if token:
            self._answers[self._key] = Secret(token)

    def _put_into_keyring(self, token: str) -> None:
        import keyring

        try:
            keyring.set_password(*self._account, token)
        except Exception as error:
            tell(f"{self._name}: logged in, but the keyring did not take the token: {error}")


class _Asking:
    """Asks for the token until it is there, or nobody waits for it any more.

    Parameters
    ----------
    answers : queue.SimpleQueue
        Gets the token, or why there will be none.
    over : threading.Event
        Nobody waits.
    """

    def __init__(
        self, name: str, courier: Courier, answers: queue.SimpleQueue[str | DuctError], over: threading.Event
    ) -> None:
        self._name = name
        self._courier = courier
        self._answers = answers
        self._over = over
        self._heard = time.monotonic()

    def run(self, url: str) -> None:
        """Ask, first at this URL, then where the answers say."""
        asked: str | None = url
        while asked is not None and not self._over.is_set():
            try:
                asked = self._ask(asked)
            except DuctError as error:
                self._answers.put(error)
                return

    def _ask(self, url: str) -> str | None:
        """Ask once; where to ask next."""
        import requests

        self._courier.refuse_downgrade(url)
        response, lost = None, ""
        try:
            response = self._courier.ask_openly("GET", url, timeout=_ANSWERS_WITHIN)
        except requests.RequestException as error:  # links come and go in the minutes that a login takes
            lost = type(error).__name__  # no more of it: who has the URL gets the token
        if response is None or response.status_code in _BUSY:
            return self._again(url, lost if response is None else f"it answers {response.status_code}")
        said = _mapping(response.text) if response.ok else {}
        if not said:
            raise DuctAuthenticationError(
                f"{self._name}: asked for the token of a login, the server answers {response.status_code}"
            )
        self._heard = time.monotonic()
        if said.get("error"):
            raise DuctAuthenticationError(f"{self._name}: the login was refused: {said['error']}")
        if said.get("token"):
            self._answers.put(str(said["token"]))
            with contextlib.suppress(requests.RequestException):  # the server need not keep it any longer
                self._courier.ask_openly("DELETE", url, timeout=_ANSWERS_WITHIN)
            return None
        self._over.wait(_TICK)
        return str(said.get("nextUri") or url)

    def _again(self, url: str, reason: str) -> str:
        if time.monotonic() - self._heard > _NO_ANSWER:
            at = urlsplit(url)
            raise DuctConnectionError(
                f"{self._name}: the server does not give the token of the login, at {at.scheme}://"
                f"{at.netloc.rpartition('@')[2]}: {reason}"
            )
        self._over.wait(_PAUSE)
        return url


def _mapping(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
