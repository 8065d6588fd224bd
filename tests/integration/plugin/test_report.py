"""What a user reads when a test that recorded fails: exact text, for messages are product."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

AT = """
    # Not of the global provider, which another test may have configured.
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    BEGAN = 1_000_000_000

    def at(name, start, end, parent=None, **attributes):
        context = trace.set_span_in_context(parent) if parent else None
        span = tracer.start_span(name, context, start_time=BEGAN + start * 1_000_000, attributes=attributes)
        if end is not None:
            span.end(BEGAN + end * 1_000_000)
        return span
"""


def test_the_trace_of_a_failed_test_whatever_it_failed_of(run_here: Run) -> None:
    result = run_here(
        AT
        + """
    def test_fails(spans):
        root = at("POST /refund", 0, None)
        at("charge", 10, 30, root)
        bad = at("notify", 30, None, root)
        bad.set_status(trace.StatusCode.ERROR, "SMTP refused")
        bad.end(BEGAN + 52_000_000)
        root.end(BEGAN + 60_000_000)
        assert 1 == 2
    """
    )
    result.stdout.fnmatch_lines(
        [
            "*- trace -*",
            "POST /refund     60ms",
            "├── charge       20ms",
            "└── notify       22ms  ERROR SMTP refused",
            "=*",
        ],
        consecutive=True,
    )


def test_a_passing_test_reports_nothing(run_here: Run) -> None:
    result = run_here(AT + '\n    def test_passes(spans):\n        at("quiet", 0, 1)', "-rA")
    result.assert_outcomes(passed=1)
    assert "quiet" not in result.stdout.str()


def test_a_failing_fixture_too(run_here: Run) -> None:
    result = run_here(
        AT
        + """
    @pytest.fixture
    def client(spans):
        at("connect", 0, 1)
        raise OSError

    def test_it(client):
        pass
    """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*- trace -*", "connect      1ms"])


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        ("pass", ["no tracer was asked for a span during the test"]),
        (
            "trace.set_tracer_provider(trace.NoOpTracerProvider()); trace.get_tracer('x').start_span('lost')",
            [
                "started on a tracer that is off: 1 span ('lost')",
                "the global provider is opentelemetry.trace.NoOpTracerProvider, not the OpenTelemetry SDK's",
            ],
        ),
        (
            (
                "monkeypatch.setenv('OTEL_SDK_DISABLED', 'true'); "
                "trace.set_tracer_provider(TracerProvider()); trace.get_tracer('x').start_span('lost')"
            ),
            [
                "started on a tracer that is off: 1 span ('lost')",
                "OTEL_SDK_DISABLED is set, so the SDK's tracers are no-ops",
            ],
        ),
        (
            (
                "provider = TracerProvider(_tracer_configurator=sdk._disable_tracer_configurator); "
                "tracer = provider.get_tracer('shop'); tracer.start_span('lost')"
            ),
            ["started on a tracer that is off: 1 span ('lost')"],
        ),
        (
            "context.attach(context.set_value('suppress_instrumentation', True))",
            ["instrumentation is suppressed in the current context"],
        ),
        (
            (
                "import httpx; HTTPX.instrument(); "
                "client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))); "
                "client.get('http://shop')"
            ),
            ["an httpx.MockTransport stands in for the transport that the instrumentation of httpx wraps"],
        ),
    ],
    ids=["no tracer", "no-op", "disabled by environment", "disabled by configurator", "suppressed", "transport"],
)
def test_no_span_is_explained(run: Run, body: str, reasons: list[str]) -> None:
    result = run(
        f"""
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        HTTPX = HTTPXClientInstrumentor()

        @pytest.mark.weaver(check_context=False)
        def test_it(spans, monkeypatch):
            {body}
            assert 0
        """,
        "-W",
        "ignore",
    )
    result.stdout.fnmatch_lines(
        ["*- trace -*", "no span was captured:", *(f"  {reason}" for reason in reasons), "=*"], consecutive=True
    )


def test_no_span_because_fixtures_made_them(run_here: Run) -> None:
    result = run_here(
        AT
        + """
    @pytest.fixture(scope="module")
    def client():
        at("connect", 0, 1)

    def test_it(spans, client):
        assert 0
    """
    )
    result.stdout.fnmatch_lines(
        ["no span was captured:", "  1 span began in fixtures of a wider scope, and belongs to no test"],
        consecutive=True,
    )


@pytest.mark.parametrize(
    ("sampling", "lines"),
    [
        ("every", ["health      1ms", "seen        1ms", "the provider's sampler would have left out 1 of them"]),
        ("provider", ["seen      1ms", "the provider's sampler left out: 1"]),
    ],
)
def test_what_the_sampler_leaves_out_is_said(run_here: Run, sampling: str, lines: list[str]) -> None:
    result = run_here(
        """
        from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

        class Names(Sampler):
            def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
                return SamplingResult(Decision.DROP if name == "health" else Decision.RECORD_AND_SAMPLE)
            def get_description(self):
                return "Names"

        tracer = TracerProvider(sampler=Names()).get_tracer("x")

        def test_it(spans):
            tracer.start_span("health", start_time=0).end(1_000_000)
            tracer.start_span("seen", start_time=0).end(1_000_000)
            assert 0
        """,
        "-o",
        f"weaver_sampling={sampling}",
    )
    result.stdout.fnmatch_lines(["*- trace -*", *lines], consecutive=True)


def test_strays_are_named_in_the_section(run: Run) -> None:
    result = run(
        AT
        + """
    trace.set_tracer_provider(TracerProvider())
    left = []

    def test_leaves():
        left.append(at("late", 0, None))

    def test_fails(spans):
        left[0].end()
        at("mine", 0, 1)
        assert 0
    """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["mine      1ms", "left out, for another test left it behind: 'late' of test_it.py::test_leaves"],
        consecutive=True,
    )


def test_logs_have_a_section(run_here: Run) -> None:
    result = run_here(
        """
        from opentelemetry import _logs

        def test_it(spans, logs):
            with trace.get_tracer("x").start_as_current_span("refund"):
                _logs.get_logger("x").emit(
                    body="refunded", severity_number=_logs.SeverityNumber.INFO, attributes={"order": 7}
                )
            assert 0
        """
    )
    result.stdout.fnmatch_lines(["*- logs -*", "info  'refunded' {'order': 7} in 'refund'"], consecutive=True)


def test_colour_on_a_terminal_and_none_in_a_file(run_here: Run) -> None:
    source = AT + '\n    def test_it(spans):\n        at("a", 0, 1)\n        assert 0'
    assert "\x1b" not in run_here(source).stdout.str()
    assert "\x1b[2m" in run_here(source, "--color=yes").stdout.str().split("- trace -")[1]


def test_comparing_spans_is_explained(run_here: Run) -> None:
    result = run_here(AT + '\n    def test_it(spans):\n        at("a", 0, 1)\n        assert spans.all() == []')
    assert "SpanView" not in result.stdout.str()
    result.stdout.fnmatch_lines(["E       *"])


REFUND = (
    AT
    + """
    def test_it(spans):
        root = at("POST /refund", 0, None)
        at("charge", 10, 30, root, order=7)
        root.end(BEGAN + 60_000_000)
        at("audit", 70, 80)
        {body}
