"""Turn any Python value into one that OpenTelemetry takes as an attribute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel, SecretStr

__all__ = ["Attribute", "attribute_value", "attributes_of", "name_of"]

Attribute: TypeAlias = (
    str | bool | int | float | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]
)

_MAX_DEPTH = 12
_MAX_INT = 2**63 - 1


def name_of(name: Any) -> str:
    """A span's name as text, for one that is none can't be exported, and takes its whole batch with it."""
    return name if isinstance(name, str) else str(name)


def attributes_of(values: Mapping[str, object]) -> dict[str, Attribute]:
    """The attributes that `values` make; None is left out, for an unknown value is an absent attribute."""
    made: dict[str, Attribute] = {}
    for key, value in values.items():
        attribute = attribute_value(value)
        if attribute is not None and key:
            made[key] = attribute
    return made


def attribute_value(value: object) -> Attribute | None:
    """What `value` is as an attribute; never raises.

    Strings, booleans, integers and floats stay what they are, sequences of one of these become
    tuples, and everything else becomes JSON text. `SecretStr` becomes its mask.
    """
    if type(value) in (str, bool, float):
        return value  # type: ignore[return-value]  # narrowed by exact type, which is what makes this path quick
    try:
        return _converted(value)
    except Exception as error:  # noqa: BLE001 - a value's own __str__, __iter__ or model_dump may raise anything
        return f"<unreadable {type(value).__name__}: {type(error).__name__}>"


def _converted(value: object) -> Attribute | None:
    if value is None:
        return None
    plain = _plain(value, 0)
    if isinstance(plain, (str, bool, float)):
        return plain
    if isinstance(plain, int):
        return plain if -_MAX_INT <= plain <= _MAX_INT else str(plain)
    if isinstance(plain, list):
        uniform = _uniform(plain)
        if uniform is not None:
            return uniform
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _uniform(items: list[object]) -> Attribute | None:
    kinds = {type(item) for item in items}
    if len(kinds) > 1 or not kinds <= {str, bool, int, float}:
        return None
    if kinds == {int} and any(not -_MAX_INT <= item <= _MAX_INT for item in items):  # type: ignore[operator]
        return tuple(str(item) for item in items)
    return tuple(items)  # type: ignore[return-value]  # one of the four kinds, checked above


def _plain(value: object, depth: int) -> object:  # noqa: PLR0911 - one return per kind of value
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth >= _MAX_DEPTH:
        return "..."
    if isinstance(value, (SecretStr, UUID, PurePath, Decimal)):
        return str(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="python"), depth + 1)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_plain(item, depth + 1) for item in items]
    return str(value)
