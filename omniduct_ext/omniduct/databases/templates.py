"""Templates of statements: Jinja in a sandbox, and values that become bind parameters."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NoReturn

from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.statements import Binding, find_markers, marker, marker_meant
from omniduct.errors import DuctConfigError, DuctError, DuctNotFound, DuctTemplateError

if TYPE_CHECKING:
    from jinja2 import Environment, Template, TemplateSyntaxError, nodes
    from jinja2.runtime import Context

__all__ = ["Rendered", "Templates"]

_NAME = r"[^\W\d]\w*(?:[./-]\w+)*"
_INSERTION = re.compile(r"\{\{\{\s*(" + _NAME + r")\s*\}\}\}")
_SYNTAX = ("{{", "{%", "{#")
_COMPILED = 128  # templates kept compiled, for all clients together
_STATE = "omniduct's own"  # in the context, under a name that no template can write
_FILE = "<template>"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template's text, with a marker at each bound value, and marker -> what is bound there."""

    text: str
    bindings: Mapping[str, Binding]


class Templates:
    """The named templates of a database, and the rendering of these and of any other text.

    Parameters
    ----------
    templates
        Name -> body.
    owner
        Whose they are, for error messages.

    Examples
    --------
    >>> templates = Templates({"recent": "select * from trips where day > {{ day | bind }}"})
    >>> templates.variables("with r as ({{{recent}}}) select {{ column }} from r") == {"day", "column"}
    True
    >>> rendered = templates.render("{{{recent}}}", {"day": "2024-05-01"}, identifier=str)
    >>> rendered.bindings[rendered.text.split()[-1]]
    Binding(name='day', value='2024-05-01')
    """

    def __init__(self, templates: Mapping[str, str] | None = None, owner: str = "") -> None:
        self._bodies: dict[str, str] = {}
        self._owner = owner
        for name, body in (templates or {}).items():
            self.add(name, body)

    @property
    def names(self) -> list[str]:
        """The names of all templates, sorted."""
        return sorted(self._bodies)

    def add(self, name: str, body: str) -> None:
        """Keep a template under a name; it takes the place of one that has that name.

        Raises
        ------
        DuctConfigError
            The name is not made of words, joined by ``.``, ``/`` or ``-``, or the body is no text.
        """
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            raise DuctConfigError(
                f"a template{self._of_owner()} cannot be called {name!r}: begin with a letter, "
                "use letters, digits and `_`, and join words by `.`, `/` or `-`"
            )
        if not isinstance(body, str):
            raise DuctConfigError(
                f"template {name!r}{self._of_owner()} is {type(body).__name__}: give its body as a str"
            )
        self._bodies[name] = body

    def get(self, name: str) -> str:
        """The body of a template.

        Raises
        ------
        DuctNotFound
            There is none of that name.
        """
        try:
            return self._bodies[name]
        except KeyError:
            pass
        hint = _did_you_mean(name, self._bodies) or f"it has {', '.join(self.names) or 'none yet'}"
        raise DuctNotFound(f"{self._owner or 'this database'} has no template {name!r}: {hint}")

    def body(self, name_or_statement: str, by_name: bool = False) -> str:
        """The text that is meant: the template of that name, or the statement itself."""
        return self.get(name_or_statement) if by_name else name_or_statement

    def insert(self, text: str) -> str:
        """The text with the body of template ``name`` in the place of ``{{{name}}}``, and so in these bodies.

        Raises
        ------
        DuctNotFound
            There is no template of that name.
        DuctTemplateError
            A template comes to insert itself.
        """
        return self._insert(text, ()) if "{{{" in text else text

    def variables(self, text: str) -> set[str]:
        """The names of what a text expects from its context, once other templates are inserted.

        Raises
        ------
        DuctTemplateError
            The text is no template.
        """
        text = self.insert(text)
        if not _is_template(text):
            return set()
        from jinja2 import meta

        return meta.find_undeclared_variables(_parsed(text))

    def render(self, text: str, context: Mapping[str, object], identifier: Callable[[str], str]) -> Rendered:
        """Render a text, into which other templates are inserted first.

        A text without ``{{``, ``{%`` or ``{#`` is returned as it is.

        Parameters
        ----------
        text
            A Jinja template. ``{{ value | bind }}`` becomes a marker, in whose place
            `omniduct.databases.statements.place` puts a placeholder; ``{{ name | identifier }}`` becomes a
            quoted name.
        context
            Name -> value.
        identifier
            How the database quotes a name.

        Raises
        ------
        DuctTemplateError
            The text is no template, uses a name that is not in the context, or alters a bound value. No value
            of the context is in the message.
        DuctNotFound
            A template that it inserts does not exist.
        """
        text = self.insert(text)
        if not _is_template(text):
            return Rendered(text, {})
        template, state = _compiled(text), _State(identifier)
        failure = None
        try:
            written = template.render({**context, _STATE: state})
        except DuctError:
            raise
        except Exception as error:
            failure = self._failure(error, context, text)
        # Raised here it carries nothing of the reason, in whose message and frames the values are.
        if failure is not None:
            raise failure
        return Rendered(written, state.bindings(written))

    def _insert(self, text: str, path: tuple[str, ...]) -> str:
        def body_of(match: re.Match[str]) -> str:
            name = match[1]
            if name in path:
                cycle = " -> ".join([*path[path.index(name) :], name])
                raise DuctTemplateError(f"template {name!r} comes to insert itself: {cycle}")
            return self._insert(self.get(name), (*path, name))

        return _INSERTION.sub(body_of, text)

    def _failure(self, error: Exception, context: Mapping[str, object], text: str) -> DuctTemplateError:
        """What failed and where, without any value."""
        from jinja2 import UndefinedError

        where = _where(_failed_line(error), text)
        if not isinstance(error, UndefinedError):
            return DuctTemplateError(
                f"{type(error).__name__} {where}: look at the values that are used there, and at their types"
            )
        message = error.message or ""
        missing = re.fullmatch(r"'(\w+)' is undefined", message)
        if missing is None:
            names = re.findall("'([^']*)'", message)
            # A key may be a value, if it is not written in the template.
            told = message if names and names[-1] in text else "a key, attribute or element is not there"
            return DuctTemplateError(f"{told} {where}")
        return DuctTemplateError(
            f"{missing[1]!r} is not defined {where}: {self._advice(missing[1], context)}"
        )

    def _advice(self, name: str, context: Mapping[str, object]) -> str:
        if name in self._bodies:
            return f"a template has that name, {{{{{{{name}}}}}}} inserts it"
        return _did_you_mean(name, context) or "give it in the context, or test `is defined`"

    def _of_owner(self) -> str:
        return f" of {self._owner}" if self._owner else ""


