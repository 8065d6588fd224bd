"""From a task to a run: the handler that a task engine is given."""

from __future__ import annotations

import asyncio

from weaver_ai.agents.events import RunFinished
from weaver_ai.agents.replay import Replay
from weaver_ai.agents.result import Ledger, RunResult
from weaver_ai.agents.run import Runner
from weaver_ai.errors import RunCancelled, RunFailed, WeaverError
from weaver_ai.tasks import TaskContext, TaskError, TaskHandler, TaskOutcome

__all__ = ["task_handler"]


def task_handler(runner: Runner) -> TaskHandler:
    """A handler that runs whoever has the task's capability, and tells the run's events as the task's.

    A failed or cancelled task still says what it used. The result is the run's, as `RunResult.to_json` has it.
    """

    async def handle(context: TaskContext) -> TaskOutcome:
        ledger = Ledger()
        try:
            result = await _run(runner, context, ledger)
        except asyncio.CancelledError:
            # The engine's task ends here, so that nothing is left to cancel; the outcome carries what was used.
            return _failed(RunCancelled("the task was cancelled"), ledger)
        except WeaverError as error:
            return _failed(error, ledger)
        return TaskOutcome(
            result=result.to_json(),
            usage=result.usage.to_json(),
            cost=None if result.cost is None else float(result.cost),
        )

    return handle


async def _run(runner: Runner, context: TaskContext, ledger: Ledger) -> RunResult:
    entry = runner.weaver.find_capability(context.record.capability)
    result: RunResult | None = None
    replay = None if context.steps is None else Replay(context.steps)
    async for event in runner.stream(entry, context.record.input, ledger=ledger, replay=replay):
        if isinstance(event, RunFinished):
            result = event.result
        else:
            await context.emit(event.type, event.to_json())
    if result is None:
        raise RunFailed("the run ended without a result")
    return result


def _failed(error: WeaverError, ledger: Ledger) -> TaskOutcome:
    return TaskOutcome(
        error=TaskError.of(error),
        usage=ledger.usage.to_json(),
        cost=None if ledger.cost is None else float(ledger.cost),
    )
