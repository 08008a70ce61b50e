"""Where the link to a login is shown: in a notebook's cell, on a terminal, in a browser."""

from __future__ import annotations

import queue
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from tests.services.kernels import Kernel, environment
from tests.services.tcp import until
from tests.services.trino import Trino

MAKE = """
from omniduct.databases.presto import TrinoClient
tri = TrinoClient(name="tri", auth="oauth2", host="localhost", port={port}, server_protocol="https",
                  verify="{ca}", catalog="tpch", progress=False)
"""
ASK = "print(tri.query('SELECT current_user', format='tuple'))"
EXPIRE = """
from omniduct.credentials import Secret
tri._answers.update({name: Secret("expired") for name in tri._answers})
"""
GIVEN_UP = "tri: the login was given up"


def code(server: Trino) -> str:
    return MAKE.format(port=server.https_port, ca=server.ca)


def log_in(server: Trino, url: str) -> None:
    assert server.issuer is not None
    assert "succeeded" in server.issuer.log_in(url, "alice", server.ca)


# In a notebook


@pytest.fixture
def kernel(trino_server: Trino, tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path) as kernel:
        kernel.run("%load_ext omniduct")
        kernel.run(code(trino_server))
        yield kernel


def link(kernel: Kernel) -> str:
    """Wait for a link in the page, and where it leads."""
    form = r'<a href="([^"]*)" target="_blank" rel="noopener noreferrer">Log in to tri</a>'
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            message = kernel._client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        data = message["content"].get("data", {})
        if found := re.fullmatch(form, data.get("text/html", "")):
            assert data["text/plain"] == f"Log in to tri: {found[1]}"
            return found[1]
    raise AssertionError("there was no link")


def test_the_link_is_in_the_cell_until_one_has_logged_in(trino_server: Trino, kernel: Kernel) -> None:
    sent = kernel.start(ASK)
    log_in(trino_server, link(kernel))
    assert kernel.finish(sent).stdout == "[('alice',)]\n"
    assert list(kernel.page.displays.values()) == ["tri: logged in"]
    kernel.run(EXPIRE)
    sent = kernel.start(ASK)  # now it is the statement, on its own thread, that shows it
    log_in(trino_server, link(kernel))
    assert kernel.finish(sent).stdout == "[('alice',)]\n"
    assert list(kernel.page.displays.values()) == ["tri: logged in"] * 2


def test_the_stop_button_ends_the_wait(trino_server: Trino, kernel: Kernel) -> None:
    for before in ("", code(trino_server)):
        kernel.run(before)
        sent = kernel.start("tri.connect()")
        link(kernel)
        began = time.monotonic()
        kernel.interrupt()
        assert kernel.finish(sent).ename == "KeyboardInterrupt"
        assert time.monotonic() - began < 3
        assert set(kernel.page.displays.values()) == {GIVEN_UP}
    sent = kernel.start("tri.connect()")
    log_in(trino_server, link(kernel))
    assert not kernel.finish(sent).error
    kernel.run(EXPIRE)
    sent = kernel.start(ASK)
    link(kernel)
    kernel.interrupt()
    assert kernel.finish(sent).ename == "KeyboardInterrupt"


def test_a_page_that_takes_no_input_has_nobody_before_it(kernel: Kernel) -> None:
    sent = kernel._client.execute(ASK, allow_stdin=False)
    outcome = kernel.finish(sent)
    assert outcome.ename == "DuctPromptUnavailable"
    assert "Connect it in a cell first (%omniduct connect tri), or give a token" in outcome.error
    assert not outcome.displays


# In a terminal


def script(server: Trino, folder: Path, **variables: str) -> Any:
    """A program of one's own, on a terminal."""
    return pexpect.spawn(
        sys.executable,
        ["-c", code(server) + ASK],
        env=environment(folder, TERM="dumb", **{"DISPLAY": "", "WAYLAND_DISPLAY": "", **variables}),
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 250),
    )


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the browser writes what it was opened with; it stays open for a while."""
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new\nmv {opened}.new {opened}\nexec sleep 40\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    return opened


@pytest.mark.parametrize("away", [{}, {"DISPLAY": ":99", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}])
def test_the_link_is_printed_on_a_terminal(
    trino_server: Trino, tmp_path: Path, opened: Path, away: dict[str, str]
) -> None:
    child = script(trino_server, tmp_path, **away)
    child.expect(r"tri: log in at (https://\S+)")
    log_in(trino_server, child.match[1])
    child.expect_exact("tri: logged in")
    child.expect_exact("[('alice',)]")
    child.close()
    assert not opened.exists()


def test_beside_a_terminal_the_page_is_opened(trino_server: Trino, tmp_path: Path, opened: Path) -> None:
    child = script(trino_server, tmp_path, DISPLAY=":99", SSH_CONNECTION="")
    child.expect(r"tri: log in at (https://\S+)")
    until(opened.exists, "the browser")
    assert opened.read_text() == child.match[1]
    log_in(trino_server, opened.read_text())
    child.expect_exact("[('alice',)]", timeout=30)
    child.close()


def test_control_c_ends_the_wait(trino_server: Trino, tmp_path: Path) -> None:
    child = script(trino_server, tmp_path)
    child.expect(r"tri: log in at (https://\S+)")
    child.sendintr()
    child.expect_exact(GIVEN_UP)
    child.expect_exact("KeyboardInterrupt")
    child.close()
