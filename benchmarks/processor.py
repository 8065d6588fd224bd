"""The processor time of a task: of who submits it, of its worker and of Redis; the engine on Redis and docket alone.

    uv run --group bench benchmarks/processor.py [tasks] [rounds]

Tasks that do nothing, one worker; all are in the queue before it begins. Processor time, not the clock's: what else the
machine does counts little. A submission is the engine's alone; what a gateway spends on one over HTTP, with its trace,
is told below the table.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from uuid import uuid4

import httpx2
import psutil
from crew import CONCURRENCY, Crew
from table import publish
from workers import emptied, fill

from weaver_ai.tasks import TaskContext, TaskOutcome, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

CONTESTANTS = ("docket engine", "docket alone")
PIECES, TALKS = 40, 160
PARTS = ("submission", "worker", "Redis, submission", "Redis, run")


def spent(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measure(contestant: str, server: RedisServer, tasks: int) -> dict[str, float]:
    """Milliseconds for each task, by part."""
    name = f"bench-{uuid4().hex}"
    redis, own = spent(server.pid), time.process_time()
    asyncio.run(fill(contestant, server.url, name, tasks, 0.0))
    found = {"submission": time.process_time() - own, "Redis, submission": spent(server.pid) - redis}
    with Crew(contestant, server.url, name, "wait", 1) as crew:
        worker, redis = spent(crew.processes[0].pid), spent(server.pid)
        crew.begin()
        asyncio.run(emptied(server.url, name, tasks))
        found["worker"] = spent(crew.processes[0].pid) - worker
        found["Redis, run"] = spent(server.pid) - redis
    return {part: seconds / tasks * 1000 for part, seconds in found.items()}


async def telling(server: RedisServer) -> float:
    """Milliseconds that Redis spends on each write of a run's events, with a share of what it spends on the run."""
    written = 0

    async def handler(context: TaskContext) -> TaskOutcome:
        for _ in range(PIECES):
            await context.emit("text.delta", {"text": "some more words of an answer "})
            await asyncio.sleep(0.06)  # more than what is joined
        return TaskOutcome()

    engine = DocketEngine(server.url, handler, prefix=f"bench-{uuid4().hex}", concurrency=CONCURRENCY)
    await engine.start()
    before = spent(server.pid)
    tasks = [await engine.submit(TaskRequest(capability="talk", input=None)) for _ in range(TALKS)]
    for task in tasks:
        await engine.result(task.id)
    took = spent(server.pid) - before
    for task in tasks:
        written += sum(event.type == "text.delta" for event in await engine.past_events(task.id))
    await engine.drain(0)
    await engine.aclose()
    return took / written * 1000


def service(url: str, tasks: int) -> tuple[float, float]:
    """Milliseconds that `weaver serve` spends on each `POST /v1/tasks`, and `weaver worker` on running it.

    In production's settings without a backend; the task is the example's workflow, two agents on the offline model.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "WEAVER_TELEMETRY_ENVIRONMENT": "production", "WEAVER_TASK_QUEUE_SIZE": "1000000"}
    gateway = _weaver(["serve", "--redis", url, "--port", str(port)], env)
    worker = None
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            _until_it_answers(client)
            for number in range(tasks + 100):
                if number == 100:  # connections are made, scripts are loaded
                    began = spent(gateway.pid)
                posted = client.post("/v1/tasks", json={"capability": "support", "input": "refund order 7"})
            taken = (spent(gateway.pid) - began) / tasks
            worker = _weaver(["worker", "--redis", url], env)
            _until_it_is_done(client, posted.raise_for_status().headers["location"])
            return taken * 1000, spent(worker.pid) / (tasks + 100) * 1000
    finally:
        for process in filter(None, (gateway, worker)):
            process.kill()
            process.wait()


def _weaver(arguments: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "weaver_ai", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _until_it_is_done(client: httpx2.Client, task: str) -> None:
    until = time.monotonic() + 300
    while client.get(task).json()["state"] != "succeeded":
        if time.monotonic() > until:
            raise TimeoutError(f"the last task didn't succeed within five minutes: {client.get(task).text}")
        time.sleep(0.1)


def _until_it_answers(client: httpx2.Client) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            client.get("/health").raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the gateway didn't answer within a minute")


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    found: dict[str, list[dict[str, float]]] = {contestant: [] for contestant in CONTESTANTS}
    with RedisServer() as server:
        for _ in range(rounds):
            for contestant, rows in found.items():
                rows.append(measure(contestant, server, tasks))
        told = asyncio.run(telling(server))
        posted, run = service(server.url, tasks)
    ours, alone = (
        {part: statistics.median(row[part] for row in found[contestant]) for part in PARTS}
        for contestant in CONTESTANTS
    )
    publish(
        "processor",
        "The processor time of a task",
        ["part", "docket engine, ms", "docket alone, ms", "ratio"],
        [[part, f"{ours[part]:.3f}", f"{alone[part]:.3f}", f"{ours[part] / alone[part]:.2f}"] for part in PARTS],
        packages=["pydocket", "redis", "hiredis"],
        verdict=f"Medians of {rounds} rounds of {tasks} tasks that do nothing. A gateway spends {posted:.2f} ms on a "
        f"`POST /v1/tasks`, and a worker {run:.1f} ms on the example's workflow, two agents on the offline model, its "
        f"start included; engine and trace are in both. Redis spends {told:.3f} ms on each write of a run's events.",
    )


if __name__ == "__main__":
    main()
