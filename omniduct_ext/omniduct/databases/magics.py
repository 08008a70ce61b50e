"""The magics of a database."""

from __future__ import annotations

import contextlib
import keyword
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from omniduct.core.arguments import did_you_mean
from omniduct.databases.session.progress import CHANGES
from omniduct.errors import DuctMagicError
from omniduct.utils.magics import Declared, MagicCall, MagicsProvider, Rest, cell_magic, line_magic

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["DatabaseMagics"]

Format = Literal["pandas", "polars", "arrow", "tuple", "dict", "csv", "hive", "parquet", "raw"]
Show = Literal["head", "all", "none"] | int
_HEAD = 10

_KEY = re.compile(r"\s*\w+\s*=(?!=)")
# The words with which statements begin that are one word long, or have a `name = value` behind it.
_SQL_BEGINS = frozenset(
    "ABORT ANALYZE BEGIN CALL CHECKPOINT COMMIT CONFIGURE DECLARE DISCARD END EXEC EXECUTE EXPLAIN GO LET "
    "OPTIMIZE PRAGMA REFRESH RESET RETURN ROLLBACK SELECT SET SHOW START SUMMARIZE UNSET VACUUM".split()
)


class DatabaseMagics(MagicsProvider):
    """``%%NAME`` and its kin; a part of `DatabaseClient`."""

    @cell_magic()
    def _query_cell(
        self,
        call: MagicCall,
        body: str,
        variable: str | None = None,
        *,
        show: Show | None = None,
        transpose: bool = False,
        template: bool | None = None,
        context: Mapping[str, Any] | None = None,
        format: Format | None = None,
        background: bool = False,
        **options: Any,
    ) -> Any:
        """Run the statements of the cell and show the result of the last.

        Parameters
        ----------
        variable
            Assign the whole result to this variable, and show its first 10 rows.
        show
            How much to show: 'head', 'all', 'none' or a number of rows. Without a variable: all.
        transpose
            Show columns as rows.
        template
            Whether the cell is a template, which sees your variables.
        context
            Further values for the template.
        format
            What the result becomes: pandas (unless the duct says otherwise), polars, arrow, tuple, dict, csv,
            hive, parquet or raw.
        background
            Go on at once: the cell, and the variable, have a handle that shows how far the statement is.
            Its ``.result()`` waits for the whole result, its ``.cancel()`` ends the statement.
        options
            Anything else goes to the duct's `query`.
        """
        _check_variable(variable)
        if isinstance(show, int) and show < 0:
            raise DuctMagicError(f"%%{_own(self).name}: show takes a number of rows, not {show}")
        checked = {key: value for key, value in options.items() if key != "format_opts"}
        _own(self)._check_options(checked, also=("show", "transpose", "format_opts", "background"))
        if background and (show is not None or transpose):
            raise DuctMagicError(
                f"%%{_own(self).name}: with background=True there are no rows yet for show and transpose"
            )
        given = {"format": format, "template": template, "context": _context(call, context), **options}
        with _changes_shown(call):
            result = _own(self).query(body, background=background, **given)
        if background:
            return _handed(call, result, variable)
        return _present(call, result, variable, show, transpose)

    @line_magic()
    def _query_line(self, call: MagicCall, statement: Rest) -> Any:
        """Run a named template (``%NAME template key=value``), or the SQL on the line (``%NAME SELECT 1``).

        The line is a template when its first word names one; ``key=value`` may follow. SQL goes to the end of
        the line, and takes no options. ``.tables``, ``.desc``, ``.head`` and ``.props`` look at tables;
        ``.execute``, ``.stream``, ``.render`` and ``.template`` run and show in other ways.
        """
        return self._line(call, statement, "query")

    def _line(self, call: MagicCall, statement: str, method: Literal["query", "execute", "stream"]) -> Any:
        """Call a method with what a line says: a named template and its values, or SQL."""
        own = _own(self)
        run = getattr(own, method)
        name, _, rest = statement.strip().partition(" ")
        if name in own.template_names:
            values = _values(call, rest, f"%{own.name} {name}")
            self._check_values(name, values)
            return run(own.template_get(name), template=True, context=_context(call, values))
        if _names_template(name, rest):
            own.template_get(name)  # raises, with near misses
        with _changes_shown(call):
            return run(statement, context=_context(call, None))

    def _check_values(self, name: str, values: Mapping[str, Any]) -> None:
        """Complain about values that a template does not use."""
        used = _own(self).template_variables(name, by_name=True)
        for key in values:
            if key not in used:
                near = did_you_mean(key, used) or f"; it uses {', '.join(sorted(used)) or 'none'}"
                raise DuctMagicError(f"%{_own(self).name} {name}: the template uses no value {key!r}{near}")

    @cell_magic("execute")
    def _execute_cell(
        self,
        call: MagicCall,
        body: str,
        variable: str | None = None,
        *,
        template: bool | None = None,
        context: Mapping[str, Any] | None = None,
        background: bool = False,
        **options: Any,
    ) -> Any:
        """Run the statements of the cell and return the cursor of the last.

        Parameters
        ----------
        variable
            Assign the cursor to this variable.
        template, context, background
            As for a query.
        """
        _check_variable(variable)
        given = {"template": template, "context": _context(call, context), **options}
        cursor = _own(self).execute(body, background=background, **given)
        return _handed(call, cursor, variable) if background else _assigned(call, cursor, variable)

    @line_magic("execute")
    def _execute_line(self, call: MagicCall, statement: Rest) -> Any:
        """Run a named template, or the SQL on the line, and return the cursor."""
        return self._line(call, statement, "execute")

    @cell_magic("stream")
    def _stream_cell(
        self,
        call: MagicCall,
        body: str,
        variable: str | None = None,
        *,
        format: str | None = None,
        batch: int | None = None,
        template: bool | None = None,
        context: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Run the statement of the cell and return its rows as a stream.

        Parameters
        ----------
        variable
            Assign the stream to this variable.
        format
            What rows or pieces become.
        batch
            Pieces of so many rows, instead of single rows.
        """
        _check_variable(variable)
        stream = _own(self).stream(
            body, format=format, batch=batch, template=template, context=_context(call, context), **options
        )
        return _assigned(call, stream, variable)

    @line_magic("stream")
    def _stream_line(self, call: MagicCall, statement: Rest) -> Any:
        """Run a named template, or the SQL on the line, and return the rows as a stream."""
        return self._line(call, statement, "stream")

    @cell_magic("render")
    def _render_cell(
        self, call: MagicCall, body: str, *, context: Mapping[str, Any] | None = None, meta_only: bool = False
    ) -> None:
        """Show what would be sent: the cell rendered, bind values as ``:name`` with the values beneath.

        Parameters
        ----------
        context
            Further values for the template.
        meta_only
            Only insert other templates.
        """
        text = _own(self).template_render(body, context=_context(call, context), meta_only=meta_only)
        call.show(_Text(text))

    @line_magic("render")
    def _render_line(self, call: MagicCall, name: str, **values: Any) -> None:
        """Show what a named template becomes.

        Parameters
        ----------
        name
            The template.
        values
            Values for it, as ``key=value``.
        """
        text = _own(self).template_render(name, context=_context(call, values), by_name=True)
        call.show(_Text(text))

    @cell_magic("template")
    def _template_cell(self, call: MagicCall, body: str, name: str) -> None:
        """Keep the cell as a template.

        Parameters
        ----------
        name
            Its name, for ``%NAME name``, ``{{{name}}}`` in other cells, and ``query_from_template``.
        """
        _own(self).template_add(name, body.strip("\n"))

    @line_magic("template")
    def _template_line(self, call: MagicCall, name: str | None = None) -> Any:
        """Show a template, or list their names. ``%%NAME.template name`` keeps the cell as one.

        Parameters
        ----------
        name
            The template to show.
        """
        own = _own(self)
        if name is None:
            return own.template_names
        call.show(_Text(own.template_get(name)))
        return None

    @line_magic("desc")
    def _desc_line(self, call: MagicCall, table: str) -> Any:
        """Show the columns of a table.

        Parameters
        ----------
        table
            The table, as ``schema.table``.
        """
        return _own(self).table_desc(table)

    @line_magic("head")
    def _head_line(self, call: MagicCall, table: str, n: int = _HEAD) -> Any:
        """Show the first rows of a table.

        Parameters
        ----------
        table
            The table, as ``schema.table``.
        n
            How many rows.
        """
        return _own(self).table_head(table, n=n)

    @line_magic("tables")
    def _tables_line(self, call: MagicCall, namespace: str | None = None) -> Any:
        """List the tables.

        Parameters
        ----------
        namespace
            The schema, or whatever holds tables; by default where one is.
        """
        return _own(self).table_list(namespace)

    @line_magic("props")
    def _props_line(self, call: MagicCall, table: str) -> Any:
        """Show the properties of a table.

        Parameters
        ----------
        table
            The table, as ``schema.table``.
        """
        found = _own(self).table_props(table)
        return found.T.set_axis(["value"], axis=1) if len(found) == 1 else found

    def _complete_magic(self, declared: Declared, before: str) -> list[str]:
        named = declared.kind == "line" and declared.suffix in ("", "execute", "stream", "render", "template")
        return _own(self).template_names if named and not before.strip() else []


@contextlib.contextmanager
def _changes_shown(call: MagicCall) -> Iterator[None]:
    """Show how many rows the last statement has changed, if it is one that changes rows."""
    noted: list[int] = []
    token = CHANGES.set(noted)
    try:
        yield
    finally:
        CHANGES.reset(token)
    if noted:
        call.note(f"{noted[-1]:,} {'row' if noted[-1] == 1 else 'rows'} changed")


class _Text:
    """A text that is displayed as it is, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _own(magics: DatabaseMagics) -> DatabaseClient:
    return cast("DatabaseClient", magics)


def _names_template(first: str, rest: str) -> bool:
    """Whether a line, by its form, calls a template: one word, ``key=value`` behind it, and no SQL."""
    return first.rstrip(";").upper() not in _SQL_BEGINS and (not rest.strip() or bool(_KEY.match(rest)))


def _context(call: MagicCall, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a template sees: the user's variables, and over these what was given."""
    return ChainMap(dict(given or {}), cast("Any", call.namespace))


def _values(call: MagicCall, line: str, magic: str) -> dict[str, Any]:
    """The ``key=value`` pairs of a line."""
    from omniduct.ipython.lines import Declaration, parse

    def takes_any(**values: Any) -> None:
        """Take any values."""

    return dict(parse(line, Declaration(takes_any, "", 0), magic, call.namespace)[1])


def _assigned(call: MagicCall, value: Any, variable: str | None) -> Any:
    if variable is None:
        return value
    call.assign(variable, value)
    return None


def _handed(call: MagicCall, handle: Any, variable: str | None) -> Any:
    """Assign a handle, and show it as well."""
    if variable is not None:
        call.assign(variable, handle)
    return handle


def _check_variable(variable: str | None) -> None:
    """Complain about a name that cannot be assigned to, before anything runs."""
    if variable is not None and (not variable.isidentifier() or keyword.iskeyword(variable)):
        raise DuctMagicError(f"the result cannot be assigned to {variable!r}: it is no name of a variable")


def _present(call: MagicCall, result: Any, variable: str | None, show: Show | None, transpose: bool) -> Any:
    """Assign the result and show as much of it as is wanted; return it when all of it is wanted."""
    if variable is not None:
        call.assign(variable, result)
    wanted = show if show is not None else ("all" if variable is None else "head")
    if result is None or wanted == "none":
        return None
    most = None if wanted == "all" else _HEAD if wanted == "head" else wanted
    plan = None if transpose or show is not None else _plan(result)
    if plan is not None:
        return plan if variable is None else call.show(plan)
    shown = result if most is None else _first(result, most)
    if transpose:
        shown = _transposed(shown)
    if variable is None:
        return shown
    call.show(shown)
    if most is not None and not isinstance(result, (str, bytes)) and len(result) > most:
        call.note(f"{most} of {len(result):,} rows; all of them are in {variable}")
    return None


_PLANS = ("query plan", "explain_value", "create table", "create view", "create materialized view")


def _plan(result: Any) -> _Text | None:
    """The text of a result that is one: a plan, or how a table is made; None for any other."""
    names = [str(name) for name in getattr(result, "columns", ())]
    if not names or names[-1].lower() not in _PLANS or len(names) > 1 + (names[-1] == "explain_value"):
        return None
    return _Text("\n".join(str(line) for line in result[names[-1]]).strip("\n"))


def _first(result: Any, n: int) -> Any:
    if hasattr(result, "head"):
        return result.head(n)
    if hasattr(result, "slice"):  # Arrow
        return result.slice(0, n)
    return result[:n] if isinstance(result, list) else result


def _transposed(result: Any) -> Any:
    if hasattr(result, "T"):
        return result.T
    if hasattr(result, "transpose"):
        return result.transpose(include_header=True)
    return result.to_pandas().T if hasattr(result, "to_pandas") else result  # Arrow cannot turn itself
