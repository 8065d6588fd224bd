"""What workers say to Redis: which task they take, what came of an attempt, and that they live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from weaver_ai.errors import WorkerLost
from weaver_ai.tasks import redis_scripts as scripts
from weaver_ai.tasks.attempt import retrying
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED
from weaver_ai.tasks.record import TaskError, TaskRecord, state_of
from weaver_ai.tasks.redis_access import RedisAccess, ms, us
from weaver_ai.tasks.redis_answers import (
    OVERDUE,
    Claimed,
    Counted,
    Heartbeat,
    fields_of,
    kept_of,
    names_of,
    record_of,
    spent_of,
    time_of,
    told_of,
)
from weaver_ai.tasks.schedule import Spent
from weaver_ai.tasks.serving import Serving

__all__ = ["RedisAttempts"]

Verdict: TypeAlias = Literal["ok", "stop", "lost"]

_MAX_LOSSES: Final = 3
_ANY: Final = "*"
_LOST: Final = TaskError.of(
    WorkerLost(
        f"{_MAX_LOSSES} workers died or fell silent while they ran the task",
        hint="see their logs; 'weaver tasks retry' puts the task back",
    )
)


class RedisAttempts:
    """The attempts at the tasks of a service.

    Args:
        redis: the service's corner of Redis.
        serving: what the worker serves.
        stream: of its group's turns, and the name of those who read it.

    Raises, from every method:
        EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
    """

    def __init__(self, redis: RedisAccess, serving: Serving, stream: tuple[str, str]) -> None:
        self._redis = redis
        self._serving = serving
        self._stream = stream

    async def claim(self, worker: str, ticket: str, lease_seconds: float) -> Claimed | None:
        """The most urgent task that waits and may run here, from now on this worker's; None when none does."""
        claimed = await self._redis.script(
            scripts.CLAIM,
            worker,
            self._serving.group,
            ticket,
            ms(lease_seconds),
            *OVERDUE,
            *self._redis.ttls(),
            *self._serving.arguments(),
        )
        if claimed is None:
            return None
        pairs, now = claimed
        fields = fields_of(pairs)
        record = record_of(fields)
        left = None if record.deadline is None else (record.deadline - time_of(now)).total_seconds()
        return Claimed(record, spent_of(fields), left)

    async def finish(self, record: TaskRecord, outcome: TaskOutcome) -> Counted:
        """Close an attempt's task."""
        return Counted.of(
            *await self._redis.script(
                scripts.FINISH,
                record.id,
                record.attempts,
                state_of(outcome.error),
                kept_of(outcome),
                told_of(outcome.error),
                *self._redis.ttls(),
                *self._heirs(record),
            )
        )

    async def put_off(self, record: TaskRecord, pause: float, spent: Spent, error: TaskError, ticket: str) -> Counted:
        """Let another attempt follow a failed one, after `pause` seconds and with the turn `ticket`."""
        return Counted.of(
            *await self._redis.script(
                scripts.PUT_OFF,
                record.id,
                record.attempts,
                us(pause),
                to_json(asdict(spent)),
                to_json(asdict(error)),
                to_json(dict(retrying(record, error, pause))),
                ticket,
                *self._heirs(record),
            )
        )

    async def release(self, record: TaskRecord) -> Counted:
        """Put an attempt's task back to where it stood in its line."""
        counted = Counted.of(
            *await self._redis.script(
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
        found = await self._redis.run(lambda redis: redis.hgetall(self._redis.key("steps", task_id)))
        return {step.decode(): from_json(value) for step, value in found.items()}

    async def beat(
        self,
        worker: str,
        heartbeat: Heartbeat,
        running: Iterable[TaskRecord],
        lease_seconds: float,
    ) -> list[Verdict]:
        """Tell that a worker lives and what it serves, and renew the leases of what it runs."""
        served = [] if heartbeat.draining else list(self._serving.capabilities or (_ANY,))
        attempts = [value for record in running for value in (record.id, record.attempts)]
        told = await self._redis.script(
            scripts.BEAT,
            worker,
            to_json(asdict(heartbeat)),
            ms(lease_seconds),
            self._serving.group,
            len(served),
            *served,
            *attempts,
        )
        return [verdict.decode() for verdict in told]

    async def leave(self, worker: str) -> None:
        """Forget a worker that ends in order."""
        await self._redis.run(lambda redis: redis.hdel(f"{self._redis.prefix}:workers", worker))

    async def sweep(self, *, take_back: bool) -> tuple[int, tuple[str, ...]]:
        """See to what is due; with `take_back`, give tasks of silent workers to others.

        Gives how many tasks wait that may run where these capabilities are served, and groups that are no more.
        """
        ready, gone = await self._redis.script(
            scripts.SWEEP,
            int(take_back),
            _MAX_LOSSES,
            kept_of(TaskOutcome(error=_LOST)),
            told_of(_LOST),
            kept_of(TaskOutcome(error=CANCELLED)),
            told_of(CANCELLED),
            *OVERDUE,
            *self._redis.ttls(),
            int(self._redis.ttl_seconds),
            *self._serving.arguments(),
        )
        return ready, names_of(gone)

    async def first_of_sweepers(self, worker: str, seconds: float) -> bool:
        """Whether this worker is the one of its group that sweeps in the next `seconds`."""
        key = self._redis.key("sweeper", self._serving.group)
        taken = await self._redis.run(lambda redis: redis.set(key, worker, nx=True, px=max(1, ms(seconds))))
        return bool(taken)

    def _heirs(self, record: TaskRecord) -> list[str | int]:
        limited = self._serving.limited(record.capability)
        return [int(limited), self._serving.group, *self._stream, *self._serving.arguments()]

    async def _counted(self, script: str, record: TaskRecord, *arguments: Any) -> bool:
        return bool(await self._redis.script(script, record.id, record.attempts, *arguments))
