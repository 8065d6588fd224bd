"""A share of the calls fails: each request is told what became of its own, and nothing is accepted and lost."""

from __future__ import annotations

import asyncio

import pytest

from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.integration.service.problem import assert_problem
from tests.integration.under_fault.conftest import Serve
from tests.integration.under_fault.matrix import SHARES
from weaver_ai.testing import Spans
from weaver_ai.testing.fakes import Providers
from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.faults import Faults

MODEL, REDIS, EXPORTER = SHARES
RUNS = 20


@pytest.mark.parametrize("fallback", [False, True], ids=["alone", "with-fallback"])
async def test_a_providers_share(
    serve: Serve, spans: Spans, providers: Providers, faults: Faults, fallback: bool
) -> None:
    providers.openai.always("From the first.")
    providers.anthropic.always("From the other.")
    async with serve() as gateway:
        share = faults.arm(MODEL.fault)
        answers = [await gateway.run("openai-then-anthropic" if fallback else "openai-alone") for _ in range(RUNS)]
        async with asyncio.timeout(30):
            while sum(not server.is_open for server in spans.all(kind="server")) < RUNS:
                await asyncio.sleep(0.02)
    assert 0 < share.hits < share.calls == RUNS, "the seed of the session has drawn none, or all"
    servers = spans.some("POST /v1/agents/{name}/run", kind="server")
    for number, (answer, server) in enumerate(zip(answers, servers, strict=True), start=1):
        hit = number in share.struck
        if hit and not fallback:
            assert_problem(answer, 502, "provider-unavailable")
            assert server.attributes["weaver.problem.type"] == "provider-unavailable"
            continue
        assert (answer.status_code, answer.json()["text"]) == (200, "From the other." if hit else "From the first.")
        assert server.status.code == "unset"
        assert server.descendants.count("model request attempt *", status="error") == int(hit)


async def test_redis_share(serve: Serve, spans: Spans, fake_redis: TestRedis, faults: Faults) -> None:
    async with serve(redis_url="redis://redis.example:6379/0") as gateway:

        async def submitted(number: int) -> str | None:
            key = {"idempotency-key": f"order-{number}"}
            answer = await gateway.client.post("/v1/tasks", json={"capability": "echo", "input": "hi"}, headers=key)
            if answer.status_code == 202:
                location: str = answer.headers["location"]
                return location
            assert_problem(answer, 503, "engine-unavailable", retry_after="5")
            return None

        with faults.arm(REDIS.fault) as share:
            accepted = await asyncio.gather(*(submitted(number) for number in range(RUNS)))
        assert share.hits >= 1
        kept = [location for location in accepted if location is not None]
        assert len(kept) == len(set(kept)) > 0
        assert (await gateway.app.state.service.engine.health()).queued == len(kept)
        again = await asyncio.gather(*(submitted(number) for number in range(RUNS)))
        assert [one for one, two in zip(again, accepted, strict=True) if two is not None] == kept
        assert (await gateway.app.state.service.engine.health()).queued == RUNS, "each is there once"


async def test_the_exporters_share(
    serve: Serve, spans: Spans, backend: OtlpReceiver, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")  # a call for each span
    async with serve(otel_exporter_otlp_endpoint=backend.url, otel_logs_exporter="none") as gateway:
        with faults.arm(EXPORTER.fault) as share:
            for _ in range(RUNS // 2):
                answer = await gateway.client.post("/v1/workflows/echo/run", json={"input": "hi"})
                assert answer.status_code == 200
            async with asyncio.timeout(60):
                while (health := gateway.app.state.service.telemetry.exporter_health()).exported + health.failed < RUNS:
                    await asyncio.sleep(0.02)
        assert 0 < health.failed < RUNS
        assert share.hits >= health.failed > 0
        assert health.exported > 0
    spans.none(status="error")
