"""Presto and Trino: what a session is set to, what its statements change, and how values are bound."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from tests.databases.presto.scenes import SLOW
from tests.services.interrupts import Caller, wait_until
from tests.services.presto import Presto
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import PrestoClient, TrinoClient
from omniduct.databases.presto.binding import bound
from omniduct.databases.presto.client import _flavour
from omniduct.errors import DuctConfigError, DuctConnectionError, DuctStatementError, DuctWarning

Made = Callable[..., PrestoClient]
BOTH = ("trino", "presto")


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Made]:
    """Makes a duct to a server, "trino" or "presto", which is disconnected in the end."""
    ducts = []

    def made(server: str, **arguments: Any) -> PrestoClient:
        own = request.getfixturevalue(f"{server}_server").login
        duct = Duct.for_protocol(arguments.pop("protocol", server))(**{"name": server, **own, **arguments})
        assert isinstance(duct, PrestoClient)
        ducts.append(duct)
        return duct

    yield made
    for duct in ducts:
        duct.disconnect()


@pytest.fixture(params=BOTH)
def duct(request: pytest.FixtureRequest, make: Made) -> PrestoClient:
    return make(request.param)


def value(duct: PrestoClient, statement: str, **options: Any) -> Any:
    ((found,),) = duct.query(statement, format="tuple", **options)
    return found


def last_session(duct: PrestoClient, server: Trino | Presto) -> dict[str, Any]:
    """What the server knows of the session of the duct's last statement."""
    link = duct._link
    assert link is not None
    assert link.query is not None
    url = f"http://{server.host}:{server.port}/v1/query/{link.query.id}"
    asked = urllib.request.Request(url, headers={f"{server.HEADERS}-User": server.user})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        said = json.load(answer)
    assert isinstance(said, dict)
    return dict(said["session"])


# Which of the two it is


@pytest.mark.parametrize(("protocol", "server"), [("presto", "trino"), ("trino", "presto")])
def test_a_duct_of_one_protocol_works_with_a_server_of_the_other(
    protocol: str, server: str, make: Made
) -> None:
    duct = make(server, protocol=protocol)
    assert value(duct, "SELECT {{ x | bind }} + 1", context={"x": 41}) == 42
    duct.query("USE tpch.tiny")
    assert value(duct, "SELECT count(*) FROM nation") == 25


@pytest.mark.parametrize(
    ("protocol", "version", "found"),
    [
        ("trino", "476", (476, "Trino")),
        ("presto", "476-e.1", (476, "Trino")),
        ("trino", "350", (0, "Presto")),
        ("trino", "0.296", (0, "Presto")),
        ("presto", "dev", (0, "Presto")),
    ],
)
def test_a_server_is_known_by_its_version(protocol: str, version: str, found: tuple[int, str]) -> None:
    assert _flavour({"nodeVersion": {"version": version}}, protocol) == found


@pytest.mark.parametrize("version", ["dev", "", "testversion"])
def test_a_trino_whose_version_is_no_number_is_taken_for_the_newest(version: str) -> None:
    number, dialect = _flavour({"nodeVersion": {"version": version}}, "trino")
    assert dialect == "Trino"
    assert bound("SELECT ?", [MOMENT.replace(microsecond=1)], number)[0].startswith("EXECUTE IMMEDIATE ")


def test_the_classes_are_where_they_were() -> None:
    from omniduct.databases.presto import PrestoClient as Known

    assert Known.PROTOCOLS == ["presto"]
    assert (Known.DEFAULT_PORT, TrinoClient.DEFAULT_PORT) == (3506, 8080)
    assert issubclass(TrinoClient, Known)


# What a session is set to


