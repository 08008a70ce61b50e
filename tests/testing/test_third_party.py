"""The contract as somebody else runs it: in a pytest of their own, on a duct of theirs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctConfigError
from omniduct.testing import DatabaseContract, Facts, Type
from omniduct.testing.facts import FEATURES
from omniduct.testing.logical import STANDARD, became

HERE = Path(__file__).parent
CONTRIBUTING = HERE.parents[1] / "CONTRIBUTING.md"


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the contract on the duct of CONTRIBUTING.md in a process of its own; what that prints."""
    shutil.copy(HERE / "third_party.py", folder / "test_theirs.py")
    command = [sys.executable, "-m", "pytest", "--rootdir=.", "-q", "-p", "no:cacheprovider", "--tb=short"]
    given = {**os.environ, "CONTRIBUTING": str(CONTRIBUTING), "COLUMNS": "200", **environment}
    command += ["-p", "omniduct.testing.report", *arguments]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False).stdout


def test_the_example_of_a_protocol_passes_and_its_table_is_shown_and_written(tmp_path: Path) -> None:
    output = run(tmp_path, "--contract-table=table.md", "-n", "2")
    assert re.match(r"\d{3} passed, \d{3} xfailed", output.splitlines()[-1]), output
    written = (tmp_path / "table.md").read_text("utf-8")
    assert written.splitlines()[2].split() == ["|", "|", "the", "example", "of", "CONTRIBUTING.md", "|"]
    for line in ("| type int64 ", "| query_to_table ", "| dataframe_to_table ", "| stream_to_file "):
        assert f"\n{line}" in written
    assert "the example of CONTRIBUTING.md: it does not write frames" in written
    assert written.partition("\n\n")[2].strip() in output


def test_a_duct_that_loses_a_value_fails(tmp_path: Path) -> None:
    output = run(tmp_path, "-k", "int64 or float64", LOSSY="1")
    failed = re.findall(r"^FAILED .*::(\w+)\[(\w+)\]", output, re.MULTILINE)
    assert ("test_in_pandas", "int64") in failed
    assert ("test_bound_values_come_back", "int64") in failed
    assert {logical for _, logical in failed} == {"int64"}
    assert "9007199254740992 (int) is not 9007199254740993" in output
    assert re.search(r"\| type int64 +\| \*\*\d+ FAILED\*\*", output), output


CLAIMS = """
from test_theirs import *
import dataclasses

class TestClaims(TestSQLite):
    cannot = {**TestSQLite.facts.cannot, "temporary_tables": "no"}
    facts = dataclasses.replace(TestSQLite.facts, cannot=cannot)

del TestSQLite
"""


def test_a_claim_that_is_not_true_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_claims.py").write_text(CLAIMS)
    output = run(tmp_path, "test_claims.py", "-k", "temporary_table")
    assert "[XPASS(strict)] no" in output


def test_facts_name_only_what_there_is() -> None:
    with pytest.raises(DuctConfigError, match=r"'transactions'.*did you mean 'transaction'"):
        Facts("x", types={}, cannot={"transactions": "none"})


def test_a_type_without_a_usual_frame_says_what_to_say() -> None:
    with pytest.raises(DuctConfigError, match="say pandas= and polars="):
        became(Type("POINT", "struct<x: double, y: double>"))


def names_of_tests() -> list[str]:
    return [name for name in dir(DatabaseContract) if name.startswith("test_")]


def test_every_test_says_what_it_is_a_test_of_and_every_feature_is_needed_by_one() -> None:
    tests = [getattr(DatabaseContract, name) for name in names_of_tests()]
    assert [test.__name__ for test in tests if not getattr(test, "contract_of", "")] == []
    needed = {need for test in tests for need in test.contract_needs}
    assert set(FEATURES) == needed


def test_the_contract_has_tests_of_every_public_method() -> None:
    covered = " ".join(getattr(DatabaseContract, name).contract_of for name in names_of_tests())
    kinds = (
        DatabaseClient,
        *[kind for kind in DatabaseClient.__mro__ if kind.__module__.startswith("omniduct.databases")],
    )
    methods = {
        name
        for kind in kinds
        for name in vars(kind)
        if name[0].islower() and callable(getattr(DatabaseClient, name))
    }
    elsewhere = {"register_magics"}
    missing = {m for m in methods - elsewhere if m not in covered and not m.startswith("template_")}
    assert missing == set()


def test_the_standard_types_have_values() -> None:
    assert all(STANDARD.values())
