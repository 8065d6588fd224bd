"""The fixtures `logs` and `metrics`: what they see, whose it is, and what they say when it isn't there."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

LOGS = """
    from opentelemetry import _logs
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor, InMemoryLogRecordExporter

    tracer = trace.get_tracer("x")
    logger = _logs.get_logger("shop", "1.0")

    def emit(body, severity=SeverityNumber.INFO, by=logger, **attributes):
        by.emit(body=body, severity_number=severity, attributes=attributes, event_name=attributes.pop("event", None))
"""

METRICS = """
    from opentelemetry import metrics as api
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter = api.get_meter("shop")
    orders = meter.create_counter("orders", unit="1")
    stock = meter.create_up_down_counter("stock")
    delay = meter.create_histogram("delay", unit="s")
    level = meter.create_gauge("level")
"""


def test_a_log_knows_its_span(run: Run) -> None:
    """Guards the proxies' stand-in for loggers, and the taps on both processors."""
    run(
        LOGS
        + """
    def test_it(spans, logs):
        emit("outside")
        with tracer.start_as_current_span("refund"):
            emit("refund 7", SeverityNumber.WARN2, order=7, event="shop.refund")
        log = logs.one("refund *", {"order": 7}, severity="warn", event_name="shop.refund", span="refund")
        assert (log.body, log.severity, log.severity_number) == ("refund 7", "warn", 14)
        assert (log.scope.name, log.scope.version) == ("shop", "1.0")
        assert (log.trace_id, log.span_id) == (spans.one("refund").trace_id, spans.one("refund").span_id)
        assert log.span.name == "refund" and logs.first().span is None
        assert [log.body for log in logs.all()] == ["outside", "refund 7"]
        assert (logs.count(), logs.count(severity="error"), len(logs.some("*7"))) == (2, 0, 1)
        logs.none("*", {"order": 8})

    def test_isolated(logs):
        assert logs.all() == []

    def test_any_provider(logs):
        provider = LoggerProvider(shutdown_on_exit=False)
        emit("mine", by=provider.get_logger("own"))
        _logs.set_logger_provider(provider)
        emit("global")
        assert [log.body for log in logs.all()] == ["mine", "global"]
    """
    ).assert_outcomes(passed=3)


def test_a_log_shows_as_the_processors_left_it(run_here: Run) -> None:
    """Guards `passing.record` in `tap_logs`, for records that are rewritten in place and for copies."""
    run_here(
        LOGS
        + """
    from dataclasses import replace
    from opentelemetry.sdk._logs._internal import SynchronousMultiLogRecordProcessor

    class Mask(LogRecordProcessor):
        def on_emit(self, record):
            record.log_record.body = "***"
        def shutdown(self): pass
        def force_flush(self, timeout_millis=0): return True

    def test_it(logs):
        provider, exporter = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
        provider.add_log_record_processor(Mask())
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        emit("secret", by=provider.get_logger("own"))
        assert logs.one().body == "***" == exporter.get_finished_logs()[0].log_record.body

    class MaskCopy(Mask):
        def __init__(self):
            self.inner = SynchronousMultiLogRecordProcessor()
        def on_emit(self, record):
            self.inner.on_emit(replace(record, log_record=_logs.LogRecord(body="---")))

    def test_copy(logs):
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(MaskCopy())
        emit("secret", by=provider.get_logger("own"))
        assert logs.one().body == "---"
    """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        (
            'logs.one("paid", {"order": 8}, severity="error")',
            [
                "E       ExpectationFailed: expected one log with body 'paid', severity 'error', order 8; found none",
                "E         info  'paid' {'order': 7}  <- severity was 'info'",
                "E         warn  'late'  <- body was 'late'",
            ],
        ),
        (
            "logs.one()",
            [
                "E       ExpectationFailed: expected one log; found 2",
                "E         info  'paid' {'order': 7}  <- matches",
                "E         warn  'late'  <- matches",
            ],
        ),
        (
            'logs.none("l*")',
            [
                "E       ExpectationFailed: expected no log with body 'l*'; found 1",
                "E         warn  'late'  <- matches",
                "E         info  'paid' {'order': 7}  <- body was 'paid'",
            ],
        ),
        (
            'logs.one("pad", severity="info")',
            [
                (
                    "E       ExpectationFailed: expected one log with body 'pad', severity 'info'; found none; "
                    "did you mean 'paid'?"
                ),
                "E         info  'paid' {'order': 7}  <- body was 'paid'",
                "E         warn  'late'  <- body was 'late'",
            ],
        ),
        (
            'logs.some(span="refund")',
            [
                "E       ExpectationFailed: expected at least one log with span 'refund'; found none",
                "E         info  'paid' {'order': 7}  <- span was missing",
                "E         warn  'late'  <- span was missing",
            ],
        ),
    ],
)
def test_what_logs_say(run_here: Run, question: str, lines: list[str]) -> None:
    result = run_here(
        f"{LOGS}\n    provider = LoggerProvider(shutdown_on_exit=False)\n"
        "    def test_it(logs):\n"
        '        emit("paid", order=7, by=provider.get_logger("own"))\n'
        '        emit("late", SeverityNumber.WARN, by=provider.get_logger("own"))\n'
        f"        {question}\n"
    )
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in lines], consecutive=True)


