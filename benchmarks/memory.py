"""What a task that waits takes of Redis's memory, up to 100,000 of them: the engine on Redis and docket alone.

    uv run --group bench benchmarks/memory.py [most]

`used_memory` of a redis-server of its own for each, after so many submissions and with no worker. A task's input is a
line of text; what a record keeps besides are its id, times, trace and first event.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from crew import SUBMITS
from redis.asyncio import Redis
from table import publish

from weaver_ai.testing.fakes.redis.real import RedisServer

STEPS = (1_000, 10_000, 100_000)
SUBMITTERS = 16


async def used(redis: Redis) -> int:
    """Bytes."""
    found: int = (await redis.info("memory"))["used_memory"]
    return found


async def measure(contestant: str, url: str, steps: list[int]) -> dict[int, float]:
    """Bytes for each task, by how many wait."""
    found = {}
    async with Redis.from_url(url) as redis, SUBMITS[contestant](url, f"bench-{uuid4().hex}") as submit:
        await asyncio.gather(*(submit(0) for _ in range(SUBMITTERS)))  # connections are made, scripts are loaded
        empty, waiting = await used(redis), 0
        for step in steps:
            left = iter(range(step - waiting))

            async def submitter(left: object = left) -> None:
                for number in left:  # type: ignore[attr-defined]
                    await submit(number)

            await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))
            waiting = step
            found[step] = (await used(redis) - empty) / waiting
    return found


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS[-1]
    steps = [step for step in STEPS if step <= most]
    found = {}
    for contestant in SUBMITS:
        with RedisServer() as server:
            found[contestant] = asyncio.run(measure(contestant, server.url, steps))
    ours, alone = found["docket engine"], found["docket alone"]
    rows = [
        [
            f"{step:,}",
            f"{ours[step]:,.0f}",
            f"{ours[step] * step / 2**20:,.1f}",
            f"{alone[step]:,.0f}",
            f"{ours[step] / alone[step]:.2f}",
        ]
        for step in steps
    ]
    publish(
        "memory",
        "Memory of a task that waits",
        ["waiting", "docket engine, bytes each", "in all, MiB", "docket alone, bytes each", "ratio"],
        rows,
        packages=["pydocket", "redis"],
        verdict="The engine keeps a task's record, its first event and a turn for it; an input's size comes on top.",
    )


if __name__ == "__main__":
    main()
