"""What `logs` and `metrics` share: what their verbs refuse, and waiting, woken by what arrives."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
import trio
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.measurement import Measurement

from tests.unit.spans.building import make
from weaver_ai.receiver.delivery import Delivery
from weaver_ai.testing import ExpectationFailed, Spans
from weaver_ai.testing.capture.origin import Origin
from weaver_ai.testing.capture.recording import Recording
from weaver_ai.testing.signals.logs import Logs
from weaver_ai.testing.signals.metrics import Metrics

LONG = 20.0  # a wait that isn't woken fails the test's own limit on time


class Emitter:
    """What the taps hand on, by hand."""

    def __init__(self) -> None:
        self.recording = Recording(Origin("test_it", "test"))
        meter = MeterProvider(shutdown_on_exit=False).get_meter("shop")
        self._orders = meter.create_counter("orders")
        self.woken = 0

    def log(self, body: str, **attributes: int) -> None:
        record = LogRecord(body=body, severity_number=SeverityNumber.INFO, attributes=attributes)
        self.recording.logged(ReadWriteLogRecord(log_record=record))

    def add(self, value: int, **attributes: str) -> None:
        self.recording.measured(Measurement(value, time.time_ns(), self._orders, Context(), attributes))

    def arrive(self, name: str) -> None:
        """A span of another process."""
        self.recording.arrived(Delivery(spans=[make(name, 1)]))

    def count_wakes(self, subscribe: Callable[[Callable[[], None]], Callable[[], None]]) -> Callable[[], None]:
        def wake() -> None:
            self.woken += 1

        return subscribe(wake)

    def nobody_listens(self) -> bool:
        return not self.recording._listeners and not self.recording._signal_listeners


@pytest.fixture
def emitter() -> Emitter:
    return Emitter()


@pytest.fixture
def logs(emitter: Emitter) -> Logs:
    return Logs(emitter.recording)


@pytest.fixture
def metrics(emitter: Emitter) -> Metrics:
    return Metrics(emitter.recording)


def soon(action: Callable[..., object], *arguments: object) -> threading.Timer:
    timer = threading.Timer(0.02, action, arguments)
    timer.start()
    return timer


def test_a_log_of_another_thread_wakes_the_wait(emitter: Emitter, logs: Logs) -> None:
    began = time.monotonic()
    timer = soon(emitter.log, "paid")
    assert logs.wait(LONG).one("paid", severity="info").body == "paid"
    assert time.monotonic() - began < LONG / 4
    timer.join()
    assert emitter.nobody_listens()


def test_a_log_that_is_there_needs_no_wait(emitter: Emitter, logs: Logs) -> None:
    emitter.log("paid", order=7)
    emitter.log("paid", order=8)
    assert logs.wait(LONG).one(attributes={"order": 8}).body == "paid"
    assert logs.wait(LONG).first("p*").attributes == {"order": 7}
    assert len(logs.wait(LONG).some("paid")) == 2


def test_a_measurement_of_another_thread_wakes_the_wait(emitter: Emitter, metrics: Metrics) -> None:
    emitter.add(1)
    began = time.monotonic()
    timer = soon(emitter.add, 2)
    assert metrics.wait(LONG).one("orders", value=3).values == (1, 2)
    assert time.monotonic() - began < LONG / 4
    timer.join()
    assert metrics.wait(LONG).first("orders").value == metrics.wait(LONG).some("ord*")[0].value == 3
    assert emitter.nobody_listens()


async def test_asyncio_waits_for_logs(emitter: Emitter, logs: Logs) -> None:
    eventually = logs.eventually(timeout=LONG)
    timer = soon(emitter.log, "paid")
    assert (await eventually.one("paid")).body == "paid"
    asyncio.get_running_loop().call_later(0.02, emitter.log, "late")
    assert (await eventually.first("late")).body == "late"
    assert len(await eventually.some("*a*")) == 2
    timer.join()
    assert emitter.nobody_listens()


async def test_asyncio_waits_for_metrics(emitter: Emitter, metrics: Metrics) -> None:
    eventually = metrics.eventually(timeout=LONG)
    timer = soon(emitter.add, 5)
    assert (await eventually.one("orders", value=lambda value: value >= 3)).value == 5
    asyncio.get_running_loop().call_later(0.02, lambda: emitter.add(1, kind="new"))
    assert (await eventually.first("orders", {"kind": "new"})).value == 1
    assert len(await eventually.some("orders")) == 2
    timer.join()
    assert emitter.nobody_listens()


def test_trio_waits_for_both(emitter: Emitter, logs: Logs, metrics: Metrics) -> None:
    async def main() -> None:
        timers = [soon(emitter.log, "paid"), soon(emitter.add, 1)]
        assert (await logs.eventually(LONG).one("paid")).body == "paid"
        assert (await metrics.eventually(LONG).one("orders")).value == 1
        for timer in timers:
            await trio.to_thread.run_sync(timer.join)

    trio.run(main)
    assert emitter.nobody_listens()


def test_several_fail_at_once(emitter: Emitter, logs: Logs, metrics: Metrics) -> None:
    for kind in ("new", "old"):
        emitter.log("paid")
        emitter.add(1, kind=kind)
    began = time.monotonic()
    with pytest.raises(ExpectationFailed, match=r"expected one log with body 'paid'; found 2\n"):
        logs.wait(LONG).one("paid")
    with pytest.raises(ExpectationFailed, match=r"expected one metric with name 'orders'; found 2\n"):
        metrics.wait(LONG).one("orders")
    assert time.monotonic() - began < LONG / 4
    assert emitter.nobody_listens()


def test_what_a_timeout_says(emitter: Emitter, logs: Logs, metrics: Metrics) -> None:
    emitter.log("late", order=7)
    emitter.add(2)
    with pytest.raises(ExpectationFailed) as of_logs:
        logs.wait(0.01).one("paid")
    assert str(of_logs.value) == (
        "expected one log with body 'paid'; found none after 0.01s\n  info  'late' {'order': 7}  <- body was 'late'"
    )
    with pytest.raises(ExpectationFailed) as of_metrics:
        metrics.wait(0.01).some("orders", value=3)
    assert str(of_metrics.value) == (
        "expected at least one metric with name 'orders', value 3; found none after 0.01s\n"
        "  orders 2 (counter)  <- value was 2.0"
    )
    assert emitter.nobody_listens()


async def test_what_a_timeout_says_in_a_loop(emitter: Emitter, logs: Logs, metrics: Metrics) -> None:
    with pytest.raises(ExpectationFailed) as awaited:
        await logs.eventually(0.01).one("paid")
    assert str(awaited.value) == "expected one log with body 'paid'; found none after 0.01s\nno log was recorded"
    hint = r"stood still meanwhile: await {}\.eventually instead"
    with pytest.raises(ExpectationFailed, match=hint.format("logs")):
        logs.wait(0.01).one("paid")
    with pytest.raises(ExpectationFailed, match=hint.format("metrics")):
        metrics.wait(0.01).one("orders")
    assert emitter.nobody_listens()


async def test_a_cancelled_wait_leaves_no_listener(emitter: Emitter, logs: Logs) -> None:
    task = asyncio.create_task(logs.eventually.one("paid"))
    await asyncio.sleep(0.01)
    assert not emitter.nobody_listens()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert emitter.nobody_listens()


def test_a_span_wakes_who_waits_for_a_log_but_a_log_wakes_nobody_who_waits_for_spans(emitter: Emitter) -> None:
    """A log's `span` can come after it, from another process; a test that waits for spans needn't mind logs."""
    end = emitter.count_wakes(Logs(emitter.recording)._subscribe)
    emitter.arrive("refund")
    assert emitter.woken == 1
    end()
    end = emitter.count_wakes(Spans(emitter.recording)._source.subscribe)
    emitter.log("paid")
    emitter.add(1)
    assert emitter.woken == 1
    emitter.arrive("refund")
    assert emitter.woken == 2
    end()
    assert emitter.nobody_listens()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sevrity": "warn"}, TypeError, "one() has no condition 'sevrity'; did you mean 'severity'?"),
        ({"order": 7}, TypeError, "one() has no condition 'order'; attributes go into the mapping: {'order': ...}"),
        ({"severity": "warning"}, ValueError, "one() has no severity 'warning'; did you mean 'warn'?"),
        ({"attributes": {}}, TypeError, "one() takes attributes as a mapping with a key at least, not {}"),
        ({"attributes": "order"}, TypeError, "one() takes attributes as a mapping with a key at least, not 'order'"),
    ],
)
def test_what_logs_refuse(logs: Logs, arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as refused:
        logs.one(**arguments)
    assert str(refused.value) == message
    with pytest.raises(error) as refused:
        logs.wait.one(**arguments)
    assert str(refused.value) == f"wait.{message}"


def test_what_metrics_refuse(metrics: Metrics) -> None:
    with pytest.raises(TypeError, match=r"^total\(\) takes attributes as a mapping with a key at least, not \{\}$"):
        metrics.total("orders", {})
    with pytest.raises(TypeError, match=r"^wait\.one\(\) takes attributes as a mapping"):
        metrics.wait.one("orders", "kind")


def test_the_value_is_a_condition_of_every_verb(emitter: Emitter, metrics: Metrics) -> None:
    emitter.add(1, kind="new")
    emitter.add(4, kind="old")
    assert metrics.one("orders", value=4).attributes == {"kind": "old"}
    assert metrics.first("orders", value=lambda value: value > 2).value == 4
    assert [metric.value for metric in metrics.some("orders", value=1)] == [1]
    assert metrics.all(value=2) == []
    assert metrics.count(value=lambda value: value > 0) == 2
    metrics.none("orders", value=5)
    with pytest.raises(ExpectationFailed, match="expected no metric with name 'orders', value 4; found 1"):
        metrics.none("orders", value=4)
