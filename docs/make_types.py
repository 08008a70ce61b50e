"""Make the README's tables of types: start the servers that there are, and see what each type becomes.

Run it in the project's folder, as ``python docs/make_types.py``; the tests say when that is due.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the tests' servers

from tests.services import facts, facts_presto  # noqa: E402
from tests.services.ducts import duckdb, mariadb, postgresql, presto, sqlite, trino  # noqa: E402
from tests.services.mariadb import MariaDB  # noqa: E402
from tests.services.postgresql import PostgreSQL  # noqa: E402
from tests.services.presto import Presto  # noqa: E402
from tests.services.trino import Trino  # noqa: E402

from omniduct.testing import types  # noqa: E402


def main() -> None:
    """Measure, and put the tables into the README."""
    readme = ROOT / "README.md"
    with contextlib.ExitStack() as opened:
        start = opened.enter_context
        groups: list[list[tuple[facts.Facts, Any]]] = [  # a table each: one of all is too wide to read
            [
                (facts.DUCKDB, duckdb()),
                (facts.POSTGRESQL, postgresql(start(PostgreSQL()))),
                (facts.MARIADB, mariadb(start(MariaDB()))),
                (facts.SQLITE, sqlite()),
            ],
            [
                (facts_presto.TRINO, trino(start(Trino()))),
                (facts_presto.PRESTO, presto(start(Presto()))),
            ],
        ]
        found = [
            {known.service: types.measured(start(duct), known) for known, duct in group} for group in groups
        ]
    tables = map(types.table_of_types, found)
    readme.write_text(types.inserted(readme.read_text("utf-8"), *tables), "utf-8")


if __name__ == "__main__":
    main()
