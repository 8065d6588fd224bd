"""`create_app`: the composition root of the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware

from weaver_ai import __version__
from weaver_ai.agents import Runner, Weaver, task_handler, task_policies
from weaver_ai.gateway.auth import BearerAuth
from weaver_ai.gateway.context import RequestContext
from weaver_ai.gateway.engine_metrics import EngineMetrics
from weaver_ai.gateway.failures import UnhandledErrors, handle_errors
from weaver_ai.gateway.health import Check, RedisCheck, checks_of
from weaver_ai.gateway.lifecycle import Lifecycle
from weaver_ai.gateway.limits import BodyLimit
from weaver_ai.gateway.openapi import describe
from weaver_ai.gateway.routes import agents, docs, health, index, metrics, openai_compat, tasks, workflows
from weaver_ai.gateway.service import Service
from weaver_ai.gateway.shutdown import Budget, drain_before_exit
from weaver_ai.settings import Settings
from weaver_ai.tasks import EmbeddedEngine, Engine
from weaver_ai.tasks.choose import redis_engine, redis_pool
from weaver_ai.telemetry import Telemetry, configure_telemetry, fastapi_telemetry, instrument_all, log_info, log_warning

if TYPE_CHECKING:
    from weaver_ai.tasks.redis.engine import DocketEngine

__all__ = ["create_app"]

_DESCRIPTION = """Agents and workflows behind HTTP, traced.

Every error is an RFC 9457 problem (`application/problem+json`) with a stable `type`. `X-Request-ID` and `traceparent`
are honoured and returned. The chat completions of `/v1` are OpenAI's: point its client here.

Examples have the names and inputs of the built-in support desk; `GET /v1/agents` has those that are served here."""

_TAGS = [
    {"name": "agents", "description": "Run one agent."},
    {"name": "workflows", "description": "Run a workflow over agents."},
    {"name": "tasks", "description": "Work that goes on when its client has gone."},
    {"name": "openai", "description": "OpenAI's API, where the model is an agent or a workflow."},
    {"name": "probes", "description": "For load balancers, orchestrators, scrapers and people."},
]


def create_app(
    settings: Settings, weaver: Weaver, telemetry: Telemetry | None = None, engine: Engine | None = None
) -> FastAPI:
    """Put the gateway together. Nothing runs before the application's lifespan begins, which may end and begin again.

    Args:
        settings: already read; nothing below reads the environment.
        weaver: what is served.
        telemetry: as `configure_telemetry` gave it; without it, it is configured from the settings.
        engine: runs the tasks and is drained when the lifespan ends; without it, workers run them where a Redis is
            set, and this process where none is.

    Raises:
        SettingsError: an agent's model is unknown, or its provider isn't configured.
        MissingExtra: a Redis is set, and what it needs isn't installed.
    """
    telemetry = telemetry or configure_telemetry(settings)
    budget = Budget(settings.shutdown_grace_seconds)

    def assemble() -> _Assembled:
        return _assembled(settings, weaver, telemetry, engine, budget)

    unused = [assemble()]  # now, so that what is wrong with the settings is said now

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not unused and engine is not None:
            raise RuntimeError("this application has ended, and so has its engine: make another with create_app")
        made = unused.pop() if unused else assemble()  # what has ended doesn't begin again
        app.state.service = made.service
        async with AsyncExitStack() as stack:
            for close in made.closing:
                stack.push_async_callback(close)
            async with _running(made.service, budget):
                yield

    app = FastAPI(
        title="Weaver",
        version=__version__,
        summary="Agents behind a gateway, traced.",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
        docs_url=None,  # FastAPI's own pages load from other hosts
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(settings),
        telemetry=fastapi_telemetry(telemetry),
    )
    app.state.service = unused[0].service
    for each in (agents, workflows, tasks, openai_compat, health, metrics, index, docs):
        app.include_router(each.router)
    handle_errors(app)
    describe(app, authenticated=bool(settings.api_keys))
    instrument_all(app)
    return app


@dataclass(frozen=True, slots=True)
class _Assembled:
    """A service that nothing has used yet, and what closes its parts, to be called in the reverse order."""

    service: Service
    closing: Sequence[Callable[[], Awaitable[object]]]


def _assembled(
    settings: Settings, weaver: Weaver, telemetry: Telemetry, engine: Engine | None, budget: Budget
) -> _Assembled:
    runner = Runner(weaver, settings)
    runner.prepare()
    own = None  # closed here, for it was made here
    if engine is None and settings.redis_url is not None:
        engine = own = redis_engine(settings, unwind_seconds=budget.unwind, policies=task_policies(weaver))
    engine = engine or EmbeddedEngine(
        task_handler(runner),
        policies=task_policies(weaver),
        concurrency=settings.task_concurrency,
        queue_size=settings.task_queue_size,
        ttl_seconds=settings.task_ttl_seconds,
        max_bytes=settings.task_memory_mb * 1_000_000,
        unwind_seconds=budget.unwind,
    )
    redis = _redis_check(settings, own)
    checks: dict[str, Check] = checks_of(engine, telemetry)
    if redis is not None:
        checks["redis"] = redis
    service = Service(
        settings=settings,
        weaver=weaver,
        runner=runner,
        engine=engine,
        telemetry=telemetry,
        lifecycle=Lifecycle(),
        checks=checks,
        started_at=int(time.time()),
    )
    closing = [part.aclose for part in (redis, own, runner) if part is not None]
    return _Assembled(service, closing)


def _redis_check(settings: Settings, engine: DocketEngine | None) -> RedisCheck | None:
    if engine is not None:
        return RedisCheck(engine.redis)
    return None if settings.redis_url is None else RedisCheck(redis_pool(settings))


def _middleware(settings: Settings) -> list[Middleware]:
    """Outermost first: an error of any of them has the request's ids and is a problem."""
    auth = [Middleware(BearerAuth, keys=settings.api_keys)] if settings.api_keys else []
    return [
        Middleware(RequestContext),
        Middleware(UnhandledErrors),
        *auth,
        Middleware(BodyLimit, limit=settings.max_body_bytes),
    ]


