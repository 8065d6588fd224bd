"""The one model of a trace: what a test asserts on, a terminal prints, a browser draws and SQL reads."""

from weaver_ai.spans.model import Event, Link, Scope, Span, SpanKind, Status, StatusCode

__all__ = ["Event", "Link", "Scope", "Span", "SpanKind", "Status", "StatusCode"]
