"""Fallback and retry as expectations: what does not hold, part by part. Pure: spans in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from weaver_ai.spans.model import Span
from weaver_ai.spans.query import SpanPattern
from weaver_ai.spans.render import seconds
from weaver_ai.spans.tree import Forest, key_of
from weaver_ai.spans.values import one_line
from weaver_ai.testing.asserting.attempts import as_siblings, attempt_groups

__all__ = ["Backoff", "Fallback", "Retries", "Wait"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Wait: TypeAlias = float | tuple[float, float]
"""Seconds between two attempts: a number, or the least and the most."""

Backoff: TypeAlias = Sequence[Wait]
TOLERANCE: Final = 0.05


@dataclass(frozen=True)
class Fallback:
    """What is expected: the first attempt fails as `primary`, the last succeeds as `fallback`, `attempts` in all."""

    primary: SpanPattern
    fallback: SpanPattern
    attempts: int = 2

    def __repr__(self) -> str:
        return f"expect_fallback(primary={self.primary!r}, fallback={self.fallback!r}, attempts={self.attempts})"

    def failure(self, forest: Forest, run: int) -> list[str]:
        """Why it does not hold below the span at `run`; no line where it does.

        Where several model calls could be meant, one that holds is enough; else the nearest is described.
        """
        groups = attempt_groups(forest, run)
        head = f"{forest.spans[run].name!r}.{self!r}"
        if not groups:
            return [head, f"  no model was called below {forest.spans[run].name!r}"]
        siblings = as_siblings(forest)
        candidates = [*groups, *self._across(siblings, groups)]
        described = [(list(self._unmet(forest, siblings, run, group)), group) for group in candidates]
        unmet, group = min(described, key=lambda each: len(each[0]))
        if not unmet:
            return []
        return [head, *(f"  {line}" for line in unmet), *_tried(siblings, group)]

    def _across(self, siblings: Forest, groups: list[list[Span]]) -> Iterator[list[Span]]:
        """The two that were meant, where they have different parents."""
        spans = [span for group in groups for span in group]
        first = next((span for span in spans if _fits(self.primary, siblings, span)), None)
        then = next((span for span in spans if span is not first and _fits(self.fallback, siblings, span)), None)
        if first is not None and then is not None and _parent(siblings, first) != _parent(siblings, then):
            yield [first, then]

    def _unmet(self, forest: Forest, siblings: Forest, run: int, group: list[Span]) -> Iterator[str]:
        first, last = group[0], group[-1]
        yield from _mismatch("primary", self.primary, forest, siblings, first)
        if len(group) == 1:
            yield f"fallback: nothing was tried after {first.name!r}"
        else:
            yield from _mismatch("fallback", self.fallback, forest, siblings, last)
            yield from _order(first, last)
            yield from _parents(siblings, first, last)
        if len(group) != self.attempts:
            yield f"attempts: expected {self.attempts}, there were {len(group)}"
        yield from _outcome(last, forest.spans[run], only=len(group) == 1)


@dataclass(frozen=True)
class Retries:
    """What is expected of spans that repeat one another.

    Attributes:
        attempts: how many there are, the first included.
        backoff: seconds from the end of each to the start of the next; None for any.
        succeeds: whether the last is without error. All before it have one.
        tolerance: seconds by which a wait may differ.
    """

    pattern: SpanPattern
    attempts: int
    backoff: Backoff | None = None
    succeeds: bool = True
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts counts from 1; got {self.attempts}")
        if self.backoff is not None and len(self.backoff) != self.attempts - 1:
            waits = self.attempts - 1
            raise ValueError(
                f"{self.attempts} attempts have {waits} waits between them; backoff has {len(self.backoff)}"
            )

    def __repr__(self) -> str:
        parts = [repr(self.pattern), f"attempts={self.attempts}"]
        if self.backoff is not None:
            parts.append(f"backoff={list(self.backoff)}")
        if not self.succeeds:
            parts.append("succeeds=False")
        return f"retries({', '.join(parts)})"

    def failure(self, forest: Forest, found: Sequence[int], subject: str) -> list[str]:
        """Why the spans at `found` are not such attempts; no line where they are."""
        head = f"{subject}.{self!r}"
        spans = [forest.spans[place] for place in found]
        unmet = list(self._unmet(forest, spans))
        if not unmet:
            return []
        return [head, *(f"  {line}" for line in unmet), *_tried(forest, spans)]

    def _unmet(self, forest: Forest, spans: list[Span]) -> Iterator[str]:
        if len(spans) != self.attempts:
            yield f"attempts: expected {self.attempts}, there {'was' if len(spans) == 1 else 'were'} {len(spans)}"
        parents = dict.fromkeys(_parent(forest, span) for span in spans)
        if len(parents) > 1:
            names = ", ".join(_parent_name(forest, key) for key in parents)
            yield f"parent: they are under {len(parents)} spans: {names}"
        for number, span in enumerate(spans[:-1], 1):
            if span.status.code != "error":
                yield f"attempt {number}: it did not fail, and was repeated"
        if spans and self.succeeds == (spans[-1].status.code == "error"):
            yield f"outcome: the last attempt {'failed' if self.succeeds else 'did not fail'}"
        yield from self._waits(spans)

    def _waits(self, spans: list[Span]) -> Iterator[str]:
        if self.backoff is None:
            return
        for number, (wait, one, next_) in enumerate(zip(self.backoff, spans, spans[1:], strict=False), 1):
            least, most = wait if isinstance(wait, tuple) else (wait, wait)
            waited = _gap(one, next_)
            if waited is None:
                yield f"back-off {number}: attempt {number} has not ended"
            elif not least - self.tolerance <= waited <= most + self.tolerance:
                yield f"back-off {number}: expected {_expected(wait)}, it was {seconds(waited)}"


def _mismatch(part: str, pattern: SpanPattern, forest: Forest, siblings: Forest, span: Span) -> Iterator[str]:
    """A span may fit as it was recorded, or as the call that it stands for."""
    recorded = forest.position(key_of(span))
    if recorded is not None and pattern.matches(recorded, forest):
        return
    position = siblings.position(key_of(span))
    if position is None or pattern.matches(position, siblings):
        return
    for verdict in pattern.check(position, siblings):
        if not verdict.matched:
            yield f"{part}: {span.name!r}, {verdict.label}: expected {verdict.expected}, was {verdict.actual}"


def _fits(pattern: SpanPattern, siblings: Forest, span: Span) -> bool:
    position = siblings.position(key_of(span))
    return position is not None and pattern.matches(position, siblings)


def _order(first: Span, last: Span) -> Iterator[str]:
    gap = _gap(first, last)
    if gap is None:
        yield f"order: the primary {first.name!r} has not ended"
    elif gap < 0:
        yield f"order: the fallback {last.name!r} began {seconds(-gap)} before the primary ended"


def _parents(siblings: Forest, first: Span, last: Span) -> Iterator[str]:
    one, other = _parent(siblings, first), _parent(siblings, last)
    if one != other:
        names = f"{_parent_name(siblings, one)}, the fallback under {_parent_name(siblings, other)}"
        yield f"parent: the primary is under {names}"


def _outcome(last: Span, run: Span, *, only: bool) -> Iterator[str]:
    if not only and last.status.code == "error":
        yield f"outcome: the fallback {last.name!r} failed"
    elif not only and last.is_open:
        yield f"outcome: the fallback {last.name!r} has not ended"
    if run.status.code == "error":
        yield f"outcome: {run.name!r} ended with an error"


def _tried(forest: Forest, spans: Sequence[Span]) -> Iterator[str]:
    if not spans:
        return
    yield f"  tried, under {_parent_name(forest, _parent(forest, spans[0]))}:"
    width = max(len(repr(span.name)) for span in spans)
    for span in spans:
        after = (span.start - spans[0].start) / 1e9
        error = f"  ERROR {one_line(span.status.description or '')}".rstrip() if span.status.code == "error" else ""
        yield f"    +{seconds(after):>6} {span.name!r:{width}}  {seconds(span.duration)}{error}"


def _parent(forest: Forest, span: Span) -> int | None:
    position = forest.position(key_of(span))
    return None if position is None else forest.parent(position)


def _parent_name(forest: Forest, position: int | None) -> str:
    return "no span" if position is None else repr(forest.spans[position].name)


def _gap(one: Span, next_: Span) -> float | None:
    return None if one.end is None else (next_.start - one.end) / 1e9


def _expected(wait: Wait) -> str:
    return f"{wait[0]:g}s to {wait[1]:g}s" if isinstance(wait, tuple) else f"{wait:g}s"
