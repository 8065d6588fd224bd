"""What the installed plugin adds to a session of one test that uses none of it.

    python benchmarks/startup.py [rounds]

Two environments are made with uv, as a reader would: one has pytest, the other `weaver-ai[testing]` from the wheel of
this checkout. Whole processes are compared, with all that an installation adds: pytest reads the metadata of each
package that is there, and loads each plugin among them. Beside them, in the environment of this checkout, single
plugins that are named by `-p`, against an empty one.

Each round starts the same session in each way, in turn, so that a noisy moment hits all; every other round in reverse.
What is added is the median, over the rounds, of the difference within a round. Bytecode is cached, as it is by
default; where PYTHONDONTWRITEBYTECODE is set, pytest compiles each plugin each time.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from table import publish

CHECKOUT = Path(__file__).parents[1]
LIMIT_MS = 10.0
INSTALLED = "weaver-ai[testing] installed"


@dataclass(frozen=True)
class Session:
    """A way to start pytest, and the name of the one that it is compared with."""

    python: str
    options: tuple[str, ...]
    autoload: bool
    base: str


def environments(where: Path) -> dict[str, Session]:
    """Two fresh ones: bare pytest, and the extra `testing`."""
    build = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(where / "dist"), str(CHECKOUT)]
    subprocess.run(build, check=True)
    wheel = next((where / "dist").glob("*.whl"))
    bare, light = _environment(where / "bare", "pytest"), _environment(where / "light", f"{wheel}[testing]")
    return {
        "pytest alone": Session(bare, (), True, "pytest alone"),
        INSTALLED: Session(light, (), True, "pytest alone"),
    }


def _environment(at: Path, requirement: str) -> str:
    python = str(at / "bin" / "python")
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(at)], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, requirement], check=True)
    return python


def plugins() -> dict[str, Session]:
    """Single ones, in this environment."""
    named = {
        "an empty plugin, by -p": ("-p", "empty"),
        "weaver-ai's, by -p": ("-p", "weaver_ai.pytest_plugin"),
        "Logfire's (capfire), by -p": ("-p", "logfire.testing", "-p", "logfire._internal.integrations.pytest"),
    }
    return {name: Session(sys.executable, options, False, next(iter(named))) for name, options in named.items()}


def measure(session: Session, where: Path) -> tuple[float, float]:
    """Wall and CPU milliseconds of one session."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}}
    environment = {**kept, "PYTHONHASHSEED": "0"}
    if not session.autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [session.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *session.options],
        cwd=where,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as directory:
        sessions = {**environments(Path(directory)), **plugins()}
        where = Path(directory) / "repository"
        where.mkdir()
        (where / "empty.py").touch()
        (where / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sessions}
        for number in range(rounds + 1):
            for name in list(sessions) if number % 2 else reversed(sessions):
                times[name].append(measure(sessions[name], where))
    times = {name: each[1:] for name, each in times.items()}  # the first has compiled everything
    rows, added = [], {}
    for name, each in times.items():
        pairs = list(zip(each, times[sessions[name].base], strict=True))
        more_wall, added[name] = (statistics.median(ours[k] - base[k] for ours, base in pairs) for k in (0, 1))
        wall, cpu = (statistics.median(column) for column in zip(*each, strict=True))
        rows.append([name, f"{wall:.0f} ms", f"{cpu:.0f} ms", f"{more_wall:+.1f} ms", f"{added[name]:+.1f} ms"])
    ours = added[INSTALLED]
    held = "holds" if ours <= LIMIT_MS else "does NOT hold"
    publish(
        "startup",
        "Start-up: a session of one test that uses nothing",
        ["session", "wall", "CPU", "added wall", "added CPU"],
        rows,
        packages=["pytest", "weaver-ai", "logfire", "opentelemetry-sdk"],
        verdict=f"Expected: at most {LIMIT_MS:.0f} ms of CPU added by {INSTALLED} with all that it brings; "
        f"{held} ({ours:+.1f} ms, {rounds} rounds).",
    )


if __name__ == "__main__":
    main()
