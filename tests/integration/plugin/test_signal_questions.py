"""`logs` and `metrics` are asked as `spans` is: conditions, combined; in order; within a span; in a scope."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

HEAD = """
    import re
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from weaver_ai.testing import ExpectationFailed, log, metric, span

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    logger = LoggerProvider(shutdown_on_exit=False).get_logger("shop", "1.0")
    meters = MeterProvider(shutdown_on_exit=False)
    orders = meters.get_meter("shop").create_counter("orders", unit="1")
    delay = meters.get_meter("clock").create_histogram("delay", unit="s")

    def emit(body, severity=SeverityNumber.INFO, event=None, **attributes):
        logger.emit(body=body, severity_number=severity, attributes=attributes, event_name=event)

    def refund():
        emit("received")
        with tracer.start_as_current_span("refund", attributes={"order": 7}):
            emit("refund 7", order=7, event="shop.refund")
            orders.add(1, {"reason": "late"})
            with tracer.start_as_current_span("charge"):
                emit("declined", SeverityNumber.ERROR, order=7)
                orders.add(2, {"reason": "late"})
                delay.record(0.5)
        emit("done")
        orders.add(4, {"reason": "late"})
"""


def test_every_condition_of_logs(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    def bodies(logs, *question, **conditions):
        return [log.body for log in logs.all(*question, **conditions)]

    def test_it(spans, logs):
        refund()
        assert bodies(logs, severity="error") == ["declined"]
        assert bodies(logs, event_name="shop.*") == ["refund 7"]
        assert bodies(logs, scope="shop") == ["received", "refund 7", "declined", "done"]
        assert bodies(logs, scope="x") == []
        assert bodies(logs, span="refund") == bodies(logs, span=lambda name: name == "refund") == ["refund 7"]
        assert bodies(logs, span=re.compile("^r|^c")) == ["refund 7", "declined"]
        assert bodies(logs, span=spans.one("charge")) == ["declined"]
        assert bodies(logs, span=span("*", {"order": 7})) == ["refund 7"]
        assert bodies(logs, span=None) == ["received", "done"]
        assert bodies(logs, within="refund") == bodies(logs, within=spans.one("refund")) == ["refund 7", "declined"]
        assert bodies(logs, within=span("charge", within="refund")) == ["declined"]
        assert bodies(logs, within="nothing") == []

    def test_within_spans_that_are_open(spans, logs):
        with tracer.start_as_current_span("a") as above:
            with tracer.start_as_current_span("b"):
                emit("deep")
                assert logs.one(within="a").span.name == "b"
                above.update_name("renamed")
                assert logs.count(within="a") == 0 and logs.one(within="renamed").body == "deep"
        assert logs.one(within="renamed").span.end is not None

    def test_a_log_is_read_once_and_its_span_is_as_it_is_now(logs):
        with tracer.start_as_current_span("a"):
            emit("first")
            first = logs.one("first")
            emit("second")
            assert logs.one("first") is first and first in logs.all()
            assert first.span.is_open
        assert not first.span.is_open
        assert repr(first) == "<log info  'first' in 'a'>"

    def test_combined(logs):
        refund()
        assert bodies(logs, log(severity="error") | log("d*")) == ["declined", "done"]
        assert bodies(logs, log("d*") & ~log(severity="error")) == ["done"]
        assert bodies(logs, ~log("*", within="refund"), severity="info") == ["received", "done"]
        assert bodies(logs, log(log("d*"), severity="error")) == ["declined"]
        assert repr(log("d*", {"order": 7}, severity="error") | ~log(span=None)) == (
            "log(log('d*', {'order': 7}, severity='error') | log(~log(span=None)))"
        )
    """
    ).assert_outcomes(passed=4)


