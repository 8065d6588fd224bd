"""Make docs/under-fault.md from the table that the tests run: `python -m docs.make_under_fault`, from the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.integration.under_fault.matrix import (
    CLOCK,
    EXPORTER,
    LOGFIRE,
    PROVIDERS,
    REDIS,
    SHARES,
    ClockCase,
    ExporterCase,
    LogfireCase,
    Problem,
    ProviderCase,
    RedisCase,
)
from weaver_ai.testing.faults import FaultSpec, fault

PAGE = Path(__file__).parent / "under-fault.md"

_INTRODUCTION = """\
# The service under fault

<!-- Made from tests/integration/under_fault/matrix.py by docs/make_under_fault.py; don't edit. -->

What the gateway does when what it needs fails. Each row is run as a test, response and trace, with the
[faults](faults.md) of its second column; so are streams. Problems are those of [the gateway](gateway.md#problems); none
has a word of the provider's, a key, an address or a traceback in it.

## A model provider

OpenAI and Anthropic alike, with `WEAVER_PROVIDER_MAX_RETRIES=0`. With retries the client tries as often first, and each
try is a span of its own below `chat`; an agent with fallback models retries none of them.
"""

_PROVIDER_TRACE = """
**Without a fallback model** the spans `chat {model}` and `invoke_agent {agent}` have the problem's code as
`error.type`, and the HTTP client's span below them what the table says. The request's span has the code as
`weaver.problem.type`, and is an error from 500 on. A task fails with the same code.

**With a fallback model** the user sees the other model's answer, and 200. The span `chat {model}` is that of the
model that answered; a span `model request attempt {model}` below it is the one that failed, with the code that would
have been the problem's as `error.type`, and the request has no error. When all models fail, the failure that is
likeliest to pass is told, with the soonest `Retry-After`.

**`/v1/chat/completions`** answers with the same problem, and the `openai` client raises what the table says, with the
problem's code as its `code`. So it is in a stream as long as no words were sent, for nothing has been sent then; after
the first words the client raises `APIError` with that code. Another model steps in as for `/v1/agents`.

**A stream** has begun with `run.started`, and its status is 200. A fault before the first words is as above: another
model steps in, or the stream ends with an `error` event that holds the problem, its `status` and `retry_after`
included. A fault after the first words ends it so in any case, for they can't be taken back. The request's span then
has the code as `error.type`, as `chat {model}` and `invoke_agent {agent}` have. A price on such a `chat` span is that
of the words that came: `cost` is unknown then, and at least that.
"""

_EXPORTER_INTRODUCTION = """
## The telemetry backend

Requests are answered as ever, also while an export hangs, and none fails. What is lost is counted, in `/metrics` as
`weaver_telemetry_export_*_total`; `/health` is `degraded` and says why. When the backend is back, so is `/health`, by
itself: at once, or a minute after the queue was full. The end of the process doesn't wait for it.
"""

_LOGFIRE_INTRODUCTION = """
### Logfire

With `WEAVER_LOGFIRE_TOKEN` and `WEAVER_LOGFIRE_SEND_TO_CLOUD` Logfire's own exporter sends. It keeps on disk what it
couldn't deliver, and sends it later; what it has no room for there it counts nowhere. Weaver counts what its queues
lose, and sees its cloud's answers: `/health` says of a loss and of each refusal at once, and of silence after a minute.
It is healthy again with the next answer, or a minute after the queue was full.
"""

_REDIS_INTRODUCTION = """
## Redis

With `WEAVER_REDIS_URL` tasks are kept there. Runs that are no tasks go on in every case, `/ready` is 200, and no span
of theirs has an error. A task that can't be kept is refused after some seconds of trying: never accepted and lost,
and never there twice when it is sent again with its `Idempotency-Key`. It is the same when Redis is down as the
gateway starts. Nobody restarts anything when it comes back.
"""

_REDIS_TRACE = """
A refusal is an error on the request's span, with the code as `weaver.problem.type`, and on `submit {capability}`, with
the code as `error.type`; `GET` and `DELETE` of a task are answered alike, for that a task isn't known is another thing.
The tests of this table run on the fake Redis and on a redis-server.
"""

_SHARES_INTRODUCTION = """
## At times

Each call is told what became of it and of no other, as the tables above say.
"""

_CLOCK_INTRODUCTION = """
## Clocks

Time-outs, back-off, leases and what expires go by the monotonic clock: a wall clock that is wrong, or is put right,
changes nothing but the times that are shown. With `WEAVER_REDIS_URL` what expires goes by Redis' clock.
"""

_ABSENT_INTRODUCTION = """
## What isn't installed
"""

_ABSENT = (
    (
        "Logfire",
        "one line in the log, `Logfire not available - install with: pip install 'weaver-ai[logfire]'`",
        "the same spans",
    ),
    (
        "the extra `redis`, with `WEAVER_REDIS_URL`",
        "the start ends with `WEAVER_REDIS_URL needs the extra 'redis': pip install 'weaver-ai[redis]'`",
        "nothing: there is no service",
    ),
)


def page() -> str:
    """The whole page."""
    parts = (_providers(), _exporter(), _logfire(), _redis(), _shares(), _clock(), _absent())
    return "\n".join([_INTRODUCTION, *(line for part in parts for line in part), ""])


def _providers() -> Iterator[str]:
    yield from _head(
        "What goes wrong",
        "As a test says it",
        "Without a fallback model",
        "With one",
        "In a stream, with one",
        "The `openai` client, without one",
        "HTTP span",
    )
    for case in PROVIDERS:
        yield _row(case.what, _said(case.fault(fault.openai)), *_provider(case))
    yield _PROVIDER_TRACE


def _provider(case: ProviderCase) -> tuple[str, str, str, str, str]:
    http = "no error" if case.http is None else f"`{case.http}`"
    if case.problem is None:
        return "the answer", "the answer", "the answer", "the answer", http
    streamed = "an `error` event" if case.begun else "the other's answer"
    raised = f"`{case.raised}`" + ("; in a stream `APIError`" if case.begun else "")
    return _told(case.problem), "the other's answer", streamed, raised, http


def _exporter() -> Iterator[str]:
    yield _EXPORTER_INTRODUCTION
    yield from _head("What goes wrong", "As a test says it", "Counted as", "`/health` says")
    for case in EXPORTER:
        yield _row(case.what, _said(case.fault), *_lost(case))


def _lost(case: ExporterCase) -> tuple[str, str]:
    return f"`{case.loss}`", case.reason


def _logfire() -> Iterator[str]:
    yield _LOGFIRE_INTRODUCTION
    yield from _head("What goes wrong", "As a test says it", "What wasn't delivered", "Counted as", "`/health` says")
    for case in LOGFIRE:
        yield _row(case.what, _said(case.fault), *_kept_by_logfire(case))


def _kept_by_logfire(case: LogfireCase) -> tuple[str, str, str]:
    says = f"{case.reason.strip()} …" if case.reason.endswith(" ") else case.reason
    when = f", after {case.after:g} s" if case.after else ""
    return "is sent later" if case.kept else "is lost", f"`{case.loss}`" if case.loss else "nothing", says + when


def _redis() -> Iterator[str]:
    yield _REDIS_INTRODUCTION
    yield from _head(
        "What goes wrong", "As a test says it", "`POST /v1/tasks`", "`/health` says", "Redis spans below `submit`"
    )
    for case in REDIS:
        yield _row(case.what, _said(case.fault), *_kept(case))
    yield _REDIS_TRACE


def _kept(case: RedisCase) -> tuple[str, str, str]:
    said = [f"{part}: {reason}" for part, reason in (("redis", case.redis), ("engine", case.engine)) if reason]
    error = "no error"
    if case.error is not None:
        error = f"one `{case.error}`, then none" if case.task is None else f"`{case.error}`, several times"
    return ("202" if case.task is None else _told(case.task)), "; ".join(said) or "nothing of it", error


def _shares() -> Iterator[str]:
    yield _SHARES_INTRODUCTION
    yield from _head("What goes wrong", "As a test says it", "Who is told", "The others")
    for case in SHARES:
        yield _row(case.what, _said(case.fault), case.told, case.rest)


def _clock() -> Iterator[str]:
    yield _CLOCK_INTRODUCTION
    yield from _head("What happens", "As a test says it", "What the user sees", "What the trace shows")
    for case in CLOCK:
        yield _row(case.what, f"`{case.said}`", *_timed(case))


def _timed(case: ClockCase) -> tuple[str, str]:
    return case.user if case.problem is None else _told(case.problem), case.trace


def _told(problem: Problem) -> str:
    after = f", `Retry-After: {problem.retry_after}`" if problem.retry_after else ""
    return f"{problem.status} `{problem.code}`{after}"


def _said(spec: FaultSpec) -> str:
    """The call that arms it, on its edge."""
    arguments = {
        "timeout": [] if spec.phase == "connect" else [f'"{spec.phase}"'],
        "reset": ["midway=True"] if spec.midway else [],
        "slow": [f"{spec.seconds:g}"],
        "status": [str(spec.status), *([f"retry_after={spec.retry_after:g}"] if spec.retry_after is not None else [])],
        "rejects": [str(spec.status)],
        "flaky": [str(len(spec.calls))],
    }
    share = f".share({spec.chance:g})" if spec.chance is not None else ""
    return f"`{spec.kind}({', '.join(arguments.get(spec.kind, []))}){share}`"


def _absent() -> Iterator[str]:
    yield _ABSENT_INTRODUCTION
    yield from _head("What is missing", "What the user sees", "What the trace shows")
    for cells in _ABSENT:
        yield _row(*cells)


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*["---"] * len(cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
