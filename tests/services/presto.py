"""A throwaway Presto."""

from __future__ import annotations

from tests.services.coordinator import Coordinator

CATALOGS = {
    "tpch": {"connector.name": "tpch"},
    "memory": {"connector.name": "memory", "memory.max-data-per-node": "256MB"},
}
# What it looks into of Java itself, by reflection.
OPENED = """
    java.io java.lang java.lang.ref java.lang.reflect java.net java.nio java.security java.text java.util
    java.util.concurrent
""".split()


class Presto(Coordinator):
    """A Presto without TLS, and so without logins; its settings are as in `config.properties`."""

    PROTOCOL = JAR = "presto"
    HEADERS = "X-Presto"
    MAIN = "com.facebook.presto.server.PrestoServer"
    HEAP = "1g"

    def java_options(self) -> list[str]:
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        return ["-Djdk.attach.allowAttachSelf=true", "--sun-misc-unsafe-memory-access=allow", *opened]

    def options(self) -> dict[str, str]:
        return {}

    def configuration(self) -> dict[str, str]:
        return {
            "node.environment": "test",
            "node.id": "one",
            "node.bind-ip": self.host,
            "node.internal-address": self.host,
            "node.external-address": self.host,
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(self.port),
            "discovery-server.enabled": "true",
            "discovery.uri": self.url,
            "query.max-memory": "512MB",
            "query.max-memory-per-node": "512MB",
            "query.max-total-memory-per-node": "600MB",
            "query.max-history": "1000",
            "query.min-expire-age": "1h",
            "plugin.dir": str(self._jars / "plugin"),
            "catalog.config-dir": "etc/catalog",
        }

    def catalogs(self) -> dict[str, dict[str, str]]:
        return CATALOGS
