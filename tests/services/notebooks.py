"""The project's notebooks, executed in a real kernel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"


def executed(
    name: str, folder: Path, variables: Mapping[str, str | None] | None = None
) -> nbformat.NotebookNode:
    """A notebook after its cells have run, in that folder.

    Parameters
    ----------
    variables
        What the environment has besides; None for what it has not.
    """
    notebook = nbformat.read(FOLDER / name, as_version=4)
    environment = {**os.environ, **(variables or {})}
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    return client.execute(env={key: value for key, value in environment.items() if value is not None})


def outputs(notebook: nbformat.NotebookNode, source: str) -> str:
    """All texts that the cell with this in its source shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and source in cell.source]
    assert len(cells) == 1, f"{len(cells)} cells have {source!r}"
    texts = []
    for output in cells[0].outputs:
        texts.append(output.get("text", ""))
        texts.append(output.get("data", {}).get("text/plain", ""))
        texts.extend("[image]" for kind in output.get("data", {}) if kind == "image/png")
    return "\n".join(texts)
