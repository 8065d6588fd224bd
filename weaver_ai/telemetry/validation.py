"""What was wrong with a request, on its span: where and why, never the input itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, get_args

from opentelemetry import trace
from opentelemetry.trace import Span

from weaver_ai.telemetry import names

__all__ = ["message_of", "record_validation_errors"]

_MAX_ERRORS: Final = 20
_MAX_LEAVES: Final = 1000
_SHORT: Final = 3
_WITHOUT_VALUE: Final[Mapping[str, str]] = {
    "union_tag_invalid": "Input tag found using {discriminator} does not match any of the expected tags: "
    "{expected_tags}",
    "timezone_offset": "Timezone offset of {tz_expected} required",
    "uuid_parsing": "Input should be a valid UUID",
    "iteration_error": "Error iterating over object",
    "mapping_type": "Input should be a valid mapping",
    "get_attribute_error": "Error extracting attribute",
    "datetime_object_invalid": "Invalid datetime object",
}
"""Pydantic's messages that have the value, or an exception about it, in them; here without it."""


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
        "msg": message_of(error),
    }


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, without the value: some of its own messages and many validators' have it."""
    kind = str(error.get("type", ""))
    message = str(error.get("msg", "")).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind in _WITHOUT_VALUE:
        return _WITHOUT_VALUE[kind].format_map(error.get("ctx", {}))
    if _is_written(kind) and any(
        _stands_in(message, leaf) for leaf in islice(_leaves(error.get("input")), _MAX_LEAVES)
    ):
        return "Input isn't valid"
    return message


def _is_written(kind: str) -> bool:
    """Whether a validator's author wrote the message. Pydantic's own have limits, which a value may well equal."""
    from pydantic_core.core_schema import ErrorType  # noqa: PLC0415 # only a request that doesn't fit pays for it

    return kind in {"value_error", "assertion_error"} or kind not in get_args(ErrorType)


def _leaves(value: object) -> Iterator[str]:
    """Every text and number in a value, as texts."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield str(value)


def _stands_in(message: str, text: str) -> bool:
    """Whether it is there to be read: a short one, such as `a`, only where it is quoted or a number."""
    if len(text) >= _SHORT:
        return text in message
    return repr(text) in message or (text.isdigit() and re.search(rf"\b{text}\b", message) is not None)
