"""What the engine's gauges observe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from weaver_ai.gateway.engine_metrics import EngineMetrics
from weaver_ai.tasks import EmbeddedEngine, TaskContext, TaskOutcome, TaskPolicy, TaskRequest
from weaver_ai.telemetry.off_backend import OffTelemetry


class Metered(OffTelemetry):
    """Telemetry that is off but for metrics, which can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = InMemoryMetricReader()
        self.meter_provider: MeterProvider = MeterProvider(metric_readers=[self.reader])

    def read(self) -> dict[str, dict[str, float]]:
        """The gauges' values by name and by the only attribute that they have."""
        data = self.reader.get_metrics_data()
        found: dict[str, dict[str, float]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data is not None else []:
            points = metric.data.data_points
            found[metric.name] = {"".join(map(str, (point.attributes or {}).values())): point.value for point in points}
        return found


@pytest.fixture
async def engine() -> AsyncIterator[EmbeddedEngine]:
    go = asyncio.Event()

    async def wait(_context: TaskContext) -> TaskOutcome:
        await go.wait()
        return TaskOutcome()

    engine = EmbeddedEngine(wait, policies={"narrow": TaskPolicy(concurrency=1)})
    await engine.start()
    yield engine
    go.set()
    await engine.drain(0)


async def test_tasks_that_wait_are_told_by_capability(engine: EmbeddedEngine) -> None:
    telemetry = Metered()
    metrics = EngineMetrics(engine, telemetry, ["narrow", "idle"])
    for capability, delay in [("narrow", None), ("narrow", None), ("narrow", None), ("far", 60.0)]:
        await engine.submit(TaskRequest(capability=capability, input=None, delay_seconds=delay))
    refreshing = asyncio.create_task(metrics.refresh())
    async with asyncio.timeout(5):
        while "weaver.task.queued" not in (told := telemetry.read()):
            await asyncio.sleep(0.01)
    refreshing.cancel()
    await asyncio.wait({refreshing})
    assert told == {
        "weaver.task.queued": {"narrow": 2, "idle": 0},
        "weaver.task.scheduled": {"": 1},
        "weaver.task.running": {"": 1},
    }
    assert telemetry.read() == {}
    telemetry.meter_provider.shutdown()


async def test_a_process_tells_of_the_engine_that_it_started_last(engine: EmbeddedEngine) -> None:
    telemetry = Metered()
    first = asyncio.create_task(EngineMetrics(engine, telemetry, ["first"]).refresh())
    second = asyncio.create_task(EngineMetrics(engine, telemetry, ["second"]).refresh())
    seen = []
    for refreshing in (second, first):
        async with asyncio.timeout(30):
            while "weaver.task.queued" not in (told := telemetry.read()):
                await asyncio.sleep(0.01)
        seen.append(told["weaver.task.queued"])
        refreshing.cancel()
        await asyncio.wait({refreshing})
    assert seen == [{"second": 0}, {"first": 0}]
    assert telemetry.read() == {}
    telemetry.meter_provider.shutdown()
