"""The fixture `otlp`: other processes' telemetry beside the local, and what is said where it doesn't come."""

from __future__ import annotations

import textwrap

import pytest

from tests.integration.plugin.conftest import Run

# A program of its own, in the test's file: with the SDK, or in a language that has none.
HEAD = '''
    import json, os, signal, subprocess, sys, textwrap, time, urllib.request

    SDK = """
        import os, time
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.propagate import extract
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = provider.get_tracer("child")
        above = extract({"traceparent": os.environ.get("TRACEPARENT", "")})
    """

    BARE = """
        import gzip, json, os, sys, time, urllib.request
        BASE = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]

        def send(signal, request, content_type="application/json"):
            sent = urllib.request.Request(
                f"{BASE}/v1/{signal}", gzip.compress(json.dumps(request).encode()),
                {"Content-Type": content_type, "Content-Encoding": "gzip"},
            )
            try:
                urllib.request.urlopen(sent).close()
            except urllib.error.HTTPError as error:
                error.close()

        def span(name, number, parent="", trace=7, **fields):
            now = time.time_ns()
            entry = {"traceId": f"{trace:032x}", "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
                     "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000), **fields}
            send("traces", {"resourceSpans": [{"scopeSpans": [{"spans": [entry]}]}]})
    """

    def start(otlp, kind, source, **env):
        program = textwrap.dedent(kind) + textwrap.dedent(source)
        return subprocess.Popen([sys.executable, "-c", program], env={**os.environ, **otlp.env, **env},
                                stdout=subprocess.PIPE, text=True)

    def go(otlp, kind, source, **env):
        with start(otlp, kind, source, **env) as process:
            process.wait(30)
        assert process.returncode == 0
'''
NO_GRACE = ("-o", "weaver_grace=0")


def test_a_process_joins_the_trace_of_the_test(run: Run) -> None:
    """In a fresh interpreter: the child's SDK is the one that speaks protobuf, the test's needs none of it."""
    run(
        HEAD
        + '''
    from weaver_ai.testing import tree

    def test_it(spans, otlp):
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
        with tracer.start_as_current_span("act"):
            go(otlp, SDK, """
                with tracer.start_as_current_span("serve", above, attributes={"order": 7}):
                    tracer.start_span("charge").end()
                provider.shutdown()
            """)
        spans.one("act").expect(tree("act", tree("serve", "charge")))
        assert spans.one("serve").attributes["order"] == 7
        assert spans.one("serve").resource["telemetry.sdk.language"] == "python"
        heavy = {"google.protobuf", "opentelemetry.exporter", "pydantic", "requests", "logfire", "fastapi", "httpx"}
        assert heavy.isdisjoint(sys.modules)
    '''
    ).assert_outcomes(passed=1)


