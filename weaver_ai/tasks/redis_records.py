"""The records of tasks in Redis: what `redis_scripts` does, with types and errors of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from docket import Docket
from opentelemetry.instrumentation.utils import suppress_instrumentation
from pydantic import JsonValue, TypeAdapter
from pydantic_core import from_json, to_json
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from weaver_ai.errors import EngineUnavailable, StepChanged, TaskNotFound, WeaverError, WorkerLost
from weaver_ai.tasks import redis_scripts as scripts
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED, IDEMPOTENCY_SECONDS
from weaver_ai.tasks.record import (
    FINISHED_STATES,
    Priority,
    TaskError,
    TaskEvent,
    TaskRecord,
    TaskState,
    state_of,
)
from weaver_ai.tasks.redis_trouble import trouble

__all__ = ["Accepted", "Beat", "EventPage", "Heartbeat", "RedisRecords", "Survey", "Sweep"]

Verdict: TypeAlias = Literal["ok", "stop", "lost"]

_PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE: Final = 200
_MAX_LOSSES: Final = 3
_FORGET_SECONDS: Final = 60.0
_REPLY_SECONDS: Final = 5.0
_RETRY_AFTER: Final = 5.0

_LOST: Final = TaskError.of(
    WorkerLost(
        f"{_MAX_LOSSES} workers died or fell silent while they ran the task",
        hint="see their logs; 'weaver tasks retry' puts the task back",
    )
)
_OUTCOME: Final[TypeAdapter[TaskOutcome]] = TypeAdapter(TaskOutcome)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of a submission.

    Attributes:
        record: the task as it was accepted.
        known: the task that the idempotency key stands for.
        waiting: how many tasks wait, when that is too many; `mean_seconds` is how long one took lately.
    """

    verdict: Literal["accepted", "known", "conflict", "full"]
    record: TaskRecord | None = None
    known: str | None = None
    waiting: int = 0
    mean_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker says of itself. `idle_seconds`: since it last asked for work; a stuck one has stopped to ask."""

    concurrency: int
    running: int
    idle_seconds: float
    draining: bool
    capabilities: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Heartbeat):
    """A heartbeat as others see it; `age_seconds` ago."""

    name: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a look over all tasks found."""

    queued: int
    running: int
    taken_back: int


