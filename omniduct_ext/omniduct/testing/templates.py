"""The contract of templates and bind values."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctNotFound, DuctStatementError, DuctTemplateError
from omniduct.testing.area import Area, of
from omniduct.testing.facts import Type
from omniduct.testing.logical import preserved

__all__ = ["TemplatesContract"]

_BOUND = [
    ("int64", None),
    ("boolean", True),
    ("boolean", False),
    ("int64", 0),
    ("int64", -(2**63)),
    ("int64", 2**53 + 1),
    ("float64", 0.1),
    ("float64", -1e300),
    ("decimal(38, 10)", Decimal("12345678901234567890.0123456789")),
    ("text", ""),
    ("text", "it's; DROP TABLE t; --"),
    ("text", 'a "quote"'),
    ("text", "100% %s %(x)s"),
    ("text", ":x $1 ? @v"),
    ("text", "\\ \\' \n\t"),
    ("text", "grüße 🦆"),
    ("bytes", b"\x00\xff'"),
    ("date", datetime.date(2020, 2, 29)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(2020, 2, 29, 12, 30, 0, 1)),
    ("timestamp with zone", datetime.datetime(2020, 7, 1, 12, tzinfo=datetime.timezone.utc)),
]


class TemplatesContract(Area):
    """Statements with values in them."""

    @of("template_*")
    def test_templates_are_kept_by_name(self, duct: DatabaseClient) -> None:
        assert duct.template_add("contract_base", "SELECT {{ n }} AS n") is duct
        assert "contract_base" in duct.template_names
        assert duct.template_get("contract_base") == "SELECT {{ n }} AS n"
        assert duct.template_variables("contract_base", by_name=True) == {"n"}
        assert duct.template_variables("SELECT {{ a }}, {{ b | bind }}") == {"a", "b"}
        assert duct.template_render("contract_base", {"n": 3}, by_name=True) == "SELECT 3 AS n"
        assert duct.template_render("SELECT  {{ n }} -- n", {"n": 3}, cleanup=True) == "SELECT 3"
        with pytest.raises(DuctNotFound, match=r"contract_bas.*contract_base"):
            duct.template_get("contract_bas")

    @of("template_*")
    def test_a_template_is_inserted_into_another(self, duct: DatabaseClient) -> None:
        duct.template_add("contract_one", self.select("{{ n }} AS n"))
        text = "SELECT n + 1 FROM ({{{contract_one}}}) AS s"
        inserted = f"SELECT n + 1 FROM ({self.select('{{ n }} AS n')}) AS s"
        assert duct.template_render(text, meta_only=True) == inserted
        assert self.rows(duct, text, context={"n": 4}) == [(5,)]
        duct.template_add("contract_round", "SELECT ({{{contract_round}}})")
        with pytest.raises(DuctTemplateError, match="contract_round"):
            duct.query_from_template("contract_round")

    @of("execute_from_template, query_from_template")
    def test_templates_are_run_by_name(self, duct: DatabaseClient) -> None:
        duct.template_add("contract_run", self.select("{{ n }} AS n"))
        assert duct.query_from_template("contract_run", {"n": 5}, format="tuple") == [(5,)]
        assert duct.execute_from_template("contract_run", context={"n": 6}).fetchone()[0] == 6
        with pytest.raises(DuctTemplateError, match="'n'"):
            duct.query_from_template("contract_run")

    @of("templates off")
    def test_a_text_is_sent_as_it_is_when_templates_are_off(self, duct: DatabaseClient) -> None:
        assert self.rows(duct, self.select("'{{ x }}'"), template=False) == [("{{ x }}",)]

    @of("templates off")
    @pytest.mark.parametrize("text", ["100%", "%s %(a)s %%", "?", ":x", "$1", "@v", "{}", "--", "/*"])
    def test_nothing_in_a_literal_is_read_as_a_parameter(self, duct: DatabaseClient, text: str) -> None:
        assert self.rows(duct, self.select(f"'{text}'")) == [(text,)]

    @of("templates off")
    def test_a_percent_sign_is_modulo(self, duct: DatabaseClient) -> None:
        assert self.rows(duct, self.select("7 % 4")) == [(3,)]

    @of("bind", "bind")
    @pytest.mark.parametrize(
        ("logical", "value"), _BOUND, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(_BOUND)]
    )
    def test_a_bound_value_arrives_as_it_is(
        self, duct: DatabaseClient, table: str, logical: str, value: Any
    ) -> None:
        kind = self.facts.types.get(logical, f"{logical} is not among its types")
        if not isinstance(kind, Type):
            pytest.xfail(kind)
        duct.execute(f"CREATE TABLE {table} (k {self.facts.integer}, v {kind.name})")
        duct.execute(f"INSERT INTO {table} VALUES (1, {{{{ v | bind }}}})", context={"v": value})
        found = self.rows(duct, f"SELECT v FROM {table}")[0][0]
        assert preserved(found, value), (found, value)
        if value is not None:
            where = f"SELECT count(*) FROM {table} WHERE v = {{{{ v | bind }}}}"
            assert self.rows(duct, where, context={"v": value}) == [(1,)]

    @of("bind", "bind", "nul")
    def test_a_text_may_hold_nul(self, duct: DatabaseClient, table: str) -> None:
        duct.execute(f"CREATE TABLE {table} (b {self.facts.text})")
        duct.execute(f"INSERT INTO {table} VALUES ({{{{ v | bind }}}})", context={"v": "a\0b"})
        assert self.listed(duct, table, "b") == ["a\0b"]

    @of("bind", "bind")
    def test_a_list_expands(self, duct: DatabaseClient, table: str) -> None:
        query = self.filled(duct, table).replace(" ORDER", " WHERE a IN ({{ ns | bind }}) ORDER")
        assert self.rows(duct, query, context={"ns": [1, 2, 3]}) == [(1, "x"), (2, None)]
        assert self.rows(duct, query, context={"ns": (2,)}) == [(2, None)]
        with pytest.raises(DuctTemplateError, match="ns"):
            duct.query(query, context={"ns": []})

    @of("bind", "bind")
    def test_what_stood_in_the_text_stays_beside_a_bound_value(
        self, duct: DatabaseClient, table: str
    ) -> None:
        self.filled(duct, table)
        found = self.rows(
            duct,
            f"SELECT '100% %s ? :x $1', a % 2 FROM {table} WHERE a = {{{{ n | bind }}}} -- ? %s",
            context={"n": 1},
        )
        assert found == [("100% %s ? :x $1", 1)]

    @of("bind", "bind")
    def test_values_are_numbered_statement_by_statement(self, duct: DatabaseClient, table: str) -> None:
        self.filled(duct, table)
        found = self.rows(
            duct,
            f"DELETE FROM {table} WHERE a = {{{{ gone | bind }}}}; INSERT INTO {table} VALUES "
            f"({{{{ n | bind }}}}, {{{{ s | bind }}}}); SELECT a, b FROM {table} "
            "WHERE a = {{ n | bind }} OR b = {{ s | bind }} OR a = {{ gone | bind }}",
            context={"gone": 2, "n": 7, "s": "y"},
        )
        assert found == [(7, "y")]

    @of("bind", "bind")
    def test_a_statement_with_bound_values_streams_and_fails_like_any(
        self, duct: DatabaseClient, table: str
    ) -> None:
        query = self.filled(duct, table).replace(" ORDER", " WHERE a = {{ n | bind }} ORDER")
        assert [tuple(row) for row in duct.stream(query, context={"n": 1})] == [(1, "x")]
        with pytest.raises(DuctStatementError):
            duct.query(query.replace("a, b", "nowhere"), context={"n": 1})
        assert self.rows(duct, query, context={"n": 1}) == [(1, "x")]