def test_any_language_and_all_three_signals(run_here: Run) -> None:
    run_here(
        HEAD
        + '''
    def test_it(spans, logs, metrics, otlp):
        go(otlp, BARE, """
            span("serve", 1, kind="SPAN_KIND_SERVER")
            record = {"timeUnixNano": "5", "severityText": "WARN", "severityNumber": 13, "traceId": f"{7:032x}",
                      "spanId": f"{1:016x}", "body": {"stringValue": "paid 7"}}
            send("logs", {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "shop"}, "logRecords": [record]}]}]})
            def point(name, data):
                metric = {"name": name, "unit": "s", **data}
                send("metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
            def number(value, time, start=1):
                return {"asInt": value, "timeUnixNano": str(time), "startTimeUnixNano": str(start)}
            for time, value in ((2, 3), (3, 4)):
                point("delta", {"sum": {"isMonotonic": True, "aggregationTemporality": 1,
                                        "dataPoints": [number(value, time)]}})
                point("cumulative", {"sum": {"aggregationTemporality": 2, "dataPoints": [number(value, time)]}})
                point("gauge", {"gauge": {"dataPoints": [number(value, -time)]}})
            point("cumulative", {"sum": {"aggregationTemporality": 2, "dataPoints": [number(10, 4, start=3)]}})
            for count in (2, 5):
                point("delay", {"histogram": {"aggregationTemporality": 1, "dataPoints":
                    [{"count": count, "sum": 0.5, "timeUnixNano": "2"}]}})
        """)
        log = logs.one("paid *", severity="warn", span="serve")
        assert (log.span.name, log.scope.name, log.time, log.severity_number) == ("serve", "shop", 5, 13)
        def told(name):
            metric = metrics.one(name)
            return metric.kind, metric.value, metric.values, metric.count, metric.unit
        assert told("delta") == ("counter", 7, (3, 4), 2, "s")
        assert told("cumulative") == ("up_down_counter", 14, (3, 4, 10), 3, "s")
        assert told("gauge") == ("gauge", 3, (3, 4), 2, "s")
        assert told("delay") == ("histogram", 1.0, (0.5, 0.5), 7, "s")
        with metrics.scope() as act:
            pass
        for ask, part, unsaid in ((act.one, "scope()", "when"), (metrics.one, "within=", "in which span")):
            with pytest.raises(AssertionError) as failure:
                ask("delta", value=9, **({} if ask == act.one else {"within": "serve"}))
            assert str(failure.value).endswith(
                f"{part} leaves out what other processes measured, for their exports don't say {unsaid}; "
                "in the whole test there is delta 7 s (counter)"
            )

    def test_isolated(spans, logs, metrics, otlp):
        assert (spans.all(), logs.all(), metrics.all()) == ([], [], [])
    '''
    ).assert_outcomes(passed=2)


def test_waiting_is_woken_by_what_arrives(run_here: Run) -> None:
    run_here(
        HEAD
        + '''
    SLOW = """
        time.sleep(0.3)
        send("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "late"}}]}]}]})
        span("late", 1)
    """

    async def test_async(spans, logs, otlp):
        with start(otlp, BARE, SLOW):
            assert (await otlp.eventually(lambda: logs.one("late"))).body == "late"
            assert (await spans.eventually.one("late")).name == "late"

    def test_sync(spans, logs, otlp):
        with start(otlp, BARE, SLOW):
            assert otlp.wait(lambda: [log.body for log in logs.all()]) == ["late"]
            assert spans.wait.one("late").name == "late"
    ''',
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        plugins=["pytest_asyncio.plugin"],
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        (
            "otlp.wait(lambda: logs.all(), timeout=0.01)",
            [
                (
                    "E       AssertionError: otlp.wait: still [] after 0.01s; arrived from other processes: "
                    "1 span, 0 logs, 0 data points"
                )
            ],
        ),
        (
            "otlp.wait(lambda: logs.one('paid'), timeout=0.01)",
            [
                "E   ExpectationFailed: expected one log with body 'paid'; found none",
                "E   no log was recorded",
                "E   otlp.wait: after 0.01s; arrived from other processes: 1 span, 0 logs, 0 data points",
            ],
        ),
    ],
)
def test_what_waiting_says(run_here: Run, question: str, lines: list[str]) -> None:
    result = run_here(
        f"{HEAD}\n    def test_it(spans, logs, otlp):\n        go(otlp, BARE, 'span(\"a\", 1)')\n        {question}\n"
    )
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in lines], consecutive=True)


KILLED = '''
    LOGFIRE = """
        import logfire, time
        from logfire._internal.exporters.remove_pending import RemovePendingSpansExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        pending = SimpleSpanProcessor(RemovePendingSpansExporter(OTLPSpanExporter()))
        logfire.configure(send_to_logfire=False, console=False, metrics=False, inspect_arguments=False,
                          additional_span_processors=[pending])
    """
'''


def test_a_killed_process_leaves_its_open_span_where_a_pending_record_told_of_it(run_here: Run) -> None:
    pytest.importorskip("logfire")
    result = run_here(
        HEAD
        + KILLED
        + '''
    def test_it(spans, otlp):
        with start(otlp, LOGFIRE, """
            with logfire.span("charge", order=7):
                logfire.span("lookup").__enter__().__exit__(None, None, None)
                print("in the middle", flush=True)
                time.sleep(60)
        """) as process:
            process.stdout.readline()
            process.kill()
        charge = spans.one("charge", {"order": 7}, open=True)
        assert [(child.name, child.is_open) for child in charge.children] == [("lookup", False)]
        assert charge.parent_id is None
    ''',
        *NO_GRACE,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "it passed, but span 'charge' was never ended: the process may have been killed",
            "",
            "Where that is meant: @pytest.mark.weaver(check_open=False)",
        ],
        consecutive=True,
    )


