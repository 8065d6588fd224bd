"""What the wire reader is compared with: messages by protobuf's own library, and the JSON that OTLP makes of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from weaver_ai.receiver.schema import MESSAGES
from weaver_ai.spans import Span

PACKAGE = "opentelemetry.proto."
_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_STRINGS = {9: st.text(max_size=8), 12: st.binary(max_size=6), 8: st.booleans(), 14: st.integers(0, 2)}
_NUMBERS = {
    1: st.floats(allow_nan=False),
    3: st.integers(-(2**63), 2**63 - 1),
    4: st.integers(0, 2**64 - 1),
    5: st.integers(-(2**31), 2**31 - 1),
    6: st.integers(0, 2**64 - 1),
    7: st.integers(0, 2**32 - 1),
    13: st.integers(0, 2**32 - 1),
    16: st.integers(-(2**63), 2**63 - 1),
    17: st.integers(-(2**31), 2**31 - 1),
}
_SCALARS = _STRINGS | _NUMBERS
_PROFILES = {"string_value_strindex", "key_strindex"}  # OTLP gives them to profiles alone

REQUESTS: dict[str, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


def name_of(message: type[Message]) -> str:
    return message.DESCRIPTOR.full_name.removeprefix(PACKAGE)


def descriptors(start: Descriptor, seen: dict[str, Descriptor] | None = None) -> dict[str, Descriptor]:
    """That message and all that it can hold, by name."""
    found = {} if seen is None else seen
    if start.full_name not in found:
        found[start.full_name] = start
        for field in start.fields:
            if field.message_type is not None:
                descriptors(field.message_type, found)
    return found


@st.composite
def messages(draw: st.DrawFn, kind: type[Message], depth: int = 0) -> Message:
    """A message of that kind with any of its fields set, ids of the right length, at most a few of each."""
    message = kind()
    _fill(draw, message, depth)
    return message


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    taken: set[str] = set()
    for field in draw(st.permutations(list(message.DESCRIPTOR.fields))):
        oneof = field.containing_oneof.name if field.containing_oneof else field.name
        is_id = field.name in _IDS
        if field.name in _PROFILES or oneof in taken or not (is_id or draw(st.booleans())):
            continue
        taken.add(oneof)
        if field.message_type is not None:
            if depth > 12:
                continue
            target = getattr(message, field.name)
            if not field.is_repeated:
                target.SetInParent()
                _fill(draw, target, depth + 1)
                continue
            for _ in range(draw(st.integers(0, 2))):
                _fill(draw, target.add(), depth + 1)
        elif is_id:
            size = _IDS[field.name]
            setattr(message, field.name, draw(st.binary(min_size=size, max_size=size)))
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_SCALARS[field.type], max_size=2)))
        else:
            setattr(message, field.name, draw(_SCALARS[field.type]))


def as_json(message: Message) -> dict[str, Any]:
    """OTLP's JSON of it: protobuf's, but for the ids, which are hexadecimal."""
    request = MessageToDict(message)
    for entry in _objects(request):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in entry:
                entry[key] = base64.b64decode(entry[key]).hex()
    return request


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _objects(each)


def plain(item: Any) -> Any:
    """What was decoded, comparable: spans, log records and points are equal only to themselves."""
    if isinstance(item, list | tuple):
        return [plain(each) for each in item]
    if isinstance(item, Span) or hasattr(item, "__slots__"):
        return {name: plain(getattr(item, name)) for name in item.__slots__}
    return item


@cache
def pruned() -> Mapping[str, type[Message]]:
    """The messages as protobuf's library would have them, had they only the fields that are in the schema."""
    real: dict[str, Descriptor] = {}
    for request in REQUESTS.values():
        descriptors(request.DESCRIPTOR, real)
    enum = descriptor_pb2.EnumDescriptorProto(name="Any", value=[{"name": "ANY", "number": 0}])
    file = descriptor_pb2.FileDescriptorProto(name="pruned.proto", syntax="proto3", enum_type=[enum])
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=_flat(name))
        for number, field in fields.items():
            described = real[PACKAGE + name].fields_by_number[number]
            added = message.field.add(name=described.name, number=number, type=described.type)
            added.label = added.LABEL_REPEATED if field.is_repeated else added.LABEL_OPTIONAL
            if field.kind in {"message", "enum"}:
                added.type_name = _flat(field.message) if field.message else "Any"
            if field.oneof:
                groups = [group.name for group in message.oneof_decl]
                if field.oneof not in groups:
                    message.oneof_decl.add(name=field.oneof)
                    groups.append(field.oneof)
                added.oneof_index = groups.index(field.oneof)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(_flat(name))) for name in MESSAGES}


def _flat(name: str) -> str:
    return name.replace(".", "_")