def test_a_log_shows_itself_and_metrics_call_no_instrument(run_here: Run) -> None:
    run_here(
        f"{LOGS}\n    provider = LoggerProvider(shutdown_on_exit=False)\n"
        """
    from opentelemetry import metrics as api
    def test_it(logs, metrics):
        assert repr(logs) == "<logs: 0>"
        for number in range(5):
            emit(f"log {number}", by=provider.get_logger("own"))
        assert repr(logs) == "<logs: 5 'log 0', 'log 1', 'log 2', 'log 3', ...>"
        called = []
        api.get_meter("own").create_observable_gauge("gauge", callbacks=[lambda options: called.append(1) or []])
        assert (repr(metrics), called) == ("<metrics>", [])
        with pytest.raises(AssertionError) as failed:
            logs.one("x", {"a" * 3000: 1})
        assert max(map(len, str(failed.value).splitlines())) < 300
    """
    ).assert_outcomes(passed=1)


def test_no_log_at_all(run_here: Run) -> None:
    result = run_here(f"{LOGS}\n    def test_it(logs):\n        logs.one()\n")
    result.stdout.fnmatch_lines(
        ["E       ExpectationFailed: expected one log; found none", "E       no log was recorded"], consecutive=True
    )
    result.stdout.no_fnmatch_line("*- trace -*")


def test_metrics_since_the_test_began(run: Run) -> None:
    """Guards the proxies' stand-in for instruments, and the tap on the consumer."""
    run(
        METRICS
        + """
    def test_synchronous(metrics):
        orders.add(2, {"kind": "new"})
        orders.add(3, {"kind": "new"})
        orders.add(5, {"kind": "old"})
        stock.add(4)
        stock.add(-1)
        delay.record(0.25)
        delay.record(0.5)
        level.set(7)
        level.set(6)
        new = metrics.one("orders", {"kind": "new"})
        assert (new.value, new.count, new.values, new.kind, new.unit) == (5, 2, (2, 3), "counter", "1")
        assert metrics.total("orders") == 10 and metrics.count("orders") == 2
        assert (metrics.one("stock").value, metrics.one("stock").kind) == (3, "up_down_counter")
        assert (metrics.one("delay").value, metrics.one("delay").count) == (0.75, 2)
        assert (metrics.one("level").value, metrics.one("level").kind) == (6, "gauge")
        assert [metric.name for metric in metrics.all()] == ["orders", "orders", "stock", "delay", "level"]
        metrics.none("refunds")

    def test_isolated(metrics):
        assert metrics.all() == []

    def test_any_provider(metrics):
        reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        provider.get_meter("own").create_counter("mine").add(1)
        api.set_meter_provider(provider)
        orders.add(1)
        assert [metric.name for metric in metrics.all()] == ["mine", "orders"]
        exported = reader.get_metrics_data().resource_metrics[0].scope_metrics
        assert {metric.name for scope in exported for metric in scope.metrics} == {"mine", "orders"}
    """
    ).assert_outcomes(passed=3)


def test_observable_instruments(run: Run) -> None:
    """Guards `self._before`, and the search for providers from before the session."""
    run(
        METRICS
        + """
    sold, warm = [5], [20]
    provider = MeterProvider(shutdown_on_exit=False)
    own = provider.get_meter("own")
    own.create_observable_counter("sold", [lambda options: [api.Observation(sold[0], {"kind": "new"})]])
    own.create_observable_gauge("warm", [lambda options: [api.Observation(warm[0])]])

    def test_it(metrics):
        assert [metric.name for metric in metrics.all()] == ["warm"]
        sold[0] += 4
        assert metrics.one("sold", {"kind": "new"}).value == 4
        assert metrics.one("warm").value == 20

    def test_next(metrics):
        metrics.none("sold")

    def test_last(metrics):
        provider.shutdown()
        assert metrics.all() == []
    """
    ).assert_outcomes(passed=3)


