"""The built-in example on the offline model: sensible answers, real tools, and the spans that the documents show."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.recorded_spans import Recorded
from weaver_ai.agents import Runner, RunResult, TextDelta, ToolCall
from weaver_ai.agents.support_desk import weaver
from weaver_ai.settings import load_settings

pytest_plugins = ["tests.fixtures.recorded"]


def runner() -> Runner:
    return Runner(weaver, load_settings(env_file=None))


async def ask(name: str, text: str) -> RunResult:
    return await runner().run(weaver.find(name), text)


async def test_a_refund_leaves_the_spans_that_the_tutorial_asserts_on(recorded: Recorded) -> None:
    result = await ask("support", "refund order 7")
    assert recorded.tree() == (
        "workflow support\n"
        "  invoke_agent classifier\n"
        "    chat offline\n"
        "  invoke_agent billing\n"
        "    chat offline\n"
        "    execute_tool refund\n"
        "    chat offline"
    )
    assert recorded.attributes("invoke_agent classifier")["gen_ai.operation.name"] == "invoke_agent"
    arguments = recorded.attributes("execute_tool refund")["gen_ai.tool.call.arguments"]
    assert json.loads(str(arguments)) == {"order": 7}
    tokens = [
        (span.attributes or {}).get("gen_ai.usage.input_tokens") for span in recorded.all if span.name == "chat offline"
    ]
    assert sum(token for token in tokens if isinstance(token, int)) == result.usage.input_tokens > 0
    assert recorded.attributes("workflow support")["weaver.model.offline"] is True


async def test_it_says_that_no_real_model_answered() -> None:
    result = await ask("support", "refund order 7")
    assert (result.offline, result.model, result.provider, result.cost) == (True, "offline", "weaver-offline", None)
    assert result.text == "[offline model] Order 7 (espresso machine) is refunded: 249.00 EUR."
    assert result.tool_calls == (
        ToolCall(
            id="offline_1_refund",
            name="refund",
            arguments={"order": 7},
            result="Order 7 (espresso machine) is refunded: 249.00 EUR.",
        ),
    )


ANSWERS = {
    "Please refund my order #12!": "Order 12 (milk jug) is refunded: 19.50 EUR.",
    "what did I pay for order 31?": "Order 31 is one grinder for 129.90 EUR.",
    "I want a refund": "Which order is to be refunded? I need its number.",
    "refund order 99": "The tool refund failed: There is no order 99; there are 7, 12, 31.",
    "what do you charge?": "I can look an order up and refund it. Tell me its number, as in: refund order 7.",
    "is checkout broken?": "checkout is operational.",
    "I can't get through the Login": "login is degraded: slow sign-in since this morning.",
    "forgot the password of joe.doe@example.com.": (
        "A link to set a new password is on its way to joe.doe@example.com."
    ),
    "I forgot my password": "Which e-mail address is the account under?",
    "hello?": "I can tell how checkout, login and shipping are, and send a password link to an e-mail address.",
}


@pytest.mark.parametrize(("text", "answer"), ANSWERS.items(), ids=ANSWERS.keys())
async def test_it_answers_sensibly(text: str, answer: str) -> None:
    assert (await ask("support", text)).text == f"[offline model] {answer}"


@pytest.mark.parametrize("text", ANSWERS)
async def test_it_answers_the_same_each_time_and_streamed(text: str) -> None:
    desk = runner()
    first, second = [await desk.run(weaver.find("support"), text) for _ in range(2)]
    events = [event async for event in desk.stream(weaver.find("support"), text)]
    streamed = events[-1].result  # type: ignore[union-attr]  # the last event has the result
    assert first.text == second.text == streamed.text
    assert first.tool_calls == second.tool_calls == streamed.tool_calls
    assert first.usage == second.usage == streamed.usage
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == first.text


async def test_the_classifier_gives_a_ticket() -> None:
    assert (await ask("classifier", "urgent: where is my invoice?")).output == {"team": "billing", "urgent": True}


async def test_a_conversation_with_a_specialist_goes_on() -> None:
    from weaver_ai.agents import RunOptions

    desk = runner()
    first = await desk.run(weaver.find("billing"), "I want a refund")
    second = await desk.run(weaver.find("billing"), "refund order 7", RunOptions(history=first.messages))
    assert second.text == "[offline model] Order 7 (espresso machine) is refunded: 249.00 EUR."
    third = await desk.run(
        weaver.find("billing"), "and order 12?", RunOptions(history=[*first.messages, *second.messages])
    )
    assert third.text == "[offline model] Order 12 is one milk jug for 19.50 EUR."
