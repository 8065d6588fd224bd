"""Faults for httpx and httpx2: struck in their connection pools, below all that instruments or wraps a client.

A pool raises httpcore's exceptions, which the client maps to its own, so an httpx2 client raises
httpx2.ConnectTimeout as it would in production, with the request on it.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from weaver_ai.testing.faults import wire
from weaver_ai.testing.faults.clock import controlled
from weaver_ai.testing.faults.outcome import Call, Error, Outcome, consult, is_answered_elsewhere
from weaver_ai.testing.patches import Patches

__all__ = ["SEEN", "patch_pools"]

SEEN: Final = "weaver.faults"
"""The request extension that says: this call has been counted. Whoever consults sets it for the time of the call."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def patch_pools(patches: Patches) -> None:
    """Put a look at the faults before every request of every pool, those included that exist already."""
    for name in ("httpcore", "httpcore2"):
        if find_spec(name) is not None:
            core = importlib.import_module(name)
            patches.replace(core.ConnectionPool, "handle_request", _sync_for(core))
            patches.replace(core.AsyncConnectionPool, "handle_async_request", _async_for(core))


def _sync_for(core: ModuleType) -> Callable[[Any], Any]:
    def around(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def handle_request(pool: Any, request: Any) -> Any:
            outcome = _consulted(request)
            if outcome is None:
                return original(pool, request)
            _wait(outcome.waits)
            _raise(core, outcome.error)
            if outcome.onward:
                return _marked(request, lambda: original(pool, request))
            if outcome.cut and _is_local(request):
                answer = _marked(request, lambda: original(pool, request))
                body = b"".join(answer.stream)
                answer.close()
                return _answer(core, answer.status, answer.headers, _Broken(core, _half(body, outcome), outcome.breaks))
            return _answer(core, outcome.status, _headers(outcome), _Broken(core, outcome.pieces, outcome.breaks))

        return handle_request

    return around


def _async_for(core: ModuleType) -> Callable[[Any], Any]:
    def around(original: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def handle_async_request(pool: Any, request: Any) -> Any:
            outcome = _consulted(request)
            if outcome is None:
                return await original(pool, request)
            await _wait_async(outcome.waits)
            _raise(core, outcome.error)
            if outcome.onward:
                return await _marked_async(request, lambda: original(pool, request))
            if outcome.cut and _is_local(request):
                answer = await _marked_async(request, lambda: original(pool, request))
                body = b"".join([piece async for piece in answer.stream])
                await answer.aclose()
                return _answer(core, answer.status, answer.headers, _Broken(core, _half(body, outcome), outcome.breaks))
            return _answer(core, outcome.status, _headers(outcome), _Broken(core, outcome.pieces, outcome.breaks))

        return handle_async_request

    return around


class _Broken:
    """A body in pieces, after which it breaks; for sync and async clients."""

    def __init__(self, core: ModuleType, pieces: tuple[bytes, ...], breaks: Error | None) -> None:
        self._core = core
        self._pieces = pieces
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        _raise(self._core, self._breaks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        _raise(self._core, self._breaks)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _consulted(request: Any) -> Outcome | None:
    """What a fault does to the request; None for one that was counted already, or is where it's answered."""
    if SEEN in request.extensions or is_answered_elsewhere(request.method.decode(), _url(request.url)):
        return None
    return consult(_call(request))


def _call(request: Any) -> Call:
    headers = {name.lower(): value for name, value in request.headers}
    return Call(
        url=_url(request.url),
        body=_body(request.stream),
        accept=headers.get(b"accept", b"").decode("latin-1"),
        timeouts=request.extensions.get("timeout"),
    )


def _url(url: Any) -> str:
    port = f":{url.port}" if url.port is not None else ""
    return f"{url.scheme.decode()}://{url.host.decode()}{port}{url.target.decode()}"


def _body(stream: Any) -> bytes:
    """The request's body where reading it does not use it up: httpx's `ByteStream`, which all JSON requests are."""
    return b"".join(stream) if type(stream).__name__ == "ByteStream" else b""


def _is_local(request: Any) -> bool:
    """Whether the answer can be asked for: a fault never lets a call out of this machine by itself."""
    return urlsplit(_url(request.url)).hostname in _LOOPBACK


def _half(body: bytes, outcome: Outcome) -> tuple[bytes, ...]:
    return wire.cut(body, stream=outcome.stream)


def _headers(outcome: Outcome) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in outcome.headers]


def _answer(core: ModuleType, status: int, headers: Any, content: _Broken) -> Any:
    return core.Response(status, headers=headers, content=content, extensions={"http_version": b"HTTP/1.1"})


def _raise(core: ModuleType, error: Error | None) -> None:
    if error is not None:
        raise getattr(core, error.name)(error.message)


def _marked(request: Any, send: Callable[[], Any]) -> Any:
    request.extensions[SEEN] = True
    try:
        return send()
    finally:
        del request.extensions[SEEN]


async def _marked_async(request: Any, send: Callable[[], Awaitable[Any]]) -> Any:
    request.extensions[SEEN] = True
    try:
        return await send()
    finally:
        del request.extensions[SEEN]


def _wait(seconds: float) -> None:
    if not seconds:
        return
    clock = controlled()
    if clock is not None:
        clock.advance(seconds)
    else:
        time.sleep(seconds)


async def _wait_async(seconds: float) -> None:
    if not seconds:
        return
    clock = controlled()
    if clock is not None:
        clock.advance(seconds)
        return
    import anyio  # noqa: PLC0415 # httpx's own; runs on asyncio and trio

    await anyio.sleep(seconds)
