"""Tasks over HTTP: accepted, followed, resumed, cancelled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.gateway.conftest import Desk, Serve, Served, wait_until


def _events(text: str) -> list[dict[str, Any]]:
    """The events of a stream: name, id and data; comments are left out."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append({"name": fields["event"], "id": fields["id"], "data": json.loads(fields["data"])})
    return found


def _submit(gateway: Served, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = gateway.client.post("/v1/tasks", json=body, headers=headers)
    assert response.status_code == 202, response.text
    task: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/v1/tasks/{task['task_id']}"
    return task


def test_a_task_from_its_acceptance_to_its_result(gateway: Served) -> None:
    accepted = _submit(gateway, {"capability": "sum", "input": [1, 2], "priority": "high", "metadata": {"who": "me"}})
    path = f"/v1/tasks/{accepted['task_id']}"
    assert (accepted["capability"], accepted["input"], accepted["priority"], accepted["metadata"]) == (
        "sum",
        [1, 2],
        "high",
        {"who": "me"},
    )
    events = _events(gateway.client.get(f"{path}/events").text)
    assert [event["name"] for event in events] == ["task.queued", "task.started", "run.started", "task.succeeded"]
    assert [event["id"] for event in events] == ["1", "2", "3", "4"]
    assert [event["data"]["type"] for event in events] == [event["name"] for event in events]
    task = gateway.client.get(path).json()
    assert (task["state"], task["result"]["output"], task["error"], task["attempts"]) == ("succeeded", 3, None, 1)
    assert task["usage"]["total_tokens"] == 0
    assert len(task["trace_id"]) == 32
    assert task["created_at"] <= task["started_at"] <= task["finished_at"]


def test_a_stream_is_resumed_after_the_last_event_that_was_read(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1]})
    path = f"/v1/tasks/{task['task_id']}/events"
    whole = _events(gateway.client.get(path).text)
    rest = _events(gateway.client.get(path, headers={"last-event-id": "2"}).text)
    assert rest == whole[2:]


def test_a_reader_who_has_read_all_is_told_to_stop(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1]})
    path = f"/v1/tasks/{task['task_id']}/events"
    last = _events(gateway.client.get(path).text)[-1]["id"]
    again = gateway.client.get(path, headers={"last-event-id": last})
    assert (again.status_code, again.content) == (204, b"")


@pytest.mark.parametrize("wrong", ["abc", "-1", "5", "999", "9" * 40])
def test_an_id_of_no_event(gateway: Served, wrong: str) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1]})
    path = f"/v1/tasks/{task['task_id']}/events"
    assert [event["id"] for event in _events(gateway.client.get(path).text)] == ["1", "2", "3", "4"]
    response = gateway.client.get(path, headers={"last-event-id": wrong})
    assert (response.status_code, response.json()["type"]) == (422, "urn:weaver:problem:invalid-input")


def test_events_arrive_while_the_task_runs(gateway: Served, desk: Desk) -> None:
    task = _submit(gateway, {"capability": "hold", "input": "hi"})
    with gateway.client.stream("GET", f"/v1/tasks/{task['task_id']}/events") as stream:
        lines = stream.iter_lines()
        for line in lines:
            if line == "event: task.started":
                break
        assert desk.begun.wait(5)
        desk.release.set()
        assert "event: task.succeeded" in list(lines)


def test_a_reader_who_was_cut_off_goes_on_where_it_was(gateway: Served, desk: Desk) -> None:
    task = _submit(gateway, {"capability": "hold", "input": "hi"})
    path = f"/v1/tasks/{task['task_id']}/events"
    with gateway.client.stream("GET", path) as stream:
        lines = stream.iter_lines()
        read = [next(lines) for _ in range(8)]  # two events of three lines and a blank one
    assert desk.begun.wait(5)
    (last,) = {line.removeprefix("id: ") for line in read[4:] if line.startswith("id: ")}
    with gateway.client.stream("GET", path, headers={"last-event-id": last}) as stream:
        desk.release.set()
        rest = _events("\n".join(stream.iter_lines()))
    assert (rest[0]["name"], rest[-1]["name"]) == ("run.started", "task.succeeded")
    whole = _events(gateway.client.get(path).text)
    assert _events("\n".join(read)) + rest == whole


