"""What is promised of tasks on Redis, with processes that die. Nothing here is simulated."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.cluster.conftest import PATIENCE, Cluster, in_background
from tests.integration.service import sse

pytestmark = pytest.mark.timeout(240)

MANY = 1000
"""How many accepted tasks go through each disaster: what is promised."""


def submit_many(cluster: Cluster, number: int, name: str, **given: Any) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda each: cluster.submit(name=f"{name}-{each}", **given), range(number)))


def all_finished(cluster: Cluster, ids: list[str]) -> list[dict[str, Any]]:
    return [cluster.finished(task_id) for task_id in ids]


def assert_nothing_lost(cluster: Cluster, tasks: list[dict[str, Any]]) -> None:
    """Each has its own result, and took effect at most once for each attempt, of which there are few."""
    assert Counter(task["state"] for task in tasks) == {"succeeded": len(tasks)}
    effects = Counter(cluster.effects_file.read_text().splitlines())
    for task in tasks:
        name = task["result"]["output"]
        assert task["result"]["text"] == name
        assert 1 <= effects[f"chore {name}"] <= task["attempts"] <= 3, task
    assert len({task["result"]["output"] for task in tasks}) == len(tasks)


def test_a_killed_worker_loses_nothing(cluster: Cluster) -> None:
    victim = cluster.workers[0]
    ids = submit_many(cluster, MANY, "worker", seconds=0.05)
    long = [cluster.submit(name=f"long-{number}", seconds=2.0, priority="high") for number in range(8)]
    cluster.until(lambda: any(cluster.task(task_id)["state"] == "running" for task_id in long), "a long task runs")
    cluster.kill(victim)
    tasks = all_finished(cluster, ids)
    long_tasks = all_finished(cluster, long)
    assert_nothing_lost(cluster, tasks)
    assert {task["state"] for task in long_tasks} == {"succeeded"}
    again = [task for task in (*tasks, *long_tasks) if task["attempts"] > 1]
    assert again, "the worker was killed while it ran nothing: the test has shown nothing"
    types = [event.name for event in sse.read(cluster.gateway.get(f"/v1/tasks/{again[0]['task_id']}/events"))]
    assert [name for name in types if name.startswith("task.")] == [
        "task.queued", "task.started", "task.requeued", "task.started", "task.succeeded",
    ]  # fmt: skip


def test_a_killed_gateway_and_a_killed_redis_lose_nothing_that_was_accepted(cluster: Cluster) -> None:
    """The gateway dies right after its 202, Redis, which keeps a log of its commands, while tasks wait and run."""
    victim = cluster.gateways[0]
    ids = submit_many(cluster, MANY - 32, "gone", gateway=victim)
    ids += submit_many(cluster, 32, "late", gateway=victim, seconds=1.0)
    cluster.kill(victim)
    cluster.until(lambda: any(cluster.task(task_id)["state"] == "running" for task_id in ids[-32:]), "one of them runs")
    cluster.redis.kill()
    time.sleep(1.5)
    cluster.redis.start()
    assert_nothing_lost(cluster, all_finished(cluster, ids))


def test_without_redis_runs_go_on_and_tasks_are_refused_until_it_is_back(cluster: Cluster) -> None:
    cluster.redis.kill()
    try:
        run = cluster.gateway.post("/v1/workflows/chore/run", {"input": {"name": "sync"}})
        refused = cluster.gateway.post("/v1/tasks", {"capability": "chore", "input": {"name": "refused"}})
        engine = cluster.engine()
        ready = cluster.gateway.status("/ready")
    finally:
        cluster.redis.start()
    assert (run.status_code, run.json()["output"]) == (200, "sync")
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (503, "urn:weaver:problem:engine-unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert engine["state"] == "degraded"
    assert engine["reason"] == "the task engine's Redis can't be used: ConnectionError"
    assert ready == 200
    cluster.ready()
    assert cluster.finished(cluster.submit(name="back"))["state"] == "succeeded"
    time.sleep(1.0)
    assert cluster.effects("chore refused") == 0


def test_a_submission_outlasts_an_outage_of_two_seconds(cluster: Cluster) -> None:
    cluster.redis.kill()

    def restart() -> None:
        time.sleep(2.0)
        cluster.redis.start()

    restarting = in_background(restart)
    task_id = cluster.submit(name="patient")
    restarting.join()
    task = cluster.finished(task_id)
    assert (task["state"], cluster.effects("chore patient")) == ("succeeded", 1)


def test_a_key_means_the_same_task_at_every_gateway(cluster: Cluster) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = pool.map(
            lambda number: cluster.submit(name="once", key="order-7", gateway=cluster.gateways[number % 2]), range(16)
        )
        assert len(set(ids)) == 1
    other = cluster.gateways[0].post(
        "/v1/tasks", {"capability": "chore", "input": {"name": "other"}}, headers={"Idempotency-Key": "order-7"}
    )
    assert other.status_code == 409
    cluster.finished(cluster.submit(name="once", key="order-7"))
    assert cluster.effects("chore once") == 1


def test_any_gateway_tells_the_events_and_takes_them_up_where_another_left_off(cluster: Cluster) -> None:
    first, second = cluster.gateways[:2]
    task_id = cluster.submit(name="told", gateway=first)
    cluster.finished(task_id)
    whole = sse.read(first.get(f"/v1/tasks/{task_id}/events"))
    rest = sse.read(second.get(f"/v1/tasks/{task_id}/events", headers={"Last-Event-ID": whole[1].id or ""}))
    assert [event.name for event in whole][:2] == ["task.queued", "task.started"]
    assert whole[-1].name == "task.succeeded"
    assert rest == whole[2:]


def test_any_gateway_cancels_what_runs_on_a_worker(cluster: Cluster) -> None:
    task_id = cluster.submit(name="endless", seconds=60, gateway=cluster.gateways[0])
    cluster.until(lambda: cluster.task(task_id)["state"] == "running", "it runs")
    began = time.monotonic()
    cancelled = cluster.gateways[1].client.delete(f"/v1/tasks/{task_id}").json()
    assert (cancelled["state"], cancelled["error"]["code"]) == ("cancelled", "run-cancelled")
    assert time.monotonic() - began < 2.0


def test_a_model_call_that_runs_on_a_worker_is_cancelled_with_its_task(cluster: Cluster) -> None:
    task_id = cluster.submit("chain", name="asked endlessly", gateway=cluster.gateways[0])
    cluster.until(lambda: cluster.effects("asking asked endlessly one"), "the model is asked")
    cancelled = cluster.gateways[1].client.delete(f"/v1/tasks/{task_id}").json()
    assert (cancelled["state"], cancelled["error"]["code"]) == ("cancelled", "run-cancelled")
    cluster.until(lambda: cluster.effects("cancelled asked endlessly one"), "the call is cancelled, too")
    assert cluster.effects("echo asked endlessly one") == 0


def test_a_worker_that_is_told_to_end_hands_back_what_takes_too_long(cluster: Cluster) -> None:
    stopping = cluster.workers[0]
    ids = [cluster.submit(name=f"handed-{number}", seconds=4.0) for number in range(16)]
    cluster.until(lambda: all(cluster.task(task_id)["state"] == "running" for task_id in ids), "all of them run")
    stopping.terminate()
    assert stopping.wait(20) == 0
    cluster.workers.remove(stopping)
    tasks = all_finished(cluster, ids)
    assert Counter(task["state"] for task in tasks) == {"succeeded": 16}
    assert Counter(task["attempts"] for task in tasks) == {1: 8, 2: 8}
    names = [event.name for event in sse.read(cluster.gateway.get(f"/v1/tasks/{tasks[0]['task_id']}/events"))]
    assert names[0] == "task.queued"
    assert names[-1] == "task.succeeded"


def test_a_wedged_worker_does_not_look_healthy_and_its_word_no_longer_counts(cluster: Cluster) -> None:
    wedged = cluster.workers[0]
    pid = f"-{wedged.process.pid}-"
    ids = [cluster.submit(name=f"wedged-{number}", seconds=4.0) for number in range(16)]
    cluster.until(lambda: all(cluster.task(task_id)["state"] == "running" for task_id in ids), "all of them run")
    wedged.process.send_signal(signal.SIGSTOP)
    try:
        engine = cluster.until(lambda: e if pid in ((e := cluster.engine())["reason"] or "") else None, "it is seen")
        cluster.until(lambda: cluster.workers_in("ok") == len(cluster.workers) - 1, "one worker less is ok")
        silent = cluster.workers_in("silent")
        tasks = all_finished(cluster, ids)
    finally:
        wedged.process.send_signal(signal.SIGCONT)
    assert engine["state"] == "degraded"
    assert re.search(rf"the worker \S+{pid}\S+ is silent", engine["reason"]), engine
    assert silent >= 1
    assert Counter(task["state"] for task in tasks) == {"succeeded": 16}
    assert Counter(task["attempts"] for task in tasks) == {1: 8, 2: 8}
    cluster.ready()
    time.sleep(2.0)  # the woken worker says what it has to say
    assert [cluster.task(task["task_id"]) for task in tasks] == tasks


def test_finished_steps_of_a_workflow_are_not_run_again(cluster: Cluster) -> None:
    task_id = cluster.submit("chain", name="chained", seconds=2.0)
    cluster.kill(cluster.worker_of("chained"))
    task = cluster.finished(task_id)
    assert (task["state"], task["attempts"], task["result"]["output"]) == ("succeeded", 2, "chained one two")
    assert cluster.effects("echo chained one") == 1
    assert cluster.effects("echo chained one two") == 1
    assert task["usage"]["requests"] == 2


def test_nor_are_those_of_chains_that_ran_at_once(cluster: Cluster) -> None:
    task_id = cluster.submit("two-chains", name="both", seconds=2.0)
    cluster.kill(cluster.worker_of("both"))
    task = cluster.finished(task_id)
    assert (task["state"], task["attempts"]) == ("succeeded", 2), task
    steps = [f"both {way}{so_far}" for way in ("slowly", "quickly") for so_far in ("", " two", " two three")]
    assert task["result"]["output"] == [steps[2], steps[5]]
    assert {step: cluster.effects(f"echo {step}") for step in steps} == dict.fromkeys(steps, 1)
    assert task["usage"]["requests"] == 6


def test_a_step_that_changes_on_replay_is_an_error_and_a_dead_letter_that_can_be_put_back(cluster: Cluster) -> None:
    task_id = cluster.submit("fickle", name="fickle", seconds=2.0)
    cluster.kill(cluster.worker_of("fickle"))
    task = cluster.finished(task_id)
    assert (task["state"], task["error"]["code"]) == ("failed", "step-changed")
    assert task["error"]["message"] == "a step ('echo') has another input than in an earlier attempt"
    listed = cluster.weaver("tasks", "list")
    assert [line for line in listed.stdout.splitlines() if line.startswith(task_id)], listed
    again = cluster.weaver("tasks", "retry", task_id)
    assert (again.returncode, again.stdout) == (0, f"{task_id} is queued again\n")
    assert cluster.finished(task_id)["state"] == "succeeded"
    shown = json.loads(cluster.weaver("tasks", "show", task_id).stdout)
    assert (shown["state"], shown["attempts"]) == ("succeeded", 3)
    assert [event["type"] for event in shown["events"] if event["type"] in ("task.failed", "task.succeeded")] == [
        "task.failed", "task.succeeded",
    ]  # fmt: skip
    refused = cluster.weaver("tasks", "retry", task_id)
    assert (refused.returncode, refused.stdout) == (1, f"{task_id} is succeeded: only a failed task can be put back\n")


def test_what_is_delayed_or_to_be_tried_again_outlasts_its_gateway_and_its_worker(cluster: Cluster) -> None:
    delayed = cluster.submit(name="delayed", delay_seconds=3.0, gateway=cluster.gateways[0])
    shaky = cluster.submit("shaky", name="shaken", gateway=cluster.gateways[0])
    worker = cluster.worker_of("shaken")
    waiting = cluster.until(
        lambda: task if (task := cluster.task(shaky))["state"] == "scheduled" else None, "it is to be tried again"
    )
    cluster.kill(worker)
    cluster.kill(cluster.gateways[0])
    assert waiting["last_error"]["code"] == "provider-unavailable"
    done, again = cluster.finished(delayed), cluster.finished(shaky)
    assert (done["state"], done["attempts"], cluster.effects("chore delayed")) == ("succeeded", 1, 1)
    assert done["started_at"] >= done["not_before"]
    assert (again["state"], again["attempts"], again["retried"]) == ("succeeded", 2, 1)
    assert again["started_at"] >= waiting["next_attempt_at"]
    assert cluster.effects("echo shaken step") == 1
    assert again["usage"]["requests"] == 1


def test_a_limit_holds_over_the_workers_and_a_dead_one_holds_no_slot(cluster: Cluster) -> None:
    ids = [cluster.submit("narrow", name=f"narrow-{number}", seconds=1.5) for number in range(6)]
    victim = cluster.worker_of("narrow-0")
    cluster.until(
        lambda: Counter(cluster.task(task_id)["state"] for task_id in ids) == {"running": 2, "queued": 4}, "two run"
    )
    cluster.kill(victim)
    tasks = all_finished(cluster, ids)
    assert Counter(task["state"] for task in tasks) == {"succeeded": 6}
    assert max(task["attempts"] for task in tasks) == 2
    spans = [(task["started_at"], task["finished_at"]) for task in tasks]
    assert max(sum(start <= begun < end for start, end in spans) for begun, _ in spans) == 2


def test_what_no_worker_serves_waits_for_one_that_does(cluster: Cluster) -> None:
    for worker in list(cluster.workers):
        cluster.kill(worker)
    partial = cluster.start_worker("--capabilities", "echo,narrow")
    partial.wait_for_line("engine", PATIENCE)
    assert "  serves     echo, narrow; not " in partial.output
    cluster.ready()
    task_id = cluster.submit(name="unserved")
    assert cluster.finished(cluster.submit("narrow", name="served"))["state"] == "succeeded"
    engine = cluster.until(
        lambda: e if "serves" in ((e := cluster.engine())["reason"] or "") else None, "it is seen that nobody serves it"
    )
    listed = cluster.weaver("tasks", "list", "--state", "queued").stdout
    assert (engine["state"], cluster.task(task_id)["state"]) == ("degraded", "queued")
    assert "no worker serves 'chore', for which 1 task waits" in engine["reason"]
    assert re.search(rf"^{task_id}  .*  chore  attempts 0  normal priority$", listed, re.MULTILINE), listed
    cluster.start_worker()
    assert cluster.finished(task_id)["state"] == "succeeded"
    cluster.kill(partial)
