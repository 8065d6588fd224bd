"""What is recorded of an exception: its type, its message and its stack trace, without provider bodies.

A provider's error answer may quote the request. Client libraries put it into the exception's text and
keep it as `body`; with the payload switch off it is taken out of both message and stack trace.
"""

from __future__ import annotations

import traceback
from asyncio import CancelledError
from collections.abc import Iterator
from typing import Final

from opentelemetry.trace import Span, Status, StatusCode

from weaver_ai.errors import WeaverError
from weaver_ai.telemetry.attributes import Attribute
from weaver_ai.telemetry.runtime import current_telemetry

__all__ = ["error_type", "exception_attributes", "exception_message", "mark_error"]

_WITHHELD: Final = "[body withheld]"
_MAX_CHAIN: Final = 20
_ERROR_TYPE: Final = "error.type"


def error_type(error: BaseException) -> str:
    """What `error.type` is for `error`, by the semantic conventions: low in cardinality, never a message."""
    if isinstance(error, WeaverError):
        return error.code
    if isinstance(error, CancelledError):
        return "cancelled"
    return _class_name(error)


def exception_message(error: BaseException) -> str:
    """The text of `error`; never raises, though `__str__` may."""
    try:
        return _without_bodies(str(error), error)
    except Exception as unreadable:  # noqa: BLE001 - an exception's own __str__ may raise anything
        return f"<unreadable {type(error).__name__}: {type(unreadable).__name__}>"


def exception_attributes(error: BaseException) -> dict[str, Attribute]:
    """`exception.*` of `error`, by the semantic conventions."""
    return {
        "exception.type": _class_name(error),
        "exception.message": exception_message(error),
        "exception.stacktrace": _stack(error),
    }


def mark_error(span: Span, error: BaseException) -> None:
    """Record `error` on `span` as what made it fail, as `start_span` does for one that leaves its block."""
    if not span.is_recording():
        return
    span.set_attribute(_ERROR_TYPE, error_type(error))
    if isinstance(error, CancelledError):
        span.set_status(Status(StatusCode.ERROR, "cancelled"))
        return
    details = exception_attributes(error)
    span.add_event("exception", details)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {details['exception.message']}"))


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _stack(error: BaseException) -> str:
    try:
        return _without_bodies("".join(traceback.format_exception(error)), error)
    except Exception as unreadable:  # noqa: BLE001 - an exception's own __str__ may raise anything
        return f"<no stack trace: {type(unreadable).__name__}>"


def _without_bodies(text: str, error: BaseException) -> str:
    if current_telemetry().capture_payloads:
        return text
    for linked in _chain(error):
        body = getattr(linked, "body", None)
        if body is None or isinstance(body, (int, float)):
            continue
        for spelled in (repr(body), str(body)):
            if len(spelled) > 2:  # noqa: PLR2004 - "" and {} say nothing
                text = text.replace(spelled, _WITHHELD)
    return text


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MAX_CHAIN:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
