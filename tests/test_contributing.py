"""The protocol that CONTRIBUTING.md shows is a whole one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from omniduct import DuctRegistry
from omniduct.errors import DuctNotFound, DuctStatementError

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "contributing"}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)
    return names


def test_the_example_runs_queries_templates_streams_and_binds(shown: dict[str, Any], tmp_path: Path) -> None:
    registry = DuctRegistry({"lite": {"protocol": "sqlite-example", "database": str(tmp_path / "x.db")}})
    lite: Any = registry["lite"]
    lite.execute("CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'one'), (2, NULL)")
    assert lite.query("SELECT * FROM t")["a"].tolist() == [1, 2]
    assert lite.query("SELECT b FROM t WHERE a = {{ n | bind }}", context={"n": 1}, format="tuple") == [
        ("one",)
    ]
    assert list(lite.stream("SELECT a FROM t")) == [(1,), (2,)]
    assert lite.table_exists("t")
    assert lite.table_list()["table_name"].tolist() == ["t"]
    assert lite.table_desc("t")["column_name"].tolist() == ["a", "b"]
    with pytest.raises(DuctNotFound, match="there is no table 'tt'"):
        lite.table_desc("tt")
    with pytest.raises(DuctStatementError, match="lite: no such table: nope"):
        lite.query("SELECT * FROM nope")
    lite.database = str(tmp_path / "y.db")
    assert not lite.is_connected()
    assert not lite.table_exists("t")


def test_the_example_of_a_magic_is_declared(shown: dict[str, Any], tmp_path: Path) -> None:
    from omniduct.utils.magics import declared_magics

    names = [magic.name("lite") for magic in declared_magics(shown["WithSize"])]
    assert "lite.size" in names
    duct = shown["WithSize"](name="sized", database=str(tmp_path / "x.db"))
    duct.execute("CREATE TABLE t (a)")
    assert duct._size_magic(None, unit="kB").endswith(" kB")
