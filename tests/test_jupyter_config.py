"""The configuration that a team may copy loads as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from traitlets.config.loader import PyFileConfigLoader

from omniduct import Duct, DuctRegistry

FOLDER = Path(__file__).parents[1] / "jupyter-config"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DuctRegistry:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = PyFileConfigLoader("ipython_config.py", path=str(FOLDER)).load_config()
    assert config.InteractiveShellApp.extensions == ["omniduct"]
    registry = DuctRegistry(config)
    registry.load()
    return registry


def test_every_entry_of_the_teams_configuration_loads(registry: DuctRegistry) -> None:
    assert registry.problems == []
    assert registry.names == [
        *("bastion", "home", "lake", "papers", "scratch", "shop", "staging/orders", "warehouse", "wh")
    ]


def test_each_duct_remembers_the_file_key_and_line_it_came_from(registry: DuctRegistry) -> None:
    origin = registry.origin("staging/orders")
    line = (FOLDER / "ducts.yaml").read_text().splitlines()[(origin.line or 0) - 1]
    assert origin.source.endswith("jupyter-config/ducts.yaml")
    assert origin.key == "databases.staging.orders"
    assert line.strip() == "orders:"


def test_a_default_of_a_class_reaches_its_ducts(registry: DuctRegistry) -> None:
    assert registry["scratch"].query("SELECT current_setting('threads')", format="tuple") == [(4,)]  # type: ignore[attr-defined]


def test_the_template_of_the_configuration_runs(registry: DuctRegistry) -> None:
    wh = registry.lookup("wh", Duct.Type.DATABASE)
    wh.execute("CREATE TABLE events AS SELECT current_date - 1 AS day")  # type: ignore[attr-defined]
    assert len(wh.query_from_template("recent")) == 1  # type: ignore[attr-defined]


def test_the_lines_that_are_commented_out_load_too() -> None:
    entries = (FOLDER / "ducts.yaml").read_text().partition("\nremotes:\n")[2]
    outer = "remotes:\n  outer: {protocol: ssh, host: outer.example.org}\n"
    registry = DuctRegistry(outer + re.sub(r"(?m)^    # (?=\w+: )", "    ", entries))
    assert registry.problems == []
    assert registry["shop"].remote is registry["bastion"]
    assert registry["bastion"].remote is registry["outer"]
