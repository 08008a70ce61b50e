"""A server of files without SSH around it."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

from tests.services.processes import program

from omniduct.remotes.ssh.files import SFTPFiles


class Direct(SFTPFiles):
    """The files that a server of this machine shows, without SSH.

    `command` runs the server; `%` stands for the program.
    """

    def _init(self, command: str = "exec %") -> None:
        server = program("sftp-server", "/usr/lib/openssh/sftp-server", package="openssh-sftp-server")
        self._command = ["sh", "-c", command.replace("%", server)]
        self.servers: list[subprocess.Popen[bytes]] = []

    def _connect(self) -> None:
        pass

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None:
        for server in self.servers:
            server.wait(10)

    def _sftp_channel(self) -> Any:
        ours, theirs = socket.socketpair()
        with theirs:
            self.servers.append(subprocess.Popen(self._command, stdin=theirs, stdout=theirs))
        return Waking(ours)


class Waking:
    """A socket whose closing wakes who receives."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self.recv, self.sendall = wire.recv, wire.sendall

    def close(self) -> None:
        if self._wire.fileno() >= 0:
            self._wire.shutdown(socket.SHUT_RDWR)
        self._wire.close()
