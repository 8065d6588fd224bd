"""The verbs of `logs` and `metrics`, those that wait included, as type checkers see them: checked, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from weaver_ai.testing import Log, LogPattern, Logs, Metric, MetricPattern, Metrics, Spans, contains, log, metric, span


async def test_eventually(logs: Logs, metrics: Metrics) -> None:
    assert_type(await logs.eventually.one("paid", {"order": 7}, severity="warn", span="refund *"), Log)
    assert_type(await logs.eventually(timeout=30).some(event_name="shop.refund"), list[Log])
    assert_type(await metrics.eventually.first("orders", value=3), Metric)
    assert_type(await metrics.eventually(30).some("orders", {"kind": "new"}), list[Metric])


def test_wait(logs: Logs, metrics: Metrics) -> None:
    assert_type(logs.wait.first(), Log)
    assert_type(logs.wait(30).one("paid"), Log)
    assert_type(metrics.wait.one("orders", value=lambda value: value >= 3), Metric)
    assert_type(metrics.wait(30).some("orders"), list[Metric])


def test_questions(spans: Spans, logs: Logs, metrics: Metrics) -> None:
    assert_type(log("paid", {"order": contains(7)}, span=None) | ~log(severity="warn", within="refund"), LogPattern)
    assert_type(logs.in_order("paid", log(scope="shop")), list[Log])
    assert_type(logs.wait.in_order("paid"), list[Log])
    assert_type(logs.one(log("paid"), span=span("refund *"), within=spans.one("refund")), Log)
    assert_type(metric("orders", kind="counter") & metric(unit="s"), MetricPattern)
    assert_type(metrics.total(metric("orders"), within="refund"), float)
    assert_type(metrics.none(kind="histogram", within=spans.one("refund")), None)
    with logs.scope() as written, metrics.scope() as measured:
        assert_type(written, Logs)
        assert_type(measured, Metrics)


def test_refused(logs: Logs, metrics: Metrics) -> None:
    logs.one("paid", severity="warning")  # type: ignore[arg-type]
    logs.wait.one("paid", sevrity="warn")  # type: ignore[call-arg]
    metrics.wait.one("orders", value="3")  # type: ignore[arg-type]
    logs.one(metric("paid"))  # type: ignore[arg-type]
    log("paid") & metric("paid")  # type: ignore[operator]
    metrics.none("orders", knd="counter")  # type: ignore[call-arg]
    metric("orders", within="refund")  # type: ignore[call-arg]