def test_what_the_duct_says_reaches_the_server(make: Made, trino_server: Trino) -> None:
    duct = make(
        "trino",
        source="notebook",
        client_tags=["a", "b"],
        time_zone="Asia/Tokyo",
        session_properties={"query_max_run_time": "7m", "join_reordering_strategy": "NONE"},
        resource_estimates={"CPU_TIME": "5h", "PEAK_MEMORY": "1GB"},
        session_user="bob",
        extra_credentials={"token": "x=y, z"},
        http_headers={"X-Trino-Client-Info": "by hand"},
    )
    assert value(duct, "SELECT current_timezone() || ' ' || current_user") == "Asia/Tokyo bob"
    session = last_session(duct, trino_server)
    assert session["source"] == "notebook"
    assert session["clientTags"] == ["a", "b"]
    assert session["clientInfo"] == "by hand"
    assert session["systemProperties"]["query_max_run_time"] == "7m"
    assert session["systemProperties"]["join_reordering_strategy"] == "NONE"
    assert session["resourceEstimates"]["cpuTime"] == 5 * 3600


def test_presto_is_told_the_same(make: Made, presto_server: Presto) -> None:
    duct = make("presto", source="notebook", client_tags=["a"], time_zone="Asia/Tokyo")
    assert (
        value(duct, "SELECT current_timezone() || ' ' || current_user") == f"Asia/Tokyo {presto_server.user}"
    )
    session = last_session(duct, presto_server)
    assert (session["source"], session["clientTags"]) == ("notebook", ["a"])


def test_without_a_zone_the_session_has_that_of_this_machine(duct: PrestoClient) -> None:
    import tzlocal

    here = tzlocal.get_localzone_name()
    assert value(duct, "SELECT current_timezone()") == ("UTC" if here == "Etc/UTC" else here)


def test_a_zone_that_there_is_none_of_is_said(make: Made) -> None:
    with pytest.raises(
        DuctConfigError, match=r"trino: there is no time zone 'Mars/Olympus'; time_zone takes"
    ):
        make("trino", time_zone="Mars/Olympus").connect()


def test_a_role_is_asked_for(make: Made) -> None:
    assert value(make("trino", roles="ALL"), "SELECT 1") == 1
    with pytest.raises(DuctStatementError, match=r"[Rr]ole"):
        make("trino", roles="nobody_has_it").query("SELECT 1")


# What statements change


def test_what_statements_set_stays_until_it_is_reset(make: Made) -> None:
    duct = make("trino")
    duct.query(
        "USE tpch.tiny; SET SESSION query_max_run_time = '9m'; PREPARE mine FROM SELECT count(*) FROM nation"
    )
    for _ in range(2):
        assert value(duct, "EXECUTE mine") == 25
        assert duct.query("SHOW SESSION LIKE 'query_max_run_time'", format="tuple")[0][1] == "9m"
        assert value(duct, "SELECT count(*) FROM region") == 5
        duct.disconnect()
    duct.reset()
    with pytest.raises(DuctStatementError, match="region"):
        duct.query("SELECT count(*) FROM region")
    with pytest.raises(DuctStatementError, match="mine"):
        duct.query("EXECUTE mine")
    assert duct.query("SHOW SESSION LIKE 'query_max_run_time'", format="tuple")[0][1] != "9m"


def test_the_path_of_functions_stays_too(make: Made) -> None:
    duct = make("trino")
    duct.query("SET PATH memory.shop")
    for _ in range(2):
        assert "memory" in value(duct, "SELECT current_path")
        duct.disconnect()
    duct.reset()
    assert "memory" not in (value(duct, "SELECT current_path") or "")


@pytest.mark.parametrize("server", BOTH)
def test_a_duct_without_a_catalog_runs_statements(server: str, make: Made) -> None:
    duct = make(server, catalog=None, schema="default")
    assert value(duct, "SELECT 1") == 1
    duct.query("USE tpch.tiny")
    assert value(duct, "SELECT count(*) FROM nation") == 25


def test_presto_keeps_them_too(make: Made) -> None:
    duct = make("presto")
    duct.query("USE tpch.tiny; PREPARE mine FROM SELECT count(*) FROM nation WHERE regionkey = ?")
    duct.disconnect()
    assert value(duct, "EXECUTE mine USING {{ n | bind }}", context={"n": 1}) == 5
    duct.query("DEALLOCATE PREPARE mine")
    with pytest.raises(DuctStatementError, match="mine"):
        duct.query("EXECUTE mine USING 1")