"""
)
TREES = ["POST /refund     60ms", "└── charge       20ms", "audit            10ms"]


def test_the_tree_that_the_message_shows_is_not_shown_again(run_here: Run) -> None:
    result = run_here(REFUND.format(body='spans.one("charge", {"order": 8})'))
    shown = result.stdout.str()
    assert shown.count("POST /refund     60ms") == 1
    assert "- trace -" not in shown


def test_why_there_is_none_is_said_once(run_here: Run) -> None:
    shown = run_here('def test_it(spans): spans.one("refund")').stdout.str()
    assert shown.count("no tracer was asked for a span during the test") == 1
    assert "- trace -" not in shown


def test_of_a_message_about_one_trace_the_others_are_left_to_the_section(run_here: Run) -> None:
    result = run_here(REFUND.format(body='spans.one("POST /refund").expect("GET /refund")'))
    result.stdout.fnmatch_lines(["E * captured:", "E * POST /refund     60ms", "E * └── charge       20ms"])
    assert result.stdout.str().count("charge       20ms") == 1
    result.stdout.fnmatch_lines(["*- trace -*", "audit     10ms", "=*"], consecutive=True)


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (
            'spans.one("charge", {"order": 8})',
            "FAILED *::test_it - ExpectationFailed: spans.one('charge', {'order': 8}): none of 3 spans matches",
        ),
        (
            'at("poll", 90, None)',
            "ERROR *::test_it - Failed: it passed, but span 'poll' was never ended",
        ),
        (
            'at("poll", 90, None, sk="sk-" + "Qx7" * 12); at("tick", 90, None)',
            "ERROR *::test_it - Failed: it passed, but span 'poll' was never ended, and 2 more (open, secret)",
        ),
    ],
    ids=["expectation", "invariant", "invariants"],
)
@pytest.mark.parametrize("variable", ["CI", "BUILD_NUMBER"])
def test_where_ci_is_set_the_summary_has_the_first_line(
    run_here: Run, monkeypatch: pytest.MonkeyPatch, variable: str, body: str, summary: str
) -> None:
    monkeypatch.setenv(variable, "true")
    result = run_here(REFUND.format(body=body))
    result.stdout.fnmatch_lines(["=* short test summary info *=", summary, "=* 1 *"], consecutive=True)


def test_where_ci_is_set_a_failure_of_the_users_own_is_as_pytest_has_it(
    run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = run_here(REFUND.format(body='pytest.fail("the first line\\nand more")'))
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_it - Failed: the first line", "and more"], consecutive=True)


@pytest.mark.parametrize(
    "body",
    [
        "assert spans.count() == 4",  # short: the tree stands in the section
        'pytest.raises(AssertionError, spans.one, "charged"); assert 0',  # a message that nobody reads
        'pytest.raises(AssertionError, spans.one, "charged"); logs = []; assert logs',
    ],
)
def test_without_a_tree_in_the_message_it_is_in_the_section(run_here: Run, body: str) -> None:
    result = run_here(REFUND.format(body=body))
    result.stdout.fnmatch_lines(["*- trace -*", *TREES, "=*"], consecutive=True)


def test_what_began_after_the_message_is_in_the_section(run_here: Run) -> None:
    result = run_here(
        REFUND.format(body='\n        try: spans.one("charged")\n        finally: at("clean up", 80, 90)')
    )
    result.stdout.fnmatch_lines(["*- trace -*", "clean up     10ms", "=*"], consecutive=True)


MANY = (
    AT
    + """
    def test_it(spans):
        for number in range(200):
            at(f"poll {number}", number, number + 1)
        spans.one("pol", {"a": "x" * 200})
