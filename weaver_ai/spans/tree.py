"""Spans as traces: parents, children, roots and orphans, and the indexes that make a question cheap."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar, final

from weaver_ai.spans.model import Span

__all__ = ["Forest", "Key", "key_of"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

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
        self.spans: tuple[Span, ...] = tuple(sorted(latest.values(), key=_moment))

    def grown(self, changed: Iterable[Span]) -> Forest:
        """With these spans too, or as they are now. This one stays as it is.

        Where the new ones began after all others, the indexes that this forest has are copied and added to: that
        costs Python's time for the spans that changed only. Else all is built again, when it is asked for.
        """
        again: dict[int, Span] = {}
        new: dict[Key, Span] = {}
        for span in changed:
            key = key_of(span)
            position = self._positions.get(key)
            if position is None:
                if key not in new or new[key].end is None:
                    new[key] = span
            elif self.spans[position] is not span:
                again[position] = span
        if not new and not again:
            return self
        added = sorted(new.values(), key=_moment)
        spans = list(self.spans)
        for position, span in again.items():
            spans[position] = span
        grown = Forest(())
        grown.spans = (*spans, *added)
        if self._stands(again, added):
            self._hand_on(grown, again)
            return grown
        return Forest(grown.spans)

    def _stands(self, again: Mapping[int, Span], added: Sequence[Span]) -> bool:
        """Whether every span keeps its position and its parent."""
        if added and self.spans and _moment(added[0]) < _moment(self.spans[-1]):
            return False
        return all(
            _moment(span) == _moment(self.spans[position]) and span.parent_id == self.spans[position].parent_id
            for position, span in again.items()
        )

    def _hand_on(self, grown: Forest, again: Mapping[int, Span]) -> None:
        """Give the larger forest the indexes that this one has, with the new spans in them."""
        first = len(self.spans)
        added = grown.spans[first:]
        known, theirs = vars(self), vars(grown)
        places = {key_of(span): position for position, span in enumerate(added, first)}
        theirs["_positions"] = {**self._positions, **places}
        if "open" in known:
            ended = {position for position, span in again.items() if span.end is not None}
            reopened = [position for position, span in again.items() if span.end is None and position not in self.open]
            theirs["open"] = [*(position for position in self.open if position not in ended), *reopened]
            theirs["open"] += [position for position, span in enumerate(added, first) if span.end is None]
        if "traces" in known:
            theirs["traces"] = _joined(self.traces, _grouped(added, lambda span: span.trace_id, first))
        if "names" in known and all(span.name == self.spans[position].name for position, span in again.items()):
            theirs["names"] = _joined(self.names, _grouped(added, lambda span: span.name, first))
        if "statuses" in known and all(span.status == self.spans[position].status for position, span in again.items()):
            theirs["statuses"] = _joined(self.statuses, _grouped(added, lambda span: span.status.code, first))
        if "_attributes" in known:
            theirs["_attributes"] = {
                attribute: _longer(index, _index(added, attribute, first))
                for attribute, index in self._attributes.items()
                if all(_same(attribute, span, self.spans[position]) for position, span in again.items())
            }
        if "_kin" in known and self._kin[1].isdisjoint(places):
            children, missing = grown._kin_of(range(first, len(grown.spans)))
            theirs["_kin"] = _joined(self._kin[0], children), self._kin[1] | missing
            above = {place: grown.parent(place) for place in places.values()}
            if "roots" in known and all(parent is None or parent < place for place, parent in above.items()):
                theirs["roots"] = [*self.roots, *(place for place, parent in above.items() if parent is None)]

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
        return self._kin[0].get(position, ())

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
    def open(self) -> Sequence[int]:
        """Those that have not ended, in no order."""
        return [position for position, span in enumerate(self.spans) if span.end is None]

    @cached_property
    def traces(self) -> Mapping[str, Sequence[int]]:
        """Positions by trace id; traces in the order of their first spans."""
        return _grouped(self.spans, lambda span: span.trace_id)

    @cached_property
    def names(self) -> Mapping[str, Sequence[int]]:
        """Positions by name; names in the order of their first spans."""
        return _grouped(self.spans, lambda span: span.name)

    @cached_property
    def statuses(self) -> Mapping[str, Sequence[int]]:
        """Positions by status code."""
        return _grouped(self.spans, lambda span: span.status.code)

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
    def _kin(self) -> _Kin:
        return self._kin_of(range(len(self.spans)))

    def _kin_of(self, positions: Iterable[int]) -> _Kin:
        """The children among these spans, by parent, and the parents that they name and that aren't here."""
        children: dict[int, list[int]] = {}
        missing: set[Key] = set()
        for position in positions:
            span = self.spans[position]
            if span.parent_id is None:
                continue
            parent = self.parent(position)
            if parent is None:
                missing.add((span.trace_id, span.parent_id))
            elif parent != position:
                children.setdefault(parent, []).append(position)
        return children, missing


_Kin: TypeAlias = tuple[Mapping[int, Sequence[int]], set[Key]]
_Group = TypeVar("_Group", bound=Hashable)
_AttributeIndex: TypeAlias = tuple[Sequence[int], Mapping[str | float, Sequence[int]]]


def _moment(span: Span) -> tuple[int, int]:
    return span.start, span.sequence


def _index(spans: Sequence[Span], attribute: str, first: int = 0) -> _AttributeIndex:
    having: list[int] = []
    valued: dict[str | float, list[int]] = {}
    for position, span in enumerate(spans, first):
        attributes = span.attributes
        if attribute in attributes:
            having.append(position)
            value = attributes[attribute]
            if isinstance(value, str | int | float):
                valued.setdefault(value, []).append(position)
    return having, valued


def _longer(index: _AttributeIndex, more: _AttributeIndex) -> _AttributeIndex:
    return [*index[0], *more[0]], _joined(index[1], more[1])


def _same(attribute: str, one: Span, other: Span) -> bool:
    """Whether the attribute has the same place in an index."""
    return (attribute in one.attributes) is (attribute in other.attributes) and bool(
        one.attributes.get(attribute) == other.attributes.get(attribute)
    )


def _grouped(spans: Sequence[Span], by: Callable[[Span], str], first: int = 0) -> Mapping[str, Sequence[int]]:
    groups: dict[str, list[int]] = {}
    for position, span in enumerate(spans, first):
        groups.setdefault(by(span), []).append(position)
    return groups


def _joined(
    known: Mapping[_Group, Sequence[int]], more: Mapping[_Group, Sequence[int]]
) -> Mapping[_Group, Sequence[int]]:
    """The groups of both, in new lists where there is more."""
    return {**known, **{group: [*known.get(group, ()), *places] for group, places in more.items()}}
