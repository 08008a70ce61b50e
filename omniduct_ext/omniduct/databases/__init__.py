"""Databases: what every client shares, and one module a protocol.

``base.py`` holds `DatabaseClient`; ``namespaces.py`` reads the names of tables; ``templates.py`` renders;
``tokens.py`` and ``statements.py`` read a statement, split it and place its bind parameters. A protocol's
module is loaded when a duct of that protocol is made.
"""
