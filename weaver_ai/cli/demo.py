"""`weaver demo cluster`: Redis, two gateways and two workers on this machine, for a look."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from weaver_ai.cli.crew import Crew, Member, MemberFailed
from weaver_ai.cli.curl import curl_line
from weaver_ai.errors import MissingExtra, SettingsError
from weaver_ai.watchdog import Watchdog

if TYPE_CHECKING:
    from weaver_ai.agents import Weaver
    from weaver_ai.settings import Settings

__all__ = ["add_to"]

_FAILED: Final = 1
_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 90.0
_PORTS: Final = 100


def add_to(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and what it can show."""
    parser = verbs.add_parser("demo", help="start a whole cluster on this machine, for a look")
    shows = parser.add_subparsers(dest="show", metavar="WHAT", required=True)
    cluster = shows.add_parser(
        "cluster",
        help="redis-server, two gateways and two workers, until Ctrl-C",
        description="Start a redis-server, two gateways and two workers on this machine, show what each of them "
        "prints, and end them all on Ctrl-C or SIGTERM. Nothing is left behind. Without a target they serve the "
        "built-in support desk, on the offline model.",
    )
    cluster.add_argument("target", nargs="?", metavar="TARGET", help="module:attribute of a Weaver object")
    cluster.add_argument("--port", type=int, help="of the first gateway, or the next that is free (WEAVER_PORT, 8000)")
    cluster.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for module, extra in (("fastapi", "gateway"), ("pydantic_ai", "gateway"), ("docket", "redis")):
        if find_spec(module) is None:
            raise MissingExtra("'weaver demo cluster'", extra)
    if (redis := shutil.which("redis-server")) is None:
        raise SettingsError(
            "'weaver demo cluster' needs redis-server, which is not installed",
            hint="apt-get install redis-server, or brew install redis",
        )
    from weaver_ai.agents import load_target
    from weaver_ai.settings import export_provider_variables, load_settings

    given = {"target": options.target, "port": options.port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    export_provider_variables()
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it: the user's package needn't be installed
    return asyncio.run(_cluster(redis, settings, load_target(settings.target)))


async def _cluster(redis: str, settings: Settings, weaver: Weaver) -> int:
    with tempfile.TemporaryDirectory(prefix="weaver-demo-") as directory:
        crew, stop = Crew(Watchdog(Path(directory))), asyncio.Event()

        def end() -> None:
            if stop.is_set():  # asked for again: no patience any more
                crew.kill()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, end)
        try:
            return await _unless(stop, _show(crew, redis, settings, weaver, Path(directory)))
        except MemberFailed as failed:
            print(f"weaver: {failed}", file=sys.stderr)
            return _FAILED
        finally:
            await crew.end(settings.shutdown_grace_seconds + 10)


async def _unless(stop: asyncio.Event, showing: Coroutine[Any, Any, int]) -> int:
    work = asyncio.create_task(showing)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, stopped):
        task.cancel()
    await asyncio.wait({work})
    return 0 if work.cancelled() else work.result()


async def _show(crew: Crew, redis: str, settings: Settings, weaver: Weaver, directory: Path) -> int:
    """Start all, tell where everything is, and tell of who ends, until none is left."""
    print("weaver demo: redis-server, two gateways and two workers start", flush=True)
    redis_port, *ports = _free_port(), *_free_pair(settings.port)
    options = f"--bind {_HOST} --port {redis_port} --dir {directory} --appendonly yes --save"
    server = await crew.start(
        "redis", [redis, *options.split(), ""], os.environ, lambda line: "ready to accept" in line.lower()
    )
    await crew.all_ready(_START_SECONDS)
    env = {**os.environ, "WEAVER_REDIS_URL": f"redis://{_HOST}:{redis_port}"}
    target = [settings.target] if settings.target is not None else []
    if not target:
        env["WEAVER_MODEL"] = "offline"  # a look costs nothing, whatever keys are set
    gateways, workers = [], []
    for number, port in enumerate(ports, 1):
        place = ("--host", _HOST, "--port", str(port))
        gateways.append(await crew.start_weaver(f"gateway {number}", "serve", *target, *place, env=env))
        workers.append(await crew.start_weaver(f"worker {number}", "worker", *target, env=env))
    await crew.all_ready(_START_SECONDS)
    print("\n".join(_banner(settings, weaver, (server, *gateways, *workers), (redis_port, *ports))), flush=True)
    await crew.watch()
    return _FAILED


def _banner(settings: Settings, weaver: Weaver, members: tuple[Member, ...], ports: tuple[int, ...]) -> Iterator[str]:
    server, *others = members
    urls = [f"http://{_HOST}:{port}" for port in ports[1:]]
    yield f"weaver demo: {settings.target or 'the built-in support desk'} runs on this machine, until Ctrl-C"
    for url, member in zip(urls, others[:2], strict=True):
        yield f"  {member.name:<9}  {url}  (pid {member.pid})"
    for member in others[2:]:
        yield f"  {member.name:<9}  pid {member.pid}"
    yield f"  redis      redis://{_HOST}:{ports[0]}  (pid {server.pid})"
    yield f"  look       {urls[0]}/health   {urls[0]}/metrics   {urls[0]}/docs"
    if curl := _curl(settings, weaver, urls[0]):
        yield f"Try it, read what came of it at {urls[1]}/v1/tasks/TASK_ID, and kill -9 a worker meanwhile:"
        yield f"  {curl}"


def _curl(settings: Settings, weaver: Weaver, url: str) -> str | None:
    from weaver_ai.cli.serve import first_input

    if (found := first_input(settings, weaver)) is None:
        return None
    entry, value = found
    return curl_line(f"{url}/v1/tasks", {"capability": entry.capability, "input": value}, settings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _free_pair(first: int) -> tuple[int, int]:
    """Two ports in a row; from `first` on, unless that is 0."""
    if first == 0:
        first = _free_port()
    for port in range(first, first + _PORTS):
        if _is_free(port) and _is_free(port + 1):
            return port, port + 1
    raise SettingsError(f"no two ports in a row are free from {first} on", hint="take others with --port")


def _is_free(port: int) -> bool:
    try:
        socket.create_server((_HOST, port)).close()
    except (OSError, OverflowError):
        return False
    return True
