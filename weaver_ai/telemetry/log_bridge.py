"""The standard library's log records, as structured records with the ids of trace, request and task."""

from __future__ import annotations

import logging
from typing import Final

from opentelemetry import context as context_api
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, create_key

from weaver_ai.telemetry.api import Telemetry
from weaver_ai.telemetry.attributes import attributes_of
from weaver_ai.telemetry.exceptions import error_type, exception_attributes
from weaver_ai.telemetry.logs import log_context
from weaver_ai.telemetry.runtime import SCOPE

__all__ = ["BridgeHandler", "install_bridge", "remove_bridge"]

_SUPPRESSED: Final = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")  # the SDK's, the instrumentations'
_QUIET: Final = ("opentelemetry.", "logfire")  # what they say of an export would be exported again
_ACCESS: Final = "uvicorn.access"
_OWN_HANDLERS: Final = ("uvicorn", _ACCESS)  # uvicorn gives these handlers and no way up
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_ABOUT_EXPORT: Final = "weaver_ai.telemetry"
_BUSY: Final = create_key("weaver-log-bridge")


class BridgeHandler(logging.Handler):
    """Hands each record to OpenTelemetry; records about telemetry's own export stay in the process."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(logging.NOTSET)
        self._provider = telemetry.logger_provider
        self._redactor = telemetry.redactor if telemetry.host_owned else None

    def emit(self, record: logging.LogRecord) -> None:
        current = context_api.get_current()
        if record.name.startswith(_QUIET) or current.get(_BUSY):
            return
        if any(current.get(key) for key in _SUPPRESSED):
            if not record.name.startswith(_ABOUT_EXPORT):
                return
            current = context_api.Context()  # said once per outage, in the exporter's suppressed thread
        token = context_api.attach(context_api.set_value(_BUSY, True, current))
        try:
            self._provider.get_logger(record.name).emit(self._redacted(_translated(record, current)))
        except Exception:  # noqa: BLE001 - a log call must not fail because its record can't be translated
            self.handleError(record)
        finally:
            context_api.detach(token)

    def _redacted(self, record: LogRecord) -> LogRecord:
        if self._redactor is not None:  # the application's processors see a record before weaver's do
            record.body = self._redactor.value("", record.body)
            record.attributes = self._redactor.attributes(record.attributes) or record.attributes
        return record


def _translated(record: logging.LogRecord, current: context_api.Context) -> LogRecord:
    from weaver_ai.telemetry.console import NO_CONSOLE  # noqa: PLC0415 - the SDK, when telemetry is on

    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    attributes = {**log_context(), **attributes_of(extra)}
    attributes["code.file.path"] = record.pathname
    attributes["code.function.name"] = record.funcName
    attributes["code.line.number"] = record.lineno
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        attributes.update(exception_attributes(error), **{"error.type": error_type(error)})
    shown = context_api.set_value(NO_CONSOLE, True, current) if _has_another_handler(record.name) else current
    severity, text = _severity(record.levelno)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        context=shown,
        severity_number=severity,
        severity_text=text,
        body=record.getMessage(),
        attributes=attributes,
    )


def _severity(level: int) -> tuple[SeverityNumber, str]:
    for at_least, number, text in (
        (logging.CRITICAL, SeverityNumber.FATAL, "FATAL"),
        (logging.ERROR, SeverityNumber.ERROR, "ERROR"),
        (logging.WARNING, SeverityNumber.WARN, "WARN"),
        (logging.INFO, SeverityNumber.INFO, "INFO"),
        (logging.DEBUG, SeverityNumber.DEBUG, "DEBUG"),
    ):
        if level >= at_least:
            return number, text
    return SeverityNumber.TRACE, "TRACE"


def _has_another_handler(name: str) -> bool:
    """Whether a record of the logger `name` reaches the terminal without weaver's console."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                return True
        logger = logger.parent if logger.propagate else None
    return False


class RedactingFilter(logging.Filter):
    """Takes secrets out of what a handler prints itself, in the record, for the handlers after it too."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        self._redactor = telemetry.redactor

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            self._redact(record)
        except Exception:  # noqa: BLE001 - a record that can't be read is the handler's to complain of
            return True
        return True

    def _redact(self, record: logging.LogRecord) -> None:
        text = self._redactor.text
        if record.name == _ACCESS:  # its formatter wants the arguments one by one
            arguments = record.args if isinstance(record.args, tuple) else ()
            record.args = tuple(text(one) if isinstance(one, str) else one for one in arguments)
        elif (redacted := text(record.getMessage())) != record.getMessage():
            record.msg, record.args = redacted, ()
            vars(record).pop("color_message", None)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = text(str(exception_attributes(record.exc_info[1])["exception.stacktrace"])).rstrip()


def install_bridge(telemetry: Telemetry) -> None:
    """Attach one handler to the root logger (and to uvicorn's closed ones), instead of an earlier one.

    What uvicorn's own handlers print is redacted from then on.
    """
    remove_bridge()
    if not telemetry.enabled:
        return
    handler = BridgeHandler(telemetry)
    logging.getLogger().addHandler(handler)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        if logger.handlers and not logger.propagate:
            for printing in logger.handlers:
                printing.addFilter(RedactingFilter(telemetry))
            logger.addHandler(handler)


def remove_bridge() -> None:
    for logger in (logging.getLogger(), *(logging.getLogger(name) for name in (*_OWN_HANDLERS, SCOPE))):
        for handler in tuple(logger.handlers):
            for redacting in [one for one in handler.filters if isinstance(one, RedactingFilter)]:
                handler.removeFilter(redacting)
            if isinstance(handler, BridgeHandler):
                logger.removeHandler(handler)
