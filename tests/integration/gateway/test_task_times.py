"""Tasks over HTTP: delayed, tried again, ended at their deadlines, so many at once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.gateway.conftest import Desk, Serve, Served, wait_until
from tests.integration.gateway.test_tasks import _events, _submit
from weaver_ai.agents import Retry, Run
from weaver_ai.errors import ProviderUnavailable


@pytest.fixture
def gateway(serve: Serve, desk: Desk) -> Served:
    """One that serves two workflows more: `shaky` fails the first time, `narrow` runs one at a time."""
    calls = 0

    @desk.weaver.workflow("shaky", retry=Retry(retries=2, pause_seconds=0.01, longest_pause_seconds=0.01))
    async def shaky(run: Run, what: str) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ProviderUnavailable("openai is unavailable: status 503")
        return what

    @desk.weaver.workflow("narrow", concurrency=1)
    async def narrow(run: Run, what: str) -> str:
        return (await run("hold", what)).text

    return serve()


def test_a_delayed_task_says_when_it_is_due_and_is_cancelled(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1], "delay_seconds": 60, "deadline_seconds": 90})
    path = f"/v1/tasks/{task['task_id']}"
    created = datetime.fromisoformat(task["created_at"])
    assert (task["state"], task["attempts"], task["started_at"]) == ("scheduled", 0, None)
    assert task["not_before"] == task["next_attempt_at"]
    assert datetime.fromisoformat(task["not_before"]) - created == timedelta(seconds=60)
    assert datetime.fromisoformat(task["deadline"]) - created == timedelta(seconds=90)
    cancelled = gateway.client.delete(path).json()
    assert (cancelled["state"], cancelled["next_attempt_at"]) == ("cancelled", None)
    events = _events(gateway.client.get(f"{path}/events").text)
    assert [event["name"] for event in events] == ["task.scheduled", "task.cancelled"]
    assert events[0]["data"]["delay_seconds"] == 60.0


def test_a_task_waits_for_a_date(gateway: Served) -> None:
    start = datetime.now(UTC) + timedelta(seconds=0.3)
    task = _submit(gateway, {"capability": "sum", "input": [1, 2], "not_before": start.isoformat()})
    path = f"/v1/tasks/{task['task_id']}"
    events = _events(gateway.client.get(f"{path}/events").text)
    done = gateway.client.get(path).json()
    assert [event["name"] for event in events][:3] == ["task.scheduled", "task.queued", "task.started"]
    assert (task["state"], done["state"], done["result"]["output"]) == ("scheduled", "succeeded", 3)
    assert datetime.fromisoformat(done["started_at"]) >= start


def test_a_task_that_runs_beyond_its_deadline_is_cancelled_and_fails_by_name(gateway: Served, desk: Desk) -> None:
    task = _submit(gateway, {"capability": "hold", "input": "hi", "deadline_seconds": 1.5, "retries": 3})
    path = f"/v1/tasks/{task['task_id']}"
    events = _events(gateway.client.get(f"{path}/events").text)
    done = gateway.client.get(path).json()
    assert desk.cancelled.is_set()
    assert events[-1]["name"] == "task.failed"
    assert (done["state"], done["attempts"], done["retried"]) == ("failed", 1, 0)
    assert (done["error"]["code"], done["error"]["message"]) == (
        "deadline-exceeded",
        "the task's deadline was over before the task had ended",
    )


def test_a_failed_attempt_is_followed_by_another_and_both_are_told(gateway: Served, desk: Desk) -> None:
    task = _submit(gateway, {"capability": "shaky", "input": "hi"})
    path = f"/v1/tasks/{task['task_id']}"
    events = _events(gateway.client.get(f"{path}/events").text)
    done = gateway.client.get(path).json()
    told = [event for event in events if event["name"].startswith("task.")]
    assert [event["name"] for event in told] == [
        "task.queued", "task.started", "task.retrying", "task.queued", "task.started", "task.succeeded",
    ]  # fmt: skip
    assert (told[2]["data"]["attempt"], told[2]["data"]["code"]) == (1, "provider-unavailable")
    assert (done["state"], done["attempts"], done["retries"], done["retried"]) == ("succeeded", 2, 2, 1)
    assert (done["last_error"]["code"], done["error"]) == ("provider-unavailable", None)


def test_a_task_says_that_it_isn_t_to_be_tried_again(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "shaky", "input": "hi", "retries": 0})
    path = f"/v1/tasks/{task['task_id']}"
    wait_until(lambda: gateway.client.get(path).json()["state"] == "failed")
    done = gateway.client.get(path).json()
    assert (done["attempts"], done["retries"], done["error"]["code"]) == (1, 0, "provider-unavailable")


_RFC_3339 = "a date and time as RFC 3339 has it is needed, for instance 2026-11-23T18:00:00Z"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("delay_seconds", -1, "Input should be greater than or equal to 0"),
        ("delay_seconds", 2_592_001, "Input should be less than or equal to 2592000"),
        ("delay_seconds", "soon", "Input should be a valid number"),
        ("not_before", "2026-11-23T18:00:00", "Input should have timezone info"),
        ("not_before", 1_700_000_000, _RFC_3339),
        ("not_before", "tomorrow", _RFC_3339),
        ("deadline", "1700000000", _RFC_3339),
        ("deadline_seconds", 0, "Input should be greater than 0"),
        ("retries", -1, "Input should be greater than or equal to 0"),
        ("retries", 21, "Input should be less than or equal to 20"),
        ("retries", 1.5, "Input should be a valid integer, got a number with a fractional part"),
        ("retires", 1, "unknown field; did you mean 'retries'?"),
    ],
)
def test_a_field_that_can_t_be_is_named(gateway: Served, field: str, value: object, message: str) -> None:
    response = gateway.client.post("/v1/tasks", json={"capability": "sum", "input": [1], field: value})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, "urn:weaver:problem:invalid-input")
    assert [(each["location"], each["message"]) for each in problem["errors"]] == [(f"body.{field}", message)]


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        (
            {"delay_seconds": 1, "not_before": "2020-01-01T00:00:00Z"},
            "delay_seconds and not_before say the same in two ways",
        ),
        (
            {"deadline_seconds": 1, "deadline": "2120-01-01T00:00:00Z"},
            "deadline_seconds and deadline say the same in two ways",
        ),
        ({"deadline": "2020-01-01T00:00:00Z"}, "the deadline is over already"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "a deadline can't be more than a year ahead"),
        ({"not_before": "9999-12-31T23:59:59+14:00"}, "a task can't be delayed by more than 30 days"),
        ({"delay_seconds": 9, "deadline_seconds": 8}, "the deadline is over before the task may start"),
    ],
)
def test_times_that_contradict_each_other_are_refused(gateway: Served, fields: dict[str, object], detail: str) -> None:
    response = gateway.client.post("/v1/tasks", json={"capability": "sum", "input": [1], **fields})
    assert (response.status_code, response.json()["detail"]) == (422, detail)


def test_a_date_before_everything_is_at_once(gateway: Served) -> None:
    task = _submit(gateway, {"capability": "sum", "input": [1], "not_before": "0001-01-01T00:00:00+14:00"})
    assert (task["not_before"], task["state"] in {"queued", "running", "succeeded"}) == (None, True)


def test_another_time_is_another_body(gateway: Served) -> None:
    body = {"capability": "sum", "input": [1], "delay_seconds": 60}
    _submit(gateway, body, **{"idempotency-key": "k-time"})
    again = gateway.client.post("/v1/tasks", json={**body, "delay_seconds": 61}, headers={"idempotency-key": "k-time"})
    assert again.status_code == 409


def test_only_so_many_tasks_of_a_capability_run_at_once(gateway: Served, desk: Desk) -> None:
    tasks = [_submit(gateway, {"capability": "narrow", "input": "hi"}) for _ in range(3)]
    assert desk.begun.wait(5)
    states = Counter(gateway.client.get(f"/v1/tasks/{task['task_id']}").json()["state"] for task in tasks)
    other = _submit(gateway, {"capability": "sum", "input": [1]})
    wait_until(lambda: gateway.client.get(f"/v1/tasks/{other['task_id']}").json()["state"] == "succeeded")
    desk.release.set()
    for task in tasks:
        wait_until(lambda path=f"/v1/tasks/{task['task_id']}": gateway.client.get(path).json()["state"] == "succeeded")
    assert states == {"running": 1, "queued": 2}
