"""What the installed plugin adds to a session of one test that uses none of it.

    python benchmarks/startup.py [rounds]

It is compared with a plugin of no lines: `-p` alone makes pytest read the metadata of every package.
Each round starts the same session under each set of plugins, in turn, so that a noisy moment hits all.
What is added is the median, over the rounds, of the difference within a round. Bytecode is cached, as
it is by default; where PYTHONDONTWRITEBYTECODE is set, pytest compiles each plugin each time.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import publish

PLUGINS = {
    "with an empty plugin": ["-p", "empty"],
    "with weaver-ai": ["-p", "weaver_ai.pytest_plugin"],
    "with Logfire's (capfire)": ["-p", "logfire.testing", "-p", "logfire._internal.integrations.pytest"],
}
LIMIT_MS = 10.0


def environment(where: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cache = {"PYTHONPYCACHEPREFIX": str(where / "cache"), "PYTHONHASHSEED": "0"}
    return {**kept, **cache, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def measure(options: list[str], where: Path) -> tuple[float, float]:
    """Wall and CPU milliseconds of one session."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=where,
        env=environment(where),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in PLUGINS}
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        (where / "empty.py").touch()
        (where / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
        for _ in range(rounds + 1):
            for name, options in PLUGINS.items():
                times[name].append(measure(options, where))
    times = {name: each[1:] for name, each in times.items()}
    rows, added = [], {}
    for name, each in times.items():
        pairs = zip(each, times["with an empty plugin"], strict=True)
        added[name] = statistics.median(ours[1] - alone[1] for ours, alone in pairs)
        wall, cpu = (statistics.median(column) for column in zip(*each, strict=True))
        rows.append([name, f"{wall:.0f} ms", f"{cpu:.0f} ms", f"{added[name]:+.1f} ms"])
    ours = added["with weaver-ai"]
    held = "holds" if ours <= LIMIT_MS else "does NOT hold"
    publish(
        "startup",
        "Start-up: a session of one test that uses nothing",
        ["session", "wall", "CPU", "added CPU"],
        rows,
        packages=["pytest", "weaver-ai", "logfire", "opentelemetry-sdk"],
        verdict=f"Expected: at most {LIMIT_MS:.0f} ms added; {held} ({ours:+.1f} ms, {rounds} rounds).",
    )


if __name__ == "__main__":
    main()
