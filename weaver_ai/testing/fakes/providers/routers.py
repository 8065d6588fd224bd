"""Puts the providers below httpx (by respx) and httpx2 (by pytest-httpx2).

Both replace `handle_request` of the connection pools in `httpcore` and `httpcore2`: below the
transports, which OpenTelemetry instruments and which map the cores' errors to the client's own. So
spans, timeouts, redirects, retries and exceptions are those of production. httpx comes with respx;
httpx2 need not be installed, and is then not served.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

import anyio
import httpx
import pytest_httpx2  # noqa: F401 - registers the mocker "httpcore2" with respx; imports no httpx2
from respx import MockRouter, Route
from respx.models import AllMockedAssertionError, PassThrough

from weaver_ai.testing.fakes.providers.call import Call, Library
from weaver_ai.testing.fakes.providers.providers import Providers
from weaver_ai.testing.fakes.providers.reply import Broken, Pause, Piece, Reply
from weaver_ai.testing.faults.clock import controlled
from weaver_ai.testing.faults.outcome import answered_elsewhere

__all__ = ["serve"]

_CORES: dict[Library, str] = {"httpx": "httpcore", "httpx2": "httpcore2"}


@contextmanager
def serve(providers: Providers) -> Generator[Providers, None, None]:
    """Answer the requests of both libraries to the providers, until the end of the block."""
    with ExitStack() as stack:
        stack.enter_context(answered_elsewhere(providers.knows))  # there faults know the dialect and the whole answer
        for library, core in _CORES.items():
            if find_spec(core) is not None:
                stack.enter_context(_Router(providers, library))
        yield providers


class _Router(MockRouter):
    """Asks the providers instead of routes."""

    def __init__(self, providers: Providers, library: Library) -> None:
        super().__init__(using=_CORES[library], assert_all_called=False)
        self._providers = providers
        self._library: Library = library

    def handler(self, request: httpx.Request) -> httpx.Response:
        reply, call = self._reply(request)
        stream = _Stream(reply.pieces, request, self._library, call)
        stream.pause(reply.delay)
        stream.begin(reply)
        return _response(reply, stream)

    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        reply, call = self._reply(request)
        stream = _Stream(reply.pieces, request, self._library, call)
        await stream.apause(reply.delay)
        stream.begin(reply)
        return _response(reply, stream)

    def _reply(self, request: httpx.Request) -> tuple[Reply, Call | None]:
        url = str(request.url)
        if self._others() and not self._providers.knows(request.method, url):
            self._decline(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            found = self._providers.reply(
                request.method,
                url,
                headers=headers,
                content=request.content,
                library=self._library,
                timeouts=request.extensions.get("timeout", {}),
            )
        except Broken as broken:
            raise _core_error(self._library, broken) from broken
        if found is None:
            self._decline(request)
        return found

    def _decline(self, request: httpx.Request) -> NoReturn:
        """Leave it to another router of the test, to an outer `providers`, or to the network and its guard."""
        if self._others() or self is not self._registered()[-1]:
            raise AllMockedAssertionError(f"RESPX: {request!r} not mocked!")
        raise PassThrough(f"not for a provider: {request!r}", request=request, origin=Route())

    def _others(self) -> bool:
        return any(not isinstance(router, _Router) for router in self._registered())

    def _registered(self) -> list[Any]:
        return self.Mocker.routers if self.Mocker else [self]


class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body, piece by piece; both cores take it for their own."""

    def __init__(self, pieces: Iterable[Piece], request: httpx.Request, library: Library, call: Call | None) -> None:
        self._pieces = iter(pieces)
        self._timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self._library: Library = library
        self._call = call

    def pause(self, seconds: float) -> None:
        if seconds and not self._advanced(seconds):
            time.sleep(self._bounded(seconds))
        self._check(seconds)

    async def apause(self, seconds: float) -> None:
        if seconds and not self._advanced(seconds):
            await anyio.sleep(self._bounded(seconds))
        self._check(seconds)

    def begin(self, reply: Reply) -> None:
        if reply.broken is not None:
            raise _core_error(self._library, reply.broken) from reply.broken

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._mapped():
            if isinstance(piece, Pause):
                self.pause(piece.seconds)
            else:
                yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._mapped():
            if isinstance(piece, Pause):
                await self.apause(piece.seconds)
            else:
                yield piece

    def close(self) -> None:
        """A client that closes while something is left went away."""
        with suppress(Broken):
            if self._call is not None and next(self._pieces, None) is not None:
                self._call.abandoned = True

    async def aclose(self) -> None:
        self.close()

    def _mapped(self) -> Iterator[Piece]:
        try:
            yield from self._pieces
        except Broken as broken:
            raise _core_error(self._library, broken) from broken

    def _advanced(self, seconds: float) -> bool:
        """Whether the test's own clock moved on instead."""
        clock = controlled()
        if clock is not None:
            clock.advance(self._bounded(seconds))
        return clock is not None

    def _bounded(self, seconds: float) -> float:
        return seconds if self._timeout is None else min(seconds, self._timeout)

    def _check(self, seconds: float) -> None:
        if self._timeout is not None and seconds > self._timeout:
            raise _core_error(self._library, Broken("ReadTimeout", "timed out"))


def _response(reply: Reply, stream: _Stream) -> httpx.Response:
    return httpx.Response(reply.status, headers=reply.headers, stream=stream, extensions={"http_version": b"HTTP/1.1"})


def _core_error(library: Library, broken: Broken) -> Exception:
    kind: type[Exception] = getattr(import_module(_CORES[library]), broken.kind)
    return kind(str(broken))
