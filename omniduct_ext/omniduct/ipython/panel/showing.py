"""Where the panel is shown: in a page that has widgets; elsewhere a table says the same."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from traitlets import Bool, Enum, Float, List
from traitlets.config import Configurable

from omniduct.ipython.panel.texts import table_of
from omniduct.ipython.progress import is_watched

if TYPE_CHECKING:
    from omniduct.ipython.panel.widget import PanelWidget
    from omniduct.registry import DuctRegistry

__all__ = ["DuctPanel", "close_panel", "shown"]

_COLUMNS = ("protocol", "where", "state", "since")


class DuctPanel(Configurable):
    """How the panel is shown: ``c.DuctPanel.columns = ["where", "state"]``."""

    show_on_load = Bool(False, help="Whether %load_ext omniduct shows the panel.").tag(config=True)
    columns = List(
        Enum(_COLUMNS), default_value=list(_COLUMNS), help="The columns beside the names, in order."
    ).tag(config=True)
    check_every = Float(
        15.0,
        min=0.0,
        help="Seconds between two checks whether what is connected still is, while somebody sees the panel; "
        "0 for none.",
    ).tag(config=True)


_panels: weakref.WeakKeyDictionary[DuctRegistry, PanelWidget] = weakref.WeakKeyDictionary()


def shown(registry: DuctRegistry) -> Any:
    """What to display of a registry: its panel, or a table where there are no widgets."""
    shell = get_ipython()
    if getattr(shell, "kernel", None) is None or not is_watched():
        return table_of(registry)
    settings = _settings(shell)
    panel = _panels.get(registry)
    if panel is None or panel.is_closed:
        from omniduct.ipython.panel.widget import PanelWidget

        panel = _panels[registry] = PanelWidget(registry)
    panel.columns = list(settings.columns)
    panel.check_every = settings.check_every
    return panel


def _settings(shell: Any) -> DuctPanel:
    """Those of the extension, if it is loaded; else what the configuration says."""
    loaded = (each for each in shell.configurables if isinstance(each, DuctPanel))
    return next(loaded, None) or DuctPanel(parent=shell)


def close_panel(registry: DuctRegistry) -> None:
    """Take a registry's panel out of every page."""
    panel = _panels.pop(registry, None)
    if panel is not None:
        panel.close()
