"""Each module can be the first of the package to be imported, with warnings as errors."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import weaver_ai

LIGHT = (
    "weaver_ai",
    "weaver_ai.__main__",
    "weaver_ai.cli",
    "weaver_ai.errors",
    "weaver_ai.pytest_plugin",
    "weaver_ai.testing",
    "weaver_ai.testing.capture",
)
HEAVY_PACKAGES = ("opentelemetry", "logfire", "fastapi", "pydantic", "pydantic_ai", "redis", "httpx", "httpx2")

# A child of its own for each module. What others wrote is imported once, before the first child is born:
# it is most of the time, and what is tested here is whether our modules depend on an order of import.
IMPORT_EACH = """
import gc, importlib, importlib.util, os, sys, traceback
others = ["pytest", "pydantic_ai", "fastapi", "uvicorn", "logfire", "redis.asyncio", "openai", "anthropic",
          "opentelemetry.sdk.trace.export", "opentelemetry.sdk.metrics", "fakeredis", "respx"]
for name in others:
    if importlib.util.find_spec(name.partition(".")[0]) is not None:
        importlib.import_module(name)
assert not [name for name in sys.modules if name.startswith("weaver_ai.")]
gc.disable()  # no child lives long enough to need it; it would copy every page of the parent's
for module in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(module)
        except BaseException:  # the child of a fork ends here, whatever happened
            sys.stderr.write(f"{module}:\\n{traceback.format_exc()}")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
"""


def _modules() -> list[str]:
    found = {module.name for module in pkgutil.walk_packages(weaver_ai.__path__, prefix="weaver_ai.")}
    found.remove("weaver_ai.__main__")
    if find_spec("logfire") is None:
        found.remove("weaver_ai.telemetry.logfire_backend")  # the one file that needs it
    return sorted(found)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(weaver_ai.__file__).parent.parent
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
@pytest.mark.timeout(400)  # half a minute of computing, on a machine that does other things as well
def test_every_module_can_be_imported_first_without_a_warning() -> None:
    modules = _modules()
    assert len(modules) > 20, "the walk found too few modules to be the whole package"
    done = _run("-c", IMPORT_EACH, *modules)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_modules_load_nothing_heavy(module: str) -> None:
    done = _run("-c", f"import sys, {module}; print(sorted(set({HEAVY_PACKAGES!r}) & set(sys.modules)))")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_capture_package_has_its_class() -> None:
    from weaver_ai.testing import capture

    assert capture.Capture.__module__ == "weaver_ai.testing.capture.capture"
    with pytest.raises(AttributeError, match="has no attribute 'Captured'"):
        capture.Captured  # noqa: B018 # the look-up is what is tested
