"""A throwaway ssh-agent."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.services.processes import Service, program

# Answers for ssh-add, and once: it asks again until there is no answer.
ASKPASS = '#!/bin/sh\ncat "$0.answer" && rm "$0.answer"\n'


class Agent(Service):
    """An ssh-agent with no key in it.

    Attributes
    ----------
    socket : Path
        What `SSH_AUTH_SOCK` names.
    """

    PROTOCOL = "agent"
    STOP = END = signal.SIGTERM
    UNPRIVILEGED = False  # it is for those who run the tests

    @property
    def socket(self) -> Path:
        """What `SSH_AUTH_SOCK` names."""
        return self.home / "socket"

    def add(self, key: Path, passphrase: str = "") -> None:
        """Give it a key."""
        self._askpass.with_suffix(".answer").write_text(f"{passphrase}\n")
        assert self._tell(str(key)).returncode == 0, f"it did not take {key}"

    def clear(self) -> None:
        """Take all keys from it."""
        assert self._tell("-D").returncode == 0

    def keys(self) -> list[str]:
        """The fingerprints of its keys."""
        listed = self._tell("-l")
        return [line.split()[1] for line in listed.stdout.splitlines()] if listed.returncode == 0 else []

    def find_programs(self) -> None:
        self._agent = program("ssh-agent", package="openssh-client")
        self._add = program("ssh-add", package="openssh-client")

    def make_data(self) -> None:
        self._askpass.write_text(ASKPASS)
        self._askpass.chmod(0o700)

    def make_users(self) -> None:
        """It has none."""

    def command(self) -> list[str]:
        self.socket.unlink(missing_ok=True)  # left by one that was killed
        return [self._agent, "-D", "-a", str(self.socket)]

    def probe(self) -> None:
        assert self._tell("-l").returncode != 2, "nobody is there"

    @property
    def _askpass(self) -> Path:
        return self.home / "askpass"

    def _tell(self, *words: str) -> subprocess.CompletedProcess[str]:
        own = {
            "SSH_AUTH_SOCK": str(self.socket),
            "SSH_ASKPASS": str(self._askpass),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": "none",  # for those that know no force
        }
        return subprocess.run(
            [self._add, *words],
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.PATIENCE,
        )
