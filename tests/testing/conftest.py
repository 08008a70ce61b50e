"""What is no test here."""

from __future__ import annotations

collect_ignore = ["third_party.py"]  # it is run in a pytest of its own
