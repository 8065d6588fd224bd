"""`weaver tasks`: what failed or waits on Redis, and putting back what failed."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from weaver_ai.tasks import TaskRecord
    from weaver_ai.tasks.redis.engine import DocketEngine
    from weaver_ai.tasks.redis.records import ListedState

__all__ = ["add_to"]

_FAILED = 1


def add_to(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its actions."""
    parser = verbs.add_parser(
        "tasks",
        help="list failed or waiting tasks on Redis, show one, put one back",
        description="Dead letters: the tasks on Redis that failed and can still be read (WEAVER_TASK_TTL_SECONDS). And "
        "those that wait for their time, or for a worker.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the failed tasks, the latest first; or those that wait")
    listing.add_argument(
        "--state",
        choices=("failed", "scheduled", "queued"),
        default="failed",
        help="failed; or scheduled, for a time; or queued, for a place (failed)",
    )
    listing.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most N of them (50)")
    listing.set_defaults(run=_running(lambda engine, options: _list(engine, options.state, options.limit)))
    show = actions.add_parser("show", help="everything about one task, as JSON")
    show.add_argument("task", metavar="TASK", help="its id")
    show.set_defaults(run=_running(lambda engine, options: _show(engine, options.task)))
    retry = actions.add_parser(
        "retry", help="put failed tasks back to the end of their queues, with all their retries and no deadline"
    )
    retry.add_argument("tasks", nargs="+", metavar="TASK", help="their ids")
    retry.set_defaults(run=_running(lambda engine, options: _retry(engine, options.tasks)))
    for action in (listing, show, retry):
        action.add_argument("--redis", metavar="URL", help="Redis (WEAVER_REDIS_URL)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tasks; give 1 or more")
    return int(text)


def _running(
    act: Callable[[DocketEngine, argparse.Namespace], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from weaver_ai.settings import load_settings
        from weaver_ai.tasks.choose import redis_engine

        settings = load_settings(**({} if options.redis is None else {"redis_url": options.redis}))
        engine = redis_engine(settings, unwind_seconds=1.0)
        return asyncio.run(_with(engine, options))

    async def _with(engine: DocketEngine, options: argparse.Namespace) -> int:
        await engine.start()
        try:
            return await act(engine, options)
        finally:
            await engine.aclose()

    return run


async def _list(engine: DocketEngine, state: ListedState, limit: int) -> int:
    print("\n".join(_table(await engine.listed(state, limit), state)))
    return 0


def _table(records: list[TaskRecord], state: ListedState = "failed") -> Iterator[str]:
    if not records:
        yield f"no {state} tasks"
        return
    width = max(len(record.capability) for record in records)
    for record in records:
        time = _time(record)
        when = "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"
        yield f"{record.id}  {when}  {record.capability:<{width}}  attempts {record.attempts}  {_why(record)}"


def _time(record: TaskRecord) -> datetime | None:
    """When it failed, when its next attempt is due, or when it was submitted."""
    if record.state == "scheduled":
        return record.next_attempt_at
    return record.finished_at if record.finished else record.created_at


def _why(record: TaskRecord) -> str:
    if record.error is not None:
        return f"{record.error.code}: {record.error.message}"
    if record.state == "queued":
        return f"{record.priority} priority"
    if record.last_error is None:
        return "delayed"
    return f"retry {record.retried} of {record.retries}, after {record.last_error.code}: {record.last_error.message}"


async def _show(engine: DocketEngine, task_id: str) -> int:
    record = await engine.status(task_id)
    events = [
        {"id": event.id, "type": event.type, "time": event.time.isoformat(), "data": dict(event.data)}
        for event in await engine.past_events(task_id)
    ]
    print(json.dumps({**json.loads(record.to_json()), "events": events}, indent=2, ensure_ascii=False))
    return 0


async def _retry(engine: DocketEngine, task_ids: list[str]) -> int:
    code = 0
    for task_id in task_ids:
        state = await engine.retry(task_id)
        if state == "failed":
            print(f"{task_id} is queued again")
        else:
            print(f"{task_id} is {state}: only a failed task can be put back")
            code = _FAILED
    return code
