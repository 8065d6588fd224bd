from textwrap import dedent

import pytest

from tests.unit.spans.building import make
from tests.unit.spans.refund import refund
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.testing import Spans
from weaver_ai.testing.asserting.compare import compare

DESK = Spans(Recorder(refund()))
OTHER = Spans(Recorder([make("other", 1, trace="f" * 32, duration=41, kind="server")]))
CROWD = Spans(Recorder([make("item", number) for number in range(1, 8)]))
RUN = DESK[0]


@pytest.mark.parametrize(
    ("left", "op", "right", "lines"),
    [
        (
            DESK.count("chat *"),
            "==",
            2,
            """
            spans.count('chat *') == 2, was 3

              chat gpt-5 8ms in invoke_agent classifier
              chat gpt-5 8ms in invoke_agent billing
              chat gpt-5 open in invoke_agent billing
            """,
        ),
        (
            0,
            "<",
            RUN.children.count("chat *"),
            """
            0 < 'workflow support'.children.count('chat *'), was 0

            none of 2 spans matches; it was captured elsewhere
            """,
        ),
        (
            CROWD.count("item"),
            "!=",
            7,
            """
            spans.count('item') != 7, was 7

              item 1ms
              item 1ms
              item 1ms
              item 1ms
              item 1ms
              … 2 more; -vv shows all
            """,
        ),
        (DESK.count(), "==", 3, "\nspans.count() == 3, was 7\n"),
        (
            DESK.all("chat *"),
            "==",
            [],
            """
            [chat gpt-5, chat gpt-5, chat gpt-5] == []

            3 spans, not 0
            only on the left:
              chat gpt-5 8ms in invoke_agent classifier
              chat gpt-5 8ms in invoke_agent billing
              chat gpt-5 open in invoke_agent billing
            """,
        ),
        (
            RUN.children,
            "==",
            [DESK[0], DESK[1]],
            """
            [invoke_agent classifier, invoke_agent billing] == [workflow support, invoke_agent classifier]

            2 spans each
            only on the left:
              invoke_agent billing 25ms in workflow support
            only on the right:
              workflow support 41ms
            """,
        ),
        (
            list(RUN.children),
            "==",
            [DESK[3], DESK[1]],
            """
            [invoke_agent classifier, invoke_agent billing] == [invoke_agent billing, invoke_agent classifier]

            2 spans each
            the same spans in another order
            """,
        ),
        (
            RUN,
            "in",
            RUN.children,
            """
            workflow support in [invoke_agent classifier, invoke_agent billing]

            the span: workflow support 41ms
            among:    invoke_agent classifier 12ms in workflow support
            among:    invoke_agent billing 25ms in workflow support
            """,
        ),
        (
            DESK[2],
            "==",
            DESK[5],
            """
            chat gpt-5 == execute_tool refund

            two spans of one trace; they differ in
              name: 'chat gpt-5' != 'execute_tool refund'
              status: 'unset' != 'error'
              parent: 'invoke_agent classifier' != 'invoke_agent billing'
              gen_ai.operation.name: 'chat' != 'execute_tool'
              gen_ai.tool.name: missing != 'refund'
              gen_ai.tool.call.arguments: missing != '{"order": 8}'
              start: the right one began 23ms later
            """,
        ),
        (
            RUN,
            "==",
            OTHER[0],
            """
            workflow support == other

            two spans of two traces; they differ in
              name: 'workflow support' != 'other'
            """,
        ),
        (
            [DESK[0]],
            "==",
            [OTHER[0]],
            """
            [workflow support] == [other]

            1 span each
            only on the left:
              workflow support 41ms
            only on the right:
              other 41ms
            """,
        ),
        (
            [DESK[0]],
            "==",
            [],
            """
            [workflow support] == []

            1 span, not 0
            only on the left:
              workflow support 41ms
            """,
        ),
    ],
)
def test_exact_text(left, op, right, lines):
    assert compare(left, op, right) == dedent(lines)[1:-1].splitlines()


@pytest.mark.parametrize(
    ("left", "op", "right"),
    [
        (1, "==", 2),
        ([], "==", []),
        ("a", "in", "b"),
        (RUN, "==", "workflow support"),
        (RUN, "is", None),
        ([1], "==", [RUN]),
        (RUN, "in", "text"),
        (True, "==", False),
    ],
)
def test_other_comparisons_are_left_to_pytest(left, op, right):
    assert compare(left, op, right) is None


def test_the_whole_leaves_nothing_out():
    spans = CROWD.all() + DESK.all()
    for left, op, right in [(CROWD.count("item"), "==", 8), (spans, "==", []), (DESK[0], "in", spans)]:
        brief, whole = compare(left, op, right), compare(left, op, right, whole=True)
        assert [line for line in brief if line.endswith("more; -vv shows all")]
        assert sum("item 1ms" in line for line in whole) == 7
        assert not [line for line in whole if "more" in line]


def test_a_count_is_a_number():
    count = DESK.count("chat *")
    assert (count, count + 1, f"{count}", repr(count), count == 3.0) == (3, 4, "3", "3", True)
