"""A person's own files for OpenSSH's program, and what is left of it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from tests.services.processes import program

# OpenSSH takes the home from the list of users, whatever HOME is.
PROGRAM = """#!/bin/sh
exec {ssh} -F {config} "$@"
"""
USUAL = """
Host *
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile none
    IdentityFile none
"""


class Files:
    """A configuration and known machines, which the program `ssh` uses from now on.

    Attributes
    ----------
    config, known_hosts : Path
        The files.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.config, self.known_hosts = folder, folder / "config", folder / "known_hosts"
        ssh = program("ssh", package="openssh-client")
        (folder / "bin").mkdir()
        wrapper = folder / "bin" / "ssh"
        wrapper.write_text(PROGRAM.format(ssh=ssh, config=self.config))
        wrapper.chmod(0o755)
        patch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        self.configure()

    def configure(self, text: str = "") -> None:
        """Write this into the configuration, before what all machines have."""
        self.config.write_text(text + USUAL.format(known_hosts=self.known_hosts))

    def processes(self) -> list[psutil.Process]:
        """The processes that were started with this configuration, and what they started."""
        found = [each for each in psutil.process_iter() if str(self.folder) in _line(each)]
        found += [child for each in found for child in _children(each)]
        return [each for each in found if not _is_nobodys(each)]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _is_nobodys(process: psutil.Process) -> bool:
    """Whether it has ended, and only whoever it was left to has not heard of it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid()
    except psutil.NoSuchProcess:
        return True
