"""Questions of every kind in the rows, and services that keep the person waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.browser.panels import Panel
from tests.services.postgresql import PostgreSQL
from tests.services.proxy import Proxy

# Asks whether a key is trusted, and then for a code, as a bastion does.
CAREFUL = """
from omniduct import Duct
from omniduct.credentials import Question, ask
from omniduct.errors import DuctConnectionError

class Careful(Duct):
    PROTOCOLS = ["careful"]

    def _connect(self):
        if not ask(Question(self.name, "host key", "Trust SHA256:n4bQgYhM of 10.0.0.7?", "confirm", self)):
            raise DuctConnectionError(f"{self.name}: its host key is not trusted")
        self.code = ask(Question(self.name, "code", "Verification code", "text", self))

    def _is_connected(self):
        return True

    def _disconnect(self):
        pass

registry.new("bastion", "careful");
"""
KEYRING = """
import keyring
from keyrings.alt.file import PlaintextKeyring
keyring.set_keyring(PlaintextKeyring())
keyring.get_keyring().file_path = "passwords.cfg"
"""


@pytest.fixture(scope="module")
def proxy(postgresql: PostgreSQL) -> Iterator[Proxy]:
    with Proxy(postgresql.host, postgresql.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def ducts(postgresql: PostgreSQL, proxy: Proxy) -> dict[str, Any]:
    login = {**postgresql.login, "protocol": "postgresql"}
    return {"databases": {"pg": {**login, "password": True}, "slow": {**login, "port": proxy.port}}}


@pytest.fixture
def frozen(proxy: Proxy) -> Iterator[Proxy]:
    proxy.freeze()
    yield proxy
    proxy.thaw()


def ask(panel: Panel) -> Any:
    """Connect the bastion; what stands beneath its line then."""
    panel.notebook.run(panel.notebook.add(CAREFUL))
    panel.press("Connect bastion")
    return panel.below("bastion")


def test_a_yes_or_no_and_a_code_are_asked_one_after_the_other(panel: Panel) -> None:
    below = ask(panel)
    below.get_by_text("Trust SHA256:n4bQgYhM of 10.0.0.7?").wait_for()
    panel.picture("yes-or-no")
    assert panel.notebook.page.evaluate("() => document.activeElement.textContent") == "No"
    below.get_by_role("button", name="Yes").click()
    below.get_by_label("Verification code").fill("246802")
    panel.notebook.page.keyboard.press("Enter")
    panel.awaits("bastion", "connected")
    cell = panel.notebook.add("print(registry['bastion'].code)")
    panel.notebook.run(cell)
    assert "246802" in panel.notebook.output(cell).inner_text()


def test_a_no_is_an_answer(panel: Panel) -> None:
    ask(panel).get_by_role("button", name="No").click()
    panel.awaits("bastion", "failed")
    assert "its host key is not trusted" in panel.below("bastion").inner_text()


def test_a_password_goes_into_the_keyring_if_the_person_says_so(panel: Panel, postgresql: PostgreSQL) -> None:
    notebook = panel.notebook
    notebook.run(notebook.add(KEYRING))
    panel.press("Connect pg")
    below = panel.below("pg")
    below.get_by_label("save in the keyring").check()
    below.get_by_label("Password for pg").fill(postgresql.password)
    panel.picture("keyring")
    below.get_by_role("button", name="Submit").click()
    panel.awaits("pg", "connected")
    notebook.run(notebook.add("pg.reset();"))
    panel.awaits("pg", "disconnected")
    panel.press("Connect pg")  # nobody is asked
    panel.awaits("pg", "connected")
    cell = notebook.add("%omniduct forget pg")
    notebook.run(cell)
    assert notebook.output(cell).inner_text().count("forgotten") == 2


def test_a_password_that_is_not_to_be_remembered_is_asked_for_again(
    panel: Panel, postgresql: PostgreSQL
) -> None:
    for _ in range(2):
        panel.press("Connect pg")
        below = panel.below("pg")
        below.get_by_label("remember for this session").uncheck()
        below.get_by_label("Password for pg").fill(postgresql.password)
        below.get_by_role("button", name="Submit").click()
        panel.awaits("pg", "connected")
        panel.press("Disconnect pg")
        panel.awaits("pg", "disconnected")


def test_a_service_that_does_not_answer_is_an_error_in_its_row(panel: Panel, frozen: Proxy) -> None:
    panel.notebook.run(panel.notebook.add("type(slow).CONNECT_TIMEOUT = 2"))
    panel.press("Connect slow")
    panel.awaits("slow", "connecting")
    panel.press("Connect pg")  # another is not held up
    panel.node.get_by_label("Password for pg").wait_for()
    panel.awaits("slow", "failed")
    assert "could not connect" in panel.below("slow").inner_text()
    panel.picture("failed")
    frozen.thaw()
    panel.press("Connect slow")
    panel.awaits("slow", "connected")
    assert not panel.below("slow").is_visible()


def test_connecting_is_cancelled_while_the_service_does_not_answer(panel: Panel, frozen: Proxy) -> None:
    panel.press("Connect slow")
    panel.awaits("slow", "connecting")
    panel.press("Cancel slow")
    panel.awaits("slow", "disconnected", 2)
    frozen.thaw()
    panel.press("Connect slow")
    panel.awaits("slow", "connected")


def test_what_was_typed_stands_nowhere_in_the_page_or_the_file(panel: Panel) -> None:
    below = ask(panel)
    below.get_by_role("button", name="Yes").click()
    field = below.get_by_label("Verification code")
    field.fill("sentinel-246802")
    handle = field.element_handle()
    panel.notebook.page.keyboard.press("Enter")
    panel.awaits("bastion", "connected")
    assert handle.evaluate("node => node.value") == ""
    values = panel.notebook.page.evaluate("() => [...document.querySelectorAll('input')].map((i) => i.value)")
    assert not any("sentinel" in each for each in values)
    assert "sentinel" not in panel.notebook.page.content()
    assert "sentinel" not in json.dumps(panel.notebook.save())