def test_a_field_that_is_set_wins_over_what_a_statement_had_set(duct: PrestoClient) -> None:
    duct.query("USE tpch.tiny")
    duct.schema = "sf1"
    duct.catalog = "tpch"
    assert value(duct, "SELECT count(*) FROM supplier") == 10_000


def test_session_properties_of_a_call_hold_for_it_alone(make: Made, trino_server: Trino) -> None:
    duct = make("trino")
    duct.query("SELECT 1", session_properties={"query_max_run_time": "3m"})
    assert last_session(duct, trino_server)["systemProperties"] == {"query_max_run_time": "3m"}
    duct.query("SELECT 1")
    assert last_session(duct, trino_server)["systemProperties"] == {}


@pytest.mark.parametrize("server", BOTH)
def test_session_properties_of_a_call_are_not_those_of_what_begins_beside_it(server: str, make: Made) -> None:
    duct, shown = make(server), "SHOW SESSION LIKE 'query_max_run_time'"
    duct.query("SET SESSION query_max_run_time = '8m'")
    assert duct.query(shown, format="tuple", session_properties={"query_max_run_time": "9m"})[0][1] == "9m"
    given = {"query_max_run_time": "7s", "task_concurrency": 1}
    slow = Caller(lambda: duct.query(SLOW, session_properties=given))
    wait_until(lambda: duct._link is not None and bool(duct._link.overrides) and duct._link.query is not None)
    assert [row[1] for row in duct.stream(shown, format="tuple")] == ["8m"]
    assert duct.query(shown, format="tuple", background=True).result()[0][1] == "8m"
    own = list(duct.stream(shown, format="tuple", session_properties={"query_max_run_time": "6m"}))
    assert own[0][1] == "6m"
    assert "query_max_run_time" in str(slow.ended(30).error)
    assert duct.query(shown, format="tuple")[0][1] == "8m"


def test_none_stands_for_the_default_of_a_session_property(make: Made, trino_server: Trino) -> None:
    duct = make("trino", session_properties={"query_max_run_time": "7m"})
    duct.query("SELECT 1", session_properties={"query_max_run_time": None})
    assert last_session(duct, trino_server)["systemProperties"] == {}


def test_what_a_statement_sets_in_a_call_with_session_properties_stays(make: Made) -> None:
    duct = make("trino")
    duct.query("SET SESSION query_max_run_time = '4m'", session_properties={"query_max_run_time": "3m"})
    assert duct.query("SHOW SESSION LIKE 'query_max_run_time'", format="tuple")[0][1] == "4m"


def test_streams_and_the_background_begin_with_what_was_set(duct: PrestoClient) -> None:
    duct.query("USE tpch.tiny")
    assert len(list(duct.stream("SELECT * FROM nation"))) == 25
    assert len(duct.query("SELECT * FROM nation", background=True).result()) == 25


def test_a_transaction_is_begun_ended_and_rolled_back(make: Made, trino_server: Trino) -> None:
    duct = make("trino")
    with duct.transaction():
        duct.query("SELECT 1")
        within = last_session(duct, trino_server)["transactionId"]
        duct.query("SELECT 2")
        assert last_session(duct, trino_server)["transactionId"] == within
    assert not duct._in_transaction()
    duct.query("START TRANSACTION")
    assert duct._in_transaction()
    with pytest.raises(DuctStatementError, match="was rolled back"):
        duct.query("SELECT 1 / 0")
    assert not duct._in_transaction()
    assert value(duct, "SELECT 1") == 1


def test_several_statements_of_a_cell_are_run_in_order(duct: PrestoClient) -> None:
    assert (
        value(duct, "USE tpch.tiny; -- here; and there\nSELECT ';' || CAST(count(*) AS varchar) FROM nation;")
        == ";25"
    )


# Bind values

