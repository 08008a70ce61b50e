"""Reading the line of a magic into the arguments of the function that declares it.

A line is words, then ``key=value``. The words are text, read by the annotation of the parameter
they fall to; a value is a Python expression, evaluated in the user's namespace.
"""

from __future__ import annotations

import difflib
import functools
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

from omniduct.errors import DuctMagicError
from omniduct.ipython.declarations import Declaration, Parameter, Rest

__all__ = ["Declaration", "Parameter", "Rest", "keys_at", "parse"]

_SOURCE = "<magic line>"
_SHOWN = 60  # characters of a value in a message
_SECRET = "passw|secret|token|credential"

_HEAD = re.compile(r"([^\W\d]\w*)\s*=(?!=)\s*")
_OPENS_QUOTE = re.compile(r"""[rRfF]{0,2}['"]""")


@functools.cache
def _quoted_word() -> re.Pattern[str]:
    """Compiled at first use, as it takes a millisecond of every session's start."""
    return re.compile(
        r"""[rRfF]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?=\s|$)""", re.DOTALL
    )


def parse(
    line: str, declaration: Declaration, magic: str, namespace: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    """Read the positional and the keyword arguments that a line gives.

    Nothing is evaluated before all of the line is known to fit the declaration.

    Parameters
    ----------
    line : str
        What follows the magic's name.
    declaration : Declaration
    magic : str
        How the magic was called, ``%db.head`` or ``%%db``: messages begin with it.
    namespace : mapping
        The user's variables.

    Raises
    ------
    DuctMagicError
        The line cannot be read or does not fit; it says where and what to do.

    Examples
    --------
    >>> from typing import Literal
    >>> def query(variable: str = "_", *, show: Literal["head", "all"] = "head", **options): ...
    >>> declaration = Declaration(query, "query", skip=0)
    >>> parse("trips show=all context={'n': days + 1}", declaration, "%%db", {"days": 6})
    (['trips'], {'show': 'all', 'context': {'n': 7}})
    """
    return _Reader(declaration, magic, namespace).read(line)


def keys_at(line: str, declaration: Declaration) -> tuple[str, ...]:
    """List the keys that can follow a line; none while a value is still being typed.

    >>> def head(table: str, *, n: int = 10, transpose: bool = False): ...
    >>> keys_at("flights n=3 tr", Declaration(head, "head", skip=0))
    ('transpose',)
    """
    cursor = re.split(r"\s", line)[-1]
    begun = line[: len(line) - len(cursor)]
    words, position = _words(begun)
    heads, end = _heads(begun, position)
    open_value = heads and not any(_compiled(begun[head.value : end]) for head in heads)
    if open_value or "=" in cursor or not all(word.closed for word in words):
        return ()
    given = {each.name for each in declaration.words[: len(words)]} | {head.name for head in heads}
    return tuple(name for name in declaration.keys if name not in given)


# -------------------------------------------------------------------------------------- what is on a line


class _Word(NamedTuple):
    text: str
    quoted: bool = False
    closed: bool = True


class _Head(NamedTuple):
    """A ``name=``: where it starts, and where its value does."""

    name: str
    start: int
    value: int


class _Value(NamedTuple):
    name: str
    text: str
    code: CodeType | None  # None: the text is the value itself, one of the choices


def _words(line: str, limit: int | None = None) -> tuple[list[_Word], int]:
    """The words that a line begins with, and where what follows them starts.

    That is the first ``key=``, or with a limit whatever stands after so many words.
    """
    words: list[_Word] = []
    position = _past_space(line, 0)
    while position < len(line):
        if len(words) == limit or (limit is None and _HEAD.match(line, position)):
            break
        words.append(_word(line, position))
        position = _past_space(line, position + len(words[-1].text))
    return words, position


def _word(line: str, position: int) -> _Word:
    if not _OPENS_QUOTE.match(line, position):
        return _Word(line[position:].split(None, 1)[0])
    if quoted := _quoted_word().match(line, position):
        return _Word(quoted.group(), quoted=True)
    return _Word(line[position:], quoted=True, closed=False)


def _past_space(line: str, position: int) -> int:
    return len(line) - len(line[position:].lstrip())


def _heads(line: str, position: int) -> tuple[list[_Head], int]:
    """Every ``name=`` from a position on that is in no bracket, and where the last value ends.

    Those of an expression (``lambda x=1: x``) are among them: tokens do not tell them apart.
    """
    first = _HEAD.match(line, position)
    if first is None:
        return [], len(line)
    start = first.end()
    heads, end, depth = [_Head(first.group(1), position, start)], len(line), 0
    for token, place in _tokens(line[start:]):
        if token.type == tokenize.OP:
            depth += _nesting(token.string)
        elif token.type == tokenize.COMMENT and start + place + len(token.string) == len(line):
            end = start + place
        elif token.type == tokenize.NAME and depth == 0 and (head := _HEAD.match(line, start + place)):
            heads.append(_Head(head.group(1), head.start(), head.end()))
    return heads, end


def _tokens(text: str) -> Iterator[tuple[tokenize.TokenInfo, int]]:
    """The tokens with their places, as far as the text is Python: compiling it says where it is not."""
    lines = [0, *(newline.end() for newline in re.finditer("\n", text)), len(text)]
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            yield token, lines[token.start[0] - 1] + token.start[1]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return


def _nesting(operator: str) -> int:
    return (operator in "([{") - (operator in ")]}")


def _compile(text: str) -> CodeType:
    return compile(text.strip(), _SOURCE, "eval")


def _compiled(text: str) -> CodeType | None:
    try:
        return _compile(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


# -------------------------------------------------------------------------------------- reading it


@dataclass(frozen=True, slots=True)
class _Reader:
    """The reading of one line: what `parse` was given, and how a failure is told."""

    declaration: Declaration
    magic: str
    namespace: Mapping[str, object]

    def read(self, line: str) -> tuple[list[object], dict[str, object]]:
        words, values = self.split_rest(line) if self.declaration.takes_rest else self.split(line)
        placed = self.placed(words)
        if values:
            self.check_names(len(placed), values)
        self.check_complete(len(placed), values)
        return [self.word(*each) for each in placed], {value.name: self.value(value) for value in values}

    def split_rest(self, line: str) -> tuple[list[_Word], list[_Value]]:
        words, position = _words(line, limit=len(self.declaration.words) - 1)
        return words + [_Word(line[position:])] * (position < len(line)), []

    def split(self, line: str) -> tuple[list[_Word], list[_Value]]:
        words, position = _words(line)
        heads, end = _heads(line, position)
        values: list[_Value] = []
        while heads:
            stops = [*(head.start for head in heads[1:]), end]
            value, used = self.shortest(heads[0], [line[heads[0].value : stop].strip() for stop in stops])
            values.append(value)
            heads = heads[used:]
        return words, values

    def shortest(self, head: _Head, texts: list[str]) -> tuple[_Value, int]:
        """The first of the texts, each up to another ``name=``, that is an expression; and which it is."""
        if not texts[0]:
            raise self.fail(f"`{head.name}=` has no value", usage=True)
        parameter = self.declaration.keys.get(head.name)
        if parameter and texts[0].isidentifier() and texts[0] in parameter.choices:
            return _Value(head.name, texts[0], None), 1
        for number, text in enumerate(texts, 1):
            if code := _compiled(text):
                if text.endswith(","):
                    raise self.fail(
                        f"`{head.name}` ends in a comma: keys are separated by spaces", usage=True
                    )
                return _Value(head.name, text, code), number
        raise self.not_python(head.name, texts)

    # -- does it fit?

    def placed(self, words: list[_Word]) -> list[tuple[Parameter, _Word]]:
        """The words, each with the parameter it falls to."""
        if words and not words[-1].closed:
            text = _short(words[-1].text)
            raise self.fail(f"a quote is not closed at the end of the word: {text}", usage=True)
        declared, more = self.declaration.words, self.declaration.more_words
        pairs = list(zip(declared, words, strict=False))
        extra = words[len(declared) :]
        if extra and more is None:
            raise self.too_many(words, extra)
        return pairs + [(more, word) for word in extra if more]

    def check_names(self, placed: int, values: list[_Value]) -> None:
        given = {each.name for each in self.declaration.words[:placed] if each.name in self.declaration.keys}
        for name in (value.name for value in values):
            if not self.declaration.takes_key(name):
                raise self.unknown_key(name)
            if name in given:
                raise self.fail(f"`{name}` is given twice", usage=True)
            given.add(name)

    def check_complete(self, placed: int, values: list[_Value]) -> None:
        if not self.declaration.required:
            return
        given = {each.name for each in self.declaration.words[:placed]}
        given |= {value.name for value in values if value.name in self.declaration.keys}
        missing = [f"`{each.name}`" for each in self.declaration.required if each.name not in given]
        if missing:
            raise self.fail(f"{' and '.join(missing)} must be given", usage=True)

    # -- what it means

    def word(self, parameter: Parameter, word: _Word) -> object:
        text = word.text
        if parameter.takes_rest:
            return text
        if word.quoted:
            code = _compiled(text)
            if code is None:
                hint = "begin it with r to keep its backslashes"
                raise self.fail(f"`{parameter.name}` is no Python string: {_short(text)}; {hint}")
            text = str(self.evaluated(parameter.name, text, code))
        try:
            return parameter.from_text(text, word.quoted)
        except ValueError:
            raise self.not_expected(parameter, text, usage=True) from None

    def value(self, given: _Value) -> object:
        if given.code is None:
            return given.text
        value = self.evaluated(given.name, given.text, given.code)
        parameter = self.declaration.keys.get(given.name)
        if parameter and not parameter.accepts(value):
            raise self.not_expected(parameter, value)
        return value

    def evaluated(self, name: str, text: str, code: CodeType) -> object:
        try:
            result: object = eval(code, self.variables())
        except Exception as error:
            # A secret typed without its quotes is the name that the cause complains of.
            raise self.not_evaluated(name, text, error) from (None if _is_secret(name) else error)
        return result

    def variables(self) -> dict[str, Any]:
        """The namespace itself if it has builtins, as IPython's has; else a copy: eval adds them to it."""
        if isinstance(self.namespace, dict) and "__builtins__" in self.namespace:
            return self.namespace
        return dict(self.namespace)

    # -- what is wrong with it

    def fail(self, sentence: str, usage: bool = False) -> DuctMagicError:
        message = f"{self.magic}: {sentence}"
        if usage:
            name, cell = self.magic.lstrip("%"), self.magic.startswith("%%")
            message += f"\nUsage: {self.declaration.usage(name, cell)}"
        return DuctMagicError(message)

    def too_many(self, words: list[_Word], extra: list[_Word]) -> DuctMagicError:
        declared = self.declaration.words
        keys = {each.name for each in self.declaration.parameters if each.kind == "key"}
        key = next((word.text for word in words if word.text in keys), None)
        hint = ""
        if key:
            hint = f"; a key is followed by `=`: {key}=..."
        elif declared and declared[-1].takes_text and not any(word.quoted for word in words):
            text = " ".join(word.text for word in words[len(declared) - 1 :])
            hint = f"; text with spaces needs quotes: {text!r}"
        count = {0: "no words", 1: "one word"}.get(len(declared), f"{len(declared)} words")
        return self.fail(f"it takes {count}, and {extra[0].text!r} is one more{hint}", usage=True)

    def unknown_key(self, name: str) -> DuctMagicError:
        known = self.declaration.keys
        keys = f"its keys are {', '.join(known)}" if known else "it takes none"
        return self.fail(f"there is no key `{name}`{_meant(name, known)}; {keys}")

    def not_expected(self, parameter: Parameter, value: object, usage: bool = False) -> DuctMagicError:
        near = _meant(value, map(str, parameter.choices)) if isinstance(value, str) else ""
        shown = "what was given" if _is_secret(parameter.name) else _shown(value)
        return self.fail(f"`{parameter.name}` takes {parameter.expected}, not {shown}{near}", usage)

    def not_python(self, name: str, texts: list[str]) -> DuctMagicError:
        text, problem = texts[0], _problem(texts[0])
        if problem in ("bracket", "quote"):
            sentence = f"`{name}` has a {problem} that is never closed{_after(name, texts[-1])}"
            return self.fail(sentence, usage=True)
        left_over = _left_over(text)
        if left_over and _is_code(text) and not _is_secret(name):
            sentence = f"{left_over!r} stands behind the value of `{name}`: words come before keys"
            return self.fail(sentence, usage=True)
        return self.fail(
            f"`{name}` is no Python expression ({problem}){_after(name, text)}{_quoting(name, text)}"
        )

    def not_evaluated(self, name: str, text: str, error: Exception) -> DuctMagicError:
        undefined = _undefined(error)
        if undefined is None:
            reason = type(error).__name__ + (f": {error}" if str(error) and not _is_secret(name) else "")
            return self.fail(f"`{name}` cannot be evaluated{_after(name, text)} ({reason})")
        if _is_secret(name):
            return self.fail(f"`{name}` uses a name that is not defined{_quoting(name, text)}")
        parameter = self.declaration.keys.get(name)
        choices = [each for each in parameter.choices if isinstance(each, str)] if parameter else []
        near = _meant(undefined, choices) or _meant(undefined, self.namespace)
        return self.fail(
            f"`{name}` uses the name {undefined!r}, which is not defined{near}{_quoting(name, text)}"
        )


def _problem(text: str) -> str:
    """Why a text is no expression: 'bracket' or 'quote' where one stays open, else Python's words."""
    try:
        _compile(text)
    except Exception as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
    if "unterminated" in reason:
        return "quote"
    depth = sum(_nesting(token.string) for token, _ in _tokens(text) if token.type == tokenize.OP)
    return "bracket" if depth > 0 else reason


def _left_over(text: str) -> str:
    """What follows the longest beginning of a text that is an expression, if there is one."""
    for space in reversed(list(re.finditer(r"\s+", text))):
        if _compiled(text[: space.start()]):
            return text[space.end() :]
    return ""


def _undefined(error: Exception) -> str | None:
    """The name that the expression itself, and no function that it calls, did not find."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if isinstance(error, NameError) and trace and trace.tb_frame.f_code.co_filename == _SOURCE:
        return error.name
    return None


def _meant(name: str, known: Iterable[object]) -> str:
    near = difflib.get_close_matches(name, [each for each in known if isinstance(each, str)], 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _quoting(name: str, text: str) -> str:
    return "" if _is_code(text) else f"; text needs quotes: {name}={_secretly(name, text)!r}"


def _is_code(text: str) -> bool:
    return any(character in "'\"([{" for character in text)


def _after(name: str, text: str) -> str:
    return f": {_short(_secretly(name, text))}"


def _is_secret(name: str) -> bool:
    return re.search(_SECRET, name, re.IGNORECASE) is not None


def _secretly(name: str, text: str) -> str:
    return "..." if _is_secret(name) else text


def _shown(value: object) -> str:
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        return _short(repr(value))
    return f"a value of type {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
