"""YAML texts into values: mappings know their lines, and errors say the place but never show a value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from omniduct.errors import DuctConfigError

__all__ = ["Located", "parse"]

Note = Callable[[str, tuple[str, ...], int], None]

_TAG = "tag:yaml.org,2002:"
_QUOTED = re.compile(r" '(?!<)[^']{2,}'")


class Located(dict[Any, Any]):
    """A mapping from YAML.

    Attributes
    ----------
    line : int
        The line in which it begins.
    lines : dict
        The line of each key.
    spelled : dict
        Each key as it was written: YAML reads some as something else than text (``no``, ``1``).
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}
        self.spelled: dict[Any, str] = {}


def parse(text: str, note: Note) -> object:
    """The value of a YAML text.

    Parameters
    ----------
    note : callable
        Told of every key that comes twice: a sentence, the path of the key, and its line. The first
        is kept, where YAML itself would keep the last without a word.

    Raises
    ------
    DuctConfigError
        It is no YAML. The message has line and column, and nothing of a value: it may be a secret.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Doubles(note).drop(node, ())
        return _Builder(loader).value(node)
    except yaml.MarkedYAMLError as error:
        raise DuctConfigError(_complaint(error, text.splitlines())) from None
    except yaml.YAMLError:
        raise DuctConfigError(_bad_character(text)) from None
    except RecursionError:
        raise DuctConfigError("the YAML cannot be read: it is nested too deeply") from None
    finally:
        loader.dispose()


def _at(mark: Any, problem: str) -> str:
    return f"the YAML cannot be read: line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _complaint(error: Any, lines: list[str]) -> str:
    """What is wrong, where, and what is mostly meant by it."""
    problem = _QUOTED.sub("", error.problem or error.context or "something is wrong")
    mark = error.problem_mark or error.context_mark
    if "expected ':'" in problem and error.context_mark:  # noticed only in a later line
        mark, hint = error.context_mark, "; a colon and a space stand between a key and its value"
    elif "\t" in _indentation(lines, mark.line):
        hint = "; indent with spaces, not with tabs"
    elif "undefined alias" in problem or "constructor" in problem or "start any token" in problem:
        hint = "; a value that begins with * & ! % @ or ` belongs in quotes"
    elif "mapping values" in problem:
        hint = "; a value with a colon and a space in it belongs in quotes"
    elif "another document" in problem:
        problem, hint = "a second document (---) begins here", "; a configuration is one"
    else:
        hint = ""
    return _at(mark, problem + hint)


def _indentation(lines: list[str], number: int) -> str:
    line = lines[number] if number < len(lines) else ""
    return line[: len(line) - len(line.lstrip())]


def _bad_character(text: str) -> str:
    from yaml.reader import Reader

    found = Reader.NON_PRINTABLE.search(text)
    line = text.count("\n", 0, found.start()) + 1 if found else 1
    return f"the YAML cannot be read: line {line}: a control character stands there"


class _Doubles:
    """Takes out keys that come a second time in their mapping, and notes them.

    This looks at every mapping once, before merge keys (``<<``) put others' keys into it.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._seen: set[Any] = set()

    def drop(self, node: Any, path: tuple[str, ...]) -> None:
        if node in self._seen:
            return
        self._seen.add(node)
        if node.id == "mapping":
            self._drop(node, path)
        elif node.id == "sequence":
            for i, item in enumerate(node.value):
                self.drop(item, (*path, f"[{i}]"))

    def _drop(self, node: Any, path: tuple[str, ...]) -> None:
        first: dict[str, int] = {}
        kept = []
        for name, value in node.value:
            line = name.start_mark.line + 1
            key = name.value if name.id == "scalar" and name.tag != f"{_TAG}merge" else None
            if key is not None and key in first:
                sentence = f"this key comes twice, first in line {first[key]}; the first is kept"
                self._note(sentence, (*path, key), line)
                continue
            if key is not None:
                first[key] = line
            kept.append((name, value))
            self.drop(value, (*path, str(key)))
        node.value = kept


class _Builder:
    """Makes values of YAML nodes, each alias anew: two ducts never share a list."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._open: list[Any] = []

    def value(self, node: Any) -> Any:
        if node in self._open:
            raise DuctConfigError(_at(node.start_mark, "this contains itself"))
        self._open.append(node)
        try:
            return self._made(node)
        finally:
            self._open.pop()

    def _made(self, node: Any) -> Any:
        if node.id == "mapping" and node.tag == f"{_TAG}map":
            return self._mapping(node)
        if node.id == "sequence" and node.tag == f"{_TAG}seq":
            return [self.value(item) for item in node.value]
        try:
            return self._loader.construct_object(node, deep=True)
        except (ValueError, TypeError):
            if node.id == "scalar":  # only looked like a date or a number, as 2024-13-45
                return str(node.value)
            raise DuctConfigError(_at(node.start_mark, "this cannot be made a value")) from None

    def _mapping(self, node: Any) -> Located:
        self._loader.flatten_mapping(node)  # the merge key <<
        made = Located(node.start_mark.line + 1)
        for name_node, value_node in node.value:
            name = self._key(name_node)
            made[name] = self.value(value_node)
            made.lines[name] = name_node.start_mark.line + 1
            made.spelled[name] = str(name_node.value)
        return made

    def _key(self, node: Any) -> Any:
        if node.id == "scalar":
            return self.value(node)
        problem = "a key is a text; a value that begins with { or [ belongs in quotes"
        raise DuctConfigError(_at(node.start_mark, problem))
