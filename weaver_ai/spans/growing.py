"""A forest that is asked again and again while spans come in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import is_not
from typing import Final, final

from weaver_ai.spans.model import Span
from weaver_ai.spans.tree import Forest

__all__ = ["Growing"]

_EMPTY: Final = Forest(())


@final
class Growing:
    """Keeps the last forest, so that the next one costs what has changed since.

    Two threads may ask at once: then one of the two forests is kept.
    """

    def __init__(self) -> None:
        self._last: tuple[Sequence[Span], Forest] = (), _EMPTY

    def forest(self, spans: Sequence[Span]) -> Forest:
        """Of all these spans: those of the last time, the same object where nothing changed, then new ones.

        In another order it is as right, and slower.
        """
        seen, forest = self._last
        changed = [*compress(spans, map(is_not, spans, seen)), *spans[len(seen) :]]
        if len(spans) < len(seen) or len(changed) > len(seen) // 2:
            forest = Forest(spans)
        else:
            forest = forest.grown(changed)
            if len(forest) != len(spans):
                forest = Forest(spans)
        self._last = spans, forest
        return forest
