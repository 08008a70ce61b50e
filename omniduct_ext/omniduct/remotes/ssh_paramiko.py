"""The place where people's code looks for the SSH client on paramiko."""

from __future__ import annotations

from omniduct.remotes.ssh.client import SSHClient as ParamikoSSHClient

__all__ = ["ParamikoSSHClient"]
