"""A worker: takes turns, runs a task in each, and lets everyone know that it lives."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import uuid4

from pydantic import JsonValue

from weaver_ai.errors import EngineUnavailable
from weaver_ai.tasks import tracing
from weaver_ai.tasks.engine import DrainReport, TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED, checked_outcome, error_of
from weaver_ai.tasks.record import TaskRecord
from weaver_ai.tasks.redis_records import Heartbeat, RedisRecords
from weaver_ai.tasks.steps import StepLog
from weaver_ai.tasks.turns import Turns, TurnTaker
from weaver_ai.telemetry.logs import log_error, log_warning

__all__ = ["TaskWorker", "persist"]

AnswerT = TypeVar("AnswerT")

_OUTAGE_SECONDS: Final = 600.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class TaskWorker:
    """Runs tasks of Redis in the event loop that started it, each like one of the embedded engine's.

    Args:
        handler: does the work.
        records: of the tasks.
        turns: that docket delivers.
        system: `messaging.system` of the spans.
        concurrency: tasks at a time.
        lease_seconds: how long the worker may be silent until its tasks are given to others.
        unwind_seconds: how long a cancelled task has until a drain waits for it no more.
        capabilities: told to whoever looks at the workers.
    """

    def __init__(
        self,
        handler: TaskHandler,
        records: RedisRecords,
        turns: Turns,
        *,
        system: str,
        concurrency: int,
        lease_seconds: float,
        unwind_seconds: float,
        capabilities: Sequence[str] = (),
    ) -> None:
        self.name: Final = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._handler = handler
        self._records = records
        self._turns = turns
        self._system = system
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds
        self._unwind_seconds = unwind_seconds
        self._capabilities = capabilities
        self._taker = TurnTaker(turns, self._take, name=self.name, concurrency=concurrency, lease_seconds=lease_seconds)
        self._jobs: dict[str, _Job] = {}
        self._turns_taken: set[asyncio.Task[None]] = set()
        self._interrupted: set[str] = set()  # turns that were cancelled before it was known which task they run
        self._finished: list[str] = []
        self._draining = False
        self._steady_since: float | None = None
        self._short = 0
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, whether or not Redis is there yet."""
        await self._beat()
        self._beating = asyncio.create_task(self._beat_forever(), name="weaver heartbeat")
        self._taker.begin()

    async def drain(self, grace_seconds: float) -> DrainReport:
        """Take no more tasks, let those that run go on, then put back the rest for other workers."""
        self._draining = True
        self._taker.rest()
        began = [job.record.id for job in self._jobs.values()]
        await self._all_ended(grace_seconds)
        for job in self._jobs.values():
            job.stop(hand_back=True)
        await self._all_ended(self._unwind_seconds)
        handed_back = [task_id for task_id in began if task_id not in self._finished]
        await self._let_go()
        return DrainReport(
            finished=tuple(task_id for task_id in began if task_id in self._finished), handed_back=tuple(handed_back)
        )

    async def aclose(self) -> None:
        """Stop at once. What still runs is left to other workers when its lease ends."""
        attempts = [job.attempt for job in self._jobs.values() if job.attempt is not None]
        await self._end_turns()
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            await asyncio.wait(attempts, timeout=self._unwind_seconds)

    async def _let_go(self) -> None:
        """Put back what doesn't end, under the nose of the attempt that ignores it: its word won't count."""
        for job in list(self._jobs.values()):
            job.abandoned = True
            await self._hand_back(job)
        await self._end_turns()
        await _or_not(self._records.leave(self.name))

    async def _end_turns(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        for turn in list(self._turns_taken):
            turn.cancel()
        await self._taker.end()

    async def _all_ended(self, seconds: float) -> None:
        if self._turns_taken:
            await asyncio.wait(self._turns_taken, timeout=seconds)

    async def _take(self, ticket: str) -> None:
        """One turn. Its cancellation comes from docket, which was asked to by whoever cancels the task."""
        turn = asyncio.create_task(self._run_next(ticket), name=f"weaver turn {ticket}", context=contextvars.Context())
        self._turns_taken.add(turn)
        turn.add_done_callback(self._turns_taken.discard)
        while not turn.done():
            try:
                await asyncio.wait({turn})
            except asyncio.CancelledError:
                if (job := self._jobs.get(ticket)) is not None:
                    job.stop()
                else:
                    self._interrupted.add(ticket)
        if not turn.cancelled():
            turn.result()

    async def _run_next(self, ticket: str) -> None:
        if self._draining:
            await _or_not(self._turns.top_up(1))
            return
        try:
            record = await self._records.claim(self.name, ticket, self._lease_seconds)
            if record is not None:
                job = self._jobs[ticket] = _Job(record, stopped=ticket in self._interrupted)
                await self._run(job)
        finally:
            self._jobs.pop(ticket, None)
            self._interrupted.discard(ticket)

    async def _run(self, job: _Job) -> None:
        job.attempt = asyncio.create_task(self._attempt(job), name=f"weaver task {job.record.id}")
        if job.stopped:
            job.attempt.cancel()
        await asyncio.wait({job.attempt})
        if job.abandoned:
            return
        if job.handing_back and _was_cancelled(job.attempt):
            await self._hand_back(job)
            return
        if await persist(lambda: self._records.finish(job.record, _outcome_of(job))):
            if self._draining:
                self._finished.append(job.record.id)
        else:
            log_warning("a task was given to another worker meanwhile", **{"weaver.task.id": job.record.id})

    async def _attempt(self, job: _Job) -> TaskOutcome:
        async def emit(kind: str, data: Mapping[str, JsonValue]) -> None:
            await _or_not(self._records.emit(job.record, kind, data))

        async def keep(step: str, entry: JsonValue) -> None:
            await persist(lambda: self._records.keep_step(job.record, step, entry))

        with tracing.processing(self._system, job.record) as attempt:
            kept = await persist(lambda: self._records.steps(job.record.id)) if job.record.attempts > 1 else {}
            outcome = await self._handler(TaskContext(job.record, emit, StepLog(kept, keep)))
            attempt.ended(outcome.error)
            return outcome

    async def _hand_back(self, job: _Job) -> None:
        if await _or_not(self._records.release(job.record)):
            await _or_not(self._turns.top_up(1))

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._lease_seconds / 4))
            await self._beat()

    async def _beat(self) -> None:
        jobs = [job for job in self._jobs.values() if not job.abandoned]
        idle = time.monotonic() - self._taker.asked_at
        heartbeat = Heartbeat(
            concurrency=self._concurrency,
            running=len(jobs),
            idle_seconds=round(idle, 3),
            draining=self._draining,
            capabilities=tuple(self._capabilities),
        )
        try:
            verdicts = await self._records.beat(self.name, heartbeat, [job.record for job in jobs], self._lease_seconds)
            for job, verdict in zip(jobs, verdicts, strict=True):
                if verdict != "ok":
                    job.stop()
            await self._sweep()
        except EngineUnavailable:
            self._steady_since = None
        except Exception as error:  # noqa: BLE001 - the heartbeat has to go on whatever is wrong with one of its rounds
            log_error("a heartbeat failed", exception=error)

    async def _sweep(self) -> None:
        now = time.monotonic()
        if self._steady_since is None:
            self._steady_since = now
        if not await self._records.first_of_sweepers(self.name, min(1.0, self._lease_seconds / 4) * 0.9):
            return
        # After an outage every lease is over: those who live get the time to say so.
        steady = now - self._steady_since >= self._lease_seconds
        found = await self._records.sweep(take_back=steady)
        missing = max(0, found.queued + found.running - await self._turns.outstanding())
        # A task that is just being submitted has no turn yet; one that is short twice has lost it.
        await self._turns.top_up(min(missing, self._short))
        self._short = missing


