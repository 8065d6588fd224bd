"""Fallbacks and retries: what holds, and the exact words for each part that does not."""

import pytest

from tests.unit.spans.building import make
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import Status
from weaver_ai.spans.tree import Forest
from weaver_ai.testing import ExpectationFailed, Spans, span
from weaver_ai.testing.asserting.attempts import as_siblings, attempt_groups

FAILED = Status("error", "ModelServerError: status_code: 500")
PRIMARY = span("chat gpt-*", status="error")
FALLBACK = span("chat claude-*")
HEAD = "'invoke_agent a'.expect_fallback(primary=span('chat gpt-*', status='error'), fallback=span('chat claude-*'), "


def call(name, number, parent=1, *, start, duration=100, failed=False):
    status = FAILED if failed else Status()
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": name.removeprefix("chat ")}
    return make(name, number, parent, start=start, duration=duration, status=status, attributes=attributes)


def attempt(model, number, parent, index, *, start, duration=100):
    attributes = {"pydantic_ai.model_request.attempt": index, "gen_ai.request.model": model}
    name = f"model request attempt {model}"
    return make(name, number, parent, start=start, duration=duration, status=FAILED, attributes=attributes)


def agent(*spans, failed=False):
    status = FAILED if failed else Status()
    return Spans(Recorder([make("invoke_agent a", 1, duration=1000, status=status), *spans])).one("invoke_agent a")


def sibling_calls():
    return [call("chat gpt-5", 2, start=10, failed=True), call("chat claude-5", 3, start=120)]


def pydantic_ai_calls():
    """As pydantic-ai 2.68 emits them, the provider's client's own span included."""
    return [
        call("chat claude-5", 2, start=10, duration=300),
        attempt("gpt-5", 3, 2, 0, start=11, duration=150),
        make(
            "anthropic.messages.create",
            4,
            2,
            start=170,
            duration=100,
            attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-5"},
        ),
    ]


@pytest.mark.parametrize("calls", [sibling_calls, pydantic_ai_calls])
def test_a_fallback_holds_however_it_was_recorded(calls):
    agent(*calls()).expect_fallback(primary=PRIMARY, fallback=FALLBACK)
    agent(*calls()).expect_fallback(primary="chat gpt-5", fallback="chat claude-5", attempts=2)


def test_an_attempt_can_be_asked_for_by_the_name_it_was_recorded_under():
    agent(*pydantic_ai_calls()).expect_fallback(
        primary="model request attempt gpt-5",
        fallback=FALLBACK,
    )


def test_one_of_several_model_calls_is_enough():
    run = agent(
        call("chat gpt-5", 2, start=10),
        call("chat gpt-5", 3, start=200, failed=True),
        call("chat claude-5", 4, start=310),
        call("chat gpt-5", 5, start=500),
    )
    run.expect_fallback(primary=PRIMARY, fallback=FALLBACK)


def test_more_attempts_hold_when_they_are_asked_for():
    run = agent(
        call("chat claude-5", 2, start=10, duration=400),
        attempt("gpt-5", 3, 2, 0, start=11),
        attempt("gpt-5-mini", 4, 2, 1, start=120),
    )
    run.expect_fallback(primary=PRIMARY, fallback=FALLBACK, attempts=3)


