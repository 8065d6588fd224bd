import re

import pytest

from tests.unit.spans.building import make
from weaver_ai.spans import Event, Link, Scope, Status
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import absent, contains
from weaver_ai.testing.asserting.match import event, span

CARD_DECLINED = Event("exception", 0, {"exception.type": "shop.errors.CardDeclined", "exception.message": "no funds"})
FOREST = Forest(
    [
        make("workflow", 1, duration=41, kind="server", resource={"service.name": "desk"}),
        make(
            "execute_tool refund",
            2,
            1,
            start=1,
            duration=3,
            status=Status("error", "no funds"),
            attributes={"tool": "refund", "args": '{"order": 8}', "tries": 2, "tags": ("a", "b")},
            events=[Event("retry", 0, {"attempt": 2}), CARD_DECLINED],
            scope=Scope("pydantic-ai", "2.0"),
        ),
        make("publish", 3, 2, start=2, duration=None, kind="producer", links=[Link("f" * 32, "e" * 16)]),
        make("consume", 4, 99, start=3, links=[Link("0af7651916cd43dd8448eb211c80319c", f"{3:016x}")]),
    ]
)
WORKFLOW, REFUND, PUBLISH, CONSUME = range(4)


class CardDeclined(Exception):
    pass


CardDeclined.__module__, CardDeclined.__qualname__ = "shop.errors", "CardDeclined"


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        (span("workflow"), WORKFLOW),
        (span("execute_tool *"), REFUND),
        (span("* refund"), REFUND),
        (span("*"), PUBLISH),
        (span(re.compile("^exec.*fund$")), REFUND),
        (span(re.compile("fund")), REFUND),
        (span("execute_tool refund", {"tool": "refund", "tries": 2}), REFUND),
        (span(attributes={"tags": ["a", "b"]}), REFUND),
        (span(attributes={"args": contains({"order": 8})}), REFUND),
        (span(attributes={"tool": absent}), WORKFLOW),
        (span(attributes={"tool": ...}), REFUND),
        (span(kind="server"), WORKFLOW),
        (span(status="error"), REFUND),
        (span(status="unset"), WORKFLOW),
        (span(scope="pydantic-ai"), REFUND),
        (span(scope="pydantic*"), REFUND),
        (span(resource={"service.name": "desk"}), WORKFLOW),
        (span(resource={"service.name": absent}), REFUND),
        (span(event="retry"), REFUND),
        (span(event="re*"), REFUND),
        (span(event=event("retry", {"attempt": 2})), REFUND),
        (span(exception="CardDeclined"), REFUND),
        (span(exception="shop.errors.CardDeclined"), REFUND),
        (span(exception=CardDeclined), REFUND),
        (span(exception=re.compile("Declined")), REFUND),
        (span(exception_message="no *"), REFUND),
        (span(exception="CardDeclined", exception_message=re.compile("funds")), REFUND),
        (span(min_duration=0.003, max_duration=0.003), REFUND),
        (span(max_duration=0), WORKFLOW) and (span(min_duration=0.04), WORKFLOW),
        (span(parent=None), WORKFLOW),
        (span(parent="workflow"), REFUND),
        (span(parent=span(kind="server")), REFUND),
        (span(parent=FOREST.spans[WORKFLOW]), REFUND),
        (span(within="workflow"), PUBLISH),
        (span(within=FOREST.spans[WORKFLOW]), PUBLISH),
        (span(within=span("execute_tool *", status="error")), PUBLISH),
        (span(link="publish"), CONSUME),
        (span(link=span(kind="producer")), CONSUME),
        (span(link=FOREST.spans[PUBLISH]), CONSUME),
        (span(open=True), PUBLISH),
        (span(open=False), REFUND),
        (span("execute_tool *") & span(status="error"), REFUND),
        (span("nothing") | span("workflow"), WORKFLOW),
        (~span("workflow"), REFUND),
        (~(span("workflow") | span("publish")), REFUND),
    ],
    ids=repr,
)
def test_holds(pattern, position):
    assert [(verdict.label, verdict.matched) for verdict in pattern.check(position, FOREST)] == [
        (condition.label, True) for condition in pattern.conditions
    ]
    assert pattern.matches(position, FOREST)


