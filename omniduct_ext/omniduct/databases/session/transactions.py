"""Transactions: several statements that hold together or not at all."""

from __future__ import annotations

import re
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from omniduct.core import failures
from omniduct.databases.session.running import tell
from omniduct.databases.statements import first_word
from omniduct.errors import DuctError, DuctStatementError

if TYPE_CHECKING:
    from omniduct.core.lifecycle import Lifecycle
    from omniduct.databases.base import DatabaseClient

__all__ = ["Transaction", "Transactions"]

_TEMPORARY = re.compile(r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:LOCAL\s+)?TEMP", re.IGNORECASE)
_LAST = frozenset({"SET", "USE", "PREPARE", "LISTEN", "DECLARE"})  # what they do lasts as long as the session
_BEGINS = frozenset({"BEGIN", "START"})
_ENDS = frozenset({"COMMIT", "END", "ROLLBACK", "ABORT"})


class Transactions:
    """Keeps count of the session's transaction; a part of `DatabaseClient`."""

    SESSION_OUTLIVES_CONNECTION: ClassVar[bool]
    name: str
    _life: Lifecycle
    _in_transaction: Any
    _transaction: Transaction | None = None
    _begun: int | None = None
    """The number of the connection on which a statement of the user began a transaction."""
    _unended: int | None = None
    """The number of the connection on which a block's transaction may be open that nobody ended."""

    _stateful: int | None = None
    """The number of the connection on which a statement made something that lasts as long as it."""

    def _tell_what_was_lost(self) -> None:
        """Say, once, that a new session knows nothing of what was set or made in the former."""
        if self._stateful is not None and self._stateful != self._life.connections:
            self._stateful = None
            tell(
                f"{self.name}: the connection had been lost and was made anew; what was set in the "
                "session, and its temporary tables, are gone"
            )

    def transaction(self) -> Transaction:
        """A block whose statements are one transaction.

        It is committed when the block ends, and rolled back when an exception ends it. Without it every
        statement is committed by itself. It holds for all statements of the session; streams, and what
        runs in the background, have connections of their own, and do not see what it has not committed.

        Returns
        -------
        Transaction
            To be used with ``with``.

        Raises
        ------
        DuctStatementError
            One is open already; or, in the block, it was rolled back or lost with its connection: nothing
            more is run until the block ends.
        """
        return Transaction(cast("DatabaseClient", self))

    def _check_transaction(self) -> None:
        """Complain, before a statement runs, of a transaction that it can no longer be a part of."""
        open_one, begun = self._transaction, self._begun
        if open_one is not None:
            open_one.check()
        elif self._unended is not None:
            self._end_unended()
        elif begun is not None and begun != self._life.connections:
            self._begun = None
            raise DuctStatementError(
                f"{self.name}: the connection was lost, and with it the transaction that was open: what it "
                "had done is rolled back. This statement was not run; the next one is outside of any "
                "transaction"
            )

    def _end_unended(self) -> None:
        """Roll back what a block left open when the person interrupted its end."""
        connection, self._unended = self._unended, None
        client = cast("DatabaseClient", self)
        if connection == self._life.connections:
            client._call(lambda: client._rollback() if client._in_transaction() is not False else None)

    def _note_transaction(self, statement: str) -> None:
        """Note whether a statement that has run has begun or ended a transaction."""
        word = first_word(statement)
        lasts = word in _LAST or (word == "CREATE" and _TEMPORARY.match(statement))
        if lasts and not self.SESSION_OUTLIVES_CONNECTION:
            self._stateful = self._life.connections
        if word in _BEGINS or word in _ENDS:
            self._begun = self._life.connections if self._in_transaction() else None

    def _transaction_undone(self) -> None:
        """Note that the transaction was rolled back when a statement failed."""
        self._begun = self._unended = None
        if self._transaction is not None:
            self._transaction.undone = "a statement in it failed, and it was rolled back"

    def _forget_transaction(self) -> None:
        self._transaction = self._begun = self._unended = self._stateful = None


class Transaction:
    """A block of statements that hold together: `DatabaseClient.transaction`."""

    def __init__(self, client: DatabaseClient) -> None:
        self._client = client
        self._connection = 0
        self.undone = ""

    def check(self) -> None:
        """Complain if a statement can no longer be a part of this."""
        if not self.undone and self._connection != self._client._life.connections:
            self.undone = "the connection was lost, and the service has rolled it back"
        if self.undone:
            raise self._refusal("This statement was not run; leave the block, and begin again")

    def __enter__(self) -> DatabaseClient:
        try:
            self._client._call(self._begin)
            return self._client
        except BaseException:
            if self._client._transaction is self:  # it had begun when the person interrupted
                self._close(commits=False)
            raise

    def _begin(self) -> None:
        client = self._client
        if client._transaction is not None or client._in_transaction():
            raise DuctStatementError(
                f"{client.name}: a transaction is open already; commit it or roll it back before the next"
            )
        client._begin()
        self._connection = client._unended = client._life.connections
        client._transaction = self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(commits=error is None)
        if error is None and self.undone:
            raise self._refusal("Nothing of it was kept")

    def _close(self, commits: bool) -> None:
        try:
            if not self.undone:
                self._end(commits)
        finally:
            self._client._transaction = None

    def _end(self, commits: bool) -> None:
        client = self._client
        if commits:
            try:
                client._call(self._commit)
                return
            except BaseException:
                self._end(commits=False)
                raise
        try:
            client._call(self._roll_back)
        except DuctError as failure:  # with its connection the transaction goes too
            failures.log(client, "rolling back", failure)

    def __repr__(self) -> str:
        name, state = self._client.name, "open" if self._client._transaction is self else "not open"
        return f"<Transaction of {name}, {state}: it is used as `with {name}.transaction():`>"

    def _refusal(self, then: str) -> DuctStatementError:
        return DuctStatementError(f"{self._client.name}: the transaction is over: {self.undone}. {then}")

    def _commit(self) -> None:
        if self._client._in_transaction() is not False:  # else a statement of the block has ended it
            self._client._commit()
        self._client._unended = None

    def _roll_back(self) -> None:
        if self._client._in_transaction() is not False:
            self._client._rollback()
        self._client._unended = None
