import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import start_span
from weaver_ai.telemetry.propagation import InboundPropagator, propagator_of

INBOUND = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "v=1", "baggage": "user=mallory"}


def test_an_inbound_trace_is_continued_without_its_baggage() -> None:
    extracted = InboundPropagator().extract(INBOUND, Context())
    remote = trace.get_current_span(extracted).get_span_context()
    assert (f"{remote.trace_id:032x}", f"{remote.span_id:016x}", dict(remote.trace_state)) == (
        "ab" * 16,
        "cd" * 8,
        {"v": "1"},
    )
    assert baggage.get_all(extracted) == {}


def test_an_inbound_trace_is_linked_from_a_new_root(captured: Captured) -> None:
    extracted = InboundPropagator(mode="link").extract(INBOUND, Context())
    assert trace.get_current_span(extracted) is trace.INVALID_SPAN
    with start_span("server", _parent=extracted), start_span("inner"):
        pass
    inner, server = captured.spans
    assert server.parent is None
    assert [f"{link.context.trace_id:032x}" for link in server.links] == ["ab" * 16]
    assert (inner.parent, len(inner.links)) == (server.context, 0)


def test_linking_needs_something_to_link_to() -> None:
    before = Context({"kept": 1})
    assert InboundPropagator(mode="link").extract({}, before) == before


@pytest.mark.parametrize(
    ("listed", "fields"),
    [
        (None, {"traceparent", "tracestate"}),
        ("tracecontext", {"traceparent", "tracestate"}),
        ("tracecontext, baggage", {"traceparent", "tracestate", "baggage"}),
        ("none", set()),
    ],
)
def test_propagators_by_name(listed: str | None, fields: set[str]) -> None:
    other = CompositePropagator([])
    assert InboundPropagator(propagator_of(listed, other)).fields == fields


def test_propagators_of_other_packages_are_what_the_api_made_of_them() -> None:
    other = CompositePropagator([])
    assert propagator_of("b3,tracecontext", other) is other
