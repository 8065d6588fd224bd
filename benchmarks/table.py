"""Prints a table, and keeps it under `results/`: what was measured, on what, with which versions."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["publish"]

RESULTS = Path(__file__).parent / "results"


def publish(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    packages: Sequence[str],
    verdict: str,
) -> None:
    """Write `results/<name>.md` and print the same."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    head, *lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (columns, *rows)
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    server = _redis_server() if "redis" in packages else ""
    where = f"{datetime.now(UTC):%Y-%m-%d}; " + "; ".join(filter(None, [machine, _versions(packages), server]))
    text = "\n".join([f"# {title}", "", head, rule, *lines, "", verdict, "", where, ""])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _versions(packages: Sequence[str]) -> str:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _redis_server() -> str:
    """Of the program that the benchmarks start: "redis-server 7.0.15"."""
    program = shutil.which("redis-server")
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = [word.removeprefix("v=") for word in said.split() if word.startswith("v=")]
    return f"redis-server {found[0]}" if found else ""
