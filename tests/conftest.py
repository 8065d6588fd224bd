"""What holds for every test of Weaver's own."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# OpenTelemetry's instrumentations read it once for the process: whichever test is the first must not decide the names.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")

# tox sets it, and a shell may: messages would be as wide as somebody's terminal.
os.environ.pop("COLUMNS", None)

# Every server of the tests is on this machine, where a proxy of the developer's leads nowhere.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

pytest_plugins = ["pytester"]


def _use_redis_server(program: str) -> None:
    """Let this be the `redis-server` of the path, for the processes that tests start, too."""
    directory = Path(tempfile.mkdtemp(prefix="weaver-tests-redis-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "redis-server").symlink_to(Path(program).resolve(strict=True))
    os.environ["PATH"] = f"{directory}{os.pathsep}{os.environ['PATH']}"


# Another redis-server than that of the path: WEAVER_TEST_REDIS_SERVER=/opt/redis-6.2/redis-server pytest tests/contract
if wanted := os.environ.pop("WEAVER_TEST_REDIS_SERVER", None):
    _use_redis_server(wanted)

# No deadline for an example: machines are shared. CI generates the same examples each time: what is new is found where
# tests are written, and no change fails by what another one did. The matrix asks every interpreter, more briefly.
settings.register_profile("weaver", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("matrix", settings.get_profile("ci"), max_examples=20)
settings.load_profile("weaver")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for garbage in what the tests make only.

    What importing and collecting make lives until the end, and to go through it time and again was two fifths of the
    time of collecting, in each of the workers.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
