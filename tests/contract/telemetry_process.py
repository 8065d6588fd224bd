"""Runs a scenario of `telemetry_scenarios` in a fresh interpreter: global providers are set once per process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

BACKENDS = ("logfire", "opentelemetry")

_ROOT = Path(__file__).parents[2]
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Outcome:
    """What the process left: the object that the scenario returned, and what it wrote to the console.

    `seconds` is how long it ran, `ended` when it did, as `time.time`.
    """

    result: Any
    console: str
    seconds: float
    ended: float
    files: tuple[str, ...]


def run_scenario(name: str, backend: str, where: Path, env: dict[str, str] | None = None) -> Outcome:
    """Run it with an empty environment besides `env`, in the directory `where`; a failure shows its output.

    `backend` "opentelemetry" makes Logfire not importable; "logfire" skips the test where it isn't installed.
    """
    if backend == "logfire" and find_spec("logfire") is None:
        pytest.skip("Logfire isn't installed here")
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    before = set(where.iterdir())
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.contract.telemetry_scenarios", name, backend],
        cwd=where,
        env={**kept, "PYTHONPATH": str(_ROOT), "PYDANTIC_DISABLE_PLUGINS": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    seconds, ended = time.monotonic() - begun, time.time()
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    result = json.loads(done.stdout.splitlines()[-1])
    files = tuple(sorted(path.name for path in set(where.iterdir()) - before))
    return Outcome(result, done.stderr, seconds, ended, files)
