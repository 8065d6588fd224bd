"""Bodies of outgoing HTTP calls on their spans, while the payload switch is on.

It wraps the transports of httpx and httpx2 inside the instrumentation, where the call's span is
current. Only JSON and text are recorded, decoded and cut at 16 KiB; a response of a known type is
read whole first, which its client would do anyway, and a stream of events is left alone.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from opentelemetry import trace

from weaver_ai.telemetry import names
from weaver_ai.telemetry.runtime import current_telemetry

__all__ = ["LIMIT", "capture_payloads"]

_SCOPE: Final = "opentelemetry.instrumentation.httpx"  # of httpx2's calls, too
LIMIT: Final = 16_384
_READ_LIMIT: Final = 1_048_576


def capture_payloads(library: str) -> Callable[[], None]:
    """Start capturing for `library` ("httpx" or "httpx2"); returns what stops it."""
    module = importlib.import_module(library)

    class Rejoined(module.SyncByteStream):  # type: ignore[name-defined, misc] # a class of either library
        def __init__(self, stream: Any, begun: bytes, rest: Iterator[bytes]) -> None:
            self._stream, self._begun, self._rest = stream, begun, rest

        def __iter__(self) -> Iterator[bytes]:
            yield self._begun
            yield from self._rest

        def close(self) -> None:
            self._stream.close()

    class AsyncRejoined(module.AsyncByteStream):  # type: ignore[name-defined, misc] # a class of either library
        def __init__(self, stream: Any, begun: bytes, rest: AsyncIterator[bytes]) -> None:
            self._stream, self._begun, self._rest = stream, begun, rest

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self._begun
            async for chunk in self._rest:
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    sync_send = module.HTTPTransport.handle_request
    async_send = module.AsyncHTTPTransport.handle_async_request

    def handle_request(self: Any, request: Any) -> Any:
        if not _wanted():
            return sync_send(self, request)
        _record_request(request)
        response = sync_send(self, request)
        if _is_text(response.headers):
            try:
                body, rest = _read(iter(response.stream))
            except BaseException:
                response.stream.close()
                raise
            if rest is None:
                response.stream.close()
                response.stream = module.ByteStream(body)
            else:
                response.stream = Rejoined(response.stream, body, rest)
            _record_response(response.headers, body)
        return response

    async def handle_async_request(self: Any, request: Any) -> Any:
        if not _wanted():
            return await async_send(self, request)
        _record_request(request)
        response = await async_send(self, request)
        if _is_text(response.headers):
            try:
                body, rest = await _read_async(aiter(response.stream))
            except BaseException:
                await response.stream.aclose()
                raise
            if rest is None:
                await response.stream.aclose()
                response.stream = module.ByteStream(body)
            else:
                response.stream = AsyncRejoined(response.stream, body, rest)
            _record_response(response.headers, body)
        return response

    module.HTTPTransport.handle_request = handle_request
    module.AsyncHTTPTransport.handle_async_request = handle_async_request

    def stop() -> None:
        module.HTTPTransport.handle_request = sync_send
        module.AsyncHTTPTransport.handle_async_request = async_send

    return stop


def _wanted() -> bool:
    telemetry = current_telemetry()
    if not (telemetry.enabled and telemetry.capture_payloads):
        return False
    span = trace.get_current_span()
    # Where the call isn't traced (an excluded URL, suppressed) the current span is the caller's.
    scope = getattr(span, "instrumentation_scope", None)
    return span.is_recording() and scope is not None and scope.name == _SCOPE


def _is_text(headers: Any) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/json", "application/problem+json", "text/plain") or kind.endswith("+json")


def _record_request(request: Any) -> None:
    # Only a body that is in memory already: reading a stream would take it from the transport.
    content = getattr(request, "_content", None)
    if isinstance(content, bytes) and content and _is_text(request.headers):
        _set(names.HTTP_REQUEST_BODY, content)


def _record_response(headers: Any, body: bytes) -> None:
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding in ("gzip", "deflate"):
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, LIMIT + 1)
        except zlib.error:
            return
    elif encoding not in ("identity", ""):
        return
    if body:
        _set(names.HTTP_RESPONSE_BODY, body)


def _set(key: str, body: bytes) -> None:
    # Redacted before it is cut: a secret that the cut goes through would no longer look like one.
    text = current_telemetry().redactor.value(key, body[: LIMIT * 4].decode("utf-8", "replace"))
    trace.get_current_span().set_attribute(key, text if len(text) <= LIMIT else text[:LIMIT] + "…")


def _read(stream: Iterator[bytes]) -> tuple[bytes, Iterator[bytes] | None]:
    chunks: list[bytes] = []
    size = 0
    for chunk in stream:
        chunks.append(chunk)
        size += len(chunk)
        if size > _READ_LIMIT:
            return b"".join(chunks), stream
    return b"".join(chunks), None


async def _read_async(stream: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes] | None]:
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        chunks.append(chunk)
        size += len(chunk)
        if size > _READ_LIMIT:
            return b"".join(chunks), stream
    return b"".join(chunks), None
