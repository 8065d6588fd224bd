"""What `expect` says: the smallest difference, in the captured tree."""

import pytest

from tests.unit.testing.asserting.messages import ARGUMENTS, CROWD, DESK, expected_message, message_of
from weaver_ai.testing import any_order, at_least, contains, span, times, tree

CASES = [
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
          execute_tool refund      3ms  ERROR CardDeclined: …d declined  …call.arguments='{"order": 8}'
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
              ├── execute_tool refund      3ms  ERROR CardDeclined…declined  …arguments='{"order": 8}'
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


@pytest.mark.parametrize(("ask", "written"), CASES)
def test_exact_text(ask, written):
    assert message_of(ask) == expected_message(written)
