"""Workflows of any shape that lose their worker, again and again, while steps of theirs run at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeAlias

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from weaver_ai.agents import Run, Runner, Weaver
from weaver_ai.agents.events import RunFinished
from weaver_ai.agents.replay import Replay
from weaver_ai.settings import load_settings
from weaver_ai.tasks.steps import StepLog

PATIENCE = 60.0
AGENTS = ("a", "b", "c")

Shape: TypeAlias = list[Any]
"""JSON: ["step", agent], or a kind and the shapes that it is made of."""
Walk: TypeAlias = Callable[[], Coroutine[Any, Any, str]]


@dataclass
class Desk:
    """The agents, each call of which waits until it is told to go on, and a workflow for every shape."""

    def __post_init__(self) -> None:
        self.weaver = Weaver("concurrent")
        self.waiting: list[tuple[str, asyncio.Event]] = []
        self.answered: Counter[str] = Counter()
        for name in AGENTS:
            self.weaver.agent(Agent(FunctionModel(stream_function=self._model(name)), name=name))
        self.weaver.workflow("shaped")(self._shaped)
        self.runner = Runner(self.weaver, load_settings(env_file=None))

    def _model(self, name: str) -> Callable[[list[ModelMessage], AgentInfo], AsyncIterator[str]]:
        async def answer(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
            asked = str(getattr(messages[-1].parts[-1], "content", ""))
            go_on = asyncio.Event()
            self.waiting.append((f"{name} {asked}", go_on))
            await go_on.wait()
            self.answered[f"{name} {asked}"] += 1
            yield f"{name}({asked})"

        return answer

    async def _shaped(self, run: Run, what: dict[str, JsonValue]) -> str:
        shape: Any = what["shape"]
        return await self._walk(run, shape, str(what["text"]))

    async def _walk(self, run: Run, shape: Shape, text: str) -> str:
        kind, *parts = shape
        if kind == "step":
            return (await run(parts[0], text)).text
        if kind == "inner":
            return str((await run("shaped", {"shape": parts[0], "text": text})).output)
        if kind == "chain":
            for part in parts:
                text = await self._walk(run, part, text)
            return text
        walks = [partial(self._walk, run, part, text) for part in parts]
        match kind:
            case "gather":
                texts = await asyncio.gather(*(walk() for walk in walks))
            case "group":
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(walk()) for walk in walks]
                texts = [task.result() for task in tasks]
            case "two at a time":
                texts = await self._two_at_a_time(walks)
            case _:
                texts = await self._as_they_end(run, walks)
        return "+".join(texts)

    @staticmethod
    async def _two_at_a_time(walks: list[Walk]) -> list[str]:
        room = asyncio.Semaphore(2)

        async def one(walk: Walk) -> str:
            async with room:
                return await walk()

        return await asyncio.gather(*map(one, walks))

    @staticmethod
    async def _as_they_end(run: Run, walks: list[Walk]) -> list[str]:
        tasks = [asyncio.create_task(walk()) for walk in walks]
        try:
            return sorted([(await run("a", await each)).text for each in asyncio.as_completed(tasks)])
        finally:  # `as_completed` leaves them behind when it is cancelled, where a worker's death doesn't
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def attempt(
        self, shape: Shape, kept: dict[str, JsonValue], order: Random, dies_after: int | None
    ) -> JsonValue | None:
        """What comes of an attempt whose steps end in that order; None when its worker dies, after so many steps."""
        alive = True
        finished = 0

        async def keep(step: str, entry: JsonValue) -> None:
            nonlocal finished
            if not alive:
                await asyncio.Event().wait()
            kept[step] = entry
            finished += 1

        async def run() -> JsonValue:
            value = {"shape": shape, "text": "x"}
            replay = Replay(StepLog(kept, keep))
            events = self.runner.stream(self.weaver.find_workflow("shaped"), value, replay=replay)
            results = [event.result async for event in events if isinstance(event, RunFinished)]
            return results[0].output

        self.waiting.clear()
        running = asyncio.create_task(run())
        try:
            async with asyncio.timeout(PATIENCE):
                while not running.done():
                    if dies_after is not None and finished >= dies_after:
                        return None
                    await self._one_ends(order)
                return running.result()
        finally:
            alive = False
            running.cancel()
            await asyncio.wait({running})

    async def _one_ends(self, order: Random) -> None:
        for _ in range(order.choice((1, 20, 200))):
            await asyncio.sleep(0)
        if self.waiting:
            self.waiting.pop(order.randrange(len(self.waiting)))[1].set()


def shapes() -> st.SearchStrategy[Shape]:
    kinds = st.sampled_from(("chain", "gather", "group", "two at a time", "as they end"))
    return st.recursive(
        st.sampled_from(AGENTS).map(lambda name: ["step", name]),
        lambda inner: (
            st.tuples(kinds, st.lists(inner, min_size=2, max_size=3)).map(lambda both: [both[0], *both[1]])
            | inner.map(lambda shape: ["inner", shape])
        ),
        max_leaves=6,
    )


TWO_CHAINS: Shape = ["gather", ["chain", ["step", "a"], ["step", "c"]], ["chain", ["step", "b"], ["step", "a"]]]
TWICE_THE_SAME: Shape = ["group", ["chain", ["step", "a"], ["step", "b"]], ["chain", ["step", "a"], ["step", "c"]]]


@given(shapes(), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 2**32))
@example(TWO_CHAINS, [2], 1)
@example(TWO_CHAINS, [3], 7)
@example(TWICE_THE_SAME, [1, 1], 3)
def test_no_finished_step_is_run_again_and_the_result_is_as_ever(shape: Shape, deaths: list[int], seed: int) -> None:
    asyncio.run(_lives_through(shape, deaths, seed))


async def _lives_through(shape: Shape, deaths: list[int], seed: int) -> None:
    desk = Desk()
    order = Random(seed)
    whole = await desk.attempt(shape, {}, order, None)
    needed = Counter(desk.answered)
    desk.answered.clear()
    kept: dict[str, JsonValue] = {}
    for dies_after in deaths:
        if (result := await desk.attempt(shape, kept, order, dies_after)) is not None:
            assert result == whole
        # A worker may die when a step has been answered and not been kept yet: that one is asked for again.
        desk.answered = Counter(_steps_of(kept))
    assert await desk.attempt(shape, kept, order, None) == whole
    assert desk.answered == needed
    assert Counter(_steps_of(kept)) == needed


def _steps_of(kept: dict[str, JsonValue]) -> list[str]:
    """What was asked of whom, of the steps that are kept: an answer is `a(asked)`."""
    found = []
    for entry in kept.values():
        assert isinstance(entry, dict)
        result = entry["result"]
        assert isinstance(result, dict)
        output = str(result["output"])
        found.append(f"{entry['capability']} {output[2:-1]}")
    return found
