"""Make the README's table of types: start the servers that there are, and see what each type becomes.

Run it in the project's folder, as ``python docs/make_types.py``; the tests say when that is due.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the tests' servers

from tests.services import facts  # noqa: E402
from tests.services.ducts import duckdb, mariadb, postgresql, sqlite  # noqa: E402
from tests.services.mariadb import MariaDB  # noqa: E402
from tests.services.postgresql import PostgreSQL  # noqa: E402

from omniduct.testing import types  # noqa: E402


def main() -> None:
    """Measure, and put the table into the README."""
    readme = ROOT / "README.md"
    with contextlib.ExitStack() as opened:
        servers: list[tuple[facts.Facts, Any]] = [
            (facts.DUCKDB, duckdb()),
            (facts.POSTGRESQL, postgresql(opened.enter_context(PostgreSQL()))),
            (facts.MARIADB, mariadb(opened.enter_context(MariaDB()))),
            (facts.SQLITE, sqlite()),
        ]
        found = {}
        for known, duct in servers:
            found[known.service] = types.measured(opened.enter_context(duct), known)
    readme.write_text(types.inserted(readme.read_text("utf-8"), types.table_of_types(found)), "utf-8")


if __name__ == "__main__":
    main()
