"""From a task to a run: the handler that a task engine is given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from weaver_ai.agents.events import RunFinished
from weaver_ai.agents.registry import Entry, Weaver
from weaver_ai.agents.replay import Replay
from weaver_ai.agents.result import Ledger, RunResult
from weaver_ai.agents.run import Runner
from weaver_ai.errors import RunCancelled, RunFailed, WeaverError
from weaver_ai.tasks import TaskContext, TaskError, TaskHandler, TaskOutcome, TaskPolicy

__all__ = ["task_handler", "task_policies"]


def task_handler(runner: Runner) -> TaskHandler:
    """A handler that runs whoever has the task's capability, and tells the run's events as the task's.

    A failed or cancelled task still says what it used. The result is the run's, as `RunResult.to_json` has it.
    """

    async def handle(context: TaskContext) -> TaskOutcome:
        ledger = Ledger()
        replay = None if context.steps is None else Replay(context.steps)
        kept = Ledger() if replay is None else replay.kept
        try:
            result = await _run(runner, context, ledger, replay)
        except asyncio.CancelledError:
            # The engine's task ends here, so that nothing is left to cancel; the outcome carries what was used.
            return _failed(RunCancelled("the task was cancelled"), ledger, kept)
        except WeaverError as error:
            return _failed(error, ledger, kept)
        return TaskOutcome(
            result=result.to_json(),
            usage=result.usage.to_json(),
            cost=None if result.cost is None else float(result.cost),
        )

    return handle


def task_policies(weaver: Weaver) -> Mapping[str, TaskPolicy]:
    """How the tasks of each capability are run, also of those that are registered later."""
    return _Policies(weaver.capabilities)


async def _run(runner: Runner, context: TaskContext, ledger: Ledger, replay: Replay | None) -> RunResult:
    entry = runner.weaver.find_capability(context.record.capability)
    result: RunResult | None = None
    async for event in runner.stream(entry, context.record.input, ledger=ledger, replay=replay):
        if isinstance(event, RunFinished):
            result = event.result
        else:
            await context.emit(event.type, event.to_json())
    if result is None:
        raise RunFailed("the run ended without a result")
    return result


def _failed(error: WeaverError, ledger: Ledger, kept: Ledger) -> TaskOutcome:
    return TaskOutcome(
        error=TaskError.of(error),
        usage=ledger.usage.to_json(),
        cost=None if ledger.cost is None else float(ledger.cost),
        kept_usage=kept.usage.to_json(),
        kept_cost=None if kept.cost is None else float(kept.cost),
    )


class _Policies(Mapping[str, TaskPolicy]):
    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, capability: str) -> TaskPolicy:
        return self._entries[capability].tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
