"""Spans for tests, written as an indented text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import dedent

from weaver_ai.spans import Event, Link, Scope, Span, SpanKind, Status
from weaver_ai.spans.model import AttributeValue
from weaver_ai.spans.tree import Forest

TRACE = "0af7651916cd43dd8448eb211c80319c"
MILLISECOND = 1_000_000
UNSET = Status()
UNNAMED = Scope()


def make(
    name: str,
    number: int,
    parent: int | None = None,
    *,
    start: float = 0,
    duration: float | None = 1,
    trace: str = TRACE,
    sequence: int | None = None,
    kind: SpanKind = "internal",
    status: Status = UNSET,
    attributes: Mapping[str, AttributeValue] | None = None,
    events: Sequence[Event] = (),
    links: Sequence[Link] = (),
    scope: Scope = UNNAMED,
    resource: Mapping[str, AttributeValue] | None = None,
) -> Span:
    """A span; times in milliseconds, ids as small numbers."""
    begin = round(start * MILLISECOND)
    return Span(
        name,
        trace,
        f"{number:016x}",
        None if parent is None else f"{parent:016x}",
        kind,
        begin,
        None if duration is None else begin + round(duration * MILLISECOND),
        status,
        attributes or {},
        tuple(events),
        tuple(links),
        scope,
        resource or {},
        number if sequence is None else sequence,
    )


def drawn(text: str) -> list[Span]:
    """One span a line, children indented by two spaces; each begins a millisecond after the line above."""
    spans: list[Span] = []
    above: list[int] = []
    for number, line in enumerate(filter(str.strip, dedent(text).splitlines()), 1):
        del above[(len(line) - len(line.lstrip())) // 2 :]
        spans.append(make(line.strip(), number, above[-1] if above else None, start=number))
        above.append(number)
    return spans


def forest(text: str) -> Forest:
    return Forest(drawn(text))
