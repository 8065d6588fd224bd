"""A downstream test file, as mypy --strict and pyright in strict mode see it. It is checked, never run.

A line that must be refused carries a `type: ignore`; mypy's `warn_unused_ignores` and pyright's
`reportUnnecessaryTypeIgnoreComment` complain when it is accepted after all.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_type

from dirty_equals import IsPositiveInt

from weaver_ai.spans import Event, Span, Status
from weaver_ai.spans.conventions import Cost, Usage
from weaver_ai.spans.model import AttributeValue
from weaver_ai.testing import (
    Cluster,
    Invariants,
    Otlp,
    SpanPattern,
    Spans,
    SpanView,
    Trace,
    absent,
    any_order,
    at_least,
    at_most,
    contains,
    event,
    span,
    times,
    tree,
)
from weaver_ai.testing.processes.process import Process


async def test_refund(spans: Spans) -> None:
    run = spans.one("workflow support")
    run.expect(
        tree(
            "workflow support",
            span("invoke_agent classifier", {"gen_ai.operation.name": "invoke_agent"}),
            tree(
                "invoke_agent billing",
                "chat *",
                span("execute_tool refund", {"gen_ai.tool.call.arguments": contains({"order": 7})}),
                "chat *",
            ),
        )
    )
    assert run.tools == ["refund"] and run.usage.total_tokens > 0 and run.cost >= 0  # noqa: PT018 # as the design writes it
    assert [s.name for s in run.children][0] == "invoke_agent classifier"  # noqa: RUF015
    spans.none(status="error")
    spans.in_order("invoke_agent classifier", "invoke_agent billing")


async def test_types_of_answers(spans: Spans) -> None:
    assert_type(spans.one("a"), SpanView)
    assert_type(spans.first(re.compile("a")), SpanView)
    assert_type(spans.all(), list[SpanView])
    assert_type(spans[0], SpanView)
    assert_type(spans[1:3], list[SpanView])
    assert_type(spans.some(kind="server"), list[SpanView])
    assert_type(spans.count("a"), int)
    assert_type(spans.in_order("a", span("b")), list[SpanView])
    assert_type(await spans.eventually.one("a"), SpanView)
    assert_type(await spans.eventually(timeout=3).some("a"), list[SpanView])
    assert_type(spans.wait.one("a"), SpanView)
    assert_type(spans[0], SpanView)
    assert_type(len(spans), int)
    with spans.scope() as act:
        assert_type(act, Spans)


def test_types_of_a_view(view: SpanView) -> None:
    assert_type(view.name, str)
    assert_type(view.duration, float | None)
    assert_type(view.status, Status)
    assert_type(view.status == "error", bool)
    assert_type(view.status != "ok" and view.status.code != "ok", bool)
    assert_type(view.attributes, Mapping[str, AttributeValue])
    assert_type(view.events, tuple[Event, ...])
    assert_type(view.parent, SpanView | None)
    assert_type(view.trace, Trace)
    assert_type(view.trace.roots, list[SpanView])
    assert_type(view.children.one("a"), SpanView)
    assert_type([child.name for child in view.descendants], list[str])
    assert_type(view.tools, list[str])
    assert_type(view.usage, Usage)
    assert_type(view.cost, Cost)
    assert_type(view.span, Span)
    assert_type(view in view.ancestors, bool)


def is_large(value: object) -> bool:
    return isinstance(value, int) and value > 1000


def test_every_condition(spans: Spans, other: SpanView) -> None:
    spans.one(
        "chat *",
        {
            "exact": 7,
            "regex": re.compile("^gpt"),
            "predicate": is_large,
            "lambda": lambda value: value == 3,
            "json": contains({"order": contains([1])}),
            "gone": absent,
            "there": ...,
            "dirty": IsPositiveInt,
        },
        kind="client",
        status="ok",
        scope="pydantic-ai",
        resource={"service.name": "desk"},
        event=event("retry", {"attempt": 2}),
        exception=ValueError,
        exception_message=re.compile("late"),
        link=other,
        min_duration=0.1,
        max_duration=1,
        parent=None,
        within=span("workflow *") | ~span("x"),
        open=False,
    )
    spans.none(event="retry", link="publish", exception="ValueError", parent=other, within=re.compile("w"))


def test_trees() -> None:
    assert_type(span("a") & span("b") | ~span("c"), SpanPattern)
    tree("a", ..., any_order("b", tree("c"), ..., times(2, "d")), at_least(1, span("e")), at_most(2, re.compile("f")))


def test_mistakes_are_refused(spans: Spans, view: SpanView) -> None:
    spans.one("a", stauts="error")  # type: ignore[call-arg]
    spans.one("a", status="eror")  # type: ignore[arg-type]
    spans.one("a", kind="web")  # type: ignore[arg-type]
    spans.one({"k": 1})  # type: ignore[arg-type]
    spans.one("a", min_duration="1s")  # type: ignore[arg-type]
    spans.in_order(3)  # type: ignore[arg-type]
    span("a", open="yes")  # type: ignore[arg-type]
    span("a") & "b"  # type: ignore[operator]
    tree("a", {"k": 1})  # type: ignore[arg-type]
    any_order(any_order("a"))  # type: ignore[arg-type]
    times("a", 2)  # type: ignore[arg-type]
    view.name = "b"  # type: ignore[misc]
    view.nme  # type: ignore[attr-defined] # noqa: B018


async def test_the_other_fixtures(invariants: Invariants, otlp: Otlp, weaver_cluster: Cluster) -> None:
    invariants.off("open", "poll *")
    assert_type(otlp.env, dict[str, str])
    assert_type(await otlp.eventually(lambda: 7), int)
    assert_type(weaver_cluster.workers, list[Process])
