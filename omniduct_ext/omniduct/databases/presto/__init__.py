"""Presto and Trino: statements over HTTP, results as Arrow, columns at a time."""

from __future__ import annotations

from omniduct.databases.presto.client import PrestoClient, TrinoClient

__all__ = ["PrestoClient", "TrinoClient"]
