"""One attempt at a task: the handler's work, its span, and whether another attempt follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from weaver_ai.errors import RunFailed
from weaver_ai.tasks import tracing
from weaver_ai.tasks.engine import TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED, checked_event, checked_outcome, error_of
from weaver_ai.tasks.record import TaskError, TaskRecord
from weaver_ai.tasks.schedule import DEADLINE_EXCEEDED, verdict_on
from weaver_ai.tasks.stopping import stopping

__all__ = ["Ended", "attempt", "retrying"]


_STRAY: Final = TaskError.of(
    RunFailed(
        "the task failed: something that it awaited was cancelled, and not the task",
        hint="catch the CancelledError of what the handler awaits",
    )
)


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an attempt; with `pause` it has failed, and another follows after so many seconds."""

    outcome: TaskOutcome
    pause: float | None = None


async def attempt(
    system: str,
    handler: TaskHandler,
    context: TaskContext,
    *,
    stopped: Callable[[], TaskError | None],
    chance: Callable[[], float | None],
) -> Ended:
    """Make an attempt, in a span of its own.

    Args:
        system: `messaging.system` of the span.
        handler: does the work.
        context: of the attempt.
        stopped: why the attempt was told to end, once it was.
        chance: a number from 0 to 1 that spreads the pauses; None where nobody could make another attempt.

    Raises:
        asyncio.CancelledError: it was cancelled, for another reason than its task's deadline.
    """
    record, asked = context.record, stopping()

    async def emit(kind: str, data: Mapping[str, JsonValue]) -> None:
        await context.emit(kind, checked_event(kind, data))

    with tracing.processing(system, record) as span:
        try:
            outcome = checked_outcome(await handler(replace(context, emit=emit)), record)
        except asyncio.CancelledError:
            if (reason := stopped()) is None and not asked():
                outcome = TaskOutcome(error=_STRAY)
            elif reason is not DEADLINE_EXCEEDED:
                raise
            else:
                outcome = TaskOutcome(error=DEADLINE_EXCEEDED)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything, and its task then has failed
            span.raised(error)
            outcome = TaskOutcome(error=error_of(error, record))
        if outcome.error is not None and outcome.error.code == CANCELLED.code and stopped() is DEADLINE_EXCEEDED:
            outcome = replace(outcome, error=DEADLINE_EXCEEDED)
        ended = _ended(outcome, record, None if stopped() is not None else chance())
        span.ended(ended.outcome.error, ended.pause)
        return ended


def retrying(record: TaskRecord, error: TaskError, pause: float) -> Mapping[str, JsonValue]:
    """The data of the event that tells of an attempt which failed and is followed by another."""
    return {"attempt": record.attempts, "code": error.code, "message": error.message, "delay_seconds": round(pause, 3)}


def _ended(outcome: TaskOutcome, record: TaskRecord, chance: float | None) -> Ended:
    if outcome.error is None or chance is None:
        return Ended(outcome)
    verdict = verdict_on(record, outcome.error, datetime.now(UTC), chance)
    return Ended(replace(outcome, error=verdict.error), verdict.pause)
