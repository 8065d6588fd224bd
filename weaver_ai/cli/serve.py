"""`weaver serve`: the gateway on a port, with a few lines that say what was chosen."""

from __future__ import annotations

import argparse
import errno
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from weaver_ai import __version__
from weaver_ai.cli.curl import curl_line
from weaver_ai.cli.leaving import leave_within
from weaver_ai.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

    from pydantic import JsonValue

    from weaver_ai.agents import Entry, Runner, Weaver
    from weaver_ai.settings import Settings
    from weaver_ai.telemetry import Telemetry

__all__ = ["add_to", "first_input", "run"]

_LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


def add_to(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "serve",
        help="start the gateway",
        description="Start the gateway. Without a target it serves the built-in support desk; without a provider key, "
        "on an offline model. SIGTERM drains it.",
    )
    parser.add_argument(
        "target", nargs="?", metavar="TARGET", help="module:attribute of a Weaver object, e.g. my_package.agents:weaver"
    )
    parser.add_argument("--host", help="address to bind (WEAVER_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind, 0 for a free one (WEAVER_PORT, 8000)")
    parser.add_argument("--redis", metavar="URL", help="keep tasks in this Redis, for workers (WEAVER_REDIS_URL)")
    parser.add_argument("--log-level", choices=_LOG_LEVELS, default="warning", help="of the server's log (warning)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; both end it with 0 once it has drained."""
    for module in ("fastapi", "uvicorn", "pydantic_ai"):
        if find_spec(module) is None:
            raise MissingExtra("'weaver serve'", "gateway")
    from weaver_ai.agents import load_target
    from weaver_ai.settings import export_provider_variables, load_settings

    given = {"host": options.host, "port": options.port, "target": options.target, "redis_url": options.redis}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    export_provider_variables()
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it: the user's package needn't be installed
    weaver = load_target(settings.target)
    with _bound(settings.host, settings.port) as listener:
        return _serve(settings, weaver, listener, options.log_level)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "another program listens there" if taken else error.strerror
        hint = "take another with --port, or 0 for a free one" if taken else None
        raise SettingsError(f"can't listen on {host}:{port}: {reason}", hint=hint) from error


def _serve(settings: Settings, weaver: Weaver, listener: socket.socket, log_level: str) -> int:
    import uvicorn

    from weaver_ai.gateway.application import create_app
    from weaver_ai.gateway.shutdown import Budget
    from weaver_ai.telemetry import configure_telemetry

    telemetry = configure_telemetry(settings)
    app = create_app(settings, weaver, telemetry)
    host, port = listener.getsockname()[:2]

    class Server(uvicorn.Server):
        """Tells where it listens once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            service = app.state.service
            print("\n".join(_banner(settings, service.runner, telemetry, _url(host, port))), flush=True)
            if settings.redis_url is not None and (health := await service.engine.health()).latency is None:
                print(f"  waiting    {health.reason}", flush=True)

    config = uvicorn.Config(
        app,
        http=_http_protocol(),
        loop="auto",
        lifespan="on",
        # With handlers of its own, made after telemetry was configured, nothing of it would get there.
        log_config=None if telemetry.enabled else uvicorn.config.LOGGING_CONFIG,
        log_level=log_level,
        access_log=False,  # each request is a span
        server_header=False,
        timeout_graceful_shutdown=1,  # the lifespan's drain has waited already
    )
    server = Server(config)
    # uvicorn raises the signal again when it has shut down, for whoever started it; here that is the end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _nothing)
    server.run(sockets=[listener])
    leave_within(max(1.0, Budget(settings.shutdown_grace_seconds).flush))
    return 0


def _http_protocol() -> type[asyncio.Protocol] | Literal["auto"]:
    if sys.platform == "win32":  # without httptools; h11 has a limit of its own
        return "auto"
    from weaver_ai.cli.bounded_http import BoundedHttp

    return BoundedHttp


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 # a comparison, nothing is bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _banner(settings: Settings, runner: Runner, telemetry: Telemetry, url: str) -> Iterator[str]:
    weaver = runner.weaver
    yield f"weaver {__version__} serves {settings.target or 'the built-in support desk'} on {url}"
    yield f"  agents     {', '.join(weaver.agents) or 'none'}"
    if weaver.workflows:
        yield f"  workflows  {', '.join(weaver.workflows)}"
    yield f"  models     {_models(runner)}"
    yield f"  engine     {_engine(settings)}"
    yield f"  telemetry  {telemetry.name}, {telemetry.environment}"
    yield f"  look       {url}/docs   {url}/health   {url}/metrics"
    if curl := _curl(settings, weaver, url):
        yield "Try it:"
        yield f"  {curl}"


def _engine(settings: Settings) -> str:
    from weaver_ai.tasks.choose import shown_redis

    if settings.redis_url is None:
        return f"embedded: {settings.task_concurrency} tasks at a time, kept in this process"
    return f"docket on {shown_redis(settings)}: tasks are run by 'weaver worker{_argument(settings.target)}'"


def _argument(target: str | None) -> str:
    return f" {shlex.quote(target)}" if target is not None else ""


def _models(runner: Runner) -> str:
    from weaver_ai.agents.models import is_offline, leaves

    used = [leaf for entry in runner.weaver.agents.values() for leaf in leaves(runner.models.of(entry))]
    real = dict.fromkeys(f"{leaf.system}:{leaf.model_name}" for leaf in used if not is_offline(leaf))
    offline = (
        ["offline: made-up answers, always the same, no cost; set OPENAI_API_KEY or ANTHROPIC_API_KEY for real ones"]
        if any(map(is_offline, used))
        else []
    )
    return ", ".join([*real, *offline]) or "none"


def _curl(settings: Settings, weaver: Weaver, url: str) -> str | None:
    if (found := first_input(settings, weaver)) is None:
        return None
    entry, value = found
    return curl_line(f"{url}/v1/{entry.kind}s/{entry.name}/run", {"input": value}, settings)


def first_input(settings: Settings, weaver: Weaver) -> tuple[Entry, JsonValue] | None:
    """What a newcomer may run first, and on what: the first workflow for which an input can be found, or an agent."""
    from weaver_ai.agents.target import BUILT_IN_TARGET
    from weaver_ai.cli.sample import TEXT, sample_of

    if settings.target in (None, BUILT_IN_TARGET):
        return weaver.workflows["support"], "Please refund order 7, it arrived broken."
    for workflow in weaver.workflows.values():
        try:
            value = sample_of(workflow.input_schema)
            workflow.validate(value)
        except Exception:  # noqa: BLE001, S112 # the user's own types raise anything; this line is only a hint
            continue
        return workflow, value
    agent = next(iter(weaver.agents.values()), None)
    return None if agent is None else (agent, TEXT)
