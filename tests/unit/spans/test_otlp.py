import json
import math

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from weaver_ai.spans import Scope
from weaver_ai.spans.otlp import InvalidOtlp, spans_of_json
from weaver_ai.spans.sdk import from_sdk

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def request(**fields):
    span = {"traceId": TRACE, "spanId": SPAN, "name": "s", "startTimeUnixNano": "1", "endTimeUnixNano": "3", **fields}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def test_it_reads_what_the_sdk_exports():
    tracer = TracerProvider().get_tracer("shop", "1.2")
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        child = tracer.start_span(
            "child",
            attributes={"s": "x", "b": True, "i": 2**53, "f": 0.5, "l": ["a", "b"], "y": b"\x00\x01"},
            links=[Link(parent.get_span_context(), {"why": "retry"})],
        )
        child.add_event("tick", {"k": 1})
        child.set_status(Status(StatusCode.ERROR, "boom"))
        child.end()
    exported = MessageToDict(encode_spans([parent, child]))
    for span in exported["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        _hex_ids(span)

    read = spans_of_json(json.loads(json.dumps(exported)), sequence=5)

    assert [_plain(span) for span in read] == [
        _plain(from_sdk(parent, sequence=5)),
        _plain(from_sdk(child, sequence=6)),
    ]


def _hex_ids(entry):
    """OTLP's JSON differs from protobuf's own in the ids, which are hexadecimal."""
    import base64

    for key in ("traceId", "spanId", "parentSpanId"):
        if key in entry:
            entry[key] = base64.b64decode(entry[key]).hex()
    for link in entry.get("links", []):
        _hex_ids(link)


def _plain(span):
    return {
        **{name: getattr(span, name) for name in ("name", "trace_id", "span_id", "parent_id", "kind", "start", "end")},
        **{name: getattr(span, name) for name in ("status", "scope", "sequence")},
        "attributes": dict(span.attributes),
        "resource": dict(span.resource),
        "events": [(event.name, event.time, dict(event.attributes)) for event in span.events],
        "links": [(link.trace_id, link.span_id, dict(link.attributes)) for link in span.links],
    }


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"stringValue": "x"}, "x"),
        ({"boolValue": False}, False),
        ({"intValue": "7"}, 7),
        ({"intValue": 7}, 7),
        ({"doubleValue": 0.5}, 0.5),
        ({"doubleValue": "Infinity"}, math.inf),
        ({"bytesValue": "AAE="}, b"\x00\x01"),
        ({"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "x"}]}}, (1, "x")),
        ({"arrayValue": {}}, ()),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, {"a": 1}),
        ({}, None),
    ],
)
def test_values(value, read):
    (span,) = spans_of_json(request(attributes=[{"key": "k", "value": value}]))
    assert dict(span.attributes) == {"k": read}


def test_names_of_enumerations_and_unknown_fields_are_taken():
    (span,) = spans_of_json(request(kind="SPAN_KIND_CLIENT", status={"code": "STATUS_CODE_OK"}, droppedWhatever=3))
    assert (span.kind, span.status.code, span.scope) == ("client", "ok", Scope())
    odd = [{"key": "k", "value": {"odd": 1, "intValue": "2"}}, {"key": "none", "value": {"odd": 1}}]
    assert spans_of_json(request(attributes=odd))[0].attributes == {"k": 2, "none": None}
    (span,) = spans_of_json(request(kind=99, status={"code": 1}))
    assert (span.kind, span.status.code) == ("internal", "ok")


def test_a_span_without_an_end_is_open_and_an_empty_parent_is_none():
    for parent in ("", "0" * 16):
        (span,) = spans_of_json(request(endTimeUnixNano="0", parentSpanId=parent))
        assert (span.end, span.parent_id) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "request is an object, not []"),
        ({"resourceSpans": {}}, None),
        ({"resourceSpans": 3}, "resourceSpans is an array, not 3"),
        ({"resourceSpans": ["x"]}, "resourceSpans is an object, not 'x'"),
        (request(traceId="xyz"), "traceId has 32 hexadecimal digits, unlike 'xyz'"),
        (request(name=3), "name is a string, not 3"),
        (request(startTimeUnixNano="soon"), "startTimeUnixNano is an integer, not 'soon'"),
        (request(startTimeUnixNano=True), "startTimeUnixNano is an integer, not True"),
        (request(kind=[]), "kind is a number, not []"),
        (request(attributes=[{"key": "k", "value": {"boolValue": "yes"}}]), "boolValue is a boolean, not 'yes'"),
        (request(attributes=[{"key": "k", "value": {"doubleValue": "x"}}]), "doubleValue is a number, not 'x'"),
        (request(attributes=[{"key": "k", "value": {"bytesValue": "?"}}]), "bytesValue is not base64"),
    ],
)
def test_what_is_not_otlp_is_named(wrong, message):
    if message is None:
        assert spans_of_json(wrong) == []
        return
    with pytest.raises(InvalidOtlp) as caught:
        spans_of_json(wrong)
    assert str(caught.value) == message
