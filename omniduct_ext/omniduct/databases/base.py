"""DatabaseClient: what every database duct can do, whatever its protocol."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from omniduct.core import failures
from omniduct.databases import streaming
from omniduct.databases.magics import DatabaseMagics
from omniduct.databases.namespaces import ParsedNamespaces
from omniduct.databases.rendering import TemplateMethods
from omniduct.databases.results import CURSOR_FORMATTERS, Formatter, formatter
from omniduct.databases.running import Session, SessionReplaced, shielded, tell
from omniduct.databases.statements import Statement
from omniduct.databases.tables import TableMethods
from omniduct.databases.templates import Templates
from omniduct.duct import Duct
from omniduct.errors import DuctError, DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.results import Source

__all__ = ["DatabaseClient"]

BATCH_ROWS = 100_000
"""Rows of an Arrow batch, where the driver lets one choose."""

_Result = TypeVar("_Result")


class DatabaseClient(TemplateMethods, TableMethods, DatabaseMagics, Duct):
    """A database: statements in, results out, in the format asked for.

    A subclass supplies ``_connect``, ``_is_connected``, ``_disconnect`` and ``_execute``; and, where its
    driver has them, ``_cancel``, ``_arrow_batches`` and ``_sibling_cursor``. Everything else is here.

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
    **kwargs
        The arguments of `omniduct.Duct`.

    Notes
    -----
    A database has one session, on which statements run one at a time, in order: temporary tables and
    settings last as long as it does. Streams run beside it where the driver has sibling connections,
    and do not see these.
    """

    DUCT_TYPE = Duct.Type.DATABASE
    DEFAULT_CURSOR_FORMATTER: ClassVar[str] = "pandas"
    CURSOR_FORMATTERS: ClassVar[Mapping[str, type[Formatter]]] = CURSOR_FORMATTERS
    SUPPORTS_SESSION_PROPERTIES: ClassVar[bool] = False
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
        **kwargs: Any,
    ) -> None:
        # what is no mapping is left for the check of all arguments to name
        self.session_properties = _own_mapping(session_properties)
        self.template_context = _own_mapping(template_context)
        self.default_format_opts = _own_mapping(default_format_opts)
        self.templating = templating
        owner = str(kwargs.get("name") or type(self).__name__)
        self._templates = Templates(templates if isinstance(templates, Mapping) else None, owner)
        self._streams: weakref.WeakSet[streaming.Beside] = weakref.WeakSet()
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
        return self._run(prepared, self._hand_out, {**options, **kwargs})

    def query(
        self,
        statement: str,
        format: str | None = None,
        format_opts: dict[str, Any] | None = None,
        use_cache: bool = True,
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
        **kwargs
            `template`, `context`, and what the protocol takes.

        Returns
        -------
        object
            The result in that format; None for a statement that has none.
        """
        chosen = self._formatter(format, format_opts)
        prepared = self._statements(statement, kwargs)
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
        self, statement: str, file: Any, format: str = "csv", fs: Any = None, **kwargs: Any
    ) -> None:
        """Run a statement and write its result to a file, in flat memory.

        Parameters
        ----------
        file : str, path or binary file object
            Where to. A file by name is whole or is not there: it is written beside and then renamed.
        format : str
            csv, hive or parquet.
        fs : FileSystemClient, optional
            The filesystem that `file` is on.
        **kwargs
            `format_opts`, `template`, `context`, and what the protocol takes.
        """
        chosen = self._formatter(format, kwargs.pop("format_opts", None))
        chosen.check_writable()
        streaming.write(self, self._statements(statement, kwargs), chosen, file, fs, kwargs)

    def execute_from_file(self, file: Any, fs: Any = None, **kwargs: Any) -> Any:
        """Run the statements of a file: `execute`."""
        return self.execute(streaming.text_of(file, fs), **kwargs)

    def query_from_file(self, file: Any, fs: Any = None, **kwargs: Any) -> Any:
        """Run the statements of a file: `query`."""
        return self.query(streaming.text_of(file, fs), **kwargs)

    def cancel(self) -> bool:
        """Cancel the statement that runs on the session, from any thread; whether one ran."""
        session = self._session
        return session is not None and session.cancel(self._canceller(session))

    def _formatter(self, format: str | None, options: Mapping[str, Any] | None) -> Formatter:
        given = {**(self.default_format_opts if format is None else {}), **(options or {})}
        return formatter(format or self.DEFAULT_CURSOR_FORMATTER, given, self.CURSOR_FORMATTERS)

    # Running

    def _run(
        self, prepared: list[Statement], finish: Callable[[Any], _Result], options: dict[str, Any]
    ) -> _Result:
        """Run statements on the session, one after the other, and what to do with the last's cursor."""
        return self._on_session(lambda: self._run_all(prepared, finish, options))

    def _run_all(
        self, prepared: list[Statement], finish: Callable[[Any], _Result], options: dict[str, Any]
    ) -> _Result:
        count = len(prepared)
        for number, statement in enumerate(prepared[:-1], start=1):
            self._attempt(statement, f"statement {number} of {count}: ", self._exhaust, options)
        return self._attempt(
            prepared[-1], f"statement {count} of {count}: " if count > 1 else "", finish, options
        )

    def _attempt(
        self,
        statement: Statement,
        which: str,
        finish: Callable[[Any], _Result],
        options: dict[str, Any],
    ) -> _Result:
        try:
            with self._settings(options.get("session_properties"), options.get("cursor")):
                try:
                    return finish(self._execute_prepared(statement, options))
                except Exception as error:  # recover first: settings are restored on a usable session
                    failure = self._failure(error, which, self._recovered(options.get("cursor")))
        except Exception as error:
            failure = self._failure(error, which)
        raise failure  # not from within `except`, where Python would chain the driver's frames to it

    def _failure_while_reading(self, read: Callable[[], _Result]) -> _Result:
        """Read on; an error of the driver becomes one for people."""
        try:
            return read()
        except Exception as error:
            failure = self._failure(error)
        raise failure

    def _execute_prepared(self, statement: Statement, options: dict[str, Any]) -> Any:
        given = dict(options)
        properties = self._get_session_properties(given.pop("session_properties", None))
        cursor, wait = given.pop("cursor", None), given.pop("wait", True)
        text = self._statement_prepare(statement.text, properties, **given)
        if statement.parameters:
            given["parameters"] = [bound.value for bound in statement.parameters]
        return self._execute(text, cursor, wait, properties, **given)

    def _failure(self, error: Exception, which: str = "", note: str = "") -> DuctError:
        """What to tell the person of an error; the connection is checked before it is used again."""
        if isinstance(error, DuctError):
            return error
        self._life.doubt()
        said = failures.redact(self, str(error).strip() or type(error).__name__)
        failure = DuctStatementError(f"{self.name}: {which}{said}{note}")
        failure.__cause__ = failures.cause(self, error)
        return failure

    def _recovered(self, cursor: Any) -> str:
        try:
            return self._recover(cursor)
        except Exception as error:  # the statement's own error is the one to tell
            failures.log(self, "recovering from a failed statement", error)
            return ""

    def _on_session(self, function: Callable[[], _Result]) -> _Result:
        while True:
            self.connect()
            session = self._current_session()
            try:
                return session.run(function, self._canceller(session), self._life)
            except SessionReplaced:
                continue
            finally:
                if session.given_up and session is self._session:
                    self._give_up_session(session)

    def _canceller(self, session: Session) -> Callable[[], None]:
        """The cancel of what runs on a session; it never strikes the one that has taken its place."""
        handle = self._session_handle()

        def cancel() -> None:
            if handle is not None or session is self._session:
                self._cancel(handle)

        return cancel

    def _current_session(self) -> Session:
        session = self._session
        if session is None:
            with self._life.lock:
                if self._session is None:
                    self._session = Session(self.name)
                session = self._session
        return session

    def _give_up_session(self, session: Session) -> None:
        """Leave a session whose statement does not end, and say what was lost with it."""
        with shielded():
            try:
                self._replace_connection()
            finally:
                self._session = None  # only now: one on the former connection would find it busy
                session.retire()
        tell(
            f"{self.name}: the statement had not ended when you interrupted again. It goes on being cancelled"
            " in the background; a new session was opened, without the former's temporary tables and settings"
        )

    def _dump(self, cursor: Any, chosen: Formatter) -> Any:
        if chosen.NAME == "raw":
            return self._hand_out(cursor)
        return None if self._cursor_empty(cursor) else chosen.dump(self._whole(cursor))

    def _source(self, cursor: Any) -> Source:
        """What formats are made from: Arrow where the driver has it, otherwise the cursor."""
        reader = self._arrow_batches(cursor, BATCH_ROWS)
        return cursor if reader is None else reader

    # What a subclass may supply

    def _execute(
        self, statement: str, cursor: Any, wait: bool, session_properties: dict[str, Any], **kwargs: Any
    ) -> Any:
        """Run one statement; return a cursor. Bind values come as the list `parameters`."""
        raise NotImplementedError(f"{type(self).__name__} cannot run statements")

    def _cursor_empty(self, cursor: Any) -> bool:
        """Whether the statement gives no result."""
        return getattr(cursor, "description", None) is None

    def _whole(self, cursor: Any) -> Source:
        """The same, of a result that is wanted whole and now."""
        return self._source(cursor)

    def _exhaust(self, cursor: Any) -> None:
        """Run a statement to its end when nobody reads its result, where the driver needs telling."""

    def _settings(self, overrides: dict[str, Any] | None, cursor: Any) -> AbstractContextManager[None]:
        """Within this, session properties given for one call hold; before and after, the session's own."""
        return nullcontext()

    def _hand_out(self, cursor: Any) -> Any:
        """The cursor that `execute` returns: one that later statements leave alone."""
        return cursor

    def _arrow_batches(self, cursor: Any, batch_rows: int) -> pa.RecordBatchReader | None:
        """The result as Arrow batches; None if the driver has no Arrow."""
        return None

    def _cancel(self, cursor: Any) -> None:
        """Cancel what runs on the cursor, or on the session; called from another thread, repeatedly."""

    def _sibling_cursor(self) -> Any:
        """A cursor on a connection beside the session, for a stream; None if there is none."""
        return None

    def _session_handle(self) -> Any:
        """What ``_cancel`` takes to reach the session as it is now when another has taken its place."""
        return None

    def _recover(self, cursor: Any) -> str:
        """After a failed statement: make the cursor (or the session) usable again; say what that took."""
        return ""

    def _in_transaction(self) -> bool:
        """Whether the user has begun a transaction on the session."""
        return False

    def _replace_connection(self) -> None:
        """Open another connection in the place of one whose statement does not end."""
        self.disconnect()

    def _statement_prepare(self, statement: str, session_properties: Any, **kwargs: Any) -> str:
        """Change a statement before it is sent."""
        return statement

    def _get_session_properties(
        self, overrides: dict[str, Any] | None = None, default: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {**(self.session_properties if default is None else default), **(overrides or {})}

    # Life-cycle

    def _end_session(self) -> None:
        """End the worker thread; a subclass's ``_disconnect`` is called after it."""
        session = self._session
        if session is not None:
            try:
                session.close(self._canceller(session))
            finally:
                self._session = None

    def _before_disconnect(self) -> None:
        for stream in list(self._streams):
            stream.close()
        self._end_session()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._session = None


def _own_mapping(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value or {}
