"""What a task engine promises. The embedded one keeps it in one process, another on a server.

An engine knows nothing of agents: it is given a handler, and what the handler does is its own affair.
Payloads are JSON, so that every engine can carry them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from pydantic import JsonValue

from weaver_ai.tasks.record import TaskError, TaskEvent, TaskRecord, TaskRequest
from weaver_ai.tasks.steps import StepLog

__all__ = ["DrainReport", "Engine", "EngineHealth", "TaskContext", "TaskHandler", "TaskOutcome"]


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a handler gets: the task's record, as it stood when the attempt began, and a way to tell of progress.

    `steps` are kept with the task, so that an attempt goes on where another broke off; None where none can follow.
    """

    record: TaskRecord
    emit: Callable[[str, Mapping[str, JsonValue]], Awaitable[None]]
    steps: StepLog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """What came of an attempt. With `error` it has failed, and usage and cost still count.

    `kept_usage` and `kept_cost` are the share of steps that are kept with the task; a later attempt, which replays
    them, counts them again.
    """

    result: JsonValue = None
    error: TaskError | None = None
    usage: Mapping[str, int] | None = None
    cost: float | None = None
    kept_usage: Mapping[str, int] | None = None
    kept_cost: float | None = 0.0


TaskHandler: TypeAlias = Callable[[TaskContext], Awaitable[TaskOutcome]]
"""Does the work of one attempt. It may raise a WeaverError instead of returning an outcome with that error;
a cancelled handler lets CancelledError through, or returns an outcome with the error `run-cancelled`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainReport:
    """What became of the tasks that were there when a drain began, as ids.

    Attributes:
        finished: ran to their end within the grace.
        cancelled: were stopped, or never started; their records say so, with the code `draining`.
        handed_back: are still queued, for another worker to take. The embedded engine has nobody to hand them to.
        abandoned: didn't heed their cancellation in time; their records are closed as cancelled, too.
    """

    finished: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    handed_back: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHealth:
    """How an engine is. `latency` is that of a round trip to its server in seconds, None without a server.

    `queued` tasks wait for a place, `scheduled` ones for their time.
    """

    state: Literal["ok", "degraded", "down"]
    reason: str | None = None
    latency: float | None = None
    queued: int = 0
    scheduled: int = 0
    running: int = 0
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


class Engine(Protocol):
    """Takes tasks, runs each through its handler, and answers for them until their records expire."""

    @property
    def name(self) -> str:
        """`messaging.system` of its spans."""
        ...

    async def start(self) -> None:
        """Begin to run tasks. Idempotent; in the event loop that later calls come from."""
        ...

    async def submit(self, request: TaskRequest) -> TaskRecord:
        """Accept a task. An accepted task has, sooner or later, a result or a named failure.

        Raises:
            InvalidInput: the payload isn't JSON, or its times contradict each other or lie in the past.
            IdempotencyConflict: the key was used with another body within 24 hours.
            QueueFull: too many tasks wait; `retry_after` says when another try is worth it.
            Draining: the engine is shutting down.
            EngineUnavailable: the engine hasn't started, or its server can't be reached; nothing was accepted.
        """
        ...

    async def status(self, task_id: str) -> TaskRecord:
        """The task as it stands.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        ...

    async def result(self, task_id: str, *, timeout_seconds: float | None = None) -> TaskRecord:
        """Wait until the task has finished, at most `timeout_seconds`, and give its record as it stands then.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        ...

    async def cancel(self, task_id: str) -> TaskRecord:
        """Stop a task, scheduled, queued or running; a finished one stays as it is.

        Returns when the task has ended, or when it has not heeded its cancellation for a few seconds.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        ...

    def events(self, task_id: str, *, after: str | None = None) -> AsyncIterator[TaskEvent]:
        """The task's events from the first, or from the one after `after`, until the one that ends the task.

        Events that are no longer kept are replaced by one of type `events.dropped` with their `count`.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
            InvalidInput: `after` is no event id of this engine.
        """
        ...

    async def drain(self, grace_seconds: float) -> DrainReport:
        """Take no more tasks, let running ones go on for `grace_seconds`, then end them. Idempotent."""
        ...

    async def health(self) -> EngineHealth:
        """How the engine is, without raising."""
        ...
