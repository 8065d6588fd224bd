"""What the cluster of the tests serves. Every effect is a line in the file that DESK_EFFECTS names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from weaver_ai.agents import Retry, Run, Weaver
from weaver_ai.errors import ProviderUnavailable

EFFECTS = Path(os.environ.get("DESK_EFFECTS", "effects.txt"))

weaver = Weaver("cluster-desk")


class Work(BaseModel):
    name: str
    seconds: float = 0.0


def effect(line: str) -> None:
    """One line, at once: an append of this size is atomic."""
    with EFFECTS.open("a") as file:
        file.write(f"{line}\n")


async def _echo(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
    last = messages[-1].parts[-1]
    text = str(getattr(last, "content", ""))
    if text.endswith("slowly"):
        await asyncio.sleep(0.5)
    if "endlessly" in text:
        await _endlessly(text)
    effect(f"echo {text}")
    yield text


async def _endlessly(text: str) -> None:
    effect(f"asking {text}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        effect(f"cancelled {text}")
        raise


weaver.agent(Agent(FunctionModel(stream_function=_echo, model_name="echo"), name="echo"))


@weaver.workflow("chore")
async def chore(run: Run, what: Work) -> str:
    """Take effect, then take time."""
    effect(f"chore {what.name}")
    await asyncio.sleep(what.seconds)
    return what.name


@weaver.workflow("chain")
async def chain(run: Run, what: Work) -> str:
    """Two steps, and between them time to die."""
    first = await run("echo", f"{what.name} one")
    effect(f"pid {what.name} {os.getpid()}")
    await asyncio.sleep(what.seconds)
    return (await run("echo", f"{first.text} two")).text


@weaver.workflow("two-chains")
async def two_chains(run: Run, what: Work) -> list[str]:
    """Two chains at once, of which the one that begins first gets on last; then time to die, in the middle of both."""

    async def chain_of(start: str, mark: str | None = None) -> str:
        first = await run("echo", start)
        second = await run("echo", f"{first.text} two")
        if mark is not None:
            effect(mark)
        await asyncio.sleep(what.seconds)
        return (await run("echo", f"{second.text} three")).text

    left = chain_of(f"{what.name} slowly", f"pid {what.name} {os.getpid()}")
    return list(await asyncio.gather(left, chain_of(f"{what.name} quickly")))


@weaver.workflow("fickle")
async def fickle(run: Run, what: Work) -> str:
    """Ask for something else in each process, which a workflow must not do."""
    await run("echo", f"{what.name} {os.getpid()}")
    effect(f"pid {what.name} {os.getpid()}")
    await asyncio.sleep(what.seconds)
    return what.name


@weaver.workflow("shaky", retry=Retry(retries=2, pause_seconds=3.0))
async def shaky(run: Run, what: Work) -> str:
    """Take a step, and fail the first time as a provider would."""
    first = await run("echo", f"{what.name} step")
    effect(f"pid {what.name} {os.getpid()}")
    if EFFECTS.read_text().count(f"pid {what.name} ") == 1:
        raise ProviderUnavailable("the provider is unavailable: status 503")
    return first.text


@weaver.workflow("narrow", concurrency=2)
async def narrow(run: Run, what: Work) -> str:
    """Take time, two at a time."""
    effect(f"pid {what.name} {os.getpid()}")
    await asyncio.sleep(what.seconds)
    return what.name


@weaver.workflow("broken")
async def broken(run: Run, what: Work) -> str:
    """Fail until the file says otherwise."""
    if "mended" not in EFFECTS.read_text():
        raise RuntimeError("not yet")
    return what.name
