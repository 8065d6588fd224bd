"""A downstream test file with `faults` and `fake_redis`, as mypy --strict and pyright see it. Checked, never run."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_type

import pytest

from weaver_ai.testing import Spans, SpanView, span
from weaver_ai.testing.fakes.redis import TestRedis
from weaver_ai.testing.faults import ControlledClock, Fault, Faults, FaultSpec, every, fault, frozen, skewed


def test_arming(faults: Faults) -> None:
    assert_type(faults.openai.status(429, retry_after=2).on_call(1, 2), Fault)
    assert_type(faults.http("api.example.com").timeout("read").share(0.3).optional(), Fault)
    with faults.redis.flaky(2) as flaky:
        assert_type(flaky, Fault)
        assert_type(flaky.hits, int)
        assert_type(flaky.struck, list[int])
    assert_type(faults.arm(fault.exporter.down()), Fault)
    faults.at("openai", "https://proxy.example/v1")
    faults.at("google", "https://proxy.example/v1")  # type: ignore[arg-type]
    faults.openai.timeout("forever")  # type: ignore[arg-type]
    faults.openai.oom()  # type: ignore[attr-defined]
    _ = faults.google  # type: ignore[attr-defined]


assert_type(fault.openai.reset(midway=True).on_call(2), FaultSpec)
assert_type(every(fault.anthropic), tuple[FaultSpec, ...])


@pytest.mark.faults(fault.openai.timeout(), *every(fault.redis))
def test_matrix(armed_fault: Fault, fake_redis: TestRedis) -> None:
    assert_type(armed_fault.spec.id, str)
    assert_type(fake_redis.env, Mapping[str, str])
    assert_type(fake_redis.is_real, bool)
    armed_fault.lift()


def test_clocks(frozen_clock: ControlledClock, skewed_clock: Callable[[float], None]) -> None:
    frozen_clock.advance(5)
    assert_type(frozen_clock.slept, list[float])
    skewed_clock(-1)
    with frozen(sleeps=False) as clock, skewed(3):
        assert_type(clock.monotonic(), float)


def test_fallback(spans: Spans) -> None:
    spans.one("run").expect_fallback(primary=span("chat gpt-*", status="error"), fallback="chat claude-*", attempts=2)
    assert_type(spans.retries("POST", attempts=3, backoff=[1, (0.5, 2)], tolerance=0), list[SpanView])
    spans.retries("POST")  # type: ignore[call-arg]