"""
)


def test_what_is_left_out_is_there_with_vv(run_here: Run) -> None:
    brief = run_here(MANY).stdout
    brief.fnmatch_lines(["E *… 184 more: poll 16, poll 17, poll 18, …; -vv shows all"])
    assert "poll 199" not in brief.str()

    whole = run_here(MANY, "-vv").stdout.str()
    assert "poll 199" in whole
    assert f"expected '{'x' * 200}', was missing" in whole
    assert "-vv shows all" not in whole


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("100", 100), ("160", 160), ("300", 208)])
def test_as_wide_as_the_terminal(run_here: Run, monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = run_here(REFUND.format(body='spans.one("charge", {"order": 7, "a" * 50: "x" * 300})')).outlines
    message = [line for line in lines if line.startswith("E   ")]
    assert max(map(len, message)) <= width
    assert max(map(len, message)) >= width - 20


def test_a_worker_of_xdist_sets_it_as_its_terminal_would(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run(MANY, "-n", "1", "-vv", plugins=["xdist.plugin"])
    assert "poll 199" in result.stdout.str()
    brief = run(MANY, "-n", "1", plugins=["xdist.plugin"])
    message = [line for line in brief.outlines if line.startswith("E   ")]
    assert max(map(len, message)) <= 80
    brief.stdout.fnmatch_lines(["E *… 184 more: poll 16, *; -vv shows all"])


def test_ten_thousand_spans_left_open_are_a_screen(run_here: Run) -> None:
    source = (
        AT
        + """
    def test_it(spans):
        for number in range(10_000):
            at(f"poll {number}", number, None)
