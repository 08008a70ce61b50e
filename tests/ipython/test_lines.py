"""Lines of magics: what they give, and what is said of those that cannot be read."""

from __future__ import annotations

import collections
import contextlib
import functools
import inspect
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pytest

from omniduct.errors import DuctMagicError
from omniduct.ipython.lines import Declaration, Rest, keys_at, parse

if TYPE_CHECKING:
    from decimal import Decimal as Unknown  # what only a type checker imports


class Duct:
    """The functions that declare the lines of these tests."""

    def query(
        self,
        body: str,
        variable: str | None = None,
        *,
        show: Literal["head", "all", "none"] | int = "head",
        transpose: bool = False,
        template: bool = True,
        context: Mapping[str, object] | None = None,
        format: Literal["pandas", "polars", "arrow"] | None = None,
        password: str | None = None,
        **options: object,
    ) -> None:
        """Run a statement.

        The rest is for those who read on.
        """

    def head(self, table: str, n: int = 10, *, renew: bool = False) -> None: ...

    def status(self) -> None: ...

    def listdir(self, path: str | None = None) -> None: ...

    def new(self, name: str, protocol: str, *words: str, port: int | None = None) -> None: ...

    def sample(self, table: str, *, fraction: float, columns: list[str] | None = None) -> None: ...

    def run(self, cmd: Rest) -> None: ...

    def write(self, path: str, text: Rest = "") -> None: ...


query = Declaration(Duct.query, "query", skip=2)
head = Declaration(Duct.head, "head", skip=1)
status = Declaration(Duct.status, "status", skip=1)
listdir = Declaration(Duct.listdir, "listdir", skip=1)
new = Declaration(Duct.new, "new", skip=1)
sample = Declaration(Duct.sample, "sample", skip=1)
run = Declaration(Duct.run, "run", skip=1)
write = Declaration(Duct.write, "write", skip=1)


def read(
    line: str, declaration: Declaration = query, /, **namespace: object
) -> tuple[list[Any], dict[str, Any]]:
    return parse(line, declaration, "%%db" if declaration is query else "%db." + declaration.name, namespace)


def refusal(line: str, declaration: Declaration = query, /, **namespace: object) -> str:
    with pytest.raises(DuctMagicError) as caught:
        read(line, declaration, **namespace)
    return str(caught.value)


def declared(function: Callable[..., object]) -> Declaration:
    return Declaration(function, function.__name__, skip=0)


# ------------------------------------------------------------------------------------------------ words


def test_an_empty_line_gives_nothing() -> None:
    assert read("") == ([], {})
    assert read(" \t ") == ([], {})


def test_a_word_is_text() -> None:
    assert read("df") == (["df"], {})
    assert read("  df  ") == (["df"], {})


@pytest.mark.parametrize(
    "word",
    r"prod/hive C:\x \\server\share a.b.c *.csv s3://bucket/a%20b ~/x it's größe 表 🦆 x==y a!=b".split()
    + r"a.b=c --flag=1 2=3 a<=b [1 {x} $x # a:=3 - \ None?".split(),
)
def test_whatever_has_no_space_is_one_word(word: str) -> None:
    assert read(word, listdir) == ([word], {})


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("'my table'", "my table"),
        ("\"a 'b' c\"", "a 'b' c"),
        (r"'it\'s'", "it's"),
        ("'a=b c=d'", "a=b c=d"),
        (r"r'C:\users\new folder'", r"C:\users\new folder"),
        (r"'tab\tbed'", "tab\tbed"),
        ("'''three 'of' them'''", "three 'of' them"),
        ("''", ""),
        ("'🦆 ü'", "🦆 ü"),
        ("f'{day} of {month!r}'", "3 of 'May'"),
    ],
)
def test_a_word_in_quotes_is_a_string_literal(word: str, text: str) -> None:
    assert read(word, listdir, day=3, month="May") == ([text], {})
    assert read(f" {word} 5 renew=True", head, day=3, month="May") == ([text, 5], {"renew": True})


