"""Logs inside a request carry its ids, on the console and at the OTLP receiver."""

from __future__ import annotations

import socket
import time

from tests.fixtures.otlp_receiver import Log, OtlpReceiver
from tests.fixtures.traced import Caller
from tests.integration.service.test_tasks import finished

pytest_plugins = ["tests.fixtures.providers"]


def logs_of(receiver: OtlpReceiver, trace_id: str, timeout: float = 5.0) -> list[Log]:
    """The log records of a trace, once there is one."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = [log for log in receiver.logs if log.trace_id == trace_id]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no log of the trace {trace_id}")


def test_a_log_knows_its_request_and_its_trace(desk: Caller) -> None:
    response, trace = desk.post("/v1/workflows/broken/run", {"input": "hi"}, headers={"x-request-id": "order-7"})
    assert response.status_code == 500
    spans = {span.span_id for span in trace.spans}
    logs = logs_of(desk.receiver, trace.trace_id)
    failure = next(log for log in logs if log.severity == "ERROR")
    assert failure.attributes["weaver.request.id"] == "order-7"
    assert failure.attributes["weaver.workflow.name"] == "broken"
    assert failure.attributes["exception.type"] == "RuntimeError"
    assert "Traceback" in failure.attributes["exception.stacktrace"]
    assert failure.span_id in spans
    console = desk.gateway.wait_for_line("ERROR the workflow failed")
    assert "order-7" in console
    assert trace.trace_id in "".join(desk.gateway.lines_with("the workflow failed"))


def test_a_tasks_log_knows_the_task(desk: Caller) -> None:
    response, trace = desk.post("/v1/tasks", {"capability": "broken", "input": "hi"})
    task_id = response.json()["task_id"]
    finished(desk, response.headers["location"])
    failure = next(log for log in logs_of(desk.receiver, trace.trace_id) if log.severity == "ERROR")
    assert failure.attributes["weaver.task.id"] == task_id
    assert "weaver.request.id" not in failure.attributes


def test_two_requests_at_once_do_not_share_ids(desk: Caller) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(
                desk.post, "/v1/workflows/broken/run", {"input": "hi"}, headers={"x-request-id": f"parallel-{number}"}
            )
            for number in range(16)
        ]
    for number, call in enumerate(calls):
        response, trace = call.result()
        assert response.headers["x-request-id"] == f"parallel-{number}"
        logs = logs_of(desk.receiver, trace.trace_id)
        assert {log.attributes["weaver.request.id"] for log in logs} == {f"parallel-{number}"}


def test_what_the_server_itself_says_is_on_the_console_once_and_is_exported(keyless: Caller) -> None:
    said = "Invalid HTTP request received."
    with socket.create_connection(("127.0.0.1", keyless.gateway.port), timeout=10) as connection:
        connection.sendall(b"no request\r\n\r\n")
        while connection.recv(1024):
            pass
    keyless.gateway.wait_for_line(f"WARN {said}")
    deadline = time.monotonic() + 30
    while not (found := [log for log in keyless.receiver.logs if log.body == said]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [log.severity for log in found] == ["WARN"]
    assert len(keyless.gateway.lines_with(said)) == 1
