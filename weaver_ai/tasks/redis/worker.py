"""A worker: takes turns, runs a task in each, and lets everyone know that it lives."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import random
from typing import Final, TypeVar
from uuid import uuid4

from pydantic import JsonValue

from weaver_ai.errors import EngineUnavailable
from weaver_ai.tasks.attempt import Ended, attempt
from weaver_ai.tasks.engine import DrainReport, TaskContext, TaskHandler, TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED, error_of
from weaver_ai.tasks.record import TaskError
from weaver_ai.tasks.redis.answers import Claimed, Counted, Heartbeat
from weaver_ai.tasks.redis.attempts import RedisAttempts, Turn
from weaver_ai.tasks.redis.outbox import Outbox
from weaver_ai.tasks.redis.serving import Serving
from weaver_ai.tasks.redis.turns import Turns, TurnTaker
from weaver_ai.tasks.schedule import DEADLINE_EXCEEDED
from weaver_ai.tasks.steps import StepLog
from weaver_ai.telemetry.logs import log_error, log_warning

__all__ = ["TaskWorker", "name_of_worker", "persist"]

AnswerT = TypeVar("AnswerT")

_OUTAGE_SECONDS: Final = 600.0
_MOST_TURNS: Final = 1000
_MOST_INTERRUPTED: Final = 1000
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class TaskWorker:
    """Runs tasks of Redis in the event loop that started it, each like one of the embedded engine's.

    Args:
        handler: does the work.
        attempts: at the tasks, of this worker.
        turns: that docket delivers.
        system: `messaging.system` of the spans.
        concurrency: tasks at a time.
        unwind_seconds: how long a cancelled task has until a drain waits for it no more.
        serving: which capabilities, and how their tasks are run.
        chance: draws a number from 0 to 1 for each pause before a retry.
    """

    def __init__(
        self,
        handler: TaskHandler,
        attempts: RedisAttempts,
        turns: Turns,
        *,
        system: str,
        concurrency: int,
        unwind_seconds: float,
        serving: Serving,
        chance: Callable[[], float] = random,
    ) -> None:
        self._handler = handler
        self._redis = attempts
        self._turns = turns
        self._system = system
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds = attempts.lease_seconds
        self._unwind_seconds = unwind_seconds
        self._serving = serving
        self._chance = chance
        self._taker = TurnTaker(
            turns,
            self._take,
            self._interrupt,
            name=attempts.worker,
            concurrency=concurrency,
            lease_seconds=lease_seconds,
        )
        self._jobs: dict[str, _Job] = {}
        self._asking: list[set[str]] = []  # for tasks; with those whose cancellation was heard of since
        self._finished: list[str] = []
        self._draining = False
        self._grace_is_over = False
        self._steady_since: float | None = None
        self._short = _MOST_TURNS
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, whether or not Redis is there yet."""
        await self._beat()
        self._beating = asyncio.create_task(self._beat_forever(), name="weaver heartbeat")
        self._taker.begin()

    async def broke_off(self) -> BaseException | None:
        """Wait until it takes no more tasks though it wasn't told to end; gives why."""
        return await self._taker.broke_off()

    async def drain(self, grace_seconds: float) -> DrainReport:
        """Take no more tasks, let those that run go on, then put back the rest for other workers."""
        self._draining = True
        self._taker.rest()
        began = [job.record.id for job in self._jobs.values()]
        await self._taker.all_used(grace_seconds)
        self._grace_is_over = True
        for job in self._jobs.values():
            job.stop(CANCELLED, hand_back=True)
        await self._taker.all_used(self._unwind_seconds)
        handed_back = [task_id for task_id in began if task_id not in self._finished]
        await self._let_go()
        return DrainReport(
            finished=tuple(task_id for task_id in began if task_id in self._finished), handed_back=tuple(handed_back)
        )

    async def aclose(self) -> None:
        """Stop at once. What still runs is left to other workers when its lease ends."""
        attempts = [job.attempt for job in self._jobs.values() if job.attempt is not None]
        await self._end_turns()
        for each in attempts:
            each.cancel()
        if attempts:
            await asyncio.wait(attempts, timeout=self._unwind_seconds)

    async def _let_go(self) -> None:
        """Put back what doesn't end, under the nose of the attempt that ignores it: its word won't count."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.abandoned = True
        # At once: each may wait for a Redis that is silent.
        await asyncio.gather(*(_or_not(self._redis.release(job.record, job.spent, job.outbox.close())) for job in jobs))
        await self._end_turns()
        await _or_not(self._redis.leave())

    async def _end_turns(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        await self._taker.end()

    async def _take(self, turn: Turn) -> None:
        """One turn, and all that follows: a place that comes free is given the next task with the end of the last."""
        if self._draining:
            await _or_not(self._redis.pass_on(turn))
            return
        with self._asks() as interrupted:
            # Asked again, it is given what it was given when no answer came; after a lease, that is another's.
            claimed = await _or_not(persist(lambda: self._redis.claim(turn), self._lease_seconds))
            job = self._begun(claimed, interrupted)
        while job is not None:
            try:
                following = await self._run(job)
            finally:
                job.outbox.close()
                if self._jobs.get(job.record.id) is job:
                    del self._jobs[job.record.id]
            job = following

    @property
    def _goes_on(self) -> bool:
        return self._taker.takes and not self._draining

    @contextmanager
    def _asks(self) -> Iterator[set[str]]:
        """Around what may give a task: its cancellation may be heard of before it is. Gives those that were."""
        interrupted: set[str] = set()
        self._asking.append(interrupted)
        try:
            yield interrupted
        finally:
            self._asking = [each for each in self._asking if each is not interrupted]

    def _begun(self, claimed: Claimed | None, interrupted: set[str]) -> _Job | None:
        if claimed is None or self._has_begun(claimed):
            return None
        job = self._jobs[claimed.record.id] = _Job(claimed, self._redis)
        if claimed.record.id in interrupted:
            job.stop(CANCELLED)
        elif self._grace_is_over:
            job.stop(CANCELLED, hand_back=True)
        return job

    def _has_begun(self, claimed: Claimed) -> bool:
        """Whether another call was given the same: docket delivers a turn again that isn't used up for a lease."""
        job = self._jobs.get(claimed.record.id)
        return job is not None and job.record.attempts == claimed.record.attempts

    def _interrupt(self, task_id: str) -> None:
        if (job := self._jobs.get(task_id)) is not None:
            job.stop(CANCELLED)
            return
        for interrupted in self._asking:
            if len(interrupted) < _MOST_INTERRUPTED:  # the heartbeat hears of it, too
                interrupted.add(task_id)

    async def _run(self, job: _Job) -> _Job | None:
        """Run a task to its end; gives the next one, if there is one and it came with that end."""
        job.attempt = asyncio.create_task(
            self._attempt(job), name=f"weaver task {job.record.id}", context=contextvars.Context()
        )
        if job.stopped is not None:
            job.attempt.cancel()
        overdue = self._overdue(job)
        try:
            await asyncio.wait({job.attempt})
        finally:
            if overdue is not None:
                overdue.cancel()
        if job.abandoned:
            return None
        if job.handing_back and _was_cancelled(job.attempt):
            spent = job.spent.and_failed(_ended_of(job).outcome)
            await _or_not(self._redis.release(job.record, spent, job.outbox.close()))
            return None
        return await self._settle(job, _ended_of(job))

    def _overdue(self, job: _Job) -> asyncio.TimerHandle | None:
        if job.seconds_left is None:
            return None
        return asyncio.get_running_loop().call_later(max(0.0, job.seconds_left), job.stop, DEADLINE_EXCEEDED)

    async def _settle(self, job: _Job, ended: Ended) -> _Job | None:
        """Keep what came of an attempt."""
        outcome, error = ended.outcome, ended.outcome.error
        if error is None or ended.pause is None:
            return await self._finish(job, outcome)
        return await self._put_off(job, outcome, error, ended.pause)

    async def _finish(self, job: _Job, outcome: TaskOutcome) -> _Job | None:
        whole, unwritten = job.spent.and_last(outcome), job.outbox.close()
        with self._asks() as interrupted:
            counted = await persist(lambda: self._redis.finish(job.record, whole, unwritten, go_on=self._goes_on))
            if self._draining and counted.word == "counted":
                self._finished.append(job.record.id)
            return self._counted(job, counted, interrupted)

    async def _put_off(self, job: _Job, outcome: TaskOutcome, error: TaskError, pause: float) -> _Job | None:
        spent, ticket = job.spent.and_failed(outcome), f"{job.record.id}-{job.record.attempts}"
        unwritten = job.outbox.close()
        with self._asks() as interrupted:
            counted = await persist(
                lambda: self._redis.put_off(
                    job.record, pause, spent, error, ticket=ticket, unwritten=unwritten, go_on=self._goes_on
                )
            )
            following = self._counted(job, counted, interrupted)
        if counted.word == "stop":
            return await self._finish(job, replace(outcome, error=CANCELLED))
        if counted.groups:
            await _or_not(self._turns.add(ticket, counted.groups, pause))
        return following

    def _counted(self, job: _Job, counted: Counted, interrupted: set[str]) -> _Job | None:
        if counted.word == "lost":
            log_warning("a task was given to another worker meanwhile", **{"weaver.task.id": job.record.id})
        return self._begun(counted.next, interrupted)

    async def _attempt(self, job: _Job) -> Ended:
        async def keep(step: str, entry: JsonValue) -> None:
            await persist(lambda: self._redis.keep_step(job.record, step, entry))

        kept = await persist(lambda: self._redis.steps(job.record.id)) if job.record.attempts > 1 else {}
        return await attempt(
            self._system,
            self._handler,
            TaskContext(job.record, job.outbox.add, StepLog(kept, keep)),
            stopped=lambda: job.stopped,
            chance=self._chance,
        )

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
            capabilities=tuple(self._serving.capabilities),
        )
        try:
            verdicts = await self._redis.beat(heartbeat, [job.record for job in jobs])
            for job, verdict in zip(jobs, verdicts, strict=True):
                if verdict != "ok":
                    job.stop(CANCELLED)
            await self._sweep()
        except EngineUnavailable:
            self._steady_since = None
        except Exception as error:  # noqa: BLE001 - the heartbeat has to go on whatever is wrong with one of its rounds
            log_error("a heartbeat failed", exception=error)

    async def _sweep(self) -> None:
        now = time.monotonic()
        if self._steady_since is None:
            self._steady_since = now
        if self._draining or not await self._redis.first_of_sweepers(min(1.0, self._lease_seconds / 4) * 0.9):
            return
        # After an outage every lease is over: those who live get the time to say so.
        steady = now - self._steady_since >= self._lease_seconds
        ready, gone = await self._redis.sweep(take_back=steady)
        for group in gone:
            await self._turns.forget(group)
        missing = max(0, min(_MOST_TURNS, ready) - await self._turns.untaken())
        # A task that is just being submitted has no turn yet; one that is short twice has lost it.
        await self._turns.top_up(min(missing, self._short))
        self._short = missing


