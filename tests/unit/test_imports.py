"""Each module starts alone, in an interpreter that has loaded nothing else, with warnings as errors."""

from __future__ import annotations

import concurrent.futures
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import weaver_ai

LIGHT = ("weaver_ai", "weaver_ai.__main__", "weaver_ai.cli", "weaver_ai.errors", "weaver_ai.pytest_plugin")
HEAVY_PACKAGES = ("opentelemetry", "logfire", "fastapi", "pydantic", "pydantic_ai", "redis", "httpx", "httpx2")


def _modules() -> list[str]:
    found = pkgutil.walk_packages(weaver_ai.__path__, prefix="weaver_ai.")
    return ["weaver_ai", *sorted(module.name for module in found if module.name != "weaver_ai.__main__")]


def _import_alone(module: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {module}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(weaver_ai.__file__).parent.parent,
    )
    return module, done.stderr if done.returncode else ""


def test_every_module_imports_alone_without_a_warning() -> None:
    modules = _modules()
    assert len(modules) > 20, "the walk found too few modules to be the whole package"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failures = {module: error for module, error in pool.map(_import_alone, modules) if error}
    assert failures == {}


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY_PACKAGES!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
