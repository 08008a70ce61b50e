"""Results on their way: rows and Arrow, frames and text, without losing a value."""

from __future__ import annotations
