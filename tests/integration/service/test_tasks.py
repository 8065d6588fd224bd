"""`/v1/tasks`: accepted at once, followed, resumed, cancelled; and the trace goes on in the background."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fixtures.traced import Caller, ancestors, children, named
from tests.integration.service import sse
from tests.integration.service.problem import assert_problem

pytest_plugins = ["tests.fixtures.providers"]

REFUND = "Please refund order 7, it arrived broken."


def finished(service: Caller, location: str, timeout: float = 10.0) -> dict[str, Any]:
    """The task once it has ended."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        task: dict[str, Any] = service.gateway.get(location).json()
        if task["state"] not in ("queued", "running"):
            return task
        time.sleep(0.02)
    raise AssertionError(f"still {task['state']} after {timeout:g} s")


def submit(service: Caller, capability: str, value: object, **headers: str) -> tuple[Any, Any]:
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return service.post("/v1/tasks", {"capability": capability, "input": value}, headers=names)


def test_a_task_is_accepted_and_ends(keyless: Caller) -> None:
    response, trace = keyless.post(
        "/v1/tasks",
        {"capability": "support", "input": REFUND, "priority": "high", "metadata": {"customer": "c-42"}},
    )
    accepted = response.json()
    assert response.status_code == 202, accepted
    assert response.headers["location"] == f"/v1/tasks/{accepted['task_id']}"
    assert accepted["state"] in ("queued", "running")
    task = finished(keyless, response.headers["location"])
    assert task["state"] == "succeeded"
    assert task["error"] is None
    assert task["attempts"] == 1
    assert task["priority"] == "high"
    assert task["metadata"] == {"customer": "c-42"}
    assert task["trace_id"] == trace.trace_id
    assert task["cost"] is None
    assert task["usage"]["total_tokens"] > 0
    assert task["created_at"] <= task["started_at"] <= task["finished_at"]
    direct = keyless.post("/v1/workflows/support/run", {"input": REFUND})[0].json()
    assert task["result"]["output"] == direct["output"]
    assert task["usage"]["total_tokens"] == direct["usage"]["total_tokens"]


def test_one_trace_goes_from_the_request_through_the_task(keyless: Caller) -> None:
    response, trace = submit(keyless, "support", REFUND)
    finished(keyless, response.headers["location"])
    spans = trace.wait_for("task support")
    task = trace.one("task support")
    producer = trace.one("submit support")
    assert (producer.kind, task.kind) == ("producer", "consumer")
    assert trace.server() in ancestors(spans, producer)
    assert task.parent_id == producer.span_id or producer.span_id in {link.span_id for link in task.links}
    assert task.attributes["weaver.task.id"] == response.json()["task_id"]
    workflow = trace.one("workflow support")
    assert task in ancestors(spans, workflow)
    assert [span.name for span in children(spans, workflow)] == ["invoke_agent classifier", "invoke_agent billing"]


def test_a_tasks_events_end_with_it_and_can_be_resumed(keyless: Caller) -> None:
    response, _ = submit(keyless, "support", REFUND)
    location = response.headers["location"]
    events = sse.read(keyless.gateway.get(f"{location}/events"))
    names = [event.name for event in events]
    assert names[0] == "task.queued"
    assert names[1] == "task.started"
    assert names[-1] == "task.succeeded"
    ids = [event.id for event in events]
    assert len(set(ids)) == len(ids)
    rest = sse.read(keyless.gateway.get(f"{location}/events", headers={"last-event-id": str(ids[1])}))
    assert rest == events[2:]
    over = keyless.gateway.get(f"{location}/events", headers={"last-event-id": str(ids[-1])})
    assert (over.status_code, over.content) == (204, b"")


def test_events_come_while_the_task_runs(desk: Caller) -> None:
    response, _ = submit(desk, "sleeping", 0.6)
    arrivals = {}
    with desk.gateway.client.stream("GET", f"{response.headers['location']}/events") as stream:
        for event in sse.events_of(stream.iter_lines()):
            arrivals[event.name] = time.monotonic()
    assert arrivals["task.succeeded"] - arrivals["task.started"] > 0.2


