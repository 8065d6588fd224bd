"""The telemetry backend fails: requests go on, the loss is counted and said, and it comes back by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.integration.under_fault.conftest import Gateway, Serve
from tests.integration.under_fault.matrix import EXPORTER, ExporterCase
from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.testing import Spans
from weaver_ai.testing.faults import Faults, every, fault, frozen

CASES = pytest.mark.parametrize("case", [pytest.param(case, id=case.fault.id) for case in EXPORTER])


def test_the_table_has_every_fault_of_the_vocabulary() -> None:
    assert set(every(fault.exporter)) <= {case.fault for case in EXPORTER}


@CASES
async def test_requests_go_on_and_the_loss_is_told(
    serve: Serve, spans: Spans, backend: OtlpReceiver, faults: Faults, case: ExporterCase
) -> None:
    async with serve(otel_exporter_otlp_endpoint=backend.url) as gateway:
        with faults.arm(case.fault):
            await answered(gateway, 3)
            await until(lambda: getattr(health_of(gateway), case.loss) >= 3)
            assert health_of(gateway).exported == 0
            told = await gateway.health()
            assert (told["status"], told["components"]["telemetry"]["state"]) == ("degraded", "degraded")
            assert told["components"]["telemetry"]["reason"] == case.reason
            assert await counter(gateway, case.loss) >= 3
        await answered(gateway, 1)
        last = spans.some("POST /v1/workflows/{name}/run", kind="server")[-1]
        await asyncio.to_thread(backend.whole_trace, last.trace_id)
        if case.loss == "dropped":  # a queue that was full is worth a minute's notice
            assert (await gateway.health())["components"]["telemetry"]["reason"] == case.reason
            with frozen() as clock:
                clock.advance(61)
                assert health_of(gateway).state == "ok"
        else:
            await until(lambda: health_of(gateway).state == "ok")
            assert (await gateway.health())["status"] == "healthy"
    assert spans.count("workflow echo", status="unset") == 4


async def test_answers_come_while_an_export_hangs(
    serve: Serve, backend: OtlpReceiver, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    async with serve(otel_exporter_otlp_endpoint=backend.url) as gateway:
        hangs = faults.exporter.hangs()
        await answered(gateway, 1)
        await until(lambda: hangs.calls > 0)
        await answered(gateway, 20)
        health = health_of(gateway)
        assert (health.exported, health.failed) == (0, 0), "the export that hung when they came hangs no more"
        assert health.queued >= 20
        hangs.lift()
        await until(lambda: health_of(gateway).exported >= 21)
        assert health_of(gateway).failed == 0


async def test_a_hanging_export_costs_a_bounded_queue(
    serve: Serve, backend: OtlpReceiver, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    async with serve(otel_exporter_otlp_endpoint=backend.url, otel_logs_exporter="none") as gateway:
        hangs = faults.exporter.hangs()
        await answered(gateway, 1)
        await until(lambda: hangs.calls > 0)
        await answered(gateway, 20)
        health = health_of(gateway)
        assert health.queued <= 8
        assert health.dropped >= 40 - 8 - 4
        assert (await gateway.health())["status"] == "degraded"
        hangs.lift()


async def test_the_end_of_the_service_does_not_wait_for_a_hanging_export(
    serve: Serve, backend: OtlpReceiver, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    async with serve(otel_exporter_otlp_endpoint=backend.url) as gateway:
        hangs = faults.exporter.hangs()
        await answered(gateway, 1)
        await until(lambda: hangs.calls > 0)
    assert health_of(gateway).exported == health_of(gateway).failed == 0, "it ended before the export did"
    assert hangs.active


async def answered(gateway: Gateway, times: int) -> None:
    for _ in range(times):
        response = await gateway.client.post("/v1/workflows/echo/run", json={"input": "hi"})
        assert (response.status_code, response.json()["output"]) == (200, "hi")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # counters of another thread, which nobody announces
            await asyncio.sleep(0.02)


def health_of(gateway: Gateway) -> ExporterHealth:
    found: ExporterHealth = gateway.app.state.service.telemetry.exporter_health()
    return found


async def counter(gateway: Gateway, loss: str) -> float:
    text = (await gateway.client.get("/metrics")).text
    found = re.search(rf"^weaver_telemetry_export_{loss}_total\{{.*\}} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])
