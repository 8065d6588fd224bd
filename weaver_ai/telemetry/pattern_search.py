"""Regular expressions that are tried only where they can begin.

One that begins with a look behind, or with a dozen alternatives, takes a step at every character of a text;
to find the places of its first letters takes a tenth of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

__all__ = ["matches", "replaced"]


def matches(pattern: re.Pattern[str], starts: Sequence[str], text: str) -> Iterator[re.Match[str]]:
    """As `pattern.finditer(text)`, for a pattern whose matches all begin with one of `starts`, in lower case."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters become two
        yield from pattern.finditer(text)
        return
    done = 0
    for at in sorted({at for start in starts for at in _places(lowered, start)}):
        if at >= done and (found := pattern.match(text, at)) is not None:
            yield found
            done = found.end()


def replaced(pattern: re.Pattern[str], starts: Sequence[str], text: str, shown: Callable[[re.Match[str]], str]) -> str:
    """As `pattern.sub(shown, text)`, under the same condition."""
    pieces: list[str] = []
    done = 0
    for found in matches(pattern, starts, text):
        pieces += [text[done : found.start()], shown(found)]
        done = found.end()
    return "".join((*pieces, text[done:])) if pieces else text


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)
