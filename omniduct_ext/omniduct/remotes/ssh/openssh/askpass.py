"""Questions that OpenSSH asks, and how they come here: by a small program that it runs for each.

The program hands the question over a socket in a folder that nobody else may enter, and prints the answer.
So a secret is on no command line, in no variable and in no file.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

__all__ = ["Asked", "Desk", "fingerprint", "understood"]

_PATIENCE = 5.0  # seconds that the small program has to say what it was asked
_LONGEST = 64 << 10  # bytes of a question
_PROGRAM = """\
import os, socket, sys
desk = socket.socket(socket.AF_UNIX)
desk.connect(os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "desk"))
hint = os.environ.get("SSH_ASKPASS_PROMPT", "")
desk.sendall(os.fsencode(f"{os.getppid()}\\0{hint}\\0" + " ".join(sys.argv[1:])))
desk.shutdown(socket.SHUT_WR)
answer = b"".join(iter(lambda: desk.recv(65536), b""))
if answer[:1] != b"+":
    sys.exit(1)
sys.stdout.buffer.write(answer[1:] + b"\\n")
"""

Kind = Literal["password", "passphrase", "pin", "trust", "code", "touch"]
_PASSWORD = re.compile(r"(?P<who>\S+@\S+)'s password: ")
_CODE = re.compile(r"(?:\((?P<who>[^()]*@[^()]*)\) )?(?P<text>.*)", re.DOTALL)
_PASSPHRASE = re.compile(
    r"Enter passphrase for (?:\S+ )*?key '(?P<key>.*)': |Enter passphrase for (?P<other>.*): "
)
_PIN = re.compile(r"Enter PIN for (?P<card>.*?)(?: and confirm user presence)?: ")
_FINGERPRINT = re.compile(r"(?P<kind>\S+) key fingerprint is:? (?P<print>\S+?)\.?$", re.MULTILINE)
_MACHINE = re.compile(r"authenticity of host '(?P<host>.*?)'")


@dataclass(frozen=True)
class Asked:
    """A question of OpenSSH's.

    Attributes
    ----------
    kind : str
        "password", "passphrase" (of a key), "pin" (of a card), "trust" (in a machine), "code" (or whatever
        else a server asks), or "touch" (of a key that waits for it; there is nothing to answer).
    what : str
        Of whom or of what: user and host, a file, a card, a machine.
    text : str
        The question itself.
    is_on_the_way : bool
        Whether another process than the master asks: one that leads to the machine.
    """

    kind: Kind
    what: str
    text: str
    is_on_the_way: bool = False


def understood(prompt: str, hint: str = "") -> Asked:
    """What a question is about.

    >>> understood("ada@db.example.com's password: ").what
    'ada@db.example.com'
    >>> understood("(ada@db) One-time password: ").kind
    'code'
    """
    text = prompt.strip().rstrip(":")
    if hint == "none":
        return Asked("touch", "", text)
    if "(yes/no" in prompt or prompt.startswith("Please type 'yes'"):
        machine = _MACHINE.search(prompt)
        return Asked("trust", machine["host"] if machine else "", text)
    if match := _PASSPHRASE.fullmatch(prompt):
        return Asked("passphrase", match["key"] or match["other"], text)
    if match := _PIN.fullmatch(prompt):
        return Asked("pin", match["card"], text)
    if match := _PASSWORD.fullmatch(prompt):
        return Asked("password", match["who"], text)
    match = _CODE.fullmatch(prompt)
    assert match is not None  # it matches everything
    said = match["text"].strip().rstrip(":")
    kind: Kind = "password" if said.lower() == "password" else "code"
    return Asked(kind, match["who"] or "", said)


def fingerprint(question: Asked) -> tuple[str, str]:
    """The kind and the fingerprint of the key of which a question of trust is."""
    found = _FINGERPRINT.search(question.text)
    return (found["kind"], found["print"]) if found else ("", "")


class Desk:
    """Where the questions come in.

    Parameters
    ----------
    folder : Path
        Nobody else may enter it.

    Attributes
    ----------
    master : Path
        The file in which the master writes its number before it asks anything.
    """

    def __init__(self, folder: Path) -> None:
        self.master = folder / "master"
        self._program = folder / "askpass"
        code = folder / "askpass.py"
        code.write_text(_PROGRAM)
        words = map(shlex.quote, (sys.executable, "-I", "-S", os.fspath(code)))
        self._program.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        self._program.chmod(0o700)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(folder / "desk"))
        self._listener.listen()

    def environment(self) -> dict[str, str]:
        """What OpenSSH has to know."""
        # Before 8.4 it asks on a display alone; it has no terminal either way.
        display = os.environ.get("DISPLAY") or "none"
        return {"SSH_ASKPASS": os.fspath(self._program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": display}

    def fileno(self) -> int:
        """What to wait at for a question."""
        return self._listener.fileno()

    def take(self, answer: Callable[[Asked], str | None]) -> None:
        """Take a question, and give it the answer; None refuses it."""
        visitor, _ = self._listener.accept()
        with visitor:
            said = _received(visitor)
            if said.count("\0") < 2:
                return
            asker, hint, prompt = said.split("\0", 2)
            is_on_the_way = self.master.read_text().split() != [asker]
            text = answer(replace(understood(prompt, hint), is_on_the_way=is_on_the_way))
            if text is not None:
                with contextlib.suppress(OSError):  # who asked has gone meanwhile
                    visitor.sendall(b"+" + os.fsencode(text))

    def close(self) -> None:
        """Take no more; who asks later gets no answer."""
        self._listener.close()


def _received(visitor: socket.socket) -> str:
    data = b""
    visitor.settimeout(_PATIENCE)
    with contextlib.suppress(OSError):
        while len(data) < _LONGEST and (piece := visitor.recv(4096)):
            data += piece
    visitor.settimeout(None)
    return os.fsdecode(data)