def test_a_task_is_cancelled_while_it_runs(desk: Caller) -> None:
    response, trace = submit(desk, "sleeping", 60)
    location = response.headers["location"]
    events = desk.gateway.client.stream("GET", f"{location}/events")
    with events as stream:
        for event in sse.events_of(stream.iter_lines()):
            if event.name == "task.started":
                cancelled = desk.gateway.client.delete(location)
                assert cancelled.status_code == 200
            last = event
    assert last.name == "task.cancelled"
    task = desk.gateway.get(location).json()
    assert (task["state"], task["error"]["code"], task["result"]) == ("cancelled", "run-cancelled", None)
    assert trace.wait_for("task ")
    span = trace.one("task sleeping")
    assert span.end is not None
    assert span.duration is not None
    assert span.duration < 10


def test_cancelling_what_has_ended_changes_nothing(keyless: Caller) -> None:
    response, _ = submit(keyless, "support", REFUND)
    before = finished(keyless, response.headers["location"])
    after = keyless.gateway.client.delete(response.headers["location"])
    assert after.json() == before


def test_an_idempotency_key_gives_the_same_task(keyless: Caller) -> None:
    first, _ = submit(keyless, "support", REFUND, idempotency_key="refund-of-order-7")
    second, _ = submit(keyless, "support", REFUND, idempotency_key="refund-of-order-7")
    third, _ = submit(keyless, "support", REFUND)
    assert first.json()["task_id"] == second.json()["task_id"] != third.json()["task_id"]
    assert first.headers["location"] == second.headers["location"]
    conflict, trace = submit(keyless, "support", "something else", idempotency_key="refund-of-order-7")
    assert_problem(conflict, 409, "idempotency-conflict")
    assert trace.server().attributes["weaver.problem.type"] == "idempotency-conflict"


def test_a_failed_task_says_why_and_not_what(desk: Caller) -> None:
    from tests.integration.service.desk import SECRET_WORD

    response, trace = submit(desk, "broken", "hi")
    task = finished(desk, response.headers["location"])
    assert (task["state"], task["error"]["code"], task["result"]) == ("failed", "run-failed", None)
    assert SECRET_WORD not in str(task)
    trace.wait_for("task broken")
    span = trace.one("task broken")
    assert (span.status.code, span.attributes["error.type"]) == ("error", "run-failed")
    recorded = [event for each in trace.spans for event in each.events if event.name == "exception"]
    assert any("RuntimeError" in str(event.attributes["exception.stacktrace"]) for event in recorded)
    assert SECRET_WORD not in str([(span.attributes, span.events, span.status) for span in trace.spans])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"capability": "suport", "input": "hi"}, 404, "capability-not-found"),
        ({"capability": "support"}, 422, "invalid-input"),
        ({"capability": "support", "input": "hi", "priority": "urgent"}, 422, "invalid-input"),
        ({"capability": "support", "input": "hi", "metadata": []}, 422, "invalid-input"),
    ],
)
def test_what_is_no_task_is_refused(keyless: Caller, body: dict[str, Any], status: int, code: str) -> None:
    response, trace = keyless.post("/v1/tasks", body)
    assert_problem(response, status, code)
    assert named(trace.spans, "submit*") == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/events")])
def test_an_unknown_task(keyless: Caller, method: str, path: str) -> None:
    response, _ = keyless(method, f"/v1/tasks/0000{path}")
    assert_problem(response, 404, "task-not-found")


def test_a_broken_last_event_id(keyless: Caller) -> None:
    response, _ = submit(keyless, "support", REFUND)
    broken, _ = keyless.get(f"{response.headers['location']}/events", headers={"last-event-id": "yesterday"})
    assert_problem(broken, 422, "invalid-input")
