"""The condition on how a span ended, which has an index: it is asked of every trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from weaver_ai.spans.query import Condition
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import show

__all__ = ["HasStatus"]


@final
class HasStatus(Condition):
    """The span's status code."""

    __slots__ = ("_code",)

    def __init__(self, code: str) -> None:
        super().__init__("status", show(code))
        self._code = code

    def holds(self, position: int, forest: Forest) -> bool:
        return forest.spans[position].status.code == self._code

    def was(self, position: int, forest: Forest) -> str:
        return show(forest.spans[position].status.code)

    def candidates(self, forest: Forest) -> Sequence[int]:
        return forest.statuses.get(self._code, ())
