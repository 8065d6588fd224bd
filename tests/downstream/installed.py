"""The extra `testing` in an environment of its own: `tox -e downstream` runs this there, before anything else is added.

Its name keeps it out of the suite, whose environment has all the extras and a dozen plugins.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

LISTS_MODULES = """
import json, sys

def pytest_unconfigure():
    print("LOADED", json.dumps(sorted(sys.modules)))
"""
PYTESTS_OWN = {"_pytest", "iniconfig", "packaging", "pluggy", "py", "pygments", "pytest"}


def session(where: Path, test: str, *options: str) -> str:
    """What a session of this one test prints, with whatever plugins the environment has."""
    (where / "pytest.ini").touch()
    (where / "conftest.py").write_text(LISTS_MODULES)
    (where / "test_one.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-s", "-q", *options]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=60).stdout


def loaded(output: str) -> set[str]:
    return set(json.loads(output.partition("LOADED ")[2]))


def test_the_only_plugin_is_weavers():
    assert [point.value for point in entry_points(group="pytest11")] == ["weaver_ai.pytest_plugin"]


def test_a_session_that_uses_nothing_loads_pytest_and_the_standard_library(tmp_path: Path):
    test = "def test_one(tmp_path): assert True\n"
    with_it, without = (loaded(session(tmp_path, test, *options)) for options in ((), ("-p", "no:weaver")))

    assert with_it - without == {"weaver_ai", "weaver_ai.pytest_plugin"}
    before_pytest = {"__main__", "sitecustomize", "_virtualenv", "_distutils_hack"}
    tops = {name.partition(".")[0] for name in with_it} - sys.stdlib_module_names
    assert tops - PYTESTS_OWN - before_pytest == {"conftest", "test_one", "weaver_ai"}


def test_each_fake_says_in_one_line_what_to_install(tmp_path: Path):
    fixtures = ("providers", "fake_redis", "frozen_clock", "skewed_clock")
    output = session(tmp_path, "".join(f"def test_{name}({name}): ...\n" for name in fixtures))
    for name in fixtures:
        said = f"the fixture '{name}' needs the extra 'fakes': pip install 'weaver-ai[testing,fakes]'"
        assert said in output.splitlines(), output
    assert "Traceback" not in output
    assert ">  " not in output
    assert "During handling" not in output


def test_the_cluster_says_in_one_line_what_to_install(tmp_path: Path):
    output = session(tmp_path, "def test_one(weaver_cluster): ...\n")
    said = "the fixture 'weaver_cluster' needs the extra 'redis': pip install 'weaver-ai[testing,gateway,redis]'"
    assert said in output.splitlines(), output
    assert ">  " not in output
    assert "During handling" not in output


def test_everything_else_is_there(tmp_path: Path):
    output = session(
        tmp_path,
        "from opentelemetry import trace\n\n\n"
        "def test_one(spans, logs, metrics, invariants, otlp, faults, no_extra, no_logfire):\n"
        "    trace.get_tracer('shop').start_span('refund').end()\n"
        "    spans.one('refund')\n",
    )
    assert "1 passed" in output, output