@pytest.mark.parametrize(
    ("pattern", "position", "label", "expected", "actual"),
    [
        (span("workflows"), WORKFLOW, "name", "'workflows'", "'workflow'"),
        (span("work"), WORKFLOW, "name", "'work'", "'workflow'"),
        (span("flow*"), WORKFLOW, "name", "'flow*'", "'workflow'"),
        (span("work?low"), WORKFLOW, "name", "'work?low'", "'workflow'"),
        (span(re.compile("^fund")), REFUND, "name", "re.compile('^fund')", "'execute_tool refund'"),
        (span(attributes={"tries": "2"}), REFUND, "tries", "'2'", "2"),
        (span(attributes={"tries": absent}), REFUND, "tries", "absent", "2"),
        (span(attributes={"tries": ...}), WORKFLOW, "tries", "anything", "missing"),
        (
            span(attributes={"args": contains({"order": 7})}),
            REFUND,
            "args",
            "contains({'order': 7})",
            "'{\"order\": 8}' (order: expected 7, was 8)",
        ),
        (span(kind="client"), WORKFLOW, "kind", "'client'", "'server'"),
        (span(status="ok"), REFUND, "status", "'ok'", "'error'"),
        (span(scope="logfire"), REFUND, "scope", "'logfire'", "'pydantic-ai'"),
        (span(resource={"service.name": "x"}), WORKFLOW, "resource service.name", "'x'", "'desk'"),
        (span(event="done"), REFUND, "event", "'done'", "'retry', 'exception'"),
        (span(event="done"), WORKFLOW, "event", "'done'", "no event"),
        (
            span(event=event("retry", {"attempt": 3})),
            REFUND,
            "event",
            "'retry' {'attempt': 3}",
            "'retry' {'attempt': 2}",
        ),
        (span(exception=ValueError), REFUND, "exception", "'ValueError'", "shop.errors.CardDeclined: 'no funds'"),
        (span(exception=ValueError), WORKFLOW, "exception", "'ValueError'", "no exception"),
        (
            span(exception="CardDeclined", exception_message="late"),
            REFUND,
            "exception",
            "'CardDeclined': 'late'",
            "shop.errors.CardDeclined: 'no funds'",
        ),
        (span(min_duration=1), WORKFLOW, "duration", "at least 1s", "0.041s"),
        (span(min_duration=0.01, max_duration=0.02), REFUND, "duration", "at least 0.01s and at most 0.02s", "0.003s"),
        (span(max_duration=1), PUBLISH, "duration", "at most 1s", "still open"),
        (span(parent=None), REFUND, "parent", "None", "'workflow'"),
        (span(parent=None), CONSUME, "parent", "None", "a span that was not captured"),
        (span(parent="workflow"), WORKFLOW, "parent", "'workflow'", "None"),
        (span(parent="workflow"), PUBLISH, "parent", "'workflow'", "'execute_tool refund'"),
        (span(within="x"), PUBLISH, "within", "'x'", "'execute_tool refund' < 'workflow'"),
        (span(within="x"), WORKFLOW, "within", "'x'", "None: it is a root"),
        (span(link="workflow"), CONSUME, "link", "'workflow'", "'publish'"),
        (span(link="workflow"), PUBLISH, "link", "'workflow'", "a span that was not captured"),
        (span(link="workflow"), WORKFLOW, "link", "'workflow'", "no link"),
        (span(open=True), REFUND, "open", "True", "False"),
        (
            span("workflow", kind="client") | span("publish"),
            WORKFLOW,
            "either",
            "span('workflow', kind='client') | span('publish')",
            "kind 'server'",
        ),
        (~span("workflow"), WORKFLOW, "not", "~span('workflow')", "name 'workflow'"),
    ],
    ids=lambda value: repr(value) if not isinstance(value, int | str) else None,
)
def test_the_reason_why_not(pattern, position, label, expected, actual):
    verdicts = [verdict for verdict in pattern.check(position, FOREST) if not verdict.matched]
    assert [(verdict.label, verdict.expected, verdict.actual) for verdict in verdicts] == [(label, expected, actual)]
    assert not pattern.matches(position, FOREST)


def test_type_and_message_must_be_of_one_exception():
    events = [
        Event("exception", 0, {"exception.type": "KeyError", "exception.message": "a"}),
        Event("exception", 0, {"exception.type": "ValueError", "exception.message": "b"}),
    ]
    forest = Forest([make("s", 1, events=events)])
    assert span(exception=KeyError, exception_message="a").matches(0, forest)
    assert not span(exception=KeyError, exception_message="b").matches(0, forest)
