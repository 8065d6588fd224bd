"""`weaver worker`: runs the tasks that gateways took, until SIGTERM drains it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from weaver_ai import __version__
from weaver_ai.cli.leaving import leave_within
from weaver_ai.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    from types import FrameType

    from weaver_ai.agents import Runner, Weaver
    from weaver_ai.gateway.shutdown import Budget
    from weaver_ai.settings import Settings
    from weaver_ai.tasks.redis.engine import DocketEngine
    from weaver_ai.telemetry import Telemetry

__all__ = ["add_to", "run"]

_FAILED = 1


def add_to(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "worker",
        help="run the tasks that gateways took, from Redis",
        description="Run tasks from Redis; any number of workers on any number of machines. SIGTERM drains it: running "
        "tasks go on for WEAVER_SHUTDOWN_GRACE_SECONDS, the rest goes to other workers.",
    )
    parser.add_argument(
        "target", nargs="?", metavar="TARGET", help="module:attribute of the Weaver object that the gateways serve"
    )
    parser.add_argument("--redis", metavar="URL", help="Redis (WEAVER_REDIS_URL)")
    parser.add_argument("--concurrency", type=int, metavar="N", help="tasks at a time (WEAVER_TASK_CONCURRENCY, 16)")
    parser.add_argument(
        "--capabilities",
        type=_names,
        metavar="A,B",
        help="run tasks of these capabilities only; what they call runs here, too (all of the target's)",
    )
    parser.set_defaults(run=run)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name; write them like a,b")
    return names


def run(options: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT; both end it with 0 once it has drained. 1: it could take no more tasks."""
    if find_spec("pydantic_ai") is None:
        raise MissingExtra("'weaver worker'", "gateway")
    from weaver_ai.agents import Runner, load_target, task_handler, task_policies
    from weaver_ai.gateway.shutdown import Budget
    from weaver_ai.settings import export_provider_variables, load_settings
    from weaver_ai.tasks.choose import redis_engine
    from weaver_ai.telemetry import configure_telemetry, instrument_all

    given = {"target": options.target, "redis_url": options.redis, "task_concurrency": options.concurrency}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    export_provider_variables()
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it: the user's package needn't be installed
    weaver = load_target(settings.target)
    telemetry = configure_telemetry(settings)
    runner = Runner(weaver, settings)
    runner.prepare()
    budget = Budget(settings.shutdown_grace_seconds)
    served = _served(weaver, options.capabilities)
    engine = redis_engine(
        settings,
        task_handler(runner),
        unwind_seconds=budget.unwind,
        capabilities=served,
        policies=task_policies(weaver),
    )
    instrument_all()
    with asyncio.Runner(loop_factory=_loop_factory()) as loop:
        banner = "\n".join(_banner(settings, telemetry, weaver, served))
        return loop.run(_work(engine, runner, telemetry, budget, banner))


async def _work(engine: DocketEngine, runner: Runner, telemetry: Telemetry, budget: Budget, banner: str) -> int:
    from weaver_ai.telemetry import log_error

    code = _FAILED
    try:
        with _signals(budget.flush) as (stop, hurry):
            async with AsyncExitStack() as stack:
                stack.push_async_callback(asyncio.to_thread, telemetry.flush, budget.flush)
                stack.push_async_callback(runner.aclose)
                stack.push_async_callback(engine.aclose)
                try:
                    code = await _serve(engine, budget, banner, stop, hurry)
                except Exception as error:
                    log_error("the worker failed", exception=error)
                    raise
    finally:
        leave_within(max(1.0, budget.flush), code)  # the loop waits for what ignored its cancellation
    return code


async def _serve(engine: DocketEngine, budget: Budget, banner: str, stop: asyncio.Event, hurry: asyncio.Event) -> int:
    from weaver_ai.telemetry import log_info, log_warning

    await engine.start()
    health = await engine.health()
    print(banner, flush=True)
    if health.latency is None:
        print(f"  waiting    {health.reason}", flush=True)
    code = await _until(stop, engine)
    drain, hurried = asyncio.create_task(engine.drain(budget.work)), asyncio.create_task(hurry.wait())
    await asyncio.wait({drain, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not drain.done():
        drain.cancel()
        log_warning("a second signal: tasks that run here go to other workers")
        return _FAILED
    report = drain.result()
    log_info("drained", tasks_finished=len(report.finished), tasks_handed_back=len(report.handed_back))
    return code


@contextmanager
def _signals(leave_seconds: float) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """An event that the first signal to end sets, and one of the second, after which the process ends in any case."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            leave_within(max(1.0, leave_seconds), _FAILED)
        loop.call_soon_threadsafe((hurry if asked else stop).set)
        asked = True

    # Not the loop's own handlers: those aren't called while something holds the loop, and Windows has none.
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop, hurry
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _until(stop: asyncio.Event, engine: DocketEngine) -> int:
    """Wait for the end, and give its exit code."""
    from weaver_ai.telemetry import log_error

    told, broke_off = asyncio.create_task(stop.wait()), asyncio.create_task(engine.broke_off())
    await asyncio.wait({told, broke_off}, return_when=asyncio.FIRST_COMPLETED)
    for each in (told, broke_off):
        each.cancel()
    if stop.is_set():
        return 0
    log_error("the worker takes no more tasks, for what docket delivers them with has ended", exception=await broke_off)
    return 1


def _banner(settings: Settings, telemetry: Telemetry, weaver: Weaver, served: Sequence[str]) -> Iterator[str]:
    from weaver_ai.tasks.choose import shown_redis

    others = len(weaver.capabilities) - len(served)
    yield f"weaver {__version__} works for {settings.target or 'the built-in support desk'}"
    yield f"  serves     {', '.join(served)}{f'; not {others} more' if others else ''}"
    for capability, policy in ((name, weaver.capabilities[name].tasks) for name in served):
        if policy.concurrency is not None:
            yield f"  limit      {capability}: {policy.concurrency} at a time, over all workers"
    yield f"  engine     docket on {shown_redis(settings)}: {settings.task_concurrency} tasks at a time"
    yield f"  telemetry  {telemetry.name}, {telemetry.environment}"


def _served(weaver: Weaver, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The capabilities to serve, sorted.

    Raises:
        SettingsError: the target has none, or not all of those that were asked for.
    """
    from weaver_ai.agents.registry import did_you_mean

    if not weaver.capabilities:
        raise SettingsError("the target has no agent and no workflow: there is nothing to serve")
    for name in asked or ():
        if name not in weaver.capabilities:
            raise SettingsError(
                f"--capabilities: nobody has the capability {name!r}", hint=did_you_mean(name, weaver.capabilities)
            )
    return tuple(sorted(asked or weaver.capabilities))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.Loop
