"""A bastion in the panel: whom it trusts, its password and its codes, asked where the person has clicked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import Pages
from tests.browser.panels import Panel, shown
from tests.services.jupyter import Jupyter
from tests.services.postgresql import PostgreSQL
from tests.services.sshd import SSHD

TRUST = "Trust it, and remember it?"
FOCUSED = "() => document.activeElement.textContent || document.activeElement.type"


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"], dialog=("password", "code")) as server:
        yield server


@pytest.fixture(scope="module")
def ducts(server: SSHD, postgresql: PostgreSQL) -> dict[str, Any]:
    place = {"host": server.host, "port": server.port, "username": server.user}
    return {
        "remotes": {"bastion": {"protocol": "ssh", **place}},
        "databases": {"pg": {"protocol": "postgresql", **postgresql.login, "remote": "bastion"}},
    }


@pytest.fixture
def known_hosts(lab: Jupyter) -> Path:
    """The kernels' file of known machines, in which there is none."""
    file = lab.home / ".ssh/known_hosts"
    file.unlink(missing_ok=True)
    return file


@pytest.fixture
def panel(pages: Pages, lab: Jupyter, known_hosts: Path) -> Panel:
    return shown(pages(), lab)


def log_in(panel: Panel, server: SSHD, row: str = "bastion") -> str:
    """Answer all that the bastion asks, by keys alone; the code."""
    keyboard, below = panel.notebook.page.keyboard, panel.below(row)
    below.get_by_text(TRUST).wait_for()
    keyboard.press("Shift+Tab")  # from No to Yes
    keyboard.press("Enter")
    below.get_by_label("Password for bastion").wait_for()
    keyboard.type(server.password)
    keyboard.press("Enter")
    below.get_by_label("One-time password").wait_for()
    keyboard.type(code := server.code())
    keyboard.press("Enter")
    return code


def focused(panel: Panel) -> str:
    return str(panel.notebook.page.evaluate(FOCUSED))


def is_narrow(panel: Panel, width: int = 760) -> None:
    """Make the window narrow; nothing of the panel may be cut off then."""
    panel.notebook.page.set_viewport_size({"width": width, "height": 800})
    panel.notebook.wait(lambda: panel.node.evaluate("node => node.scrollWidth <= node.clientWidth"), "room")


def test_trust_a_password_and_a_code_are_asked_one_after_the_other(
    panel: Panel, server: SSHD, known_hosts: Path
) -> None:
    panel.press("Connect bastion")
    below = panel.below("bastion")
    below.get_by_text(server.fingerprint()).wait_for()
    assert panel.state("bastion") == "waiting for you"
    assert focused(panel) == "No"
    panel.picture("fingerprint")
    is_narrow(panel)
    panel.picture("fingerprint-narrow")
    code = log_in(panel, server)
    panel.awaits("bastion", "connected")
    assert focused(panel) == "Disconnect"
    assert not below.is_visible()
    assert known_hosts.read_text().split()[1:] == server.known_hosts().split()[1:]  # the name may be hashed
    left = panel.notebook.page.content() + json.dumps(panel.notebook.save())
    assert server.password not in left and not re.search(rf"\b{code}\b", left)


def test_a_machine_that_is_not_trusted_says_so_in_its_row(panel: Panel, known_hosts: Path) -> None:
    panel.press("Connect bastion")
    panel.below("bastion").get_by_text(TRUST).wait_for()
    panel.notebook.page.keyboard.press("Enter")  # No has the focus
    panel.awaits("bastion", "failed")
    assert "you did not trust" in panel.below("bastion").inner_text()
    assert focused(panel) == "Connect"
    assert not known_hosts.exists()


def test_a_changed_key_is_refused_in_the_row_with_both_fingerprints_and_what_to_do(
    panel: Panel, server: SSHD, known_hosts: Path
) -> None:
    known_hosts.parent.mkdir(exist_ok=True)
    known_hosts.write_text(server.known_hosts())
    former = server.fingerprint()
    server.change_host_keys()
    panel.press("Connect bastion")
    panel.awaits("bastion", "failed")
    below = panel.below("bastion")
    said = below.inner_text()
    for part in (
        former,
        server.fingerprint(),
        f"ssh-keygen -R '[{server.host}]:{server.port}' -f {known_hosts}",
    ):
        assert part in said
    assert "Somebody may be listening in between" in said
    is_narrow(panel)
    panel.picture("changed-key")


def answer(panel: Panel, cell: int, *answers: str) -> None:
    """Answer what a cell asks in its own box, one after the other."""
    box = panel.notebook.cell(cell).locator(".jp-Stdin-input")
    for number, text in enumerate(answers, 1):
        panel.notebook.wait(lambda want=number: box.count() == want, f"question {number}")
        box.last.fill(text)
        box.last.press("Enter")


def says(panel: Panel, cell: int, text: str) -> None:
    """Wait for what a cell shows in the end."""
    panel.notebook.wait(lambda: text in panel.notebook.output(cell).inner_text(), text)


def test_a_cell_takes_over_what_the_row_asks(panel: Panel, server: SSHD) -> None:
    notebook = panel.notebook
    panel.press("Connect bastion")
    panel.below("bastion").get_by_text(TRUST).wait_for()
    cell = notebook.add("print('I am', bastion.execute('whoami').stdout.decode())")
    notebook.start(cell)
    notebook.cell(cell).locator(".jp-Stdin-input").wait_for()
    notebook.wait(lambda: panel.node.locator("form").count() == 0, "the row to ask no more")
    answer(panel, cell, "yes", server.password, server.code())
    says(panel, cell, f"I am {server.user}")
    panel.awaits("bastion", "connected")


def test_a_database_behind_it_asks_in_the_row_that_was_clicked(panel: Panel, server: SSHD) -> None:
    panel.press("Connect pg")
    panel.below("pg").get_by_text(f"bastion: {server.host}:{server.port} is not known").wait_for()
    assert (panel.state("pg"), panel.state("bastion")) == ("waiting for you", "connecting")
    panel.picture("behind")
    log_in(panel, server, "pg")
    panel.awaits("pg", "connected")
    panel.awaits("bastion", "connected")


def test_a_bastion_that_ends_shows_at_once_and_the_next_cell_connects_again(
    panel: Panel, server: SSHD
) -> None:
    panel.press("Connect pg")
    log_in(panel, server, "pg")
    panel.awaits("pg", "connected")
    server.stop(immediate=True)
    panel.awaits("bastion", "lost", 5)
    panel.awaits("pg", "lost", 5)
    panel.picture("lost")
    server.start()
    cell = panel.notebook.add("print(pg.query('SELECT 6 * 7 AS answer'))")
    panel.notebook.start(cell)
    answer(panel, cell, server.code())  # the password is known
    says(panel, cell, "42")
    for name in ("bastion", "pg"):
        panel.awaits(name, "connected")
