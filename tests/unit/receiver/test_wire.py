"""The wire reader against protobuf's own library, on messages made up and on messages broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from tests.unit.receiver.reference import PACKAGE, REQUESTS, as_json, descriptors, messages, name_of, plain, pruned
from weaver_ai.receiver.logs import logs_of_json
from weaver_ai.receiver.metrics import points_of_json
from weaver_ai.receiver.schema import MESSAGES
from weaver_ai.receiver.wire import InvalidWire, read_message
from weaver_ai.spans.otlp import InvalidOtlp, spans_of_json

_TYPES = {
    "string": {9},
    "hex": {12},
    "bytes": {12},
    "bool": {8},
    "int64": {3},
    "enum": {14},
    "fixed64": {6},
    "sfixed64": {16},
    "fixed32": {7},
    "double": {1},
    "message": {11},
}
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TRACES = "collector.trace.v1.ExportTraceServiceRequest"


def test_the_schema_agrees_with_the_protocol() -> None:
    known: dict[str, Any] = {}
    for request in REQUESTS.values():
        descriptors(request.DESCRIPTOR, known)
    assert {f"{PACKAGE}{name}" for name in MESSAGES} <= known.keys()
    for name, fields in MESSAGES.items():
        described = known[f"{PACKAGE}{name}"].fields_by_number
        for number, field in fields.items():
            real = described[number]
            assert (field.name, field.is_repeated) == (real.json_name, real.is_repeated), name
            assert real.type in _TYPES[field.kind], (name, field.name)
            assert field.oneof == (real.containing_oneof.name if real.containing_oneof else ""), (name, field.name)
            assert (f"{PACKAGE}{field.message}" if field.message else None) == (
                real.message_type.full_name if real.message_type else None
            ), (name, field.name)


def decode(signal: str, request: object) -> list[Any]:
    """The items, and what was wrong with those left out."""
    wrong: list[InvalidOtlp] = []
    decoded: dict[str, Any] = {"traces": spans_of_json, "logs": logs_of_json, "metrics": points_of_json}
    items = decoded[signal](request, reject=wrong.append)
    return [plain(items), list(map(str, wrong))]


@pytest.mark.parametrize("signal", REQUESTS)
@SLOW
@given(data=st.data())
def test_every_message_is_the_same_as_in_json(signal: str, data: st.DataObject) -> None:
    kind = REQUESTS[signal]
    message = data.draw(messages(kind))
    wire = read_message(message.SerializeToString(), name_of(kind))
    assert decode(signal, wire) == decode(signal, json.loads(json.dumps(as_json(message))))


@pytest.mark.parametrize("signal", REQUESTS)
@SLOW
@given(data=st.data())
def test_what_is_broken_is_refused_where_protobuf_refuses_it(signal: str, data: st.DataObject) -> None:
    """Bytes changed, put in and taken out at will: what protobuf reads, this reads alike; what it doesn't, neither."""
    kind = REQUESTS[signal]
    broken = bytearray(data.draw(messages(kind)).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken)))
        broken[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    assert outcome(kind, bytes(broken)) == reference(kind, bytes(broken))


@SLOW
@given(data=st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    kind = REQUESTS["traces"]
    assert outcome(kind, data) == reference(kind, data)


def outcome(kind: type[Message], data: bytes) -> object:
    try:
        return _pruned(read_message(data, name_of(kind)), name_of(kind))
    except InvalidWire:
        return "refused"


def reference(kind: type[Message], data: bytes) -> object:
    message = pruned()[name_of(kind)]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return "refused"
    return _of_message(message, name_of(kind))


def _of_message(message: Any, name: str) -> dict[str, Any]:
    """The fields of the schema that are set in the message, by their names in JSON; the schema's kinds are plain."""
    found: dict[str, Any] = {}
    for number, field in MESSAGES[name].items():
        real = message.DESCRIPTOR.fields_by_number[number]
        value = getattr(message, real.name)
        if field.is_repeated:
            found[field.name] = [_of_message(each, field.message) for each in value]
        elif real.has_presence and not message.HasField(real.name):
            continue
        elif field.message:
            found[field.name] = _of_message(value, field.message)
        else:
            found[field.name] = repr(value.hex() if field.kind == "hex" else value)
    return {key: value for key, value in found.items() if value not in ([], *_DEFAULTS) or _is_oneof(name, key)}


def _pruned(message: Any, name: str) -> dict[str, Any]:
    """The same of what the reader gave."""
    import base64

    found: dict[str, Any] = {}
    for field in MESSAGES[name].values():
        if field.name not in message:
            continue
        value = message[field.name]
        if field.is_repeated:
            found[field.name] = [_pruned(each, field.message) for each in value]
        elif field.message:
            found[field.name] = _pruned(value, field.message)
        else:
            found[field.name] = repr(base64.b64decode(value) if field.kind == "bytes" else value)
    return {key: value for key, value in found.items() if value not in ([], *_DEFAULTS) or _is_oneof(name, key)}


_DEFAULTS = ("''", "0", "0.0", "False", "b''")


def _is_oneof(name: str, key: str) -> bool:
    return any(field.oneof for field in MESSAGES[name].values() if field.name == key)


def _nested(depth: int) -> bytes:
    """An array in an array in an array, deeper than protobuf's library would make it."""
    value = b"\x18\x01"
    for _ in range(depth):
        for tag in (b"\x0a", b"\x2a"):
            value = tag + bytes([len(value) & 0x7F | 0x80, len(value) >> 7]) + value
    return value


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"\x0a", TRACES, "a number is cut off at byte 1"),
        (b"\x0a\x05\x00", TRACES, "field 1 is cut off at byte 3"),
        (b"\x00\x00", TRACES, "there is no field 0 at byte 0"),
        (b"\x0f", TRACES, "field 1 has wire type 7 at byte 0"),
        (b"\x0c", TRACES, "field 1 has the end of a group that never began at byte 0"),
        (b"\x0b\x10\x01", TRACES, "the group of field 1 has no end at byte 3"),
        (b"\x0b" * 200, TRACES, "messages are nested more than 100 deep at byte 100"),
        (b"\x10" + b"\xff" * 10, TRACES, "a number has more than 10 bytes at byte 11"),
        (b"\xff" * 6, TRACES, "a number has more than 5 bytes at byte 5"),
        (b"\x2a\x02a\xff", "trace.v1.Span", "name is not UTF-8 at byte 3"),
        (_nested(60), "common.v1.AnyValue", "messages are nested more than 100 deep at byte 300"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, name: str, message: str) -> None:
    with pytest.raises(InvalidWire) as caught:
        read_message(data, name)
    assert str(caught.value) == message


def test_the_last_of_a_oneof_counts_and_embedded_messages_are_merged() -> None:
    assert read_message(b"\x0a\x01x\x18\x07", "common.v1.AnyValue") == {"intValue": 7}
    twice = (
        ProtoSpan(status={"message": "boom"}).SerializeToString() + ProtoSpan(status={"code": 2}).SerializeToString()
    )
    assert read_message(twice, "trace.v1.Span") == {"status": {"message": "boom", "code": 2}}


def test_what_is_not_known_or_comes_in_another_wire_type_is_skipped() -> None:
    unknown = b"\xa2\x06\x01x" + b"\xa1\x06" + b"\x00" * 8 + b"\xa5\x06" + b"\x00" * 4 + b"\xa3\x06\x10\x01\xa4\x06"
    assert read_message(unknown + b"\x28\x01" + b"\x2a\x01n", "trace.v1.Span") == {"name": "n"}
