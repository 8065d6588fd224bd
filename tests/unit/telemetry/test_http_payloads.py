"""Bodies on spans, at transports whose network is played by the test; the contract suite has a real server."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import httpx2
import pytest
from opentelemetry.trace import Span

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import current_telemetry, start_span
from weaver_ai.telemetry.http_payloads import capture_payloads

LIBRARIES = (httpx, httpx2)


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


class Network:
    """Answers with `headers` and `chunks`; an exception among the chunks is raised there."""

    def __init__(self, library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.headers: dict[str, str] = {"content-type": "application/json"}
        self.chunks: list[bytes | Exception] = [b'{"a":', b"1}"]
        self.closed = 0
        network = self

        class Stream(library.SyncByteStream, library.AsyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                for chunk in network.chunks:
                    if isinstance(chunk, Exception):
                        raise chunk
                    yield chunk

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for chunk in self:
                    yield chunk

            def close(self) -> None:
                network.closed += 1

            async def aclose(self) -> None:
                network.closed += 1

        def answer() -> Any:
            return library.Response(200, headers=network.headers, stream=Stream())

        async def send(transport: Any, request: Any) -> Any:
            return answer()

        monkeypatch.setattr(library.HTTPTransport, "handle_request", lambda transport, request: answer())
        monkeypatch.setattr(library.AsyncHTTPTransport, "handle_async_request", send)


@pytest.fixture
def network(library: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    played = Network(library, monkeypatch)
    stop = capture_payloads(library.__name__)
    yield played
    stop()


async def call(library: Any, asynchronous: bool, **request: Any) -> bytes:
    content: bytes
    if asynchronous:
        async with library.AsyncClient() as client:
            content = (await client.post("http://provider.test/", **request)).content
    else:
        with library.Client() as client:
            content = client.post("http://provider.test/", **request).content
    return content


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def call_span() -> AbstractContextManager[Span]:
    """As the instrumentation makes one around the transport."""
    tracer = current_telemetry().tracer_provider.get_tracer("opentelemetry.instrumentation.httpx")
    return tracer.start_as_current_span("POST")


def bodies(captured: Captured) -> dict[str, Any]:
    return {key.removeprefix("weaver.http."): value for key, value in (captured.span.attributes or {}).items()}


async def test_both_bodies(library: Any, network: Network, asynchronous: bool, captured: Captured) -> None:
    with call_span():
        assert await call(library, asynchronous, json={"password": "x", "n": 1}) == b'{"a":1}'
    assert bodies(captured) == {"request.body": '{"password":"[redacted]","n":1}', "response.body": '{"a":1}'}
    assert network.closed == 1


async def test_compressed_answers_are_read(
    library: Any, network: Network, asynchronous: bool, captured: Captured
) -> None:
    network.headers["content-encoding"] = "gzip"
    network.chunks = [gzip.compress(b'{"big":"' + b"x" * 1_000_000 + b'"}')]
    with call_span():
        assert len(await call(library, asynchronous)) == 1_000_010
    assert bodies(captured) == {"response.body": '{"big":"' + "x" * (16_384 - 8) + "…"}


async def test_a_long_answer_arrives_whole(
    library: Any, network: Network, asynchronous: bool, captured: Captured
) -> None:
    network.chunks = [b"x" * 600_000] * 5
    with call_span():
        assert len(await call(library, asynchronous)) == 3_000_000
    assert network.closed == 1


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream", "image/png"])
async def test_streams_and_binaries_are_left_alone(
    library: Any, network: Network, asynchronous: bool, captured: Captured, kind: str
) -> None:
    network.headers["content-type"] = kind
    with call_span():
        await call(library, asynchronous, content=b"\x00")
    assert bodies(captured) == {}


async def test_an_answer_that_breaks_off_is_closed(
    library: Any, network: Network, asynchronous: bool, captured: Captured
) -> None:
    network.chunks = [b"{", library.ReadTimeout("too slow")]
    with pytest.raises(library.ReadTimeout), call_span():
        await call(library, asynchronous)
    assert network.closed == 1


async def test_the_switch_is_asked_at_each_call(
    library: Any, network: Network, asynchronous: bool, capture: Callable[..., Captured]
) -> None:
    captured = capture(telemetry_capture_payloads=False)
    with call_span():
        assert await call(library, asynchronous, json={}) == b'{"a":1}'
    assert bodies(captured) == {}


async def test_without_a_span_nothing_is_read(
    library: Any, network: Network, asynchronous: bool, captured: Captured
) -> None:
    assert await call(library, asynchronous, json={}) == b'{"a":1}'
    assert captured.spans == ()


async def test_a_call_that_is_not_traced_leaves_nothing_on_its_callers_span(
    library: Any, network: Network, asynchronous: bool, captured: Captured
) -> None:
    with start_span("caller"):
        assert await call(library, asynchronous, json={}) == b'{"a":1}'
    assert bodies(captured) == {}
