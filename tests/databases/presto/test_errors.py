"""What a person is told of a statement that fails, by a Trino and a Presto."""

from __future__ import annotations

import contextlib
import re
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.coordinator import DIRECT, Coordinator, QueryFailed

from omniduct import Duct
from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctStatementError

# Minutes of work, which takes no memory.
SLOW = "SELECT max(md5(to_utf8(comment))) FROM tpch.sf100.lineitem"
GREEDY = "SELECT count(DISTINCT comment) FROM tpch.sf1.lineitem"


@pytest.fixture(scope="module", params=["trino", "presto"])
def server(request: pytest.FixtureRequest) -> Coordinator:
    found: Coordinator = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="module")
def duct(server: Coordinator) -> Iterator[PrestoClient]:
    login = {**server.login, "catalog": "tpch", "schema": "tiny"}
    duct = Duct.for_protocol(server.PROTOCOL)(name="db", **login)
    yield duct
    duct.disconnect()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy server takes its time to list what there is."""
    monkeypatch.setattr("omniduct.databases.session.execution._LOOK_UP", 60.0)


@pytest.fixture(autouse=True)
def as_before(duct: PrestoClient) -> Iterator[None]:
    """What a statement has set is forgotten."""
    yield
    duct.reset()


def failure(duct: PrestoClient, statement: str, **options: Any) -> str:
    """What the person is told."""
    with pytest.raises(DuctStatementError) as caught:
        duct.query(statement, format="tuple", **options)
    said = str(caught.value)
    assert said.startswith("db: ")
    assert "line 1:" not in said.splitlines()[0]
    return said


def text_at_mark(said: str) -> str:
    """The statement from the mark on, to the end of the line."""
    line, mark = said.splitlines()[-2:]
    assert mark.strip() == "^", said
    return line[mark.index("^") :]


def test_a_position_is_one_of_the_statement_that_the_person_wrote(duct: PrestoClient) -> None:
    statement = "SELECT 'é', '😀',\r\n\n  nosuchcolumn FROM nation"
    assert text_at_mark(failure(duct, statement)) == "nosuchcolumn FROM nation"
    assert "  line 3: " in failure(duct, statement)


# Names

NEAR = [
    ("SELECT * FROM nationn", "nation", "nationn"),
    ("SELECT *\nFROM region r\nJOIN tpch.sf1.nationn ON true", "nation", "nationn ON true"),
    ('SELECT nationn, 1 FROM "Nationn"', "nation", '"Nationn"'),
    ("DROP TABLE nationn", "nation", "nationn"),
    ("SELECT nam FROM nation", "name", "nam FROM nation"),
    ("SELECT n.nam FROM tpch.sf1.nation n", "name", "nam FROM tpch.sf1.nation n"),
    ('WITH t AS (SELECT * FROM "nation") SELECT natinkey FROM t', "nationkey", "natinkey FROM t"),
    ("ALTER TABLE nation DROP COLUMN nam", "name", "nam"),
    ("SELECT * FROM tpcg.tiny.nation", "tpch", "tpcg.tiny.nation"),
    ("USE tpcg.tiny", "tpch", "tpcg.tiny"),
    ("SELECT * FROM tinyy.nation", "tiny", "tinyy.nation"),
    ("SHOW TABLES FROM memory.defaul", "default", "defaul"),
    ("DROP SCHEMA memory.defaul", "default", "defaul"),
    ("SELECT subst('a', 1)", "substr", "subst('a', 1)"),
    ("SET SESSION join_distribution_typ = 'x'", "join_distribution_type", "join_distribution_typ = 'x'"),
]


@pytest.mark.parametrize(("statement", "near", "at"), NEAR, ids=[each[0] for each in NEAR])
def test_a_name_that_there_is_none_of_is_marked_and_its_near_miss_is_named(
    duct: PrestoClient, statement: str, near: str, at: str
) -> None:
    said = failure(duct, statement)
    assert re.search(rf"[Dd]id you mean (?:to use )?'{near}'\?\n", said), said
    assert said.lower().count("did you mean") == 1
    assert text_at_mark(said) == at


def test_a_near_miss_is_looked_for_where_the_statement_looks(duct: PrestoClient, server: Coordinator) -> None:
    table = f"{server.database}.error_people"
    server.ask(f"CREATE TABLE IF NOT EXISTS {table} (shoe_size integer)", server.user)
    assert "did you mean 'error_people'?" in failure(duct, f"SELECT * FROM {server.database}.error_peple")
    assert "did you mean 'shoe_size'?" in failure(duct, f"SELECT shoesize FROM {table}")
    server.ask(f"DROP TABLE {table}", server.user)


def test_a_name_unlike_all_others_has_no_near_miss(duct: PrestoClient) -> None:
    for statement in ("SELECT * FROM zzzzz", "SELECT zzzzz FROM nation", "SELECT zzzzz(1)", "USE zzzzz.x"):
        assert "did you mean" not in failure(duct, statement)


def test_a_session_property_of_a_call_that_there_is_none_of_has_its_near_miss(duct: PrestoClient) -> None:
    said = failure(duct, "SELECT 1", session_properties={"query_max_memor": "1GB"})
    assert "did you mean 'query_max_memory'?" in said


# Syntax


def test_what_might_have_been_written_is_not_listed_at_length(duct: PrestoClient) -> None:
    said = failure(duct, "SELECT * FROM nation LIMIT 'a'")
    assert re.search(r"Expecting: (?:'[(,A-Z]+', ){6}or \d+ others\n", said), said
    assert text_at_mark(said) == "'a'"


def test_a_word_that_is_nearly_one_of_many_is_said_to_be_that(duct: PrestoClient) -> None:
    assert failure(duct, "SELCT 1").startswith("db: mismatched input 'SELCT'; did you mean 'SELECT'?\n")
    assert failure(duct, "CRETE TABLE x AS SELECT 1").startswith(
        "db: mismatched input 'CRETE'; did you mean 'CREATE'?\n"
    )


def test_a_few_are_listed(duct: PrestoClient) -> None:
    assert "mismatched input 'FROM'. Expecting: '*', <expression>" in failure(duct, "SELECT 1, FROM nation")


def test_a_statement_that_ends_too_early_says_so(duct: PrestoClient) -> None:
    said = failure(duct, "SELECT 1 +")
    assert "the statement ends too early. Expecting: <expression>" in said
    assert text_at_mark(said) == ""


# Statements that others run


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("SELECT {{ 5 | bind }},\n  {{ 'x' | bind }}, nosuch FROM nation", "nosuch FROM nation"),
        ("SELECT {{ 5 | bind }}\nFROM nation WHERE GROUP = 1", "GROUP = 1"),
        ("SELECT {{ 5 | bind }},\n  nosuch_function(1)", "nosuch_function(1)"),
        ("SELECT {{ 5 | bind }},\n\n  lower(name), 'a' + 1 FROM nation", "+ 1 FROM nation"),
        ("SELECT {{ 5 | bind }}, nosuch_function(1)", "nosuch_function(1)"),
    ],
)
def test_a_position_is_right_with_bind_values(duct: PrestoClient, statement: str, at: str) -> None:
    said = failure(duct, statement)
    assert text_at_mark(said) == at
    assert "EXECUTE" not in said and "X-" not in said


def test_nothing_is_marked_of_a_statement_that_was_prepared_before(duct: PrestoClient) -> None:
    duct.execute("PREPARE soon FROM SELECT nosuchcolumn FROM nation")
    assert "^" not in failure(duct, "EXECUTE soon")


# What is for an administrator, or for the server's own pages


def check_link(said: str, server: Coordinator, error_name: str) -> None:
    """The sentence ends with the query and its page."""
    found = re.search(r" \(query (\w+): (http://\S+)\)$", said)
    assert found, said
    (query,) = [each for each in server.queries("") if each.query_id == found[1]]
    assert query.error_name == error_name
    assert found[1] in found[2]
    with DIRECT.open(urllib.request.Request(found[2]), timeout=20) as page:
        assert page.headers.get_content_type() == "text/html"


LIMITS = [
    ("query_max_run_time", "1s", SLOW, "EXCEEDED_TIME_LIMIT"),
    ("query_max_execution_time", "1s", SLOW, "EXCEEDED_TIME_LIMIT"),
    ("query_max_cpu_time", "10ms", SLOW, "EXCEEDED_CPU_LIMIT"),
    ("query_max_memory", "1MB", GREEDY, "EXCEEDED_GLOBAL_MEMORY_LIMIT"),
    ("query_max_total_memory", "1MB", GREEDY, "EXCEEDED_GLOBAL_MEMORY_LIMIT"),
    ("query_max_memory_per_node", "1MB", GREEDY, "EXCEEDED_LOCAL_MEMORY_LIMIT"),
]


@pytest.mark.parametrize(
    ("name", "limit", "statement", "error_name"), LIMITS, ids=[each[0] for each in LIMITS]
)
def test_a_limit_is_said_with_the_session_property_that_sets_it(
    duct: PrestoClient, server: Coordinator, name: str, limit: str, statement: str, error_name: str
) -> None:
    said = failure(duct, statement, session_properties={name: limit})
    assert f"raise the session property {name}, as far as" in said
    assert "Allocated" not in said and "\n" not in said
    check_link(said, server, error_name)


def while_it_runs(duct: PrestoClient, server: Coordinator, act: Any) -> str:
    """What the person is told of a statement to which something is done while it runs."""

    over = threading.Event()

    def wait_and_act() -> None:
        while not over.wait(0.1):  # again and again: a busy server may not hear it at first
            for query in server.queries(SLOW):
                if query.state == "RUNNING":
                    with contextlib.suppress(OSError, QueryFailed):  # it has just ended
                        act(query.query_id)
                    over.wait(2)

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    try:
        return failure(duct, SLOW)
    finally:
        over.set()
        thread.join()


def call(server: Coordinator, method: str, path: str, body: str | None = None) -> None:
    headers = {f"{server.HEADERS}-User": server.ADMIN}
    data = None if body is None else body.encode()
    request = urllib.request.Request(f"{server.url}/v1/query/{path}", data, headers, method=method)
    DIRECT.open(request, timeout=20).close()


@pytest.mark.parametrize(
    ("message", "told"), [("'too greedy'", ": too greedy"), ("NULL", ", and gave no reason")]
)
def test_a_kill_is_said_with_its_reason(
    duct: PrestoClient, server: Coordinator, message: str, told: str
) -> None:
    def kill(query_id: str) -> None:
        server.ask(f"CALL system.runtime.kill_query('{query_id}', {message})", server.ADMIN)

    said = while_it_runs(duct, server, kill)
    assert said.startswith(f"db: an administrator killed the query{told} (query ")
    check_link(said, server, "ADMINISTRATIVELY_KILLED")


def test_a_query_that_makes_way_for_others_is_said_to(duct: PrestoClient, server: Coordinator) -> None:
    said = while_it_runs(duct, server, lambda query: call(server, "PUT", f"{query}/preempted", "payday"))
    assert said.startswith("db: an administrator stopped the query in favour of others: payday (query ")
    check_link(said, server, "ADMINISTRATIVELY_PREEMPTED")


def test_a_cancel_from_elsewhere_is_not_taken_for_ones_own(duct: PrestoClient, server: Coordinator) -> None:
    said = while_it_runs(duct, server, lambda query: call(server, "DELETE", query))
    assert said.startswith(
        "db: the query was cancelled on the server, by somebody else or in its web UI (query "
    )
    check_link(said, server, "USER_CANCELED")


def test_ones_own_cancel_is_said_in_few_words(duct: PrestoClient, server: Coordinator) -> None:
    assert while_it_runs(duct, server, lambda query: duct.cancel()) == "db: the statement was cancelled"


def test_a_statement_that_is_too_long_says_how_long_and_what_to_do(duct: PrestoClient) -> None:
    said = failure(duct, f"SELECT '{'x' * 1_100_000}'", template=False)
    assert said == (
        "db: the statement is too long for the server: 1,100,009 characters, of at most 1,000,000. Put long "
        "lists of values into a table"
    )


def test_what_goes_wrong_within_the_server_has_no_stack_and_a_link(presto_server: Coordinator) -> None:
    duct = Duct.for_protocol("presto")(name="db", **presto_server.login)
    said = failure(duct, "SET SESSION join_distribution_type = 'sideways'")
    duct.disconnect()
    assert said.startswith("db: the server failed within itself: No enum constant ")
    assert "\n" not in said
    check_link(said, presto_server, "GENERIC_INTERNAL_ERROR")


# What the data do


@pytest.mark.parametrize(
    "statement",
    ["SELECT CAST('five' AS integer)", "SELECT 1 / (SELECT 0)", "SELECT fail('no\n\tat a.B(C.java:1)')"],
)
def test_an_error_of_a_value_is_the_servers_own_sentence(duct: PrestoClient, statement: str) -> None:
    said = failure(duct, statement)
    assert re.fullmatch(r"db: (?:Cannot cast 'five' to INT|/ by zero|Division by zero|no)", said), said


# Transactions


def test_a_write_that_a_transaction_cannot_hold_says_so(trino_server: Coordinator) -> None:
    duct = Duct.for_protocol("trino")(name="db", **trino_server.login)
    said = "memory: it cannot be written to in a transaction"
    with pytest.raises(DuctStatementError, match=said), duct.transaction():
        duct.execute("CREATE TABLE memory.shop.never AS SELECT 1 AS x")
    duct.disconnect()


def test_a_transaction_that_the_server_has_forgotten_is_said_to_be_undone(duct: PrestoClient) -> None:
    duct.execute("START TRANSACTION")
    assert duct._link is not None
    duct._link.state.transaction_id = "01234567-89ab-cdef-0123-456789abcdef"
    assert "does not know the transaction any more" in failure(duct, "SELECT 1")
    assert duct.query("SELECT 2", format="tuple") == [(2,)]
