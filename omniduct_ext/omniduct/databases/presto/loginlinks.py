"""Where the person finds the link to a page that they log in at: in the panel, the cell, or the terminal."""

from __future__ import annotations

import os
import re
import sys
import threading
import webbrowser

from omniduct.credentials import Link, TerminalPrompter, chosen_link
from omniduct.errors import DuctPromptUnavailable

__all__ = ["place"]

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def place(name: str) -> Link:
    """Where to show the link to the login of a duct.

    Raises
    ------
    DuctPromptUnavailable
        There is nobody to follow it.
    """
    link = chosen_link(name)
    if link is None and "IPython" in sys.modules:
        from omniduct.ipython.links import notebook_link

        link = notebook_link(name)
    link = link or _TerminalLink(name)
    if link.can_show():
        return link
    variable = re.sub(r"\W", "_", f"{name}_token").upper()
    connect = (
        f"Connect it in a cell first (%omniduct connect {name}), or give"
        if "IPython" in sys.modules
        else "Give"
    )
    raise DuctPromptUnavailable(
        f"{name}: one logs in to it on a page in the browser, and there is nobody to follow the link: no "
        f"terminal, and no running cell of a page that takes input. {connect} a token: auth: jwt, with "
        f"password: env:{variable}"
    )


class _TerminalLink:
    """On the terminal, and in the browser where there is one beside it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = False

    def can_show(self) -> bool:
        return TerminalPrompter().can_ask()

    def show(self, url: str) -> None:
        self._shown = True
        _say(f"{self._name}: log in at {url}")
        if _has_browser():  # some of them return only when they are closed
            threading.Thread(target=webbrowser.open_new, args=(url,), daemon=True).start()

    def is_given_up(self) -> bool:
        return False

    def close(self, said: str) -> None:
        if self._shown:
            _say(said)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _has_browser() -> bool:
    """Whether a page would open before the person, rather than take the terminal from them."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(each) for each in _DISPLAYS) and not os.environ.get("SSH_CONNECTION")
