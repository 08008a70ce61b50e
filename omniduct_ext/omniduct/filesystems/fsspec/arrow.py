"""A filesystem duct as pyarrow sees it.

Nothing imports this module when it loads, as it needs pyarrow for its base class.
"""

from __future__ import annotations

from typing import cast

from pyarrow.fs import FSSpecHandler

__all__ = ["DuctHandler"]


class DuctHandler(FSSpecHandler):
    """What pyarrow asks; relative paths and "~" are made absolute before it compares any."""

    def normalize_path(self, path: str) -> str:
        """The absolute path."""
        return cast(str, self.fs._strip_protocol(path))