MOMENT = datetime.datetime(2020, 7, 5, 1, 2, 3, 4000)
VALUES = [
    None,
    True,
    5,
    -(2**63),
    10**30,
    0.1,
    -0.0,
    math.inf,
    decimal.Decimal("-12.30"),
    decimal.Decimal("0.001"),
    'it\'s; -- "?" ? {{ }}',
    "žluťoučký 🐎\n\\",
    b"\x00\xff",
    datetime.date(1, 1, 1),
    MOMENT,
    MOMENT.replace(tzinfo=ZoneInfo("America/New_York")),
    datetime.timedelta(days=-3, milliseconds=5),
    {"a": 1},
    {"a": [1, None]},
]


@pytest.mark.parametrize("given", VALUES, ids=repr)
def test_a_value_arrives_as_it_is(given: Any, duct: PrestoClient) -> None:
    found = value(duct, "SELECT {{ given | bind }}", context={"given": given})
    assert repr(found) == repr(given if given != 10**30 else decimal.Decimal(10**30))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (np.int64(5), 5),
        (np.float64(0.5), 0.5),
        (np.datetime64("2020-01-02"), datetime.date(2020, 1, 2)),
        (pd.Timestamp(MOMENT), MOMENT),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timedelta(days=1), datetime.timedelta(days=1)),
        (uuid.UUID(int=5), uuid.UUID(int=5)),
    ],
    ids=repr,
)
def test_values_of_numpy_and_pandas_are_those_of_python(given: Any, found: Any, duct: PrestoClient) -> None:
    assert value(duct, "SELECT {{ given | bind }}", context={"given": given}) == found


@pytest.mark.parametrize(
    "given", [MOMENT.replace(microsecond=1), datetime.time(1, 2, 3, 4), {"a": MOMENT.replace(microsecond=1)}]
)
def test_a_time_that_presto_would_cut_off_is_refused(given: Any, make: Made) -> None:
    with pytest.raises(
        DuctStatementError, match=r"presto: the bind value .* parts of a millisecond.*round it first"
    ):
        make("presto").query("SELECT {{ given | bind }}", context={"given": given})
    assert value(make("trino"), "SELECT {{ given | bind }}", context={"given": given}) == given


def test_a_value_without_a_type_is_said(duct: PrestoClient) -> None:
    with pytest.raises(DuctStatementError, match=r"bind value 1 is <object.*has no type"):
        duct.query("SELECT {{ x | bind }}", context={"x": object()})


def test_values_are_parameters_and_no_part_of_the_text(make: Made, trino_server: Trino) -> None:
    make("trino").query("SELECT 'parameter_marker', {{ x | bind }}", context={"x": "'; DROP TABLE t"})
    (query,) = trino_server.queries("parameter_marker")
    assert query.text == "EXECUTE IMMEDIATE 'SELECT ''parameter_marker'', ?' USING '''; DROP TABLE t'"


# What it refuses


def test_what_is_no_coordinator_is_said(make: Made, trino_server: Trino) -> None:
    with pytest.raises(DuctConnectionError, match="no Trino or Presto"):
        make("trino", port=trino_server.storage.port if trino_server.storage else 1).connect()


def test_the_pickle_of_a_duct_is_a_duct(make: Made) -> None:
    import pickle

    duct = make("trino", client_tags=["a"])
    duct.query("USE tpch.tiny")
    again = pickle.loads(pickle.dumps(duct))
    assert again.client_tags == ["a"]
    assert value(again, "SELECT 1") == 1
    again.disconnect()


def test_an_hour_that_a_clock_showed_twice_is_said_at_the_line_of_the_statement(make: Made) -> None:
    duct = make("trino")
    with pytest.warns(DuctWarning, match="showed twice") as warned:
        found = value(duct, "SELECT TIMESTAMP '2020-10-25 02:30:00.000 Europe/Paris'")
    assert [each.filename for each in warned] == [__file__]
    assert found.astimezone(datetime.timezone.utc).hour == 0
