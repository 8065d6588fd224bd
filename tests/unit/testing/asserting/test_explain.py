"""Each message, word for word. They are read in a terminal, at 100 columns, after pytest's `E   `."""

from textwrap import dedent

import pytest

from tests.unit.spans.building import make
from tests.unit.spans.refund import refund
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import ExpectationFailed, Spans, any_order, at_least, contains, event, span, times, tree

DESK = Spans(Recorder(refund()), timeout=0.01)
EMPTY = Spans(Recorder(why=["another provider owns the global: acme.Tracing", "sampled out: 3 spans ('a', 'b')"]))
SILENT = Spans(Recorder())
CROWD = Spans(
    Recorder(
        [
            make("batch", 1, duration=900),
            *(
                make(f"item {number % 3}", number, 1, start=number, attributes={"item.id": number})
                for number in range(2, 300)
            ),
        ]
    ),
    timeout=0.01,
)
ARGUMENTS = "gen_ai.tool.call.arguments"


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
        spans.one('execute_tool refund', {'gen_ai.tool.call.arguments': contains({'order': 7})}, status='ok'):
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
              ├── execute_tool refund      3ms  ERROR CardDecl…eclined  arguments='{"or…r": 8}'  ← nearest
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.first("chat *", within="invoke_agent billing", min_duration=3, parent="invoke_agent bill"),
        """
        spans.first('chat *', within='invoke_agent billing', parent='invoke_agent bill', min_duration=3):
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
          none of 7 spans matches; no span has the attribute 'gen_ai.tool.nam', did you mean 'gen_ai.tool.name'?

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
        DESK.settle,
        """
        spans.settle(): 1 span is still open after 0.01s: 'chat gpt-5'

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
        lambda: DESK.wait.one("chat gpt-6"),
        """
        spans.wait.one('chat gpt-6'): none of 7 spans matches after 0.01s; did you mean 'chat gpt-5'?

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
        lambda: DESK.wait.first("chat *", parent="workflow support"),
        """
        spans.wait.first('chat *', parent='workflow support'): none of 7 spans matches after 0.01s

        nearest:
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name    'chat gpt-5'
            ✗ parent  expected 'workflow support', was 'invoke_agent classifier'
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name    'chat gpt-5'
            ✗ parent  expected 'workflow support', was 'invoke_agent billing'
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name    'chat gpt-5'
            ✗ parent  expected 'workflow support', was 'invoke_agent billing'
            ✗ ended   expected True, was still open

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
        lambda: DESK.wait.one("chat *", parent="invoke_agent billing", within="*", min_duration=0.009),
        """
        spans.wait.one('chat *', parent='invoke_agent billing', within='*', min_duration=0.009):
          none of 7 spans matches after 0.01s

        nearest:
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name      'chat gpt-5'
            ✓ parent    'invoke_agent billing'
            ✓ within    'invoke_agent billing' < 'workflow support'
            ✗ duration  expected at least 0.009s, was 0.008s
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name      'chat gpt-5'
            ✓ parent    'invoke_agent billing'
            ✓ within    'invoke_agent billing' < 'workflow support'
            ✗ duration  expected at least 0.009s, was still open
            ✗ ended     expected True, was still open
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name      'chat gpt-5'
            ✗ parent    expected 'invoke_agent billing', was 'invoke_agent classifier'
            ✓ within    'invoke_agent classifier' < 'workflow support'
            ✗ duration  expected at least 0.009s, was 0.008s

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
        lambda: DESK.wait.one("chat *", {"gen_ai.operation.name": "chat"}, min_duration=0.5),
        """
        spans.wait.one('chat *', {'gen_ai.operation.name': 'chat'}, min_duration=0.5):
          none of 7 spans matches after 0.01s

        nearest:
          chat gpt-5  (in 'invoke_agent classifier', 8ms)
            ✓ name                   'chat gpt-5'
            ✓ gen_ai.operation.name  'chat'
            ✗ duration               expected at least 0.5s, was 0.008s
          chat gpt-5  (in 'invoke_agent billing', 8ms)
            ✓ name                   'chat gpt-5'
            ✓ gen_ai.operation.name  'chat'
            ✗ duration               expected at least 0.5s, was 0.008s
          chat gpt-5  (in 'invoke_agent billing', open)
            ✓ name                   'chat gpt-5'
            ✓ gen_ai.operation.name  'chat'
            ✗ duration               expected at least 0.5s, was still open
            ✗ ended                  expected True, was still open

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms  gen_ai.operation.name='invoke_agent'
          │   └── chat gpt-5               8ms  gen_ai.operation.name='chat'  ← nearest 1
          └── invoke_agent billing        25ms  gen_ai.operation.name='invoke_agent'
              ├── chat gpt-5               8ms  gen_ai.operation.name='chat'  ← nearest 2
              ├── execute_tool refund      3ms  ERROR CardDeclined… declined  name='execute_tool'
              └── chat gpt-5              open  gen_ai.operation.name='chat'  ← nearest 3
        """,
    ),
    (
        lambda: DESK.wait.in_order("chat *", "invoke_agent *", "invoke_agent *"),
        """
        spans.wait.in_order('chat *', 'invoke_agent *', 'invoke_agent *'):
          no 'invoke_agent *' ended after 'invoke_agent *'

          ✓ 1. 'chat *' began at +2ms
          ✓ 2. 'invoke_agent *' began at +15ms
          ✗ 3. 'invoke_agent *' began at +15ms, not later

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms  ← step 3
          │   └── chat gpt-5               8ms  ← step 1
          └── invoke_agent billing        25ms  ← step 2
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.wait.in_order("chat *", "chat *", "chat *"),
        """
        spans.wait.in_order('chat *', 'chat *', 'chat *'):
          no 'chat *' ended after 'chat *'; 'chat gpt-5' is still open

          ✓ 1. 'chat *' began at +2ms
          ✓ 2. 'chat *' began at +16ms
          ✗ 3. 'chat *' began at +16ms, not later

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms  ← step 1
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms  ← step 2
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
        lambda: DESK.in_order("invoke_agent billing", "invoke_agent classifier", "chat *"),
        """
        spans.in_order('invoke_agent billing', 'invoke_agent classifier', 'chat *'):
          no 'invoke_agent classifier' began after 'invoke_agent billing'

          ✓ 1. 'invoke_agent billing' began at +15ms
          ✗ 2. 'invoke_agent classifier' began at +1ms, not later
            3. 'chat *'

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms  ← step 2
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms  ← step 1
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK.in_order("workflow support", "invoke_agent biling"),
        """
        spans.in_order('workflow support', 'invoke_agent biling'):
          no 'invoke_agent biling' began; did you mean 'invoke_agent billing'?

          ✓ 1. 'workflow support' began at +0µs
          ✗ 2. 'invoke_agent biling' did not come

        captured:
          workflow support                41ms  ← step 1
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined: card declined
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: EMPTY.in_order("a", "b"),
        """
        spans.in_order('a', 'b'): nothing was captured

        why:
          - another provider owns the global: acme.Tracing
          - sampled out: 3 spans ('a', 'b')
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
    (
        lambda: CROWD.wait.one("item 7"),
        """
        spans.wait.one('item 7'): none of 299 spans matches after 0.01s; did you mean 'item 2'?

        captured:
          batch         900ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          └── … 280 more: item 2 (94), item 0 (93), item 1 (93)
        """,
    ),
    (
        lambda: DESK[0].expect("workflow desk"),
        """
        'workflow support'.expect('workflow desk'): 1 difference

          ✗ workflow support
              name: expected 'workflow desk', was 'workflow support'

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
        lambda: DESK[5].expect(span("execute_tool refund", {ARGUMENTS: contains({"order": 7})}, status="ok")),
        """
        'execute_tool refund'.expect(span('execute_tool refund', {'gen_…s({'order': 7})}, status='ok')):
          1 difference

          ✗ execute_tool refund
              gen_ai.tool.call.arguments: expected contains({'order': 7})
                                          was '{"order": 8}' (order: expected 7, was 8)
              status: expected 'ok', was 'error'

        captured:
          execute_tool refund      3ms  ERROR CardDeclined: c…d declined  arguments='{"order": 8}'
        """,
    ),
    (
        lambda: DESK[0].expect(
            tree(
                "workflow support",
                span("invoke_agent classifier", {"gen_ai.operation.name": "invoke_agent"}),
                tree(
                    "invoke_agent billing",
                    "chat *",
                    span("execute_tool refund", {ARGUMENTS: contains({"order": 7})}),
                    "chat *",
                ),
            )
        ),
        """
        'workflow support'.expect(tree('workflow support', ...)): 1 difference

            workflow support
            ├── invoke_agent classifier
            └── invoke_agent billing
                ├── chat gpt-5
          ✗     ├── execute_tool refund
                │     gen_ai.tool.call.arguments: expected contains({'order': 7})
                │                                 was '{"order": 8}' (order: expected 7, was 8)
                └── chat gpt-5

        captured:
          workflow support                41ms
          ├── invoke_agent classifier     12ms
          │   └── chat gpt-5               8ms
          └── invoke_agent billing        25ms
              ├── chat gpt-5               8ms
              ├── execute_tool refund      3ms  ERROR CardDeclined… declined  arguments='{"order": 8}'
              └── chat gpt-5              open
        """,
    ),
    (
        lambda: DESK[0].expect(
            tree(
                "workflow support",
                tree("invoke_agent classifier", "chat gpt-4", "log"),
                any_order("execute_tool notify", tree("invoke_agent billing", ..., times(2, "chat *"))),
            )
        ),
        """
        'workflow support'.expect(tree('workflow support', ...)): 4 differences

            workflow support
            ├── invoke_agent classifier
          ✗ │   ├── chat gpt-5
            │   │     name: expected 'chat gpt-4', was 'chat gpt-5'
          - │   └── 'log'
            ├── invoke_agent billing
            │   ├── ... (2 permitted)
            │   ├── chat gpt-5
          - │   └── 'chat *'
          - └── 'execute_tool notify'

          - expected, not captured

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
        lambda: DESK[0].expect(tree("workflow support", "invoke_agent billing")),
        """
        'workflow support'.expect(tree('workflow support', ...)): 1 difference

            workflow support
          + ├── invoke_agent classifier
            └── invoke_agent billing

          + captured, not expected

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
        lambda: DESK[0].expect(tree("workflow support", at_least(3, "invoke_agent *"))),
        """
        'workflow support'.expect(tree('workflow support', ...)): 1 difference

            workflow support
            ├── invoke_agent classifier
            ├── invoke_agent billing
          - └── 'invoke_agent *'

          - expected, not captured

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
        lambda: CROWD[0].expect(tree("batch", "item 2", ..., "item 9")),
        """
        'batch'.expect(tree('batch', ...)): 1 difference

            batch
            ├── item 2
            ├── ... (297 permitted)
          - └── 'item 9'

          - expected, not captured

        captured:
          batch         900ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          └── … 274 more: item 2 (92), item 0 (91), item 1 (91)
        """,
    ),
    (
        lambda: CROWD[0].expect(tree("batch", *["item 2", "item 0", "item 1"] * 5)),
        """
        'batch'.expect(tree('batch', ...)): 283 differences

            batch
            ├── … 15 as expected
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
          + ├── item 2
          + ├── item 0
          + ├── item 1
            … 262 more lines

          + captured, not expected

        captured:
          batch         900ms
          ├── item 2      1ms
          ├── item 0      1ms
          ├── item 1      1ms
          ├── item 2      1ms
          └── … 294 more: item 0 (98), item 1 (98), item 2 (98)
        """,
    ),
]


@pytest.mark.parametrize(("ask", "expected"), CASES)
def test_exact_text(ask, expected):
    with pytest.raises(ExpectationFailed) as caught:
        ask()
    assert str(caught.value) == dedent(expected)[1:-1]


@pytest.mark.parametrize("ask", [case[0] for case in CASES])
def test_a_message_is_at_most_a_screen(ask):
    with pytest.raises(ExpectationFailed) as caught:
        ask()
    lines = str(caught.value).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120
