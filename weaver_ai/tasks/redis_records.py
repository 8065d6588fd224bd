"""The records of tasks in Redis: what `redis_scripts` does, with types and errors of this package."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
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
from weaver_ai.tasks.attempt import retrying
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.lines import PRIORITIES
from weaver_ai.tasks.payloads import CANCELLED, IDEMPOTENCY_SECONDS
from weaver_ai.tasks.record import (
    FINISHED_STATES,
    TaskError,
    TaskRecord,
    TaskState,
    state_of,
)
from weaver_ai.tasks.redis_answers import (
    Accepted,
    Claimed,
    Counted,
    EventPage,
    Heartbeat,
    Survey,
    event_of,
    fields_of,
    names_of,
    survey_of,
    time_of,
)
from weaver_ai.tasks.redis_trouble import trouble
from weaver_ai.tasks.schedule import DEADLINE_EXCEEDED, Spent, Times
from weaver_ai.tasks.serving import Serving

__all__ = ["ListedState", "RedisRecords", "unavailable"]

Verdict: TypeAlias = Literal["ok", "stop", "lost"]
ListedState: TypeAlias = Literal["failed", "scheduled", "queued"]

_WAITING: Final = frozenset({"queued", "scheduled"})
_PAGE: Final = 200
_MAX_LOSSES: Final = 3
_REPLY_SECONDS: Final = 5.0
_RETRY_AFTER: Final = 5.0

_LOST: Final = TaskError.of(
    WorkerLost(
        f"{_MAX_LOSSES} workers died or fell silent while they ran the task",
        hint="see their logs; 'weaver tasks retry' puts the task back",
    )
)
_OUTCOME: Final[TypeAdapter[TaskOutcome]] = TypeAdapter(TaskOutcome)
_SPENT: Final[TypeAdapter[Spent]] = TypeAdapter(Spent)
_ERROR: Final[TypeAdapter[TaskError]] = TypeAdapter(TaskError)
_ANY: Final = "*"


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

    async def accept(self, record: TaskRecord, fingerprint: str, times: Times, queue_size: int) -> Accepted:
        """Take a task unless its key is known or the queue is full. Doing it again with the same id changes nothing."""
        told: dict[str, JsonValue] = {"priority": record.priority}
        if times.delay > 0:
            told["delay_seconds"] = round(times.delay, 3)
        verdict, detail, *groups = await self._script(
            scripts.ACCEPT,
            record.id,
            record.priority,
            record.capability,
            record.to_json(),
            fingerprint,
            record.idempotency_key or "",
            int(IDEMPOTENCY_SECONDS),
            queue_size,
            to_json(told),
            _us(times.delay),
            "" if times.deadline is None else _us(times.deadline),
            quiet=False,
        )
        match verdict:
            case b"accepted":
                created, state, start, due, deadline = detail
                taken = record.but(
                    created_at=time_of(created),
                    state=state.decode(),
                    not_before=start and time_of(start),
                    next_attempt_at=due and time_of(due),
                    deadline=deadline and time_of(deadline),
                )
                return Accepted("accepted", record=taken, groups=names_of(groups[0]))
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
        record = self._record(task_id, await self._look(task_id))
        if await self._expired(task_id, record.state, record.deadline):
            return self._record(task_id, await self._look(task_id))
        return record

    async def claim(self, worker: str, ticket: str, lease_seconds: float, serving: Serving) -> Claimed | None:
        """The most urgent task that waits and may run here, from now on this worker's; None when none does."""
        claimed = await self._script(
            scripts.CLAIM,
            worker,
            serving.group,
            ticket,
            _ms(lease_seconds),
            *_OVERDUE,
            *self._ttls(),
            *serving.arguments(),
        )
        if claimed is None:
            return None
        task_id, pairs, now = claimed
        fields = fields_of(pairs)
        record = self._record(task_id.decode(), fields)
        left = None if record.deadline is None else (record.deadline - time_of(now)).total_seconds()
        return Claimed(record, _SPENT.validate_json(fields.get(b"spent", b"{}")), left)

    async def finish(self, record: TaskRecord, outcome: TaskOutcome, *, limited: bool = False) -> Counted:
        """Close an attempt's task; `limited` says that there may be others that wait for its end."""
        return Counted.of(
            *await self._script(
                scripts.FINISH,
                record.id,
                record.attempts,
                state_of(outcome.error),
                to_json(_told_of(outcome)),
                _told(outcome.error),
                *self._ttls(),
                int(limited),
            )
        )

    async def put_off(
        self, record: TaskRecord, pause: float, spent: Spent, error: TaskError, ticket: str, *, limited: bool = False
    ) -> Counted:
        """Let another attempt follow a failed one, after `pause` seconds and with the turn `ticket`."""
        return Counted.of(
            *await self._script(
                scripts.PUT_OFF,
                record.id,
                record.attempts,
                _us(pause),
                to_json(asdict(spent)),
                to_json(asdict(error)),
                to_json(dict(retrying(record, error, pause))),
                ticket,
                int(limited),
            )
        )

    async def release(self, record: TaskRecord) -> Counted:
        """Put an attempt's task back to where it stood in its line."""
        counted = Counted.of(
            *await self._script(
                scripts.RELEASE, record.id, record.attempts, to_json({"reason": "its worker shuts down"})
            )
        )
        if counted.word == "stop":
            await self.finish(record, TaskOutcome(error=CANCELLED))
        return counted

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

    async def cancel(self, task_id: str) -> tuple[TaskState, str, tuple[str, ...]]:
        """Close a task that waits, and mark one that runs; gives the state it had, its ticket, and who has its turn.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        outcome = to_json(_told_of(TaskOutcome(error=CANCELLED)))
        reply = await self._script(scripts.CANCEL, task_id, outcome, _told(CANCELLED), *self._ttls())
        if reply is None:
            raise _not_found(task_id)
        state, ticket, groups = reply
        return state.decode(), ticket.decode(), names_of(groups)

    async def beat(
        self,
        worker: str,
        heartbeat: Heartbeat,
        running: Iterable[TaskRecord],
        lease_seconds: float,
        serving: Serving,
    ) -> list[Verdict]:
        """Tell that a worker lives and what it serves, and renew the leases of what it runs."""
        served = [] if heartbeat.draining else list(serving.capabilities or (_ANY,))
        attempts = [value for record in running for value in (record.id, record.attempts)]
        told = await self._script(
            scripts.BEAT,
            worker,
            to_json(asdict(heartbeat)),
            _ms(lease_seconds),
            serving.group,
            len(served),
            *served,
            *attempts,
        )
        return [verdict.decode() for verdict in told]

    async def leave(self, worker: str) -> None:
        """Forget a worker that ends in order."""
        await self._run(lambda redis: redis.hdel(f"{self._prefix}:workers", worker))

    async def sweep(self, serving: Serving, *, take_back: bool) -> tuple[int, tuple[str, ...]]:
        """See to what is due; with `take_back`, give tasks of silent workers to others.

        Gives how many tasks wait that may run where these capabilities are served, and groups that are no more.
        """
        ready, gone = await self._script(
            scripts.SWEEP,
            int(take_back),
            _MAX_LOSSES,
            to_json(_told_of(TaskOutcome(error=_LOST))),
            _told(_LOST),
            to_json(_told_of(TaskOutcome(error=CANCELLED))),
            _told(CANCELLED),
            *_OVERDUE,
            *self._ttls(),
            int(self._ttl_seconds),
            *serving.arguments(),
        )
        return ready, names_of(gone)

    async def first_of_sweepers(self, worker: str, serving: Serving, seconds: float) -> bool:
        """Whether this worker is the one of its group that sweeps in the next `seconds`."""
        key = self._key("sweeper", serving.group)
        taken = await self._run(lambda redis: redis.set(key, worker, nx=True, px=max(1, _ms(seconds))))
        return bool(taken)

    async def events(self, task_id: str, position: int) -> EventPage:
        """The events after `position`, a page of them.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """

        async def look(redis: Redis) -> tuple[list[Any], list[tuple[bytes, dict[bytes, bytes]]]]:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.hmget(self._key("task", task_id), ["state", "events", "deadline"])
                pipeline.xrange(self._key("events", task_id), min=f"{position + 1}-0", count=_PAGE)
                held, entries = await pipeline.execute()
                return held, entries

        (state, count, deadline), entries = await self._run(look)
        if state is None or count is None:
            raise _not_found(task_id)
        if await self._expired(task_id, state.decode(), None if deadline is None else time_of(deadline)):
            (state, count, _), entries = await self._run(look)
        events = tuple(event_of(entry_id, fields) for entry_id, fields in entries)
        reached = int(events[-1].id) if events else position
        return EventPage(events, int(count), state.decode() in FINISHED_STATES and reached >= int(count))

    async def survey(self) -> Survey:
        """The tasks and the workers, as counts and heartbeats."""
        return survey_of(await self._script(scripts.SURVEY))

    async def prime(self) -> None:
        """Let Redis know the script of a submission, the only one whose calls are in a request's trace."""
        await self._run(lambda redis: redis.script_load(scripts.ACCEPT))

    async def try_write(self) -> None:
        """Write something of no meaning, that is gone in a second."""
        await self._run(lambda redis: redis.set(f"{self._prefix}:write", b"", px=1000))

    async def listed(self, state: ListedState, limit: int) -> list[TaskRecord]:
        """Tasks in that state in the order of their turn; of the failed those that can still be read, latest first."""
        records = []
        for task_id in await self._ids(state, limit):
            try:
                record = await self.read(task_id.decode())
            except TaskNotFound:
                continue  # it expired between the two looks
            if record.state == state:
                records.append(record)
        return records

    async def _ids(self, state: ListedState, limit: int) -> list[bytes]:
        if state == "queued":
            return await self._queued_ids(limit)
        key = f"{self._prefix}:{state}"
        found: list[bytes] = await self._run(lambda redis: redis.zrange(key, 0, limit - 1, desc=state == "failed"))
        return found

    async def _queued_ids(self, limit: int) -> list[bytes]:
        found: list[bytes] = []
        lines = (await self.survey()).lines
        for priority in PRIORITIES:
            entries: list[tuple[float, bytes]] = []
            for key in (
                self._key("line", f"{priority}:{line.capability}") for line in lines if line.priority == priority
            ):
                entries += await self._heads(key, limit)
            found += [task_id for _, task_id in sorted(entries)]
        return found[:limit]

    async def _heads(self, line: str, limit: int) -> list[tuple[float, bytes]]:
        pairs = await self._run(lambda redis: redis.zrange(line, 0, limit - 1, withscores=True))
        return [(place, task_id) for task_id, place in pairs]

    async def retry(self, task_id: str) -> tuple[TaskState, tuple[str, ...]]:
        """Put a failed task back to the end of its line; gives the state that it had, and the groups that serve it.

        It has all its retries again, and no deadline. Its finished steps aren't run again, unless it failed because
        they have changed. A task in another state is left alone.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        error = (await self.read(task_id)).error
        # Steps that a workflow no longer takes would fail it again.
        anew = error is not None and error.code == StepChanged.code
        answer = await self._script(scripts.RETRY, task_id, to_json({"reason": "put back by hand"}), int(anew))
        if answer is None:
            raise _not_found(task_id)
        before, groups = answer
        return before.decode(), names_of(groups)

    def channel(self, task_id: str) -> str:
        """Where the numbers of a task's new events are published."""
        return self._key("news", task_id)

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{name}"

    def _ttls(self) -> tuple[int, int]:
        return _ms(self._ttl_seconds), _ms(max(self._ttl_seconds, IDEMPOTENCY_SECONDS))

    async def _counted(self, script: str, record: TaskRecord, *arguments: Any) -> bool:
        return bool(await self._script(script, record.id, record.attempts, *arguments))

    async def _look(self, task_id: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await self._run(lambda redis: redis.hgetall(self._key("task", task_id)))
        return found

    async def _expired(self, task_id: str, state: TaskState, deadline: datetime | None) -> bool:
        """Close a task that waits beyond its deadline: there may be no worker to do it."""
        if deadline is None or state not in _WAITING or datetime.now(UTC) < deadline:
            return False
        return bool(await self._script(scripts.EXPIRE, task_id, *_OVERDUE, *self._ttls()))

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
        used: TaskOutcome | Spent = outcome
        if outcome.usage is None and outcome.cost is None:
            used = _SPENT.validate_json(fields.get(b"spent", b"{}"))
        record = TaskRecord.from_json(fields[b"request"])
        return record.but(
            state=fields[b"state"].decode(),
            attempts=int(fields[b"attempts"]),
            created_at=time_of(fields[b"created"]),
            started_at=_time_in(fields, b"started"),
            finished_at=_time_in(fields, b"finished"),
            result=outcome.result if outcome.error is None else None,
            error=outcome.error,
            usage=used.usage,
            cost=used.cost,
            not_before=_time_in(fields, b"start"),
            deadline=_time_in(fields, b"deadline"),
            retried=int(fields.get(b"retried", b"0")),
            next_attempt_at=_time_in(fields, b"due"),
            last_error=_ERROR.validate_json(fields[b"last_error"]) if b"last_error" in fields else None,
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


def _told_of(outcome: TaskOutcome) -> dict[str, Any]:
    """What is kept of an outcome."""
    return {name: value for name, value in asdict(outcome).items() if not name.startswith("kept_")}


def _time_in(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    return time_of(fields[name]) if name in fields else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


_OVERDUE: Final = (to_json(_told_of(TaskOutcome(error=DEADLINE_EXCEEDED))), _told(DEADLINE_EXCEEDED))
