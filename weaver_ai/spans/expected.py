"""Expected trees: a span to look for, and what must be below it."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias, final

from weaver_ai.spans.query import SpanPattern

__all__ = ["AnyOrder", "Item", "Node", "Repeated", "TreePattern", "text_of"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class TreePattern:
    """A span whose children are exactly these, in this order.

    A child that is a `SpanPattern` says nothing about what is below it; a `TreePattern` does. `...`
    stands for any spans, or none, at that place.
    """

    root: SpanPattern
    children: tuple[Item, ...]

    def __repr__(self) -> str:
        return f"tree({', '.join(map(text_of, (self.root, *self.children)))})"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """From `least` to `most` siblings, one after the other, each of which matches; `most` None: no limit."""

    node: Node
    least: int
    most: int | None

    def __repr__(self) -> str:
        if self.most is None:
            return f"at_least({self.least}, {text_of(self.node)})"
        if self.least == self.most:
            return f"times({self.least}, {text_of(self.node)})"
        return f"at_most({self.most}, {text_of(self.node)})"


@final
@dataclass(frozen=True, slots=True, eq=False)
class AnyOrder:
    """Siblings in a row that match these items one to one, whatever their order; `...` in it takes the rest."""

    items: tuple[SpanPattern | TreePattern | Repeated | EllipsisType, ...]

    def __repr__(self) -> str:
        return f"any_order({', '.join(map(text_of, self.items))})"


Node: TypeAlias = SpanPattern | TreePattern
Item: TypeAlias = SpanPattern | TreePattern | Repeated | AnyOrder | EllipsisType


def text_of(item: Item) -> str:
    """As a test would write it; a pattern that is no more than a name, as that name."""
    if item is ...:
        return "..."
    if isinstance(item, SpanPattern) and len(item.conditions) == 1 and item.conditions[0].label == "name":
        return item.asked()
    return repr(item)
