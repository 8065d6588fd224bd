"""An input is looked at where it is sent, so that what can't be taken is refused before it is accepted."""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue, ValidationError

from weaver_ai.agents import Entry, RegisteredAgent, RunOptions
from weaver_ai.agents.options import prompt_of
from weaver_ai.errors import InvalidInput

__all__ = ["check_input"]

_PLACE = ("body", "input")


def check_input(entry: Entry, value: JsonValue) -> None:
    """Do nothing if a run of `entry` would take `value`.

    Raises:
        RequestValidationError: it wouldn't; with the place in the body of each part that doesn't fit.
    """
    try:
        if isinstance(entry, RegisteredAgent):
            prompt_of(entry, value, RunOptions())
        else:
            entry.validate(value)
    except InvalidInput as error:
        raise RequestValidationError(_found(error)) from error


def _found(error: InvalidInput) -> list[dict[str, Any]]:
    if isinstance(error.__cause__, ValidationError):
        return [{**each, "loc": (*_PLACE, *each["loc"])} for each in error.__cause__.errors(include_url=False)]
    return [{"type": "value_error", "loc": _PLACE, "msg": error.message}]
