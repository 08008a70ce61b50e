"""Where `ParsedNamespaces` used to live; subclasses of clients import it from here."""

from __future__ import annotations

from omniduct.databases.namespaces import ParsedNamespaces as ParsedNamespaces
