"""Exporters that are dead, slow or refuse, over the backends: they cost no request, and no process its end."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.telemetry_process import BACKENDS, Outcome, run_scenario
from tests.contract.telemetry_recording import Recorded, to_the_cloud
from tests.fixtures.otlp_receiver import OtlpReceiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.mark.parametrize("backend", BACKENDS)
class TestBadExporters:
    """The queue takes 2048 items of each kind; the scenario makes 3000."""

    def test_a_dead_endpoint_costs_no_request(self, backend: str, tmp_path: Path) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            outcome = run_scenario("dead", backend, tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        self._check(outcome)
        assert outcome.console.count("Traceback") == 0

    def test_a_slow_endpoint_neither(self, backend: str, tmp_path: Path, receiver: OtlpReceiver) -> None:
        receiver.holds = 30.0
        outcome = run_scenario("dead", backend, tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
        self._check(outcome)

    def _check(self, outcome: Outcome) -> None:
        result = outcome.result
        assert result["flushed"] is False
        assert result["slowest"] < 2.0
        assert 0.9 < result["flush_seconds"] < 3.0
        assert result["shutdown_seconds"] < 4.0
        health = result["health"]
        assert health["state"] == "degraded"
        assert health["exported"] == 0
        assert health["queued"] <= 4096
        assert health["dropped"] > 0
        assert outcome.seconds < 20

    def test_the_end_of_a_process_sends_what_is_queued(self, backend: str, tmp_path: Path) -> None:
        recording = Recorded("ending", backend, tmp_path, OTEL_BSP_SCHEDULE_DELAY="60000")
        assert [span.name for span in recording.spans] == ["last"]
        assert [log.body for log in recording.logs] == ["words"]

    def test_the_end_of_a_process_waits_for_nobody_long(
        self, backend: str, tmp_path: Path, receiver: OtlpReceiver
    ) -> None:
        receiver.holds = 60.0
        env = to_the_cloud(receiver.url) if backend == "logfire" else {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        outcome = run_scenario("ending", backend, tmp_path, env)
        assert 4 < outcome.ended - outcome.result < 9  # 5 for the flush; an exporter that is waited for takes 10

    def test_a_refusing_endpoint_is_said_once(self, backend: str, tmp_path: Path, receiver: OtlpReceiver) -> None:
        receiver.refuses = 400
        outcome = run_scenario("refused", backend, tmp_path, receiver.env)
        health = outcome.result
        # 3000 spans and 3000 records, and of each signal the record that its export fails.
        assert (health["failed"] + health["dropped"] + health["queued"], health["exported"]) == (6002, 0)
        assert (health["state"], health["reason"]) == ("degraded", "the exporter could not deliver")
        assert outcome.console.count("; requests go on, telemetry is lost") == 2
        for kind, signal in (("span", "traces"), ("log", "logs")):
            line = (
                rf"export of {signal} fails: Failed to export {kind}s? batch code: 400, reason: [^;]+; requests go on"
            )
            assert len(re.findall(line, outcome.console)) == 1
