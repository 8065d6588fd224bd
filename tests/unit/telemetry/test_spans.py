import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags

from tests.unit.telemetry.conftest import Captured
from weaver_ai.errors import ProviderTimeout
from weaver_ai.telemetry import error_type, mark_error, start_span


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_span_with_everything(captured: Captured) -> None:
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
    with start_span("work", _kind=SpanKind.PRODUCER, _links=[Link(remote)], name="a name", n=None, **{"a.b": {"c": 1}}):
        pass
    span = captured.span
    assert (span.name, span.kind, span.status.status_code) == ("work", SpanKind.PRODUCER, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {"name": "a name", "a.b": '{"c":1}'}
    assert [link.context for link in span.links] == [remote]
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "weaver_ai"


def test_blocks_nest_and_leave_nothing_current(captured: Captured) -> None:
    with start_span("outer") as outer, start_span("inner"):
        assert trace.get_current_span() is not outer
    assert trace.get_current_span() is trace.INVALID_SPAN
    inner, ended = captured.spans
    assert inner.parent == ended.context


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("bad"), "ValueError"),
        (ProviderTimeout("late"), "provider-timeout"),
        (asyncio.QueueFull(), "asyncio.queues.QueueFull"),
    ],
)
def test_an_exception_fails_the_span_and_goes_on(captured: Captured, error: Exception, kind: str) -> None:
    with pytest.raises(type(error)) as raised, start_span("work"):
        raise error
    assert raised.value is error
    span = captured.span
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == f"{type(error).__name__}: {error}"
    assert dict(span.attributes or {}) == {"error.type": kind} == {"error.type": error_type(error)}
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("ending", [GeneratorExit, KeyboardInterrupt, SystemExit])
def test_a_block_that_is_only_left_has_not_failed(captured: Captured, ending: type[BaseException]) -> None:
    with pytest.raises(ending), start_span("work"):
        raise ending
    assert (captured.span.status.status_code, captured.span.events) == (StatusCode.UNSET, ())


def test_an_exception_without_text_does_not_hide_itself(captured: Captured) -> None:
    with pytest.raises(Unprintable), start_span("work"):
        raise Unprintable
    assert captured.span.status.description == "Unprintable: <unreadable Unprintable: RuntimeError>"
    stack = str((captured.span.events[0].attributes or {})["exception.stacktrace"])
    assert stack.rstrip().endswith("Unprintable: <exception str() failed>")


def test_the_errors_of_concurrent_tasks_stay_apart(captured: Captured) -> None:
    async def child(fails: bool) -> None:
        with start_span("child", fails=fails):
            await asyncio.sleep(0)
            if fails:
                raise ValueError("this one")

    async def run() -> list[Any]:
        with start_span("parent"):
            return await asyncio.gather(child(True), child(False), return_exceptions=True)

    asyncio.run(run())
    states = {(span.attributes or {}).get("fails"): span.status.status_code for span in captured.spans}
    assert states == {True: StatusCode.ERROR, False: StatusCode.UNSET, None: StatusCode.UNSET}
    (parent,) = [span for span in captured.spans if span.name == "parent"]
    assert [span.parent for span in captured.spans if span is not parent] == [parent.context] * 2


class ProviderAnswer(Exception):
    def __init__(self, body: object) -> None:
        super().__init__(f"status 400, body: {body}")
        self.body = body


@pytest.mark.parametrize(
    ("capture_payloads", "expected"), [(False, "[body withheld]"), (True, "{'prompt': 'my diagnosis'}")]
)
def test_a_providers_body_is_a_payload(capture: Callable[..., Captured], capture_payloads: bool, expected: str) -> None:
    captured = capture(telemetry_capture_payloads=capture_payloads)
    with pytest.raises(RuntimeError), start_span("call"):
        raise RuntimeError("it failed") from ProviderAnswer({"prompt": "my diagnosis"})
    stack = str((captured.span.events[0].attributes or {})["exception.stacktrace"])
    assert f"ProviderAnswer: status 400, body: {expected}\n" in stack


def test_mark_error_on_a_span_that_records_nothing() -> None:
    mark_error(trace.INVALID_SPAN, ValueError("x"))


def test_without_telemetry_blocks_cost_one_shared_object(restored: None) -> None:
    from weaver_ai.telemetry import runtime
    from weaver_ai.telemetry.off_backend import OffTelemetry

    runtime.make_current(OffTelemetry())
    assert start_span("a") is start_span("b", n=1)
    with start_span("a") as first, start_span("b") as second:
        assert first is second is trace.INVALID_SPAN


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_sampling_is_decided_at_the_root(capture: Callable[..., Captured], rate: float) -> None:
    captured = capture(telemetry_sample_rate=rate)
    with start_span("root") as root, start_span("child") as child:
        assert root.is_recording() is child.is_recording() is (rate == 1.0)
    assert len(captured.spans) == 2 * rate
