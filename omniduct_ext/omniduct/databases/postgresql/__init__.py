"""PostgreSQL, by ADBC: results come as Arrow from the server's binary COPY, and frames go in the same way."""

from __future__ import annotations

from omniduct.databases.postgresql.client import PostgreSQLClient

__all__ = ["PostgreSQLClient"]
