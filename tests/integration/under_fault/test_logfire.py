"""Logfire's cloud fails: requests go on, `/health` says so, and what Logfire kept on disk arrives when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from pydantic import SecretStr

from tests.fixtures.otlp_receiver import OtlpReceiver
from tests.integration.under_fault.conftest import Gateway, Serve, make_settings
from tests.integration.under_fault.matrix import LOGFIRE, LogfireCase
from weaver_ai.telemetry import configure_telemetry
from weaver_ai.telemetry.api import ExporterHealth
from weaver_ai.testing import Spans
from weaver_ai.testing.faults import Faults, every, fault, frozen

pytest.importorskip("logfire")
CASES = pytest.mark.parametrize("case", [pytest.param(case, id=case.fault.id) for case in LOGFIRE])
TOKEN = "_".join(["pylf", "v1", "us", "0" * 43])
CLOUD = {
    "telemetry_environment": "staging",  # in development nothing is sent
    "logfire_send_to_cloud": True,
    "logfire_token": SecretStr(TOKEN),
}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """Logfire's cloud, when no fault is in between; exports begin soon and give up after a second."""
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("LOGFIRE_BASE_URL", receiver.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        yield receiver
        configure_telemetry(make_settings())  # ends the exporters while there is somebody to take the rest


def test_the_table_has_every_fault_of_the_vocabulary() -> None:
    assert set(every(fault.exporter)) <= {case.fault for case in LOGFIRE}


@CASES
async def test_requests_go_on_and_the_loss_is_told(
    serve: Serve, spans: Spans, cloud: OtlpReceiver, faults: Faults, case: LogfireCase
) -> None:
    async with serve(**CLOUD) as gateway:
        await until(lambda: health_of(gateway).state == "ok")
        with faults.arm(case.fault) as armed:
            during = [await answered(gateway) for _ in range(3)]
            await until(lambda: armed.hits > 0 and losses(gateway) == ({case.loss} if case.loss else set()))
            assert health_of(gateway).exported == 0
            with frozen() if case.after else nullcontext() as clock:
                if clock is not None:
                    clock.advance(case.after + 1)
                told = await gateway.health()
            assert (told["status"], told["components"]["telemetry"]["state"]) == ("degraded", "degraded")
            assert told["components"]["telemetry"]["reason"].startswith(case.reason)
            assert TOKEN not in str(told)
            if not case.kept:  # what is still in the queue would be delivered when the fault is over
                await asyncio.to_thread(gateway.app.state.service.telemetry.flush, 10.0)
        after = await answered(gateway)
        await asyncio.to_thread(cloud.whole_trace, after)
        if case.loss == "dropped":  # a queue that was full is worth a minute's notice
            with frozen() as clock:
                clock.advance(61)
                assert health_of(gateway).state == "ok"
        else:
            await until(lambda: health_of(gateway).state == "ok")
            assert (await gateway.health())["status"] == "healthy"
        if case.kept:
            for trace_id in during:
                await asyncio.to_thread(cloud.whole_trace, trace_id)
        else:
            assert [each.name for each in cloud.spans if each.trace_id in during] == []
    assert spans.count("workflow echo", status="unset") == 4


async def answered(gateway: Gateway) -> str:
    """A request that is answered; its trace."""
    response = await gateway.client.post("/v1/workflows/echo/run", json={"input": "hi"})
    assert (response.status_code, response.json()["output"]) == (200, "hi")
    return response.headers["traceparent"].split("-")[1]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # counters of another thread, which nobody announces
            await asyncio.sleep(0.02)


def losses(gateway: Gateway) -> set[str]:
    health = health_of(gateway)
    return {name for name in ("failed", "dropped") if getattr(health, name) > 0}


def health_of(gateway: Gateway) -> ExporterHealth:
    found: ExporterHealth = gateway.app.state.service.telemetry.exporter_health()
    return found