@asynccontextmanager
async def _running(service: Service, budget: Budget) -> AsyncIterator[None]:
    lifecycle, engine = service.lifecycle, service.engine
    drained: asyncio.Task[None] | None = None

    async def drain() -> None:
        nonlocal drained
        if drained is None:
            drained = asyncio.create_task(_drain(service, budget))
        await drained

    await engine.start()
    gauges = EngineMetrics(engine, service.telemetry, service.weaver.capabilities)
    measuring = asyncio.create_task(gauges.refresh(), name="weaver engine metrics")
    lifecycle.phase = "serving"
    try:
        with drain_before_exit(begin=lifecycle.refuse, drain=drain, leave_seconds=budget.flush + budget.leave):
            yield
    finally:
        await drain()
        measuring.cancel()
        lifecycle.phase = "stopped"
        await asyncio.to_thread(service.telemetry.flush, budget.flush)


async def _drain(service: Service, budget: Budget) -> None:
    log_info("draining", running=service.lifecycle.running, grace_seconds=budget.work)
    # Requests wait a little longer than tasks: a stream of a task's events then tells how the task ended.
    report, cut = await asyncio.gather(
        service.engine.drain(budget.work), service.lifecycle.drain(budget.work + budget.unwind, budget.unwind)
    )
    if cut or report.cancelled or report.abandoned:
        log_warning(
            "the grace was over before all work was done",
            requests_cancelled=cut,
            tasks_cancelled=len(report.cancelled),
            tasks_abandoned=len(report.abandoned),
        )
    log_info("drained", tasks_finished=len(report.finished), tasks_handed_back=len(report.handed_back))
