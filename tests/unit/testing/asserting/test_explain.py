"""What a verb says when there is no such span, more than one, or one that shouldn't be."""

import pytest

from tests.unit.testing.asserting.messages import ARGUMENTS, CROWD, DESK, expected_message, message_of
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import Spans, contains, event, span

EMPTY = Spans(Recorder(why=["another provider owns the global: acme.Tracing", "sampled out: 3 spans ('a', 'b')"]))
SILENT = Spans(Recorder())
with DESK.scope() as OUTSIDE:
    pass


def is_large(value: object) -> bool:
    return isinstance(value, int) and value > 1000


CASES = [
    (
        lambda: EMPTY.one("workflow support"),
        """
        spans.one('workflow support'): nothing was captured

        why:
          - another provider owns the global: acme.Tracing
          - sampled out: 3 spans ('a', 'b')
        """,
    ),
    (
        lambda: SILENT.some("workflow support", status="error"),
        """
        spans.some('workflow support', status='error'): nothing was captured
        """,
    ),
    (
        lambda: DESK.one("workflow suport"),
        """
        spans.one('workflow suport'): none of 7 spans matches; did you mean 'workflow support'?

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.one("nothing like it"),
        """
        spans.one('nothing like it'): none of 7 spans matches

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.one("Chat *"),
        """
        spans.one('Chat *'): none of 7 spans matches; did you mean 'chat gpt-5'?

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.one("chat *"),
        """
        spans.one('chat *'): 3 spans match, not one

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms  ← match 1
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms  ← match 2
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open  ← match 3
        """,
    ),
    (
        lambda: DESK.one("execute_tool refund", {ARGUMENTS: contains({"order": 7})}, status="ok"),
        """
        spans.one('execute_tool refund', {'gen_ai.tool.call.arguments': contains({'order': 7})},
            status='ok'):
          none of 7 spans matches

        nearest:
          execute_tool refund  (in 'invoke_agent billing', 3ms)
            ✓ name                        'execute_tool refund'
            ✗ gen_ai.tool.call.arguments  expected contains({'order': 7})
                                          was '{"order": 8}' (order: expected 7, was 8)
            ✗ status                      expected 'ok', was 'error'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDecl…clined  …arguments='{"…r": 8}'  ← nearest
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.first("chat *", within="invoke_agent billing", min_duration=3, parent="invoke_agent bill"),
        """
        spans.first('chat *', within='invoke_agent billing', parent='invoke_agent bill',
            min_duration=3):
          none of 7 spans matches

        nearest:
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name      'chat gpt-5'
            ✓ within    'invoke_agent billing' < 'workflow support'
            ✗ parent    expected 'invoke_agent bill', was 'invoke_agent billing'
            ✗ duration  expected at least 3s, was 0.008s
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name      'chat gpt-5'
            ✓ within    'invoke_agent billing' < 'workflow support'
            ✗ parent    expected 'invoke_agent bill', was 'invoke_agent billing'
            ✗ duration  expected at least 3s, was still open
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name      'chat gpt-5'
            ✗ within    expected 'invoke_agent billing'
                        was 'invoke_agent classifier' < 'workflow support'
            ✗ parent    expected 'invoke_agent bill', was 'invoke_agent classifier'
            ✗ duration  expected at least 3s, was 0.008s

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms  ← nearest 3
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms  ← nearest 1
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open  ← nearest 2
        """,
    ),
    (
        lambda: DESK.one(attributes={"gen_ai.tool.nam": "refund"}),
        """
        spans.one(attributes={'gen_ai.tool.nam': 'refund'}):
          none of 7 spans matches; no span has the attribute 'gen_ai.tool.nam', did you mean
              'gen_ai.tool.name'?

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.one("execute_tool *", exception=ValueError, exception_message="card *"),
        """
        spans.one('execute_tool *', exception='ValueError', exception_message='card *'):
          none of 7 spans matches

        nearest:
          execute_tool refund  (in 'invoke_agent billing', 3ms)
            ✓ name       'execute_tool refund'
            ✗ exception  expected 'ValueError': 'card *', was shop.errors.CardDeclined: 'card declined'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined  ← nearest
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.one("execute_tool *", event=event("retry", {"attempt": 2}), kind="client"),
        """
        spans.one('execute_tool *', event=event('retry', {'attempt': 2}), kind='client'):
          none of 7 spans matches

        nearest:
          execute_tool refund  (in 'invoke_agent billing', 3ms)
            ✓ name   'execute_tool refund'
            ✗ event  expected 'retry' {'attempt': 2}, was 'exception'
            ✗ kind   expected 'client', was 'internal'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined  ← nearest
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.some(span("chat *", status="error") | span("embeddings *")),
        """
        spans.some(span('chat *', status='error') | span('embeddings *')): none of 7 spans matches

        nearest:
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name    'chat gpt-5'
            ✗ status  expected 'error', was 'unset'
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name    'chat gpt-5'
            ✗ status  expected 'error', was 'unset'
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name    'chat gpt-5'
            ✗ status  expected 'error', was 'unset'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms  ← nearest 1
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms  ← nearest 2
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open  ← nearest 3
        """,
    ),
    (
        lambda: DESK.one(span("chat *") & ~span(within="invoke_agent *")),
        """
        spans.one('chat *', ~span(within='invoke_agent *')): none of 7 spans matches

        nearest:
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name  'chat gpt-5'
            ✗ not   expected ~span(within='invoke_agent *')
                    was within 'invoke_agent classifier' < 'workflow support'
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name  'chat gpt-5'
            ✗ not   expected ~span(within='invoke_agent *')
                    was within 'invoke_agent billing' < 'workflow support'
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name  'chat gpt-5'
            ✗ not   expected ~span(within='invoke_agent *')
                    was within 'invoke_agent billing' < 'workflow support'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms  ← nearest 1
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms  ← nearest 2
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open  ← nearest 3
        """,
    ),
    (
        lambda: DESK.none(status="error"),
        """
        spans.none(status='error'): 1 span matches, and none should

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined  ← match
              └── chat gpt-5              open
        """,
    ),
    (
        DESK.none,
        """
        spans.none(): 7 spans match, and none should

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK[0].children.one("chat *"),
        """
        'workflow support'.children.one('chat *'): none of 2 spans matches; it was captured elsewhere

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: OUTSIDE.one("execute_tool refund"),
        """
        spans.one('execute_tool refund'): there are none; it was captured elsewhere

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK[2].children.one("POST"),
        """
        'chat gpt-5'.children.one('POST'): there are none

        captured:
          chat gpt-5      8ms
        """,
    ),
    (
        lambda: DESK[5].ancestors.one("invoke_agent classifier"),
        """
        'execute_tool refund'.ancestors.one('invoke_agent classifier'):
          none of 2 spans matches; it was captured elsewhere

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK[0].trace.one("workflow"),
        """
        'workflow support'.trace.one('workflow'):
          none of 7 spans matches; did you mean 'workflow support'?

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: CROWD.one("item 1"),
        """
        spans.one('item 1'): 99 spans match, not one

        captured:
          batch         900ms
          ├── item 1      1ms  ← match 1
          ├── item 1      1ms  ← match 2
          ├── item 1      1ms  ← match 3
          ├── item 1      1ms  ← match 4
          ├── item 1      1ms  ← match 5
          ├── item 1      1ms  ← match 6
          ├── item 1      1ms  ← match 7
          ├── item 1      1ms  ← match 8
          ├── item 1      1ms  ← match 9
          ├── item 1      1ms  ← match 10
          ├── item 1      1ms  ← match 11
          ├── item 1      1ms  ← match 12
          ├── item 1      1ms  ← match 13
          ├── item 1      1ms  ← match 14
          ├── item 1      1ms  ← match 15
          ├── item 1      1ms  ← match 16
          ├── item 1      1ms  ← match 17
          ├── item 1      1ms  ← match 18
          └── … 280 more: item 2 (100), item 0 (99), item 1 (81)
        """,
    ),
    (
        lambda: CROWD.one("item 1", {"item.id": is_large}),
        """
        spans.one('item 1', {'item.id': is_large()}): none of 299 spans matches

        nearest:
          item 1  (in 'batch', 1ms)
            ✓ name     'item 1'
            ✗ item.id  expected is_large(), was 4
          item 1  (in 'batch', 1ms)
            ✓ name     'item 1'
            ✗ item.id  expected is_large(), was 7
          item 1  (in 'batch', 1ms)
            ✓ name     'item 1'
            ✗ item.id  expected is_large(), was 10

        captured:
          batch         900ms
          ├── item 2      1ms  item.id=2
          ├── item 0      1ms  item.id=3
          ├── item 1      1ms  item.id=4  ← nearest 1
          ├── item 2      1ms  item.id=5
          ├── item 0      1ms  item.id=6
          ├── item 1      1ms  item.id=7  ← nearest 2
          ├── item 2      1ms  item.id=8
          ├── item 0      1ms  item.id=9
          ├── item 1      1ms  item.id=10  ← nearest 3
          ├── item 2      1ms  item.id=11
          ├── item 0      1ms  item.id=12
          ├── item 1      1ms  item.id=13
          ├── item 2      1ms  item.id=14
          ├── item 0      1ms  item.id=15
          ├── item 1      1ms  item.id=16
          ├── item 2      1ms  item.id=17
          ├── item 0      1ms  item.id=18
          ├── item 1      1ms  item.id=19
          └── … 280 more: item 2 (94), item 0 (93), item 1 (93)
        """,
    ),
]


@pytest.mark.parametrize(("ask", "written"), CASES)
def test_exact_text(ask, written):
    assert message_of(ask) == expected_message(written)
