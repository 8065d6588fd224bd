"""The engine in this process: asyncio, bounded, no server. What it accepted is lost when the process dies."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from weaver_ai.tasks.engine import DrainReport, EngineHealth, TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.event_log import EventLog
from weaver_ai.tasks.payloads import (
    CANCELLED,
    DRAINED,
    IDEMPOTENCY_SECONDS,
    checked_outcome,
    error_of,
    fingerprint_of,
    json_value,
    position_of,
)
from weaver_ai.tasks.record import Priority, TaskError, TaskEvent, TaskRecord, TaskRequest, state_of

__all__ = ["EmbeddedEngine"]

_PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")


class EmbeddedEngine:
    """Runs tasks in the event loop that started it, the highest priority first, first come first served within one.

    A task runs in an empty `contextvars` context, under the trace context of its record: like one that another
    process took from a queue, it sees nothing of the request that submitted it.

    Args:
        handler: does the work; see `TaskHandler`.
        concurrency: tasks that run at the same time.
        queue_size: tasks that may wait.
        ttl_seconds: how long a finished task can be read. One with an idempotency key stays for 24 hours at least.
        max_finished: finished tasks that are kept at most; the oldest go first. Those whose idempotency key is
            still honoured don't count, and don't go: beyond this number the oldest of them give up their events.
        max_keys: idempotency keys that are honoured at the same time; a new one beyond them is refused.
        max_events: events kept of a task; the oldest go first.
        unwind_seconds: how long a cancelled task has until nobody waits for it any more.
        clock: seconds, monotonic.
    """

    name = "weaver_embedded"

    def __init__(
        self,
        handler: TaskHandler,
        *,
        concurrency: int = 16,
        queue_size: int = 1000,
        ttl_seconds: float = 86_400.0,
        max_finished: int = 10_000,
        max_keys: int = 100_000,
        max_events: int = 1_000,
        unwind_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handler = handler
        self._concurrency = concurrency
        self._queue_size = queue_size
        self._ttl_seconds = ttl_seconds
        self._max_finished = max_finished
        self._max_keys = max_keys
        self._max_events = max_events
        self._unwind_seconds = unwind_seconds
        self._clock = clock
        self._started = False
        self._draining = False
        self._drain: asyncio.Task[DrainReport] | None = None
        self._entries: dict[str, _Entry] = {}
        self._queues: dict[Priority, OrderedDict[str, _Entry]] = {priority: OrderedDict() for priority in _PRIORITIES}
        self._running: dict[str, _Entry] = {}
        self._keys: OrderedDict[str, _Key] = OrderedDict()
        self._kept: OrderedDict[str, _Entry] = OrderedDict()  # finished, without a key that is still honoured
        self._keyed: OrderedDict[str, _Entry] = OrderedDict()  # finished, with one, and with all their events
        self._mean_seconds = 1.0

    async def start(self) -> None:
        self._started = True
        self._pump()

    async def submit(self, request: TaskRequest) -> TaskRecord:
        self._expire()
        fingerprint = fingerprint_of(request)
        if (known := self._known(request.idempotency_key, fingerprint)) is not None:
            return known.record
        task_id = uuid4().hex
        with tracing.submitting(self.name, task_id, request) as traceparent:
            self._refuse_if_closed(request)
            entry = _Entry(
                record=TaskRecord(
                    id=task_id,
                    capability=request.capability,
                    input=json_value(request.input),
                    priority=request.priority,
                    metadata={key: json_value(value) for key, value in request.metadata.items()},
                    idempotency_key=request.idempotency_key,
                    created_at=datetime.now(UTC),
                    traceparent=traceparent,
                    trace_id=tracing.trace_id_of(traceparent),
                ),
                events=EventLog(self._max_events),
            )
            self._accept(entry, fingerprint)
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
        queued, running = self._queued(), len(self._running)
        if not self._started:
            return EngineHealth(state="down", reason="not started", queued=queued, running=running)
        if self._draining:
            return EngineHealth(state="degraded", reason="draining", queued=queued, running=running)
        if queued >= self._queue_size:
            return EngineHealth(state="degraded", reason="the queue is full", queued=queued, running=running)
        return EngineHealth(state="ok", queued=queued, running=running)

    def _find(self, task_id: str) -> _Entry:
        self._expire()
        entry = self._entries.get(task_id)
        # One that was kept for its key may stand behind others that expire later.
        if entry is None or (entry.key_expires is None and entry.expires <= self._clock()):
            raise TaskNotFound(f"no task {task_id!r}", hint="finished tasks can be read for a limited time")
        return entry

    def _known(self, key: str | None, fingerprint: str) -> _Entry | None:
        if key is None or (known := self._keys.get(key)) is None:
            return None
        if known.fingerprint != fingerprint:
            raise IdempotencyConflict(
                f"the idempotency key {key!r} was used with another body",
                hint="send a new key with a new body",
            )
        return self._entries[known.task_id]

    def _refuse_if_closed(self, request: TaskRequest) -> None:
        if self._draining:
            raise Draining("the service is shutting down and takes no new tasks", retry_after=5.0)
        if not self._started:
            raise EngineUnavailable("the task engine hasn't started", retry_after=1.0)
        if self._queued() >= self._queue_size:
            raise QueueFull(f"{self._queue_size} tasks are waiting already", retry_after=self._wait_estimate())
        if request.idempotency_key is not None and len(self._keys) >= self._max_keys:
            raise QueueFull(
                f"{self._max_keys} idempotency keys are in use already",
                hint="keys are honoured for 24 hours",
                retry_after=60.0,
            )

    def _accept(self, entry: _Entry, fingerprint: str) -> None:
        record = entry.record
        self._entries[record.id] = entry
        self._queues[record.priority][record.id] = entry
        if record.idempotency_key is not None:
            entry.key_expires = self._clock() + IDEMPOTENCY_SECONDS
            self._keys[record.idempotency_key] = _Key(fingerprint, record.id, entry.key_expires)
        entry.events.add("task.queued", {"priority": record.priority})

    def _queued(self) -> int:
        return sum(map(len, self._queues.values()))

    def _wait_estimate(self) -> float:
        return round(min(max(self._mean_seconds * self._queued() / self._concurrency, 1.0), 60.0), 1)

    def _pump(self) -> None:
        while self._started and len(self._running) < self._concurrency and (entry := self._next()) is not None:
            self._begin(entry)

    def _next(self) -> _Entry | None:
        for priority in _PRIORITIES:
            if self._queues[priority]:
                return self._queues[priority].popitem(last=False)[1]
        return None

    def _begin(self, entry: _Entry) -> None:
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

    async def _attempt(self, entry: _Entry) -> TaskOutcome:
        async def emit(kind: str, data: Mapping[str, JsonValue]) -> None:
            entry.events.add(kind, data)

        with tracing.processing(self.name, entry.record) as attempt:
            outcome = await self._handler(TaskContext(entry.record, emit))
            attempt.ended(outcome.error)
            return outcome

    def _settle(self, entry: _Entry, attempt: asyncio.Task[TaskOutcome]) -> None:
        if attempt.cancelled():
            outcome = TaskOutcome(error=entry.stopped or CANCELLED)
        elif (error := attempt.exception()) is not None:
            outcome = TaskOutcome(error=error_of(error, entry.record))
        else:
            outcome = checked_outcome(attempt.result(), entry.record)
        if entry.stopped is not None and outcome.error is not None and outcome.error.code == CANCELLED.code:
            outcome = TaskOutcome(error=entry.stopped, usage=outcome.usage, cost=outcome.cost)
        self._finish(entry, outcome)

    def _finish(self, entry: _Entry, outcome: TaskOutcome) -> None:
        if entry.record.finished:  # abandoned by a drain, and it did end after all
            return
        error = outcome.error
        state = state_of(error)
        entry.record = entry.record.but(
            state=state,
            result=outcome.result if error is None else None,
            error=error,
            usage=outcome.usage,
            cost=outcome.cost,
            finished_at=datetime.now(UTC),
        )
        self._running.pop(entry.record.id, None)
        if entry.began is not None:
            self._mean_seconds += 0.2 * (self._clock() - entry.began - self._mean_seconds)
        data: dict[str, JsonValue] = {} if error is None else {"code": error.code, "message": error.message}
        entry.events.add(f"task.{state}", data, last=True)
        entry.done.set()
        self._retain(entry)
        self._pump()

    def _stop(self, entry: _Entry, reason: TaskError) -> None:
        if entry.record.finished:
            return
        entry.stopped = entry.stopped or reason
        if entry.attempt is not None:
            entry.attempt.cancel()
        else:
            self._queues[entry.record.priority].pop(entry.record.id, None)
            self._finish(entry, TaskOutcome(error=reason))

    async def _wind_down(self, grace_seconds: float) -> DrainReport:
        pending = [entry for entry in self._entries.values() if not entry.record.finished]
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

    def _retain(self, entry: _Entry) -> None:
        entry.expires = self._clock() + self._ttl_seconds
        if entry.key_expires is None:
            self._keep(entry)
            return
        self._keyed[entry.record.id] = entry
        while len(self._keyed) > self._max_finished:
            self._keyed.popitem(last=False)[1].events.shrink()

    def _keep(self, entry: _Entry) -> None:
        self._kept[entry.record.id] = entry
        while len(self._kept) > self._max_finished:
            del self._entries[self._kept.popitem(last=False)[0]]

    def _expire(self) -> None:
        now = self._clock()
        while self._keys and next(iter(self._keys.values())).expires <= now:
            entry = self._entries[self._keys.popitem(last=False)[1].task_id]
            entry.key_expires = None
            if entry.record.finished:
                self._keyed.pop(entry.record.id, None)
                self._keep(entry)
        while self._kept and next(iter(self._kept.values())).expires <= now:
            del self._entries[self._kept.popitem(last=False)[0]]


@dataclass(frozen=True, slots=True)
class _Key:
    fingerprint: str
    task_id: str
    expires: float


@dataclass(slots=True, eq=False)
class _Entry:
    """A task's mutable side. `stopped` is why it was told to end, once it was."""

    record: TaskRecord
    events: EventLog
    done: asyncio.Event = field(default_factory=asyncio.Event)
    attempt: asyncio.Task[TaskOutcome] | None = None
    stopped: TaskError | None = None
    began: float | None = None
    key_expires: float | None = None
    expires: float = math.inf


async def _wait(done: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return


async def _wait_all(entries: list[_Entry], seconds: float) -> None:
    waits = [asyncio.create_task(entry.done.wait()) for entry in entries if not entry.record.finished]
    if waits:
        _, late = await asyncio.wait(waits, timeout=seconds)
        for wait in late:
            wait.cancel()
