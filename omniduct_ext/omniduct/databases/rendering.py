"""From the text that a user writes to the statements that are sent: templates, splitting, bind values."""

from __future__ import annotations

import functools
import inspect
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from omniduct.core.arguments import did_you_mean
from omniduct.databases import statements
from omniduct.databases.statements import Statement, Tokenizer, split
from omniduct.databases.templates import Templates
from omniduct.errors import DuctArgumentError, DuctStatementError, DuctTemplateError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TemplateMethods"]

_OPTIONS = ("template", "context", "renew", "use_cache")


class TemplateMethods:
    """What a database does with the text of a statement; a part of `DatabaseClient`."""

    DIALECT: ClassVar[str | None] = None
    """The name by which sqlglot knows the dialect, for its tokens."""
    PLACEHOLDER: ClassVar[str | None] = None
    """How a bind parameter is written, with ``{n}`` for its number; None if the engine takes none."""

    name: str
    protocol: str | None
    templating: bool
    template_context: dict[str, Any]
    _templates: Templates
    execute: Any
    query: Any
    _execute: Any
    _quote: Any

    @property
    def template_names(self) -> list[str]:
        """The names of the templates, sorted."""
        return self._templates.names

    def template_add(self, name: str, body: str) -> Self:
        """Keep a template; one of that name is replaced."""
        self._templates.add(name, body)
        return self

    def template_get(self, name: str) -> str:
        """The body of a template."""
        return self._templates.get(name)

    def template_variables(self, name_or_statement: str, by_name: bool = False) -> set[str]:
        """The names of the values that a template needs, those of templates that it inserts included."""
        return self._templates.variables(self._templates.body(name_or_statement, by_name))

    def template_render(
        self,
        name_or_statement: str,
        context: Mapping[str, Any] | None = None,
        by_name: bool = False,
        cleanup: bool = False,
        meta_only: bool = False,
    ) -> str:
        """The text that a template becomes, bind values shown as ``:name`` with the values beneath.

        Parameters
        ----------
        context : Mapping, optional
            Values, over the duct's `template_context`.
        by_name : bool
            Whether the first argument is the name of a template.
        cleanup : bool
            Whether to take out comments and layout.
        meta_only : bool
            Whether to stop once other templates are inserted.
        """
        text = self._templates.insert(self._templates.body(name_or_statement, by_name))
        if not meta_only:
            rendered = self._templates.render(text, self._context(context), self._quote)
            text = statements.shown(rendered.text, rendered.bindings, self._tokenize)
        return self.statement_cleanup(text) if cleanup else text

    def execute_from_template(
        self, name: str, context: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Run a template: `execute`."""
        return self.execute(self._templates.get(name), context=context, template=True, **kwargs)

    def query_from_template(self, name: str, context: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """Run a template: `query`."""
        return self.query(self._templates.get(name), context=context, template=True, **kwargs)

    def _context(self, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        return ChainMap(cast("Any", context), self.template_context) if context else self.template_context

    @functools.cached_property
    def _tokenize(self) -> Tokenizer:
        return statements.sqlglot_tokenizer(self.DIALECT)

    @classmethod
    def statement_cleanup(cls, statement: str) -> str:
        """A statement without comments and layout."""
        return statements.cleanup(statement, statements.sqlglot_tokenizer(cls.DIALECT))

    @classmethod
    def statement_hash(cls, statement: str, cleanup: bool = True) -> str:
        """A hash that is equal for statements that differ only in layout and comments."""
        return statements.statement_hash(statement, statements.sqlglot_tokenizer(cls.DIALECT), cleanup)

    def _statement_split(self, statements: str) -> list[str]:
        """The statements of a text."""
        return split(statements, self._tokenize)

    def _statements(self, text: str, options: dict[str, Any]) -> list[Statement]:
        """Render, split, and number bind values; takes `template` and `context` out of the options."""
        template, context = options.pop("template", None), options.pop("context", None)
        for shared in ("renew", "use_cache"):  # no cache is set up for them to matter to
            options.pop(shared, None)
        if options:
            self._check_options(options)
        if not isinstance(text, str):
            raise DuctStatementError(f"{self.name}: a statement is a text, not a {type(text).__name__}")
        bindings: Mapping[str, Any] = {}
        if self.templating if template is None else template:
            rendered = self._templates.render(text, self._context(context), self._quote)
            text, bindings = rendered.text, rendered.bindings
        parts = self._statement_split(text)
        if not parts:
            raise DuctStatementError(f"{self.name}: there is no statement in {text.strip()[:60]!r}")
        if not bindings:
            return [Statement(part, ()) for part in parts]
        return [statements.place(part, bindings, self._tokenize, self._placeholder) for part in parts]

    def _check_options(self, options: Mapping[str, Any], also: Iterable[str] = ()) -> None:
        """Complain about options that neither the statement's own methods nor the protocol takes."""
        known = _known_options(cast("Any", type(self)))
        if known is None:
            return
        for name in options:
            if name not in known:
                near = did_you_mean(
                    name, {*known, *also, "format"} - {"statement", "cursor", "wait", "parameters"}
                )
                near = near or self._hint(name)
                raise DuctArgumentError(f"{self.name}: a statement takes no option {name!r}{near}")

    def _hint(self, option: str) -> str:
        if option == "frames":
            return "; only DuckDB reads frames: dataframe_to_table makes a table of one"
        if option in ("params", "parameters"):
            return "; a value is bound as {{ name | bind }}, and goes into context={'name': ...}"
        return f"; a value for a template goes into context={{{option!r}: ...}}"

    def _placeholder(self, number: int, name: str) -> str:
        if self.PLACEHOLDER is None:
            raise DuctTemplateError(
                f"{self.name}: {self.protocol or 'it'} takes no bind parameters, so {name!r} cannot be one"
            )
        return self.PLACEHOLDER.format(n=number, name=name)


@functools.cache
def _known_options(cls: type[TemplateMethods]) -> frozenset[str] | None:
    """What the statements of a class take besides their text; None if its ``_execute`` takes anything."""
    takes = inspect.signature(cls._execute).parameters
    if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        return None
    return frozenset({*takes, *_OPTIONS} - {"self"})
