"""What somebody else writes to run the contract on a duct of theirs: the one that CONTRIBUTING.md shows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.testing import DatabaseContract, Facts, Type
from omniduct.testing.logical import STANDARD

shown: dict[str, Any] = {"__name__": "contributing"}
for block in re.findall(
    r"```python\n(.*?)```", Path(os.environ["CONTRIBUTING"]).read_text("utf-8"), re.DOTALL
):
    if "DatabaseContract" not in block:
        exec(block, shown)
SQLiteClient: Any = shown["SQLiteClient"]


class Lossy(SQLiteClient):  # type: ignore[misc]
    """The same with a fault: integers go through floats."""

    PROTOCOLS = ["sqlite-lossy"]

    def _statement_prepare(self, statement: str, session_properties: Any, **kwargs: Any) -> str:
        lossy = "CASE typeof(v) WHEN 'integer' THEN CAST(CAST(v AS REAL) AS INTEGER) ELSE v END AS v"
        return statement.replace("SELECT v FROM", f"SELECT {lossy} FROM")


ROWS = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < {n} - 1) SELECT n FROM r"


class TestSQLite(DatabaseContract):
    facts = Facts(
        "the example of CONTRIBUTING.md",
        types={
            **dict.fromkeys(STANDARD, "SQLite stores integers, floats, texts and bytes, and nothing else"),
            "int64": Type("INTEGER", "int64"),
            "float64": Type("REAL", "double"),
            "text": Type("TEXT", "string"),
            "bytes": Type("BLOB", "binary"),
        },
        cannot={
            "near_misses": "it explains no errors",
            "schemas": "it has none",
            "session_properties": "SQLite has no settings to be put back",
            "types_of_empty_results": "SQLite tells the types of values, not of columns",
            "write_frames": "it does not write frames",
        },
        # the least integer has no absolute value
        fails_late=f"SELECT iif(n = 30000, abs({-(2**63)}), n) AS n FROM ({ROWS.format(n=40000)})",
    )

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseClient]:
        client = Lossy if "LOSSY" in os.environ else SQLiteClient
        duct = client(name="lite", database=str(tmp_path_factory.mktemp("lite") / "x.db"))
        yield duct
        duct.disconnect()
