"""The panel: every duct with its state, in a page; see `omniduct.ipython.panel.widget`."""

from __future__ import annotations
