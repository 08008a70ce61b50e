"""Filesystems: what every client shares, and one module a protocol.

``base.py`` holds `FileSystemClient`; ``errors.py`` says what went wrong with a path; ``streams.py`` makes
open files of a client's hooks; ``transfer.py`` copies between filesystems. A protocol's module is loaded
when a duct of that protocol is made.
"""
