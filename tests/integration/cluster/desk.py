"""What the cluster of the tests serves. Every effect is a line in the file that DESK_EFFECTS names."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from weaver_ai.agents import Run, Weaver

EFFECTS = Path(os.environ.get("DESK_EFFECTS", "effects.txt"))

weaver = Weaver("cluster-desk")


class Work(BaseModel):
    name: str
    seconds: float = 0.0


def effect(line: str) -> None:
    """One line, at once: an append of this size is atomic."""
    with EFFECTS.open("a") as file:
        file.write(f"{line}\n")


async def _echo(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    last = messages[-1].parts[-1]
    text = str(getattr(last, "content", ""))
    effect(f"echo {text}")
    return ModelResponse(parts=[TextPart(text)])


weaver.agent(Agent(FunctionModel(_echo, model_name="echo"), name="echo"))


@weaver.workflow("work")
async def work(run: Run, what: Work) -> str:
    """Take effect, then take time."""
    effect(f"work {what.name}")
    await asyncio.sleep(what.seconds)
    return what.name


@weaver.workflow("broken")
async def broken(run: Run, what: Work) -> str:
    """Fail until the file says otherwise."""
    if "mended" not in EFFECTS.read_text():
        raise RuntimeError("not yet")
    return what.name
