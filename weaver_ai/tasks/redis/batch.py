"""Commands that are asked for at the same time, in one write and one read of Redis."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final, TypeAlias

from docket import Docket
from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis.exceptions import NoScriptError

__all__ = ["RedisBatches"]

Command: TypeAlias = tuple[Any, ...]

_LANES: Final = 2  # so that Redis works on one batch while the replies of another are read
_MOST: Final = 64


@dataclass(slots=True)
class _Asked:
    command: Command
    answer: asyncio.Future[Any]


class RedisBatches:
    """Commands of one process, in no trace and in no promised order: who needs one waits for the answer of the first.

    A write and a read of a socket cost more than the command between them. Whatever is asked for while the lanes are
    busy goes out together when one comes free, so that nobody waits for company and many still share.

    Args:
        docket: has the connections.
        reply_seconds: how long a batch may take. Nothing is sent twice; but what was sent and given up, Redis may still
            do later.
    """

    def __init__(self, docket: Docket, reply_seconds: float) -> None:
        self._docket = docket
        self._reply_seconds = reply_seconds
        self._waiting: deque[_Asked] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._scripts: dict[str, str] = {}

    async def script(self, script: str, *arguments: Any) -> Any:
        """What a script answers.

        Raises:
            redis.exceptions.RedisError: Redis can't be reached, or refuses.
            TimeoutError: it doesn't answer.
        """
        if (digest := self._scripts.get(script)) is None:
            digest = self._scripts[script] = sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            return await self.command("EVALSHA", digest, 0, *arguments)
        except NoScriptError:
            await self.command("SCRIPT LOAD", script)
            return await self.command("EVALSHA", digest, 0, *arguments)

    async def command(self, *command: Any) -> Any:
        """What a command answers.

        Raises:
            redis.exceptions.RedisError: Redis can't be reached, or refuses.
            TimeoutError: it doesn't answer.
        """
        asked = _Asked(command, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._lanes) < _LANES:
            # A lane serves many, in the context of none of them.
            lane = asyncio.create_task(self._send(), name="weaver commands to Redis", context=contextvars.Context())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await asked.answer

    async def aclose(self) -> None:
        """Give up what is asked for."""
        for lane in (lanes := set(self._lanes)):
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes)

    async def _send(self) -> None:
        lane = asyncio.current_task()
        assert lane is not None  # noqa: S101 - it is a coroutine
        with suppress_instrumentation():
            while batch := self._next():
                try:
                    async with asyncio.timeout(self._reply_seconds), self._docket.redis() as redis:
                        answers = await _answers(redis, [asked.command for asked in batch])
                except BaseException as error:
                    _fail(batch, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    for asked, answer in zip(batch, answers, strict=True):
                        _tell(asked, answer)
            self._lanes.discard(lane)  # now: who is woken by an answer asks before a task's callbacks are called

    def _next(self) -> list[_Asked]:
        found: list[_Asked] = []
        while self._waiting and len(found) < _MOST:
            asked = self._waiting.popleft()
            if not asked.answer.done():  # whoever asked has given up
                found.append(asked)
        return found


async def _answers(redis: Any, commands: Sequence[Command]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
    return answers


def _tell(asked: _Asked, answer: Any) -> None:
    if asked.answer.done():
        return
    if isinstance(answer, Exception):
        asked.answer.set_exception(answer)
    else:
        asked.answer.set_result(answer)


def _fail(batch: Sequence[_Asked], error: BaseException) -> None:
    for asked in batch:
        if asked.answer.done():
            continue
        if isinstance(error, Exception):
            asked.answer.set_exception(error)
        else:
            asked.answer.cancel()