@dataclass(frozen=True, slots=True)
class Survey:
    """How many tasks wait, by priority, and run; and the workers' heartbeats."""

    queued: Mapping[Priority, int]
    running: int
    workers: tuple[Beat, ...]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a task, and how many it has had; `ended` when no more will come."""

    events: tuple[TaskEvent, ...]
    count: int
    ended: bool


class RedisRecords:
    """Tasks by id, in a Redis that a docket holds the connection to.

    Raises, from every method:
        EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
    """

    def __init__(self, docket: Docket, *, prefix: str, ttl_seconds: float, max_events: int) -> None:
        self._docket = docket
        self._prefix = prefix
        self._ttl_seconds = ttl_seconds
        self._max_events = max_events
        self._scripts: dict[str, AsyncScript] = {}

    async def accept(self, record: TaskRecord, fingerprint: str, queue_size: int) -> Accepted:
        """Take a task unless its key is known or the queue is full. Doing it again with the same id changes nothing."""
        verdict, detail = await self._script(
            scripts.ACCEPT,
            record.id,
            record.priority,
            record.to_json(),
            fingerprint,
            record.idempotency_key or "",
            int(IDEMPOTENCY_SECONDS),
            queue_size,
            to_json({"priority": record.priority}),
            quiet=False,
        )
        match verdict:
            case b"accepted":
                return Accepted("accepted", record=record.but(created_at=_time(detail)))
            case b"known":
                return Accepted("known", known=detail.decode())
            case b"full":
                waiting, mean_micros = detail.split()
                return Accepted("full", waiting=int(waiting), mean_seconds=int(mean_micros) / 1_000_000)
            case _:
                return Accepted("conflict")

    async def known(self, key: str) -> tuple[str, str] | None:
        """The fingerprint and the task that an idempotency key stands for."""
        found = await self._run(lambda redis: redis.get(self._key("key", key)))
        if found is None:
            return None
        fingerprint, _, task_id = found.decode().partition(" ")
        return fingerprint, task_id

    async def read(self, task_id: str) -> TaskRecord:
        """The task as it stands.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        return self._record(task_id, await self._run(lambda redis: redis.hgetall(self._key("task", task_id))))

    async def claim(self, worker: str, ticket: str, lease_seconds: float) -> TaskRecord | None:
        """The most urgent task that waits, from now on this worker's; None when none waits."""
        claimed = await self._script(scripts.CLAIM, worker, ticket, _ms(lease_seconds))
        if claimed is None:
            return None
        task_id, pairs = claimed
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True)) if isinstance(pairs, list) else pairs
        return self._record(task_id.decode(), fields)

    async def finish(self, record: TaskRecord, outcome: TaskOutcome) -> bool:
        """Close an attempt's task; False when the task has been given to another attempt."""
        return await self._counted(
            scripts.FINISH,
            record,
            state_of(outcome.error),
            to_json(asdict(outcome)),
            _told(outcome.error),
            *self._ttls(),
        )

    async def release(self, record: TaskRecord) -> bool:
        """Put an attempt's task back to the head of its queue; False when it isn't this attempt's any more."""
        reply = await self._script(
            scripts.RELEASE, record.id, record.attempts, to_json({"reason": "its worker shuts down"})
        )
        if reply == 2:  # noqa: PLR2004 # the script's word for a task that is to be cancelled
            await self.finish(record, TaskOutcome(error=CANCELLED))
        return bool(reply == 1)

    async def emit(self, record: TaskRecord, kind: str, data: Mapping[str, JsonValue]) -> bool:
        """Add an event of an attempt; False when its task has been given to another."""
        return await self._counted(scripts.EMIT, record, kind, to_json(dict(data)))

    async def keep_step(self, record: TaskRecord, step: str, value: JsonValue) -> bool:
        """Keep what came of a step; False when the task has been given to another attempt."""
        return await self._counted(scripts.KEEP_STEP, record, step, to_json(value))

    async def steps(self, task_id: str) -> dict[str, JsonValue]:
        """What came of the steps that have finished, by their number."""
        found = await self._run(lambda redis: redis.hgetall(self._key("steps", task_id)))
        return {step.decode(): from_json(value) for step, value in found.items()}

    async def cancel(self, task_id: str) -> str | None:
        """Close a task that waits, and mark one that runs; gives the ticket of one that runs.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        outcome = to_json(asdict(TaskOutcome(error=CANCELLED)))
        reply = await self._script(scripts.CANCEL, task_id, outcome, _told(CANCELLED), *self._ttls())
        if reply is None:
            raise _not_found(task_id)
        state, ticket = reply
        return ticket.decode() if state == b"running" else None

    async def beat(
        self, worker: str, heartbeat: Heartbeat, running: Iterable[TaskRecord], lease_seconds: float
    ) -> list[Verdict]:
        """Tell that a worker lives, and renew the leases of what it runs."""
        attempts = [value for record in running for value in (record.id, record.attempts)]
        told = await self._script(scripts.BEAT, worker, to_json(asdict(heartbeat)), _ms(lease_seconds), *attempts)
        return [verdict.decode() for verdict in told]

    async def leave(self, worker: str) -> None:
        """Forget a worker that ends in order."""
        await self._run(lambda redis: redis.hdel(f"{self._prefix}:workers", worker))

    async def sweep(self, *, take_back: bool) -> Sweep:
        """Count the tasks; with `take_back`, give those of silent workers to others."""
        queued, running, taken = await self._script(
            scripts.SWEEP,
            int(take_back),
            _MAX_LOSSES,
            to_json(asdict(TaskOutcome(error=_LOST))),
            _told(_LOST),
            to_json(asdict(TaskOutcome(error=CANCELLED))),
            _told(CANCELLED),
            *self._ttls(),
            _ms(_FORGET_SECONDS),
            int(self._ttl_seconds),
        )
        return Sweep(queued, running, taken)

    async def first_of_sweepers(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one that sweeps in the next `seconds`."""
        taken = await self._run(
            lambda redis: redis.set(f"{self._prefix}:sweeper", worker, nx=True, px=max(1, _ms(seconds)))
        )
        return bool(taken)

    async def events(self, task_id: str, position: int) -> EventPage:
        """The events after `position`, a page of them.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """

        async def look(redis: Redis) -> tuple[list[bytes | None], list[tuple[bytes, dict[bytes, bytes]]]]:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.hmget(self._key("task", task_id), ["state", "events"])
                pipeline.xrange(self._key("events", task_id), min=f"{position + 1}-0", count=_PAGE)
                held, entries = await pipeline.execute()
                return held, entries

        (state, count), entries = await self._run(look)
        if state is None or count is None:
            raise _not_found(task_id)
        events = tuple(_event(entry_id, fields) for entry_id, fields in entries)
        reached = int(events[-1].id) if events else position
        return EventPage(events, int(count), state.decode() in FINISHED_STATES and reached >= int(count))

    async def survey(self) -> Survey:
        """The tasks and the workers, as counts and heartbeats."""

        async def look(redis: Redis) -> list[Any]:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.time()
                pipeline.hgetall(f"{self._prefix}:workers")
                pipeline.zcard(f"{self._prefix}:running")
                for priority in _PRIORITIES:
                    pipeline.llen(self._key("queue", priority))
                return list(await pipeline.execute())

        (seconds, micros), beats, running, *lengths = await self._run(look)
        now = seconds * 1_000_000 + micros
        workers = (_beat(name.decode(), value, now) for name, value in sorted(beats.items()))
        return Survey(dict(zip(_PRIORITIES, lengths, strict=True)), running, tuple(workers))

    async def try_write(self) -> None:
        """Write something of no meaning, that is gone in a second."""
        await self._run(lambda redis: redis.set(f"{self._prefix}:write", b"", px=1000))

    async def failed(self, limit: int) -> list[TaskRecord]:
        """The dead letters that can still be read, the latest first."""
        ids = await self._run(lambda redis: redis.zrevrange(f"{self._prefix}:failed", 0, limit - 1))
        records = []
        for task_id in ids:
            try:
                records.append(await self.read(task_id.decode()))
            except TaskNotFound:
                continue  # it expired between the two looks
        return records

    async def retry(self, task_id: str) -> TaskState:
        """Put a failed task back to the end of its queue; gives the state that it had, and changes no other.

        Its finished steps aren't run again, unless it failed because they have changed.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        error = (await self.read(task_id)).error
        # Steps that a workflow no longer takes would fail it again.
        anew = error is not None and error.code == StepChanged.code
        before = await self._script(scripts.RETRY, task_id, to_json({"reason": "put back by hand"}), int(anew))
        if before is None:
            raise _not_found(task_id)
        state: TaskState = before.decode()
        return state

    def channel(self, task_id: str) -> str:
        """Where the numbers of a task's new events are published."""
        return self._key("news", task_id)

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{name}"

    def _ttls(self) -> tuple[int, int]:
        return _ms(self._ttl_seconds), _ms(max(self._ttl_seconds, IDEMPOTENCY_SECONDS))

    async def _counted(self, script: str, record: TaskRecord, *arguments: Any) -> bool:
        return bool(await self._script(script, record.id, record.attempts, *arguments))

    async def _script(self, script: str, *arguments: Any, quiet: bool = True) -> Any:
        async def ask(redis: Redis) -> Any:
            if (known := self._scripts.get(script)) is None:
                known = self._scripts[script] = AsyncScript(redis, script)
            return await known(args=[self._prefix, self._max_events, *arguments], client=redis)

        return await self._run(ask, quiet=quiet)

    async def _run(self, ask: Any, *, quiet: bool = True) -> Any:
        # What engines do among themselves is no work of a request: it stays out of the traces.
        silence: AbstractContextManager[object] = suppress_instrumentation() if quiet else nullcontext()
        try:
            with silence:
                async with asyncio.timeout(_REPLY_SECONDS), self._docket.redis() as redis:
                    return await ask(redis)
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(error) from error

    def _record(self, task_id: str, fields: Mapping[bytes, bytes]) -> TaskRecord:
        if not fields:
            raise _not_found(task_id)
        outcome = _OUTCOME.validate_json(fields.get(b"outcome", b"{}"))
        return TaskRecord.from_json(fields[b"request"]).but(
            state=fields[b"state"].decode(),
            attempts=int(fields[b"attempts"]),
            created_at=_time(fields[b"created"]),
            started_at=_time(fields[b"started"]) if b"started" in fields else None,
            finished_at=_time(fields[b"finished"]) if b"finished" in fields else None,
            result=outcome.result if outcome.error is None else None,
            error=outcome.error,
            usage=outcome.usage,
            cost=outcome.cost,
        )


def unavailable(error: BaseException) -> EngineUnavailable:
    """What callers are told when Redis isn't there; nothing of its address."""
    return EngineUnavailable(
        f"the task engine's Redis can't be used: {trouble(error)}",
        hint="agents and workflows still run; tasks can be submitted when it is back",
        retry_after=_RETRY_AFTER,
    )


def _not_found(task_id: str) -> WeaverError:
    return TaskNotFound(f"no task {task_id!r}", hint="finished tasks can be read for a limited time")


def _told(error: TaskError | None) -> bytes:
    return to_json({} if error is None else {"code": error.code, "message": error.message})


def _event(entry_id: bytes, fields: Mapping[bytes, bytes]) -> TaskEvent:
    return TaskEvent(
        id=entry_id.decode().partition("-")[0],
        type=fields[b"type"].decode(),
        time=_time(fields[b"time"]),
        data=from_json(fields[b"data"]),
    )


def _beat(name: str, value: bytes, now: int) -> Beat:
    seen, _, told = value.partition(b" ")
    return Beat(name=name, age_seconds=max(0.0, (now - int(seen)) / 1_000_000), **from_json(told))


def _time(micros: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
