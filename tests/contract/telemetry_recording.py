"""What a backend exported in one scenario, and what it says where Logfire is missing."""

from __future__ import annotations

from pathlib import Path

from tests.contract.telemetry_process import Outcome, run_scenario
from tests.contract.telemetry_scenarios import FAKE_TOKEN
from tests.fixtures.otlp_receiver import Log, OtlpReceiver
from weaver_ai.spans.model import Span

MISSING = "Logfire not available - install with: pip install 'weaver-ai[logfire]'"


class Recorded:
    """What one backend exported in one scenario."""

    def __init__(self, scenario: str, backend: str, where: Path, **env: str) -> None:
        with OtlpReceiver() as receiver:
            self.outcome: Outcome = run_scenario(scenario, backend, where, {**receiver.env, **env})
        self.spans = sorted(receiver.spans, key=lambda span: (span.start, span.name))
        self.logs = receiver.logs
        self.metrics = sorted(set(receiver.metrics))
        self.bodies = receiver.bodies

    def one(self, name: str) -> Span:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def log(self, body: str) -> Log:
        (found,) = [log for log in self.logs if log.body == body]
        return found


def to_the_cloud(url: str) -> dict[str, str]:
    """The environment of a process that sends to Logfire's cloud, which is at this address."""
    return {
        "WEAVER_TELEMETRY_ENVIRONMENT": "staging",
        "WEAVER_LOGFIRE_SEND_TO_CLOUD": "true",
        "WEAVER_LOGFIRE_TOKEN": FAKE_TOKEN,
        "LOGFIRE_BASE_URL": url,
    }
