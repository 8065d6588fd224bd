"""What a trace must hold, asserted or not: each check's exact text, and every way to switch it."""

from __future__ import annotations

import pytest

from tests.integration.plugin.conftest import Run

HEAD = """
    from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    kept = []

    def leave_open():
        kept.append(tracer.start_span("leak"))

    def leave_current():
        with_current = trace.use_span(tracer.start_span("current"), end_on_exit=True)
        with_current.__enter__()
        kept.append(with_current)
        trace.get_current_span().end()

    def orphan():
        parent = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
        tracer.start_span("child", trace.set_span_in_context(parent)).end()

    def secret():
        tracer.start_span("login", attributes={"api_key": "sesame" + "-open", "user": "eve"}).end()

    def error():
        span = tracer.start_span("charge")
        span.set_status(StatusCode.ERROR, "card declined")
        span.end()
"""

BREAKS = {
    "open": ("leave_open", "span 'leak' was never ended"),
    "context": ("leave_current", "span 'current' was left as the current span"),
    "orphan": ("orphan", "span 'child' has a parent that was never recorded"),
    "secret": ("secret", "span 'login': the value of 'api_key' looks like a secret"),
    "error": ("error", "span 'charge' ended with an error: card declined"),
}
NO_GRACE = ("-o", "weaver_grace=0")


@pytest.mark.parametrize("check", BREAKS)
def test_a_broken_invariant_fails_the_test_at_its_end(run_here: Run, check: str) -> None:
    function, line = BREAKS[check]
    result = run_here(
        f"{HEAD}\n    def test_it(spans):\n        {function}()\n", *NO_GRACE, "-o", "weaver_check_error=true"
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it*",
            f"it passed, but {line}",
            "",
            f"Where that is meant: @pytest.mark.weaver(check_{check}=False)",
            "*- trace -*",
        ],
        consecutive=True,
    )
    assert "sesame" not in result.stdout.str().replace('"sesame" + "-open"', "")


@pytest.mark.parametrize("check", BREAKS)
@pytest.mark.parametrize("way", ["ini", "marker", "fixture", "name"])
def test_each_check_is_switched_off(run_here: Run, check: str, way: str) -> None:
    function, line = BREAKS[check]
    name = line.split("'")[1] if check != "context" else ""
    marker = f"@pytest.mark.weaver(check_{check}=False)" if way == "marker" else ""
    off = {"fixture": f"invariants.off({check!r})", "name": f"invariants.off({check!r}, *{[name] * bool(name)})"}
    test = f"    {marker}\n    def test_it(spans, invariants):\n        {function}()\n        {off.get(way, '')}\n"
    ini = f"weaver_check_{check}={'false' if way == 'ini' else 'true'}"
    run_here(f"{HEAD}\n{test}", *NO_GRACE, "-o", ini).assert_outcomes(passed=1)


def test_several_at_once(run_here: Run) -> None:
    result = run_here(
        f"{HEAD}\n    def test_it(spans, invariants):\n        invariants.on('error')\n"
        "        leave_open(); orphan(); secret(); error(); error()\n",
        *NO_GRACE,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "it passed, but span 'leak' was never ended, and 3 more (orphan, secret, error)",
            "",
            "  open     span 'leak' was never ended",
            "  orphan   span 'child' has a parent that was never recorded",
            "  secret   span 'login': the value of 'api_key' looks like a secret",
            "  error    span 'charge' ended with an error: card declined",
            "",
            (
                "Where that is meant: "
                "@pytest.mark.weaver(check_open=False, check_orphan=False, check_secret=False, check_error=False)"
            ),
        ],
        consecutive=True,
    )


def test_what_is_no_violation(run_here: Run) -> None:
    run_here(
        HEAD
        + """
    from opentelemetry.propagate import extract

    def test_errors_may_happen(spans):
        error()

    def test_a_remote_parent_may_be_anywhere(spans):
        carrier = {"traceparent": f"00-{7:032x}-{7:016x}-01"}
        tracer.start_span("server", extract(carrier)).end()

    def test_a_span_that_ends_within_the_grace(spans):
        span = tracer.start_span("server")
        threading.Timer(0.05, span.end).start()

    def test_masked(spans):
        tracer.start_span("login", attributes={"authorization": "Bearer [redacted]", "password": "***"}).end()

    def test_not_recorded():
        leave_open()
        secret()
    """
    ).assert_outcomes(passed=5)


def test_a_test_that_failed_anyway_is_told_of_its_failure_only(run_here: Run) -> None:
    run_here(f"{HEAD}\n    def test_it(spans):\n        leave_open()\n        assert 0\n", *NO_GRACE).assert_outcomes(
        failed=1
    )
    run_here(
        f"{HEAD}\n    @pytest.mark.xfail\n    def test_it(spans):\n        leave_open()\n        assert 0\n", *NO_GRACE
    ).assert_outcomes(xfailed=1)


@pytest.mark.parametrize(
    ("marker", "options", "message"),
    [
        (
            "check_opne=False",
            (),
            (
                "@pytest.mark.weaver has no keyword 'check_opne'; it has check_open, check_context, check_orphan, "
                "check_stray, check_secret, check_error, sampling"
            ),
        ),
        ("sampling='some'", (), "weaver sampling is 'every' or 'provider', not 'some'"),
        ("", ("-o", "weaver_grace=soon"), "weaver_grace is a number of seconds, not 'soon'"),
    ],
)
def test_a_wrong_wish(run_here: Run, marker: str, options: tuple[str, ...], message: str) -> None:
    result = run_here(f"{HEAD}\n    @pytest.mark.weaver({marker})\n    def test_it(spans): pass\n", *options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_it*", message, "=*"], consecutive=True)


def test_an_unknown_check(run_here: Run) -> None:
    result = run_here(f"{HEAD}\n    def test_it(invariants):\n        invariants.off('opne')\n")
    result.stdout.fnmatch_lines(
        ["E*ValueError: there is no check 'opne'; the checks are open, context, orphan, stray, secret, error"]
    )
