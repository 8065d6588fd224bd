"""The engine on Redis: any number of gateways take tasks, any number of workers run them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import random
from typing import Final
from uuid import uuid4

from pydantic import JsonValue
from redis.exceptions import ResponseError

from weaver_ai.errors import Draining, EngineUnavailable, IdempotencyConflict, QueueFull
from weaver_ai.tasks import tracing
from weaver_ai.tasks.engine import DrainReport, EngineHealth, TaskHandler
from weaver_ai.tasks.event_log import not_yet
from weaver_ai.tasks.payloads import fingerprint_of, position_of
from weaver_ai.tasks.record import TaskEvent, TaskRecord, TaskRequest, TaskState
from weaver_ai.tasks.redis.access import RedisAccess, unavailable
from weaver_ai.tasks.redis.answers import Accepted, Beat, Survey
from weaver_ai.tasks.redis.attempts import RedisAttempts
from weaver_ai.tasks.redis.news import News
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.tasks.redis.records import ListedState, RedisRecords
from weaver_ai.tasks.redis.serving import Serving
from weaver_ai.tasks.redis.turns import Turns
from weaver_ai.tasks.redis.worker import TaskWorker, name_of_worker, persist
from weaver_ai.tasks.retry import TaskPolicy
from weaver_ai.tasks.schedule import Times, accepted, retry_of, times_of
from weaver_ai.telemetry import log_error

__all__ = ["DocketEngine"]

_OUTAGE_SECONDS: Final = 6.0  # two without Redis, and its start on a busy machine
_OUTAGE_PAUSE: Final = 0.4
_LOOK_AGAIN_SECONDS: Final = 0.5
_PRIME_SECONDS: Final = 1.0  # a start doesn't wait for a Redis that is silent
_STUCK_SECONDS: Final = 10.0
_LAST_EVENT: Final = 2**63  # ids in a stream of Redis have 64 bits
_SIGHT_LEASES: Final = 4
_HEALTH_SECONDS: Final = 0.8  # who asks for health waits a second


class DocketEngine:
    """Keeps tasks in Redis and runs them on workers, with docket between the two.

    Without a handler it is a gateway's: it takes tasks and answers for them, and runs none. An accepted task outlives
    every process but Redis; one whose worker dies is run again, by another.

    Args:
        url: of Redis 6.2 or later; `rediss://` for TLS, `redis+sentinel://host:26379,host:26379/name/0` for Sentinel.
        handler: does the work, in this process too; None: workers elsewhere do.
        prefix: of every key, so that several services can share one Redis.
        concurrency: tasks that run in this process at the same time.
        queue_size: tasks that may wait, over all gateways.
        ttl_seconds: how long a finished task can be read. One with an idempotency key stays for 24 hours at least.
        max_events: events kept of a task; the oldest go first.
        lease_seconds: how long a worker may be silent until its tasks are given to others.
        unwind_seconds: how long a cancelled task has until nobody waits for it any more.
        capabilities: whose tasks are run here; none named: every one's.
        policies: how tasks of a capability are run, where that isn't the default; looked up when it is needed.
        chance: draws a number from 0 to 1 for each pause before a retry.
    """

    name = "weaver_docket"

    def __init__(
        self,
        url: str,
        handler: TaskHandler | None = None,
        *,
        prefix: str = "weaver",
        concurrency: int = 16,
        queue_size: int = 1000,
        ttl_seconds: float = 86_400.0,
        max_events: int = 1_000,
        lease_seconds: float = 5.0,
        unwind_seconds: float = 5.0,
        capabilities: Sequence[str] = (),
        policies: Mapping[str, TaskPolicy] | None = None,
        chance: Callable[[], float] = random,
    ) -> None:
        self._queue_size = queue_size
        self._lease_seconds = lease_seconds
        self._unwind_seconds = unwind_seconds
        self.redis: Final = RedisPool(url)
        self._serving = Serving(tuple(capabilities), policies)
        self._turns = Turns(self.redis, prefix, self._serving.group)
        access = RedisAccess(self._turns.docket, prefix=prefix, ttl_seconds=ttl_seconds, max_events=max_events)
        self._access = access
        self._records = RedisRecords(access)
        self._news = News(self._turns.docket, f"{prefix}:news", self._prime)
        self._worker = None
        if handler is not None:
            self._worker = TaskWorker(
                handler,
                RedisAttempts(
                    access,
                    self._serving,
                    worker=name_of_worker(),
                    readers=self._turns.docket.worker_group_name,
                    lease_seconds=lease_seconds,
                ),
                self._turns,
                system=self.name,
                concurrency=concurrency,
                unwind_seconds=unwind_seconds,
                serving=self._serving,
                chance=chance,
            )
        self._stack: AsyncExitStack | None = None
        self._drain: asyncio.Task[DrainReport] | None = None
        self._refused: str | None = None

    async def start(self) -> None:
        if self._stack is not None:
            return
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.redis)
        await self._stack.enter_async_context(self._turns)
        self._stack.push_async_callback(self._access.aclose)
        await self._prime()
        listening = asyncio.create_task(self._news.listen(), name="weaver task news")
        self._stack.push_async_callback(_ended, listening)
        if self._worker is not None:
            self._stack.push_async_callback(self._worker.aclose)
            await self._worker.start()

    async def broke_off(self) -> BaseException | None:
        """Wait until this process takes no more tasks though it wasn't told to end, which is a bug; gives why."""
        if self._worker is None:
            raise EngineUnavailable("this process only takes tasks in, and runs none")
        return await self._worker.broke_off()

    async def aclose(self) -> None:
        """Stop at once and let go of Redis; `drain` first to end in order. Tasks that run here go to other workers."""
        if self._stack is not None:
            await self._stack.aclose()

    async def submit(self, request: TaskRequest) -> TaskRecord:
        fingerprint = fingerprint_of(request)
        if (known := await self._known(request, fingerprint)) is not None:
            return known
        now = datetime.now(UTC)
        times = times_of(request, now)
        retry = retry_of(request, self._serving.policy(request.capability))
        task_id = uuid4().hex
        with tracing.submitting(self.name, task_id, request, times.delay) as trace:
            self._refuse_if_closed()
            record = accepted(task_id, request, now, times=times, retry=retry, trace=trace)
            return await self._accept(record, fingerprint, times)

    async def status(self, task_id: str) -> TaskRecord:
        return await self._records.read(task_id)

    async def result(self, task_id: str, *, timeout_seconds: float | None = None) -> TaskRecord:
        if (record := await self._records.read(task_id)).finished:
            return record
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        async with self._news.of(self._records.end_channel(task_id)) as fresh:
            while True:
                fresh.clear()
                record = await self._records.read(task_id)
                left = _LOOK_AGAIN_SECONDS if until is None else until - time.monotonic()
                if record.finished or left <= 0:
                    return record
                await _wait(fresh, min(left, _LOOK_AGAIN_SECONDS))

    async def cancel(self, task_id: str) -> TaskRecord:
        with self._refusals_noted():
            _, ticket, groups = await self._records.cancel(task_id)
            await self._turns.withdraw(ticket, groups)
        return await self.result(task_id, timeout_seconds=self._unwind_seconds)

    async def events(self, task_id: str, *, after: str | None = None) -> AsyncIterator[TaskEvent]:
        asked = position = min(position_of(after), _LAST_EVENT)
        async with self._news.of(self._records.channel(task_id)) as fresh:
            while True:
                fresh.clear()
                page = await self._records.events(task_id, position)
                if page.count < asked:
                    raise not_yet(page.count)
                for event in _with_gaps(page.events, position):
                    yield event
                    position = int(event.id)
                if page.ended:
                    return
                if not page.events:
                    await _wait(fresh, _LOOK_AGAIN_SECONDS)

    async def drain(self, grace_seconds: float) -> DrainReport:
        if self._drain is None:
            self._drain = asyncio.create_task(self._wind_down(grace_seconds), name="weaver drain")
        return await asyncio.shield(self._drain)

    async def health(self) -> EngineHealth:
        if self._stack is None:
            return EngineHealth(state="down", reason="not started")
        # Degraded and not down: runs that need no Redis go on, so traffic should still come.
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._health()
        except EngineUnavailable as error:
            return EngineHealth(state="degraded", reason=error.message)
        except TimeoutError as error:
            return EngineHealth(state="degraded", reason=unavailable(error).message)
        except Exception as error:  # noqa: BLE001 - other versions write there too, and probes and gauges rely on this
            log_error("the task engine's state in Redis can't be read", exception=error)
            return EngineHealth(state="degraded", reason="its state in Redis can't be read; the log says why")

    async def _health(self) -> EngineHealth:
        began = time.perf_counter()
        survey = self._in_sight(await self._records.survey())
        latency = time.perf_counter() - began
        refusal = await self._refusal()
        reason = "draining" if self._drain is not None else refusal or self._trouble(survey)
        return EngineHealth(
            state="ok" if reason is None else "degraded",
            reason=reason,
            latency=latency,
            queued=survey.queued,
            scheduled=survey.scheduled,
            running=survey.running,
            detail={
                "waiting": dict[str, JsonValue](survey.by_capability()),
                "workers": [_worker(beat, self._lease_seconds) for beat in survey.workers],
            },
        )

    async def listed(self, state: ListedState = "failed", limit: int = 100) -> list[TaskRecord]:
        """Dead letters: the tasks that failed and can still be read, the latest first.

        Or those that wait for their time, or for a place, in the order of their turn.
        """
        return await self._records.listed(state, limit)

    async def past_events(self, task_id: str) -> list[TaskEvent]:
        """The events that a task has had so far and that are kept."""
        found: list[TaskEvent] = []
        while True:
            page = await self._records.events(task_id, int(found[-1].id) if found else 0)
            found += page.events
            if page.ended or not page.events:
                return found

    async def retry(self, task_id: str) -> TaskState:
        """Put a failed task back; gives the state that it had, for a task in another state is left alone."""
        with self._refusals_noted():
            return await self._records.retry(task_id)

    async def _known(self, request: TaskRequest, fingerprint: str) -> TaskRecord | None:
        key = request.idempotency_key
        if key is None or self._stack is None:
            return None

        async def look() -> TaskRecord | None:
            if (known := await self._records.known(key)) is None:
                return None
            if known[0] != fingerprint:
                raise _conflict(key)
            return await self._records.read(known[1])

        return await persist(look, _OUTAGE_SECONDS, _OUTAGE_PAUSE)

    async def _prime(self) -> None:
        """Load the scripts of a submission: the first one after a start of Redis would meet an error else."""
        with suppress(EngineUnavailable, TimeoutError):
            async with asyncio.timeout(_PRIME_SECONDS):
                await self._records.prime()
                await self._turns.prime()

    async def _accept(self, record: TaskRecord, fingerprint: str, times: Times) -> TaskRecord:
        """Take the task and, if it has to wait for its time, add its turn; as often as a short outage needs.

        Both have the task's own id.
        """
        accepted: TaskRecord | None = None

        async def take() -> TaskRecord:
            nonlocal accepted
            answer = await self._records.accept(record, fingerprint, times, self._queue_size)
            if answer.record is not None:
                accepted = answer.record
                if answer.groups:
                    await self._turns.add(record.id, answer.groups, times.delay)
                self._refused = None
                return answer.record
            if answer.known is not None:
                return await self._records.read(answer.known)
            if answer.verdict == "conflict":
                raise _conflict(record.idempotency_key or "")
            raise await self._full(answer)

        try:
            with self._refusals_noted():
                return await persist(take, _OUTAGE_SECONDS, _OUTAGE_PAUSE)
        except EngineUnavailable:
            if accepted is None:
                raise
            return accepted  # it will run: workers add the turns that are missing

    @contextmanager
    def _refusals_noted(self) -> Iterator[None]:
        """Remember that Redis answered a write with an error: it is read as ever then, so a survey can't tell."""
        try:
            yield
        except EngineUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                self._refused = f"the task engine's Redis takes no writes: {type(error.__cause__).__name__}"
            raise

    async def _refusal(self) -> str | None:
        """Why Redis takes no writes, by one that means nothing: it may be read as ever, and no task may be there."""
        with suppress(EngineUnavailable), self._refusals_noted():
            await self._records.try_write()
            self._refused = None
        return self._refused

    async def _full(self, answer: Accepted) -> QueueFull:
        places = sum(beat.concurrency for beat in (await self._records.survey()).workers) or 1
        seconds = round(min(max(answer.mean_seconds * answer.waiting / places, 1.0), 60.0), 1)
        return QueueFull(f"{answer.waiting} tasks are waiting already", retry_after=seconds)

    def _refuse_if_closed(self) -> None:
        if self._drain is not None:
            raise Draining("the service is shutting down and takes no new tasks", retry_after=5.0)
        if self._stack is None:
            raise EngineUnavailable("the task engine hasn't started", retry_after=1.0)

    async def _wind_down(self, grace_seconds: float) -> DrainReport:
        return DrainReport() if self._worker is None else await self._worker.drain(grace_seconds)

    def _in_sight(self, survey: Survey) -> Survey:
        """Without the workers that have been silent for long: their tasks are others' by now, and they may be gone."""
        seconds = _SIGHT_LEASES * self._lease_seconds
        return replace(survey, workers=tuple(beat for beat in survey.workers if beat.age_seconds <= seconds))

    def _trouble(self, survey: Survey) -> str | None:
        if survey.queued + survey.scheduled >= self._queue_size:
            return "the queue is full"
        states = {beat.name: worker_state(beat, self._lease_seconds) for beat in survey.workers}
        bad = [f"the worker {name} is {state}" for name, state in states.items() if state in {"silent", "stuck"}]
        if not set(states.values()) & {"ok"}:
            bad.insert(0, "no worker takes tasks")
        else:
            takers = [beat for beat in survey.workers if states[beat.name] == "ok"]
            bad += [
                f"no worker serves {capability!r}, for which {number} {'task waits' if number == 1 else 'tasks wait'}"
                for capability, number in survey.by_capability().items()
                if not any(beat.serves(capability) for beat in takers)
            ]
        return "; ".join(bad) or None


def worker_state(beat: Beat, lease_seconds: float) -> str:
    """`ok`, `draining`, `silent` (no heartbeat: dead, or its event loop hangs), or `stuck` (asks for no work)."""
    if beat.age_seconds > lease_seconds:
        return "silent"
    if beat.draining:
        return "draining"
    return "stuck" if beat.idle_seconds > _STUCK_SECONDS else "ok"


def _worker(beat: Beat, lease_seconds: float) -> JsonValue:
    return {
        "name": beat.name,
        "state": worker_state(beat, lease_seconds),
        "seen_seconds_ago": round(beat.age_seconds, 1),
        "running": beat.running,
        "concurrency": beat.concurrency,
        "capabilities": list(beat.capabilities),
    }


def _with_gaps(events: Iterable[TaskEvent], position: int) -> Iterable[TaskEvent]:
    for event in events:
        number = int(event.id)
        if number > position + 1:
            yield TaskEvent(
                id=str(number - 1), type="events.dropped", time=event.time, data={"count": number - 1 - position}
            )
        yield event
        position = number


def _conflict(key: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"the idempotency key {key!r} was used with another body", hint="send a new key with a new body"
    )


async def _wait(fresh: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await fresh.wait()
    except TimeoutError:
        return


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
