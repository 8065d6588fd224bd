"""A client that leaves takes its run with it; a task stays."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.integration.gateway.conftest import Desk, Serve, Served, wait_until


@pytest.mark.parametrize(
    ("path", "body", "accept"),
    [
        ("/v1/workflows/hold/run", {"input": "hi"}, "application/json"),
        ("/v1/workflows/hold/run", {"input": "hi"}, "text/event-stream"),
        ("/v1/chat/completions", {"model": "hold", "messages": [{"role": "user", "content": "hi"}]}, "*/*"),
        (
            "/v1/chat/completions",
            {"model": "hold", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
            "*/*",
        ),
    ],
)
def test_a_client_that_leaves_cancels_its_run(
    gateway: Served, desk: Desk, path: str, body: object, accept: str
) -> None:
    url = httpx2.URL(gateway.url)
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\ncontent-type: application/json\r\n"
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        assert desk.begun.wait(5)
        assert gateway.running == 1
    assert desk.cancelled.wait(5)
    wait_until(lambda: gateway.running == 0)
    assert gateway.client.get("/health").json()["status"] == "healthy"


def test_a_client_that_reads_nothing_is_left_and_its_run_cancelled(serve: Serve, desk: Desk) -> None:
    cancelled = threading.Event()

    async def flood(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
        try:
            while True:
                yield "x" * 20_000
                await asyncio.sleep(0)
        finally:
            cancelled.set()

    desk.weaver.agent(Agent(FunctionModel(stream_function=flood), name="flood"))
    gateway = serve(stream_stall_seconds=0.3)
    url = httpx2.URL(gateway.url)
    head = "POST /v1/agents/flood/run HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
    content = b'{"input": "hi"}'
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(
            f"{head}content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content
        )
        assert cancelled.wait(30)
        wait_until(lambda: gateway.running == 0)
        assert gateway.client.get("/health").json()["status"] == "healthy"


def test_a_task_goes_on_without_its_client(gateway: Served, desk: Desk) -> None:
    with httpx2.Client(base_url=gateway.url) as leaving:
        location = leaving.post("/v1/tasks", json={"capability": "hold", "input": "hi"}).headers["location"]
        with leaving.stream("GET", f"{location}/events") as events:
            next(events.iter_lines())
        assert desk.begun.wait(5)
    wait_until(lambda: gateway.running == 0)
    assert not desk.cancelled.is_set()
    desk.release.set()
    wait_until(lambda: gateway.client.get(location).json()["state"] == "succeeded")
    assert gateway.client.get(location).json()["result"]["text"] == "[offline model] you said: hi"
