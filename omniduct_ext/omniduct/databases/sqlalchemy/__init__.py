"""Every database that SQLAlchemy speaks to; MySQL, MariaDB and SQLite with more knowledge of their own."""

from __future__ import annotations

from omniduct.databases.sqlalchemy.client import SQLAlchemyClient

__all__ = ["SQLAlchemyClient"]
