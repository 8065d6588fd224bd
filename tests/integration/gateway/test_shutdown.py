"""Signals to real processes: what a load balancer, a client in mid-stream and a supervisor see."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.fixtures.gateway import Gateway

DESK = '''
import asyncio, time
from pydantic_ai import Agent
from weaver_ai.agents import OfflineRule, OfflineRules, Run, Weaver

weaver = Weaver("desk")
blocking = weaver.agent(Agent(name="blocking"), offline=OfflineRules([OfflineRule(when="", call="nap")]))

@blocking.tool_plain
def nap() -> str:
    """Block a thread, deaf to cancellation."""
    time.sleep(60)
    return "slept"

@weaver.workflow("wait")
async def wait(run: Run, input: float) -> str:
    await asyncio.sleep(input)
    return "waited"
'''
UVICORN = [sys.executable, "-m", "uvicorn", "weaver_ai.gateway:app", "--port", "{port}", "--log-level", "warning"]
COMMANDS = {"weaver serve": None, "uvicorn": UVICORN}

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "desk.py").write_text(DESK)
    with ExitStack() as stack:

        def started(grace: float, command: str = "weaver serve") -> Gateway:
            env = {"WEAVER_TARGET": "desk:weaver", "WEAVER_SHUTDOWN_GRACE_SECONDS": str(grace)}
            return stack.enter_context(Gateway(tmp_path, env, command=COMMANDS[command]))

        yield started


@pytest.mark.parametrize("command", COMMANDS)
def test_sigterm_in_mid_stream(start: Start, command: str) -> None:
    gateway = start(2.0, command)
    headers = {"accept": "text/event-stream"}
    with gateway.client.stream("POST", "/v1/workflows/wait/run", json={"input": 60}, headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: run.started"
        began = time.monotonic()
        gateway.terminate()
        while gateway.status("/ready") == 200:
            assert time.monotonic() - began < 12
        assert gateway.status("/ready") == 503
        assert gateway.status("/health") == 200
        refused = gateway.post("/v1/workflows/wait/run", {"input": 0})
        assert (refused.status_code, refused.json()["type"], refused.headers["retry-after"]) == (
            503,
            "urn:weaver:problem:draining",
            "1",
        )
        rest = "\n".join(lines)
    assert "event: error" in rest
    assert '"type":"urn:weaver:problem:draining"' in rest
    assert gateway.wait() == 0
    assert time.monotonic() - began < 12
    assert "Traceback" not in gateway.output


@pytest.mark.parametrize("command", COMMANDS)
def test_work_that_ends_in_time_is_answered(start: Start, command: str) -> None:
    gateway = start(10.0, command)
    answers: list[httpx2.Response] = []
    client = threading.Thread(target=lambda: answers.append(gateway.post("/v1/workflows/wait/run", {"input": 1})))
    client.start()
    time.sleep(0.5)
    began = time.monotonic()
    gateway.terminate()
    assert gateway.wait() == 0
    client.join()
    assert (answers[0].status_code, answers[0].json()["output"]) == (200, "waited")
    assert time.monotonic() - began < 9


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_signal_does_not_wait(start: Start, command: str) -> None:
    gateway = start(60.0, command)

    def ask() -> None:
        with contextlib.suppress(httpx2.TransportError):  # it is answered or cut off, as uvicorn has it
            gateway.post("/v1/workflows/wait/run", {"input": 60})

    client = threading.Thread(target=ask)
    client.start()
    time.sleep(0.5)
    gateway.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert gateway.process.poll() is None
    for _ in range(2):  # uvicorn stops at its first, and leaves open connections alone at its second
        gateway.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    began = time.monotonic()
    gateway.wait()
    client.join()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("command", COMMANDS)
def test_a_tool_that_blocks_a_thread_does_not_hold_the_process(start: Start, command: str) -> None:
    gateway = start(1.0, command)
    answers: list[httpx2.Response] = []
    client = threading.Thread(target=lambda: answers.append(gateway.post("/v1/agents/blocking/run", {"input": "nap"})))
    client.start()
    time.sleep(1.5)
    began = time.monotonic()
    gateway.terminate()
    # Uvicorn's own process has nobody to end it but the signal, which comes again.
    assert gateway.wait() == (0 if command == "weaver serve" else -signal.SIGTERM)
    client.join()
    assert time.monotonic() - began < 12
    assert (answers[0].status_code, answers[0].json()["type"]) == (503, "urn:weaver:problem:draining")


@pytest.mark.parametrize("command", COMMANDS)
def test_half_a_request_does_not_hold_the_process(start: Start, command: str) -> None:
    gateway = start(1.0, command)
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        head = "POST /v1/workflows/wait/run HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        connection.sendall(f'{head}content-length: 12\r\n\r\n{{"in'.encode())
        time.sleep(0.3)
        began = time.monotonic()
        gateway.terminate()
        assert gateway.wait() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 12
