"""How long a task waits for another worker when its own is killed, with the engine on Redis and with docket alone.

    uv run --group bench benchmarks/recovery.py [rounds]

Two workers with a lease of five seconds; the one that has begun the task is ended by `kill -9`, and what counts is
the time from there to the task's second beginning.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from uuid import uuid4

from crew import LEASE_SECONDS, SUBMITS, Crew
from redis.asyncio import Redis
from table import publish

from weaver_ai.testing.fakes.redis.real import RedisServer

PATIENCE = 60.0


async def beginnings(url: str, key: str, number: int) -> list[str]:
    """What the workers said, once that many have."""
    until = time.monotonic() + PATIENCE
    async with Redis.from_url(url, decode_responses=True) as redis:
        while time.monotonic() < until:
            said: list[str] = await redis.lrange(key, 0, -1)
            if len(said) >= number:
                return said
            await asyncio.sleep(0.01)
    raise TimeoutError(f"the task didn't begin a time number {number} within {PATIENCE:.0f} s")


async def submitted(contestant: str, url: str, name: str) -> None:
    async with SUBMITS[contestant](url, name) as submit:
        await submit(1)


def recovered(contestant: str, url: str) -> float:
    """Seconds from the kill to the second beginning."""
    name = f"bench-{uuid4().hex}"
    key = f"began:{name}:1"
    with Crew(contestant, url, name, "hang_once", 2) as crew:
        crew.begin()
        asyncio.run(submitted(contestant, url, name))
        pid = asyncio.run(beginnings(url, key, 1))[0].split()[0]
        time.sleep(LEASE_SECONDS / 2)  # in mid-task: the lease has been renewed
        killed = time.time()
        crew.kill(int(pid))
        return float(asyncio.run(beginnings(url, key, 2))[1].split()[1]) - killed


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    took: dict[str, list[float]] = {contestant: [] for contestant in SUBMITS}
    with RedisServer() as server:
        for _ in range(rounds):
            for contestant, found in took.items():
                found.append(recovered(contestant, server.url))
    alone = statistics.median(took["docket alone"])
    rows = [
        [
            name,
            f"{min(found):.1f}",
            f"{statistics.median(found):.1f}",
            f"{max(found):.1f}",
            f"{statistics.median(found) / alone:.2f}",
        ]
        for name, found in took.items()
    ]
    publish(
        "recovery",
        "From kill -9 of a worker to the task's next attempt",
        ["engine", "least s", "median s", "most s", "to docket alone"],
        rows,
        packages=["pydocket", "redis"],
        verdict=f"{rounds} kills each, leases of {LEASE_SECONDS:.0f} s; `WEAVER_TASK_LEASE_SECONDS` sets them.",
    )


if __name__ == "__main__":
    main()
