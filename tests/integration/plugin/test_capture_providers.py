"""Point 1, 2 and 4 of "Capture in tests: what must hold": whichever provider, whenever it was set, every span.

Each test names the line that it guards: it was seen failing without it.
"""

from __future__ import annotations

import sys

import pytest

from tests.integration.plugin.conftest import Run


def test_no_provider_was_ever_set(run: Run) -> None:
    """Guards `replace_trace_proxies` in `Capture.start`."""
    run("""
        AT_IMPORT = trace.get_tracer("at.import")

        def test_one(spans):
            with AT_IMPORT.start_as_current_span("outer"):
                with trace.get_tracer("now").start_as_current_span("inner"):
                    pass
            assert names(spans) == ["outer", "inner"]
            assert spans.one("inner").parent.name == "outer"

        def test_again(spans):
            AT_IMPORT.start_span("second").end()
            assert names(spans) == ["second"]
    """).assert_outcomes(passed=2)


def test_the_code_under_test_sets_its_provider_after_the_fixture_gave_one(run: Run) -> None:
    """Guards that the stand-in isn't set as the global provider, which can be done only once."""
    result = run("""
        from opentelemetry.sdk.resources import Resource

        AT_IMPORT = trace.get_tracer("at.import")

        def test_before(spans):
            AT_IMPORT.start_span("before").end()
            assert names(spans) == ["before"]

        def test_during(spans, caplog):
            AT_IMPORT.start_span("stand-in").end()
            provider = TracerProvider(resource=Resource({"service.name": "shop"}))
            exporter = InMemorySpanExporter()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            trace.set_tracer_provider(provider)
            assert caplog.messages == []
            assert trace.get_tracer_provider() is provider
            AT_IMPORT.start_span("mine").end()
            assert names(spans) == ["stand-in", "mine"]
            assert spans.one("mine").resource["service.name"] == "shop"
            assert [span.name for span in exporter.get_finished_spans()] == ["mine"]

        def test_after(spans):
            AT_IMPORT.start_span("later").end()
            assert spans.one("later").resource["service.name"] == "shop"
    """)
    result.assert_outcomes(passed=3)


def test_the_code_under_test_turns_tracing_off_on_purpose(run: Run) -> None:
    """Guards `_unset()` in `replace_trace_proxies`: a no-op provider is a provider."""
    run("""
        AT_IMPORT = trace.get_tracer("at.import")

        def test_off(spans):
            trace.set_tracer_provider(trace.NoOpTracerProvider())
            AT_IMPORT.start_span("off").end()
            assert names(spans) == []
    """).assert_outcomes(passed=1)


def test_providers_from_before_the_session_or_without_being_global(run: Run) -> None:
    """Guards the tap on the class, `_patches.replace(sdk.Tracer, "start_span", ...)`."""
    run("""
        BEFORE = TracerProvider(shutdown_on_exit=False)
        AT_IMPORT = BEFORE.get_tracer("at.import")
        trace.set_tracer_provider(BEFORE)

        def test_before(spans):
            AT_IMPORT.start_span("global").end()
            TracerProvider(shutdown_on_exit=False).get_tracer("x").start_span("private").end()
            assert names(spans) == ["global", "private"]

        def test_shut_down(spans):
            provider = TracerProvider(shutdown_on_exit=False)
            tracer = provider.get_tracer("x")
            provider.shutdown()
            tracer.start_span("dead").end()
            assert names(spans) == ["dead"]
    """).assert_outcomes(passed=2)


def test_a_library_resets_the_global_provider(run: Run) -> None:
    """Guards the tap on the class: no processor of the first provider sees the second."""
    run("""
        from opentelemetry.util._once import Once

        def test_reset(spans):
            trace.set_tracer_provider(TracerProvider())
            first = trace.get_tracer("a")
            first.start_span("first").end()
            trace._TRACER_PROVIDER_SET_ONCE = Once()
            trace._TRACER_PROVIDER = None
            trace.set_tracer_provider(TracerProvider())
            trace.get_tracer("a").start_span("second").end()
            first.start_span("third").end()
            assert names(spans) == ["first", "second", "third"]
    """).assert_outcomes(passed=1)


def test_processors_that_run_in_a_pool(run: Run) -> None:
    """Guards that a tap runs in the emitting thread: a processor of this provider would have no context."""
    run("""
        from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor

        def test_concurrent(spans):
            provider = TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor(2), shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
            with provider.get_tracer("x").start_as_current_span("outer"):
                assert spans.one("outer").is_open
                provider.get_tracer("x").start_span("inner").end()
            assert [(span.name, span.is_open) for span in spans.all()] == [("outer", False), ("inner", False)]
    """).assert_outcomes(passed=1)