def test_a_running_task_is_cancelled(gateway: Served, desk: Desk) -> None:
    task = _submit(gateway, {"capability": "hold", "input": "hi"})
    path = f"/v1/tasks/{task['task_id']}"
    assert desk.begun.wait(5)
    cancelled = gateway.client.delete(path).json()
    assert (cancelled["state"], cancelled["error"]["code"]) == ("cancelled", "run-cancelled")
    assert desk.cancelled.is_set()
    assert _events(gateway.client.get(f"{path}/events").text)[-1]["name"] == "task.cancelled"


def test_a_waiting_task_is_cancelled(serve: Serve, desk: Desk) -> None:
    gateway = serve(task_concurrency=1)
    _submit(gateway, {"capability": "hold", "input": "runs"})
    assert desk.begun.wait(5)
    task = _submit(gateway, {"capability": "sum", "input": [1]})
    assert task["state"] == "queued"
    cancelled = gateway.client.delete(f"/v1/tasks/{task['task_id']}").json()
    assert (cancelled["state"], cancelled["attempts"], cancelled["started_at"]) == ("cancelled", 0, None)
    assert not desk.cancelled.is_set()


def test_a_finished_task_stays_as_it_is(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1]})
    path = f"/v1/tasks/{task['task_id']}"
    wait_until(lambda: gateway.client.get(path).json()["state"] == "succeeded")
    assert gateway.client.delete(path).json() == gateway.client.get(path).json()


def test_a_task_that_fails_says_why_and_nothing_internal(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "fail", "input": "hi"})
    path = f"/v1/tasks/{task['task_id']}"
    wait_until(lambda: gateway.client.get(path).json()["state"] == "failed")
    failed = gateway.client.get(path)
    assert failed.json()["error"]["code"] == "run-failed"
    assert failed.json()["result"] is None
    assert "hunter2" not in failed.text


def test_the_same_key_gives_the_same_task(gateway: Served) -> None:
    body = {"capability": "sum", "input": [1]}
    first = _submit(gateway, body, **{"idempotency-key": "k-1"})
    second = _submit(gateway, body, **{"idempotency-key": "k-1"})
    other = _submit(gateway, body, **{"idempotency-key": "k-2"})
    assert first["task_id"] == second["task_id"] != other["task_id"]


def test_the_same_key_with_another_body_is_a_conflict(gateway: Served) -> None:
    _submit(gateway, {"capability": "sum", "input": [1]}, **{"idempotency-key": "k-1"})
    response = gateway.client.post(
        "/v1/tasks", json={"capability": "sum", "input": [2]}, headers={"idempotency-key": "k-1"}
    )
    assert (response.status_code, response.json()["type"]) == (409, "urn:weaver:problem:idempotency-conflict")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("key", ["", "with space", "x" * 256])
def test_a_key_that_is_none(gateway: Served, key: str) -> None:
    response = gateway.client.post(
        "/v1/tasks", json={"capability": "sum", "input": [1]}, headers={"idempotency-key": key}
    )
    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, "header.idempotency-key")


def test_a_full_queue_says_when_to_come_again(serve: Serve, desk: Desk) -> None:
    gateway = serve(task_concurrency=1, task_queue_size=1)
    _submit(gateway, {"capability": "hold", "input": "runs"})
    assert desk.begun.wait(5)
    _submit(gateway, {"capability": "hold", "input": "waits"})
    refused = gateway.client.post("/v1/tasks", json={"capability": "hold", "input": "too many"})
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:weaver:problem:queue-full")
    assert int(refused.headers["retry-after"]) >= 1
