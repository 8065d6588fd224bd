"""What trace context comes in with a request and goes out with a call.

Only `traceparent` and `tracestate`, unless OTEL_PROPAGATORS says otherwise: `baggage` that a client
sends would otherwise be forwarded to model providers, and so would the baggage that pydantic-ai sets.
"""

from __future__ import annotations

from typing import Final, Literal

from opentelemetry import context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["INBOUND_LINK", "InboundPropagator", "propagator_of"]

INBOUND_LINK: Final = context.create_key("weaver.inbound-link")

_TRACE_CONTEXT: Final = TraceContextTextMapPropagator()


def propagator_of(listed: str | None, other: TextMapPropagator) -> TextMapPropagator:
    """What OTEL_PROPAGATORS lists, `tracecontext` if it lists nothing; `other` for names from other packages."""
    names = [name.strip() for name in (listed or "tracecontext").split(",")]
    known: dict[str, TextMapPropagator] = {"tracecontext": _TRACE_CONTEXT, "baggage": W3CBaggagePropagator()}
    if names == ["none"]:
        return CompositePropagator([])
    if all(name in known for name in names):
        return CompositePropagator([known[name] for name in names])
    return other


class InboundPropagator(TextMapPropagator):
    """The process's propagator: `inner`, with inbound traces continued or linked.

    In mode "link" an extracted parent isn't made current; the next root span links to it instead.
    """

    def __init__(self, inner: TextMapPropagator | None = None, mode: Literal["continue", "link"] = "continue") -> None:
        self.inner = inner or _TRACE_CONTEXT
        self.mode = mode

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        extracted = self.inner.extract(carrier, context, getter)
        if self.mode == "continue":
            return extracted
        remote = trace.get_current_span(extracted).get_span_context()
        if not (remote.is_valid and remote.is_remote):
            return extracted
        rootless = trace.set_span_in_context(trace.INVALID_SPAN, extracted)
        return set_link(remote, rootless)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        self.inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        return self.inner.fields


def set_link(remote: SpanContext, into: Context) -> Context:
    return context.set_value(INBOUND_LINK, remote, into)
