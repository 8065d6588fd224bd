"""Server-sent events: sent as they come, kept alive while nothing comes, ended when the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weaver_ai.gateway.disconnect import client_left, wait_for_disconnect
from weaver_ai.gateway.lifecycle import Lifecycle, shutting_down
from weaver_ai.gateway.limits import EVENT_STREAM
from weaver_ai.gateway.problems import Described, Problem, ProblemResponse, problem_of
from weaver_ai.telemetry import log_warning

__all__ = ["EventStream", "event"]

HEARTBEAT_SECONDS = 15.0
STALL_SECONDS = 60.0
_PIECE = 65_536  # bytes; what a client must read of a large event, again and again, not to be taken for stalled

EventSource = AsyncGenerator[bytes, None]
Reporter = Callable[[BaseException, Scope], Described]


def _mark(problem: Problem) -> None:
    """The status line said 200: only the span can tell that the answer failed."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span = trace.get_current_span()
        span.set_attribute("error.type", problem.code)
        span.set_status(StatusCode.ERROR, problem.title)


def event(data: str | bytes, *, name: str | None = None, id: str | None = None) -> bytes:  # noqa: A002 # the field's name
    """One event whose data is JSON that has been serialised already."""
    text = data.decode() if isinstance(data, bytes) else data
    return format_sse_event(data_str=text, event=name, id=id)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class _Ended:
    """The source has no more events."""


class _Stalled(Exception):
    """The client is there, and reads nothing."""


class EventStream(Response):
    """A `text/event-stream` response over `source`, a generator of encoded events.

    An error before the first event is answered with its own status, as if nothing were streamed; a later one is an
    `error` event with the problem as its data. Without any event the answer is 204, which stops a browser's
    EventSource from coming back. `source` runs in one task of its own, which is cancelled, and awaited,
    when the client leaves, when it reads nothing for too long, and when a drain's grace is over.

    Args:
        source: closed when the stream ends, however it ends.
        lifecycle: counts the stream as under way until it ends.
        report: makes a problem of an error, and logs it when it must be.
        heartbeat: seconds without an event after which a comment is sent.
        stall: seconds that the client may take until it reads on. The connection is closed then.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        source: EventSource,
        *,
        lifecycle: Lifecycle,
        report: Reporter = problem_of,
        heartbeat: float = HEARTBEAT_SECONDS,
        stall: float = STALL_SECONDS,
    ) -> None:
        self._source = source
        self._lifecycle = lifecycle
        self._report = report
        self._heartbeat = heartbeat
        self._stall = stall
        self._queue: asyncio.Queue[bytes | _Failed | _Ended] = asyncio.Queue()
        # One event waits: a client that doesn't read stops the run rather than filling the memory. The end always fits.
        self._room = asyncio.Semaphore(1)
        self._begun = False
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        producer = asyncio.create_task(self._produce())
        sender = asyncio.create_task(self._forward(scope, receive, send))
        watcher = asyncio.create_task(wait_for_disconnect(receive))
        try:
            with self._lifecycle.track(producer):
                await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (producer, sender, watcher):
                task.cancel()
            await asyncio.wait({producer, sender, watcher})
        if not sender.cancelled():
            self._sent(sender, scope)
        elif watcher.done() and not watcher.cancelled():
            await self._end_unread(scope, receive, send)

    async def _produce(self) -> None:
        try:
            async with contextlib.aclosing(self._source):
                async for item in self._source:
                    await self._room.acquire()
                    self._queue.put_nowait(item)
        except asyncio.CancelledError:
            self._queue.put_nowait(_Failed(shutting_down()))  # when the client has gone nobody takes this
            raise
        except Exception as error:  # noqa: BLE001 # whatever it was, the client is told, and `report` logs it
            self._queue.put_nowait(_Failed(error))
        else:
            self._queue.put_nowait(_Ended())

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await self._next()
        if isinstance(first, _Failed):
            await ProblemResponse(self._report(first.error, scope))(scope, receive, send)
            return
        if isinstance(first, _Ended):
            await Response(status_code=204)(scope, receive, send)
            return
        self._begun = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        item: bytes | _Failed | _Ended | None = first
        while item is None or isinstance(item, bytes):
            await self._write(send, KEEPALIVE_COMMENT if item is None else item)
            if item is not None:
                self._room.release()
            item = await self._next()
        last = b""
        if isinstance(item, _Failed):
            problem = self._report(item.error, scope).problem
            _mark(problem)
            last = event(problem.model_dump_json(exclude_none=True), name="error")
        await self._write(send, last, more=False)

    async def _write(self, send: Send, body: bytes, *, more: bool = True) -> None:
        for begin in range(0, len(body) or 1, _PIECE):
            piece = body[begin : begin + _PIECE]
            await self._write_piece(send, piece, more=more or begin + _PIECE < len(body))

    async def _write_piece(self, send: Send, piece: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._stall) as limit:
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            if not limit.expired():
                raise
            raise _Stalled from None

    def _sent(self, sender: asyncio.Task[None], scope: Scope) -> None:
        try:
            sender.result()
        except _Stalled:
            # The response can't be ended, for nobody would read its end: the server closes the connection.
            self._report(client_left(), scope)
            log_warning("a client that read nothing was left", seconds=self._stall, **{"url.path": scope["path"]})

    async def _end_unread(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the response for what watches it: left open it would count as an error of the server's."""
        left = self._report(client_left(), scope)
        with contextlib.suppress(OSError):  # what a server may raise when it sends to nobody
            if self._begun:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await ProblemResponse(left)(scope, receive, send)

    async def _next(self) -> bytes | _Failed | _Ended | None:
        """What comes next; None when nothing does for a while."""
        try:
            async with asyncio.timeout(self._heartbeat):
                return await self._queue.get()
        except TimeoutError:
            return None
