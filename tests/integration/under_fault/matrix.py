"""What goes wrong, what the user sees and what the trace shows: the tests run this table, and the docs print it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from weaver_ai.testing.faults import FaultSpec, fault
from weaver_ai.testing.faults.spec import ProviderFaults

__all__ = [
    "CLOCK",
    "EXPORTER",
    "LOGFIRE",
    "PROVIDERS",
    "REDIS",
    "SHARES",
    "ClockCase",
    "ExporterCase",
    "LogfireCase",
    "Problem",
    "ProviderCase",
    "RedisCase",
    "ShareCase",
]

FaultOf: TypeAlias = Callable[[ProviderFaults[FaultSpec]], FaultSpec]


@dataclass(frozen=True)
class Problem:
    """What a client is told: the status, the last segment of the problem's type, and the `Retry-After` header."""

    status: int
    code: str
    retry_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    """A fault of the provider that is asked first; OpenAI and Anthropic alike.

    Attributes:
        what: in words.
        fault: of the vocabulary, on the edge of either provider.
        problem: what the client gets where there is no fallback model; None: the answer.
        http: `error.type` of the HTTP client's span; None: it ended without an error.
        begun: a stream has sent its first words when the fault strikes, so that no other model can step in.
        limit: `WEAVER_PROVIDER_TIMEOUT_SECONDS`.
    """

    what: str
    fault: FaultOf
    problem: Problem | None
    http: str | None
    begun: bool = False
    limit: float = 60.0

    @property
    def raised(self) -> str | None:
        """What the `openai` client raises where the gateway is its base URL, by the problem's status."""
        if self.problem is None:
            return None
        return "RateLimitError" if self.problem.status == 429 else "InternalServerError"


_TIMEOUT: Final = Problem(504, "provider-timeout")
_UNREACHABLE: Final = Problem(503, "provider-unreachable")
_UNAVAILABLE: Final = Problem(502, "provider-unavailable")
_REJECTED: Final = Problem(502, "provider-rejected")
_UNREADABLE: Final = Problem(502, "provider-invalid-response")

