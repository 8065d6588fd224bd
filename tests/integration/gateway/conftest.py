"""A gateway in a thread of the test's process: real HTTP, and agents that the test can hold and look into."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr
from pydantic_ai import Agent

from weaver_ai.agents import OfflineRule, OfflineRules, Run, Weaver
from weaver_ai.gateway.application import create_app
from weaver_ai.settings import Settings, load_settings


class Desk:
    """Agents and workflows for tests, and what became of their runs."""

    def __init__(self) -> None:
        self.weaver = Weaver("desk")
        self.begun = threading.Event()
        self.release = threading.Event()
        self.cancelled = threading.Event()
        self.weaver.agent(
            Agent(name="echo", instructions="Say it again."),
            description="Says it again.",
            offline=OfflineRules([OfflineRule(when=r"(?P<words>.*)", reply="you said: {words}")]),
        )
        self.weaver.workflow("hold")(self._hold)
        self.weaver.workflow("fail")(self._fail)
        self.weaver.workflow("sum")(self._sum)

    async def _hold(self, run: Run, input: str) -> str:  # noqa: A002
        """Waits until the test lets it go on."""
        self.begun.set()
        try:
            while not self.release.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return (await run("echo", input)).text

    async def _fail(self, run: Run, input: str) -> str:  # noqa: A002
        """Fails in a way that nobody foresaw."""
        raise RuntimeError("the password is hunter2")

    async def _sum(self, run: Run, input: list[int]) -> int:  # noqa: A002
        """Adds numbers."""
        return sum(input)


class Served:
    """A gateway that answers, and its client."""

    def __init__(self, app: Any, server: uvicorn.Server, url: str) -> None:
        self.app = app
        self.server = server
        self.url = url
        self.client = httpx2.Client(base_url=url, timeout=20, trust_env=False)

    @property
    def running(self) -> int:
        """How many requests run something."""
        running: int = self.app.state.service.lifecycle.running
        return running


@contextmanager
def served(settings: Settings, weaver: Weaver) -> Iterator[Served]:
    app = create_app(settings, weaver)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, name="gateway", daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the gateway ended before it served"
        assert time.monotonic() < deadline, "the gateway didn't start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    gateway = Served(app, server, f"http://127.0.0.1:{port}")
    try:
        yield gateway
    finally:
        gateway.client.close()
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive(), "the gateway didn't end"


def make_settings(**overrides: Any) -> Settings:
    """Settings that nothing of the developer's shell gets into."""
    quiet = {"openai_api_key": None, "openai_base_url": None, "anthropic_api_key": None, "anthropic_base_url": None}
    defaults = {"telemetry_environment": "production", "shutdown_grace_seconds": 2.0}
    return load_settings(env_file=None, **{**quiet, **defaults, **overrides})


@pytest.fixture
def desk() -> Desk:
    return Desk()


Serve = Callable[..., Served]


@pytest.fixture
def serve(desk: Desk) -> Iterator[Serve]:
    """Start a gateway on the desk: `serve(max_body_bytes=10)`."""
    with ExitStack() as stack:

        def start(**overrides: Any) -> Served:
            return stack.enter_context(served(make_settings(**overrides), desk.weaver))

        yield start
        desk.release.set()


@pytest.fixture
def gateway(serve: Serve) -> Served:
    return serve()


@pytest.fixture
def key() -> SecretStr:
    """A key for clients, made here so that no scanner finds it."""
    return SecretStr("-".join(["client", "key", "1"]))


def wait_until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it didn't come to pass in time"
        time.sleep(0.01)
