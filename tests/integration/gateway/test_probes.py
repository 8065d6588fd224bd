"""Liveness, readiness, metrics and the index of gateways that aren't as they should be."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from pydantic_ai import Agent
from starlette.testclient import TestClient

from tests.fixtures.provider_server import ProviderServer
from tests.integration.gateway.conftest import Serve, Served, make_settings, served
from weaver_ai.agents import Weaver
from weaver_ai.gateway.application import create_app
from weaver_ai.tasks import EmbeddedEngine, Retry, TaskContext, TaskOutcome

pytest_plugins = ["tests.fixtures.providers"]

TERMS = {
    "retries": 0,
    "retried_on": ["provider-rate-limited", "provider-timeout", "provider-unavailable", "provider-unreachable"],
    "pause_seconds": 1.0,
    "longest_pause_seconds": 60.0,
    "concurrency": None,
}


def test_a_redis_that_is_gone_degrades_and_does_not_kill(serve: Serve) -> None:
    gateway = serve(redis_url="redis://:hunter2@127.0.0.1:1")
    response = gateway.client.get("/health")
    health = response.json()
    assert (response.status_code, health["status"], health["agent"]) == (200, "degraded", "ok")
    assert health["components"]["redis"] == {
        "state": "down",
        "latency_ms": None,
        "reason": "the ping failed: ConnectionError",
    }
    assert "hunter2" not in response.text
    assert gateway.client.get("/ready").status_code == 200
    assert gateway.client.post("/v1/agents/echo/run", json={"input": "hi"}).status_code == 200


def test_without_agents_it_is_alive_and_not_ready() -> None:
    with served(make_settings(), Weaver("empty")) as gateway:
        health = gateway.client.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["agent"]) == (200, "degraded", "missing")
        ready = gateway.client.get("/ready")
        assert (ready.status_code, ready.json()) == (
            503,
            {"ready": False, "service": "weaver-ai", "telemetry": True, "agent_ready": False},
        )


def test_without_a_working_engine_it_is_alive_and_not_ready(gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from weaver_ai.tasks import EmbeddedEngine, EngineHealth

    async def down(_engine: EmbeddedEngine) -> EngineHealth:
        return EngineHealth(state="down", reason="gone")

    monkeypatch.setattr(EmbeddedEngine, "health", down)
    health = gateway.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["components"]["engine"]["reason"] == "gone"
    ready = gateway.client.get("/ready")
    assert (ready.status_code, ready.json()["ready"], ready.json()["agent_ready"]) == (503, False, True)


def test_without_telemetry_it_says_so(serve: Serve) -> None:
    gateway = serve(telemetry_enabled=False)
    health = gateway.client.get("/health").json()
    assert (health["status"], health["telemetry_enabled"]) == ("healthy", False)
    assert health["components"]["telemetry"]["state"] == "off"
    assert gateway.client.get("/ready").json()["telemetry"] is False
    assert gateway.client.get("/metrics").status_code == 200
    answer = gateway.client.post("/v1/agents/echo/run", json={"input": "hi"})
    assert answer.status_code == 200
    assert answer.headers.get("traceparent") == answer.request.headers.get("traceparent")  # passed through, if any


async def test_before_the_lifespan_it_is_not_ready(desk: Any) -> None:
    app = create_app(make_settings(), desk.weaver)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as client:
        ready = await client.get("/ready")
        refused = [
            await client.post("/v1/tasks", json={"capability": "sum", "input": [1]}),
            await client.post("/v1/workflows/sum/run", json={"input": [1]}),
            await client.post(
                "/v1/chat/completions", json={"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
            ),
        ]
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    for each in refused:
        assert (each.status_code, each.json()["type"]) == (503, "urn:weaver:problem:unavailable")
        assert each.json()["detail"] == (
            "this gateway hasn't started: its server, or the application that it is mounted in, must run its lifespan; "
            "in a test 'with TestClient(app):' does, and 'async with app.router.lifespan_context(app):' where httpx "
            "calls the app"
        )


def test_an_application_may_be_started_again(desk: Any, provider_server: ProviderServer) -> None:
    provider_server.openai.always("hello")
    key = SecretStr("-".join(["sk", "test", "0" * 12]))
    app = create_app(
        make_settings(openai_api_key=key, openai_base_url=provider_server.openai.base_url, shutdown_grace_seconds=0.5),
        desk.weaver,
    )
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/health").json()["status"] == "healthy"
            assert client.post("/v1/agents/echo/run", json={"input": "hi"}).json()["text"] == "hello"
            task = client.post("/v1/tasks", json={"capability": "sum", "input": [1, 2]})
            assert "event: task.succeeded" in client.get(f"{task.headers['location']}/events").text
        assert client.get("/ready").status_code == 503


def test_an_application_with_an_engine_of_the_caller_s_is_not(desk: Any) -> None:
    async def nothing(context: TaskContext) -> TaskOutcome:
        return TaskOutcome()

    app = create_app(make_settings(), desk.weaver, engine=EmbeddedEngine(nothing))
    with TestClient(app) as client:
        assert client.get("/ready").status_code == 200
    with pytest.raises(RuntimeError, match="make another with create_app"), TestClient(app):
        pass


async def test_a_lifespan_drains_what_still_runs_when_no_signal_came(desk: Any) -> None:
    app = create_app(make_settings(shutdown_grace_seconds=0.5), desk.weaver)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as client:
        async with app.router.lifespan_context(app):
            assert (await client.get("/ready")).status_code == 200
            running = asyncio.create_task(client.post("/v1/workflows/hold/run", json={"input": "hi"}))
            while not desk.begun.is_set():
                await asyncio.sleep(0.01)
        answer = await running
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:weaver:problem:draining")
    assert desk.cancelled.is_set()


def test_the_index_is_small_and_names_what_is_there(gateway: Served) -> None:
    index = gateway.client.get("/").json()
    assert (index["agents"], index["workflows"]) == (["echo"], ["hold", "fail", "sum"])


def test_the_documentation_is_one_page_that_needs_no_other_host(gateway: Served) -> None:
    page = gateway.client.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert f"curl {gateway.url}/v1/agents</pre>" in page.text


def test_what_can_be_run_and_on_what(gateway: Served) -> None:
    found = gateway.client.get("/v1/agents").json()
    assert found["agents"] == [
        {
            "name": "echo",
            "capability": "echo",
            "description": "Says it again.",
            "models": ["offline"],
            "offline": True,
            "remarks": [],
            "tasks": TERMS,
        }
    ]
    assert found["workflows"][-1] == {
        "name": "sum",
        "capability": "sum",
        "description": "Adds numbers.",
        "input_schema": {"type": "array", "items": {"type": "integer"}},
        "tasks": TERMS,
    }
    assert found["bounds"] == {
        "run_timeout_seconds": 120.0,
        "provider_timeout_seconds": 60.0,
        "provider_retries": 2,
        "longest_deadline_seconds": 31622400.0,
        "longest_delay_seconds": 2592000.0,
        "body_bytes": 1048576,
    }


def test_how_the_tasks_of_a_capability_are_run(serve: Serve, desk: Any) -> None:
    retry = Retry(retries=5, pause_seconds=2, longest_pause_seconds=30, on=("run-timeout",))
    desk.weaver.agent(Agent(name="careful"), retry=retry, concurrency=2, fallback=["openai:gpt-5-mini"])
    gateway = serve(run_timeout_seconds=9, provider_timeout_seconds=4, provider_max_retries=0, model="test")
    found = gateway.client.get("/v1/agents").json()
    (careful,) = (each for each in found["agents"] if each["name"] == "careful")
    assert careful["tasks"] == {
        "retries": 5,
        "retried_on": ["run-timeout"],
        "pause_seconds": 2.0,
        "longest_pause_seconds": 30.0,
        "concurrency": 2,
    }
    assert (careful["models"], careful["offline"]) == (["test"], False)
    assert careful["remarks"] == ["no fallback to 'openai:gpt-5-mini': OPENAI_API_KEY is not set"]
    bounds = found["bounds"]
    assert (bounds["run_timeout_seconds"], bounds["provider_timeout_seconds"], bounds["provider_retries"]) == (9, 4, 0)


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/"])
def test_probes_carry_a_request_id(gateway: Served, path: str) -> None:
    response = gateway.client.get(path, headers={"x-request-id": "probe-1"})
    assert response.headers["x-request-id"] == "probe-1"


@pytest.mark.parametrize(
    "path",
    ["/health", "/ready", "/metrics", "/", "/docs", "/openapi.json", "/v1/agents", "/v1/models", "/v1/models/echo"],
)
def test_one_may_ask_for_the_head_alone(gateway: Served, path: str) -> None:
    head, whole = gateway.client.head(path), gateway.client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    refused = gateway.client.post(path)
    assert refused.status_code == 405
    assert {method.strip() for method in refused.headers["allow"].split(",")} == {"GET", "HEAD"}


async def test_the_head_of_a_probe_has_its_status() -> None:
    with served(make_settings(), Weaver("empty")) as gateway:
        assert gateway.client.head("/ready").status_code == 503


def test_an_unknown_model_stops_the_start(desk: Any) -> None:
    from weaver_ai.errors import SettingsError

    with pytest.raises(SettingsError, match="OPENAI_API_KEY is not set"):
        create_app(make_settings(model="openai:gpt-5-mini"), desk.weaver)
