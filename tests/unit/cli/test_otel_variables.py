from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from weaver_ai.cli.otel_variables import wrong_variable


def _raised(by: Callable[[], object]) -> ValueError:
    with pytest.raises(ValueError, match=r".") as caught:
        by()
    return caught.value


def test_what_opentelemetry_says_has_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "many")
    assert wrong_variable(_raised(SpanLimits), os.environ) == (
        "OTEL_SPAN_LINK_COUNT_LIMIT must be a non-negative integer but got many"
    )


def test_a_variable_is_found_by_its_value() -> None:
    said = _raised(lambda: TraceIdRatioBased(1.5))
    environment = {"OTEL_SOME_RATIO": "Probability", "OTHER": str(said), "OTEL_EMPTY": ""}
    assert wrong_variable(said, environment) == f"OTEL_SOME_RATIO: {said}"
    assert wrong_variable(said, {}) == f"a variable of OpenTelemetry (OTEL_*): {said}"


def test_an_error_from_elsewhere_is_none_of_it() -> None:
    assert wrong_variable(_raised(lambda: int("many")), {"OTEL_SPAN_LINK_COUNT_LIMIT": "many"}) is None


def test_the_command_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weaver_ai", "serve"],
        env={**os.environ, "OTEL_PROPAGATORS": "tracecontext,b33"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    line = "weaver: OTEL_PROPAGATORS: Propagator b33 not found. It is either misspelled or not installed.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
