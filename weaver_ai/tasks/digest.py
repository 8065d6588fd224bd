"""A digest of a value that every process makes the same of."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from hashlib import sha256

from pydantic import BaseModel, JsonValue
from pydantic_core import PydanticSerializationError, to_jsonable_python

__all__ = ["digest_of"]


def digest_of(value: object) -> str | None:
    """64 hexadecimal digits: equal for equal values, whatever the order of their keys and of their sets' members.

    None for what has no form but its place in memory, for what is used up by looking at it, such as a generator, and
    for what contains itself.
    """
    try:
        return sha256(_dumped(_canonical(value)).encode()).hexdigest()
    except (PydanticSerializationError, RecursionError, ValueError, _NoFormError):
        return None
    except Exception:  # noqa: BLE001 - a serializer of the user's may raise anything; then there is no form either
        return None


class _NoFormError(Exception):
    pass


def _canonical(value: object) -> JsonValue:
    if isinstance(value, BaseModel):
        value = value.model_dump(warnings=False)
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | deque():
            return [_canonical(item) for item in value]
        case AbstractSet():
            return {"set": sorted((_canonical(item) for item in value), key=_dumped)}
        case Mapping():
            return _fields(value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return _fields((field.name, getattr(value, field.name)) for field in fields(value))
    return _leaf(value)


def _fields(items: Iterable[tuple[object, object]]) -> JsonValue:
    """As pairs, for an object's keys would have to be text, and 1 and "1" are two."""
    return {"{}": sorted(([_canonical(key), _canonical(inner)] for key, inner in items), key=_dumped)}


def _leaf(value: object) -> JsonValue:
    if isinstance(value, Iterator):
        raise _NoFormError
    made: JsonValue = to_jsonable_python(value, bytes_mode="base64")
    return made


def _dumped(value: JsonValue) -> str:
    return json.dumps(value, separators=(",", ":"))  # ASCII: halves of surrogate pairs are escaped
