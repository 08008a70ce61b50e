"""A throwaway OpenID provider, PyPI's oidc-provider-mock: it lets in whoever says a name."""

from __future__ import annotations

import importlib.util
import signal
import ssl
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from tests.services.processes import Service

DIRECT = urllib.request.ProxyHandler({})


class OpenID(Service):
    """An issuer of tokens, which hold for an hour."""

    PROTOCOL = "openid"
    STOP = END = signal.SIGTERM
    UNPRIVILEGED = False  # nobody need be able to read this Python

    def find_programs(self) -> None:
        if importlib.util.find_spec("oidc_provider_mock") is None:
            pytest.skip("oidc-provider-mock is not installed (pip install oidc-provider-mock)")

    def make_data(self) -> None:
        """It has none."""

    def make_users(self) -> None:
        """Whoever comes is one."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "oidc_provider_mock", "-H", self.host, "-p", str(self.port)]

    def probe(self) -> None:
        with urllib.request.build_opener(DIRECT).open(f"{self.url}/.well-known/openid-configuration"):
            pass

    @property
    def url(self) -> str:
        """Where it is, which is what it is called."""
        return f"http://{self.host}:{self.port}"

    def log_in(self, url: str, user: str, ca: Path) -> str:
        """Do what a person does to whom a client showed a link: follow it, and say who one is.

        The result is the text of the last page, of the server that the link is to. Its authority is `ca`.
        """
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca)))
        browser = urllib.request.build_opener(DIRECT, trust, urllib.request.HTTPCookieProcessor())
        with browser.open(url, timeout=20) as form:
            answer = urllib.parse.urlencode({"sub": user}).encode()
        with browser.open(form.url, answer, timeout=20) as page:
            return str(page.read().decode())
