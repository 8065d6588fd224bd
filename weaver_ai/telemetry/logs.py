"""`log_info`, `log_warning`, `log_error`, and the ids that every log record inside a block carries."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import time_ns
from types import MappingProxyType
from typing import Final

from opentelemetry._logs import SeverityNumber

from weaver_ai.telemetry import names
from weaver_ai.telemetry.attributes import Attribute, attributes_of
from weaver_ai.telemetry.exceptions import error_type, exception_attributes
from weaver_ai.telemetry.runtime import SCOPE, active

__all__ = ["bind_log_context", "log_context", "log_error", "log_info", "log_warning"]

_NOTHING: Mapping[str, Attribute] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Attribute]] = ContextVar("weaver_log_context", default=_NOTHING)

_SHORT: Final = MappingProxyType(
    {
        "request_id": names.REQUEST_ID,
        "task_id": names.TASK_ID,
        "run_id": names.RUN_ID,
        "agent": names.AGENT_NAME,
        "workflow": names.WORKFLOW_NAME,
    }
)
_STDLIB_LEVEL: Final = MappingProxyType({"INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR})


@contextmanager
def bind_log_context(**ids: object) -> Iterator[None]:
    """Let every log record inside the block carry `ids`, the standard library's records too.

    `request_id`, `task_id`, `run_id`, `agent` and `workflow` become the `weaver.*` attributes of that
    name. Blocks nest; tasks started inside inherit the ids, threads don't. The trace's ids need no
    binding: they come from the current span.
    """
    named = attributes_of({_SHORT.get(key, key): value for key, value in ids.items()})
    token = _bound.set(MappingProxyType({**_bound.get(), **named}))
    try:
        yield
    finally:
        _bound.reset(token)


def log_context() -> Mapping[str, Attribute]:
    """The ids bound at this place."""
    return _bound.get()


def log_info(message: str, /, **attributes: object) -> None:
    """Log `message` with its attributes, the bound ids and the current span's; never raises.

    Args:
        message: constant text; what varies goes into attributes.
        **attributes: as of `start_span`; `exception` and `exc_info` are what they are for `log_error`.
    """
    _log("INFO", SeverityNumber.INFO, message, attributes, _error_among(attributes))


def log_warning(message: str, /, **attributes: object) -> None:
    """Log `message` as a warning. See `log_info`."""
    _log("WARN", SeverityNumber.WARN, message, attributes, _error_among(attributes))


def log_error(
    message: str,
    /,
    *,
    exception: BaseException | None = None,
    exc_info: bool | BaseException | None = None,
    **attributes: object,
) -> None:
    """Log `message` as an error. See `log_info`.

    Args:
        message: constant text; what varies goes into attributes.
        exception: recorded with its type, message and stack trace.
        exc_info: as in `logging`: True takes the exception that is being handled.
        **attributes: as of `start_span`.
    """
    _log("ERROR", SeverityNumber.ERROR, message, attributes, _error_of(exception, exc_info))


def _error_among(attributes: dict[str, object]) -> object:
    return _error_of(attributes.pop("exception", None), attributes.pop("exc_info", None))


def _error_of(exception: object, exc_info: object) -> object:
    if exception is not None or not exc_info:
        return exception
    if isinstance(exc_info, tuple) and len(exc_info) > 1:
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]


def _log(
    text: str,
    severity: SeverityNumber,
    message: str,
    attributes: Mapping[str, object],
    error: object,
) -> None:
    here = active()
    # A log call never raises, nor loses what it was given.
    if error is not None and not isinstance(error, BaseException):
        attributes, error = {**attributes, "exception": error}, None
    if not here.enabled:
        # Without telemetry a warning still has to reach somebody: logging prints it to standard error.
        stack = "" if error is None else f"\n{exception_attributes(error)['exception.stacktrace']}".rstrip()
        line = here.telemetry.redactor.text(f"{message}{stack}")
        logging.getLogger(SCOPE).log(_STDLIB_LEVEL[text], "%s", line)
        return
    everything = {**_bound.get(), **attributes_of(attributes)}
    if error is not None:
        everything.update(exception_attributes(error), **{"error.type": error_type(error)})
    body = str(message)
    if here.redact_at_start:  # the application's processors see a record before weaver's do
        redactor = here.telemetry.redactor
        body, everything = redactor.text(body), redactor.attributes(everything) or everything
    here.logger.emit(
        timestamp=time_ns(),
        severity_number=severity,
        severity_text=text,
        body=body,
        attributes=everything,
    )
