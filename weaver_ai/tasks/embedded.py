"""The engine in this process: asyncio, bounded, no server. What it accepted is lost when the process dies."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import random
from typing import Final
from uuid import uuid4

from pydantic import JsonValue

from weaver_ai.errors import (
    Draining,
    EngineUnavailable,
    IdempotencyConflict,
    QueueFull,
    TaskNotFound,
)
from weaver_ai.tasks import tracing
from weaver_ai.tasks.attempt import Ended, attempt, retrying
from weaver_ai.tasks.engine import DrainReport, EngineHealth, TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.entries import Entries, Entry
from weaver_ai.tasks.event_log import EventLog
from weaver_ai.tasks.lines import Lines
from weaver_ai.tasks.payloads import (
    CANCELLED,
    DRAINED,
    error_of,
    fingerprint_of,
    position_of,
)
from weaver_ai.tasks.record import TaskError, TaskEvent, TaskRecord, TaskRequest, state_of
from weaver_ai.tasks.retry import TaskPolicy
from weaver_ai.tasks.schedule import DEADLINE_EXCEEDED, Times, accepted, retry_of, times_of
from weaver_ai.tasks.steps import StepLog

__all__ = ["EmbeddedEngine"]

_TIMER_GRAIN: Final = 0.001  # seconds; a timer of uvloop may be so much early, and a task must not be


class EmbeddedEngine:
    """Runs tasks in the event loop that started it, the highest priority first, first come first served within one.

    A task runs in an empty `contextvars` context, under the trace context of its record: like one that another
    process took from a queue, it sees nothing of the request that submitted it.

    Args:
        handler: does the work; see `TaskHandler`.
        policies: how tasks of a capability are run, where that isn't the default; looked up when it is needed.
        concurrency: tasks that run at the same time.
        queue_size: tasks that may wait, for a place or for their time.
        ttl_seconds: how long a finished task can be read. One with an idempotency key stays for 24 hours at least.
        max_finished: finished tasks that are kept at most; the oldest go first. Those whose idempotency key is
            still honoured don't count, and don't go.
        max_whole: finished tasks that are kept with all their events; older ones have their last only.
        max_bytes: what tasks may hold of memory, roughly. Beyond it the oldest finished ones go, and where that isn't
            enough, for those that wait, run or have an idempotency key stay, new ones are refused.
        max_keys: idempotency keys that are honoured at the same time; a new one beyond them is refused.
        max_events: events kept of a task; the oldest go first.
        unwind_seconds: how long a cancelled task has until nobody waits for it any more.
        clock: seconds, monotonic; `time.monotonic`, as it is at the time, where none is given.
        chance: draws a number from 0 to 1 for each pause before a retry.
    """

    name = "weaver_embedded"

    def __init__(
        self,
        handler: TaskHandler,
        *,
        policies: Mapping[str, TaskPolicy] | None = None,
        concurrency: int = 16,
        queue_size: int = 1000,
        ttl_seconds: float = 86_400.0,
        max_finished: int = 10_000,
        max_whole: int = 200,
        max_bytes: int = 2**28,
        max_keys: int = 100_000,
        max_events: int = 1_000,
        unwind_seconds: float = 5.0,
        clock: Callable[[], float] | None = None,
        chance: Callable[[], float] = random,
    ) -> None:
        self._handler = handler
        self._policies = policies or {}
        self._concurrency = concurrency
        self._queue_size = queue_size
        self._max_events = max_events
        self._unwind_seconds = unwind_seconds
        self._clock = clock or _monotonic
        self._chance = chance
        self._started = False
        self._draining = False
        self._drain: asyncio.Task[DrainReport] | None = None
        self._entries = Entries(
            ttl_seconds=ttl_seconds,
            max_finished=max_finished,
            max_whole=max_whole,
            max_keys=max_keys,
            max_bytes=max_bytes,
            clock=self._clock,
        )
        self._lines = Lines(lambda capability: self._policy(capability).concurrency)
        self._scheduled: dict[str, Entry] = {}
        self._running: dict[str, Entry] = {}
        self._mean_seconds = 1.0

    async def start(self) -> None:
        self._started = True
        self._pump()

    async def submit(self, request: TaskRequest) -> TaskRecord:
        fingerprint = fingerprint_of(request)
        if (known := self._known(request.idempotency_key, fingerprint)) is not None:
            return known.record
        times = times_of(request, datetime.now(UTC))
        retry = retry_of(request, self._policy(request.capability))
        task_id = uuid4().hex
        with tracing.submitting(self.name, task_id, request, times.delay) as trace:
            self._refuse_if_closed(request)
            record = accepted(task_id, request, datetime.now(UTC), times=times, retry=retry, trace=trace)
            entry = Entry(record=record, events=EventLog(self._max_events))
            self._accept(entry, fingerprint, times)
        self._pump()
        return entry.record

    async def status(self, task_id: str) -> TaskRecord:
        return self._find(task_id).record

    async def result(self, task_id: str, *, timeout_seconds: float | None = None) -> TaskRecord:
        entry = self._find(task_id)
        await _wait(entry.done, timeout_seconds)
        return entry.record

    async def cancel(self, task_id: str) -> TaskRecord:
        entry = self._find(task_id)
        self._stop(entry, CANCELLED)
        await _wait(entry.done, self._unwind_seconds)
        return entry.record

    def events(self, task_id: str, *, after: str | None = None) -> AsyncIterator[TaskEvent]:
        return self._find(task_id).events.read(position_of(after))

    async def drain(self, grace_seconds: float) -> DrainReport:
        if self._drain is None:
            self._draining = True
            self._drain = asyncio.create_task(self._wind_down(grace_seconds), name="weaver drain")
        return await asyncio.shield(self._drain)

    async def health(self) -> EngineHealth:
        found = EngineHealth(
            state="ok",
            queued=len(self._lines),
            scheduled=len(self._scheduled),
            running=len(self._running),
            detail={"waiting": dict[str, JsonValue](self._lines.waiting())} if self._started else {},
        )
        if not self._started:
            return replace(found, state="down", reason="not started")
        if self._draining:
            return replace(found, state="degraded", reason="draining")
        if self._waiting() >= self._queue_size:
            return replace(found, state="degraded", reason="the queue is full")
        return found

    def _policy(self, capability: str) -> TaskPolicy:
        return self._policies.get(capability) or TaskPolicy()

    def _find(self, task_id: str) -> Entry:
        entry = self._entries.find(task_id)
        if entry is None:
            raise TaskNotFound(f"no task {task_id!r}", hint="finished tasks can be read for a limited time")
        return entry

    def _known(self, key: str | None, fingerprint: str) -> Entry | None:
        if key is None or (known := self._entries.known(key)) is None:
            return None
        if known[0] != fingerprint:
            raise IdempotencyConflict(
                f"the idempotency key {key!r} was used with another body",
                hint="send a new key with a new body",
            )
        return known[1]

    def _refuse_if_closed(self, request: TaskRequest) -> None:
        if self._draining:
            raise Draining("the service is shutting down and takes no new tasks", retry_after=5.0)
        if not self._started:
            raise EngineUnavailable("the task engine hasn't started", retry_after=1.0)
        if self._waiting() >= self._queue_size:
            raise QueueFull(f"{self._queue_size} tasks are waiting already", retry_after=self._wait_estimate())
        if not self._entries.takes_more:
            raise QueueFull(
                f"tasks hold {self._entries.held_bytes / 1e6:.0f} MB of memory, and no more may be taken",
                hint="tasks that wait, and those whose idempotency keys are honoured, stay; WEAVER_TASK_MEMORY_MB",
                retry_after=self._wait_estimate() if self._waiting() else 60.0,
            )
        if request.idempotency_key is not None and not self._entries.takes_keys:
            raise QueueFull(
                f"{self._entries.max_keys} idempotency keys are in use already",
                hint="keys are honoured for 24 hours",
                retry_after=60.0,
            )

    def _accept(self, entry: Entry, fingerprint: str, times: Times) -> None:
        record = entry.record
        self._entries.add(entry, fingerprint)
        if times.deadline is not None:
            entry.overdue = asyncio.get_running_loop().call_later(times.deadline, self._overdue, entry)
        if times.delay > 0:
            entry.events.add("task.scheduled", {"priority": record.priority, "delay_seconds": round(times.delay, 3)})
            self._schedule(entry, times.delay)
        else:
            self._enqueue(entry)

    def _waiting(self) -> int:
        return len(self._lines) + len(self._scheduled)

    def _wait_estimate(self) -> float:
        return round(min(max(self._mean_seconds * len(self._lines) / self._concurrency, 1.0), 60.0), 1)

    def _schedule(self, entry: Entry, seconds: float) -> None:
        self._scheduled[entry.record.id] = entry
        entry.due = asyncio.get_running_loop().call_later(seconds + _TIMER_GRAIN, self._due, entry)

    def _due(self, entry: Entry) -> None:
        del self._scheduled[entry.record.id]
        entry.record = entry.record.but(state="queued", next_attempt_at=None)
        self._enqueue(entry)
        self._pump()

    def _enqueue(self, entry: Entry) -> None:
        record = entry.record
        self._lines.add(record.id, record.priority, record.capability)
        entry.events.add("task.queued", {"priority": record.priority})

    def _pump(self) -> None:
        while self._started and len(self._running) < self._concurrency and (task_id := self._lines.take()) is not None:
            self._begin(self._entries.by_id[task_id])

    def _begin(self, entry: Entry) -> None:
        record = entry.record = entry.record.but(
            state="running", attempts=entry.record.attempts + 1, started_at=datetime.now(UTC)
        )
        entry.began = self._clock()
        self._running[record.id] = entry
        entry.events.add("task.started", {"attempt": record.attempts})
        entry.attempt = asyncio.create_task(
            self._attempt(entry), name=f"weaver task {record.id}", context=contextvars.Context()
        )
        # The callback settles the record even when the attempt is cancelled before its first step.
        entry.attempt.add_done_callback(lambda attempt: self._settle(entry, attempt))

    async def _attempt(self, entry: Entry) -> Ended:
        async def emit(kind: str, data: Mapping[str, JsonValue]) -> None:
            entry.events.add(kind, data)

        async def keep(step: str, value: JsonValue) -> None:
            entry.steps[step] = value

        steps = StepLog(entry.steps, keep) if entry.record.retries else None
        return await attempt(
            self.name,
            self._handler,
            TaskContext(entry.record, emit, steps),
            stopped=lambda: entry.stopped,
            # Nothing that is put off is seen to after a drain.
            chance=lambda: None if self._draining else self._chance(),
        )

    def _settle(self, entry: Entry, attempt: asyncio.Task[Ended]) -> None:
        if entry.record.finished:  # abandoned by a drain, and it did end after all
            return
        if attempt.cancelled():
            ended = Ended(TaskOutcome(error=entry.stopped or CANCELLED))
        elif (raised := attempt.exception()) is not None:
            ended = Ended(TaskOutcome(error=error_of(raised, entry.record)))
        else:
            ended = attempt.result()
        outcome, error = ended.outcome, ended.outcome.error
        if error is not None and ended.pause is not None and entry.stopped is None:
            self._put_off(entry, outcome, error, ended.pause)
            return
        # It was stopped as an attempt that failed ended, or it heeded its cancellation.
        if (
            entry.stopped is not None
            and error is not None
            and (ended.pause is not None or error.code == CANCELLED.code)
        ):
            outcome = replace(outcome, error=entry.stopped)
        self._finish(entry, entry.spent.and_last(outcome))

    def _put_off(self, entry: Entry, outcome: TaskOutcome, error: TaskError, pause: float) -> None:
        """An attempt has failed, and another is made after the pause."""
        record, entry.attempt = entry.record, None
        entry.spent = entry.spent.and_failed(outcome)
        entry.record = record.but(
            state="scheduled",
            retried=record.retried + 1,
            last_error=error,
            next_attempt_at=datetime.now(UTC) + timedelta(seconds=pause),
            usage=entry.spent.usage,
            cost=entry.spent.cost,
        )
        self._free(entry)
        entry.events.add("task.retrying", retrying(record, error, pause))
        self._schedule(entry, pause)
        self._pump()

    def _free(self, entry: Entry) -> None:
        if self._running.pop(entry.record.id, None) is not None:
            self._lines.ended(entry.record.capability)

    def _finish(self, entry: Entry, outcome: TaskOutcome) -> None:
        error = outcome.error
        state = state_of(error)
        for timer in (entry.due, entry.overdue):
            if timer is not None:
                timer.cancel()
        entry.record = entry.record.but(
            state=state,
            result=outcome.result if error is None else None,
            error=error,
            usage=outcome.usage,
            cost=outcome.cost,
            next_attempt_at=None,
            finished_at=datetime.now(UTC),
        )
        self._free(entry)
        if entry.began is not None:
            self._mean_seconds += 0.2 * (self._clock() - entry.began - self._mean_seconds)
        data: dict[str, JsonValue] = {} if error is None else {"code": error.code, "message": error.message}
        entry.events.add(f"task.{state}", data, last=True)
        entry.steps.clear()
        entry.done.set()
        self._entries.ended(entry)
        self._pump()

    def _overdue(self, entry: Entry) -> None:
        if entry.stopped is None:
            self._stop(entry, DEADLINE_EXCEEDED)

    def _stop(self, entry: Entry, reason: TaskError) -> None:
        if entry.record.finished:
            return
        entry.stopped = entry.stopped or reason
        if entry.attempt is not None:
            entry.attempt.cancel()
        else:
            record = entry.record
            self._lines.remove(record.id, record.priority, record.capability)
            self._scheduled.pop(record.id, None)
            self._finish(entry, entry.spent.and_last(TaskOutcome(error=reason)))

    async def _wind_down(self, grace_seconds: float) -> DrainReport:
        pending = [entry for entry in self._entries.by_id.values() if not entry.record.finished]
        until = asyncio.get_running_loop().time() + grace_seconds
        for entry in list(self._scheduled.values()):
            if entry.due is not None and entry.due.when() > until:
                self._stop(entry, DRAINED)
        await _wait_all(pending, grace_seconds)
        for entry in pending:
            self._stop(entry, DRAINED)
        await _wait_all(pending, self._unwind_seconds)
        abandoned = [entry for entry in pending if not entry.record.finished]
        for entry in abandoned:
            self._finish(entry, TaskOutcome(error=DRAINED))
        ended = [entry.record for entry in pending if entry not in abandoned]
        return DrainReport(
            finished=tuple(record.id for record in ended if record.error != DRAINED),
            cancelled=tuple(record.id for record in ended if record.error == DRAINED),
            abandoned=tuple(entry.record.id for entry in abandoned),
        )


async def _wait(done: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return


async def _wait_all(entries: list[Entry], seconds: float) -> None:
    waits = [asyncio.create_task(entry.done.wait()) for entry in entries if not entry.record.finished]
    if waits:
        _, late = await asyncio.wait(waits, timeout=seconds)
        for wait in late:
            wait.cancel()


def _monotonic() -> float:
    return time.monotonic()