def test_a_word_is_read_by_its_annotation() -> None:
    assert read("flights 20", head) == (["flights", 20], {})
    assert read("20 20", head) == (["20", 20], {})
    assert read("flights '20'", head) == (["flights", 20], {})

    def function(  # type: ignore[no-untyped-def]
        a: int | str, b: float, c: bool, d: Literal["x", 1], e: int | None, f, g: Path, *h: int
    ) -> None: ...

    assert read("20 1e3 True 1 None 7 ./x 1 -2", declared(function)) == (
        [20, 1000.0, True, 1, None, "7", "./x", 1, -2],
        {},
    )
    assert type(read("x 1 False x 4 f g", declared(function))[0][1]) is float


def test_text_in_quotes_stays_text_where_text_will_do() -> None:
    def function(a: int | str | None = None) -> None: ...

    assert read("20", declared(function)) == ([20], {})
    assert read("'20'", declared(function)) == (["20"], {})
    assert read("None", declared(function)) == ([None], {})
    assert read("'None'", declared(function)) == (["None"], {})


def test_a_word_that_does_not_fit_is_refused_by_name_value_and_what_is_expected() -> None:
    message = refusal("flights many", head)
    assert message.startswith("%db.head: `n` takes a whole number, not 'many'\n")
    assert "Usage: %db.head table [n=10] renew=False" in message

    def function(mode: Literal["fail", "replace"], on: bool) -> None: ...

    assert "`mode` takes 'fail' or 'replace', not 'replase' (did you mean 'replace'?)" in refusal(
        "replase True", declared(function)
    )
    assert "`on` takes True or False, not 'yes'" in refusal("fail yes", declared(function))


def test_words_in_excess_are_all_taken_by_a_starred_parameter() -> None:
    assert read("db presto a 'b c' d", new) == (["db", "presto", "a", "b c", "d"], {})
    assert read("db presto port=3", new) == (["db", "presto"], {"port": 3})


def test_a_word_may_also_be_given_by_name() -> None:
    assert read("table='flights' n=5", head) == ([], {"table": "flights", "n": 5})
    assert read("flights n=5", head) == (["flights"], {"n": 5})


def test_one_word_too_many_is_refused_with_the_usage() -> None:
    message = refusal("a 2 c", head)
    assert "it takes 2 words, and 'c' is one more" in message
    assert message.endswith("Usage: %db.head table [n=10] renew=False")
    assert "it takes no words, and 'x' is one more" in refusal("x", status)


def test_unquoted_text_is_told_to_take_quotes() -> None:
    assert "text with spaces needs quotes: 'my new folder'" in refusal("my new folder", listdir)


def test_a_key_without_its_equals_sign_is_recognised() -> None:
    assert "a key is followed by `=`: show=..." in refusal("df show all")


def test_a_missing_word_is_named_with_the_usage() -> None:
    assert refusal("", head) == "%db.head: `table` must be given\nUsage: %db.head table [n=10] renew=False"
    assert "`name` and `protocol` must be given" in refusal("port=1", new)
    assert "`fraction` must be given" in refusal("flights", sample)


@pytest.mark.parametrize("line", ["'my table", '"', "'a'b", "x 'a", "r'", "'''a b''", r"'a\' "])
def test_quotes_that_do_not_close_a_word_are_said_to(line: str) -> None:
    message = refusal(line, new)
    assert message.startswith("%db.new: a quote is not closed at the end of the word: ")
    assert message.endswith("\nUsage: %db.new name protocol [words ...] port=None")


def test_a_backslash_that_python_refuses_is_told_to_be_raw() -> None:
    assert "`path` is no Python string: 'C:\\users'; begin it with r" in refusal(r"'C:\users'", listdir)


# ------------------------------------------------------------------------------- the rest of the line


@pytest.mark.parametrize(
    "line", ["ls -l a=b", "grep 'a  b' | wc -l  ", 'echo "', "x = 'a", "a=1 b=2", "awk '{print $1}' # all"]
)
def test_the_rest_of_a_line_is_kept_as_it_is(line: str) -> None:
    assert read(line, run) == ([line], {})


