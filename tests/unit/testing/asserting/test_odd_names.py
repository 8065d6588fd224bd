"""Names that don't print, such as a tool name that a model made up: they reach neither a terminal nor xdist raw."""

from __future__ import annotations

import pytest

from tests.unit.spans.building import make
from tests.unit.testing.asserting.messages import expected_message, message_of
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import Status
from weaver_ai.testing import ExpectationFailed, Spans, span, tree
from weaver_ai.testing.asserting.compare import compare

RED, LONE = "\x1b[31mred", "tool \ud800"
FAILED = Status("error", "lost \x1b[0m\ud800")
ODD = Spans(
    Recorder(
        [
            make(RED, 1, duration=9, attributes={"k\x07": 1}),
            make(LONE, 2, 1, start=1, status=FAILED),
            make("open\r", 3, 1, start=2, duration=None),
        ]
    ),
    timeout=0.01,
)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: ODD.one(LONE, status="ok"),
            r"""
            spans.one('tool \ud800', status='ok'): none of 3 spans matches

            nearest:
              tool \ud800  (in '\x1b[31mred', 1ms)
                ✓ name    'tool \ud800'
                ✗ status  expected 'ok', was 'error'

            captured:
              \x1b[31mred          9ms
              ├── tool \ud800      1ms  ERROR lost \x1b[0m\ud800  ← nearest
              └── open\r          open
            """,
        ),
        (
            lambda: ODD.one(RED).expect(tree(RED, span(LONE, {"k\x07": 2}))),
            r"""
            '\x1b[31mred'.expect(tree('\x1b[31mred', ...)): 2 differences

                \x1b[31mred
              ✗ ├── tool \ud800
                │     k\x07: expected 2, was missing
              + └── open\r

              + captured, not expected

            captured:
              \x1b[31mred          9ms  k\x07=1
              ├── tool \ud800      1ms  ERROR lost \x1b[0m\ud800
              └── open\r          open
            """,
        ),
    ],
)
def test_messages(ask, message):
    assert message_of(ask) == expected_message(message)


def test_comparisons():
    lines = compare(ODD.one(RED), "==", ODD.one(LONE)) or []
    lines += compare(ODD.one("open\r"), "in", [ODD.one(RED)]) or []
    assert lines
    assert all(line.isprintable() for line in lines)


def test_any_message_can_be_sent_as_utf_8():
    assert str(ExpectationFailed("größer\n\ud800")) == "größer\n\\ud800"
