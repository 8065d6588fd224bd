"""The conditions on how a span stands to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, final

from weaver_ai.spans.query import Condition, SpanPattern
from weaver_ai.spans.tree import Forest, Key
from weaver_ai.spans.values import show

__all__ = ["LinkedTo", "Parent", "Target", "Within", "described", "is_target"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Target: TypeAlias = SpanPattern | Key
"""Another span: one that matches, or this very one."""


def is_target(target: Target, position: int, forest: Forest) -> bool:
    """Whether the span at the position is meant."""
    if isinstance(target, SpanPattern):
        return target.matches(position, forest)
    return forest.position(target) == position


def described(target: Target) -> str:
    """As the test wrote it, as nearly as is known."""
    if isinstance(target, SpanPattern):
        return target.asked() if len(target.conditions) == 1 else repr(target)
    return f"the span {target[1]}"


@final
class Parent(Condition):
    """The span's parent, or that it has none. An orphan's parent is unknown: it is neither a match nor none."""

    __slots__ = ("_target",)

    def __init__(self, target: Target | None) -> None:
        super().__init__("parent", "None" if target is None else described(target))
        self._target = target

    def holds(self, position: int, forest: Forest) -> bool:
        parent = forest.parent(position)
        if parent is None or self._target is None:
            return parent is None and self._target is None and not forest.is_orphan(position)
        return is_target(self._target, parent, forest)

    def was(self, position: int, forest: Forest) -> str:
        parent = forest.parent(position)
        if parent is not None:
            return show(forest.spans[parent].name)
        return "a span that was not captured" if forest.is_orphan(position) else "None"


@final
class Within(Condition):
    """Some ancestor of the span."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        super().__init__("within", described(target))
        self._target = target

    def holds(self, position: int, forest: Forest) -> bool:
        return any(is_target(self._target, above, forest) for above in forest.ancestors(position))

    def was(self, position: int, forest: Forest) -> str:
        above = [show(forest.spans[place].name) for place in forest.ancestors(position)]
        return " < ".join(above) or "None: it is a root"

    def candidates(self, forest: Forest) -> Sequence[int] | None:
        if isinstance(self._target, SpanPattern):
            return None
        position = forest.position(self._target)
        return () if position is None else sorted(forest.descendants(position))


@final
class LinkedTo(Condition):
    """Some link of the span leads to that span; to be found by a pattern, that span must have been captured."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        super().__init__("link", described(target))
        self._target = target

    def holds(self, position: int, forest: Forest) -> bool:
        links = forest.spans[position].links
        if not isinstance(self._target, SpanPattern):
            return self._target in [(link.trace_id, link.span_id) for link in links]
        ends = [forest.position((link.trace_id, link.span_id)) for link in links]
        return any(end is not None and is_target(self._target, end, forest) for end in ends)

    def was(self, position: int, forest: Forest) -> str:
        links = forest.spans[position].links
        ends = [forest.position((link.trace_id, link.span_id)) for link in links]
        names = ["a span that was not captured" if end is None else show(forest.spans[end].name) for end in ends]
        return ", ".join(names) or "no link"