def test_the_rest_of_a_line_follows_the_words_before_it() -> None:
    assert read("'a b.txt'  some = text ", write) == (["a b.txt", "some = text "], {})
    assert read("x=1 y", write) == (["x=1", "y"], {})
    assert read("a.txt ", write) == (["a.txt"], {})


def test_a_rest_that_is_not_there_is_missed_only_if_it_is_required() -> None:
    assert "`cmd` must be given" in refusal("  ", run)
    assert "`path` must be given" in refusal("", write)

    def optional(cmd: Rest | None = None) -> None: ...

    assert read("", declared(optional)) == ([], {})
    assert read("a 'b", declared(optional)) == (["a 'b"], {})


# ------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=1 b=2", {"a": 1, "b": 2}),
        ("a =1 b= 2", {"a": 1, "b": 2}),
        ("show = 'all'", {"show": "all"}),
        ("show='all'\ttranspose=True", {"show": "all", "transpose": True}),
        ("context={'x': 1}", {"context": {"x": 1}}),
        ("context={'x': 1, 'y': {'z': [1, 2]}} show=3", {"context": {"x": 1, "y": {"z": [1, 2]}}, "show": 3}),
        ("where='a=b c=d' n=1", {"where": "a=b c=d", "n": 1}),
        ('where="it\'s a=1" n=1', {"where": "it's a=1", "n": 1}),
        ("a='x' 'y=1 ' \"z\" b=1", {"a": "xy=1 z", "b": 1}),
        (r"a='\'b=1' b=2", {"a": "'b=1", "b": 2}),
        (r"a=r'\d b=1' b=2", {"a": r"\d b=1", "b": 2}),
        ("a='''x b=1''' b=2", {"a": "x b=1", "b": 2}),
        ("a=1 if days else 2 b=3", {"a": 1, "b": 3}),
        ("a=days == 6 b=days==5", {"a": True, "b": False}),
        ("a = days != 6 b = days >= 5 c=days<=5", {"a": False, "b": True, "c": False}),
        ("a=not days b=- 1", {"a": False, "b": -1}),
        ("a=dict(b=1, c=2) b=2", {"a": {"b": 1, "c": 2}, "b": 2}),
        ("a=[b for b in (1, 2) if b == 1] b=(c:=2) + 1", {"a": [1], "b": 3}),
        ("a=f'{days=} {days!r:>3}' b=1", {"a": "days=6   6", "b": 1}),
        ("a=f'{f\"{days}\"}' b=1", {"a": "6", "b": 1}),
        ("a=f'{{b=1}}' b=2", {"a": "{b=1}", "b": 2}),
        ("a=1, 2 b=3", {"a": (1, 2), "b": 3}),
        ("a='ü🦆=1 b=1' ü='🦆' b=2", {"a": "ü🦆=1 b=1", "ü": "🦆", "b": 2}),
        ("a='🦆🦆🦆' größe=days b='表'", {"a": "🦆🦆🦆", "größe": 6, "b": "表"}),
        ("a={1: 2}[1] b=[1, 2][0] c={*()}", {"a": 2, "b": 1, "c": set()}),
        ("a='x'.join(['b=1', 'c=2']) b=1", {"a": "b=1xc=2", "b": 1}),
        ("a=(\n1) b='''x\n c=1''' c=2", {"a": 1, "b": "x\n c=1", "c": 2}),
        ("a=1\nb=2", {"a": 1, "b": 2}),
        ("a=None b=... c=1_000", {"a": None, "b": ..., "c": 1000}),
        ("_a1=1", {"_a1": 1}),
        ("class=1 lambda=2", {"class": 1, "lambda": 2}),
    ],
)
def test_a_value_is_a_python_expression(line: str, expected: dict[str, object]) -> None:
    assert read(line, days=6) == ([], expected)
    assert read("df  " + line, days=6) == (["df"], expected)


def test_lambdas_keep_their_defaults() -> None:
    _, keys = read("a=lambda x=1: x b=lambda x, *y, z=days, **w: (x, y, z) c=lambda: days d=1", days=6)
    assert [keys["a"](), keys["b"](1, 2), keys["c"](), keys["d"]] == [1, (1, (2,), 6), 6, 1]
    _, keys = read("x=[i for i in (1,2)] y={'k': lambda q=2: q}")
    assert (keys["x"], keys["y"]["k"]()) == ([1, 2], 2)
    assert read("a=1 if 0 else lambda q=2: q b=3")[1]["a"]() == 2


