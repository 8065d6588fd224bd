import io
import re
from types import SimpleNamespace
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, set_span_in_context

from weaver_ai.telemetry.console import ConsoleLogs, ConsoleSpans, log_lines
from weaver_ai.telemetry.terminal import Console

SECOND = 1_000_000_000


class Screen(io.StringIO):
    """What a console writes to, with that console."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self.console = Console(self, colour=colour)


def tracer(stream: Screen, *, minimal: bool = False, **options: Any) -> Any:
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(ConsoleSpans(stream.console, minimal=minimal))
    return provider.get_tracer("test")


def written(stream: Screen) -> list[str]:
    assert stream.console.flush(30.0)
    return re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3}", "<clock>", stream.getvalue()).splitlines()


def test_a_trace_is_a_tree_in_the_order_of_starts() -> None:
    stream = Screen()
    tracer_ = tracer(stream)
    root = tracer_.start_span("POST /v1/run", start_time=0, attributes={"http.response.status_code": 200})
    below = set_span_in_context(root)
    second = tracer_.start_span("task triage", below, start_time=2 * SECOND, attributes={"weaver.task.id": "t1"})
    first = tracer_.start_span("invoke_agent a", below, start_time=SECOND)
    usage = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 0, "operation.cost": 0.00012}
    chat = tracer_.start_span("chat m", set_span_in_context(first), start_time=SECOND, attributes=usage)
    chat.end(SECOND + 1_500_000)
    second.set_status(StatusCode.ERROR, "TimeoutError: too\nlate")
    second.end(3 * SECOND)
    first.end(2 * SECOND)
    assert written(stream) == []
    root.end(4 * SECOND)
    assert written(stream) == [
        "<clock> POST /v1/run  4.00 s  200",
        "             ├─ invoke_agent a  1.00 s",
        "             │  └─ chat m  1.5 ms  in=5  out=0  $0.000120",
        "             └─ task triage  1.00 s  task=t1  TimeoutError: too late",
    ]


def test_what_an_answer_cost_that_broke_off_is_a_part() -> None:
    stream = Screen()
    usage = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1, "operation.cost": 0.00012}
    chat = tracer(stream).start_span("chat m", start_time=0, attributes={**usage, "error.type": "provider-unreachable"})
    chat.set_status(StatusCode.ERROR)
    chat.end(SECOND)
    assert written(stream) == ["<clock> chat m  1.00 s  in=5  out=1+  $0.000120+  provider-unreachable"]


def test_what_ends_after_its_root_comes_by_itself() -> None:
    stream = Screen()
    tracer_ = tracer(stream)
    root = tracer_.start_span("root", start_time=0)
    late = tracer_.start_span("late", set_span_in_context(root), start_time=0)
    root.end(SECOND)
    late.end(2 * SECOND)
    assert written(stream) == ["<clock> root  1.00 s", "<clock> late  2.00 s"]


def test_what_begins_below_one_that_outlived_its_root_is_written_with_it() -> None:
    stream = Screen()
    console = ConsoleSpans(stream.console)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(console)
    tracer_ = provider.get_tracer("test")
    for _ in range(3):
        root = tracer_.start_span("request", start_time=0)
        task = tracer_.start_span("task", set_span_in_context(root), start_time=0)
        early = tracer_.start_span("early", set_span_in_context(task), start_time=0)
        root.end(SECOND)
        early.end(SECOND)
        step = tracer_.start_span("step", set_span_in_context(task), start_time=SECOND)
        tracer_.start_span("deep", set_span_in_context(step), start_time=SECOND).end(2 * SECOND)
        step.end(2 * SECOND)
        task.end(3 * SECOND)
    assert written(stream) == 3 * [
        "<clock> request  1.00 s",
        "<clock> early  1.00 s",
        "<clock> task  3.00 s",
        "             └─ step  1.00 s",
        "                └─ deep  1.00 s",
    ]
    assert (console._ended, console._first) == ({}, {})


def test_colours() -> None:
    stream = Screen(colour=True)
    span = tracer(stream).start_span("x", start_time=0)
    span.set_status(StatusCode.ERROR)
    span.end(SECOND)
    (whole,) = written(stream)
    assert whole.partition("\x1b[0m ")[2] == "\x1b[31mx\x1b[0m  \x1b[36m1.00 s\x1b[0m  \x1b[31merror\x1b[0m"


def test_minimal_shows_failed_spans_only_with_their_trace() -> None:
    stream = Screen()
    tracer_ = tracer(stream, minimal=True)
    tracer_.start_span("fine").end()
    span = tracer_.start_span("broken", start_time=0)
    span.set_attribute("error.type", "provider-timeout")
    span.set_status(StatusCode.ERROR)
    span.end(SECOND)
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert written(stream) == [f"<clock> ERROR broken  1.00 s  provider-timeout  trace={trace_id}"]


def test_unsampled_spans_leave_nothing_behind() -> None:
    stream = Screen()
    tracer(stream, sampler=ALWAYS_OFF).start_span("x").end()
    assert written(stream) == []


def test_a_long_trace_is_bounded() -> None:
    stream = Screen()
    tracer_ = tracer(stream)
    root = tracer_.start_span("root")
    for number in range(1000):
        tracer_.start_span(f"n{number}", set_span_in_context(root)).end()
    root.end()
    assert len(written(stream)) == 401


def test_names_cannot_drive_the_terminal() -> None:
    stream = Screen()
    tracer(stream).start_span("evil\x1b[2J\rname" + "x" * 500, start_time=0).end(SECOND)
    assert written(stream) == [f"<clock> evil [2J name{'x' * 106}…  1.00 s"]


def test_a_stream_that_is_gone_costs_nothing() -> None:
    stream = Screen()
    tracer_ = tracer(stream)
    stream.close()
    tracer_.start_span("x").end()


def record(**given: Any) -> Any:
    defaults = {"severity_text": "INFO", "body": "hello", "attributes": {}, "trace_id": 0, "timestamp": SECOND}
    return SimpleNamespace(**{**defaults, "observed_timestamp": 0, **given})


def test_a_record_is_a_line() -> None:
    (line,) = log_lines(record(attributes={"n": 1, "code.line.number": 3}, trace_id=255), 9)
    assert line[12:] == f" INFO hello  n=1 trace={255:032x}"


def test_a_record_without_anything_else() -> None:
    (line,) = log_lines(record(body=""), 9)
    assert line[12:] == " INFO "


def test_a_message_of_several_lines_stays_readable_and_cannot_pass_for_another_record() -> None:
    first, *below = log_lines(record(body="a\r\nERROR b\x1b[2J\n"), 9)
    assert (first[12:], below) == (" INFO a", ["    ERROR b [2J"])


def test_a_stack_trace_stands_below() -> None:
    lines = list(log_lines(record(attributes={"exception.stacktrace": "Traceback\n  File x\nValueError: \x1by\n"}), 17))
    assert lines[1:] == ["    Traceback", "      File x", "    ValueError:  y"]


def test_levels_have_colours() -> None:
    assert "\x1b[31mINFO\x1b[0m" in next(iter(log_lines(record(), 17, colour=True)))
    assert "\x1b[33mINFO\x1b[0m" in next(iter(log_lines(record(), 13, colour=True)))


def test_minimal_logs_begin_with_warnings() -> None:
    stream = Screen()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(ConsoleLogs(stream.console, minimal=True))
    logger = provider.get_logger("x")
    for number, text in ((SeverityNumber.INFO, "INFO"), (SeverityNumber.WARN, "WARN"), (SeverityNumber.ERROR, "ERROR")):
        logger.emit(severity_number=number, severity_text=text, body=text.lower(), timestamp=SECOND)
    assert written(stream) == ["<clock> WARN warn", "<clock> ERROR error"]
