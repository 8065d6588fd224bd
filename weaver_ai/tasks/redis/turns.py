"""Turns, delivered by docket: each one lets a worker run one task, whichever is the most urgent by then.

docket knows no priorities; that a turn isn't bound to a task is what gives them, over all workers, and lets a turn that
was lost be replaced by any other. Its messages carry an id and nothing else. What docket keeps of each of its own tasks
(a record, its state, its result) a turn doesn't need: the scripts that take tasks take turns too, docs/decisions/0804.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import uuid4

from docket import Docket, Execution, Worker
from docket.execution import schedule_many
from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis.exceptions import ResponseError

from weaver_ai.tasks.redis.access import or_unavailable
from weaver_ai.tasks.redis.attempts import Turn
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.tasks.redis.prelude import TURN
from weaver_ai.tasks.redis.serving import EVERYTHING
from weaver_ai.telemetry.logs import log_error

__all__ = ["TurnTaker", "Turns"]

_CHECK_INTERVAL: Final = timedelta(milliseconds=10)
_RECONNECTION_DELAY: Final = timedelta(milliseconds=500)
_REPLY_SECONDS: Final = 5.0


async def weaver_turn() -> None:
    """What docket would call for a turn. It is there to be named: see `TurnTaker`."""
    raise RuntimeError("a turn came to a worker that isn't one of weaver's")


class Turns:
    """The turns of one prefix: a docket for each group of workers that serve the same.

    Args:
        redis: the connections.
        prefix: of the dockets' names.
        group: whose turns are taken here; that of the workers that serve everything where none are.
    """

    def __init__(self, redis: RedisPool, prefix: str, group: str = EVERYTHING) -> None:
        self._redis = redis
        self._prefix = prefix
        self._stack = AsyncExitStack()
        self.docket: Final = self._docket_of(group)
        self._dockets = {group: self.docket}

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        await self._stack.enter_async_context(self.docket)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def add(self, ticket: str, groups: Iterable[str], delay: float) -> None:
        """Let some worker of each group run one more task, after `delay` seconds.

        Adding a ticket again that hasn't been taken changes nothing.

        Raises:
            EngineUnavailable: Redis can't be reached.
        """
        with or_unavailable():
            async with asyncio.timeout(_REPLY_SECONDS):
                for group in groups:
                    await _turn(await self._of(group), ticket, delay).schedule()

    async def prime(self) -> None:
        """Let Redis know docket's script, so that no first submission meets an error and shows it in its trace."""
        await self._add_many(["primed"])

    async def untaken(self) -> int:
        """How many turns of this group wait to be taken."""
        with or_unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS), self.docket.redis() as redis:
                try:
                    pending = await redis.xpending(self.docket.stream_key, self.docket.worker_group_name)
                except ResponseError:  # nobody has taken turns of this docket yet
                    return int(await redis.xlen(self.docket.stream_key))
                return max(0, int(await redis.xlen(self.docket.stream_key)) - int(pending["pending"]))

    async def top_up(self, number: int) -> None:
        """Add turns of this group in place of lost ones."""
        if number:
            await self._add_many([uuid4().hex for _ in range(number)])

    async def forget(self, group: str) -> None:
        """Remove the turns of a group whose workers are gone; should they come back, they add what they miss."""
        with or_unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS):
                await (await self._of(group)).clear()

    async def withdraw(self, ticket: str, groups: Iterable[str]) -> None:
        """Remove a turn that waits for its time."""
        with or_unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS):
                for group in groups:
                    await (await self._of(group)).cancel(ticket)

    async def _add_many(self, tickets: Sequence[str]) -> None:
        with or_unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS), self.docket.redis() as redis:
                await schedule_many(redis, [_turn(self.docket, ticket) for ticket in tickets], replace=False)

    async def _of(self, group: str) -> Docket:
        if (known := self._dockets.get(group)) is None:
            known = self._dockets[group] = self._docket_of(group)
            await self._stack.enter_async_context(known)
        return known

    def _docket_of(self, group: str) -> Docket:
        made = self._redis.docket(f"{self._prefix}-turns{group and '-'}{group}")
        made.register(weaver_turn, names=[TURN])
        return made