@pytest.mark.parametrize("comment", ["# comment", "#", "# b=2", "# it's [not", "#show='all'"])
def test_a_trailing_comment_is_no_value(comment: str) -> None:
    assert read(f"df a=1 show=all {comment}") == (["df"], {"a": 1, "show": "all"})
    assert read(f"a='# b=1' b=2{comment}") == ([], {"a": "# b=1", "b": 2})


def test_a_choice_needs_no_quotes() -> None:
    assert read("show=none format=polars") == ([], {"show": "none", "format": "polars"})
    assert read("show = all") == ([], {"show": "all"})
    assert read("format=polars", polars=os) == ([], {"format": "polars"})

    def function(*, errors: Literal["raise", "ignore"] = "ignore", n: int = 1) -> None: ...

    assert read("errors=raise n=2", declared(function)) == ([], {"errors": "raise", "n": 2})


def test_a_choice_may_come_from_a_variable() -> None:
    assert read("format=wanted show=rows", wanted="polars", rows=3) == ([], {"format": "polars", "show": 3})
    assert read("show=all if days else 'none'", days=0) == ([], {"show": "none"})


def test_what_is_no_key_is_handed_on_where_any_will_do() -> None:
    assert read("renew=True body_=1 day='2024-01-01'") == (
        [],
        {"renew": True, "body_": 1, "day": "2024-01-01"},
    )


@pytest.mark.parametrize("name", ["self", "body"])
def test_a_parameter_that_is_not_on_the_line_is_no_key(name: str) -> None:
    assert f"there is no key `{name}`" in refusal(f"{name}=1")


def test_a_positional_only_parameter_leaves_its_name_to_the_options() -> None:
    def function(body: str, word: str = "", /, **options: object) -> None: ...

    declaration = Declaration(function, "function", skip=1)
    assert read("a body=1 word=2", declaration) == (["a"], {"body": 1, "word": 2})


def test_an_unknown_key_is_refused_with_the_nearest_and_all_that_are_known() -> None:
    message = refusal("flights renw=True", head)
    assert message == "%db.head: there is no key `renw` (did you mean 'renew'?); its keys are table, n, renew"
    assert "there is no key `x`; it takes none" in refusal("x=1", status)


def test_a_key_is_given_once() -> None:
    assert "`show` is given twice\nUsage: %%db [variable]" in refusal("show=1 show=2")
    assert "`table` is given twice" in refusal("flights table='b'", head)
    assert "`x` is given twice" in refusal("x=1 x=2")


# --------------------------------------------------------------------------------- evaluating the values


def test_values_are_evaluated_in_the_namespace() -> None:
    namespace = {"days": [1, 2], "f": len}
    assert read("a=f(days) b=[x + f(days) for x in days]", **namespace) == ([], {"a": 2, "b": [3, 4]})


def test_builtins_can_be_used_and_are_not_put_into_the_namespace() -> None:
    namespace = {"xs": [3, 1]}
    assert parse("a=sorted(xs) b=[max(xs) for _ in range(2)]", query, "%%db", namespace) == (
        [],
        {"a": [1, 3], "b": [3, 3]},
    )
    assert namespace == {"xs": [3, 1]}


def test_a_namespace_with_builtins_is_used_as_it_is() -> None:
    import builtins

    namespace: dict[str, object] = {"x": 1, "__builtins__": builtins}
    _, keys = parse("a=lambda: x", query, "%%db", namespace)
    namespace["x"] = 2
    assert keys["a"]() == 2  # type: ignore[operator]


def test_the_namespace_may_be_any_mapping() -> None:
    namespace: collections.ChainMap[str, object] = collections.ChainMap({"x": 1}, {"y": [1, 2]})
    assert parse("a=[x + z for z in y]", query, "%%db", namespace) == ([], {"a": [2, 3]})
    assert namespace.maps == [{"x": 1}, {"y": [1, 2]}]


