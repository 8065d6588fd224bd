"""The verbs of `logs` and `metrics`, those that wait included, as type checkers see them: checked, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from weaver_ai.testing.logs import Log, Logs
from weaver_ai.testing.metrics import Metric, Metrics


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


def test_refused(logs: Logs, metrics: Metrics) -> None:
    logs.one("paid", severity="warning")  # type: ignore[arg-type]
    logs.wait.one("paid", sevrity="warn")  # type: ignore[call-arg]
    metrics.wait.one("orders", value="3")  # type: ignore[arg-type]
