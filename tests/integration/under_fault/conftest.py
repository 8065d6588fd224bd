"""A gateway in the test's process and loop: its agents ask the fake providers, and its lifespan is run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr
from pydantic_ai import Agent

from tests.fixtures.otlp_receiver import OtlpReceiver
from weaver_ai.agents import Run, Weaver
from weaver_ai.gateway.application import create_app
from weaver_ai.settings import Settings, load_settings
from weaver_ai.tasks import Engine
from weaver_ai.telemetry import configure_telemetry

MODELS = {"openai": "openai:gpt-5-mini", "anthropic": "anthropic:claude-haiku-4-5"}
OTHER = {"openai": "anthropic", "anthropic": "openai"}
KEY = "-".join(["provider", "key", "of", "the", "test"])  # made here, so that no scanner finds it
STREAM = {"accept": "text/event-stream"}


class Gateway:
    """An application that serves, and its client."""

    def __init__(self, app: FastAPI, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def run(self, agent: str, *, stream: bool = False) -> httpx2.Response:
        return await self.client.post(
            f"/v1/agents/{agent}/run", json={"input": "Hi"}, headers=STREAM if stream else None
        )

    async def health(self) -> dict[str, Any]:
        response = await self.client.get("/health")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


def desk() -> Weaver:
    """For each provider an agent that has no other, and one that may fall back to the other; and who asks nobody."""
    weaver = Weaver("desk")
    for vendor, other in OTHER.items():
        weaver.agent(Agent(MODELS[vendor], name=f"{vendor}-alone", defer_model_check=True))
        weaver.agent(
            Agent(MODELS[vendor], name=f"{vendor}-then-{other}", defer_model_check=True), fallback=[MODELS[other]]
        )

    @weaver.workflow("echo")
    async def echo(run: Run, input: str) -> str:  # noqa: A002
        """Says it again."""
        return input

    async def wait(seconds: float) -> str:
        """Takes its time."""
        await asyncio.sleep(seconds)
        return "waited"

    weaver.agent(Agent(MODELS["openai"], name="patient", tools=[wait], defer_model_check=True))

    @weaver.workflow("wait")
    async def wait_for(run: Run, input: float) -> str:  # noqa: A002
        """Waits."""
        return await wait(input)

    return weaver


def make_settings(**overrides: Any) -> Settings:
    """Settings that nothing of the developer's shell gets into; no retries, so that a fault is seen as it is."""
    keys = {"openai_api_key": SecretStr(KEY), "anthropic_api_key": SecretStr(KEY)}
    keys |= {"openai_base_url": None, "anthropic_base_url": None}
    quiet = {"telemetry_environment": "production", "shutdown_grace_seconds": 2.0, "provider_max_retries": 0}
    return load_settings(env_file=None, **{**keys, **quiet, **overrides})


@asynccontextmanager
async def serving(settings: Settings, engine: Engine | None = None) -> AsyncGenerator[Gateway, None]:
    app = create_app(settings, desk(), engine=engine)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gw") as client,
    ):
        yield Gateway(app, client)


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def serve() -> Serve:
    """Serve the desk for a while: `async with serve(redis_url=...) as gateway`."""
    return lambda engine=None, **overrides: serving(make_settings(**overrides), engine)


Served: TypeAlias = Callable[[float], Awaitable[Gateway]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways() -> AsyncGenerator[Served, None]:
    """The module's gateway with that limit of seconds for a model call."""
    made: dict[float, Gateway] = {}
    async with AsyncExitStack() as stack:

        async def gateway(limit: float) -> Gateway:
            if limit not in made:
                made[limit] = await stack.enter_async_context(serving(make_settings(provider_timeout_seconds=limit)))
            return made[limit]

        yield gateway


@pytest.fixture
def served(gateways: Served) -> Served:
    return gateways


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """A backend that works, when no fault is in between; exports begin soon and give up after a second."""
    with OtlpReceiver() as receiver:
        for name, value in receiver.env.items():
            if name != "OTEL_EXPORTER_OTLP_ENDPOINT":
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        yield receiver
        configure_telemetry(make_settings())  # ends the exporters while there is somebody to take the rest
