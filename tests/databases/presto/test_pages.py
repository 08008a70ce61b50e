"""Pages in every layout: no row of them is lost. Coordinators that lay them out otherwise are pretended."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from tests.services.presto import Presto
from tests.services.pretending import COLUMNS, Answer, Asked, Pretender, compact, coordinator, duct_to, page

from omniduct import Duct
from omniduct.databases.presto.pages import rows_within
from omniduct.errors import DuctStatementError, DuctWarning

Layout = Callable[[dict[str, Any]], str]


def with_stats_first(value: dict[str, Any]) -> str:
    keys = ("id", "infoUri", "columns", "stats", "data", "nextUri")
    return compact({key: value[key] for key in keys if key in value})


LAYOUTS: list[Layout] = [
    compact,
    json.dumps,
    lambda value: json.dumps(value, indent=2),
    lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")),
    with_stats_first,
]
IDS = ["as today", "blanks", "lines", "sorted", "stats first"]


@pytest.mark.parametrize("layout", LAYOUTS, ids=IDS)
@pytest.mark.parametrize("at", ["post", "page"])
def test_no_row_is_lost_however_a_page_is_laid_out(layout: Layout, at: str) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.method == "POST" and at == "page":
            return Answer(200, layout(page(asked, 1)))
        return Answer(200, layout(page(asked, columns=COLUMNS, data=[[1], [2]])))

    with Pretender(coordinator(answer)) as server, duct_to(server) as duct:
        assert duct.query("SELECT x FROM t", format="tuple") == [(1,), (2,)]


def test_rows_that_come_with_the_answer_to_the_statement_come_before_the_others() -> None:
    def answer(asked: Asked) -> Answer:
        number = 0 if asked.method == "POST" else int(asked.path.rpartition("/")[2])
        further = number + 1 if number < 2 else None
        return Answer(200, compact(page(asked, further, columns=COLUMNS, data=[[number], [number + 10]])))

    with Pretender(coordinator(answer)) as server, duct_to(server) as duct:
        assert [x for (x,) in duct.query("SELECT x FROM t", format="tuple")] == [0, 10, 1, 11, 2, 12]
        assert [x for (x,) in duct.stream("SELECT x FROM t", format="tuple")] == [0, 10, 1, 11, 2, 12]


EXACT = (
    '[[123456789012345678901234567890, 1.50 , "a  b\\" ,\\n[", {"k" : [1, 2]}], [null,true,"\\u00e9 é",[]]]'
)


def test_values_stay_as_they_are_written() -> None:
    body = f'{{ "stats" : {{"x": [1, 2]}},\n "data" : {EXACT} , "id":"y"}}'.encode()
    assert rows_within(body).decode() == (
        '[[123456789012345678901234567890,1.50,"a  b\\" ,\\n[",{"k":[1,2]}],[null,true,"\\u00e9 é",[]]]'
    )


@pytest.mark.parametrize("data", ["rows", 7, {"rows": []}, [{"x": 1}], ["x"], [[1], None]], ids=repr)
def test_rows_of_a_form_that_is_not_known_are_an_error_and_not_lost(data: Any) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200, compact(page(asked, columns=COLUMNS, data=data)))

    with (
        Pretender(coordinator(answer)) as server,
        duct_to(server) as duct,
        pytest.raises(
            DuctStatementError, match=r"db: the server sends rows in a form that is not known here"
        ),
    ):
        duct.query("SELECT x FROM t", format="tuple")


# What the server warns of


def test_what_the_server_warns_of_is_told_once(presto_server: Presto) -> None:
    duct: Any = Duct.for_protocol("presto")(name="db", **presto_server.login)
    with pytest.warns(DuctWarning) as told:
        duct.query("SELECT 1 AS x UNION SELECT 2 UNION SELECT 3")
    found = [str(each.message) for each in told]
    assert len(found) == len(set(found)) == 1
    assert found[0].startswith("db: the server warns: UNION specified without ALL or DISTINCT")
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        duct.query("SELECT 1")
    duct.disconnect()


def test_a_warning_that_comes_with_every_page_is_told_once_for_a_statement() -> None:
    warned = [{"warningCode": {"code": 1, "name": "OLD"}, "message": "old function"}]

    def answer(asked: Asked) -> Answer:
        number = 0 if asked.method == "POST" else int(asked.path.rpartition("/")[2])
        further = number + 1 if number < 3 else None
        return Answer(200, compact(page(asked, further, columns=COLUMNS, data=[[1]], warnings=warned)))

    with Pretender(coordinator(answer)) as server, duct_to(server) as duct:
        for _ in range(2):
            with pytest.warns(DuctWarning) as told:
                duct.query("SELECT x FROM t")
            assert [str(each.message) for each in told] == ["db: the server warns: old function"]
