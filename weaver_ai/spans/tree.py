"""Spans as traces: parents, children, roots and orphans, and the indexes that make a question cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias, final

from weaver_ai.spans.model import Span

__all__ = ["Forest", "Key", "key_of"]

Key: TypeAlias = tuple[str, str]
"""A span's trace id and span id: what makes it this span and no other."""


def key_of(span: Span) -> Key:
    return span.trace_id, span.span_id


@final
class Forest:
    """An immutable set of spans, in the order of start time, then sequence.

    A span that comes twice (open, then ended) is kept once, as it ended. A position is a span's place
    in `spans`; positions are what the indexes hold. Each index is built when it is first asked for.
    Parents that go round in a circle are cut at the earliest span, so every walk ends.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        latest: dict[Key, Span] = {}
        for span in spans:
            key = (span.trace_id, span.span_id)
            known = latest.get(key)
            if known is None or known.end is None:
                latest[key] = span
        self.spans: tuple[Span, ...] = tuple(sorted(latest.values(), key=lambda span: (span.start, span.sequence)))

    def __len__(self) -> int:
        return len(self.spans)

    def position(self, key: Key) -> int | None:
        return self._positions.get(key)

    def parent(self, position: int) -> int | None:
        """The parent's position; None for a root and for an orphan."""
        span = self.spans[position]
        return None if span.parent_id is None else self._positions.get((span.trace_id, span.parent_id))

    def is_orphan(self, position: int) -> bool:
        """Whether the span names a parent that isn't here."""
        return self.spans[position].parent_id is not None and self.parent(position) is None

    def children(self, position: int) -> Sequence[int]:
        return self._children.get(position, ())

    def ancestors(self, position: int) -> Iterator[int]:
        """From the parent up to the root."""
        seen = {position}
        above = self.parent(position)
        while above is not None and above not in seen:
            seen.add(above)
            yield above
            above = self.parent(above)

    def descendants(self, position: int) -> Iterator[int]:
        """Everything below, each parent before its children, siblings in order."""
        seen = {position}
        waiting = list(reversed(self.children(position)))
        while waiting:
            below = waiting.pop()
            if below not in seen:
                seen.add(below)
                yield below
                waiting.extend(reversed(self.children(below)))

    @cached_property
    def roots(self) -> Sequence[int]:
        """Where traces begin: spans without a parent, orphans, and the first span of each circle."""
        roots = [position for position in range(len(self.spans)) if self.parent(position) is None]
        reached = set(roots)
        for root in roots:
            reached.update(self.descendants(root))
        for position in range(len(self.spans)):
            if position not in reached:
                roots.append(position)
                reached.add(position)
                reached.update(self.descendants(position))
        return sorted(roots)

    @cached_property
    def traces(self) -> Mapping[str, Sequence[int]]:
        """Positions by trace id; traces in the order of their first spans."""
        return _grouped(self.spans, lambda span: span.trace_id)

    @cached_property
    def names(self) -> Mapping[str, Sequence[int]]:
        """Positions by name; names in the order of their first spans."""
        return _grouped(self.spans, lambda span: span.name)

    def having(self, attribute: str) -> Sequence[int]:
        """Positions of the spans that have the attribute, whatever its value."""
        return self._attribute(attribute)[0]

    def valued(self, attribute: str, value: str | float) -> Sequence[int]:
        """Positions of the spans whose attribute has a value equal to `value` in Python's sense (1 == True)."""
        return self._attribute(attribute)[1].get(value, ())

    def _attribute(self, attribute: str) -> _AttributeIndex:
        index = self._attributes.get(attribute)
        if index is None:
            index = self._attributes[attribute] = _index(self.spans, attribute)
        return index

    @cached_property
    def _attributes(self) -> dict[str, _AttributeIndex]:
        return {}

    @cached_property
    def _positions(self) -> Mapping[Key, int]:
        return {(span.trace_id, span.span_id): position for position, span in enumerate(self.spans)}

    @cached_property
    def _children(self) -> Mapping[int, Sequence[int]]:
        children: dict[int, list[int]] = {}
        for position in range(len(self.spans)):
            parent = self.parent(position)
            if parent is not None and parent != position:
                children.setdefault(parent, []).append(position)
        return children


_AttributeIndex: TypeAlias = tuple[Sequence[int], Mapping[str | float, Sequence[int]]]


def _index(spans: Sequence[Span], attribute: str) -> _AttributeIndex:
    having: list[int] = []
    valued: dict[str | float, list[int]] = {}
    for position, span in enumerate(spans):
        attributes = span.attributes
        if attribute in attributes:
            having.append(position)
            value = attributes[attribute]
            if isinstance(value, str | int | float):
                valued.setdefault(value, []).append(position)
    return having, valued


def _grouped(spans: Sequence[Span], by: Callable[[Span], str]) -> Mapping[str, Sequence[int]]:
    groups: dict[str, list[int]] = {}
    for position, span in enumerate(spans):
        groups.setdefault(by(span), []).append(position)
    return groups
