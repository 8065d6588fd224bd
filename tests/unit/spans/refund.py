"""The trace that the messages are tested with: a support desk refunds an order, and the card is declined."""

from __future__ import annotations

from tests.unit.spans.building import make
from weaver_ai.spans import Event, Span, Status


def refund() -> list[Span]:
    return [
        make("workflow support", 1, duration=41, kind="server"),
        make(
            "invoke_agent classifier", 2, 1, start=1, duration=12, attributes={"gen_ai.operation.name": "invoke_agent"}
        ),
        make("chat gpt-5", 3, 2, start=2, duration=8, attributes={"gen_ai.operation.name": "chat"}),
        make("invoke_agent billing", 4, 1, start=15, duration=25, attributes={"gen_ai.operation.name": "invoke_agent"}),
        make("chat gpt-5", 5, 4, start=16, duration=8, attributes={"gen_ai.operation.name": "chat"}),
        make(
            "execute_tool refund",
            6,
            4,
            start=25,
            duration=3,
            status=Status("error", "card declined"),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "refund",
                "gen_ai.tool.call.arguments": '{"order": 8}',
            },
            events=[
                Event(
                    "exception",
                    0,
                    {"exception.type": "shop.errors.CardDeclined", "exception.message": "card declined"},
                )
            ],
        ),
        make("chat gpt-5", 7, 4, start=29, duration=None, attributes={"gen_ai.operation.name": "chat"}),
    ]