WRONG = [
    (
        "nothing called",
        [],
        {},
        [HEAD + "attempts=2)", "  no model was called below 'invoke_agent a'"],
    ),
    (
        "no fallback",
        [call("chat gpt-5", 2, start=10, failed=True)],
        {"failed": True},
        [
            HEAD + "attempts=2)",
            "  fallback: nothing was tried after 'chat gpt-5'",
            "  attempts: expected 2, there were 1",
            "  outcome: 'invoke_agent a' ended with an error",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'  100ms  ERROR ModelServerError: status_code: 500",
        ],
    ),
    (
        "the primary answered",
        [call("chat gpt-5", 2, start=10)],
        {},
        [
            HEAD + "attempts=2)",
            "  primary: 'chat gpt-5', status: expected 'error', was 'unset'",
            "  fallback: nothing was tried after 'chat gpt-5'",
            "  attempts: expected 2, there were 1",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'  100ms",
        ],
    ),
    (
        "another primary",
        [call("chat o3", 2, start=10, failed=True), call("chat claude-5", 3, start=120)],
        {},
        [
            HEAD + "attempts=2)",
            "  primary: 'chat o3', name: expected 'chat gpt-*', was 'chat o3'",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat o3'        100ms  ERROR ModelServerError: status_code: 500",
            "    + 110ms 'chat claude-5'  100ms",
        ],
    ),
    (
        "another fallback",
        [call("chat gpt-5", 2, start=10, failed=True), call("chat gemini", 3, start=120)],
        {},
        [
            HEAD + "attempts=2)",
            "  fallback: 'chat gemini', name: expected 'chat claude-*', was 'chat gemini'",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'   100ms  ERROR ModelServerError: status_code: 500",
            "    + 110ms 'chat gemini'  100ms",
        ],
    ),
    (
        "something else was tried",
        [
            call("chat claude-5", 2, start=10, duration=400),
            attempt("gpt-5", 3, 2, 0, start=11),
            attempt("gpt-5-mini", 4, 2, 1, start=120),
        ],
        {},
        [
            HEAD + "attempts=2)",
            "  attempts: expected 2, there were 3",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'       100ms  ERROR ModelServerError: status_code: 500",
            "    + 109ms 'chat gpt-5-mini'  100ms  ERROR ModelServerError: status_code: 500",
            "    + 209ms 'chat claude-5'    190ms",
        ],
    ),
    (
        "before the primary ended",
        [call("chat gpt-5", 2, start=10, duration=300, failed=True), call("chat claude-5", 3, start=110)],
        {},
        [
            HEAD + "attempts=2)",
            "  order: the fallback 'chat claude-5' began 200ms before the primary ended",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'     300ms  ERROR ModelServerError: status_code: 500",
            "    + 100ms 'chat claude-5'  100ms",
        ],
    ),
    (
        "under another parent",
        [
            call("chat gpt-5", 2, start=10, failed=True),
            make("invoke_agent b", 3, 1, start=150, duration=200),
            call("chat claude-5", 4, 3, start=160),
        ],
        {},
        [
            HEAD + "attempts=2)",
            "  parent: the primary is under 'invoke_agent a', the fallback under 'invoke_agent b'",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'     100ms  ERROR ModelServerError: status_code: 500",
            "    + 150ms 'chat claude-5'  100ms",
        ],
    ),
    (
        "the fallback failed too",
        [call("chat gpt-5", 2, start=10, failed=True), call("chat claude-5", 3, start=120, failed=True)],
        {"failed": True},
        [
            HEAD + "attempts=2)",
            "  outcome: the fallback 'chat claude-5' failed",
            "  outcome: 'invoke_agent a' ended with an error",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'     100ms  ERROR ModelServerError: status_code: 500",
            "    + 110ms 'chat claude-5'  100ms  ERROR ModelServerError: status_code: 500",
        ],
    ),
    (
        "the fallback goes on",
        [call("chat gpt-5", 2, start=10, failed=True), call("chat claude-5", 3, start=120, duration=None)],
        {},
        [
            HEAD + "attempts=2)",
            "  outcome: the fallback 'chat claude-5' has not ended",
            "  tried, under 'invoke_agent a':",
            "    +   0µs 'chat gpt-5'     100ms  ERROR ModelServerError: status_code: 500",
            "    + 110ms 'chat claude-5'  open",
        ],
    ),
]


