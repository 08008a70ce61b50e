"""The configurations that README.md shows load as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from traitlets.config import Config

from omniduct import DuctRegistry, protocols

TEXT = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
TRAITLETS = re.findall(r"```python\n([^`]*?\bc\.DuctRegistry\.ducts = .*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", YAML)
def test_every_yaml_loads_without_a_problem(text: str) -> None:
    registry = DuctRegistry(text)
    assert registry.problems == []
    assert registry.names


@pytest.mark.parametrize("text", TRAITLETS)
def test_every_ipython_config_loads_without_a_problem(text: str) -> None:
    config = Config()
    exec(text, {"c": config})
    config.DuctRegistry.pop("config_files", None)  # a file that only the example's team has
    registry = DuctRegistry(config)
    registry.load()
    assert registry.problems == []
    assert registry.names


def test_the_defaults_of_a_class_reach_the_trino_that_is_shown() -> None:
    config = Config()
    exec(next(text for text in TRAITLETS if "PrestoClient" in text), {"c": config})
    registry = DuctRegistry(config)
    registry.load()
    lake = registry["lake"]
    assert (lake.server_protocol, lake.verify) == ("https", "~/certs/company-ca.pem")  # type: ignore[attr-defined]


def test_every_protocol_is_in_the_table_of_protocols() -> None:
    table = TEXT.partition("| protocol | what it needs |")[2].partition("\n\n")[0]
    names = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`(\w+)`", names)) == protocols.BUILT_IN.keys()


def test_what_is_said_to_be_not_there_yet_is_not() -> None:
    said = re.search(r"configurations name \(([^)]*)\) are recognised", TEXT)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[1])) <= protocols.NOT_YET
