"""The notebook of Trino runs on one, over TLS with a password, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from tests.services.notebooks import executed, outputs
from tests.services.trino import Trino


@pytest.fixture(scope="module")
def notebook(trino_server: Trino, tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("trino")
    place = {
        "TRINO_HOST": f"localhost:{trino_server.https_port}",
        "TRINO_USER": trino_server.user,
        "TRINO_PASSWORD": trino_server.password,
        "TRINO_CA": str(trino_server.ca),
    }
    notebook = executed("trino.ipynb", folder, place)
    notebook.metadata["folder"] = str(folder)
    return notebook


def test_the_first_cell_shows_rows(notebook: nbformat.NotebookNode) -> None:
    assert "MOROCCO" in outputs(notebook, "AS balance\nFROM customer JOIN nation")


def test_it_lists_describes_and_shows_tables(notebook: nbformat.NotebookNode) -> None:
    assert "lineitem" in outputs(notebook, "%trino.tables tpch.sf1")
    assert re.search(r"orderdate +date", outputs(notebook, "%trino.desc orders"))
    assert len(re.findall(r"Customer#\d+", outputs(notebook, "%trino.head customer n=3"))) == 3


def test_a_result_is_assigned_with_exact_types(notebook: nbformat.NotebookNode) -> None:
    assert "10 of 80 rows; all of them are in months" in outputs(notebook, "%%trino months")
    assert "decimal128(38, 2)" in outputs(notebook, "months.dtypes")


def test_what_is_cancelled_ends_on_the_server(notebook: nbformat.NotebookNode, trino_server: Trino) -> None:
    assert "True" in outputs(notebook, "endless.cancel()")
    assert "USER_CANCELED" in outputs(notebook, "SELECT state, error_code")
    (query,) = trino_server.queries("AS a, tpch.tiny.lineitem")
    assert (query.state, query.error_name) == ("FAILED", "USER_CANCELED")


def test_values_are_bound(notebook: nbformat.NotebookNode) -> None:
    assert "Customer#000000045" in outputs(notebook, "SELECT name, mktsegment, acctbal")
    assert "-- :segments_2 = 'MACHINERY'" in outputs(notebook, "%%trino.render")


def test_a_plan_is_shown_as_text(notebook: nbformat.NotebookNode) -> None:
    assert "\n    └─ Aggregate" in outputs(notebook, "EXPLAIN SELECT")


def test_the_session_outlives_the_connection(notebook: nbformat.NotebookNode) -> None:
    assert "150000" in outputs(notebook, "USE tpch.sf1")
    assert "150000" in outputs(notebook, "%omniduct disconnect trino")
    assert re.search(r"query_max_run_time +1m", outputs(notebook, "SHOW SESSION LIKE"))


def test_a_stream_becomes_a_file(notebook: nbformat.NotebookNode) -> None:
    import pyarrow.parquet as pq

    file = Path(notebook.metadata["folder"]) / "customers.parquet"
    assert pq.read_metadata(file).num_rows == 150_000
    assert re.search(r"BUILDING +30142", outputs(notebook, 'read_parquet("customers.parquet"'))


def test_a_frame_becomes_a_table_and_nothing_is_left(
    notebook: nbformat.NotebookNode, trino_server: Trino
) -> None:
    assert re.search(r"BUILDING +1444587.8 +4500000", outputs(notebook, "any_value(target)"))
    assert ("omniduct_notebook",) not in trino_server.ask("SHOW SCHEMAS FROM memory", trino_server.ADMIN)
