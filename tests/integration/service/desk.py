"""A Weaver of the tests' own, for `weaver serve tests.integration.service.desk:weaver`.

It has what the built-in support desk lacks: steps that take time, steps that fail, fallback models.
"""

from __future__ import annotations

import asyncio
import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from weaver_ai.agents import Run, Weaver

SECRET_WORD = "".join(("hunter", "2", "-correct-horse"))


class Verdict(BaseModel):
    """What the `judge` decides."""

    team: str
    urgent: bool


class Order(BaseModel):
    number: int
    note: str = ""


weaver = Weaver("desk")
plain = weaver.agent(Agent(name="plain", instructions="You answer in one sentence."))
judge = weaver.agent(Agent(name="judge", instructions="You route.", output_type=Verdict), capability="judging")
reliable = weaver.agent(Agent(name="reliable", instructions="You answer."), fallback=["anthropic:claude-haiku-4-5"])
clerk = weaver.agent(Agent(name="clerk", instructions="You refund orders with your tools."))

if "OPENAI_API_KEY" in os.environ:
    weaver.agent(Agent("openai-chat:gpt-5-mini", name="chatty", instructions="You answer.", defer_model_check=True))
if refusing_url := os.environ.get("DESK_REFUSING_URL"):
    provider = OpenAIProvider(base_url=refusing_url, api_key="none")
    weaver.agent(Agent(OpenAIResponsesModel("gpt-5-mini", provider=provider), name="lonely"))


@clerk.tool_plain
def refund(order: int, note: str = "") -> dict[str, int | str]:
    """Refund an order."""
    return {"order": order, "euros": 20, "note": note}


@clerk.tool_plain
def explode(order: int) -> str:
    """Explode."""
    raise RuntimeError(f"postgresql://admin:{SECRET_WORD}@db.internal/orders said no to {order}")


@weaver.workflow("route")
async def route(run: Run, question: str) -> str:
    """Judge first, then ask the team."""
    verdict = await run(judge, question)
    answer = await run(verdict.output.team, question)
    return f"{verdict.output.team}: {answer.text}"


@weaver.workflow("fan")
async def fan(run: Run, questions: list[str]) -> list[str]:
    """Ask for each input at once."""
    return [step.text for step in await run.parallel(("plain", each) for each in questions)]


@weaver.workflow("nested")
async def nested(run: Run, question: str) -> str:
    """A workflow that runs a workflow."""
    return (await run("route", question)).text


@weaver.workflow("sleep", capability="sleeping")
async def sleep(run: Run, seconds: float) -> str:
    """Take time, without a model."""
    await asyncio.sleep(seconds)
    return f"slept {seconds:g} s"


@weaver.workflow("broken")
async def broken(run: Run, question: str) -> str:
    """Fail, with a message that must not get out."""
    raise RuntimeError(f"postgresql://admin:{SECRET_WORD}@db.internal/orders refused")


@weaver.workflow("order")
async def order(run: Run, placed: Order) -> int:
    """Take typed input."""
    return placed.number
