"""The catalogs, schemas and tables of Presto and Trino."""

from __future__ import annotations

from omniduct.databases.tables import TableMethods

__all__ = ["PrestoTables"]


class PrestoTables(TableMethods):
    """The tables of a Presto or Trino."""
