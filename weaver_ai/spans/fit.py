"""Whether a captured tree is as expected.

Children are read from left to right, as a regular expression reads characters. A row of expected items
becomes a row of steps: a step takes one span (required or optional), any number of spans (a star), or,
for `any_order`, a block of spans that is matched distinctly with the block's own steps. The positions
reachable after each step are kept as a set, so `fits` is polynomial: for `e` steps and `n` children at
most `e * n` comparisons of a step with a span, and one bipartite matching per possible block, of which
a row has at most `n * n`, and one where all other lengths are fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias, final

from weaver_ai.spans.expected import AnyOrder, Item, Node, Repeated, TreePattern
from weaver_ai.spans.matching import assign
from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.tree import Forest

__all__ = ["Block", "Fitter", "Step", "steps_of"]


@final
@dataclass(frozen=True, slots=True)
class Step:
    """Takes spans that fit `node`, or any span where `node` is None."""

    node: Node | None
    required: bool = True
    star: bool = False

    @property
    def least(self) -> int:
        return 1 if self.required else 0

    @property
    def most(self) -> float:
        return float("inf") if self.star else 1


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Steps that share a row of spans in any order; the required ones stand first."""

    steps: tuple[Step, ...]

    @property
    def least(self) -> int:
        return sum(step.least for step in self.steps)

    @property
    def most(self) -> float:
        return sum(step.most for step in self.steps)


Row: TypeAlias = Sequence[Step | Block]


def steps_of(items: Iterable[Item], limit: int) -> list[Step | Block]:
    """The row of steps; optional steps past `limit`, the number of spans there are, are left out."""
    row: list[Step | Block] = []
    for item in items:
        if isinstance(item, AnyOrder):
            inner = [step for part in item.items for step in _steps(part, limit)]
            row.append(Block(tuple(sorted(inner, key=lambda step: not step.required))))
        else:
            row.extend(_steps(item, limit))
    return row


def _steps(item: SpanPattern | TreePattern | Repeated | EllipsisType, limit: int) -> list[Step]:
    if isinstance(item, EllipsisType):
        return [Step(None, required=False, star=True)]
    if not isinstance(item, Repeated):
        return [Step(item)]
    steps = [Step(item.node)] * min(item.least, limit + 1)  # one more than there are can never be taken
    if item.most is None:
        return [*steps, Step(item.node, required=False, star=True)]
    return steps + [Step(item.node, required=False)] * min(item.most - item.least, limit)


@final
class Fitter:
    """Answers for one forest; each pair of expected node and span is compared once."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self._known: dict[tuple[int, int], bool] = {}

    def fits(self, node: Node | None, position: int) -> bool:
        """Whether the span and, for a tree, all that is below it are as expected."""
        if node is None:
            return True
        key = (id(node), position)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._fits(node, position)
        return known

    def _fits(self, node: Node, position: int) -> bool:
        if isinstance(node, SpanPattern):
            return node.matches(position, self.forest)
        children = self.forest.children(position)
        return node.root.matches(position, self.forest) and self._row(steps_of(node.children, len(children)), children)

    def _row(self, row: Row, spans: Sequence[int]) -> bool:
        reached = {0}
        for index, step in enumerate(row):
            rest = row[index + 1 :]
            first = max(0, len(spans) - sum(after.most for after in rest))
            last = len(spans) - sum(after.least for after in rest)
            ends = (
                self._after_block(step, spans, reached, first, last)
                if isinstance(step, Block)
                else self._after_step(step, spans, reached)
            )
            reached = {end for end in ends if first <= end <= last}
        return len(spans) in reached

    def _after_step(self, step: Step, spans: Sequence[int], starts: set[int]) -> set[int]:
        ends = set() if step.required else set(starts)
        for start in range(len(spans)):
            if (start in starts or (step.star and start in ends)) and self.fits(step.node, spans[start]):
                ends.add(start + 1)
        return ends

    def _after_block(self, block: Block, spans: Sequence[int], starts: set[int], first: float, last: int) -> set[int]:
        fitting = [self._fitting(block, position) for position in spans]
        least, most = block.least, block.most
        return {
            end
            for start in starts
            for end in range(max(start + least, int(first)), last + 1)
            if end - start <= most and _covers(block, _pairs(block, fitting[start:end]))
        }

    def pairs(self, block: Block, spans: Sequence[int]) -> list[int | None]:
        """For each span the index of a step it can take, as many as possible, required steps first.

        A star can be taken by every span that fits it: each such span has a place of its own, numbered
        past the steps.
        """
        return _pairs(block, [self._fitting(block, position) for position in spans])

    def _fitting(self, block: Block, position: int) -> tuple[Sequence[int], bool]:
        """The steps that take one span and fit this one; whether a star does too."""
        fitting = [number for number, step in enumerate(block.steps) if self.fits(step.node, position)]
        single = [number for number in fitting if not block.steps[number].star]
        return single, len(single) < len(fitting)


def _pairs(block: Block, fitting: Sequence[tuple[Sequence[int], bool]]) -> list[int | None]:
    count = len(block.steps)
    edges = [[*single, count + index] if has_star else single for index, (single, has_star) in enumerate(fitting)]
    return assign(edges, count + len(fitting), required=block.least)


def _covers(block: Block, pairs: Sequence[int | None]) -> bool:
    return None not in pairs and set(range(block.least)) <= set(pairs)