def _turn(docket: Docket, ticket: str, delay: float = 0.0) -> Execution:
    when = datetime.now(UTC) + timedelta(seconds=delay)
    return Execution(docket, docket.tasks[TURN], (), {}, ticket, when, 1, function_name=TURN)


class TurnTaker(Worker):
    """Takes turns, until it is told to `rest`.

    docket isn't let wait for those that are under way: after an error of Redis it would connect again when the last of
    them has ended, an hour later perhaps, and until then take no other.

    Args:
        turns: whose.
        take: called with each turn, which it has to use up. One that it leaves is delivered again, to whoever comes
            first, when a lease is over.
        interrupt: called with the id of each task that was cancelled while some worker of the group ran it.
        name: of the worker, unique among all.
        concurrency: turns taken at a time.
        lease_seconds: how long docket lets a silent worker keep its turns.
    """

    def __init__(
        self,
        turns: Turns,
        take: Callable[[Turn], Awaitable[None]],
        interrupt: Callable[[str], None],
        *,
        name: str,
        concurrency: int,
        lease_seconds: float,
    ) -> None:
        self.asked_at = time.monotonic()
        self._take = take
        self._interrupt = interrupt
        self._places = concurrency
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended = False
        self._running: asyncio.Task[None] | None = None
        super().__init__(
            turns.docket,
            name=name,
            concurrency=concurrency,
            redelivery_timeout=timedelta(seconds=lease_seconds),
            reconnection_delay=_RECONNECTION_DELAY,
            minimum_check_interval=_CHECK_INTERVAL,
            schedule_automatic_tasks=False,
        )

    @property
    def concurrency(self) -> int:
        """How many more turns may be taken.

        Asked once in each round of docket's loop, so that a loop that is stuck shows.
        """
        self.asked_at = time.monotonic()
        return self._places - len(self._under_way)

    @concurrency.setter
    def concurrency(self, places: int) -> None:
        self._places = places

    def begin(self) -> None:
        """Take turns in a task of its own."""
        self._running = asyncio.create_task(self._take_turns(), name=f"weaver worker {self.name}")

    async def broke_off(self) -> BaseException | None:
        """Wait until it stops without being told to, which it never should; gives what made it stop."""
        assert self._running is not None  # noqa: S101 - it has begun
        await asyncio.wait({self._running})
        return None if self._running.cancelled() else self._running.exception()

    @property
    def takes(self) -> bool:
        """Whether turns are delivered here; not while docket connects again after an error."""
        session = self._processing_session
        return session is not None and not session.stopping.is_set()

    def rest(self) -> None:
        """Take no more turns. Those that were taken keep their leases, and can still be cancelled."""
        self._places = 0

    async def all_used(self, seconds: float) -> None:
        """Wait until none of the turns that are under way now is left, at most so long."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def end(self) -> None:
        """Stop, and cancel the turns that are under way."""
        self._ended = True
        for turn in self._under_way:
            turn.cancel()
        if self._running is not None:
            self._running.cancel()
        if ending := {*self._under_way, *([] if self._running is None else [self._running])}:
            await asyncio.wait(ending)

    async def _take_turns(self) -> None:
        async with self:
            await self.run_forever()

    async def _execute(self, execution: Execution, session: Any) -> None:
        """In place of docket's, which writes a record before and after, in two scripts, and a span."""
        del session
        execution._acked = True  # by `take`, or not at all; docket would write a record to see to it
        assert execution.message_id is not None  # noqa: S101 - docket says so of what it has from a stream
        if self._ended:
            return
        turn = asyncio.create_task(self._use((execution.message_id, execution.key)), name="weaver turn")
        self._under_way.add(turn)
        turn.add_done_callback(self._under_way.discard)

    async def _use(self, turn: Turn) -> None:
        try:
            await self._take(turn)
        except Exception as error:  # noqa: BLE001 - nobody awaits it: what is wrong with one turn is to be seen
            log_error("a worker's turn failed", exception=error)

    async def _handle_cancellation(self, message: Any) -> None:
        """In place of docket's, which knows turns and not the tasks that run in them."""
        self._interrupt(message["data"].decode())