@pytest.mark.parametrize(("calls", "run", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_each_part_that_does_not_hold_is_named(calls, run, message):
    with pytest.raises(ExpectationFailed) as failed:
        agent(*calls, **run).expect_fallback(primary=PRIMARY, fallback=FALLBACK)
    assert str(failed.value).splitlines() == message


def test_where_all_models_failed_the_call_that_stands_for_them_is_no_attempt():
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "fallback:gpt-5,claude-5"}
    whole = make("chat fallback:gpt-5,claude-5", 2, 1, start=10, duration=300, status=FAILED, attributes=attributes)
    spans = [
        make("invoke_agent a", 1, duration=1000),
        whole,
        attempt("gpt-5", 3, 2, 0, start=11),
        attempt("claude-5", 4, 2, 1, start=120),
    ]
    [group] = attempt_groups(Forest(spans), 0)
    assert [one.name for one in group] == ["chat gpt-5", "chat claude-5"]


def test_as_siblings_moves_attempts_beside_their_call_and_keeps_the_rest():
    forest = as_siblings(Forest([make("invoke_agent a", 1, duration=1000), *pydantic_ai_calls()]))
    shape = [(one.name, one.parent_id[-1] if one.parent_id else None, one.start // 1_000_000) for one in forest.spans]
    assert shape == [
        ("invoke_agent a", None, 0),
        ("chat gpt-5", "1", 11),
        ("chat claude-5", "1", 161),
        ("anthropic.messages.create", "2", 170),
    ]


def posts(*starts, parent=1, failed=-1, duration=10):
    """HTTP calls that begin at these milliseconds; all fail but the last `-failed`."""
    last = len(starts) + failed
    return [
        make("POST", 10 + n, parent, start=start, duration=duration, status=FAILED if n <= last else Status())
        for n, start in enumerate(starts)
    ]


def run_of(*spans):
    return Spans(Recorder([make("chat", 1, duration=9000), make("other", 2, duration=9000), *spans]))


def test_retries_are_counted_and_timed():
    spans = run_of(*posts(0, 510, 1520, failed=-2))
    found = spans.retries("POST", attempts=3, backoff=[0.5, 1.0], tolerance=0)
    assert [one.start for one in found] == [0, 510_000_000, 1_520_000_000]
    spans.one("chat").children.retries("POST", attempts=3, backoff=[(0.4, 0.6), (0.8, 1.2)])
    spans.retries("POST", attempts=3)


def test_a_last_attempt_may_be_expected_to_fail():
    run_of(*posts(0, 500)).retries("POST", attempts=2, succeeds=False)


UNLIKE = [
    (
        "too few",
        posts(0, 500, failed=-2),
        {"attempts": 3},
        [
            "spans.retries(span('POST'), attempts=3)",
            "  attempts: expected 3, there were 2",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 500ms 'POST'  10ms",
        ],
    ),
    (
        "none",
        [],
        {"attempts": 2},
        ["spans.retries(span('POST'), attempts=2)", "  attempts: expected 2, there were 0"],
    ),
    (
        "too soon",
        posts(0, 210, 1220, failed=-2),
        {"attempts": 3, "backoff": [0.5, (1, 2)]},
        [
            "spans.retries(span('POST'), attempts=3, backoff=[0.5, (1, 2)])",
            "  back-off 1: expected 0.5s, it was 200ms",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 210ms 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 1.22s 'POST'  10ms",
        ],
    ),
    (
        "out of range",
        posts(0, 210, failed=-2),
        {"attempts": 2, "backoff": [(0.5, 0.75)], "tolerance": 0},
        [
            "spans.retries(span('POST'), attempts=2, backoff=[(0.5, 0.75)])",
            "  back-off 1: expected 0.5s to 0.75s, it was 200ms",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 210ms 'POST'  10ms",
        ],
    ),
    (
        "repeated what had not failed",
        [*posts(0, failed=-2), *[make("POST", 20, 1, start=300)]],
        {"attempts": 2},
        [
            "spans.retries(span('POST'), attempts=2)",
            "  attempt 1: it did not fail, and was repeated",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms",
            "    + 300ms 'POST'  1ms",
        ],
    ),
    (
        "never succeeded",
        posts(0, 300),
        {"attempts": 2},
        [
            "spans.retries(span('POST'), attempts=2)",
            "  outcome: the last attempt failed",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 300ms 'POST'  10ms  ERROR ModelServerError: status_code: 500",
        ],
    ),
    (
        "succeeded against expectation",
        posts(0, 300, failed=-2),
        {"attempts": 2, "succeeds": False},
        [
            "spans.retries(span('POST'), attempts=2, succeeds=False)",
            "  outcome: the last attempt did not fail",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 300ms 'POST'  10ms",
        ],
    ),
    (
        "of two things",
        [*posts(0, failed=-1), make("POST", 30, 2, start=300)],
        {"attempts": 2},
        [
            "spans.retries(span('POST'), attempts=2)",
            "  parent: they are under 2 spans: 'chat', 'other'",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  10ms  ERROR ModelServerError: status_code: 500",
            "    + 300ms 'POST'  1ms",
        ],
    ),
    (
        "never ended",
        [make("POST", 30, 1, start=0, duration=None, status=FAILED), make("POST", 31, 1, start=300)],
        {"attempts": 2, "backoff": [1]},
        [
            "spans.retries(span('POST'), attempts=2, backoff=[1])",
            "  back-off 1: attempt 1 has not ended",
            "  tried, under 'chat':",
            "    +   0µs 'POST'  open  ERROR ModelServerError: status_code: 500",
            "    + 300ms 'POST'  1ms",
        ],
    ),
]


@pytest.mark.parametrize(("calls", "asked", "message"), [row[1:] for row in UNLIKE], ids=[row[0] for row in UNLIKE])
def test_each_part_of_a_retry_that_does_not_hold_is_named(calls, asked, message):
    with pytest.raises(ExpectationFailed) as failed:
        run_of(*calls).retries("POST", **asked)
    assert str(failed.value).splitlines() == message


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError) as refused:
        run_of().retries("POST", attempts=3, backoff=[1])
    assert str(refused.value) == "3 attempts have 2 waits between them; backoff has 1"
    with pytest.raises(ValueError) as refused:
        run_of().retries("POST", attempts=0)
    assert str(refused.value) == "attempts counts from 1; got 0"
    with pytest.raises(TypeError) as typed:
        run_of().retries(attempts=2)
    assert str(typed.value) == "retries() needs a name or a condition"