# Bound values


class _BoundValue:
    """What the filter `bind` gives: it may be handed on and written, and nothing else."""

    # Of names that begin with an underscore the sandbox gives nothing away.
    __slots__ = ("_binding", "_marker", "_written")

    def __init__(self, binding: Binding, marker: str) -> None:
        self._binding = binding
        self._marker = marker
        self._written = False

    def __str__(self) -> str:
        self._written = True
        return self._marker

    def __repr__(self) -> str:
        self._written = True  # as part of a list: it is then missed in the text
        return f"<bound {self._binding.name}>"

    def _refuse(self, *_: object) -> NoReturn:
        raise _altered(self._binding.name)

    # Truth and `int` go by these as well.
    __len__ = __iter__ = __float__ = __eq__ = _refuse
    __hash__ = object.__hash__


@dataclass(slots=True)
class _State:
    """What the filters of one rendering share."""

    identifier: Callable[[str], str]
    nonce: str = field(default_factory=lambda: os.urandom(8).hex())
    values: list[_BoundValue] = field(default_factory=list)

    def bindings(self, text: str) -> dict[str, Binding]:
        """The markers of a rendered text.

        Raises
        ------
        DuctTemplateError
            One was written that is not, or not only, in the text as it was.
        """
        markers = {value._marker: value._binding for value in self.values if value._written}
        found = find_markers(text)
        altered = {marker_meant(mark) for mark in found - markers.keys()} | (markers.keys() - found)
        for mark, binding in markers.items():
            if mark in altered:
                raise _altered(binding.name)
        return markers


def _altered(name: str) -> DuctTemplateError:
    return DuctTemplateError(
        f"`{name} | bind` is used for something else than to be written into the statement: "
        f"let `bind` be the last filter, and test or change {name!r} before it"
    )


