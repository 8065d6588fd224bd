"""Spans that have only begun: Logfire tells of a span when it starts, by a record that stands for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from weaver_ai.spans import Span

__all__ = ["as_it_is"]

_TYPE: Final = "logfire.span_type"
_PARENT: Final = "logfire.pending_parent_id"
_NO_SPAN: Final = "0" * 16


def as_it_is(span: Span) -> Span:
    """The open span that a pending record stands for; any other span as it came.

    The record has an id of its own, is a child of the span that it tells of, and keeps that one's parent in an
    attribute (logfire, `PendingSpanProcessor`).
    """
    if span.attributes.get(_TYPE) != "pending_span" or span.parent_id is None:
        return span
    parent = span.attributes.get(_PARENT)
    attributes = {key: value for key, value in span.attributes.items() if key != _PARENT}
    return replace(
        span,
        span_id=span.parent_id,
        parent_id=parent if isinstance(parent, str) and parent != _NO_SPAN else None,
        end=None,
        attributes={**attributes, _TYPE: "span"},
    )