def test_nothing_is_evaluated_on_a_line_that_does_not_fit() -> None:
    calls: list[int] = []
    for line in ("a=f(1) b=[", "a=f(1) body=2", "a=f(1) a=f(2)", "x y a=f(1)", "show=f(1) f=1 2"):
        refusal(line, f=calls.append)
    assert calls == []


def test_an_undefined_name_is_told_with_the_nearest_and_how_to_write_text() -> None:
    assert refusal("format=polrs") == (
        "%%db: `format` uses the name 'polrs', which is not defined (did you mean 'polars'?); "
        "text needs quotes: format='polrs'"
    )
    assert "'dayz', which is not defined (did you mean 'days'?)" in refusal("n=dayz + 1", days=6)
    assert "text needs quotes: path='prod/hive'" in refusal("path=prod/hive")
    assert "quotes" not in refusal("a=[dayz]")
    assert "'dayz'" in refusal("a=[dayz for _ in range(2)]")


def test_a_name_that_a_called_function_misses_is_not_blamed_on_the_line() -> None:
    def broken() -> None:
        nowhere  # type: ignore[name-defined]  # noqa: B018, F821

    assert "`a` cannot be evaluated: broken() (NameError: name 'nowhere'" in refusal(
        "a=broken()", broken=broken
    )


def test_whatever_fails_in_an_expression_is_chained() -> None:
    with pytest.raises(DuctMagicError, match=r"`a` cannot be evaluated: 1 / 0 \(ZeroDivisionError") as caught:
        read("df a=1 / 0")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "(AssertionError)" in refusal("a=f()", f=lambda: (_ for _ in ()).throw(AssertionError()))


def test_an_interrupt_is_no_error_of_the_line() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read("a=interrupt()", interrupt=interrupt)


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        "'hunter2",
        "hunter2'",
        "int('hunter2')",
        "hunter2 x",
        "(hunter2",
        "b'hunter2'",
        "hunter2 or 1/0",
    ],
)
def test_a_secret_is_in_no_message(value: str) -> None:
    with pytest.raises(DuctMagicError) as caught:
        read(f"password={value}")
    shown: BaseException | None = caught.value
    while shown:
        assert "hunter2" not in str(shown)
        shown = shown.__cause__


# ------------------------------------------------------------------------- values that are no expressions


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("context={'x': 1 show='all'", "`context` has a bracket that is never closed: {'x': 1 show='all'"),
        ("a=1 context=(1, [2)", "`context` has a bracket that is never closed: (1, [2)"),
        ("a=f(", "`a` has a bracket that is never closed: f("),
        ("show='all b=2", "`show` has a quote that is never closed: 'all b=2"),
        ("a={'x: 1} b=2", "`a` has a quote that is never closed: {'x: 1} b=2"),
        ("show= transpose=True", "`show=` has no value"),
        ("show=", "`show=` has no value"),
        ("show=  # all", "`show=` has no value"),
        ("show='all', transpose=True", "`show` ends in a comma: keys are separated by spaces"),
        ("show='all' df", "'df' stands behind the value of `show`: words come before keys"),
    ],
)
def test_a_value_that_does_not_end_is_told_with_the_usage(line: str, sentence: str) -> None:
    message = refusal(line)
    assert message.startswith("%%db: " + sentence)
    assert message.endswith(" ...") and "\nUsage: %%db [variable] show='head'" in message


def test_text_without_quotes_is_told_to_take_them() -> None:
    assert refusal("title=my thing b=2").endswith("): my thing; text needs quotes: title='my thing'")
    assert refusal("day=2024-01-01").endswith("2024-01-01; text needs quotes: day='2024-01-01'")
    assert "“x”; text needs quotes" in refusal("a=“x” b=1")
    assert "quotes" not in refusal("a=[1 2]")


def test_the_first_value_that_is_wrong_is_the_one_that_is_told() -> None:
    assert "`a` is no Python expression" in refusal("a=$x b=[")
    assert "`b` is no Python expression" in refusal("a=1 b=$x c=$y")
    assert "`a` is no Python expression" in refusal("a=f(b=$x) c=1")


