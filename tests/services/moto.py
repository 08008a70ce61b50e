"""A throwaway S3, PyPI's moto: it accepts every login, and keeps all in memory."""

from __future__ import annotations

import importlib.util
import signal
import sys
import urllib.request

import pytest
from tests.services.processes import Service

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# It makes no use of who signed, but will see that somebody did.
SIGNED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"


class Moto(Service):
    """An S3 with a bucket."""

    PROTOCOL = "s3"
    STOP = END = signal.SIGTERM
    UNPRIVILEGED = False  # nobody need be able to read this Python
    BUCKET = "spool"

    def find_programs(self) -> None:
        if importlib.util.find_spec("moto") is None:
            pytest.skip("moto is not installed (pip install 'moto[server]')")

    def make_data(self) -> None:
        """It has none yet."""

    def make_users(self) -> None:
        """Make the bucket."""
        self._put(f"{self.url}/{self.BUCKET}")

    def environment(self) -> dict[str, str]:
        # Above this, 16 MB by default, an object goes to a file of its own.
        return {"MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": "500000000"}

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)]

    def probe(self) -> None:
        with DIRECT.open(self.url, timeout=10):
            pass

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def _put(self, url: str) -> None:
        request = urllib.request.Request(url, method="PUT", headers={"Authorization": SIGNED})
        with DIRECT.open(request, timeout=10):
            pass
