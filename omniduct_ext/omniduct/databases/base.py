"""DatabaseClient: what every database duct can do, whatever its protocol."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from omniduct.databases.arrow.cursors import ArrowCursor, arrow_table
from omniduct.databases.hooks import BATCH_ROWS
from omniduct.databases.magics import DatabaseMagics
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.rendering import TemplateMethods
from omniduct.databases.results import CURSOR_FORMATTERS, Formatter, formatter
from omniduct.databases.session import explaining, streaming
from omniduct.databases.session.background import Background
from omniduct.databases.session.execution import Execution
from omniduct.databases.session.progress import Running, counted, note_changes
from omniduct.databases.session.running import Session
from omniduct.databases.session.streaming import Beside
from omniduct.databases.statements import Statement
from omniduct.databases.tables import TableMethods
from omniduct.databases.templates import Templates
from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError, DuctConfigError

__all__ = ["BATCH_ROWS", "DatabaseClient"]


class DatabaseClient(TemplateMethods, TableMethods, DatabaseMagics, Execution):
    """A database: statements in, results out, in the format asked for.

    A subclass supplies ``_connect``, ``_is_connected``, ``_disconnect`` and ``_execute``; and, where its
    driver has more, other hooks of `omniduct.databases.hooks`. Everything else is here.

    Parameters
    ----------
    session_properties : dict, optional
        Settings of the session, where the protocol has them.
    templates : dict, optional
        Templates of statements by name.
    template_context : dict, optional
        Values for templates.
    default_format_opts : dict, optional
        Options for the default format.
    templating : bool
        Whether statements are rendered as templates when a call does not say.
    answer_timeout : float, optional
        Seconds that the service may stay silent while a statement runs, before it is taken for dead. It
        is asked beside the statement, which itself may take as long as it likes. None waits for ever.
    progress : bool
        Whether a statement that takes more than a second says how far it is: in a line in a notebook or
        a terminal, and where there is neither to the logger ``omniduct``, at level INFO.
    **kwargs
        The arguments of `omniduct.Duct`.

    Notes
    -----
    A database has one session, on which statements run one at a time, in order: temporary tables and
    settings last as long as it does. Streams, and what runs in the background, run beside it where the
    driver has sibling connections: they see neither these nor what a transaction has not committed.
    """

    DUCT_TYPE = Duct.Type.DATABASE
    DEFAULT_CURSOR_FORMATTER: ClassVar[str] = "pandas"
    CURSOR_FORMATTERS: ClassVar[Mapping[str, type[Formatter]]] = CURSOR_FORMATTERS
    NAMESPACE_NAMES: ClassVar[list[str]] = ["database", "table"]
    NAMESPACE_QUOTECHAR: ClassVar[str] = '"'
    NAMESPACE_SEPARATOR: ClassVar[str] = "."
    NAMESPACE_DEFAULT: ClassVar[dict[str, str] | None] = None

    def __init__(
        self,
        session_properties: dict[str, Any] | None = None,
        templates: dict[str, str] | None = None,
        template_context: dict[str, Any] | None = None,
        default_format_opts: dict[str, Any] | None = None,
        templating: bool = True,
        answer_timeout: float | None = 45.0,
        progress: bool = True,
        **kwargs: Any,
    ) -> None:
        # what is no mapping is left for the check of all arguments to name
        self.session_properties = _own_mapping(session_properties)
        self.template_context = _own_mapping(template_context)
        self.default_format_opts = _own_mapping(default_format_opts)
        self.templating = templating
        self.answer_timeout = answer_timeout
        self.progress = progress
        owner = str(kwargs.get("name") or type(self).__name__)
        self._templates = Templates(templates if isinstance(templates, Mapping) else None, owner)
        self._streams: weakref.WeakSet[Beside] = weakref.WeakSet()
        self._calls: list[Running] = []
        self._session: Session | None = None
        super().__init__(**kwargs)

    def _arguments_now(self) -> dict[str, Any]:
        return {
            **super()._arguments_now(),
            "session_properties": dict(self.session_properties),
            "templates": {name: self._templates.get(name) for name in self._templates.names},
            "template_context": dict(self.template_context),
            "default_format_opts": dict(self.default_format_opts),
            "templating": self.templating,
            "answer_timeout": self.answer_timeout,
            "progress": self.progress,
        }

    # Names

    @property
    def NAMESPACE_DEFAULTS_READ(self) -> dict[str, str]:
        """The default of each level, for reading."""
        return dict(self.NAMESPACE_DEFAULT or {})

    @property
    def NAMESPACE_DEFAULTS_WRITE(self) -> dict[str, str]:
        """The default of each level, for writing."""
        return self.NAMESPACE_DEFAULTS_READ

    def _parse_namespaces(self, name: object, write: bool = False) -> ParsedNamespaces:
        return ParsedNamespaces.from_name(
            name,  # type: ignore[arg-type]
            self.NAMESPACE_NAMES,
            quote_char=self.NAMESPACE_QUOTECHAR,
            separator=self.NAMESPACE_SEPARATOR,
            defaults=self.NAMESPACE_DEFAULTS_WRITE if write else self.NAMESPACE_DEFAULTS_READ,
        )

    def _parse_prefix(self, name: object) -> ParsedNamespaces:
        """The levels above the table."""
        return ParsedNamespaces.from_name(
            name,  # type: ignore[arg-type]
            self.NAMESPACE_NAMES[:-1],
            quote_char=self.NAMESPACE_QUOTECHAR,
            separator=self.NAMESPACE_SEPARATOR,
        )

    def _quote(self, identifier: str) -> str:
        quote = self.NAMESPACE_QUOTECHAR
        return f"{quote}{identifier.replace(quote, quote * 2)}{quote}"

    # Statements

    def __call__(
        self,
        statement: str,
        format: str | None = None,
        format_opts: dict[str, Any] | None = None,
        use_cache: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Run a query: `query`."""
        return self.query(statement, format, format_opts, use_cache, **kwargs)

    def execute(
        self,
        statement: str,
        wait: bool = True,
        cursor: Any = None,
        session_properties: dict[str, Any] | None = None,
        *,
        background: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run a statement, or several parted by ``;``.

        Parameters
        ----------
        statement : str
            The statement, a template unless `template=False`.
        wait : bool
            Whether to wait for its end, where the driver can do otherwise.
        cursor : object, optional
            The driver's cursor to run it on.
        session_properties : dict, optional
            Settings for this statement.
        background : bool
            Whether to return at once, with a `Background` whose `result` is the cursor.
        **kwargs
            `template`, `context`, and what the protocol takes.

        Returns
        -------
        cursor
            A DB-API 2.0 cursor, of the last statement. It stays readable whatever is run after it.

        Raises
        ------
        DuctStatementError
            The service refused it; the next statement finds the session usable.
        """
        options = {"wait": wait, "cursor": cursor, "session_properties": session_properties}
        prepared = self._statements(statement, kwargs)
        if background:
            return self._begin_beside(prepared, self._hand_out_whole, {**options, **kwargs})
        return self._run(prepared, self._hand_out, {**options, **kwargs})

    def query(
        self,
        statement: str,
        format: str | None = None,
        format_opts: dict[str, Any] | None = None,
        use_cache: bool = True,
        *,
        background: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run a statement, or several, and return the whole result of the last.

        Parameters
        ----------
        statement : str
            The statement, a template unless `template=False`.
        format : str, optional
            pandas (the default), polars, arrow, tuple, dict, csv, hive or raw.
        format_opts : dict, optional
            Options of the format.
        use_cache : bool
            Whether the cache may answer, where there is one.
        background : bool
            Whether to return at once, with a `Background` whose `result` is what is returned otherwise.
            It has a connection of its own, where the driver has such.
        **kwargs
            `template`, `context`, and what the protocol takes.

        Returns
        -------
        object
            The result in that format; None for a statement that has none.
        """
        chosen = self._formatter(format, format_opts)
        prepared = self._statements(statement, kwargs)
        if background:
            return self._begin_beside(prepared, lambda cursor: self._dump_whole(cursor, chosen), kwargs)
        return self._run(prepared, lambda cursor: self._dump(cursor, chosen), kwargs)

    def stream(
        self,
        statement: str,
        format: str | None = None,
        format_opts: dict[str, Any] | None = None,
        batch: int | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Run a statement and go through its result as it comes, in flat memory.

        Parameters
        ----------
        batch : int, optional
            Give pieces of so many rows, in the format, instead of single rows.

        Returns
        -------
        Iterator
            Of rows (tuples, unless a format is given) or of pieces. Closing it cancels the statement.
        """
        chosen = self._formatter(format or ("tuple" if batch is None else None), format_opts)
        return streaming.Stream(self, self._statements(statement, kwargs), chosen, batch, kwargs)

    def stream_to_file(
        self,
        statement: str,
        file: Any,
        format: str = "csv",
        fs: Any = None,
        *,
        background: bool = False,
        **kwargs: Any,
    ) -> Background | None:
        """Run a statement and write its result to a file, in flat memory.

        Parameters
        ----------
        file : str, path or binary file object
            Where to. A file by name is whole or is not there: it is written beside and then renamed.
        format : str
            csv, hive or parquet.
        fs : FileSystemClient, optional
            The filesystem that `file` is on.
        background : bool
            Whether to return at once, with a `Background`.
        **kwargs
            `format_opts`, `template`, `context`, and what the protocol takes.
        """
        chosen = self._formatter(format, kwargs.pop("format_opts", None))
        chosen.check_writable()
        _check_ending(self.name, file, chosen.NAME)
        prepared = self._statements(statement, kwargs)
        options = self._options_now(kwargs) if background else kwargs

        def write(beside: Beside) -> None:
            streaming.write(beside, prepared, chosen, file, fs, options)

        if background:
            return Background(self, prepared[-1].text, write)
        write(Beside(self, prepared[-1].text))
        return None

    def execute_from_file(self, file: Any, fs: Any = None, **kwargs: Any) -> Any:
        """Run the statements of a file: `execute`."""
        return self.execute(streaming.text_of(file, fs), **kwargs)

    def query_from_file(self, file: Any, fs: Any = None, **kwargs: Any) -> Any:
        """Run the statements of a file: `query`."""
        return self.query(streaming.text_of(file, fs), **kwargs)

    def _formatter(self, format: str | None, options: Mapping[str, Any] | None) -> Formatter:
        given = {**(self.default_format_opts if format is None else {}), **(options or {})}
        return formatter(format or self.DEFAULT_CURSOR_FORMATTER, given, self.CURSOR_FORMATTERS)

    def _dump(self, cursor: Any, chosen: Formatter) -> Any:
        if chosen.NAME == "raw":
            return self._hand_out(cursor)
        if self._cursor_empty(cursor):
            note_changes(getattr(cursor, "rowcount", -1))
            return None
        return chosen.dump(counted(self._whole(cursor)))

    # In the background, where the connection is closed when the statement has ended

    def _begin_beside(
        self, prepared: list[Statement], finish: Callable[[Any], Any], options: dict[str, Any]
    ) -> Background:
        if options.get("cursor") is not None:
            raise DuctArgumentError(
                f"{self.name}: what runs in the background has a connection of its own, and takes no cursor"
            )
        now = self._options_now(options)
        return Background(self, prepared[-1].text, lambda beside: beside.run(prepared, finish, now))

    def _options_now(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a statement that runs later, with what they mean at this moment."""
        return options

    def _hand_out_whole(self, cursor: Any) -> Any:
        given = self._hand_out(cursor)
        if given is not cursor or self._cursor_empty(cursor):
            return given
        return ArrowCursor(arrow_table(counted(self._whole(cursor))))

    def _dump_whole(self, cursor: Any, chosen: Formatter) -> Any:
        return self._hand_out_whole(cursor) if chosen.NAME == "raw" else self._dump(cursor, chosen)

    def _near_names(self, explained: explaining.Explanation, statement: str) -> str:
        """The names of the catalog that are nearly the one that is missing."""
        if explained.missing:
            return explaining.near(
                explained.missing, self._names_of(explained.among, explained.missing, statement)
            )
        if explained.table:
            return explaining.near(explained.table, self._names_of_tables())
        return explaining.near(explained.column or "", self._names_of_columns(statement))


def _own_mapping(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value or {}


def _check_ending(name: str, file: Any, format: str) -> None:
    """Complain about a file whose name says that it is in another format."""
    ending = str(file).rpartition(".")[2].lower() if isinstance(file, (str, os.PathLike)) else ""
    if ending == "parquet" != format or (ending == "csv" and format == "parquet"):
        raise DuctConfigError(
            f"{name}: the name of {str(file)!r} says {ending}, and the format is {format!r}: "
            f"say format={ending!r}"
        )
