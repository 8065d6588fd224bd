"""The fixture `otlp`: what other processes export joins the recording of the test that started them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar, final
from urllib.parse import urlsplit

import pytest
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from weaver_ai.receiver.server import OtlpReceiver
from weaver_ai.testing.asserting.alarm import until, until_async
from weaver_ai.testing.session.hooks import TracedSession

if TYPE_CHECKING:
    from weaver_ai.receiver.delivery import Delivery
    from weaver_ai.testing.capture.capture import Capture
    from weaver_ai.testing.capture.origin import Origin
    from weaver_ai.testing.capture.recording import Recording

__all__ = ["Otlp", "OtlpTests"]

Found = TypeVar("Found")

_SHARED: Final = "/running-test"
_SIGNALS: Final = ("traces", "logs", "metrics")
_UNPROXIED: Final = ("NO_PROXY", "no_proxy")  # of libraries some read the one, some the other
_SOON: Final[Mapping[str, str]] = {
    "OTEL_SDK_DISABLED": "false",
    "OTEL_TRACES_SAMPLER": "always_on",
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
}


@final
class Otlp:
    """Where other processes, in any language, send the telemetry that belongs to this test.

    Attributes:
        url: the OTLP/HTTP endpoint, for an SDK that is configured by hand.
    """

    def __init__(self, url: str, recording: Recording) -> None:
        self.url = url
        self._recording = recording

    @property
    def env(self) -> dict[str, str]:
        """Environment variables, by OpenTelemetry's names, that send everything here, unsampled and soon.

        They stand over what the environment says of endpoints and protocols, for each signal. Where a span is
        current, `TRACEPARENT` names it: a program that reads that continues its trace.

        Example:
            >>> subprocess.run(command, env={**os.environ, **otlp.env}, check=True)
        """
        return environment(self.url) | _trace_context()

    def env_at(self, host: str) -> dict[str, str]:
        """As `env`, with this machine by another name, as a container knows it: `host.docker.internal`."""
        here = self.url.split("/")[2].rpartition(":")[0]
        return environment(self.url.replace(here, host, 1)) | _trace_context()

    def wait(self, ask: Callable[[], Found], timeout: float = 5.0) -> Found:
        """What `ask` returns, as soon as that is true; it is asked again whenever something arrives.

        It blocks the thread. An AssertionError means "not yet", so anything can be waited for:
        `otlp.wait(lambda: logs.count() == 2)`. For one question of one signal there are `spans.wait`, `logs.wait`
        and `metrics.wait`.

        Raises:
            AssertionError: after `timeout` seconds; the last one of `ask`, if it raised any.
        """
        __tracebackhide__ = True
        attempt = _Attempt(ask)
        found = until(self._recording.subscribe, attempt, timeout)
        return found if found is not None else self._missed(attempt, "wait", timeout)

    async def eventually(self, ask: Callable[[], Found], timeout: float = 5.0) -> Found:  # noqa: ASYNC109 # as `wait`
        """As `wait`, but the event loop goes on."""
        __tracebackhide__ = True
        attempt = _Attempt(ask)
        found = await until_async(self._recording.subscribe, attempt, timeout)
        return found if found is not None else self._missed(attempt, "eventually", timeout)

    def _missed(self, attempt: _Attempt[Found], verb: str, timeout: float) -> NoReturn:
        __tracebackhide__ = True
        arrived = f"after {timeout:g}s; arrived from other processes: {self._recording.remote.count()}"
        if attempt.error is None:
            raise AssertionError(f"otlp.{verb}: still {attempt.answer!r} {arrived}")
        attempt.error.add_note(f"otlp.{verb}: {arrived}")
        raise attempt.error


def environment(url: str) -> dict[str, str]:
    """What makes an SDK send everything to this endpoint, soon and unsampled."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **_SOON}
    env |= dict.fromkeys(_UNPROXIED, _without_proxy(urlsplit(url).hostname or ""))
    for signal in _SIGNALS:
        env[f"OTEL_{signal.upper()}_EXPORTER"] = "otlp"
        env[f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"] = f"{url}/v1/{signal}"
        env[f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"] = "http/protobuf"
    return env


def _without_proxy(host: str) -> str:
    """What the environment says of hosts that no proxy stands before, and this one."""
    hosts = [each.strip() for name in _UNPROXIED for each in os.environ.get(name, "").split(",")]
    return "*" if "*" in hosts else ",".join(dict.fromkeys([*filter(None, hosts), host]))


def _trace_context() -> dict[str, str]:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name.upper(): value for name, value in carrier.items()}


class _Attempt(Generic[Found]):
    """One question, put again and again; keeps what came of it last."""

    def __init__(self, ask: Callable[[], Found]) -> None:
        self._ask = ask
        self.answer: Found | None = None
        self.error: AssertionError | None = None

    def __call__(self) -> Found | None:
        __tracebackhide__ = True
        try:
            self.answer, self.error = self._ask(), None
        except AssertionError as error:
            self.error = error
            return None
        return self.answer or None


class OtlpTests:
    """The receiver of a session, started for the first test that asks; each test has its own path at it.

    A span goes to the test whose path it was sent to, whenever it began. Once that test is over it is a stray of
    the one that runs. Processes that outlive a test have a path that they share: there it goes to the test in which
    its trace began, and to none once that test is over, for such processes always export a little late.
    """

    def __init__(self, capture: Capture, host: str) -> None:
        self._capture = capture
        self._boxes: dict[str, Recording] = {}
        self._traces: dict[str, Origin | None] = {}
        self._numbers = itertools.count(1)
        self.receiver = OtlpReceiver(self._take, host=host)

    @classmethod
    def of(cls, config: pytest.Config) -> OtlpTests:
        tests = config.stash.get(_TESTS, None)
        if tests is None:
            host = str(config.getini("weaver_otlp_host"))
            try:
                tests = config.stash[_TESTS] = cls(TracedSession.of(config).capture, host)
            except OSError as error:
                pytest.fail(f"weaver_otlp_host {host!r} can't be listened on: {error}", pytrace=False)
            tests.receiver.start()
            config.add_cleanup(tests.receiver.stop)
        return tests

    def open(self, recording: Recording) -> Otlp:
        """Give the test a path of its own."""
        path = f"/test-{next(self._numbers)}"
        self._boxes[path] = recording
        url = f"{self.receiver.url}{path}"
        refusals, first = self.receiver.refusals, len(self.receiver.refusals)
        recording.remote.address = url
        recording.remote.refused = lambda: refusals[first:]
        return Otlp(url, recording)

    def share(self) -> dict[str, str]:
        """The environment of processes that outlive a test."""
        return environment(f"{self.receiver.url}{_SHARED}")

    def _take(self, prefix: str, delivery: Delivery) -> None:
        if prefix == _SHARED:
            if (running := self._capture.recording) is not None:
                running.arrived(self._share_of(running, delivery))
            return
        recording = self._boxes[prefix]
        if not recording.origin.closed:
            recording.arrived(delivery)
        elif (running := self._capture.recording) is not None:
            running.remote.strays += [(span.name, recording.origin.name) for span in delivery.spans]

    def _share_of(self, running: Recording, delivery: Delivery) -> Delivery:
        """What belongs to the running test: by trace, and where there is none, by time."""
        for span in delivery.spans:
            if span.trace_id not in self._traces:
                self._traces[span.trace_id] = running.origin if span.start >= running.began_at else None

        def is_here(trace_id: str | None, time: int) -> bool:
            if trace_id is None:
                return time >= running.began_at
            return self._traces.get(trace_id, running.origin) is running.origin

        return replace(
            delivery,
            spans=[span for span in delivery.spans if is_here(span.trace_id, span.start)],
            logs=[log for log in delivery.logs if is_here(log.trace_id, log.time)],
            points=[point for point in delivery.points if is_here(None, point.time)],
        )


_TESTS: Final = pytest.StashKey[OtlpTests]()
