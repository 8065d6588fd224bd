import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import uvicorn
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value

from tests.unit.telemetry.conftest import Captured
from weaver_ai.telemetry import bind_log_context, log_error, log_info, log_warning, start_span
from weaver_ai.telemetry.log_bridge import BridgeHandler, install_bridge, remove_bridge

KEY = "sk-" + "proj-" + "a1b2c3d4" * 4


def fail(error: Exception) -> NoReturn:
    raise error


def test_a_record_with_everything(captured: Captured) -> None:
    with start_span("work") as span, bind_log_context(request_id="r", agent="a", **{"own.id": 7}):
        log_info("hello", n=1, nested={"a": 1}, nothing=None)
    log = captured.log
    assert (log.body, log.severity_text, log.severity_number) == ("hello", "INFO", SeverityNumber.INFO)
    assert dict(log.attributes) == {
        "weaver.request.id": "r",
        "weaver.agent.name": "a",
        "own.id": 7,
        "n": 1,
        "nested": '{"a":1}',
    }
    assert (log.trace_id, log.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)


def test_bound_ids_nest_and_end(captured: Captured) -> None:
    with bind_log_context(request_id="r"):
        with bind_log_context(task_id="t", request_id="inner"):
            log_info("1")
        log_info("2")
    log_info("3")
    assert [dict(log.attributes) for log in captured.logs] == [
        {"weaver.request.id": "inner", "weaver.task.id": "t"},
        {"weaver.request.id": "r"},
        {},
    ]


def test_tasks_inherit_ids_and_do_not_mix_them(captured: Captured) -> None:
    async def work(name: str) -> None:
        with bind_log_context(task_id=name):
            await asyncio.sleep(0)
            log_info(name)

    async def run() -> None:
        with bind_log_context(request_id="r"):
            await asyncio.gather(work("a"), work("b"))

    asyncio.run(run())
    assert [dict(log.attributes) for log in captured.logs] == [
        {"weaver.request.id": "r", "weaver.task.id": "a"},
        {"weaver.request.id": "r", "weaver.task.id": "b"},
    ]


def test_severities(captured: Captured) -> None:
    log_warning("w")
    log_error("e")
    assert [(log.severity_text, log.severity_number.value) for log in captured.logs] == [("WARN", 13), ("ERROR", 17)]


@pytest.mark.parametrize("log", [log_info, log_warning, log_error])
@pytest.mark.parametrize("way", ["exception", "exc_info", "exc_info=True", "exc_info=sys.exc_info()"])
def test_every_way_to_give_an_exception(captured: Captured, way: str, log: Callable[..., None]) -> None:
    try:
        fail(ValueError("bad " + KEY))
    except ValueError as error:
        if way == "exception":
            log("failed", exception=error)
        elif way == "exc_info":
            log("failed", exc_info=error)
        else:
            log("failed", exc_info=True if way.endswith("True") else sys.exc_info())
    attributes = dict(captured.log.attributes)
    assert attributes["exception.type"] == attributes["error.type"] == "ValueError"
    assert attributes["exception.message"] == "bad [redacted]"
    assert str(attributes["exception.stacktrace"]).endswith("ValueError: bad [redacted]\n")
    assert "exc_info" not in attributes


def test_what_is_no_exception_is_an_attribute(captured: Captured) -> None:
    given: Any = "timeout"
    log_warning("failed", exception=given)
    assert dict(captured.log.attributes) == {"exception": "timeout"}


def test_without_an_exception_there_is_none(captured: Captured) -> None:
    log_error("failed", exc_info=True)
    assert dict(captured.log.attributes) == {}


def test_without_telemetry_warnings_go_to_logging_redacted(restored: None, caplog: pytest.LogCaptureFixture) -> None:
    from weaver_ai.telemetry import runtime
    from weaver_ai.telemetry.off_backend import OffTelemetry

    runtime.make_current(OffTelemetry())
    log_info("not seen")
    log_warning("careful with " + KEY, n=1)
    log_error("failed", exception=ValueError(KEY))
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("weaver_ai", "WARNING", "careful with [redacted]"),
        ("weaver_ai", "ERROR", "failed\nValueError: [redacted]"),
    ]


@pytest.fixture
def bridged(captured: Captured) -> Iterator[Captured]:
    install_bridge(captured.telemetry)
    yield captured
    remove_bridge()


