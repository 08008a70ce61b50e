"""The contract of `omniduct.testing`, on Trino."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.databases.test_contract import Documented
from tests.services import ducts, facts_presto
from tests.services.processes import Server

from omniduct.databases.base import DatabaseClient


class TestTrino(Documented):
    facts = facts_presto.TRINO

    @pytest.fixture(scope="class")
    @classmethod
    def duct(cls, trino_server: Server) -> Iterator[DatabaseClient]:
        with ducts.trino(trino_server) as duct:
            yield duct