def test_what_metrics_say(run_here: Run) -> None:
    result = run_here(
        f"{METRICS}\n    def test_it(metrics):\n"
        '        own = MeterProvider(shutdown_on_exit=False).get_meter("own")\n'
        '        own.create_counter("orders", unit="1").add(2, {"kind": "new"})\n'
        '        metrics.one("orders", {"kind": "old"})\n'
    )
    result.stdout.fnmatch_lines(
        [
            "E       ExpectationFailed: expected one metric with name 'orders', kind 'old'; found none",
            "E         orders 2 1 (counter) {'kind': 'new'}  <- kind was 'new'",
        ],
        consecutive=True,
    )


def test_a_late_log_and_measurement_of_the_test_before(run: Run) -> None:
    """Guards `_of_running_test`."""
    run(
        LOGS
        + METRICS
        + """
    trace.set_tracer_provider(TracerProvider())
    left = []

    def test_leaves():
        left.append(tracer.start_span("slow"))

    @pytest.mark.weaver(check_stray=False)
    def test_next(logs, metrics):
        with trace.use_span(left[0], end_on_exit=True):
            emit("late")
            orders.add(1)
        emit("mine")
        assert [log.body for log in logs.all()] == ["mine"]
        assert metrics.all() == []
    """
    ).assert_outcomes(passed=2)


def test_waiting_for_what_a_thread_logs_and_measures(run_here: Run) -> None:
    """Guards `Recording.logged` and `Recording.measured`: the taps wake who waits."""
    run_here(
        LOGS
        + METRICS
        + """
    own, shop = LoggerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    sold = shop.get_meter("own").create_counter("sold")

    def work():
        emit("paid", by=own.get_logger("own"))
        sold.add(3)

    def test_it(logs, metrics):
        timer = threading.Timer(0.05, work)
        timer.start()
        assert logs.wait(30).one("paid").scope.name == "own"
        assert metrics.wait(30).one("sold", value=3).count == 1
        timer.join()
    """
    ).assert_outcomes(passed=1)


def test_an_observable_instrument_is_read_at_the_end_of_a_wait(run_here: Run) -> None:
    """Nobody says that its value changed. Guards the last attempt of `until` and `until_async`."""
    run_here(
        METRICS
        + """
    reads = []

    def read(options):
        reads.append(options)
        yield api.Observation(len(reads))

    provider = MeterProvider(shutdown_on_exit=False)
    provider.get_meter("own").create_observable_gauge("warm", [read])

    @pytest.fixture(scope="module", autouse=True)
    def no_other_run_in_this_process_sees_it():
        yield
        provider.shutdown()

    def test_blocking(metrics):
        reads.clear()
        assert metrics.wait(0.05).one("warm", value=2).kind == "gauge"

    def test_in_a_loop(metrics):
        reads.clear()
        assert asyncio.run(metrics.eventually(0.05).one("warm", value=2)).kind == "gauge"
    """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("setting", "loggers", "meters"),
    [
        (
            "monkeypatch.setenv('OTEL_SDK_DISABLED', 'true')",
            "OTEL_SDK_DISABLED is set, so the SDK's loggers are no-ops",
            "OTEL_SDK_DISABLED is set, so the SDK's meters are no-ops",
        ),
        (
            "_logs.set_logger_provider(_logs.NoOpLoggerProvider()); api.set_meter_provider(api.NoOpMeterProvider())",
            "the global logger provider is *.NoOpLoggerProvider, not the OpenTelemetry SDK's",
            "the global meter provider is *.NoOpMeterProvider, not the OpenTelemetry SDK's",
        ),
    ],
    ids=["disabled", "no-op"],
)
def test_no_log_and_no_measurement_are_explained(run: Run, setting: str, loggers: str, meters: str) -> None:
    result = run(f"""
        from opentelemetry import _logs, metrics as api
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.metrics import MeterProvider

        @pytest.fixture(autouse=True)
        def set_up(monkeypatch):
            {setting}
            if "DISABLED" in {setting!r}:
                _logs.set_logger_provider(LoggerProvider())
                api.set_meter_provider(MeterProvider())

        def test_logs(logs):
            _logs.get_logger("shop").emit(body="paid")
            logs.one("paid")

        def test_metrics(metrics):
            api.get_meter("shop").create_counter("orders").add(1)
            metrics.one("orders")
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["E * no log was recorded", f"E * {loggers}", "E * no metric was recorded", f"E * {meters}"]
    )
