"""Whether a body is what a vendor documents, by the types of the vendor's own client."""

from __future__ import annotations

import functools
import json
from typing import Any

import pydantic

__all__ = ["adapter", "undeclared", "valid"]


def undeclared(value: Any, path: str = "") -> list[str]:
    """The fields of a parsed body that the official type doesn't know."""
    if isinstance(value, pydantic.BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        return found + [
            each for name in type(value).model_fields for each in undeclared(getattr(value, name), f"{path}.{name}")
        ]
    if isinstance(value, list):
        return [each for index, item in enumerate(value) for each in undeclared(item, f"{path}[{index}]")]
    return []


@functools.cache
def adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def valid(kind: Any, body: Any) -> None:
    """Valid by the official type, strictly, with no field that it doesn't declare and none that gets lost."""
    parsed = adapter(kind).validate_json(json.dumps(body), strict=True)
    assert undeclared(parsed) == []
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == body
