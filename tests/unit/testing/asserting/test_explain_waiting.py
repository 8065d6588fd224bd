"""What the verbs that wait say at their end, and those that ask for an order."""

import pytest

from tests.unit.testing.asserting.messages import CROWD, DESK, expected_message, message_of
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import Spans

EMPTY = Spans(Recorder(why=["another provider owns the global: acme.Tracing", "sampled out: 3 spans ('a', 'b')"]))

CASES = [
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
              ├── execute_tool refund      3ms  ERROR CardDeclined…declined  …name='execute_tool'
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
]


@pytest.mark.parametrize(("ask", "written"), CASES)
def test_exact_text(ask, written):
    assert message_of(ask) == expected_message(written)
