"""The model calls of a run as attempts: what was tried first, what then, whoever recorded it.

Code that tries one model after the other leaves sibling spans. pydantic-ai's FallbackModel leaves one `chat` span,
named after the model that answered, with each attempt that failed below it as `model request attempt <model>`. Here
both are siblings named `chat <model>`, so one expectation holds for either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from weaver_ai.spans.model import Span
from weaver_ai.spans.tree import Forest

__all__ = ["as_siblings", "attempt_groups"]

_OPERATIONS: Final = frozenset({"chat", "generate_content", "text_completion"})
_ATTEMPT: Final = "pydantic_ai.model_request.attempt"
_MODEL: Final = "gen_ai.request.model"
_SEVERAL: Final = "fallback:"


def as_siblings(forest: Forest) -> Forest:
    """The same spans, with attempts that failed beside the call that they belong to, before it, as calls of their own.

    A span keeps its ids. The call begins where its last failed attempt ended.
    """
    changed: dict[int, Span] = {}
    for position in range(len(forest)):
        failed = _failed_attempts(forest, position)
        if not failed:
            continue
        call = forest.spans[position]
        for place in failed:
            span = forest.spans[place]
            name = f"chat {span.attributes.get(_MODEL, '')}".rstrip()
            changed[place] = replace(span, name=name, parent_id=call.parent_id, kind=call.kind)
        ends = [end for place in failed if (end := forest.spans[place].end) is not None]
        begins = max([call.start, *ends])
        changed[position] = replace(call, start=begins if call.end is None else min(begins, call.end))
    return Forest(changed.get(position, span) for position, span in enumerate(forest.spans))


def attempt_groups(forest: Forest, within: int) -> list[list[Span]]:
    """The model calls below a span, in the order in which they were tried, cut after each that did not fail.

    The spans are those of `as_siblings`. A call that only stands for its attempts, all of which failed, isn't one.
    """
    below = sorted(forest.descendants(within))
    inside = [place for place in below if _is_call(forest, place)]
    parents = dict.fromkeys(forest.parent(place) for place in inside)
    siblings = as_siblings(forest)
    groups: list[list[Span]] = []
    for parent in parents:
        calls = [place for place in inside if forest.parent(place) == parent]
        groups += _cut([span for call in calls for span in _tried(forest, siblings, call)])
    return groups


def _tried(forest: Forest, siblings: Forest, call: int) -> Iterator[Span]:
    failed = _failed_attempts(forest, call)
    for place in failed:
        yield _same(siblings, forest.spans[place])
    span = forest.spans[call]
    if not (failed and span.status.code == "error" and str(span.attributes.get(_MODEL, "")).startswith(_SEVERAL)):
        yield _same(siblings, span)


def _same(forest: Forest, span: Span) -> Span:
    position = forest.position((span.trace_id, span.span_id))
    return span if position is None else forest.spans[position]


def _cut(calls: Sequence[Span]) -> list[list[Span]]:
    groups: list[list[Span]] = []
    going_on = False
    for span in calls:
        if going_on:
            groups[-1].append(span)
        else:
            groups.append([span])
        going_on = span.status.code == "error"
    return groups


def _failed_attempts(forest: Forest, call: int) -> list[int]:
    """Attempts that pydantic-ai recorded below a call, by their number."""
    found = [place for place in forest.children(call) if _ATTEMPT in forest.spans[place].attributes]
    return sorted(found, key=lambda place: (_number(forest.spans[place]), place))


def _number(span: Span) -> int:
    number = span.attributes[_ATTEMPT]
    return number if isinstance(number, int) else 0


def _is_call(forest: Forest, position: int) -> bool:
    """Whether it is a model call, and not one that a provider's client reports again inside of it."""
    return _says_call(forest.spans[position]) and not any(
        _says_call(forest.spans[above]) for above in forest.ancestors(position)
    )


def _says_call(span: Span) -> bool:
    return span.attributes.get("gen_ai.operation.name") in _OPERATIONS or span.name.startswith("chat ")
