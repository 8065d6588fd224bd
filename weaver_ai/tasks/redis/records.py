"""What gateways ask of Redis: to take tasks, and how they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue
from pydantic_core import to_json
from redis.asyncio import Redis

from weaver_ai.errors import StepChanged, TaskNotFound, WeaverError
from weaver_ai.tasks.engine import TaskOutcome
from weaver_ai.tasks.lines import PRIORITIES
from weaver_ai.tasks.payloads import CANCELLED, IDEMPOTENCY_SECONDS
from weaver_ai.tasks.record import FINISHED_STATES, TaskRecord, TaskState
from weaver_ai.tasks.redis import scripts
from weaver_ai.tasks.redis.access import RedisAccess, us
from weaver_ai.tasks.redis.answers import (
    OVERDUE,
    Accepted,
    EventPage,
    Survey,
    event_of,
    kept_of,
    names_of,
    outcome_of,
    record_of,
    spent_of,
    survey_of,
    time_of,
    told_of,
)
from weaver_ai.tasks.schedule import Times

__all__ = ["ListedState", "RedisRecords"]

ListedState: TypeAlias = Literal["failed", "scheduled", "queued"]

_WAITING: Final = frozenset({"queued", "scheduled"})
_PAGE: Final = 200


class RedisRecords:
    """Tasks by id.

    Raises, from every method:
        EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
    """

    def __init__(self, redis: RedisAccess) -> None:
        self._redis = redis

    async def accept(self, record: TaskRecord, fingerprint: str, times: Times, queue_size: int) -> Accepted:
        """Take a task unless its key is known or the queue is full. Doing it again with the same id changes nothing."""
        told: dict[str, JsonValue] = {"priority": record.priority}
        if times.delay > 0:
            told["delay_seconds"] = round(times.delay, 3)
        verdict, detail, *groups = await self._redis.traced_script(
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
            us(times.delay),
            "" if times.deadline is None else us(times.deadline),
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
        found = await self._redis.run(lambda redis: redis.get(self._redis.key("key", key)))
        if found is None:
            return None
        fingerprint, _, task_id = found.decode().partition(" ")
        return fingerprint, task_id

    async def read(self, task_id: str) -> TaskRecord:
        """The task as it stands.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        record = record_of(await self._look(task_id))
        if await self._expired(task_id, record.state, record.deadline):
            return record_of(await self._look(task_id))
        return record

    async def cancel(self, task_id: str) -> tuple[TaskState, str, tuple[str, ...]]:
        """Close a task that waits, and stop one that runs.

        Gives the state it had; of one that waited for its time also the ticket, and the groups that have its turn.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        outcome = kept_of(TaskOutcome(error=CANCELLED))
        reply = await self._redis.script(scripts.CANCEL, task_id, outcome, told_of(CANCELLED), *self._redis.ttls())
        if reply is None:
            raise _not_found(task_id)
        state, ticket, groups = reply
        return state.decode(), ticket.decode(), names_of(groups)

    async def events(self, task_id: str, position: int) -> EventPage:
        """The events after `position`, a page of them.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """

        async def look(redis: Redis) -> tuple[list[Any], list[tuple[bytes, dict[bytes, bytes]]]]:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.hmget(self._redis.key("task", task_id), ["state", "events", "deadline"])
                pipeline.xrange(self._redis.key("events", task_id), min=f"{position + 1}-0", count=_PAGE)
                held, entries = await pipeline.execute()
                return held, entries

        (state, count, deadline), entries = await self._redis.run(look)
        if state is None or count is None:
            raise _not_found(task_id)
        if await self._expired(task_id, state.decode(), None if deadline is None else time_of(deadline)):
            (state, count, _), entries = await self._redis.run(look)
        events = tuple(event_of(entry_id, fields) for entry_id, fields in entries)
        reached = int(events[-1].id) if events else position
        return EventPage(events, int(count), state.decode() in FINISHED_STATES and reached >= int(count))

    async def survey(self) -> Survey:
        """The tasks and the workers, as counts and heartbeats."""
        return survey_of(await self._redis.script(scripts.SURVEY))

    async def prime(self) -> None:
        """Let Redis know the script of a submission, the only one whose calls are in a request's trace."""
        await self._redis.run(lambda redis: redis.script_load(scripts.ACCEPT))

    async def try_write(self) -> None:
        """Write something of no meaning, that is gone in a second."""
        await self._redis.run(lambda redis: redis.set(f"{self._redis.prefix}:write", b"", px=1000))

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
        key = f"{self._redis.prefix}:{state}"
        found: list[bytes] = await self._redis.run(
            lambda redis: redis.zrange(key, 0, limit - 1, desc=state == "failed")
        )
        return found

    async def _queued_ids(self, limit: int) -> list[bytes]:
        found: list[bytes] = []
        lines = (await self.survey()).lines
        for priority in PRIORITIES:
            entries: list[tuple[float, bytes]] = []
            for key in (
                self._redis.key("line", f"{priority}:{line.capability}") for line in lines if line.priority == priority
            ):
                entries += await self._heads(key, limit)
            found += [task_id for _, task_id in sorted(entries)]
        return found[:limit]

    async def _heads(self, line: str, limit: int) -> list[tuple[float, bytes]]:
        pairs = await self._redis.run(lambda redis: redis.zrange(line, 0, limit - 1, withscores=True))
        return [(place, task_id) for task_id, place in pairs]

    async def retry(self, task_id: str) -> TaskState:
        """Put a failed task back to the end of its line; gives the state that it had.

        It has all its retries again, and no deadline. Its finished steps aren't run again, unless it failed because
        they have changed. A task in another state is left alone.

        Raises:
            TaskNotFound: there is no such task, or its record has expired.
        """
        fields = await self._look(task_id)
        outcome = outcome_of(fields)
        # Steps that a workflow no longer takes would fail it again.
        anew = outcome.error is not None and outcome.error.code == StepChanged.code
        spent = spent_of(fields).and_all(outcome, steps_stay=not anew)
        told = (to_json({"reason": "put back by hand"}), int(anew), to_json(spent))
        answer = await self._redis.script(scripts.RETRY, task_id, *told)
        if answer is None:
            raise _not_found(task_id)
        state: TaskState = answer.decode()
        return state

    def channel(self, task_id: str) -> str:
        """Where the numbers of a task's new events are published."""
        return self._redis.key("news", task_id)

    def end_channel(self, task_id: str) -> str:
        """Where the state is published in which a task has ended."""
        return self._redis.key("ended", task_id)

    async def _look(self, task_id: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await self._redis.command("HGETALL", self._redis.key("task", task_id))
        if not found:
            raise _not_found(task_id)
        return found

    async def _expired(self, task_id: str, state: TaskState, deadline: datetime | None) -> bool:
        """Close a task that waits beyond its deadline: there may be no worker to do it."""
        if deadline is None or state not in _WAITING or datetime.now(UTC) < deadline:
            return False
        return bool(await self._redis.script(scripts.EXPIRE, task_id, *OVERDUE, *self._redis.ttls()))


def _not_found(task_id: str) -> WeaverError:
    return TaskNotFound(f"no task {task_id!r}", hint="finished tasks can be read for a limited time")