def test_a_killed_process_is_named_where_its_span_never_came(run_here: Run) -> None:
    result = run_here(
        HEAD
        + '''
    def test_it(spans, otlp):
        with start(otlp, SDK, """
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
            provider.id_generator.generate_span_id = iter([0xABC, 0xDEF]).__next__
            with tracer.start_as_current_span("charge"):
                tracer.start_span("lookup").end()
                provider.force_flush()
                print("in the middle", flush=True)
                time.sleep(60)
        """) as process:
            process.stdout.readline()
            process.kill()
        spans.wait.one("lookup")
        if FAILS:
            spans.one("charge")
    '''.replace("FAILS", "os.environ.get('FAILS')"),
        *NO_GRACE,
    )
    orphan = "span 'lookup': its parent 0000000000000abc never arrived: was its process killed?"
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            f"it passed, but {orphan}",
            "",
            "Where that is meant: @pytest.mark.weaver(check_orphan=False)",
            "*- trace -*",
            "lookup * orphan: its parent was not captured",
            orphan,
        ],
        consecutive=True,
    )


def test_what_is_no_orphan(run_here: Run) -> None:
    """By the flags of the span where it has any, else by its kind; and a parent may come later, within the grace."""
    run_here(
        HEAD
        + '''
    left = []

    def test_elsewhere(spans, otlp):
        go(otlp, BARE, """
            span("flags", 1, f"{9:016x}", flags=0x301)
            span("server", 2, f"{9:016x}", kind=2)
            span("consumer", 3, f"{9:016x}", kind="SPAN_KIND_CONSUMER")
        """)
        spans.wait.one("consumer")

    def test_a_parent_of_this_process(spans, otlp):
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
        with tracer.start_as_current_span("act") as act:
            context = act.get_span_context()
            go(otlp, BARE, f"span('client', 1, '{context.span_id:016x}', trace={context.trace_id}, kind=3)")
        assert spans.one("client", parent="act").kind == "client"

    def test_later(spans, otlp):
        left.append(start(otlp, BARE, """
            span("inner", 1, f"{9:016x}")
            time.sleep(0.3)
            span("outer", 9)
        """))
        spans.wait.one("inner")

    def test_reaped(spans):
        with left[0]:
            pass

    def test_what_a_test_sends_to_itself_is_one_span(spans, otlp):
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
        with tracer.start_as_current_span("act") as act:
            context = act.get_span_context()
            go(otlp, BARE, f"span('copy', {context.span_id}, trace={context.trace_id})")
            assert spans.one("act").is_open
        assert names(spans) == ["act"]
    ''',
        "-o",
        "weaver_grace=5",
    ).assert_outcomes(passed=5)


def test_secrets_and_errors_of_other_processes(run_here: Run) -> None:
    result = run_here(
        HEAD
        + '''
    def test_it(spans, otlp, invariants):
        invariants.on("error")
        go(otlp, BARE, """
            value = {"stringValue": "sesame" + "-open"}
            span("login", 1, attributes=[{"key": "api_key", "value": value}])
            span("charge", 2, status={"code": 2, "message": "card declined"})
        """)
    ''',
        *NO_GRACE,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "  secret   span 'login': the value of 'api_key' looks like a secret",
            "  error    span 'charge' ended with an error: card declined",
        ],
        consecutive=True,
    )


def test_what_arrives_after_its_test_is_a_stray_of_the_next(run_here: Run) -> None:
    result = run_here(
        HEAD
        + """
    left = []

    def test_leaves(spans, otlp):
        left.append(start(otlp, BARE, "time.sleep(0.5)\\nspan('late', 1)"))

    def test_next(spans, otlp):
        with left[0]:
            pass
        assert spans.all() == []
    """,
        *NO_GRACE,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["it passed, but span 'late' of test_it.py::test_leaves arrived here"],
    )


