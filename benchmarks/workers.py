"""One, two and four workers: how fast a full queue empties, with the engine on Redis and with docket alone.

    uv run --group bench benchmarks/workers.py [tasks] [rounds]

Workers are processes; all tasks are in the queue before they begin. Tasks that do nothing show what an engine costs,
and end where the machine's cores do; tasks that wait 0.25 s, as for a model, show whether workers add up: one worker
takes 16 at a time, so it can't do more than 64 a second.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from uuid import uuid4

from crew import SUBMITS, Crew
from redis.asyncio import Redis
from table import publish

from weaver_ai.testing.fakes.redis.real import RedisServer

SUBMITTERS = 16
WAITING = 0.25
WORKERS = (1, 2, 4)


async def fill(contestant: str, url: str, name: str, tasks: int, seconds: float) -> None:
    async with SUBMITS[contestant](url, name) as submit:
        left = iter(range(tasks))

        async def submitter() -> None:
            for _ in left:
                await submit(seconds)

        await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))


async def emptied(url: str, name: str, tasks: int) -> float:
    """Tasks a second, from the first that is done to the last."""
    first: tuple[float, int] | None = None
    async with Redis.from_url(url, decode_responses=True) as redis:
        while True:
            done = sum(int(count) for count in (await redis.hgetall(f"done:{name}")).values())
            if done and first is None:
                first = (time.perf_counter(), done)
            if done >= tasks and first is not None:
                return (done - first[1]) / (time.perf_counter() - first[0])
            await asyncio.sleep(0.02)


def rate(contestant: str, url: str, tasks: int, seconds: float, workers: int) -> float:
    name = f"bench-{uuid4().hex}"
    asyncio.run(fill(contestant, url, name, tasks, seconds))
    with Crew(contestant, url, name, "wait", workers) as crew:
        crew.begin()
        return asyncio.run(emptied(url, name, tasks))


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Within a round; that of the middle one."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates: dict[tuple[float, int, str], list[float]] = {}
    with RedisServer() as server:
        for _ in range(rounds):
            for seconds in (0.0, WAITING):
                for workers in WORKERS:
                    for contestant in SUBMITS:
                        found = rate(contestant, server.url, tasks if not seconds else tasks // 2, seconds, workers)
                        rates.setdefault((seconds, workers, contestant), []).append(found)
    rows = []
    for seconds in (0.0, WAITING):
        for workers in WORKERS:
            ours, theirs = (rates[seconds, workers, contestant] for contestant in SUBMITS)
            rows.append(
                [
                    "waits 0.25 s" if seconds else "does nothing",
                    str(workers),
                    f"{statistics.median(ours):,.0f}",
                    f"{statistics.median(theirs):,.0f}",
                    f"{_ratio(ours, theirs):.2f}",
                    f"{_ratio(ours, rates[seconds, 1, 'docket engine']):.2f}",
                ]
            )
    four = _ratio(rates[WAITING, 4, "docket engine"], rates[WAITING, 1, "docket engine"])
    verdict = (
        f"Tasks that wait: four workers do {four:.1f} times what one does (medians of {rounds} rounds of {tasks} "
        "tasks, half as many where they wait; ratios are those within a round). "
        "Tasks that do nothing are the processors' affair: workers, redis-server and the measurement share them."
    )
    publish(
        "workers",
        "One, two and four workers",
        ["a task", "workers", "docket engine, tasks/s", "docket alone, tasks/s", "ratio", "to one worker"],
        rows,
        packages=["pydocket", "redis"],
        verdict=verdict,
    )


if __name__ == "__main__":
    main()
