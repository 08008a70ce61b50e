"""The contract of `omniduct.testing`, on Presto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.databases.test_contract import Documented
from tests.services import ducts, facts_presto
from tests.services.processes import Server

from omniduct.databases.base import DatabaseClient


class TestPresto(Documented):
    facts = facts_presto.PRESTO

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, presto_server: Server) -> Iterator[DatabaseClient]:
        with ducts.presto(presto_server) as duct:
            yield duct