"""
    )
    lines = run_here(source, "-o", "weaver_grace=0").outlines
    start = next(at for at, line in enumerate(lines) if line.startswith("it passed, but"))
    end = next(at for at, line in enumerate(lines) if line.startswith("Where that is meant"))
    assert lines[start:end] == [
        "it passed, but span 'poll 0' was never ended, and 9,999 more (open)",
        "",
        *(f"  open     span 'poll {number}' was never ended" for number in range(24)),
        "  open     … 9,976 more; -vv shows all",
        "",
    ]
    assert len(lines) < 100


def test_a_failure_of_another_plugins_hook_shows_none_of_this_ones(run_here: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_pyfunc_call(pyfuncitem): raise RuntimeError('of another plugin')")
    result = run_here("def test_it(spans): pass")
    result.stdout.fnmatch_lines(["E   RuntimeError: of another plugin"])
    result.stdout.no_fnmatch_line("*weaver_ai*")


@pytest.mark.parametrize("where", [[], ["-n", "1"]], ids=["here", "xdist"])
def test_without_pytests_terminal(run: Run, where: list[str]) -> None:
    plugins = ["xdist.plugin"] if where else []
    result = run(REFUND.format(body="assert spans.count() == 3"), "-p", "no:terminal", *where, plugins=plugins)
    assert (result.ret, result.outlines) == (0, [])


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ('spans.one("a", staus="ok")', "TypeError: one() has no condition 'staus'; did you mean 'status'?"),
        ('spans.none(status="ERROR")', "ValueError: none() has no status 'ERROR'; did you mean 'error'?"),
        ("spans.one(span())", "TypeError: span() needs a condition; span('*') is any span"),
        ('spans.wait.one("a", order=1)', "TypeError: wait.one() has no condition 'order'; attributes go into "),
        ('spans.one("charge").attributes["ordr"]', "KeyError: \"span 'charge' has no attribute 'ordr'; did you mean "),
        ('spans.one("charge").status == "eror"', "ValueError: there is no status 'eror'; it is one of "),
        ('spans.one("*", {"order": lambda order: order["id"]})', "TypeError: 'int' object is not subscriptable"),
        ('invariants.off("opn")', "ValueError: there is no check 'opn'; "),
        ('logs.one(severity="ERROR")', "ValueError: one() has no severity 'ERROR'; did you mean 'error'?"),
        ("metrics.one(value=lambda value: value.x)", "AttributeError: 'float' object has no attribute 'x'"),
    ],
)
def test_a_slip_in_a_question_shows_the_line_of_the_test(run_here: Run, question: str, error: str) -> None:
    source = """
        from opentelemetry import metrics as api
        from weaver_ai.testing import span

        def test_it(spans, logs, metrics, invariants):
            trace.get_tracer("x").start_span("charge", attributes={"order": 7}).end()
            api.get_meter("x").create_counter("orders").add(1)
            QUESTION
    """
    lines = run_here(source.replace("QUESTION", question)).outlines
    assert f">       {question}" in lines
    assert [line for line in lines if line.startswith((f"E       {error}", f"E   {error}"))]
    assert [line for line in lines if "weaver_ai/" in line] == []
