"""Which trees a message shows, so that the report of the test needn't show them once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from weaver_ai.spans.tree import Forest, Key, key_of

__all__ = ["Drawn"]


@final
class Drawn:
    """The trees of the latest message of one test."""

    def __init__(self) -> None:
        self._text = ""
        self._roots: frozenset[Key] = frozenset()

    def note(self, forest: Forest, roots: Sequence[int], lines: Sequence[str]) -> None:
        self._text = "\n".join(lines)
        self._roots = frozenset(key_of(forest.spans[root]) for root in roots)

    def in_message(self, message: str) -> frozenset[Key] | None:
        """The spans that the trees in it begin with; None for a message that isn't the latest."""
        return self._roots if self._text and self._text in message else None
