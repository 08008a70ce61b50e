"""What every part of the contract builds on: the marks of its tests, tables of one's own, questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.testing.facts import FEATURES, Facts

__all__ = ["Area", "dropped", "new_name", "of"]

_Test = TypeVar("_Test", bound=Callable[..., Any])


def of(method: str, *needs: str) -> Callable[[_Test], _Test]:
    """Mark a test: what it is a test of, in the report, and which `FEATURES` it needs."""
    assert set(needs) <= set(FEATURES), needs

    def marked(test: _Test) -> _Test:
        test.contract_of, test.contract_needs = method, needs  # type: ignore[attr-defined]
        return test

    return marked


def new_name() -> str:
    """A name that no table has."""
    return f"contract_{os.urandom(6).hex()}"


def dropped(duct: DatabaseClient, table: str) -> None:
    """Drop a table, if it is there."""
    if duct.table_exists(table):
        duct.execute(f"DROP TABLE {table}")


class Area:
    """A part of the contract: its tests, on the `duct` and by the `facts` of the class that inherits it."""

    facts: ClassVar[Facts]

    @pytest.fixture(autouse=True)
    def _cannot(self, request: pytest.FixtureRequest) -> None:
        """Expect a test to fail if the facts say that the service cannot do what it needs."""
        test = request.function
        needs = getattr(test, "contract_needs", ())
        names = (request.node.name, test.__name__, *needs)
        reason = self.facts.why_not(*names) or self._why_not_this_type(request)
        if reason:
            runs = self.facts.tries(needs)
            request.applymarker(pytest.mark.xfail(reason=reason, run=runs, strict=True))

    def _why_not_this_type(self, request: pytest.FixtureRequest) -> str:
        """Why what a test does cannot be done with the type that it is given."""
        given = getattr(request.node, "callspec", None)
        if given is None or "logical" not in given.params:
            return ""
        kind = self.facts.types.get(given.params["logical"], "its facts do not say what it is")
        if isinstance(kind, str):
            return kind
        does = getattr(request.function, "contract_does", "")
        named = (does, f"{does} {given.params.get('format', '')}")
        return next((kind.cannot[name] for name in named if name in kind.cannot), "")

    @pytest.fixture
    def table(self, duct: DatabaseClient) -> Iterator[str]:
        """The name of a table that is not there; one made under it is dropped in the end."""
        yield from self._new_name(duct)

    @pytest.fixture
    def other(self, duct: DatabaseClient) -> Iterator[str]:
        """The name of another table."""
        yield from self._new_name(duct)

    def _new_name(self, duct: DatabaseClient) -> Iterator[str]:
        name = self.facts.named(new_name())
        yield name
        dropped(duct, name)

    def filled(self, duct: DatabaseClient, table: str) -> str:
        """The table with two columns and two rows in it: (1, 'x'), (2, NULL)."""
        duct.execute(f"CREATE TABLE {table} (a {self.facts.integer}, b {self.facts.text})")
        self.insert(duct, table, "1, 'x'", "2, NULL")
        return f"SELECT a, b FROM {table} ORDER BY a"

    def insert(self, duct: DatabaseClient, table: str, *rows: str) -> None:
        """Insert rows, one at a time as not every service takes more."""
        for row in rows:
            duct.execute(f"INSERT INTO {table} VALUES ({row})", template=False)

    def named(self, *names: str) -> list[str]:
        """Names that are written without quotes, as the service has them."""
        return [self.facts.named(name) for name in names]

    def select(self, what: str) -> str:
        """A query of one row, of no table."""
        return self.facts.select(what)

    def rows(self, duct: DatabaseClient, statement: str, **options: Any) -> list[tuple[Any, ...]]:
        """The rows of a result."""
        return [tuple(row) for row in duct.query(statement, format="tuple", **options)]

    def listed(self, duct: DatabaseClient, table: str, name: str = "a") -> list[Any]:
        """The values of a column of a table, sorted."""
        return [row[0] for row in self.rows(duct, f"SELECT {name} FROM {table} ORDER BY {name}")]
