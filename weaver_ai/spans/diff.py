"""The smallest difference between an expected tree and a captured one, for a message.

An alignment of each row of expected steps with the row of children, by dynamic programming over
(step, child). A span that fits costs nothing; one that is missing or unexpected costs 2; a span is
paired with a step it doesn't fit where that is cheaper. So the cost is 0 exactly where the tree fits.

Wide rows are not searched as thoroughly: what fits at both ends is set aside, a span is compared with
the steps near its own place only, and a block is tried where spans that fit it begin and end.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import accumulate
from typing import Literal, TypeAlias, final

from weaver_ai.spans.expected import Node, TreePattern
from weaver_ai.spans.fit import Block, Fitter, Step, steps_of
from weaver_ai.spans.query import Verdict
from weaver_ai.spans.tree import Forest

__all__ = ["Edit", "difference"]

_ALONE = 2.0  # a missing or an unexpected span
_COMPARED = 300  # children of one span that are aligned; beyond, the first ones stand for all
_THOROUGH = 1600  # pairs of a step and a child of which each is looked at
_NEAR = 8  # places from its own at which a span that doesn't fit is compared with a step, in a wide row
_MARKS = 6  # places at which a block of a wide row is tried to begin and to end
_OFFERED = 40  # spans, and steps, of a block of which each pair is looked at


@final
@dataclass(frozen=True, slots=True)
class Edit:
    """One line of the difference, and those below it.

    Attributes:
        kind: `same` fits with all that is below it; `changed` is the span that should have fitted, or
            that has a difference below it; `permitted` was let in by `...`.
        node: what was expected, where something was.
        position: the span, where there is one.
        failed: why the span itself doesn't fit.
    """

    kind: Literal["same", "changed", "missing", "unexpected", "permitted"]
    node: Node | None = None
    position: int | None = None
    failed: tuple[Verdict, ...] = ()
    below: tuple[Edit, ...] = ()

    def count(self) -> int:
        """How many spans are missing, unexpected or not as expected themselves."""
        if self.kind == "same":
            return 0
        own = bool(self.failed) or self.kind in ("missing", "unexpected")
        return own + sum(edit.count() for edit in self.below)


_Aligned: TypeAlias = tuple[float, tuple[Edit, ...]]


def difference(node: Node, position: int, forest: Forest) -> Edit:
    """What to change of the captured tree below `position` to get the expected one."""
    return _Aligner(Fitter(forest)).pair(node, position)[1]


@final
class _Aligner:
    def __init__(self, fitter: Fitter) -> None:
        self._fitter = fitter
        self._forest = fitter.forest
        self._pairs: dict[tuple[int, int], tuple[float, Edit]] = {}

    def pair(self, node: Node | None, position: int) -> tuple[float, Edit]:
        if node is None:
            return 0.0, Edit("permitted", position=position)
        key = (id(node), position)
        known = self._pairs.get(key)
        if known is None:
            known = self._pairs[key] = self._pair(node, position)
        return known

    def _pair(self, node: Node, position: int) -> tuple[float, Edit]:
        below: _Aligned = (0.0, ())
        if isinstance(node, TreePattern):
            children = self._forest.children(position)
            below = self._row(steps_of(node.children, len(children)), children)
        if self._fitter.fits(node, position):
            return 0.0, Edit("same", node, position, (), below[1])
        root = node.root if isinstance(node, TreePattern) else node
        failed = tuple(verdict for verdict in root.check(position, self._forest) if not verdict.matched)
        cost = min(_distance(failed), 3.0) if not _strange(failed) else 2 * _ALONE + 1
        return cost + 0.9 * below[0] / (1 + below[0]), Edit("changed", node, position, failed, below[1])

    def _row(self, row: Sequence[Step | Block], children: Sequence[int]) -> _Aligned:
        """The cheapest alignment. A required step that fits at the very front belongs there in any case."""
        front = 0
        while front < min(len(row), len(children)) and self._is_fit(row[front], children[front]):
            front += 1
        back = 0
        if (len(row) - front) * (len(children) - front) > _THOROUGH:  # where several would do, it might be another
            most = min(len(row), len(children)) - front
            while back < most and self._is_fit(row[-1 - back], children[-1 - back]):
                back += 1
        cost, between = self._aligned(row[front : len(row) - back], children[front : len(children) - back])
        fitting = list(zip(row, children, strict=False))[:front]
        ending = list(zip(row[len(row) - back :], children[len(children) - back :], strict=True))
        return cost, (*self._same(fitting), *between, *self._same(ending))

    def _is_fit(self, step: Step | Block, position: int) -> bool:
        return isinstance(step, Step) and step.required and self._fitter.fits(step.node, position)

    def _same(self, pairs: Sequence[tuple[Step | Block, int]]) -> Iterator[Edit]:
        return (self.pair(step.node, position)[1] for step, position in pairs if isinstance(step, Step))

    def _aligned(self, row: Sequence[Step | Block], children: Sequence[int]) -> _Aligned:
        """best[i][j] is the cheapest alignment of the steps from `i` on with the children from `j` on."""
        spans = children[:_COMPARED]
        before = [0, *accumulate(step.least for step in row)]
        best: list[list[_Choice]] = [[]] * (len(row) + 1)
        best[len(row)] = [
            _Choice((len(spans) - j) * _ALONE, j + 1, False, (Edit("unexpected", position=position),))
            for j, position in enumerate(spans)
        ] + [_Choice(0.0, 0, False, ())]
        for i in reversed(range(len(row))):
            step, first, last = row[i], before[i], len(spans) - before[-1] + before[i + 1]  # where it stands, and ends
            if isinstance(step, Block):
                own = {0, min(first, len(spans)), max(last, 0), len(spans)}
                marks = self._marks(step, spans, own, is_alone=len(row) == 1)
                best[i] = self._block_choices(step, spans, best[i + 1], marks)
            else:
                is_wide = len(row) * len(spans) > _THOROUGH
                near = {*_around(first), *_around(last - 1)} if is_wide else range(len(spans))
                best[i] = self._choices(step, spans, best[i + 1], near)
        return best[0][0].cost, tuple(_walk(best))

    def _choices(self, step: Step, spans: Sequence[int], after: list[_Choice], near: Container[int]) -> list[_Choice]:
        choices: list[_Choice] = [_Choice(0.0, 0, False, ())] * (len(spans) + 1)
        for j in reversed(range(len(spans) + 1)):
            options = self._single(step, j, spans, after, choices, near=near)
            if j < len(spans):
                options.append(_alone(spans[j], choices[j + 1], j))
            choices[j] = min(options, key=lambda choice: choice.cost)
        return choices

    def _block_choices(
        self, block: Block, spans: Sequence[int], after: list[_Choice], marks: Sequence[int]
    ) -> list[_Choice]:
        choices: list[_Choice] = [_Choice(0.0, 0, False, ())] * (len(spans) + 1)
        for j in reversed(range(len(spans) + 1)):
            starts = j in marks
            options = [self._block(block, spans[j:end], after[end], end) for end in marks if starts and end >= j]
            if j < len(spans):
                options.append(_alone(spans[j], choices[j + 1], j))
            choices[j] = min(options, key=lambda choice: choice.cost)
        return choices

    def _marks(self, block: Block, spans: Sequence[int], own: set[int], *, is_alone: bool) -> Sequence[int]:
        """Where a block may begin and end: anywhere, but few places in a wide row, its `own` among them."""
        count = len(spans)
        if (count + 1) * max(len(block.steps), count) <= _THOROUGH // 2:
            return range(count + 1)
        if is_alone:
            return (0, count)
        fits = [any(self._fitter.fits(step.node, place) for step in block.steps) for place in spans]
        turns = [j for j in range(1, count) if fits[j] != fits[j - 1]]
        return sorted(own.union(turns[:_MARKS]))

    def _single(
        self,
        step: Step,
        j: int,
        spans: Sequence[int],
        after: list[_Choice],
        same: list[_Choice],
        *,
        near: Container[int],
    ) -> list[_Choice]:
        options: list[_Choice] = []
        if j < len(spans) and (j in near or self._fitter.fits(step.node, spans[j])):
            cost, edit = self.pair(step.node, spans[j])
            if step.star:
                options.append(_Choice(cost + same[j + 1].cost, j + 1, False, (edit,)))
            else:
                options.append(_Choice(cost + after[j + 1].cost, j + 1, True, (edit,)))
        missing = (Edit("missing", step.node),) if step.required else ()
        options.append(_Choice(len(missing) * _ALONE + after[j].cost, j, True, missing))
        return options

    def _block(self, block: Block, spans: Sequence[int], then: _Choice, end: int) -> _Choice:
        cost, edits = self._assigned(block, spans)
        return _Choice(cost + then.cost, end, True, edits)

    def _assigned(self, block: Block, spans: Sequence[int]) -> _Aligned:
        """What fits is matched distinctly; of the rest, the cheapest pair first."""
        taken = self._fitter.pairs(block, spans)
        edits: dict[int, Edit] = {}
        for index, number in enumerate(taken):
            if number is not None:
                step = block.steps[number] if number < len(block.steps) else None
                edits[index] = self.pair(step.node if step else self._star(block, spans[index]), spans[index])[1]
        held = set(taken)
        free = [number for number in range(block.least) if number not in held]
        unpaired = [index for index, number in enumerate(taken) if number is None]
        offers = sorted(
            (self.pair(block.steps[number].node, spans[index])[0], index, number)
            for index in unpaired[:_OFFERED]
            for number in free[:_OFFERED]
        )
        total = 0.0
        for cost, index, number in offers:
            if index not in edits and number in free and cost < 2 * _ALONE:
                edits[index] = self.pair(block.steps[number].node, spans[index])[1]
                free.remove(number)
                total += cost
        for index, position in enumerate(spans):
            if index not in edits:
                edits[index] = Edit("unexpected", position=position)
                total += _ALONE
        missing = tuple(Edit("missing", block.steps[number].node) for number in free)
        return total + _ALONE * len(missing), (*(edits[index] for index in range(len(spans))), *missing)

    def _star(self, block: Block, position: int) -> Node | None:
        return next(step.node for step in block.steps if step.star and self._fitter.fits(step.node, position))


@final
@dataclass(frozen=True, slots=True)
class _Choice:
    """What to do at (step, child): its cost with all that follows, where that goes on, and its lines."""

    cost: float
    child: int
    is_past: bool
    edits: tuple[Edit, ...]


def _alone(position: int, then: _Choice, j: int) -> _Choice:
    return _Choice(_ALONE + then.cost, j + 1, False, (Edit("unexpected", position=position),))


def _around(place: int) -> range:
    return range(place - _NEAR, place + _NEAR + 1)


def _walk(best: Sequence[Sequence[_Choice]]) -> list[Edit]:
    edits: list[Edit] = []
    i, j = 0, 0
    last = len(best[0]) - 1
    while i < len(best) - 1 or j < last:
        choice = best[i][j]
        edits.extend(choice.edits)
        i, j = i + choice.is_past, choice.child
    return edits


def _distance(failed: Sequence[Verdict]) -> float:
    return sum(2.0 if verdict.label == "name" else 1.0 for verdict in failed)


def _strange(failed: Sequence[Verdict]) -> bool:
    """Whether the name isn't even similar, so that it is another span, not this one changed."""
    return any(
        verdict.label == "name" and not _similar(verdict.expected.lower(), verdict.actual.lower()) for verdict in failed
    )


@lru_cache(maxsize=4096)
def _similar(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other).ratio() > 0.6  # noqa: PLR2004 # difflib's own idea of a close match
