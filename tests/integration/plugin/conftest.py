"""Runs a test file under the plugin: in an interpreter of its own, where nobody has set a provider yet, or here."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Protocol

# OpenTelemetry may be imported once a process only; a run in this process would import it, and drop it again.
import opentelemetry.sdk._logs
import opentelemetry.sdk.metrics
import opentelemetry.sdk.trace.export
import opentelemetry.sdk.trace.export.in_memory_span_exporter  # noqa: F401
import pytest

HEAD = """
import asyncio, threading
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

def names(spans):
    return [span.name for span in spans.all()]
"""


class Run(Protocol):
    def __call__(self, source: str, *arguments: str, plugins: Sequence[str] = ()) -> pytest.RunResult: ...


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run this source under the plugin and, beside it, only the plugins that are named."""
    return _runner(pytester, monkeypatch, pytester.runpytest_subprocess)


@pytest.fixture
def run_here(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `run`, in this process, which is faster: for sources that set nothing global."""
    return _runner(pytester, monkeypatch, pytester.runpytest_inprocess)


def _runner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, start: Callable[..., pytest.RunResult]) -> Run:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("CI", "BUILD_NUMBER"):  # where pytest prints more
        monkeypatch.delenv(name, raising=False)

    def run_file(source: str, *arguments: str, plugins: Sequence[str] = ()) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + textwrap.dedent(source))
        loaded = [option for plugin in ("weaver_ai.pytest_plugin", *plugins) for option in ("-p", plugin)]
        return start(*loaded, "-p", "no:cacheprovider", *arguments)

    return run_file
