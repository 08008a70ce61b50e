"""Tab on the lines of our magics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from omniduct.ipython import extension


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    extension.load(shell)
    shell.user_ns["registry"].new("flown", "duckdb").template_add("late", "SELECT 1")
    yield shell
    extension.unload(shell)
    InteractiveShell.clear_instance()


def completed(shell: InteractiveShell, text: str, cursor: int | None = None) -> list[str]:
    with provisionalcompleter():
        return [c.text for c in shell.Completer.completions(text, len(text) if cursor is None else cursor)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%db out sh", "show="),
        ("%%db out show='all' tr", "transpose="),
        ("%%db format=po", "format='polars'"),
        ("%%db format='pol", "format='polars'"),
        ("%db.head flights n", "n="),
        ("x = %db.head flights n", "n="),
        ("%flown la", "late"),
        ("%flown.render la", "late"),
        ("%omniduct dis", "disconnect"),
        ("%omniduct connect flo", "flown"),
        ("%omniduct new mine duc", "duckdb"),
    ],
)
def test_tab_offers(shell: InteractiveShell, line: str, expected: str) -> None:
    assert expected in completed(shell, line)


def test_a_key_that_is_given_is_not_offered_again(shell: InteractiveShell) -> None:
    assert "show=" not in completed(shell, "%%db out show='all' s")


def test_variables_are_completed_as_values(shell: InteractiveShell) -> None:
    shell.user_ns["my_context"] = {}
    assert any("my_context" in text for text in completed(shell, "%%db context=my_con"))


def test_magics_of_ducts_are_completed_by_name(shell: InteractiveShell) -> None:
    assert any("flown.head" in text for text in completed(shell, "%flown.he"))


def test_completion_connects_nothing(shell: InteractiveShell) -> None:
    for line in ("%flown la", "flown.", "flown.qu", "%%flown format=", "registry.", "%omniduct connect "):
        completed(shell, line)
    assert shell.user_ns["registry"]["flown"].status.state == "disconnected"


def test_unloading_takes_the_completion_back(shell: InteractiveShell) -> None:
    extension.unload(shell)
    assert shell.Completer.custom_matchers == []
    extension.load(shell)
    assert len(shell.Completer.custom_matchers) == 1
