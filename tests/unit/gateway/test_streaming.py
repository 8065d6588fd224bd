"""Event streams over ASGI: order, heartbeats, errors, disconnects, shutdowns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from weaver_ai.errors import ProviderTimeout
from weaver_ai.gateway.lifecycle import Lifecycle
from weaver_ai.gateway.streaming import EventStream, event

SCOPE = {"type": "http", "method": "GET", "path": "/events", "headers": []}


class Client:
    """The other side of one ASGI response."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        await asyncio.sleep(0)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        return self.sent[-1].get("more_body") is False or "more_body" not in self.sent[-1]

    async def get(self, source: AsyncGenerator[bytes, None], **options: Any) -> None:
        options.setdefault("lifecycle", Lifecycle())
        await EventStream(source, **options)(SCOPE, self.receive, self.send)


async def test_events_arrive_in_order_and_the_response_ends() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        for number in range(3):
            yield event(json.dumps({"n": number}), name="tick", id=str(number))

    client = Client()
    await client.get(source())
    assert client.status == 200
    assert dict(client.sent[0]["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert dict(client.sent[0]["headers"])[b"cache-control"] == b"no-store"
    assert client.body == b"".join(b'event: tick\ndata: {"n": %d}\nid: %d\n\n' % (n, n) for n in range(3))
    assert client.complete


async def test_an_error_before_the_first_event_has_its_own_status() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        raise ProviderTimeout("openai didn't answer")
        yield b""

    client = Client()
    await client.get(source())
    assert client.status == 504
    assert dict(client.sent[0]["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(client.body)["type"] == "urn:weaver:problem:provider-timeout"


async def test_a_later_error_is_an_event_and_the_last_one() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")
        raise ProviderTimeout("openai didn't answer", retry_after=3)

    client = Client()
    await client.get(source())
    assert client.status == 200
    first, last, rest = client.body.decode().split("\n\n")
    assert (first, rest) == ("data: 1", "")
    name, data = last.split("\n")
    assert name == "event: error"
    problem = json.loads(data.removeprefix("data: "))
    assert (problem["type"], problem["status"], problem["retry_after"]) == (
        "urn:weaver:problem:provider-timeout",
        504,
        3,
    )
    assert client.complete


async def test_a_source_without_events_answers_204() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        return
        yield b""

    client = Client()
    await client.get(source())
    assert (client.status, client.body, client.complete) == (204, b"", True)


async def test_silence_is_kept_alive_by_comments() -> None:
    release = asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        await release.wait()
        yield event("1")

    client = Client()
    answering = asyncio.create_task(client.get(source(), heartbeat=0.01))
    while client.body.count(b": ping\n\n") < 3:
        await asyncio.sleep(0.01)
    release.set()
    await answering
    assert client.body.endswith(b": ping\n\ndata: 1\n\n")


async def test_a_client_that_leaves_ends_the_source_before_the_response_is_over() -> None:
    unwound = False

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal unwound
        try:
            yield event("1")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            unwound = True

    client, lifecycle = Client(), Lifecycle()
    answering = asyncio.create_task(client.get(source(), lifecycle=lifecycle))
    while not client.body:
        await asyncio.sleep(0)
    assert lifecycle.running == 1
    client.left.set()
    await asyncio.wait_for(answering, 1)
    assert unwound
    assert lifecycle.running == 0
    assert (client.status, client.complete) == (200, True)  # open, it would count as an error of the server's


async def test_a_client_that_leaves_before_the_first_event_has_closed_its_request() -> None:
    begun = asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        begun.set()
        await asyncio.sleep(60)
        yield b""

    client = Client()
    answering = asyncio.create_task(client.get(source()))
    await begun.wait()
    client.left.set()
    await asyncio.wait_for(answering, 1)
    assert (client.status, client.complete) == (499, True)
    assert json.loads(client.body)["type"] == "urn:weaver:problem:client-closed-request"


async def test_a_server_that_raises_when_nobody_is_there_is_not_heard() -> None:
    class GoneClient(Client):
        async def send(self, message: Any) -> None:
            if self.left.is_set():
                raise OSError("the client disconnected")
            await super().send(message)

    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")
        await asyncio.sleep(60)

    client = GoneClient()
    answering = asyncio.create_task(client.get(source()))
    while not client.body:
        await asyncio.sleep(0)
    client.left.set()
    await asyncio.wait_for(answering, 1)


async def test_a_client_that_does_not_read_holds_the_source_back() -> None:
    made = 0
    reading = asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal made
        for number in range(50):
            made += 1
            yield event(str(number))

    class SlowClient(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "http.response.body":
                await reading.wait()

    client = SlowClient()
    answering = asyncio.create_task(client.get(source()))
    for _ in range(100):
        await asyncio.sleep(0)
    assert made <= 4
    reading.set()
    await answering
    assert made == 50


async def test_comments_that_were_sent_in_silence_make_no_room_for_events() -> None:
    made = 0
    speak, reading = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal made
        await speak.wait()
        for number in range(50):
            made += 1
            yield event(str(number))

    class SlowClient(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if b"data" in message.get("body", b""):
                await reading.wait()

    client = SlowClient()
    answering = asyncio.create_task(client.get(source(), heartbeat=0.001))
    while client.body.count(b": ping") < 40:
        await asyncio.sleep(0.001)
    speak.set()
    while b"data" not in client.body:
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert made <= 4
    reading.set()
    await answering
    assert made == 50


@pytest.mark.parametrize("stalls_at", [b"data: 1", b"event: error"])
async def test_a_client_that_never_reads_is_left_and_the_source_ends(stalls_at: bytes) -> None:
    ended = False

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal ended
        try:
            yield event("1")
            raise ProviderTimeout("openai didn't answer")
        finally:
            ended = True

    class StalledClient(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if stalls_at in message.get("body", b""):
                await asyncio.Event().wait()

    client, lifecycle = StalledClient(), Lifecycle()
    async with asyncio.timeout(10):
        await client.get(source(), lifecycle=lifecycle, stall=0.02)
    assert (ended, lifecycle.running, client.status) == (True, 0, 200)


async def test_a_slow_client_has_its_time_for_each_piece_of_a_large_event() -> None:
    class SlowClient(Client):
        async def send(self, message: Any) -> None:
            await asyncio.sleep(len(message.get("body", b"")) / 65_536 * 0.02)
            await super().send(message)

    large = event("x" * 4_000_000)  # 1.2 s

    async def source() -> AsyncGenerator[bytes, None]:
        yield large
        yield event("last")

    client = SlowClient()
    await client.get(source(), stall=1.0)
    assert client.body == large + event("last")
    assert client.complete


async def test_a_connection_that_times_out_by_itself_is_no_stalled_client() -> None:
    class BrokenClient(Client):
        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.body":
                raise TimeoutError("the connection's own")

    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")

    with pytest.raises(TimeoutError, match="the connection's own"):
        await BrokenClient().get(source())


async def test_a_shutdown_ends_the_stream_with_a_problem() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")
        await asyncio.sleep(60)

    client, lifecycle = Client(), Lifecycle()
    answering = asyncio.create_task(client.get(source(), lifecycle=lifecycle))
    while not client.body:
        await asyncio.sleep(0)
    assert await lifecycle.drain(0.01) == 1
    await asyncio.wait_for(answering, 1)
    assert b"event: error\n" in client.body
    assert json.loads(client.body.split(b"data: ")[-1])["type"] == "urn:weaver:problem:draining"
    assert client.complete


async def test_what_was_made_before_a_shutdown_is_still_sent() -> None:
    sending = asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")
        yield event("2")
        await asyncio.sleep(60)

    class SlowClient(Client):
        async def send(self, message: Any) -> None:
            await sending.wait()
            await super().send(message)

    client, lifecycle = SlowClient(), Lifecycle()
    answering = asyncio.create_task(client.get(source(), lifecycle=lifecycle))
    await asyncio.sleep(0.01)
    await lifecycle.drain(0)
    sending.set()
    await asyncio.wait_for(answering, 1)
    assert client.body.startswith(b"data: 1\n\n")
    assert json.loads(client.body.split(b"data: ")[-1])["type"] == "urn:weaver:problem:draining"


async def test_an_error_of_the_connection_is_not_swallowed() -> None:
    class BrokenClient(Client):
        async def send(self, message: Any) -> None:
            raise OSError("broken pipe")

    async def source() -> AsyncGenerator[bytes, None]:
        yield event("1")

    with pytest.raises(OSError, match="broken pipe"):
        await BrokenClient().get(source())
