"""Completion by Tab on the lines of our magics, from the declarations of their methods."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from omniduct.ipython.lines import keys_at
from omniduct.ipython.magics import MagicFunction, table

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["LineCompleter"]

_LINE = re.compile(r"\s*(?:[^\W\d][\w.]*\s*=\s*)?(?P<mark>%%?)(?P<name>[^\s%]+)\s+(?P<rest>.*)\Z", re.DOTALL)


class LineCompleter:
    """What a shell completes on our magics' lines: keys, their choices, and what the magic's owner names.

    It looks at declarations and names only: no duct is prepared or connected.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        from IPython.core.completer import context_matcher

        self._shell = weakref.ref(shell)

        @context_matcher()  # type: ignore[untyped-decorator]
        def omniduct_line(context: CompletionContext) -> dict[str, Any]:
            return self._matches(context)

        self._matcher = omniduct_line
        shell.Completer.custom_matchers.append(self._matcher)

    def close(self) -> None:
        """Take the matcher out again."""
        shell = self._shell()
        if shell is not None and self._matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(self._matcher)

    def _matches(self, context: CompletionContext) -> dict[str, Any]:
        found = _LINE.match(context.text_until_cursor)
        shell = self._shell()
        if found is None or shell is None:
            return {"completions": []}  # a new one each time: IPython writes into it
        function = table(shell).find("cell" if found["mark"] == "%%" else "line", found["name"])
        if function is None:
            return {"completions": []}
        word = re.split(r"\s", found["rest"])[-1]
        return _answer(word, _candidates(function, found["rest"], word))


def _candidates(function: MagicFunction, rest: str, word: str) -> Iterable[str]:
    key, equals, _ = word.partition("=")
    if equals:
        parameters = {parameter.name: parameter for parameter in function.declaration.parameters}
        choices = parameters[key].choices if key in parameters else ()
        return [f"{key}={choice!r}" for choice in choices]
    keys = [f"{name}=" for name in keys_at(rest, function.declaration)]
    return [*function.words(rest[: len(rest) - len(word)]), *keys]


def _answer(word: str, candidates: Iterable[str]) -> dict[str, Any]:
    from IPython.core.completer import SimpleCompletion

    bare = word.replace("'", "").replace('"', "")
    fitting = [text for text in candidates if text.replace("'", "").startswith(bare)]
    return {
        "completions": [SimpleCompletion(text=text, type="param") for text in fitting],
        "matched_fragment": word,
        "ordered": True,
        "suppress": False,
    }