def test_every_span_is_recorded_unless_the_test_asks_for_sampling(run: Run) -> None:
    """Guards `twin.sampler = ALWAYS_ON` in `_left_out`, and the count of what the sampler dropped."""
    result = run("""
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio

        OFF = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("off")
        RATIO = TracerProvider(sampler=ParentBasedTraceIdRatio(0.0), shutdown_on_exit=False).get_tracer("ratio")

        def test_always_on(spans):
            with OFF.start_as_current_span("off", attributes={"kept": True}) as span:
                assert span.get_span_context().trace_flags.sampled
            RATIO.start_span("ratio").end()
            assert names(spans) == ["off", "ratio"]
            assert spans.one("off").attributes["kept"] is True

        @pytest.mark.weaver(sampling="provider")
        def test_provider(spans):
            with OFF.start_as_current_span("off"):
                RATIO.start_span("ratio").end()
            assert names(spans) == []
            spans.one("ratio")

        def test_unused():
            assert not OFF.start_span("off").is_recording()
    """)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*sampled out: 2 spans ('off', 'ratio')*"])


def test_logfire_configured_inside_the_test_and_twice(run: Run) -> None:
    """Guards the taps, and `_index`: a pending span has an id that no live span has, so it isn't shown."""
    run(
        """
        import logfire

        AT_IMPORT = trace.get_tracer("at.import")

        def configure():
            logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)

        def test_during(spans):
            configure()
            with logfire.span("first {n}", n=1):
                assert [span.is_open for span in spans.all()] == [True]
            configure()
            with logfire.span("second"):
                AT_IMPORT.start_span("inner").end()
            logfire.info("a point")
            assert names(spans) == ["first {n}", "second", "inner", "a point"]
            assert spans.one("inner").parent.name == "second"

        def test_pending_spans(spans):
            from logfire.testing import TestExporter

            exporter = TestExporter()
            logfire.configure(
                send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)]
            )
            with logfire.span("once"):
                pass
            assert [span.name for span in exporter.exported_spans] == ["once", "once"]
            assert names(spans) == ["once"]

        def test_what_is_scrubbed_is_scrubbed(spans):
            configure()
            with logfire.span("login", password="hunter" + "2"):
                pass
            assert spans.one("login").attributes["password"] == "[Scrubbed due to 'password']"
        """,
        "-W",
        "ignore",
    ).assert_outcomes(passed=3)


def test_a_rewriting_processor_shows_what_is_exported(run: Run) -> None:
    """Guards `found.rewritten = version` in `Recording._match_versions`."""
    run("""
        from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

        class Rewrite(SpanProcessor):
            def __init__(self, inner):
                self.inner = inner
            def on_end(self, span):
                self.inner.on_end(ReadableSpan(name=span.name, context=span.context, start_time=span.start_time,
                    resource=span.resource, end_time=span.end_time, attributes={"user": "***"}))

        @pytest.mark.parametrize("raw_first", [True, False])
        def test_rewritten(spans, raw_first):
            raw, clean = InMemorySpanExporter(), InMemorySpanExporter()
            processors = [SimpleSpanProcessor(raw), Rewrite(SimpleSpanProcessor(clean))]
            provider = TracerProvider(shutdown_on_exit=False)
            for processor in processors if raw_first else reversed(processors):
                provider.add_span_processor(processor)
            provider.get_tracer("x").start_span("a", attributes={"user": "eve"}).end()
            assert raw.get_finished_spans()[0].attributes == {"user": "eve"}
            assert spans.one("a").attributes["user"] == "***"
    """).assert_outcomes(passed=2)


def test_logfires_own_sampling_of_one_span_leaves_no_open_span(run: Run) -> None:
    """Guards the look at `logfire.sample_rate` in `Captured.is_phantom`."""
    run(
        """
        import logfire

        def test_rate(spans):
            logfire.configure(send_to_logfire=False, console=False)
            with logfire.with_settings(custom_scope_suffix="x").span("kept"):
                pass
            tracer = trace.get_tracer("x")
            tracer.start_span("rare", attributes={"logfire.sample_rate": 0.0}).end()
            assert names(spans) == ["kept"]
        """,
        "-W",
        "ignore",
    ).assert_outcomes(passed=1)


