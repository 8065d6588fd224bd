"""Values of the user's and of models as JSON that can be written, kept and read again."""

from __future__ import annotations

from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from weaver_ai.errors import RunFailed
from weaver_ai.telemetry.logs import log_error

__all__ = ["DEEPEST", "json_of", "json_text_of", "shown", "whole_text"]

DEEPEST: Final = 190
"""How deep a value may be nested. JSON is read to 200 levels, of which a task's record and its answer need some."""


def json_of(value: object, what: str) -> JsonValue:
    """`value` as JSON.

    Bytes are base64, numbers that aren't finite null, halves of surrogate pairs U+FFFD, and what has no form of its
    own is its `str`.

    Args:
        value: anything.
        what: names the value in the error.

    Raises:
        RunFailed: it contains itself, is nested too deeply, or fails to be written.
    """
    try:
        return _made(value)
    except _NoJsonError as error:
        raise RunFailed(f"{what} can't be written as JSON: {error}", hint=error.hint) from error.__cause__
    except Exception as error:  # a serializer or a `__str__` of the user's may raise anything
        log_error(f"{what} can't be written as JSON", exception=error)
        raise RunFailed(f"{what} can't be written as JSON", hint="the cause is in the log") from error


def json_text_of(value: object, what: str) -> str:
    """As `json_of`, written compactly.

    Raises:
        RunFailed: as `json_of` does.
    """
    return to_json(json_of(value, what)).decode()


def shown(value: object) -> JsonValue:
    """As `json_of`, for what only tells of the value: one that can't be written is told by its type and the reason."""
    try:
        return _made(value)
    except _NoJsonError as error:
        return f"<{type(value).__name__}: {error}>"
    except Exception:  # noqa: BLE001 - as in `json_of`; what tells of a run mustn't end it
        return f"<{type(value).__name__}: not JSON>"


def whole_text(text: str) -> str:
    """`text` without halves of surrogate pairs, which UTF-8 can't write: those that belong together are joined."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _NoJsonError(Exception):
    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def _made(value: object) -> JsonValue:
    try:
        made = to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode="null")
    except UnicodeEncodeError:  # a key that UTF-8 can't write
        made = to_jsonable_python(_whole(value), fallback=str, bytes_mode="base64", inf_nan_mode="null")
    except ValueError as error:
        raise _sorted(error) from error
    try:
        written = to_json(made)
    except PydanticSerializationError:  # a text that UTF-8 can't write
        made = _whole(made)
        written = to_json(made)
    if written.count(b"[") + written.count(b"{") > DEEPEST and _depth(made) > DEEPEST:
        raise _NoJsonError(f"it is nested more than {DEEPEST} levels deep", "make it flatter")
    return made  # type: ignore[no-any-return]  # JSON, by what the functions do


def _sorted(error: ValueError) -> Exception:
    """Pydantic tells the two only by their words, and older ones call what is too deep circular as well."""
    words = str(error)
    if "serialization depth" in words or "depth exceeded" in words:
        return _NoJsonError(f"it is nested more than {DEEPEST} levels deep", "make it flatter")
    if "Circular reference" in words:
        return _NoJsonError("it contains itself", "let nothing in it refer back to what it is in")
    return error


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole_text(value)
        case dict():
            return {_whole(key): _whole(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_whole(inner) for inner in value]
    return value


def _depth(value: JsonValue) -> int:
    deepest, left = 0, [(value, 1)]
    while left:
        inner, depth = left.pop()
        if isinstance(inner, dict | list):
            deepest = max(deepest, depth)
            left.extend((each, depth + 1) for each in (inner.values() if isinstance(inner, dict) else inner))
    return deepest
