"""The receiver against the SDK's own exporter: what was recorded is what arrives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, StatusCode

from tests.fixtures.otlp_receiver import OtlpReceiver, tree


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def exporter(receiver: OtlpReceiver) -> Iterator[SpanExporter]:
    exporter = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces", timeout=1)
    yield exporter
    exporter.shutdown()


@pytest.fixture
def provider(exporter: SpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def test_a_span_arrives_whole(receiver: OtlpReceiver, provider: TracerProvider) -> None:
    tracer = provider.get_tracer("shop.orders", "1.2")
    earlier = tracer.start_span("earlier")
    earlier.end()
    attributes = {"n": 7, "share": 0.5, "ok": True, "names": ("a", "b")}

    def order_and_fail() -> None:
        links = [Link(earlier.get_span_context(), {"why": "retry"})]
        with tracer.start_as_current_span("order"):
            with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT, attributes=attributes, links=links):
                raise ValueError("no stock")

    with pytest.raises(ValueError, match="no stock"):
        order_and_fail()
    pay, order = receiver.spans[1], receiver.spans[2]
    assert (pay.name, pay.kind, dict(pay.attributes)) == ("pay", "client", attributes)
    assert (pay.trace_id, pay.parent_id) == (order.trace_id, order.span_id)
    assert (pay.status.code, pay.status.description) == ("error", "ValueError: no stock")
    assert pay.events[0].attributes["exception.type"] == "ValueError"
    assert (pay.links[0].span_id, pay.links[0].attributes["why"]) == (receiver.spans[0].span_id, "retry")
    assert (pay.scope.name, pay.scope.version) == ("shop.orders", "1.2")
    assert pay.resource["service.name"] == "shop"
    assert pay.end is not None
    assert order.start <= pay.start <= pay.end
    assert order.parent_id is None
    assert tree(receiver.trace(order.trace_id)) == "order [internal, error]\n  pay [client, error]"
    assert [span.name for span in receiver.whole_trace(order.trace_id, timeout=1)] == ["order", "pay"]


def test_unset_and_ok_stay_what_they_are(receiver: OtlpReceiver, provider: TracerProvider) -> None:
    tracer = provider.get_tracer("t")
    tracer.start_span("unset").end()
    good = tracer.start_span("good")
    good.set_status(StatusCode.OK)
    good.end()
    assert [span.status.code for span in receiver.spans] == ["unset", "ok"]


def test_a_refusing_receiver_keeps_nothing(
    receiver: OtlpReceiver, exporter: SpanExporter, provider: TracerProvider
) -> None:
    receiver.refuses = 400
    span = provider.get_tracer("t").start_span("lost")
    assert exporter.export([span]) is SpanExportResult.FAILURE  # type: ignore[list-item]
    assert receiver.spans == []


def test_what_does_not_come_is_said_with_what_came(receiver: OtlpReceiver, provider: TracerProvider) -> None:
    provider.get_tracer("t").start_span("other").end()
    with pytest.raises(AssertionError, match=r"not in 0.1 s; there are: \['other'\]"):
        receiver.wait_for(lambda spans: any(span.name == "order" for span in spans), timeout=0.1)
