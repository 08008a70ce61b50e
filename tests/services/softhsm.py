"""A smartcard in software."""

from __future__ import annotations

import glob
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.services.processes import program

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib*/*/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)


class Card:
    """A card with one key.

    Attributes
    ----------
    library : Path
        The PKCS#11 library that speaks to it, for who has its `environment`.
    pin : str
        What it wants to know before it signs.
    """

    def __init__(self, folder: Path, key: Path) -> None:
        self._tool = program("softhsm2-util", package="softhsm2")
        found = [Path(name) for pattern in LIBRARIES for name in glob.glob(pattern)]
        if not found:
            pytest.skip("softhsm2's library is not installed (Debian: sudo apt-get install softhsm2)")
        self.library, self.pin = found[0], f"{secrets.randbelow(10**8):08}"
        (folder / "tokens").mkdir()
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
        self.environment = {"SOFTHSM2_CONF": str(config)}
        self._run("--init-token", "--free", "--label", "card", "--so-pin", self.pin)
        plain = folder / "key"
        shutil.copy(key, plain)
        command = [
            program("ssh-keygen", package="openssh-client"),
            "-q",
            "-p",
            "-m",
            "PKCS8",
            "-N",
            "",
            "-f",
            plain,
        ]
        subprocess.run(command, check=True, capture_output=True)
        self._run("--import", str(plain), "--token", "card", "--label", "key", "--id", "01")
        plain.unlink()

    def _run(self, *words: str) -> None:
        command = [self._tool, *words, "--pin", self.pin]
        subprocess.run(command, check=True, capture_output=True, env=self.environment)
