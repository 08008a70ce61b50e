"""Statements under way: the session's thread, interrupts, transactions, streams, progress, failures."""

from __future__ import annotations