def test_logs_in_order(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    def test_it(logs):
        refund()
        found = logs.in_order("received", log(severity="error"), "d*")
        assert [log.body for log in found] == ["received", "declined", "done"]
        with pytest.raises(ExpectationFailed) as failed:
            logs.in_order("received", "done", log("declined", {"order": 7}), "x")
        assert str(failed.value).splitlines() == [
            "expected logs in order: 'received', 'done', 'declined', {'order': 7}, 'x'; found 2 of 4",
            "  info  'received'  <- 1",
            "  info  'refund 7' {'order': 7} in 'refund'",
            "  error 'declined' {'order': 7} in 'charge'  <- fits 3, out of order",
            "  info  'done'  <- 2",
        ]
        for wrong in ((), (None,)):
            with pytest.raises(TypeError, match=r"^in_order\\(\\) (needs a body|can't look for None)$"):
                logs.in_order(*wrong)

    def test_waiting(logs):
        timer = threading.Timer(0.01, refund)
        timer.start()
        assert [log.body for log in logs.wait(30).in_order("received", "done")] == ["received", "done"]
        assert len(asyncio.run(logs.eventually.in_order("rec*", "ref*"))) == 2
        timer.join()
        with pytest.raises(ExpectationFailed, match="found 1 of 2 after 0.01s"):
            logs.wait(0.01).in_order("done", "received")

    def test_metrics_have_no_order(metrics):
        with pytest.raises(TypeError, match="metrics have no order: a series is measured many times"):
            metrics.in_order("orders", "delay")
    """
    ).assert_outcomes(passed=3)


def test_every_condition_of_metrics(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    def names(metrics, *question, **conditions):
        return [metric.name for metric in metrics.all(*question, **conditions)]

    def test_it(metrics):
        refund()
        assert names(metrics, kind="histogram") == names(metrics, unit="s") == ["delay"]
        assert names(metrics, scope="clock") == ["delay"]
        assert names(metrics, kind="counter") == names(metrics, value=7) == ["orders"]
        assert metrics.count(kind="gauge") == 0
        assert names(metrics, metric(kind="histogram") | metric("o*")) == ["orders", "delay"]
        assert names(metrics, metric("*") & ~metric(unit="s")) == ["orders"]
        assert metrics.one(~metric("orders", {"reason": "late"}), value=0.5).name == "delay"
        assert metrics.total(metric(scope="shop"), value=lambda value: value > 6) == 7
        assert metrics.wait(0.01).one(kind="histogram").name == "delay"

    def test_what_a_failure_says(metrics):
        refund()
        with pytest.raises(ExpectationFailed) as failed:
            metrics.one(metric("o*", kind="gauge") | metric("o*", {"reason": "b"}, value=3))
        assert str(failed.value).splitlines() == [
            "expected one metric with metric('o*', kind='gauge') | metric('o*', {'reason': 'b'}, value=3); found none",
            "  orders 7 1 (counter) {'reason': 'late'}  <- kind was 'counter'",
            "  delay 0.5 s (histogram)  <- name was 'delay'; kind was 'histogram'",
        ]
        with pytest.raises(ExpectationFailed, match=r"no metric with ~metric\\('delay'\\); found 1"):
            metrics.none(~metric("delay"))
    """
    ).assert_outcomes(passed=2)


def test_where_ids_come_again_logs_and_metrics_know_their_span(run: Run) -> None:
    run(
        HEAD
        + """
    import random
    from opentelemetry import metrics as api

    orders = api.get_meter("shop").create_counter("orders")

    def test_it(spans, logs, metrics):
        for number in range(3):
            random.seed(7)
            with tracer.start_as_current_span("charge", attributes={"number": number}):
                emit("charged")
                orders.add(number)
        assert [log.span.attributes["number"] for log in logs.all()] == [0, 1, 2]
        assert [metrics.total("orders", within=charge) for charge in spans.all("charge")] == [0, 1, 2]
    """
    ).assert_outcomes(passed=1)


def test_metrics_within_a_span_are_what_was_measured_there(run: Run) -> None:
    run(
        HEAD
        + """
    warm = [20]
    meters.get_meter("shop").create_observable_gauge("warm", [lambda options: [Observation(warm[0])]])

    def test_it(spans, metrics):
        refund()
        assert metrics.one("orders").values == (1, 2, 4)
        assert metrics.one("orders", within="refund").values == (1, 2)
        assert metrics.one("orders", within=spans.one("charge")).value == metrics.total("orders", within="charge") == 2
        assert [metric.name for metric in metrics.all(within="charge")] == ["orders", "delay"]
        assert metrics.wait(0.01).one("orders", within="refund", value=3).count == 2
        with pytest.raises(ExpectationFailed) as failed:
            metrics.some("orders", within=span("payout", status="error"))
        assert str(failed.value).splitlines() == [
            "expected at least one metric with name 'orders' within span('payout', status='error'); found none",
            "no metric was recorded within span('payout', status='error')",
        ]
    """
    ).assert_outcomes(passed=1)


