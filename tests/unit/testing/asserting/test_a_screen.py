"""Whatever the spans hold, a message is at most a screen; `-vv` has all of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.spans.building import make
from tests.unit.testing.asserting.messages import expected_message
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import Event, Link, Status
from weaver_ai.spans.render import Style
from weaver_ai.spans.values import columns
from weaver_ai.testing import ExpectationFailed, Spans, any_order, span, tree

SCREEN = Style(width=96, hint="-vv shows all")
MANY = {f"shop.attribute.{number}": number for number in range(100)}
OTHERS = {f"shop.attribute.{number}": number + 1 for number in range(100)}
LONG_KEY = "key." * 750
WIDE = "返金する" * 40
TEXT = "Please refund order 7, it arrived broken. " * 20
MONSTERS = {
    "many open": [make(f"poll {number}", number, start=number, duration=None) for number in range(1, 1001)],
    "many deep": [make(f"step {number}", number, number - 1 or None, start=number) for number in range(1, 1001)],
    "100 attributes": [make("refund", 1, attributes=MANY)],
    "100 events": [make("refund", 1, events=[Event(f"retry {number}", number) for number in range(100)])],
    "1,000 links": [make("refund", 1, links=[Link("e" * 32, f"{number:016x}") for number in range(1, 1001)])],
    "a long key": [make("refund", 1, attributes={LONG_KEY: 1})],
    "a long name": [make("refund " * 500, 1), make("refund", 2, 1, start=1)],
    "wide letters": [make(WIDE, 1, attributes={"shop.note": WIDE}), make("refund", 2, 1, start=1)],
    "a long status": [make("refund", 1, status=Status("error", "lost " * 1000))],
}
QUESTIONS = {
    "a name": lambda spans: spans.one("refun"),
    "no name": lambda spans: spans.one(),
    "none": lambda spans: spans.none("*"),
    "attributes": lambda spans: spans.one("refund", OTHERS),
    "a long key": lambda spans: spans.one("refund", {LONG_KEY: 2}),
    "an absent key": lambda spans: spans.one("refund", {LONG_KEY + "x": 2}),
    "an event": lambda spans: spans.one("refund", event="paid"),
    "a link": lambda spans: spans.one("refund", link="paid"),
    "a long value": lambda spans: spans.one("refund", {"shop.attribute.1": TEXT}, status="ok"),
    "a long name": lambda spans: spans.one(TEXT, kind="server"),
    "a wide name": lambda spans: spans.one(WIDE + "か", kind="server"),
    "an order": lambda spans: spans.in_order(*["*"] * 50, "refund", TEXT, *["poll *"] * 50),
    "a tree": lambda spans: spans.first().expect(tree(TEXT, any_order(*[f"poll {n}" for n in range(60)]), WIDE)),
    "an exact tree": lambda spans: spans.first().expect(tree(span("refund", OTHERS), "x")),
    "settled": lambda spans: (spans.settle(0.01), spans.one("no such span")),
}


@pytest.mark.parametrize("width", [52, 72, 96])
@pytest.mark.parametrize("captured", MONSTERS)
def test_a_message_is_at_most_a_screen(captured: str, width: int) -> None:
    for ask in QUESTIONS.values():
        spans = Spans(Recorder(MONSTERS[captured]), timeout=0.01, style=replace(SCREEN, width=width))
        try:
            ask(spans)
        except ExpectationFailed as failed:
            lines = str(failed).splitlines()
            assert len(lines) <= 40
            assert [line for line in lines if columns(line) > width] == []


POLLS = Spans(
    Recorder([make(f"poll {number}", number, start=number, duration=None) for number in range(1, 10_001)]), style=SCREEN
)
MANIFOLD = Spans(Recorder(MONSTERS["100 attributes"]), style=SCREEN)
BODY = json.dumps({"text": TEXT, "items": [{"id": 1}, {"id": 2}]})
PROMPTED = Spans(Recorder([make("ask", 1, attributes={"prompt": TEXT + "Soon.", "body": BODY})]), style=SCREEN)
EXACT = [
    (
        lambda: POLLS.none("poll *"),
        """
        spans.none('poll *'): 10,000 spans match, and none should

        captured:
          poll 1      open  ← match
          poll 2      open  ← match
          poll 3      open  ← match
          poll 4      open  ← match
          poll 5      open  ← match
          poll 6      open  ← match
          poll 7      open  ← match
          poll 8      open  ← match
          poll 9      open  ← match
          poll 10     open  ← match
          poll 11     open  ← match
          poll 12     open  ← match
          poll 13     open  ← match
          poll 14     open  ← match
          poll 15     open  ← match
          poll 16     open  ← match
          poll 17     open  ← match
          poll 18     open  ← match
          poll 19     open  ← match
          … 9,981 more: poll 20, poll 21, poll 22, …; -vv shows all
        """,
    ),
    (
        lambda: MANIFOLD.one("refund", {**MANY, "shop.attribute.7": 8, "shop.attribute.8": 9}),
        """
        spans.one('refund', {'shop.attribute.0': 0, 'shop.attribute.1': 1, 'shop.attribute.2': 2,
            'shop.attribute.3': 3, 'shop…7': 97, 'shop.attribute.98': 98, 'shop.attribute.99': 99}):
          none of 1 span matches

        nearest:
          refund  (1ms)
            ✗ shop.attribute.7   expected 8, was 7
            ✗ shop.attribute.8   expected 9, was 8
              … 99 as asked; -vv shows all

        captured:
          refund      1ms  …attribute.0=0  …attribute.1=1  …attribute.2=2  … 97 more  ← nearest
        """,
    ),
    (
        lambda: MANIFOLD.one("refund", OTHERS),
        """
        spans.one('refund', {'shop.attribute.0': 1, 'shop.attribute.1': 2, 'shop.attribute.2': 3,
            'shop.attribute.3': 4, 'shop…': 98, 'shop.attribute.98': 99, 'shop.attribute.99': 100}):
          none of 1 span matches

        nearest:
          refund  (1ms)
            ✗ shop.attribute.0   expected 1, was 0
            ✗ shop.attribute.1   expected 2, was 1
            ✗ shop.attribute.2   expected 3, was 2
            ✗ shop.attribute.3   expected 4, was 3
            ✗ shop.attribute.4   expected 5, was 4
            ✗ shop.attribute.5   expected 6, was 5
            ✗ shop.attribute.6   expected 7, was 6
            ✗ shop.attribute.7   expected 8, was 7
            ✗ shop.attribute.8   expected 9, was 8
            ✗ shop.attribute.9   expected 10, was 9
            ✗ shop.attribute.10  expected 11, was 10
            ✗ shop.attribute.11  expected 12, was 11
            ✗ shop.attribute.12  expected 13, was 12
            ✗ shop.attribute.13  expected 14, was 13
            ✗ shop.attribute.14  expected 15, was 14
            ✗ shop.attribute.15  expected 16, was 15
            ✗ shop.attribute.16  expected 17, was 16
            ✗ shop.attribute.17  expected 18, was 17
            ✗ shop.attribute.18  expected 19, was 18
              … 81 more that differ, 1 as asked; -vv shows all

        captured:
          refund      1ms  …attribute.0=0  …attribute.1=1  …attribute.2=2  … 97 more  ← nearest
        """,
    ),
    (
        lambda: PROMPTED.one("ask", {"prompt": TEXT + "Soon!"}),
        """
        spans.one('ask', {'prompt': 'Please refund order 7, it arrived broken. Pleas… arrived broken.
            Soon!'}):
          none of 1 span matches

        nearest:
          ask  (1ms)
            ✓ name    'ask'
            ✗ prompt  expected 'Please refund order 7, it arrived broken. Pleas… arrived broken. Soon!'
                      was 'Please refund order 7, it arrived broken. Pleas… arrived broken. Soon.'
                      at character 845: expected '…broken. Soon!', was '…broken. Soon.'

        captured:
          ask      1ms  prompt='Please refund order 7, it arrived brok…arrived broken. Soon.'  ← nearest
        """,
    ),
    (
        lambda: PROMPTED[0].expect(span("ask", {"body": {"text": TEXT, "items": [{"id": 1}, {"id": 3}]}})),
        """
        'ask'.expect(span('ask', {'body': {'text': 'Please refund order…brok…[{'id': 1}, {'id': 3}]}})):
          1 difference

          ✗ ask
              body: expected {'text': 'Please refund order 7, it arrived brok…[{'id': 1}, {'id': 3}]}
                    was '{"text": "Please …d": 2}]}' (items[1].id: expected 3, was 2)

        captured:
          ask      1ms  body='{"text": "Please refund order 7, it arrived bro…{"id": 1}, {"id": 2}]}'
        """,
    ),
    (
        lambda: Spans(Recorder([make(WIDE[:8], 1), make("refund", 2, 1, start=1)]), style=SCREEN).one(WIDE[:10]),
        """
        spans.one('返金する返金する返金'): none of 2 spans matches; did you mean '返金する返金する'?

        captured:
          返金する返金する      1ms
          └── refund            1ms
        """,
    ),
]


@pytest.mark.parametrize(("ask", "written"), EXACT)
def test_exact_text(ask, written):
    with pytest.raises(ExpectationFailed) as failed:
        ask()
    assert str(failed.value) == expected_message(written)


WHOLE = Style(width=96, whole=True)


def test_whole_means_whole():
    polls = Spans(Recorder(POLLS._source.snapshot()), style=WHOLE)
    with pytest.raises(ExpectationFailed) as failed:
        polls.none("poll *")
    assert str(failed.value).count("← match") == 10_000

    for captured, asked in [(MONSTERS["100 attributes"], OTHERS), (MONSTERS["a long key"], {LONG_KEY: 2})]:
        with pytest.raises(ExpectationFailed) as failed:
            Spans(Recorder(captured), style=WHOLE).one("refund", asked)
        assert str(failed.value).count("expected ") == len(asked)
        assert "…" not in str(failed.value)

    with pytest.raises(ExpectationFailed) as failed:
        Spans(Recorder(PROMPTED._source.snapshot()), style=WHOLE).one("ask", {"prompt": TEXT + "Soon!"})
    assert f"expected {TEXT + 'Soon!'!r}, was {TEXT + 'Soon.'!r}" in str(failed.value)

    with pytest.raises(ExpectationFailed) as failed:
        PROMPTED[0].expect(tree("ask", *[f"step {number}" for number in range(99)]))
    assert "… 77 more lines; -vv shows all" in str(failed.value)
    with pytest.raises(ExpectationFailed) as failed:
        Spans(Recorder(PROMPTED._source.snapshot()), style=WHOLE)[0].expect(
            tree("ask", *[f"step {number}" for number in range(99)])
        )
    assert str(failed.value).count("'step ") == 99
