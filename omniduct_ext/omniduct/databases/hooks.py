"""The contract of a database protocol: what its class supplies, and what it may supply besides.

``_connect``, ``_is_connected``, ``_disconnect`` and ``_execute`` make a whole protocol. Every other hook
has a default, and is worth writing where the driver does better. Where a hook takes a `cursor`, that is
one of ``_sibling_cursor`` or what ``_execute`` returned; None means the session. Hooks are called on the
worker thread of the session, or of the sibling, unless they say otherwise. What deals with tables is in
`omniduct.databases.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from omniduct.databases.session.explaining import Explanation
from omniduct.databases.session.progress import Progress
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.arrow.cursors import Source

__all__ = ["BATCH_ROWS", "DatabaseHooks"]

BATCH_ROWS = 100_000
"""Rows of an Arrow batch, where the driver lets one choose."""


class DatabaseHooks:
    """What a protocol may replace; a part of `DatabaseClient`."""

    SUPPORTS_SESSION_PROPERTIES: ClassVar[bool] = False
    SESSION_OUTLIVES_CONNECTION: ClassVar[bool] = False
    """Whether what statements set is kept on this side, and so outlives the connection."""

    name: str
    protocol: str | None
    session_properties: dict[str, Any]
    disconnect: Any
    _unreachable: Any

    # Statements

    def _execute(
        self, statement: str, cursor: Any, wait: bool, session_properties: dict[str, Any], **kwargs: Any
    ) -> Any:
        """Run one statement; return a cursor. Bind values come as the list `parameters`.

        Keyword arguments that it names are options of `query` and its kin.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot run statements")

    def _statement_prepare(self, statement: str, session_properties: Any, **kwargs: Any) -> str:
        """Change a statement before it is sent."""
        return statement

    def _cancel(self, cursor: Any) -> None:
        """Cancel what runs; called from another thread, repeatedly, until it has ended."""

    def _recover(self, cursor: Any) -> str:
        """After a failed statement: make the connection usable again; say what that took."""
        return ""

    def _explain(self, error: Exception, statement: str) -> Explanation:
        """What the person needs to know of a driver's exception; `statement` as it was sent."""
        return Explanation(str(error).strip() or type(error).__name__)

    def _names_of(self, kind: str, missing: str, statement: str) -> list[str]:
        """The names of a kind among which one that is `missing` may have been meant.

        For what ``_explain`` calls missing; called after a failed statement, on its session.
        """
        return []

    def _progress(self, cursor: Any) -> Progress | None:
        """How far the statement is; called from another thread, and must not wait for the service."""
        return None

    # Results

    def _cursor_empty(self, cursor: Any) -> bool:
        """Whether the statement gives no result."""
        return getattr(cursor, "description", None) is None

    def _arrow_batches(self, cursor: Any, batch_rows: int) -> pa.RecordBatchReader | None:
        """The result as Arrow batches; None if the driver has no Arrow."""
        return None

    def _source(self, cursor: Any) -> Source:
        """What formats are made from: Arrow where the driver has it, otherwise the cursor."""
        reader = self._arrow_batches(cursor, BATCH_ROWS)
        return cursor if reader is None else reader

    def _whole(self, cursor: Any) -> Source:
        """The same, of a result that is wanted whole and now."""
        return self._source(cursor)

    def _exhaust(self, cursor: Any) -> None:
        """Run a statement to its end when nobody reads its result, where the driver needs telling."""

    def _hand_out(self, cursor: Any) -> Any:
        """The cursor that `execute` returns: one that later statements leave alone."""
        return cursor

    # Connections

    def _sibling_cursor(self) -> Any:
        """A cursor on a connection beside the session, for streams and what runs in the background.

        None if there is none: they then run on the session. Called in the thread of who asks; closing
        the cursor closes the connection.
        """
        return None

    def _session_handle(self) -> Any:
        """What ``_cancel`` takes to reach the session as it is now when another has taken its place."""
        return None

    def _replace_connection(self) -> None:
        """Open another connection in the place of one whose statement does not end."""
        self.disconnect()

    def _is_cut(self) -> bool:
        """Whether the far side may have closed the connection, as far as that shows without asking it."""
        return False

    def _is_answering(self, timeout: float) -> bool:
        """Whether the service answers beside a statement under way, within so many seconds.

        Called in a thread of its own. By default: whether its port takes a connection.
        """
        return not self._unreachable(timeout)

    # Session properties

    def _get_session_properties(
        self, overrides: dict[str, Any] | None = None, default: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {**(self.session_properties if default is None else default), **(overrides or {})}

    def _setting(self, name: str, cursor: Any) -> Any:
        """The value of a session property, to be put back by ``_set``."""
        raise DuctArgumentError(f"{self.name}: {self.protocol or 'this database'} has no session properties")

    def _set(self, name: str, value: Any, cursor: Any) -> None:
        """Set a session property; None stands for its default."""

    def _apply(self, properties: Mapping[str, Any], cursor: Any) -> None:
        """Set session properties, on a new connection."""
        for name, value in properties.items():
            self._set(name, value, cursor)

    # Transactions

    def _begin(self) -> None:
        """Begin a transaction on the session."""
        self._execute("BEGIN", None, True, {})

    def _commit(self) -> None:
        """Commit the transaction of the session."""
        self._execute("COMMIT", None, True, {})

    def _rollback(self) -> None:
        """Roll the transaction of the session back."""
        self._execute("ROLLBACK", None, True, {})

    def _in_transaction(self) -> bool | None:
        """Whether a transaction is open on the session; None if that does not show."""
        return None
