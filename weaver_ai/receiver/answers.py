"""What an exporter is told: the responses of OTLP/HTTP, in the encoding of its request.

Source: the OTLP specification, "OTLP/HTTP Response"; google.rpc.Status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from weaver_ai.receiver.delivery import Encoding, Signal

__all__ = ["CONTENT_TYPES", "accepted", "failed"]

CONTENT_TYPES: Final[Mapping[Encoding, str]] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_REJECTED: Final[Mapping[Signal, str]] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}


def accepted(signal: Signal, encoding: Encoding, wrong: Sequence[str]) -> bytes:
    """The `Export...ServiceResponse`: empty if all was taken, else how many items were not, and why the first."""
    if not wrong:
        return b"" if encoding == "protobuf" else b"{}"
    if encoding == "json":
        # 64-bit integers are strings in protobuf's JSON
        return json.dumps({"partialSuccess": {_REJECTED[signal]: str(len(wrong)), "errorMessage": wrong[0]}}).encode()
    return _embedded(1, b"\x08" + _varint(len(wrong)) + _embedded(2, wrong[0].encode()))


def failed(encoding: Encoding, message: str) -> bytes:
    """A `google.rpc.Status`; OTLP doesn't use its code."""
    return json.dumps({"message": message}).encode() if encoding == "json" else _embedded(2, message.encode())


def _embedded(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while value >> 7:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
