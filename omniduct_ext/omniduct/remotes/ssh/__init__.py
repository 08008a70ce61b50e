"""SSH: a machine's ports, commands and files."""

from __future__ import annotations

from omniduct.remotes.ssh.client import SSHClient

__all__ = ["SSHClient"]