@pytest.mark.parametrize("line", ["a=" + "(" * 300, "a=" + "[" * 90 + "b=1", "a=" + "-" * 5_000 + "1"])
def test_depth_is_no_crash(line: str) -> None:
    with contextlib.suppress(DuctMagicError):  # how deep an expression may be depends on the Python
        read(line)


def test_no_line_whatever_raises_anything_else() -> None:
    pieces = [
        *"ab=='\"()[]{}\\#,:$ \n\t.;!",
        "a=",
        " b=",
        "'x'",
        "lambda ",
        "f'{",
        "}'",
        "🦆",
        "\x00",
        "\ud800",
        "r'",
    ]
    chance = random.Random(7)
    for _ in range(3000):
        line = "".join(chance.choices(pieces, k=chance.randint(1, 14)))
        for declaration in (query, head, run, new):
            try:
                read(line, declaration, a=1)
            except DuctMagicError as error:
                assert str(error).startswith("%")
            keys_at(line, declaration)


# ------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("transpose='yes'", "`transpose` takes True or False, not 'yes'"),
        ("transpose=1", "`transpose` takes True or False, not 1"),
        ("transpose=None", "`transpose` takes True or False, not None"),
        ("show=True", "`show` takes 'head', 'all', 'none' or a whole number, not True"),
        (
            "show='heads'",
            "`show` takes 'head', 'all', 'none' or a whole number, not 'heads' (did you mean 'head'?)",
        ),
        ("show=1.5", "`show` takes 'head', 'all', 'none' or a whole number, not 1.5"),
        ("context=[1]", "`context` takes a dict or None, not a value of type list"),
        ("format=polars_", "`format` takes 'pandas', 'polars', 'arrow' or None, not a value of type module"),
        ("password=1", "`password` takes text or None, not what was given"),
        ("variable=1", "`variable` takes text or None, not 1"),
    ],
)
def test_a_value_of_another_type_is_refused(line: str, sentence: str) -> None:
    assert refusal(line, polars_=os) == "%%db: " + sentence


def test_a_value_is_not_converted() -> None:
    assert "`n` takes a whole number, not '5'" in refusal("a n='5'", head)
    assert "`columns` takes a list or None, not a value of type tuple" in refusal(
        "a fraction=1 columns=(1,)", sample
    )
    assert "`fraction` takes a number, not 'a'" in refusal("a fraction='a'", sample)


def test_every_kind_of_number_is_a_number() -> None:
    import numpy

    assert read("a fraction=1 columns=['x']", sample) == (["a"], {"fraction": 1, "columns": ["x"]})
    assert read("a fraction=np.float32(0.5)", sample, np=numpy)[1]["fraction"] == 0.5
    assert read("a n=np.int64(5)", head, np=numpy)[1]["n"] == 5
    assert "`n` takes a whole number, not 5.0" in refusal("a n=5.0", head)


def test_a_choice_is_equal_in_type_too() -> None:
    def function(*, level: Literal[0, 1], on: Literal[True, "auto"] = True) -> None: ...

    assert read("level=1 on=auto", declared(function)) == ([], {"level": 1, "on": "auto"})
    assert "not True" in refusal("level=True", declared(function))
    assert "not 1" in refusal("level=1 on=1", declared(function))


def test_a_frame_is_compared_with_no_choice() -> None:
    import pandas

    assert "not a value of type DataFrame" in refusal("show=df", df=pandas.DataFrame({"a": [1]}))


def test_annotations_that_say_nothing_known_take_anything() -> None:
    def function(  # type: ignore[no-untyped-def]
        a,
        *,
        b: Unknown | None = None,
        c: object = 0,
        d: Any = 0,
        e: Path | int = 0,
        f: Callable[[int], int] | None = None,
        g: Annotated[int, "many"] = 0,
        h: int = None,  # type: ignore[assignment]  # noqa: RUF013
        i: Unknown | Literal["x"] = "x",
        j: not_even_this = 0,  # type: ignore[name-defined]  # noqa: F821
    ): ...

    declaration = declared(function)
    assert read("a b=[] c={} d='' e='x' f=1 g=2 h=None i=() j=1j", declaration)[1].keys() == set("bcdefghij")
    assert "`g` takes a whole number, not 'x'" in refusal("a g='x'", declaration)
    assert "`h` takes a whole number, not 'x'" in refusal("a h='x'", declaration)


