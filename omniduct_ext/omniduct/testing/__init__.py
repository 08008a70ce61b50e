"""The contract of a database duct, as tests that anybody can run on a duct of theirs. It needs pytest.

A class with a duct and the facts of its service inherits every test::

    import pytest
    from omniduct.testing import DatabaseContract, Facts, Type

    class TestMine(DatabaseContract):
        facts = Facts("mine", types={"int64": Type("BIGINT", "int64"), "interval": "it has no intervals"})

        @pytest.fixture(scope="class")
        @classmethod
        def duct(cls):
            return MyClient(name="mine", host="127.0.0.1")

What the service cannot do is said in ``Facts(cannot=...)``, in words; the tests of it are then expected to
fail, and a claim that is not true is a failure. ``pytest -p omniduct.testing.report`` prints the table of
what was tested, of all services in the run.
"""

from __future__ import annotations

import pytest

# Before the modules are imported, so that failures show values.
_AREAS = ("reading", "sessions", "statements", "tables", "templates", "values")
pytest.register_assert_rewrite(*(f"{__name__}.{area}" for area in _AREAS))

from omniduct.testing.contract import DatabaseContract  # noqa: E402
from omniduct.testing.facts import Facts, Setting, Type, Value  # noqa: E402

__all__ = ["DatabaseContract", "Facts", "Setting", "Type", "Value"]
