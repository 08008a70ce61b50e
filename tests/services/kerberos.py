"""A throwaway Kerberos: a realm with a user and the service of HTTP on this machine."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.services.processes import Service, program

PACKAGE = "krb5-kdc krb5-admin-server krb5-user"
REALM = "TEST.LOCAL"

CONFIG = """
[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 {realm} = {{
  kdc = {host}:{port}
 }}
[domain_realm]
 localhost = {realm}
"""

PROFILE = """
[kdcdefaults]
 kdc_listen = {host}:{port}
 kdc_tcp_listen = {host}:{port}
[realms]
 {realm} = {{
  database_name = {home}/principals
  key_stash_file = {home}/stash
  acl_file = {home}/acl
  max_life = 10h
  supported_enctypes = aes256-cts:normal aes128-cts:normal
 }}
"""


class KDC(Service):
    """Who issues the tickets of the realm TEST.LOCAL.

    Attributes
    ----------
    config : Path
        What `KRB5_CONFIG` names, for those who ask for a ticket or use one.
    user, password
        A user.
    keytab : Path
        The key of the service HTTP/localhost.
    """

    PROTOCOL = "kerberos"
    STOP = END = signal.SIGTERM
    UNPRIVILEGED = False  # its files are for those who run the tests

    def __init__(self) -> None:
        super().__init__()
        self.user, self.password = "alice", secrets.token_hex(8)

    @property
    def config(self) -> Path:
        """What `KRB5_CONFIG` names."""
        return self.home / "krb5.conf"

    @property
    def keytab(self) -> Path:
        """The key of the service HTTP/localhost."""
        return self.home / "HTTP.keytab"

    @property
    def user_keytab(self) -> Path:
        """The key of the user."""
        return self.home / "user.keytab"

    def ticket(self, principal: str = "", *, life: str = "1h") -> Path:
        """A new file with a ticket of the user, as `KRB5CCNAME` names it; `life` is as in `10s`."""
        descriptor, name = tempfile.mkstemp(prefix="ticket-", dir=self.home)
        os.close(descriptor)
        words = ["-c", name, "-k", "-t", str(self.user_keytab), "-l", life, principal or self.user]
        environment = {**os.environ, **self.environment()}
        subprocess.run([self._kinit, *words], env=environment, check=True, capture_output=True)
        return Path(name)

    @classmethod
    def is_installed(cls) -> bool:
        """Whether there are the programs that it needs."""
        try:
            cls().find_programs()
        except pytest.skip.Exception:
            return False
        return True

    def find_programs(self) -> None:
        self._kdc = program("krb5kdc", package=PACKAGE)
        self._kdb5_util = program("kdb5_util", package=PACKAGE)
        self._kadmin = program("kadmin.local", package=PACKAGE)
        self._kinit = program("kinit", package=PACKAGE)

    def environment(self) -> dict[str, str]:
        return {"KRB5_CONFIG": str(self.config), "KRB5_KDC_PROFILE": str(self.home / "kdc.conf")}

    def make_data(self) -> None:
        place = {"realm": REALM, "host": self.host, "port": self.port, "home": self.home}
        self.config.write_text(CONFIG.format(**place))
        (self.home / "kdc.conf").write_text(PROFILE.format(**place))
        self.run(self._kdb5_util, "create", "-s", "-r", REALM, "-P", secrets.token_hex(8))
        for query in (
            f"addprinc -pw {self.password} {self.user}",
            "addprinc -randkey HTTP/localhost",
            f"ktadd -k {self.keytab} HTTP/localhost",
            f"ktadd -norandkey -k {self.user_keytab} {self.user}",
        ):
            self.run(self._kadmin, "-r", REALM, "-q", query)

    def make_users(self) -> None:
        """They were made with the data."""

    def command(self) -> list[str]:
        return [self._kdc, "-n", "-r", REALM]

    def probe(self) -> None:
        socket.create_connection((self.host, self.port), timeout=10).close()