def test_a_scope_has_the_spans_of_other_processes_that_began_inside(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    def test_it(spans, otlp):
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
        tracer.start_span("local before").end()
        go(otlp, BARE, "span('before', 1)")
        with spans.scope() as first:
            tracer.start_span("local inside").end()
            process = start(otlp, BARE, "now = time.time_ns; span('inside', 2); print(flush=True); sys.stdin.read()")
            process.stdout.readline()
            with spans.scope() as second:
                go(otlp, BARE, "span('twice inside', 3)")
            process.kill()
            process.wait()
            process.stdout.close()
        tracer.start_span("local after").end()
        go(otlp, BARE, "span('after', 4)")
        assert names(first) == ["local inside", "inside", "twice inside"]
        assert names(second) == ["twice inside"]
        assert names(spans) == ["local before", "before", *names(first), "local after", "after"]
    """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "",
            [
                "no process sent a span to otlp at http://127.0.0.1:*/test-*: was it started*",
                "* and did it live until it exported?",
            ],
        ),
        (
            "send('traces', {}, 'application/grpc')",
            [
                "otlp did not take what was sent to it: 415 Content-Type 'application/grpc' is not known;",
                "OTLP is application/x-protobuf and application/json",
            ],
        ),
        (
            "span('a', 1, parent='xyz')",
            ["otlp did not take what was sent to it: parentSpanId has 16 hexadecimal digits, unlike 'xyz'"],
        ),
    ],
)
def test_why_nothing_came(run_here: Run, source: str, reason: list[str]) -> None:
    result = run_here(
        f"{HEAD}\n    def test_it(spans, otlp):\n        go(otlp, BARE, {source!r})\n        spans.one('a')\n"
    )
    result.stdout.fnmatch_lines(
        [
            "E       ExpectationFailed: spans.one('a'): nothing was captured",
            "E       ",
            "E       why:",
            f"E         - {reason[0]}",
            *(f"E           {line}" for line in reason[1:]),
        ],
        consecutive=True,
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "no process sent a span to otlp at http://127.0.0.1:*/test-1: was it started with otlp.env, *"),
        ("send('traces', {}, 'application/grpc')", "otlp did not take what was sent to it: 415 Content-Type *"),
        ("span('b', 1); span('c', 2, parent='x')", "otlp did not take what was sent to it: parentSpanId has 16 *"),
    ],
)
def test_the_report_says_it_beside_local_spans(run_here: Run, source: str, said: str) -> None:
    result = run_here(
        HEAD
        + f"""
    def test_it(spans, otlp):
        TracerProvider(shutdown_on_exit=False).get_tracer("x").start_span("act").end()
        go(otlp, BARE, {source!r})
        spans.one("a")
    """
    )
    result.stdout.re_match_lines([r"-+ trace -+"])
    result.stdout.fnmatch_lines([said])


def test_logs_and_metrics_say_what_was_not_taken(run_here: Run) -> None:
    result = run_here(
        HEAD
        + """
    def test_logs(logs, otlp):
        go(otlp, BARE, "send('logs', {}, 'application/grpc')")
        logs.one("paid")

    def test_metrics(metrics, otlp):
        go(otlp, BARE, "send('metrics', [])")
        metrics.one("orders")
    """
    )
    result.stdout.fnmatch_lines(
        [
            "E * no log was recorded",
            "E * otlp did not take what was sent to it: 415 Content-Type 'application/grpc' is not known; *",
            "E * no metric was recorded",
            "E * otlp did not take what was sent to it: 400 request is an object, not [[]]",
        ]
    )


def test_the_logs_of_other_processes_are_in_the_report(run_here: Run) -> None:
    result = run_here(
        HEAD
        + '''
    def test_it(otlp):
        go(otlp, BARE, """
            record = {"timeUnixNano": "5", "severityNumber": 17, "body": {"stringValue": "no stock"}}
            send("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
        """)
        assert 0
    '''
    )
    result.stdout.fnmatch_lines(["*- logs -*", "error 'no stock'"], consecutive=True)


def test_the_environment(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    def test_it(otlp, monkeypatch):
        monkeypatch.setenv("no_proxy", "localhost, .local")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert otlp.url.startswith("http://127.0.0.2:")
        assert otlp.env == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": otlp.url + "/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": otlp.url + "/v1/logs",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": otlp.url + "/v1/metrics",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_SDK_DISABLED": "false",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "NO_PROXY": "localhost,.local,127.0.0.2",
            "no_proxy": "localhost,.local,127.0.0.2",
        }
        there = otlp.env_at("host.docker.internal")
        assert there["OTEL_EXPORTER_OTLP_ENDPOINT"] == otlp.url.replace("127.0.0.2", "host.docker.internal")
        assert there.keys() == otlp.env.keys()
        assert there["no_proxy"] == "localhost,.local,host.docker.internal"
        monkeypatch.setenv("NO_PROXY", "*")
        assert otlp.env["NO_PROXY"] == otlp.env["no_proxy"] == "*"
        with trace.use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))):
            assert otlp.env["TRACEPARENT"] == f"00-{1:032x}-{2:016x}-01"
    """,
        "-o",
        "weaver_otlp_host=127.0.0.2",
    ).assert_outcomes(passed=1)


def test_an_address_that_is_not_of_this_machine(run_here: Run) -> None:
    result = run_here(f"{HEAD}\n    def test_it(otlp): pass\n", "-o", "weaver_otlp_host=192.0.2.1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["weaver_otlp_host '192.0.2.1' can't be listened on: *"])


def test_it_costs_nothing_where_it_is_not_used(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it(spans):
            spans.none("*")
            assert not [name for name in sys.modules if name.startswith("weaver_ai.receiver")]
            assert "weaver_ai.testing.otlp" not in sys.modules and "http.server" not in sys.modules
        """
    )
    result.assert_outcomes(passed=1)


def test_with_xdist_each_worker_receives_its_own(run: Run) -> None:
    source = textwrap.dedent(
        """
        @pytest.mark.parametrize("name", ["a", "b", "c", "d"])
        def test_it(spans, otlp, name):
            go(otlp, BARE, f"span({name!r}, 1)")
            assert names(spans) == [name]
        """
    )
    run(HEAD + textwrap.indent(source, "    "), "-n", "2", plugins=["xdist.plugin"]).assert_outcomes(passed=4)


def test_processes_that_outlive_a_test_share_a_path(run_here: Run) -> None:
    """A span goes to the test in which its trace began, or to none; strays there are none."""
    result = run_here(
        HEAD
        + """
    from types import SimpleNamespace
    from weaver_ai.testing.otlp import OtlpTests

    @pytest.fixture(scope="module")
    def shared(request):
        return SimpleNamespace(env=OtlpTests.of(request.config).share())

    BEFORE = time.time_ns()

    def test_first(shared, spans, logs, metrics):
        go(shared, BARE, f'''
            span("a", 1, trace=7)
            span("start-up", 2, trace=8, startTimeUnixNano="{BEFORE}")
            def log(body, time, **fields):
                record = {{"timeUnixNano": str(time), "body": {{"stringValue": body}}, **fields}}
                send("logs", {{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [record]}}]}}]}})
            log("in a", 5, traceId=f"{{7:032x}}")
            log("in start-up", time.time_ns(), traceId=f"{{8:032x}}")
            log("now", time.time_ns())
            log("before", {BEFORE})
            def point(name, time):
                gauge = {{"dataPoints": [{{"asInt": 1, "timeUnixNano": str(time)}}]}}
                metric = {{"name": name, "gauge": gauge}}
                send("metrics", {{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [metric]}}]}}]}})
            point("now", time.time_ns())
            point("before", {BEFORE})
        ''')
        assert names(spans) == ["a"]
        assert [log.body for log in logs.all()] == ["in a", "now"]
        assert [metric.name for metric in metrics.all()] == ["now"]

    def test_second(shared, spans):
        go(shared, BARE, "span('late', 3, trace=7); span('b', 4, trace=9)")
        assert names(spans) == ["b"]

    def test_that_does_not_record(shared):
        go(shared, BARE, "span('c', 5, trace=10)")
    """
    )
    result.assert_outcomes(passed=3)