PROVIDERS: Final = (
    ProviderCase(
        what="no connection in time", fault=lambda edge: edge.timeout(), problem=_TIMEOUT, http="ConnectTimeout"
    ),
    ProviderCase(
        what="connected, no answer in time",
        fault=lambda edge: edge.timeout("read"),
        problem=_TIMEOUT,
        http="ReadTimeout",
    ),
    ProviderCase(
        what="the request can't be sent in time",
        fault=lambda edge: edge.timeout("write"),
        problem=_TIMEOUT,
        http="WriteTimeout",
    ),
    ProviderCase(
        what="all connections of the client are taken",
        fault=lambda edge: edge.timeout("pool"),
        problem=_TIMEOUT,
        http="PoolTimeout",
    ),
    ProviderCase(what="nobody listens", fault=lambda edge: edge.refused(), problem=_UNREACHABLE, http="ConnectError"),
    ProviderCase(
        what="the connection breaks before the answer",
        fault=lambda edge: edge.reset(),
        problem=_UNREACHABLE,
        http="ReadError",
    ),
    ProviderCase(
        what="the connection breaks in the answer",
        fault=lambda edge: edge.reset(midway=True),
        problem=_UNREACHABLE,
        http=None,
        begun=True,
    ),
    ProviderCase(what="slow, but in time", fault=lambda edge: edge.slow(0.2), problem=None, http=None),
    ProviderCase(
        what="slower than `WEAVER_PROVIDER_TIMEOUT_SECONDS`",
        fault=lambda edge: edge.slow(30),
        problem=_TIMEOUT,
        http=None,  # Weaver hangs up, which is no error of the connection
        limit=0.3,
    ),
    ProviderCase(
        what="rate limit, says when",
        fault=lambda edge: edge.status(429, retry_after=1),
        problem=Problem(429, "provider-rate-limited", "1"),
        http="429",
    ),
    ProviderCase(
        what="rate limit, doesn't say when",
        fault=lambda edge: edge.status(429),
        problem=Problem(429, "provider-rate-limited"),
        http="429",
    ),
    ProviderCase(what="its own error", fault=lambda edge: edge.status(500), problem=_UNAVAILABLE, http="500"),
    ProviderCase(
        what="down, says until when",
        fault=lambda edge: edge.status(503, retry_after=3),
        problem=Problem(502, "provider-unavailable", "3"),
        http="503",
    ),
    ProviderCase(what="overloaded", fault=lambda edge: edge.status(529), problem=_UNAVAILABLE, http="529"),
    ProviderCase(what="the request is refused", fault=lambda edge: edge.status(400), problem=_REJECTED, http="400"),
    ProviderCase(what="the key is refused", fault=lambda edge: edge.bad_key(), problem=_REJECTED, http="401"),
    ProviderCase(what="no such model", fault=lambda edge: edge.status(404), problem=_REJECTED, http="404"),
    ProviderCase(
        what="an answer that can't be read",
        fault=lambda edge: edge.malformed(),
        problem=_UNREADABLE,
        http=None,
        begun=True,
    ),
    ProviderCase(
        what="half an answer",
        fault=lambda edge: edge.truncated(),
        problem=_UNREACHABLE,
        http=None,
        begun=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class ExporterCase:
    """A fault of the telemetry backend. Requests are answered as without it.

    Attributes:
        what: in words.
        fault: of the vocabulary.
        loss: which counter of `exporter_health()` and `/metrics` counts what is lost.
        reason: what `/health` says of the component `telemetry`.
    """

    what: str
    fault: FaultSpec
    loss: Literal["failed", "dropped"]
    reason: str


_UNDELIVERED: Final = "the exporter could not deliver"

EXPORTER: Final = (
    ExporterCase(what="nobody listens", fault=fault.exporter.down(), loss="failed", reason=_UNDELIVERED),
    ExporterCase(what="it never answers", fault=fault.exporter.hangs(), loss="failed", reason=_UNDELIVERED),
    ExporterCase(what="it refuses", fault=fault.exporter.rejects(), loss="failed", reason=_UNDELIVERED),
    ExporterCase(what="its own error", fault=fault.exporter.rejects(503), loss="failed", reason=_UNDELIVERED),
    ExporterCase(
        what="the queue before it is full",
        fault=fault.exporter.full(),
        loss="dropped",
        reason="the queue was full: telemetry is dropped",
    ),
)


@dataclass(frozen=True, kw_only=True)
class LogfireCase:
    """A fault of Logfire's cloud, to which Logfire's own exporter sends. Requests are answered as without it.

    Attributes:
        what: in words.
        fault: of the vocabulary.
        kept: what was not delivered is, when the cloud is back: Logfire keeps it on disk.
        loss: what it is counted as; None where nothing was answered.
        reason: how what `/health` says of the component `telemetry` begins.
        after: seconds until it says so.
    """

    what: str
    fault: FaultSpec
    kept: bool
    loss: Literal["failed", "dropped"] | None
    reason: str
    after: float


_SILENT: Final = "no answer from Logfire for "

LOGFIRE: Final = (
    LogfireCase(what="nobody listens", fault=fault.exporter.down(), kept=True, loss=None, reason=_SILENT, after=60.0),
    LogfireCase(
        what="it never answers", fault=fault.exporter.hangs(), kept=True, loss=None, reason=_SILENT, after=60.0
    ),
    LogfireCase(
        what="it refuses",
        fault=fault.exporter.rejects(),
        kept=False,
        loss="failed",
        reason="Logfire answered 403",
        after=0.0,
    ),
    LogfireCase(
        what="its own error",
        fault=fault.exporter.rejects(503),
        kept=True,
        loss="failed",
        reason="Logfire answered 503",
        after=0.0,
    ),
    LogfireCase(
        what="the queue before it is full",
        fault=fault.exporter.full(),
        kept=False,
        loss="dropped",
        reason="the queue was full: telemetry is dropped",
        after=0.0,
    ),
)


@dataclass(frozen=True, kw_only=True)
class RedisCase:
    """A fault of the Redis that tasks are kept in. Runs that aren't tasks go on in every case.

    Attributes:
        what: in words.
        fault: of the vocabulary.
        task: what `POST /v1/tasks` answers; None: 202.
        error: the first error of a Redis span below `submit {capability}`; None: there is none.
        redis: what `/health` says of the component `redis`; None: `ok`.
        engine: what it says of the component `engine`; None: what it says without the fault.
    """

    what: str
    fault: FaultSpec
    task: Problem | None
    error: str | None
    redis: str | None = None
    engine: str | None = None


_REFUSED: Final = Problem(503, "engine-unavailable", "5")

REDIS: Final = (
    RedisCase(
        what="down",
        fault=fault.redis.down(),
        task=_REFUSED,
        error="ConnectionError",
        redis="the ping failed: ConnectionError",
        engine="the task engine's Redis can't be used: ConnectionError",
    ),
    RedisCase(what="slow", fault=fault.redis.slow(0.2), task=None, error=None),
    RedisCase(
        what="too slow",
        fault=fault.redis.slow(30),
        task=_REFUSED,
        error=None,  # Weaver gives up waiting, which is no error of the connection
        redis="no answer within 1 s",
        engine="the task engine's Redis can't be used: TimeoutError",
    ),
    RedisCase(what="loses a connection", fault=fault.redis.flaky(1), task=None, error="ConnectionError"),
    RedisCase(what="restarts", fault=fault.redis.reconnect(), task=None, error="ConnectionError"),
    RedisCase(
        what="takes no writes",
        fault=fault.redis.readonly(),
        task=_REFUSED,
        error="ReadOnlyError",
        engine="the task engine's Redis takes no writes: ReadOnlyError",
    ),
    RedisCase(
        what="has no memory left",
        fault=fault.redis.oom(),
        task=_REFUSED,
        error="OutOfMemoryError",
        engine="the task engine's Redis takes no writes: OutOfMemoryError",
    ),
)


@dataclass(frozen=True, kw_only=True)
class ShareCase:
    """A fault that hits some of the calls, drawn from the seed; each call is told by itself what became of it.

    Attributes:
        what: in words.
        fault: of the vocabulary, with its share.
        told: who meets it.
        rest: what becomes of the calls that it leaves alone.
    """

    what: str
    fault: FaultSpec
    told: str
    rest: str


SHARES: Final = (
    ShareCase(
        what="a provider fails at times",
        fault=fault.openai.status(500).share(0.5),
        told="the runs whose call it hit: 502 `provider-unavailable`; with a fallback model none",
        rest="answered, without an error in their traces",
    ),
    ShareCase(
        what="Redis loses connections at times",
        fault=fault.redis.down().share(0.1),
        told="nobody, or who lost one too often: 503 `engine-unavailable`, and nothing of the task is kept",
        rest="202, kept once, also where they were tried again",
    ),
    ShareCase(
        what="the telemetry backend refuses at times",
        fault=fault.exporter.rejects(503).share(0.5),
        told="nobody: what is lost is counted as `failed`",
        rest="delivered, counted as `exported`",
    ),
)


@dataclass(frozen=True, kw_only=True)
class ClockCase:
    """What a clock does to the gateway.

    Attributes:
        id: by which a test knows it.
        what: in words.
        said: as a test says it.
        problem: what the client is told; None: `user` says what it sees.
        user: in words.
        trace: what it shows.
    """

    id: str
    what: str
    said: str
    user: str = ""
    problem: Problem | None = None
    trace: str


CLOCK: Final = (
    ClockCase(
        id="ahead",
        what="the wall clock is ahead",
        said="skewed_clock(3600)",
        user="the answer; times in it are an hour ahead, and nothing times out",
        trace="times that are an hour ahead, durations that are right",
    ),
    ClockCase(
        id="behind",
        what="the wall clock is behind",
        said="skewed_clock(-3600)",
        user="the answer; times in it are an hour behind, and nothing lasts longer",
        trace="times that are an hour behind, durations that are right",
    ),
    ClockCase(
        id="put-back",
        what="the wall clock is put back in the middle of a run",
        said="skewed_clock(-3600)",
        user="the answer",
        trace="spans that were open end before they began; no error",
    ),
    ClockCase(
        id="run-timeout",
        what="a run's time is over",
        said="frozen_clock.advance(120)",
        problem=Problem(504, "run-timeout"),
        trace="`run-timeout` as `error.type` of the workflow or agent and of what it waited for",
    ),
    ClockCase(
        id="provider-timeout",
        what="a provider's time is over",
        said="frozen_clock`, `faults.openai.slow(600)",
        problem=Problem(504, "provider-timeout"),
        trace="`chat {model}` that lasts `WEAVER_PROVIDER_TIMEOUT_SECONDS`, to the second",
    ),
    ClockCase(
        id="back-off",
        what="a provider says when to come again, with `WEAVER_PROVIDER_MAX_RETRIES=1`",
        said="frozen_clock`, `faults.openai.status(429, retry_after=7).on_call(1)",
        user="the answer, seven seconds later",
        trace="two HTTP spans below `chat {model}`, seven seconds apart",
    ),
    ClockCase(
        id="key-expires",
        what="the day of an `Idempotency-Key` is over",
        said="frozen_clock.advance(86_400)",
        user="202 and another task; a second before, the same one",
        trace="a `submit` for each of the two tasks",
    ),
    ClockCase(
        id="task-expires",
        what="a finished task's `WEAVER_TASK_TTL_SECONDS` are over",
        said="frozen_clock.advance(3600)",
        problem=Problem(404, "task-not-found"),
        trace="no error: not to know a task is none",
    ),
    ClockCase(
        id="silence",
        what="a stream has nothing to say for a while",
        said="frozen_clock.advance(15)",
        user="a comment that keeps the connection, and then the answer",
        trace="no error",
    ),
)