def test_fork(run: Run) -> None:
    """Guards that recording takes no lock: a child of a thread that held it would wait for ever."""
    run("""
        import os

        def test_child(spans):
            tracer = trace.get_tracer("x")
            tracer.start_span("parent").end()
            child = os.fork()
            if child == 0:
                tracer.start_span("child").end()
                os._exit(0 if names(spans) == ["parent", "child"] else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert names(spans) == ["parent"]
    """).assert_outcomes(passed=1)


def test_the_classes_are_as_they_were_after_the_session(run: Run) -> None:
    """Guards `_patches.undo()` in `taps.pop`."""
    run(
        """
        from opentelemetry import _logs, metrics
        from opentelemetry.metrics._internal import instrument
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk._logs._internal import SynchronousMultiLogRecordProcessor
        from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer
        from opentelemetry.trace import NoOpTracer, ProxyTracer

        CLASSES = [sdk.Span, sdk.Tracer, sdk.SynchronousMultiSpanProcessor, SimpleSpanProcessor, NoOpTracer,
                   ProxyTracer, instrument._ProxyCounter, SynchronousMultiLogRecordProcessor,
                   SynchronousMeasurementConsumer]
        BEFORE = [dict(vars(each)) for each in CLASSES]
        OTHERS = [trace.get_tracer_provider, _logs.get_logger_provider, metrics.get_meter_provider]
        KINDS = [type(get()) for get in OTHERS]

        class After:
            @pytest.hookimpl(trylast=True)
            def pytest_unconfigure(self):
                assert [dict(vars(each)) for each in CLASSES] == BEFORE
                assert [type(get()) for get in OTHERS] == KINDS
                print("as they were")

        def test_it(spans, logs, metrics, request):
            request.config.pluginmanager.register(After())
            assert [dict(vars(each)) for each in CLASSES] != BEFORE
        """,
        "-s",
    ).stdout.fnmatch_lines(["as they were"])


def test_a_processor_that_is_given_what_is_no_span(run: Run) -> None:
    """Guards `isinstance(version, ReadableSpan)` in `Recording._match_versions`: people test their processors."""
    run("""
        from unittest import mock
        from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor

        def test_processor(spans):
            SynchronousMultiSpanProcessor().on_end(trace.NonRecordingSpan(trace.SpanContext(1, 2, False)))
            SynchronousMultiSpanProcessor().on_end(mock.Mock())
            SynchronousMultiSpanProcessor().on_end("nothing")
            assert names(spans) == []
    """).assert_outcomes(passed=1)


AUTO = """
import http.server
import threading

import httpx
from opentelemetry import trace

tracer = trace.get_tracer("shop")


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_): ...


def test_it(spans):
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with tracer.start_as_current_span("refund"):
            httpx.get(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()
    assert [span.name for span in spans.one("refund").children] == ["GET"]
    assert spans.count() == 2
    assert type(trace.get_tracer_provider()).__module__ == PROVIDER
"""
DISTRO = {
    "METADATA": "Metadata-Version: 2.1\nName: acme-distro\nVersion: 1.0\n",
    "entry_points.txt": "[opentelemetry_configurator]\nacme = opentelemetry.sdk._configuration:_OTelSDKConfigurator\n",
}


@pytest.mark.parametrize(
    ("distro", "provider"),
    [(DISTRO, "opentelemetry.sdk.trace"), ({}, "weaver_ai.testing.capture.stand_ins")],
    ids=["which configures the SDK", "instrumentors only"],
)
def test_an_auto_instrumentation_distro(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, distro: dict[str, str], provider: str
) -> None:
    """Point 2: `opentelemetry-instrument pytest` sets provider and instrumentors in sitecustomize, before pytest."""
    installed = pytester.mkdir("acme_distro-1.0.dist-info")
    for name, text in distro.items():
        (installed / name).write_text(text, encoding="utf-8")
    for signal in ("METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_it=AUTO.replace("PROVIDER", repr(provider)))

    result = pytester.run(
        sys.executable,
        "-c",
        "from opentelemetry.instrumentation.auto_instrumentation import run; run()",
        *(sys.executable, "-m", "pytest", "-s", "-p", "weaver_ai.pytest_plugin", "-p", "no:cacheprovider"),
        timeout=110,
    )

    result.assert_outcomes(passed=1)
    assert ('"name": "refund"' in result.stdout.str()) is bool(distro)  # its exporter goes on getting what it got
