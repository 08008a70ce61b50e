"""Ducts to a Trino or Presto, with schemas of a test's own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from tests.services.coordinator import Coordinator

from omniduct import Duct
from omniduct.databases.presto import PrestoClient


@contextlib.contextmanager
def client(server: Coordinator, **arguments: Any) -> Iterator[PrestoClient]:
    """A duct to a server, of its own protocol, which is also its name."""
    own = {"name": server.PROTOCOL, **server.login, "time_zone": "UTC"}
    duct = Duct.for_protocol(server.PROTOCOL)(**{**own, **arguments})
    assert isinstance(duct, PrestoClient)
    try:
        yield duct
    finally:
        duct.disconnect()


@contextlib.contextmanager
def own_schema(server: Coordinator, *catalogs: str) -> Iterator[PrestoClient]:
    """A duct with a schema of its own, in each of the catalogs; in the first it begins."""
    schema = f"s{uuid.uuid4().hex}"
    with client(server, catalog=catalogs[0], schema=schema) as duct:
        for catalog in catalogs:
            duct.execute(f"CREATE SCHEMA {catalog}.{schema}")
        try:
            yield duct
        finally:
            for catalog in catalogs:
                _drop(duct, f"{catalog}.{schema}")


def _drop(duct: PrestoClient, schema: str) -> None:
    for _, _, name, kind in duct.table_list(schema, format="tuple"):
        duct.execute(f"DROP {kind.split()[-1]} {schema}.{duct._quote(name)}")
    duct.execute(f"DROP SCHEMA {schema}")