def _bind(context: Context, value: Any, name: str = "value") -> _BoundValue:
    """The filter: a marker in the place of a value."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)  # raises what says that it is undefined
    if isinstance(value, _BoundValue):
        raise _altered(value._binding.name)
    if isinstance(value, Iterator):
        value = list(value)  # what other filters give, as `map`
    state: _State = context[_STATE]
    bound = _BoundValue(Binding(str(name), value), marker(state.nonce, len(state.values) + 1))
    state.values.append(bound)
    return bound


def _identifier(context: Context, value: Any, name: str = "value") -> str:
    """The filter: a name as the database quotes it."""
    from jinja2 import Undefined

    if isinstance(value, (Undefined, ParsedNamespaces)):
        return str(value)  # an undefined one says so; the other is quoted already
    if not isinstance(value, str):
        raise DuctTemplateError(
            f"`{name} | identifier` needs a name, not {type(value).__name__}; "
            "for a list of names write `| map('identifier') | join(', ')`"
        )
    state: _State = context[_STATE]
    return state.identifier(value)


# Jinja


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined, pass_context
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["bind"] = pass_context(_bind)
    environment.filters["identifier"] = pass_context(_identifier)
    return environment


@lru_cache(maxsize=_COMPILED)
def _compiled(text: str) -> Template:
    from jinja2 import TemplateSyntaxError

    environment = _environment()
    tree = _parsed(text)
    try:
        code = environment.compile(tree, filename=_FILE)
    except TemplateSyntaxError as error:
        raise _unreadable(error, text) from None
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


def _parsed(text: str) -> nodes.Template:
    """The template's tree, in which `bind` and `identifier` are told what their value is called."""
    from jinja2 import TemplateSyntaxError, nodes

    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        raise _unreadable(error, text) from None
    for other in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise DuctTemplateError(
            f"other templates are inserted with {{{{{{name}}}}}}, macros too: "
            f"there is no `{type(other).__name__.lower()}` {_where(other.lineno, text)}"
        )
    for used in tree.find_all(nodes.Filter):
        if used.name not in environment.filters:
            hint = _did_you_mean(used.name, environment.filters) or "see Jinja's list of built-in filters"
            raise DuctTemplateError(f"there is no filter {used.name!r} {_where(used.lineno, text)}: {hint}")
        bound = used.node
        # What would leave a marker as it is, as `trim` and `lower` may, would silently do nothing.
        if isinstance(bound, nodes.Filter) and bound.name == "bind" and used.name not in ("default", "d"):
            raise _altered(_called(bound))
        _name_value(used, environment)
    return tree


def _name_value(used: nodes.Filter, environment: Environment) -> None:
    """Hand the name of its value to one of our filters: also in ``values | map('bind')``."""
    from jinja2 import nodes

    mapped = used.name == "map" and len(used.args) == 1 and isinstance(used.args[0], nodes.Const)
    ours = used.args[0].as_const() if mapped else used.name
    if ours in ("bind", "identifier") and len(used.args) == mapped and not used.kwargs:
        name = nodes.Const(_called(used.node), lineno=used.lineno)
        name.set_environment(environment)
        used.args.append(name)


def _called(expression: nodes.Node | None) -> str:
    """What an expression is called in a message, and as a parameter."""
    from jinja2 import nodes

    if isinstance(expression, nodes.Name):
        return expression.name
    if isinstance(expression, nodes.Getattr):
        return f"{_called(expression.node)}.{expression.attr}"
    if isinstance(expression, nodes.Getitem) and isinstance(expression.arg, nodes.Const):
        return f"{_called(expression.node)}.{expression.arg.value}"
    if isinstance(expression, (nodes.Filter, nodes.Call)):
        return _called(expression.node)
    return "value"


def _is_template(text: str) -> bool:
    return any(opening in text for opening in _SYNTAX)


def _unreadable(error: TemplateSyntaxError, text: str) -> DuctTemplateError:
    reason = (error.message or "it is no template").rstrip(".")
    return DuctTemplateError(
        f"{reason} {_where(error.lineno, text)}; `template=False` sends the text as it is"
    )


def _failed_line(error: BaseException) -> int | None:
    """The template's line that raised an error: of a macro its own, not that of its call."""
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == _FILE:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _where(line: int | None, text: str) -> str:
    """The line, by number and as it is written: with others inserted, numbers alone are hard to find."""
    lines = text.splitlines()
    if line is None or not 0 < line <= len(lines):
        return "in the template"
    return f"in line {line} of the template ({shorten(lines[line - 1], 80, placeholder=' ...')})"


def _did_you_mean(name: str, known: Iterable[object]) -> str:
    close = difflib.get_close_matches(name, [word for word in known if isinstance(word, str)], n=1)
    return f"did you mean {close[0]!r}?" if close else ""
