"""The contract of a database duct, whole."""

from __future__ import annotations

from omniduct.testing.reading import ResultsContract
from omniduct.testing.sessions import SessionsContract
from omniduct.testing.statements import StatementsContract
from omniduct.testing.tables import TablesContract
from omniduct.testing.templates import TemplatesContract
from omniduct.testing.values import TypesContract

__all__ = ["DatabaseContract"]


class DatabaseContract(
    StatementsContract,
    ResultsContract,
    TemplatesContract,
    TablesContract,
    SessionsContract,
    TypesContract,
):
    """Every test that a database duct must pass.

    A subclass, whose name begins with ``Test``, says the `facts` and has a fixture `duct`, of the scope of
    the class. The tests make tables of their own in the duct's current schema, and drop them.
    """