# ------------------------------------------------------------------------------------------ declarations


def test_the_parameters_are_those_of_the_signature() -> None:
    variable, show = query.parameters[:2]
    assert (variable.name, variable.kind, variable.default, variable.choices) == (
        "variable",
        "word",
        None,
        (),
    )
    assert variable.annotation == Optional[str]  # noqa: UP045
    assert (show.name, show.kind, show.default, show.choices) == (
        "show",
        "key",
        "head",
        ("head", "all", "none"),
    )
    assert query.accepts_any and not head.accepts_any
    assert head.parameters[0].default is inspect.Parameter.empty
    assert run.parameters[0].takes_rest and not variable.takes_rest


def test_the_usage_is_the_signature_as_it_is_typed() -> None:
    assert query.usage("db", cell=True) == (
        "%%db [variable] show='head' transpose=False template=True context=None format=None password=None ..."
    )
    assert head.usage("db.head", cell=False) == "%db.head table [n=10] renew=False"
    assert new.usage("omniduct", cell=False) == "%omniduct name protocol [words ...] port=None"
    assert run.usage("bastion", cell=False) == "%bastion cmd..."
    assert write.usage("x", cell=True) == "%%x path [text...]"
    assert sample.usage("db.sample", cell=False) == "%db.sample table fraction=<value> columns=None"
    assert status.usage("db", cell=False) == "%db"

    def function(a: object = os, *, b: object = len) -> None: ...

    assert declared(function).usage("f", cell=False) == "%f [a=...] b=..."


def test_the_help_is_the_usage_and_the_documentation() -> None:
    assert query.help("db", cell=True) == (
        query.usage("db", cell=True) + "\n\nRun a statement.\n\nThe rest is for those who read on."
    )
    assert head.help("db.head", cell=False) == head.usage("db.head", cell=False)


def test_a_signature_is_read_once_and_only_when_needed() -> None:
    class Signed:
        reads = 0

        @property
        def __signature__(self) -> inspect.Signature:
            type(self).reads += 1
            return inspect.signature(Duct.head)

        def __call__(self) -> None: ...

    declaration = Declaration(Signed(), "signed", skip=1)
    assert Signed.reads == 0
    read("a 5 renew=True", declaration)
    reads = Signed.reads
    read("a 5 renew=True", declaration)
    declaration.usage("signed", cell=False)
    assert Signed.reads == reads


def test_bound_wrapped_and_partial_functions_declare_as_well() -> None:
    elsewhere: dict[str, Any] = {"Number": int}
    exec("def head(self, table, n: 'Number' = 10): ...", elsewhere)

    @functools.wraps(elsewhere["head"])
    def wrapped(*arguments: object, **options: object) -> None: ...

    assert Declaration(Duct().head, "head", skip=0).usage("x", cell=False) == "%x table [n=10] renew=False"
    assert read("a 5", Declaration(wrapped, "head", skip=1)) == (["a", 5], {})
    assert read("a", Declaration(functools.partial(Duct.head, Duct()), "head", skip=0)) == (["a"], {})


# -------------------------------------------------------------------------------------------- completion


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("", "table n renew"),
        ("fli", "table n renew"),
        ("flights ", "n renew"),
        ("flights re", "n renew"),
        ("flights n=5 ", "renew"),
        ("flights n=5 r", "renew"),
        ("flights renew=Tr", ""),
        ("flights renew=", ""),
        ("flights renew= ", ""),
        ("flights renew=not ", ""),
        ("flights n=(5 ", ""),
        ("flights n='5 ", ""),
        ("'my ta", ""),
        ("flights n = 5 renew = True ", ""),
    ],
)
def test_keys_not_yet_given_can_follow(line: str, keys: str) -> None:
    assert keys_at(line, head) == tuple(keys.split())


def test_no_key_follows_where_the_rest_is_taken() -> None:
    assert keys_at("", run) == keys_at("ls ", run) == ()
