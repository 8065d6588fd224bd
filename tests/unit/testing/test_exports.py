"""What `weaver_ai.testing` names, and what naming it loads."""

from __future__ import annotations

import subprocess
import sys

import weaver_ai.testing

SOURCE = """
import sys
from weaver_ai.testing import Log, Metric, Spans, log, metric, span

def heavy():
    return sorted({name.split(".")[0] for name in sys.modules} & {"opentelemetry", "logfire", "pydantic", "pytest"})

assert heavy() == [], heavy()
import weaver_ai.testing
assert weaver_ai.testing.Logs.__module__ == "weaver_ai.testing.signals.logs"
assert heavy() == [], heavy()
from weaver_ai.testing import Metrics
assert heavy() == ["opentelemetry"], heavy()
"""


def test_every_name_is_there() -> None:
    assert [name for name in weaver_ai.testing.__all__ if not hasattr(weaver_ai.testing, name)] == []
    assert not hasattr(weaver_ai.testing, "Gauges")


def test_the_types_of_fixtures_load_the_sdk_only_where_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SOURCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
