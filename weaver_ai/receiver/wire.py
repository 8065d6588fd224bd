"""From protobuf's wire format to what the message is in JSON: one decoder of OTLP then does for both.

Source: protobuf.dev, "Encoding". Strict where protobuf is: what is cut off, text that isn't UTF-8, field 0 and
groups that don't end are errors; a field that isn't known, or comes in another wire type, is skipped.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from weaver_ai.receiver.schema import MESSAGES, Field, Kind
from weaver_ai.spans.otlp_fields import InvalidOtlp

__all__ = ["InvalidWire", "read_message"]

_DEPTH: Final = 100  # protobuf's own limit
_VARINT, _I64, _LEN, _GROUP, _END, _I32 = range(6)
_WIRE_TYPES: Final[Mapping[Kind, int]] = {
    "string": _LEN,
    "hex": _LEN,
    "bytes": _LEN,
    "message": _LEN,
    "bool": _VARINT,
    "int64": _VARINT,
    "enum": _VARINT,
    "fixed64": _I64,
    "sfixed64": _I64,
    "double": _I64,
    "fixed32": _I32,
}
_SIZES: Final[Mapping[int, int]] = {_I64: 8, _I32: 4}


class InvalidWire(InvalidOtlp):
    """The bytes aren't a message in protobuf's wire format."""


def read_message(data: bytes, name: str) -> dict[str, object]:
    """The message of that name in `MESSAGES`, in OTLP's JSON mapping.

    Fields that aren't set are absent. Of a field that is set twice the last counts, and embedded messages
    are merged, as the format demands.

    Raises:
        InvalidWire: where the bytes are wrong, and how.
    """
    message: dict[str, object] = {}
    _Reader(data).read(0, len(data), name, message)
    return message


@dataclass(frozen=True, slots=True)
class _Record:
    """One field as it stands there; `number` is the value of a varint, the others lie from `begin` to `end`."""

    field: int
    wire_type: int
    number: int
    begin: int
    end: int


@dataclass(slots=True)
class _Reader:
    data: bytes
    depth: int = 0

    def read(self, at: int, end: int, name: str, message: dict[str, object]) -> None:
        """Put the fields of the message of that name into `message`."""
        self._deeper(at)
        fields = MESSAGES[name]
        for record in self._records(at, end):
            field = fields.get(record.field)
            if field is None or _WIRE_TYPES[field.kind] != record.wire_type:
                continue
            if field.oneof:
                for other in fields.values():
                    if other.oneof == field.oneof and other is not field:
                        message.pop(other.name, None)
            if field.kind == "message":
                self.read(record.begin, record.end, field.message, _place(message, field))
            else:
                message[field.name] = self._scalar(field, record)
        self.depth -= 1

    def _scalar(self, field: Field, record: _Record) -> object:
        if record.wire_type == _VARINT:
            return _VARINTS[field.kind](record.number)
        try:
            return _OTHERS[field.kind](self.data[record.begin : record.end])
        except UnicodeDecodeError as error:
            raise InvalidWire(f"{field.name} is not UTF-8 at byte {record.begin + error.start}") from error

    def _records(self, at: int, end: int) -> Iterator[_Record]:
        while at < end:
            record = self._record(at, end)
            yield record
            at = record.end

    def _record(self, began: int, end: int) -> _Record:
        tag, at = self._varint(began, end, 5)
        field, wire_type = tag >> 3, tag & 7
        if not 0 < field < 1 << 29:
            raise InvalidWire(f"there is no field {field} at byte {began}")
        number, begin = 0, at
        if wire_type == _VARINT:
            number, at = self._varint(at, end, 10)
        elif wire_type == _LEN:
            size, begin = self._varint(at, end, 5)
            at = begin + size
        elif wire_type == _GROUP:
            at = self._after_group(at, end, field)
        elif wire_type in _SIZES:
            at += _SIZES[wire_type]
        else:
            what = "the end of a group that never began" if wire_type == _END else f"wire type {wire_type}"
            raise InvalidWire(f"field {field} has {what} at byte {began}")
        if at > end:
            raise InvalidWire(f"field {field} is cut off at byte {end}")
        return _Record(field, wire_type, number, begin, at)

    def _after_group(self, at: int, end: int, field: int) -> int:
        """Where the group ends: an old way to embed a message, which no field of OTLP uses."""
        self._deeper(at)
        while at < end:
            tag, after = self._varint(at, end, 5)
            if tag == field << 3 | _END:
                self.depth -= 1
                return after
            at = self._record(at, end).end
        raise InvalidWire(f"the group of field {field} has no end at byte {end}")

    def _varint(self, at: int, end: int, longest: int) -> tuple[int, int]:
        value = 0
        for place in range(longest):
            if at >= end:
                raise InvalidWire(f"a number is cut off at byte {end}")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004 # the bit that says that more bytes follow
                return value & 0xFFFFFFFFFFFFFFFF, at
        raise InvalidWire(f"a number has more than {longest} bytes at byte {at}")

    def _deeper(self, at: int) -> None:
        self.depth += 1
        if self.depth > _DEPTH:
            raise InvalidWire(f"messages are nested more than {_DEPTH} deep at byte {at}")


def _place(message: dict[str, object], field: Field) -> dict[str, object]:
    """Where an embedded message goes: a new one in a list, or the one that is there already."""
    if not field.is_repeated:
        held = message.setdefault(field.name, {})
        assert isinstance(held, dict)  # noqa: S101 # for the type checker: nothing else is put there
        return held
    known = message.setdefault(field.name, [])
    assert isinstance(known, list)  # noqa: S101 # likewise
    known.append({})
    inner: dict[str, object] = known[-1]
    return inner


def _signed(number: int, bits: int) -> int:
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number


def _double(data: bytes) -> float:
    value: float = struct.unpack("<d", data)[0]
    return value


_VARINTS: Final[Mapping[Kind, Callable[[int], object]]] = {
    "bool": bool,
    "int64": lambda number: _signed(number, 64),
    "enum": lambda number: _signed(number, 32),
}
_OTHERS: Final[Mapping[Kind, Callable[[bytes], object]]] = {
    "string": bytes.decode,
    "hex": bytes.hex,
    "bytes": lambda data: base64.b64encode(data).decode(),
    "double": _double,
    "fixed64": lambda data: int.from_bytes(data, "little"),
    "sfixed64": lambda data: int.from_bytes(data, "little", signed=True),
    "fixed32": lambda data: int.from_bytes(data, "little"),
}
