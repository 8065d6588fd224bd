"""What workers say to Redis: which task they take, what came of an attempt, and that they live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from weaver_ai.errors import WorkerLost
from weaver_ai.tasks.attempt import retrying
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.payloads import CANCELLED
from weaver_ai.tasks.record import TaskError, TaskRecord, state_of
from weaver_ai.tasks.redis import scripts
from weaver_ai.tasks.redis.access import RedisAccess, ms, us
from weaver_ai.tasks.redis.answers import (
    OVERDUE,
    Claimed,
    Counted,
    Heartbeat,
    kept_of,
    names_of,
    told_of,
)
from weaver_ai.tasks.redis.outbox import Event
from weaver_ai.tasks.redis.serving import Serving
from weaver_ai.tasks.schedule import Spent

__all__ = ["RedisAttempts", "Turn"]

Turn: TypeAlias = tuple[bytes, str]
"""A turn that was taken: docket's message, and its ticket."""
Unwritten: TypeAlias = tuple[int, Sequence[Event]]
"""Events of an attempt that may not be there yet, after the number of the first of them."""
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
    """What a worker does with the tasks of a service.

    Args:
        redis: the service's corner of Redis.
        serving: what the worker serves.
        worker: its name, unique among all.
        readers: the consumer group of docket's that reads the turns.
        lease_seconds: how long the worker may be silent until its tasks are given to others.

    Raises, from every method:
        EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
    """

    def __init__(
        self, redis: RedisAccess, serving: Serving, *, worker: str, readers: str, lease_seconds: float
    ) -> None:
        self.worker: Final = worker
        self.lease_seconds: Final = lease_seconds
        self._redis = redis
        self._serving = serving
        self._readers = readers

    async def claim(self, turn: Turn) -> Claimed | None:
        """The most urgent task that waits and may run here, from now on this worker's; None when none does.

        The turn is used up in either case.
        """
        return Claimed.of(await self._redis.script(scripts.CLAIM, *turn, *self._taking()))

    async def pass_on(self, turn: Turn) -> None:
        """Leave a turn to another worker."""
        await self._redis.script(scripts.PASS_ON, *turn, self._serving.group, self._readers)

    async def finish(self, record: TaskRecord, outcome: TaskOutcome, unwritten: Unwritten, *, go_on: bool) -> Counted:
        """Close an attempt's task; with `go_on` take the next one, with a turn or without.

        `unwritten` are events of the attempt, and the number of the first of them.
        """
        return Counted.of(
            *await self._redis.script(
                scripts.FINISH,
                *self._leaving(record, go_on),
                state_of(outcome.error),
                kept_of(outcome),
                told_of(outcome.error),
                *self._taking(),
                *_telling(unwritten),
            )
        )

    async def put_off(
        self,
        record: TaskRecord,
        pause: float,
        spent: Spent,
        error: TaskError,
        *,
        ticket: str,
        unwritten: Unwritten,
        go_on: bool,
    ) -> Counted:
        """Let another attempt follow a failed one, after `pause` seconds and with the turn `ticket`."""
        return Counted.of(
            *await self._redis.script(
                scripts.PUT_OFF,
                *self._leaving(record, go_on),
                us(pause),
                to_json(spent),
                to_json(error),
                to_json(dict(retrying(record, error, pause))),
                ticket,
                *self._taking(),
                *_telling(unwritten),
            )
        )

    async def release(self, record: TaskRecord, spent: Spent, unwritten: Unwritten) -> None:
        """Put an attempt's task back to where it stood in its line."""
        told = (to_json({"reason": "its worker shuts down"}), to_json(spent), *_telling(unwritten))
        counted = Counted.of(*await self._redis.script(scripts.RELEASE, record.id, record.attempts, *told))
        if counted.word == "stop":
            await self.finish(record, TaskOutcome(error=CANCELLED), unwritten, go_on=False)

    async def emit(self, record: TaskRecord, unwritten: Unwritten) -> bool:
        """Add events of an attempt; False when its task has been given to another."""
        return await self._counted(scripts.EMIT, record, *_telling(unwritten))

    async def keep_step(self, record: TaskRecord, step: str, value: JsonValue) -> bool:
        """Keep what came of a step; False when the task has been given to another attempt."""
        return await self._counted(scripts.KEEP_STEP, record, step, to_json(value))

    async def steps(self, task_id: str) -> dict[str, JsonValue]:
        """What came of the steps that have finished, by their key."""
        found = await self._redis.command("HGETALL", self._redis.key("steps", task_id))
        return {step.decode(): from_json(value) for step, value in found.items()}

    async def beat(self, heartbeat: Heartbeat, running: Iterable[TaskRecord]) -> list[Verdict]:
        """Tell that the worker lives and what it serves, and renew the leases of what it runs."""
        served = [] if heartbeat.draining else list(self._serving.capabilities or (_ANY,))
        attempts = [value for record in running for value in (record.id, record.attempts)]
        told = await self._redis.script(
            scripts.BEAT,
            self.worker,
            to_json(heartbeat),
            ms(self.lease_seconds),
            self._serving.group,
            len(served),
            *served,
            *attempts,
        )
        return [verdict.decode() for verdict in told]

    async def leave(self) -> None:
        """Forget the worker, which ends in order."""
        await self._redis.command("HDEL", f"{self._redis.prefix}:workers", self.worker)

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

    async def first_of_sweepers(self, seconds: float) -> bool:
        """Whether this worker is the one of its group that sweeps in the next `seconds`."""
        key = self._redis.key("sweeper", self._serving.group)
        return bool(await self._redis.command("SET", key, self.worker, "NX", "PX", max(1, ms(seconds))))

    def _leaving(self, record: TaskRecord, go_on: bool) -> tuple[str | int, ...]:
        return record.id, record.attempts, int(self._serving.limited(record.capability)), int(go_on)

    def _taking(self) -> list[str | int | bytes]:
        lease = ms(self.lease_seconds)
        mine: list[str | int | bytes] = [self.worker, self._serving.group, lease, *OVERDUE, *self._redis.ttls()]
        return [*mine, self._readers, *self._serving.arguments()]

    async def _counted(self, script: str, record: TaskRecord, *arguments: Any) -> bool:
        return bool(await self._redis.script(script, record.id, record.attempts, *arguments))


def _telling(unwritten: Unwritten) -> list[str | int | bytes]:
    first, events = unwritten
    found: list[str | int | bytes] = [first, len(events)]
    for event in events:
        found += [event.type, to_json(event.data)]
    return found