def test_logging_is_bridged_with_its_extras(bridged: Captured) -> None:
    with start_span("work") as span, bind_log_context(request_id="r"):
        logging.getLogger("lib.part").error("got %s", KEY, extra={"code": 5, "password": "x"})
    log = bridged.log
    assert (log.body, log.severity_text) == ("got [redacted]", "ERROR")
    assert log.span_id == span.get_span_context().span_id
    attributes = dict(log.attributes)
    assert attributes.pop("code.file.path") == __file__
    assert isinstance(attributes.pop("code.line.number"), int)
    assert attributes == {
        "weaver.request.id": "r",
        "code": 5,
        "password": "[redacted]",
        "code.function.name": "test_logging_is_bridged_with_its_extras",
    }
    scope = bridged.log_exporter.get_finished_logs()[0].instrumentation_scope
    assert scope is not None
    assert scope.name == "lib.part"


def test_a_logged_exception_is_recorded_by_the_conventions(bridged: Captured) -> None:
    try:
        fail(KeyError("k"))
    except KeyError:
        logging.getLogger("lib").exception("failed")
    attributes = dict(bridged.log.attributes)
    assert (attributes["exception.type"], attributes["exception.message"]) == ("KeyError", "'k'")


@pytest.mark.parametrize(
    ("level", "text"),
    [(logging.CRITICAL, "FATAL"), (logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (35, "WARN")],
)
def test_levels(bridged: Captured, level: int, text: str) -> None:
    logging.getLogger("lib").log(level, "x")
    assert bridged.log.severity_text == text


def test_installing_twice_leaves_one_handler(bridged: Captured) -> None:
    install_bridge(bridged.telemetry)
    logging.getLogger("lib").warning("once")
    assert len(bridged.logs) == 1
    assert sum(isinstance(handler, BridgeHandler) for handler in logging.getLogger().handlers) == 1


def test_what_an_exporter_says_is_not_exported(bridged: Captured) -> None:
    logging.getLogger("opentelemetry.exporter").error("connection refused")
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        logging.getLogger("urllib3").warning("retrying")
        logging.getLogger("weaver_ai.telemetry").warning("export of traces fails")
    finally:
        detach(token)
    assert [log.body for log in bridged.logs] == ["export of traces fails"]


def test_a_record_that_cannot_be_formatted_breaks_nothing(
    bridged: Captured, capsys: pytest.CaptureFixture[str]
) -> None:
    record = logging.makeLogRecord({"name": "lib", "msg": "%d", "args": ("no number",)})
    BridgeHandler(bridged.telemetry).handle(record)
    assert bridged.logs == []
    assert "--- Logging error ---" in capsys.readouterr().err


@pytest.fixture
def uvicorn_loggers() -> Iterator[None]:
    """Whatever a test does to uvicorn's loggers is undone."""
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_what_uvicorn_prints_with_handlers_of_its_own_is_redacted_and_bridged(
    uvicorn_loggers: None, captured: Captured, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn.Config("no:app")  # as `python -m uvicorn` does it, before it imports the application
    install_bridge(captured.telemetry)
    try:
        fail(ValueError("bad " + KEY))
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed with %s", KEY)
    logging.getLogger("uvicorn.error").info("well, %d", 1, extra={"color_message": "well, %d"})
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/x?api_key=abc", "1.1", 200)
    access.info("of another shape")
    remove_bridge()
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/x?api_key=abc", "1.1", 200)
    printed = capsys.readouterr()
    assert printed.err.startswith("ERROR:    failed with [redacted]\nTraceback (most recent call last):\n")
    assert "ValueError: bad [redacted]\nINFO:     well, 1\n--- Logging error ---" in printed.err
    assert printed.out.splitlines() == [
        'INFO:     127.0.0.1:1 - "GET /x?api_key=[redacted] HTTP/1.1" 200 OK',
        'INFO:     127.0.0.1:1 - "GET /x?api_key=abc HTTP/1.1" 200 OK',
    ]
    assert [log.body for log in captured.logs] == [
        "failed with [redacted]",
        "well, 1",
        '127.0.0.1:1 - "GET /x?api_key=[redacted] HTTP/1.1" 200',
        "of another shape",
    ]
    assert captured.logs[0].attributes["exception.type"] == "ValueError"