def test_scopes(run: Run) -> None:
    run(
        HEAD
        + """
    sold, warm = [5], [20]
    meters.get_meter("own").create_observable_counter("sold", [lambda options: [Observation(sold[0])]])
    meters.get_meter("own").create_observable_gauge("warm", [lambda options: [Observation(warm[0])]])

    def test_logs(logs):
        emit("before")
        with logs.scope() as act:
            refund()
            assert act.count() == 4
            with act.scope() as inner:
                emit("inside")
        emit("after")
        assert [log.body for log in act.all()] == ["received", "refund 7", "declined", "done", "inside"]
        assert [log.body for log in inner.all()] == ["inside"]
        assert logs.count() == 7
        act.in_order("received", "done")
        act.none("after")

    def test_metrics(metrics):
        orders.add(10)
        sold[0] += 1
        with metrics.scope() as act:
            orders.add(1)
            sold[0] += 2
            warm[0] = 30
            assert act.one("orders").value == 1 and act.one("sold").value == 2
        orders.add(100)
        sold[0] += 50
        warm[0] = 40
        assert (act.one("orders").value, act.one("sold").value, act.one("warm").value) == (1, 2, 30)
        assert (metrics.one("orders").value, metrics.one("sold").value) == (111, 53)
        with metrics.scope() as nothing:
            pass
        assert [metric.name for metric in nothing.all()] == ["warm"]
    """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("logs.one(sevrity='warn')", "TypeError: one() has no condition 'sevrity'; did you mean 'severity'?"),
        ("logs.one('paid', withn='a')", "TypeError: one() has no condition 'withn'; did you mean 'within'?"),
        ("logs.one(severity=None)", "ValueError: one() has no severity None; it is one of unspecified, trace, *"),
        ("logs.one(within=3)", "TypeError: one() can't look for 3; it takes a name, a regex, span(...) or a *"),
        ("logs.one(span('paid'))", "TypeError: one() can't look for span('paid'); it takes a body or log(...)"),
        ("logs.one(metric('paid'))", "TypeError: one() can't look for metric('paid'); it takes a body or log(...)"),
        ("log()", "TypeError: log() needs a condition"),
        ("log('a') & metric('b')", "TypeError: unsupported operand type(s) for &: 'LogPattern' and 'MetricPattern'"),
        ("metrics.none('orders', knd='x')", "TypeError: none() has no condition 'knd'; did you mean 'kind'?"),
        ("metrics.none('orders', reason='x')", "TypeError: none() has no condition 'reason'; attributes go into the *"),
        ("metrics.wait.one(kind='conter')", "ValueError: wait.one() has no kind 'conter'; did you mean 'counter'?"),
        ("metrics.one({'a': 1})", "TypeError: one() takes the name first; write one(attributes={...}) to leave it out"),
        ("metrics.one(3)", "TypeError: one() can't look for 3; it takes a name, a regex, a predicate or metric(...)"),
        ("metric()", "TypeError: metric() needs a condition; metric('*') is any series"),
        ("metric('a', within='b')", "TypeError: metric() takes no within=: it is what a verb counts, as in *"),
    ],
)
def test_what_is_refused(run_here: Run, question: str, error: str) -> None:
    result = run_here(HEAD + f"\n    def test_it(logs, metrics):\n        {question}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{error}".replace("[", "[[]")])


def test_where_a_log_went_that_is_not_there(run: Run) -> None:
    """What Logfire and Python's logging do, as they are: neither writes a log record of OpenTelemetry by itself."""
    pytest.importorskip("logfire")
    run(
        HEAD
        + """
    import logging
    import logfire

    shop = logging.getLogger("shop")

    def said(logs, *question, **conditions):
        with pytest.raises(ExpectationFailed) as failed:
            logs.one(*question, **conditions)
        return str(failed.value).splitlines()[1:]

    def test_logging(logs):
        shop.warning("late %s", 3)
        shop.error("lost")
        assert said(logs, "late 3") == [
            "no log was recorded",
            "Python's logging had 2 records, 'late 3' of 'shop' among them, and no handler that gives them to "
            "OpenTelemetry: add one, or ask caplog",
        ]
        assert "'lost' of 'shop' among them" in said(logs)[1]

    def test_logfire(logs):
        logfire.configure(send_to_logfire=False, console=False)
        logfire.info("refund {order}", order=7)
        logfire.warn("late")
        assert said(logs, "refund 7") == [
            "no log was recorded",
            "Logfire wrote 2 logs as spans, 'refund 7' among them: ask spans.one('refund {order}')",
        ]
        assert logs.count() == 0

    def test_logfires_handler_writes_spans_too(spans, logs):
        logfire.configure(send_to_logfire=False, console=False)
        handler = logfire.LogfireLoggingHandler()
        shop.addHandler(handler)
        shop.warning("late %s", 3)
        shop.removeHandler(handler)
        shop.addHandler(handler)
        try:
            assert said(logs, "late 3") == [
                "no log was recorded",
                "Logfire wrote 1 log as a span, 'late 3' among them: ask spans.one('late %s')",
            ]
        finally:
            shop.removeHandler(handler)

    def test_the_sdks_handler(logs):
        import warnings
        from opentelemetry.sdk._logs import LoggingHandler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            handler = LoggingHandler(logger_provider=LoggerProvider(shutdown_on_exit=False))
        shop.addHandler(handler)
        try:
            shop.warning("late %s", 3)
            assert logs.one(severity="warn").body in ("late 3", "late %s")
            assert not any("Python's logging" in line for line in said(logs, "lost"))
        finally:
            shop.removeHandler(handler)

    def test_nothing_anywhere(logs):
        assert said(logs, "late 3") == ["no log was recorded"]
    """,
        "-W",
        "ignore",
    ).assert_outcomes(passed=5)