class _Job:
    """A task that runs here."""

    def __init__(self, record: TaskRecord, *, stopped: bool) -> None:
        self.record = record
        self.attempt: asyncio.Task[TaskOutcome] | None = None
        self.stopped = stopped
        self.handing_back = False
        self.abandoned = False

    def stop(self, *, hand_back: bool = False) -> None:
        """Cancel the attempt, once: a second cancellation would disturb how it unwinds."""
        if self.stopped:
            return
        self.stopped = True
        self.handing_back = hand_back
        if self.attempt is not None:
            self.attempt.cancel()


def _was_cancelled(attempt: asyncio.Task[TaskOutcome]) -> bool:
    if attempt.cancelled():
        return True
    if attempt.exception() is not None:
        return False
    error = attempt.result().error if isinstance(attempt.result(), TaskOutcome) else None
    return error is not None and error.code == CANCELLED.code


def _outcome_of(job: _Job) -> TaskOutcome:
    attempt = job.attempt
    if attempt is None or attempt.cancelled():
        return TaskOutcome(error=CANCELLED)
    if (error := attempt.exception()) is not None:
        return TaskOutcome(error=error_of(error, job.record))
    return checked_outcome(attempt.result(), job.record)


async def persist(ask: Callable[[], Awaitable[AnswerT]], seconds: float = _OUTAGE_SECONDS) -> AnswerT:
    """Ask until Redis answers: what came of a task was paid for.

    Raises:
        EngineUnavailable: it hasn't for so long.
    """
    until = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return await ask()
        except EngineUnavailable:
            if time.monotonic() + pause > until:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _or_not(asked: Awaitable[object]) -> object:
    """What is worth a try and no failure: others see to it when Redis is back."""
    try:
        return await asked
    except EngineUnavailable:
        return None
