"""Every notebook runs, in a real kernel, and shows what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from tests.services.notebooks import FOLDER, executed, outputs

TRINO = ("TRINO_HOST", "TRINO_USER", "TRINO_PASSWORD", "TRINO_CA")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("quickstart")
    notebook = executed("quickstart.ipynb", folder)
    notebook.metadata["folder"] = str(folder)
    return notebook


def test_the_quickstart_reads_all_flights(quickstart: nbformat.NotebookNode) -> None:
    assert "336776" in outputs(quickstart, "all of 2013")


def test_the_quickstart_binds_assigns_and_plots(quickstart: nbformat.NotebookNode) -> None:
    assert "JetBlue Airways" in outputs(quickstart, "ORDER BY late DESC")
    assert ":minutes = 60" in outputs(quickstart, "%%nyc.render")
    assert "[image]" in outputs(quickstart, "plot.bar")
    assert "shape: (3, 3)" in outputs(quickstart, "format=polars")


def test_the_quickstart_exports_files_that_can_be_read(quickstart: nbformat.NotebookNode) -> None:
    import pandas as pd

    folder = Path(quickstart.metadata["folder"])
    csv, parquet = pd.read_csv(folder / "late.csv"), pd.read_parquet(folder / "late.parquet")
    assert len(csv) == len(parquet) > 1000
    assert csv["arr_delay"].min() > 180


def test_the_notebook_of_files_shows_them_in_every_way(tmp_path: Path) -> None:
    notebook = executed("files.ipynb", tmp_path)
    assert "Köln,1085000" in outputs(notebook, "%files.read")
    assert "cities.csv  file" in outputs(notebook, "%files.showdir")
    assert outputs(notebook, "memory.listdir").strip() == "['cities.json']"
    assert "'/2026/july/cities.csv'" in outputs(notebook, "memory.upload")
    assert (tmp_path / "copy" / "july" / "cities.csv").read_text("utf-8").startswith("city,people\nKöln")
    assert "Łódź" in outputs(notebook, "read_parquet")
    assert "Köln" in outputs(notebook, "duckdb.sql")
    assert "did you mean 'cities.json'?" in outputs(notebook, "citys.json")


def test_without_a_server_the_notebook_of_trino_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="set TRINO_HOST, TRINO_USER, TRINO_PASSWORD in the environ"):
        executed("trino.ipynb", tmp_path, dict.fromkeys(TRINO))


def test_no_notebook_is_kept_with_outputs() -> None:
    for path in FOLDER.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name


def test_the_demo_prints_what_a_failing_cell_said_and_ends_with_status_1(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("%load_ext omniduct"),
            nbformat.v4.new_code_cell("%%db\nSELECT * FROM nowhere"),
        ]
    )
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    (tmp_path / "notebooks").mkdir()
    script = shutil.copy(FOLDER / "run_demo.py", tmp_path / "notebooks")
    done = subprocess.run(
        [sys.executable, script, str(tmp_path / "broken.ipynb")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "db: Catalog Error: Table with name nowhere does not exist" in done.stdout + done.stderr
