"""Installed and unused, the plugin is pytest and the standard library."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

LISTS = """
import sys

HEAVY = {"opentelemetry", "logfire", "fastapi", "starlette", "pydantic", "pydantic_ai", "pydantic_settings", "httpx",
         "httpx2", "redis", "fakeredis", "respx", "anyio", "asyncio"}

class AtTheEnd:
    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        print("LOADED", *sorted(HEAVY & set(sys.modules)), *sorted(m for m in sys.modules if m.startswith("weaver_ai")))
"""


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [("assert True", {"passed": 1}), ("assert [1] == [2]", {"failed": 1}), ("pytest.skip()", {"skipped": 1})],
)
def test_a_session_that_uses_none_of_it_loads_none_of_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, body: str, outcomes: dict[str, int]
) -> None:
    """The list is made after everything else, in `pytest_unconfigure`."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(
        f"import pytest\n{LISTS}\ndef pytest_configure(config):\n    config.pluginmanager.register(AtTheEnd())\n"
    )
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.weaver(check_open=False)
        @pytest.mark.parametrize("one", [1])
        def test_it(tmp_path, one):
            {body}
        """
    )
    result = pytester.runpytest_subprocess("-p", "weaver_ai.pytest_plugin", "-s", "--strict-markers")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines(["LOADED weaver_ai weaver_ai.pytest_plugin"])


def test_collecting_only_loads_none_of_it(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it(spans):
            pass

        @pytest.fixture(scope="session", autouse=True)
        def unused():
            raise AssertionError

        class AtTheEnd:
            def pytest_unconfigure(self):
                print("LOADED", *sorted(m for m in sys.modules if m.startswith("weaver_ai")))

        def pytest_generate_tests(metafunc):
            metafunc.config.pluginmanager.register(AtTheEnd())
        """,
        "--collect-only",
        "-s",
    )
    result.stdout.fnmatch_lines(["LOADED weaver_ai weaver_ai.pytest_plugin"])


def test_spans_alone_load_neither_the_service_nor_the_other_signals(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it(spans):
            trace.get_tracer("x").start_span("a").end()
            spans.one("a")
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert loaded.isdisjoint({"logfire", "fastapi", "pydantic", "pydantic_settings", "httpx", "redis"})
            assert "opentelemetry.sdk.metrics" not in sys.modules or ALREADY
            assert "weaver_ai.testing.capture.metric_taps" not in sys.modules
            assert "weaver_ai.testing.capture.log_taps" not in sys.modules
            assert "weaver_ai.settings" not in sys.modules

        import opentelemetry.sdk.trace
        ALREADY = "opentelemetry.sdk.metrics" in sys.modules
        """
    )
    result.assert_outcomes(passed=1)
