"""A throwaway Trino."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from typing import Any

from tests.services.coordinator import Coordinator
from tests.services.kerberos import KDC
from tests.services.moto import Moto
from tests.services.oidc import OpenID
from tests.services.ports import Port
from tests.services.processes import Service
from tests.services.tls import Authority, TokenKey

FILES = {"fs.native-local.enabled": "true"}  # and not HDFS
CATALOGS = {
    "tpch": {"connector.name": "tpch"},
    "memory": {"connector.name": "memory", "memory.max-data-per-node": "512MB"},
    # Has partitions, and replaces a table at once.
    "iceberg": {
        "connector.name": "iceberg",
        "iceberg.catalog.type": "TESTING_FILE_METASTORE",
        "hive.metastore.catalog.dir": "local:///iceberg",
        **FILES,
    },
    # Has partitions, and cannot replace a table.
    "hive": {
        "connector.name": "hive",
        "hive.metastore": "file",
        "hive.metastore.catalog.dir": "local:///hive",
        **FILES,
    },
}


class Trino(Coordinator):
    """A Trino; its settings are as in `config.properties`.

    Over plain HTTP it asks for no password, whoever comes. Over TLS it takes a password of `alice` or the
    admin, a token, the certificate of `carol` and, where it has them, a Kerberos ticket or what an OpenID
    provider issued.

    Parameters
    ----------
    catalogs
        The catalogs: of `tpch`, `memory`, `iceberg` and `hive`.
    secure
        Whether it has TLS, and logins.
    storage, kdc, issuer
        Where results are spooled, who issues tickets, and who issues tokens. It starts and ends them.
    groups
        Resource groups, as in their JSON file.

    Attributes
    ----------
    https_port : int
        Where it listens with TLS, as `localhost`.
    ca, certificate, key : Path
        What proves the server, and what proves that a client is `carol`.
    """

    PROTOCOL = JAR = "trino"
    HEADERS = "X-Trino"
    MAIN = "io.trino.server.TrinoServer"

    def __init__(
        self,
        *,
        catalogs: Sequence[str] = ("tpch", "memory"),
        secure: bool = False,
        storage: Moto | None = None,
        kdc: KDC | None = None,
        issuer: OpenID | None = None,
        groups: dict[str, Any] | None = None,
        **settings: str,
    ) -> None:
        super().__init__(**settings)
        self.storage, self.kdc, self.issuer = storage, kdc, issuer
        self._catalogs, self._secure, self._groups = list(catalogs), secure, groups
        self._https_port: Port | None = None
        self._secrets = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]

    @property
    def https_port(self) -> int:
        """Its port for TLS, the same after a stop and a start."""
        assert self._https_port is not None, "it has no TLS, or was never started"
        return self._https_port.number

    @property
    def secure_login(self) -> dict[str, Any]:
        """What a duct of the plain user is made with, with TLS and the password."""
        own = {"port": self.https_port, "server_protocol": "https", "password": self.password}
        return {**self.login, "host": "localhost", "verify": str(self.ca), **own}

    def token(self, user: str, seconds: float = 3600) -> str:
        """A token (JWT) of a user that holds for that long; one that has expired if that is negative."""
        return self._tokens.token(user, seconds)

    def start(self) -> None:
        self.find_programs()
        for part in self._parts:
            if not part.is_running:
                part.run_pid = self.run_pid
                part.start()
        super().start()

    def close(self) -> None:
        super().close()
        port, self._https_port = self._https_port, None
        if port is not None:
            port.close()
        for part in self._parts:
            part.close()

    def make_data(self) -> None:
        super().make_data()
        plugins = self.home / "plugin"
        plugins.mkdir()
        for name in self._plugins():
            (plugins / name).symlink_to(self._jars / "plugin" / name)
        if self._secure:
            self._make_secrets()
        if self._groups:
            self._make_groups(self._groups)

    def java_options(self) -> list[str]:
        return ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]

    def options(self) -> dict[str, str]:
        return {
            "node.environment": "test",
            "node.id": "one",
            "node.data-dir": "data",
            "node.bind-ip": self.host,
            "node.internal-address": self.host,
            "catalog.config-dir": "etc/catalog",
            "plugin.dir": "plugin",
        }

    def configuration(self) -> dict[str, str]:
        return {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(self.port),
            "http-server.process-forwarded": "true",
            "discovery.uri": self.url,
            "query.max-memory": "1GB",
            "query.max-memory-per-node": "1GB",
            "memory.heap-headroom-per-node": "256MB",
            "query.max-history": "1000",
            "query.min-expire-age": "1h",
            **(self._tls() if self._secure else {}),
            **(self._spooling(self.storage) if self.storage else {}),
            **(self._kerberos(self.kdc) if self.kdc else {}),
            **(self._oauth2(self.issuer) if self.issuer else {}),
        }

    def catalogs(self) -> dict[str, dict[str, str]]:
        own = {"local.location": str(self.home / "data")}
        return {
            name: {**settings, **(own if "fs.native-local.enabled" in settings else {})}
            for name, settings in CATALOGS.items()
            if name in self._catalogs
        }

    @property
    def _parts(self) -> list[Service]:
        return [part for part in (self.storage, self.kdc, self.issuer) if part is not None]

    def _plugins(self) -> list[str]:
        found = {{"iceberg": "lake", "hive": "lake"}.get(name, name) for name in self._catalogs}
        if self._secure:
            found.add("password-authenticators")
        if self.storage:
            found.add("spooling-filesystem")
        if self._groups:
            found.add("resource-group-managers")
        return sorted(found)

    def _make_secrets(self) -> None:
        """Make the certificates, the key of the tokens and the passwords."""
        self._https_port = Port()
        authority = Authority(self.home)
        self.ca, self._identity = authority.ca, authority.server()
        self.certificate, self.key = authority.client("carol")
        self._tokens = TokenKey(self.home)
        users = {self.user: self.password, self.ADMIN: self.admin_password}
        lines = [f"{user}:{_hashed(password)}\n" for user, password in users.items()]
        (self.home / "passwords").write_text("".join(lines))

    def _make_groups(self, groups: dict[str, Any]) -> None:
        file = self.home / "groups.json"
        file.write_text(json.dumps(groups))
        manager = {"resource-groups.configuration-manager": "file", "resource-groups.config-file": str(file)}
        self.write("resource-groups", manager)

    def _tls(self) -> dict[str, str]:
        passwords = {
            "password-authenticator.name": "file",
            "file.password-file": str(self.home / "passwords"),
        }
        self.write("password-authenticator", passwords)
        types = (
            ["KERBEROS"] * bool(self.kdc)
            + ["PASSWORD", "JWT", "CERTIFICATE"]
            + ["OAUTH2"] * bool(self.issuer)
        )
        server = "http-server"
        return {
            f"{server}.https.enabled": "true",
            f"{server}.https.port": str(self.https_port),
            f"{server}.https.keystore.path": str(self._identity),
            f"{server}.https.truststore.path": str(self.ca),
            f"{server}.authentication.type": ",".join(types),
            f"{server}.authentication.allow-insecure-over-http": "true",
            f"{server}.authentication.jwt.key-file": str(self._tokens.public),
            f"{server}.authentication.certificate.user-mapping.pattern": "CN=(.*)",
            "internal-communication.shared-secret": self._secrets[0],
        }

    def _spooling(self, storage: Moto) -> dict[str, str]:
        self.write(
            "spooling-manager",
            {
                "spooling-manager.name": "filesystem",
                "fs.s3.enabled": "true",
                "fs.location": f"s3://{storage.BUCKET}/",
                "fs.segment.encryption": "false",
                "s3.endpoint": storage.url,
                "s3.region": "us-east-1",
                "s3.aws-access-key": "a",
                "s3.aws-secret-key": "b",
                "s3.path-style-access": "true",
            },
        )
        return {
            "protocol.spooling.enabled": "true",
            "protocol.spooling.shared-secret-key": self._secrets[1],
            "protocol.spooling.retrieval-mode": "STORAGE",
        }

    def _kerberos(self, kdc: KDC) -> dict[str, str]:
        krb5 = "http-server.authentication.krb5"
        return {
            f"{krb5}.service-name": "HTTP",
            f"{krb5}.principal-hostname": "localhost",
            f"{krb5}.keytab": str(kdc.keytab),
            f"{krb5}.user-mapping.pattern": "(.*)@.*",
            "http.authentication.krb5.config": str(kdc.config),
        }

    def _oauth2(self, issuer: OpenID) -> dict[str, str]:
        oauth2 = "http-server.authentication.oauth2"
        return {
            f"{oauth2}.issuer": issuer.url,
            f"{oauth2}.client-id": "trino",
            f"{oauth2}.client-secret": "secret",
        }


def whole_trino() -> Trino:
    """A Trino with all catalogs, logins and spooling; without Kerberos, if that is not installed."""
    return Trino(
        catalogs=list(CATALOGS),
        secure=True,
        storage=Moto(),
        kdc=KDC() if KDC.is_installed() else None,
        issuer=OpenID(),
    )


def _hashed(password: str) -> str:
    """A password as its file has it: PBKDF2, which is only good with the SHA-1 that Trino knows it by."""
    salt = os.urandom(16)
    return f"1000:{salt.hex()}:{hashlib.pbkdf2_hmac('sha1', password.encode(), salt, 1000, 32).hex()}"
