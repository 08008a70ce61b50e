"""Run a notebook in a real kernel and print its cells and what they show.

``python notebooks/run_demo.py [NOTEBOOK]``; without a name it is the quickstart. The notebook runs in
a temporary copy of its folder with an empty home, so that neither your configuration nor your files
play a part. The executed notebook is kept in ``build/``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
CELL_SECONDS = 300
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def main(arguments: list[str]) -> int:
    """Run one notebook; the exit status says whether every cell ran."""
    notebook = Path(arguments[0]).resolve() if arguments else HERE / "quickstart.ipynb"
    if not notebook.is_file():
        print(f"there is no notebook {notebook}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="omniduct-demo-") as folder:
        live_in(Path(folder) / "home")
        copy = shutil.copytree(notebook.parent, Path(folder) / "notebooks") / notebook.name
        return run(copy)


def live_in(home: Path) -> None:
    """Give this process, and the kernels it starts, a home of their own."""
    # Matplotlib's font cache takes seconds to make, so the real cache stays.
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    home.mkdir()
    os.environ["HOME"] = str(home)
    for name in ("OMNIDUCT_CONFIG", "JUPYTER_PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)
    os.environ["IPYTHONDIR"] = str(home / "ipython")
    for kind in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        os.environ[f"JUPYTER_{kind}"] = str(home / "jupyter" / kind.lower())


def run(path: Path) -> int:
    """Execute a notebook, print it as it goes, and keep what came of it."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=lambda cell, cell_index: show_source(cell),
        on_cell_executed=lambda cell, cell_index, execute_reply: show_outputs(cell),
    )
    start = time.perf_counter()
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"\n{path.name} FAILED: {reason(error)}", file=sys.stderr)
        return 1
    finally:
        BUILD.mkdir(exist_ok=True)
        nbformat.write(notebook, BUILD / path.name)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"\n{cells} cells ran in {time.perf_counter() - start:.1f} s. To try it yourself: make lab")
    return 0


def reason(error: Exception) -> str:
    """One line that says what stopped the notebook."""
    name = getattr(error, "ename", "")
    message = f"{name}: {getattr(error, 'evalue', '')}" if name else str(error)
    return ESCAPES.sub("", message).strip()


def show_source(cell: Any) -> None:
    """Print a cell's text as it starts: prose as it is, code with a bar beside it."""
    if cell.cell_type == "markdown":
        print(f"\n{cell.source}", flush=True)
    elif cell.cell_type == "code":
        print("\n" + textwrap.indent(cell.source, "│ ", lambda line: True), flush=True)


def show_outputs(cell: Any) -> None:
    """Print what a code cell has shown."""
    for output in cell.get("outputs", ()):
        print(as_text(output), flush=True)


def as_text(output: Any) -> str:
    """What a terminal can show of one output."""
    if output.output_type == "stream":
        # A progress bar writes over its own line: its last state is what stays.
        text = "\n".join(line.rsplit("\r", 1)[-1] for line in output.text.rstrip().split("\n"))
    elif output.output_type == "error":
        text = "\n".join(output.traceback)
    else:
        text = of_display(output.data)
    return text if sys.stdout.isatty() else ESCAPES.sub("", text)


def of_display(data: dict[str, Any]) -> str:
    """The text of a display; what has none is named."""
    if any(kind.startswith("image/") for kind in data):
        return "[plot]"
    if "application/vnd.jupyter.widget-view+json" in data:
        return "[widget]"
    return str(data.get("text/plain", "[" + ", ".join(data) + "]"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
