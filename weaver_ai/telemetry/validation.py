"""What was wrong with a request, on its span: where and why, never the input itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span

from weaver_ai.telemetry import names

__all__ = ["record_validation_errors"]

_MAX_ERRORS: Final = 20


def record_validation_errors(errors: Sequence[Any], span: Span | None = None) -> None:
    """Set the number of `errors` (pydantic's) on `span`, and location, type and message of the first 20.

    Args:
        errors: mappings with `loc`, `type` and `msg`; their `input` and `ctx` are left out.
        span: the current one if it isn't given.
    """
    target = span or trace.get_current_span()
    if not target.is_recording():
        return
    told = [_told(error) for error in errors[:_MAX_ERRORS] if isinstance(error, Mapping)]
    target.set_attribute(names.VALIDATION_ERROR_COUNT, len(errors))
    target.set_attribute(names.VALIDATION_ERRORS, json.dumps(told, ensure_ascii=False, separators=(",", ":")))


def _told(error: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loc": [part if isinstance(part, int) else str(part) for part in error.get("loc", ())],
        "type": str(error.get("type", "")),
        "msg": str(error.get("msg", "")),
    }
