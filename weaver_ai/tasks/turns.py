"""Turns, delivered by docket: each one lets a worker run one task, whichever is the most urgent by then.

docket knows no priorities; that a turn isn't bound to a task is what gives them, over all workers, and lets a turn that
was lost be replaced by any other. Its messages carry an id and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import docket.worker
from docket import Execution, Worker
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import INVALID_SPAN, Span, Tracer
from redis.exceptions import RedisError

from weaver_ai.tasks.redis_pool import RedisPool
from weaver_ai.tasks.redis_records import unavailable

__all__ = ["TurnTaker", "Turns"]

TURN: Final = "weaver_turn"

_CHECK_INTERVAL: Final = timedelta(milliseconds=10)
_RECONNECTION_DELAY: Final = timedelta(milliseconds=500)
_REPLY_SECONDS: Final = 5.0


async def weaver_turn(ticket: str) -> None:
    """What a docket calls that takes no turns; a gateway registers it to be able to add them."""
    raise RuntimeError(f"the turn {ticket!r} came to a process that runs no tasks")


class Turns:
    """The turns of one prefix."""

    def __init__(self, redis: RedisPool, prefix: str) -> None:
        self.docket: Final = redis.docket(f"{prefix}-turns")
        self.docket.register(weaver_turn, names=[TURN])

    async def add(self, ticket: str) -> None:
        """Let some worker run one more task. Adding a ticket again that hasn't been taken changes nothing.

        Raises:
            EngineUnavailable: Redis can't be reached.
        """
        turn = Execution(
            self.docket, self.docket.tasks[TURN], (ticket,), {}, ticket, datetime.now(UTC), 1, function_name=TURN
        )
        with _unavailable():
            async with asyncio.timeout(_REPLY_SECONDS):
                await turn.schedule()

    async def outstanding(self) -> int:
        """How many turns have been added and not been taken to their end."""
        with _unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS), self.docket.redis() as redis, redis.pipeline() as pipeline:
                pipeline.xlen(self.docket.stream_key)
                pipeline.zcard(self.docket.queue_key)
                return sum(await pipeline.execute())

    async def top_up(self, number: int) -> None:
        """Add turns in place of lost ones."""
        with suppress_instrumentation():
            for _ in range(number):
                await self.add(uuid4().hex)

    async def interrupt(self, ticket: str) -> None:
        """Cancel the turn wherever it is being taken."""
        with _unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS):
                await self.docket.cancel(ticket)


class TurnTaker(Worker):
    """Takes turns, until it is told to `rest`.

    Args:
        turns: whose.
        take: called with a turn's ticket; a cancellation of it is that of the task.
        name: of the worker, unique among all.
        concurrency: turns taken at a time.
        lease_seconds: how long docket lets a silent worker keep its turns.
    """

    def __init__(
        self,
        turns: Turns,
        take: Callable[[str], Awaitable[None]],
        *,
        name: str,
        concurrency: int,
        lease_seconds: float,
    ) -> None:
        self.asked_at = time.monotonic()
        self._places = concurrency
        self._running: asyncio.Task[None] | None = None

        async def weaver_turn(ticket: str) -> None:
            await take(ticket)

        turns.docket.register(weaver_turn, names=[TURN])
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
        """Asked once in each round of docket's loop, so that a loop that is stuck shows."""
        self.asked_at = time.monotonic()
        return self._places

    @concurrency.setter
    def concurrency(self, places: int) -> None:
        self._places = places

    def begin(self) -> None:
        """Take turns in a task of its own."""
        _silence_turns()
        self._running = asyncio.create_task(self._take_turns(), name=f"weaver worker {self.name}")

    @property
    def ended(self) -> bool:
        """Whether it stopped by itself, which it never should."""
        return self._running is not None and self._running.done()

    def rest(self) -> None:
        """Take no more turns. Those that were taken keep their leases, and can still be cancelled."""
        self._places = 0

    async def end(self) -> None:
        """Stop; turns still under way are waited for."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _take_turns(self) -> None:
        async with self:
            await self.run_forever()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise unavailable(error) from error


class _TurnsUntold(Tracer):
    """docket's tracer without the spans of turns: a turn's task has a span of its own, in the trace that asked for it.

    docket's would be a trace of its own for each, with a link.
    """

    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

    def start_span(self, name: str, *args: Any, **kwargs: Any) -> Span:
        return INVALID_SPAN if name == TURN else self._inner.start_span(name, *args, **kwargs)

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[Span]:  # type: ignore[override]
        if name == TURN:
            yield INVALID_SPAN
            return
        with self._inner.start_as_current_span(name, *args, **kwargs) as span:
            yield span


def _silence_turns() -> None:
    if not isinstance(docket.worker.tracer, _TurnsUntold):
        docket.worker.tracer = _TurnsUntold(trace.get_tracer(docket.worker.__name__))
