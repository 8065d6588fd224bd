"""The offline model without any rule: what it makes of agents that it knows nothing of."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, UserPromptPart

from weaver_ai.agents import OfflineModel, OfflineRule, OfflineRules


def shop(**kwargs: Any) -> Agent[Any, Any]:
    agent = Agent(OfflineModel(kwargs.pop("rules", None)), name="shop", **kwargs)

    @agent.tool_plain
    def track_parcel(number: int) -> dict[str, Any]:
        """Where a parcel is."""
        return {"parcel": number, "place": "Graz"}

    @agent.tool_plain
    def convert_currency(amount: float, currency: str) -> str:
        """Convert an amount of euros."""
        return f"{amount} EUR in {currency}"

    @agent.tool_plain
    def opening_hours() -> str:
        """When the shop is open."""
        return "9 to 5"

    return agent


GUESSES = {
    "where is my parcel 42?": '[offline model] {"parcel":42,"place":"Graz"}',
    "convert 2.5 please, currency is USD": "[offline model] 2.5 EUR in USD",
    "what are your opening hours?": "[offline model] 9 to 5",
    "when is the shop open": "[offline model] 9 to 5",
    "where is my parcel?": (
        "[offline model] There is no rule and no tool for that. "
        "Set OPENAI_API_KEY or ANTHROPIC_API_KEY for a real answer."
    ),
}


@pytest.mark.parametrize(("text", "answer"), GUESSES.items(), ids=GUESSES.keys())
async def test_it_calls_the_tool_that_fits(text: str, answer: str) -> None:
    assert (await shop().run(text)).output == answer


async def test_a_tool_that_fails_is_reported_not_tried_again() -> None:
    agent = Agent(OfflineModel(), name="shop", retries=0)

    @agent.tool_plain
    def track_parcel(number: int) -> str:
        """Where a parcel is."""
        from pydantic_ai import ToolFailed

        raise ToolFailed("lost")

    assert (await agent.run("track parcel 3")).output == "[offline model] The tool track_parcel failed: lost"


async def test_rules_go_first_and_in_order() -> None:
    rules = OfflineRules(
        [
            OfflineRule(when=r"parcel (?P<number>\d+)", call="track_parcel", reply="{number} is in {result[place]}."),
            OfflineRule(when=r"parcel", reply="Which one?"),
            OfflineRule(when=r"nothing", call="no_such_tool", reply="never"),
        ],
        otherwise="Pardon?",
    )
    agent = shop(rules=rules)
    assert (await agent.run("PARCEL 7")).output == "[offline model] 7 is in Graz."
    assert (await agent.run("a parcel")).output == "[offline model] Which one?"
    assert (await agent.run("hm")).output == "[offline model] Pardon?"
    assert (await agent.run("nothing")).output == "[offline model] Pardon?"


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Review(BaseModel):
    mood: Mood
    stars: int
    summary: str


@pytest.mark.parametrize(
    "kind", [Review, NativeOutput(Review), PromptedOutput(Review)], ids=["tool", "native", "prompted"]
)
async def test_it_fills_structured_output_in_every_mode(kind: Any) -> None:
    agent = Agent(OfflineModel(), name="a", output_type=kind)
    assert (await agent.run("bad: 2 stars")).output == Review(mood=Mood.BAD, stars=2, summary="bad: 2 stars")


async def test_a_rule_s_output_goes_over_what_the_text_has() -> None:
    rules = OfflineRules([OfflineRule(when="(?P<stars>\\d)", output={"mood": "good"})])
    agent = Agent(OfflineModel(rules), name="a", output_type=Review)
    assert (await agent.run("bad, 2 stars")).output == Review(mood=Mood.GOOD, stars=2, summary="bad, 2 stars")


async def test_of_two_outputs_the_one_that_is_named_is_given() -> None:
    class Refusal(BaseModel):
        reason: str

    agent = Agent(OfflineModel(), name="a", output_type=[Review, Refusal])
    assert isinstance((await agent.run("I want a refusal")).output, Refusal)
    assert isinstance((await agent.run("I want a review")).output, Review)


async def test_tool_first_then_structured_output() -> None:
    class Place(BaseModel):
        parcel: int

    assert (await shop(output_type=Place).run("where is parcel 42?")).output == Place(parcel=42)


async def test_usage_grows_with_what_is_said_and_has_no_price() -> None:
    short, long = [(await shop().run(text)).usage for text in ("hm", "hm " * 50)]
    assert (short.requests, short.cost, long.cost) == (1, None, None)
    assert long.input_tokens == short.input_tokens + 49
    assert short.output_tokens == long.output_tokens > 10


async def test_a_response_says_whose_it_is() -> None:
    responses = [m for m in (await shop().run("opening hours")).all_messages() if isinstance(m, ModelResponse)]
    assert [(r.model_name, r.provider_name, r.finish_reason) for r in responses] == [
        ("offline", "weaver-offline", "tool_call"),
        ("offline", "weaver-offline", "stop"),
    ]


async def test_ids_of_calls_are_unique_in_a_conversation_and_the_same_each_time() -> None:
    async def ids() -> list[str]:
        first = await shop().run("opening hours")
        second = await shop().run("opening hours", message_history=first.all_messages())
        parts = [part for message in second.all_messages() for part in message.parts]
        return [part.tool_call_id for part in parts if isinstance(part, ToolCallPart)]

    assert await ids() == await ids() == ["offline_1_opening_hours", "offline_5_opening_hours"]


async def test_several_pieces_of_text_are_read_as_one() -> None:
    result = await shop().run(["where is", "my parcel 42?"])
    assert result.output == '[offline model] {"parcel":42,"place":"Graz"}'
    assert isinstance(result.all_messages()[0], ModelRequest)
    assert isinstance(result.all_messages()[0].parts[0], UserPromptPart)