def name_of_worker() -> str:
    """A name for a worker of this process, that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


class _Job:
    """A task that runs here. `stopped` is why it was told to end, once it was."""

    def __init__(self, claimed: Claimed, attempts: RedisAttempts) -> None:
        record = self.record = claimed.record
        self.outbox = Outbox(lambda first, events: attempts.emit(record, (first, events)), claimed.events)
        self.spent = claimed.spent
        self.seconds_left = claimed.seconds_left
        self.attempt: asyncio.Task[Ended] | None = None
        self.stopped: TaskError | None = None
        self.handing_back = False
        self.abandoned = False

    def stop(self, reason: TaskError, *, hand_back: bool = False) -> None:
        """Cancel the attempt, once: a second cancellation would disturb how it unwinds."""
        if self.stopped is not None:
            return
        self.stopped = reason
        self.handing_back = hand_back
        if self.attempt is not None:
            self.attempt.cancel()


def _was_cancelled(attempt: asyncio.Task[Ended]) -> bool:
    if attempt.cancelled():
        return True
    if attempt.exception() is not None:
        return False
    error = attempt.result().outcome.error
    return error is not None and error.code == CANCELLED.code


def _ended_of(job: _Job) -> Ended:
    attempt = job.attempt
    if attempt is None or attempt.cancelled():
        return Ended(TaskOutcome(error=job.stopped or CANCELLED))
    if (error := attempt.exception()) is not None:
        return Ended(TaskOutcome(error=error_of(error, job.record)))
    return attempt.result()


async def persist(
    ask: Callable[[], Awaitable[AnswerT]], seconds: float = _OUTAGE_SECONDS, longest_pause: float = _LONGEST_PAUSE
) -> AnswerT:
    """Ask until Redis answers: what came of a task was paid for.

    Raises:
        EngineUnavailable: it hasn't for so long, the last time at the end of it.
    """
    until = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return await ask()
        except EngineUnavailable:
            left = until - time.monotonic()
            if left <= 0:
                raise
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, longest_pause)


async def _or_not(asked: Awaitable[AnswerT]) -> AnswerT | None:
    """What is worth a try and no failure: others see to it when Redis is back."""
    try:
        return await asked
    except EngineUnavailable:
        return None
