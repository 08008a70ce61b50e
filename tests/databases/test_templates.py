"""Templates of statements: their names, rendering, and the values that become bind parameters."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from omniduct.databases import templates as module
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.statements import (
    Statement,
    Tokenizer,
    duckdb_tokenizer,
    marker,
    place,
    shown,
    split,
    sqlglot_tokenizer,
)
from omniduct.databases.templates import Rendered, Templates
from omniduct.errors import DuctConfigError, DuctConnectionError, DuctError, DuctNotFound, DuctTemplateError

TOKENIZERS: dict[str, Tokenizer] = {
    "duckdb": duckdb_tokenizer,
    "sqlglot-postgres": sqlglot_tokenizer("postgres"),
    "sqlglot-hive": sqlglot_tokenizer("hive"),
}


@pytest.fixture(params=list(TOKENIZERS.values()), ids=list(TOKENIZERS))
def tokenize(request: pytest.FixtureRequest) -> Tokenizer:
    found: Tokenizer = request.param
    return found


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def render(text: str, named: Mapping[str, str] | None = None, /, **context: object) -> Rendered:
    return Templates(named, owner="db").render(text, context, quoted)


def text_of(text: str, named: Mapping[str, str] | None = None, /, **context: object) -> str:
    return render(text, named, **context).text


def sent(
    text: str, tokenize: Tokenizer, named: Mapping[str, str] | None = None, /, **context: object
) -> list[Statement]:
    """The statements that a driver with numbered placeholders would get."""
    rendered = render(text, named, **context)
    statements = split(rendered.text, tokenize)
    return [place(one, rendered.bindings, tokenize, lambda i, name: f"${i}") for one in statements]


def only(
    text: str, tokenize: Tokenizer, named: Mapping[str, str] | None = None, /, **context: object
) -> tuple[str, list[object]]:
    """The one statement of a text, and its values."""
    [statement] = sent(text, tokenize, named, **context)
    return statement.text, [parameter.value for parameter in statement.parameters]


def refusal(text: str, named: Mapping[str, str] | None = None, /, **context: object) -> str:
    with pytest.raises(DuctTemplateError) as caught:
        render(text, named, **context)
    return str(caught.value)


# Named templates


def test_templates_have_names_and_bodies() -> None:
    templates = Templates({"b": "select 2", "a": "select 1"})
    templates.add("team/report.daily-v2", "select 3")
    templates.add("b", "select 4")
    assert templates.names == ["a", "b", "team/report.daily-v2"]
    assert templates.get("b") == "select 4"
    assert templates.body("a") == "a"
    assert templates.body("a", by_name=True) == "select 1"


def test_a_mapping_that_was_given_stays_the_callers() -> None:
    given = {"a": "select 1"}
    Templates(given).add("b", "select 2")
    assert given == {"a": "select 1"}


@pytest.mark.parametrize("get", [Templates.get, lambda templates, name: templates.body(name, by_name=True)])
def test_an_unknown_name_is_not_found_and_the_nearest_is_offered(
    get: Callable[[Templates, str], str],
) -> None:
    templates = Templates({"trips": "select 1", "fares": "select 2"}, owner="database 'hive'")
    with pytest.raises(DuctNotFound, match="database 'hive' has no template 'trip': did you mean 'trips'"):
        get(templates, "trip")
    with pytest.raises(DuctNotFound, match="no template 'zzz': it has fares, trips"):
        get(templates, "zzz")
    with pytest.raises(DuctNotFound, match="no template 'a': it has none yet"):
        get(Templates(), "a")


@pytest.mark.parametrize("name", ["", " a", "a b", "1a", "a..b", "/a", "a/", "a}", "é b", 3, None])
def test_a_name_that_could_not_be_inserted_is_refused(name: str) -> None:
    with pytest.raises(DuctConfigError) as caught:
        Templates(owner="db").add(name, "select 1")
    assert f"of db cannot be called {name!r}" in str(caught.value)


def test_a_body_is_text() -> None:
    with pytest.raises(DuctConfigError, match="template 'a' of db is int"):
        Templates({"a": 1}, owner="db")  # type: ignore[dict-item]


# Insertion


def test_a_body_is_inserted_in_the_place_of_its_name() -> None:
    named = {"a": "select 1 {# once #}", "dir/b.c": "from ({{{ a }}}) -- \\1 $"}
    templates = Templates(named)
    assert templates.insert("with x as ({{{a}}}) select 2 {{{ dir/b.c }}}") == (
        "with x as (select 1 {# once #}) select 2 from (select 1 {# once #}) -- \\1 $"
    )
    assert templates.insert("select 1") == "select 1"


def test_three_braces_around_anything_else_are_jinjas() -> None:
    assert text_of("select {{{'a': 5}['a']}}") == "select 5"
    assert text_of("select {{{'a': 5}.a }} }}}") == "select 5 }}}"


def test_a_template_that_is_not_there_is_not_found() -> None:
    with pytest.raises(DuctNotFound, match="db has no template 'trip': did you mean 'trips'"):
        render("{{{trip}}}", {"trips": "select 1"})


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ({"a": "{{{a}}}"}, "a -> a"),
        ({"a": "{{{b}}}", "b": "{{{ c }}}", "c": "({{{a}}})"}, "a -> b -> c -> a"),
        ({"a": "{{{b}}}", "b": "{{{ c }}}", "c": "({{{b}}})"}, "b -> c -> b"),
    ],
)
def test_a_cycle_is_an_error_that_shows_the_path(named: dict[str, str], path: str) -> None:
    assert refusal("select {{{a}}}", named).endswith(f"comes to insert itself: {path}")


def test_a_template_may_be_inserted_twice() -> None:
    assert text_of("{{{b}}} {{{c}}} {{{c}}}", {"b": "{{{c}}}", "c": "1"}) == "1 1 1"


# Variables


def test_variables_are_what_the_context_has_to_give() -> None:
    templates = Templates({"a": "{{ x | bind }} {% set y = 1 %}"})
    assert templates.variables("{{{a}}} {{ y }} {% for z in xs %}{{ z.q }}{% endfor %} {{ range(n) }}") == {
        "x",
        "xs",
        "n",
    }
    assert templates.variables("select '{'") == set()
    with pytest.raises(DuctTemplateError, match="line 2"):
        templates.variables("a\n{{")


# Rendering


@pytest.mark.parametrize("text", ["select 1", "select '{' || '}}' % 2 ? :x ::y", "", "{ {", "é\r\n"])
def test_a_text_without_jinja_is_returned_as_it_is(text: str) -> None:
    assert render(text, x=1) == Rendered(text, {})


def test_jinja_is_only_loaded_for_a_template() -> None:
    program = (
        "import sys; from omniduct.databases.templates import Templates; t = Templates({'a': 'select 1'});"
        "t.render('{{{a}}}', {}, str); t.variables('select 1'); before = 'jinja2' in sys.modules;"
        "t.render('{{ 1 }}', {}, str); print(before, 'jinja2' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_a_template_is_rendered_by_its_context() -> None:
    text = "select {% for c in columns %}{{ c }}{{ ', ' if not loop.last }}{% endfor %} from {{ t.name }}\n"
    assert text_of(text, columns=["a", "é"], t={"name": "x"}) == "select a, é from x\n"


def test_nothing_is_escaped_and_the_last_line_keeps_its_end() -> None:
    assert text_of("{{ x }}\n", x="<'&'>") == "<'&'>\n"


def test_jinjas_own_globals_are_there_and_the_context_comes_first() -> None:
    assert text_of("{{ range(3) | list }} {{ dict(a=1) }}") == "[0, 1, 2] {'a': 1}"
    assert text_of("{{ range }}", range="mine") == "mine"


def test_any_mapping_is_a_context() -> None:
    from types import MappingProxyType

    assert Templates().render("{{ x }}", MappingProxyType({"x": 1, "not a name": 2}), str).text == "1"


def test_one_template_serves_many_contexts() -> None:
    module._compiled.cache_clear()
    assert [text_of("{{ x | identifier }} {{ y }}", x=name, y=name) for name in "ab"] == ['"a" a', '"b" b']
    assert module._compiled.cache_info().misses == 1
    assert module._compiled.cache_info().maxsize == module._COMPILED


def test_a_filter_quotes_names_as_the_database_does() -> None:
    assert text_of("{{ x | identifier }}", x='a"b') == '"a""b"'
    assert text_of("{{ xs | map('identifier') | join(', ') }}", xs=["a", "b"]) == '"a", "b"'
    assert Templates().render("{{ 'a' | identifier }}", {}, "`{}`".format).text == "`a`"
    table = ParsedNamespaces.from_name("s.t", ["schema", "table"])
    assert text_of("{{ t | identifier }}", t=table) == '"s"."t"'


def test_only_a_name_can_be_quoted() -> None:
    assert "`row.columns | identifier` needs a name, not list" in refusal(
        "{{ row.columns | identifier }}", row={"columns": ["a secret"]}
    )
    assert "a secret" not in refusal("{{ x | identifier }}", x=["a secret"])


# Bound values


def test_a_bound_value_becomes_a_parameter(tokenize: Tokenizer) -> None:
    text = "select * from t where a = {{ a | bind }} and b='é' and c>{{c|bind}}::int % 2 -- ? %s :x\n"
    assert only(text, tokenize, a="x' or 1=1 --", c=3) == (
        "select * from t where a = $1 and b='é' and c>$2::int % 2 -- ? %s :x",
        ["x' or 1=1 --", 3],
    )


def test_a_list_expands(tokenize: Tokenizer) -> None:
    assert only("a in ({{ xs | bind }})", tokenize, xs=[1, 2, 3]) == ("a in ($1, $2, $3)", [1, 2, 3])
    assert only("a in ({{ xs | map('upper') | bind }})", tokenize, xs="ab") == ("a in ($1, $2)", ["A", "B"])


def test_numbers_are_those_of_each_statement(tokenize: Tokenizer) -> None:
    text = (
        "insert into t values ({{ a | bind }}, ';'); /* ; */ select {{ b | bind }}, {{ a | bind }}; -- done"
    )
    assert [one.text for one in sent(text, tokenize, a=1, b=2)] == [
        "insert into t values ($1, ';')",
        "/* ; */ select $1, $2",
    ]


def test_values_are_bound_in_loops(tokenize: Tokenizer) -> None:
    text = "f({% for v in xs %}{{ v | bind }}{{ ', ' if not loop.last }}{% endfor %})"
    [statement] = sent(text, tokenize, xs=[5, 6, 5])
    assert statement.text == "f($1, $2, $3)"
    assert [(one.name, one.value) for one in statement.parameters] == [("v", 5), ("v_2", 6), ("v", 5)]


def test_values_are_bound_in_macros_and_in_inserted_templates(tokenize: Tokenizer) -> None:
    named = {
        "macros": "{% macro span(c, a, b) %}{{ c }} between {{ a | bind }} and {{ b | bind }}{% endmacro %}",
        "recent": "select * from t where {{ span('day', day.first, 9) }}",
    }
    assert only(
        "{{{macros}}}with r as ({{{recent}}}) select {{ x | bind }}", tokenize, named, day={"first": 3}, x="é"
    ) == (
        "with r as (select * from t where day between $1 and $2) select $3",
        [3, 9, "é"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "{% set y = x | bind %}{{ y }} + {{ y }}",
        "{% set y %}{{ x | bind }}{% endset %}{{ y }} + {{ y }}",
        "{{ (x | bind) ~ ' + ' ~ (x | bind) }}",
        "{{ [x, x] | map('bind') | join(' + ') }}",
        "{{ '%s + %s' | format(x | bind, x | bind) }}",
        "{{ x | bind if x else 'null' }} + {{ x | bind | default('null') }}",
        "{% macro m() %}{{ caller() }} + {{ x|bind }}{% endmacro %}{% call m() %}{{ x|bind }}{% endcall %}",
    ],
)
def test_a_bound_value_may_be_kept_and_joined(tokenize: Tokenizer, text: str) -> None:
    assert only(text, tokenize, x=7) == ("$1 + $2", [7, 7])


def test_a_bound_value_that_is_not_written_is_not_bound() -> None:
    assert render("{% set y = x | bind %}select 1{% if z %} + {{ y }}{% endif %}", x=1, z=False) == Rendered(
        "select 1", {}
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{ x | bind }}", "x"),
        ("{{ x.y | bind }}", "x.y"),
        ("{{ x['y'] | bind }}", "x.y"),
        ("{{ x.y | string | upper | bind }}", "x.y"),
        ("{{ f(1) | bind }}", "f"),
        ("{{ (1 + 2) | bind }}", "value"),
        ("{{ 5 | bind }}", "value"),
        ("{{ x | bind('cost') }}", "cost"),
        ("{{ x | bind(name='cost') }}", "cost"),
        ("{{ [x.y] | map('bind') | first }}", "value"),
        ("{{ xs | map('bind') | first }}", "xs"),
    ],
)
def test_a_value_is_called_as_the_template_calls_it(text: str, name: str) -> None:
    rendered = render(text, x=SimpleNamespace(y=1), xs=[1], f=lambda value: value)
    [binding] = rendered.bindings.values()
    assert binding.name == name
    [parameter] = place(rendered.text, rendered.bindings, duckdb_tokenizer, lambda i, name: "?").parameters
    assert parameter.name == name.replace(".", "_")


@pytest.mark.parametrize(
    "text",
    [
        "{{ x | bind | upper }}",
        "{{ x | bind | lower }}",
        "{{ x | bind | trim }}",
        "{{ x | bind | reverse }}",
        "{{ x | bind | replace('_', '') }}",
        "{{ x | bind | length }}",
        "{{ x | bind | int }}",
        "{{ x | bind | float }}",
        "{{ x | bind | list }}",
        "{{ x | bind | bind }}",
        "{{ x | bind | wordcount }}",
        "{{ x | bind | truncate(5) }}",
        "{{ x | bind | pprint }}",
        "{{ [x | bind] }}",
        "{% if x | bind %}a{% endif %}",
        "{% if x | bind == 1 %}a{% endif %}",
        "{% for y in x | bind %}a{% endfor %}",
        "{% filter upper %}{{ x | bind }}{% endfilter %}",
        "{% set y = x | bind %}{{ y }} {{ y | upper }}",
        "{% set y = x | bind %}{{ y | lower }}",
        "{% set y = x | bind %}{{ y | title }}",
        "{% set y = x | bind %}{{ y | capitalize }}",
        "{% set y = x | bind %}{{ y | int }}",
        "{% set y = x | bind %}{{ y | float }}",
        "{% set y = x | bind %}{{ y | list }}",
        "{% set y = x | bind %}{{ y | bind }}",
        "{% set y = x | bind %}{{ y | length }}",
        "{{ x | map('bind') | map('upper') | first }}",
        "{% set y %}{{ x | bind }}{% endset %}{{ y }} {{ y | upper }}",
        "{% set y %}{{ x | bind }}{% endset %}{{ y[:9] }}",
    ],
)
def test_a_bound_value_that_is_altered_is_an_error_that_names_the_variable(text: str) -> None:
    message = refusal(text, x="a secret")
    assert message.startswith("`x | bind` is used for something else")
    assert "a secret" not in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 'a {{ x | bind }}'", "inside a literal"),
        ("select 1 -- {{ x | bind }}\n", "inside a comment"),
        ("select 1 /* {{ x | bind }} */", "inside a comment"),
        ("select abc{{ x | bind }}", "to what stands beside it"),
        ("select {{ x | bind }}{{ x | bind }}", "to what stands beside it"),
        ("select t.{{ x | bind }}", "to what stands beside it"),
        ("a in ({{ empty | bind }})", "it is empty"),
    ],
)
def test_where_nothing_can_be_bound_the_variable_is_named(
    tokenize: Tokenizer, text: str, reason: str
) -> None:
    with pytest.raises(DuctTemplateError) as caught:
        sent(text, tokenize, x="a secret", empty=[])
    name = "empty" if "empty" in text else "x"
    assert str(caught.value).startswith(f"{name!r} cannot be bound")
    assert reason in str(caught.value)
    assert "a secret" not in str(caught.value)


def test_an_empty_list_can_be_left_out(tokenize: Tokenizer) -> None:
    text = "select 1{% if xs %} where a in ({{ xs | bind }}){% endif %}"
    assert only(text, tokenize, xs=[]) == ("select 1", [])


def test_no_text_can_pass_for_a_bound_value(tokenize: Tokenizer) -> None:
    guess = marker("0" * 16, 1)
    first = render("{{ x | bind }}", x=1).text
    assert only(f"select {guess}, {first}, {{{{ x | bind }}}}, {{{{ y }}}}", tokenize, x=1, y=first) == (
        f"select {guess}, {first}, $1, {first}",
        [1],
    )
    assert first != render("{{ x | bind }}", x=1).text


def test_a_rendered_template_can_be_shown(tokenize: Tokenizer) -> None:
    rendered = render("select {{ a.b | bind }}, {{ xs | bind }}, {{ a.b | bind }}", a={"b": "é"}, xs=[1, 2])
    assert shown(rendered.text, rendered.bindings, tokenize).splitlines() == [
        "select :a_b, :xs_1, :xs_2, :a_b",
        "-- :a_b = 'é'",
        "-- :xs_1 = 1",
        "-- :xs_2 = 2",
    ]


# Errors


def test_an_undefined_name_is_an_error_with_its_line_and_the_nearest_name() -> None:
    message = refusal("select 1\nfrom {{ tabel }}", table="t", other=1)
    assert (
        message
        == "'tabel' is not defined in line 2 of the template (from {{ tabel }}): did you mean 'table'?"
    )
    assert "give it in the context, or test `is defined`" in refusal("{{ zzz }}", table="t")


@pytest.mark.parametrize(
    "text", ["{{ nme | bind }}", "{{ nme | identifier }}", "{{ nme.x }}", "{% if nme %}{% endif %}"]
)
def test_an_undefined_name_is_an_error_wherever_it_is_used(text: str) -> None:
    assert refusal(text, name=1).startswith("'nme' is not defined in line 1")


def test_a_test_for_an_undefined_name_is_none() -> None:
    assert text_of("{% if x is defined %}{{ x }}{% else %}{{ y | default('z') }}{% endif %}") == "z"


def test_the_name_of_a_template_is_not_its_body() -> None:
    assert refusal("{{ trips }}", {"trips": "select 1"}).endswith(
        "a template has that name, {{{trips}}} inserts it"
    )


def test_an_error_in_a_macro_names_its_line() -> None:
    text = "{% macro f(a) %}\n{{ a / b }}{% endmacro %}\n\n{{ f(1) }}"
    assert "ZeroDivisionError in line 2 of the template ({{ a / b }}{% endmacro %})" in refusal(text, b=0)


def test_an_error_in_an_inserted_template_shows_its_line() -> None:
    assert "(where {{ x }})" in refusal("select 1\n{{{a}}}", {"a": "from t\nwhere {{ x }}"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\nb {{ x", "in line 2 of the template (b {{ x)"),
        ("{% if x %}", "in line 1"),
        ("{{ }}", "Expected an expression"),
        ("select '{%'", "in line 1"),
        ("{{ x | }}", "in line 1"),
    ],
)
def test_what_is_no_template_says_where_and_how_to_send_it_as_it_is(text: str, reason: str) -> None:
    message = refusal(text)
    assert reason in message
    assert message.endswith("`template=False` sends the text as it is")


def test_an_unknown_filter_is_an_error_with_the_nearest() -> None:
    message = refusal("a\n{% if x %}{{ x | idntifier }}{% endif %}", x="")
    assert "no filter 'idntifier' in line 2" in message
    assert message.endswith("did you mean 'identifier'?")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("{% include 'a' %}", "include"),
        ("{% import 'a' as a %}", "import"),
        ("{% from 'a' import b %}", "fromimport"),
        ("{% extends 'a' %}", "extends"),
    ],
)
def test_files_are_never_read(text: str, tag: str) -> None:
    assert f"inserted with {{{{{{name}}}}}}, macros too: there is no `{tag}`" in refusal(text)


@pytest.mark.parametrize(
    "text",
    ["{{ x.__class__ }}", "{{ x.__class__.__mro__ }}", "{{ f.__globals__ }}", "{{ (x|bind)._binding }}"],
)
def test_the_sandbox_keeps_a_template_in(text: str) -> None:
    assert "SecurityError" in refusal(text, x="a", f=text_of)


SECRET = "a secret"


@pytest.mark.parametrize(
    "text",
    [
        "{{ d[x] }}",
        "{{ [1][x] }}",
        "{{ x.nothing }}",
        "{{ fail(x) }}",
        "{{ x + 1 }}",
        "{{ 1 + x }}",
        "{{ x | bind + 1 }}",
        "{{ x | round }}",
        "{{ d.pop(x) }}",
        "{{ nothing }} {{ x }}",
        "{{ missing[x] }}",
        "{% for a, b in [[x]] %}{% endfor %}",
    ],
)
def test_no_error_holds_a_value_of_the_context(text: str) -> None:
    def fail(value: object) -> None:
        raise ValueError(f"bad {value}")

    with pytest.raises(DuctTemplateError) as caught:
        render(text, x=SECRET, d={}, fail=fail)
    printed = "".join(traceback.format_exception(caught.value))
    assert SECRET not in printed
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_ducts_own_error_is_left_as_it_is() -> None:
    def query() -> None:
        raise DuctConnectionError("nothing answers")

    with pytest.raises(DuctConnectionError, match="nothing answers"):
        render("{{ query() }}", query=query)


def test_an_interrupt_is_left_as_it_is() -> None:
    def query() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render("{{ query() }}", query=query)


def test_every_error_of_a_template_is_a_duct_error() -> None:
    assert issubclass(DuctTemplateError, DuctError)
