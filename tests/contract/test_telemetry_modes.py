"""What each environment prints and sends, over the backends; and what goes to Logfire's cloud."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.telemetry_process import BACKENDS, run_scenario
from tests.contract.telemetry_recording import MISSING, Recorded, to_the_cloud
from tests.contract.telemetry_scenarios import FAKE_KEY, FAKE_TOKEN
from tests.fixtures.otlp_receiver import OtlpReceiver

KEPT_BACK = (
    "WEAVER_LOGFIRE_TOKEN is set, but nothing is sent to Logfire: "
    "set WEAVER_LOGFIRE_SEND_TO_CLOUD=true, or remove the token"
)
NOT_INSTALLED = (
    "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but Logfire isn't installed, so nothing is sent to it: "
    "pip install 'weaver-ai[logfire]'"
)
APPLICATION_SENDS = (
    "nothing is sent to Logfire by weaver, for the application has set a tracer provider of its own: "
    "have that one send, or unset WEAVER_LOGFIRE_SEND_TO_CLOUD"
)


@pytest.mark.parametrize("backend", BACKENDS)
class TestModes:
    def test_development_has_a_console_and_no_network(self, backend: str, tmp_path: Path) -> None:
        outcome = run_scenario("mode", backend, tmp_path, {"WEAVER_LOGFIRE_TOKEN": FAKE_TOKEN})
        lines = _without_times(outcome.console, outcome.result["name"])
        assert lines == [
            "INFO all is well  trace=<id>",
            "WARN something is odd  trace=<id>",
            "root  <time>",
            "├─ child  <time>",
            "└─ broken  <time>  ValueError: no such thing",
        ]
        assert outcome.result["health"]["state"] == "off"
        assert outcome.files == ()

    def test_colours_are_for_terminals(self, backend: str, tmp_path: Path) -> None:
        outcome = run_scenario("mode", backend, tmp_path, {"FORCE_COLOR": "1"})
        assert "\x1b[31mbroken\x1b[0m" in outcome.console
        assert "\x1b[" not in run_scenario("mode", backend, tmp_path, {"FORCE_COLOR": "1", "NO_COLOR": "1"}).console

    def test_staging_has_a_console_and_exports(self, backend: str, tmp_path: Path) -> None:
        recording = Recorded("mode", backend, tmp_path, WEAVER_TELEMETRY_ENVIRONMENT="staging")
        assert "└─ broken" in recording.outcome.console
        assert [span.name for span in recording.spans] == ["root", "child", "broken"]
        assert {span.resource["deployment.environment.name"] for span in recording.spans} == {"staging"}

    def test_production_says_only_what_is_wrong(self, backend: str, tmp_path: Path) -> None:
        recording = Recorded("mode", backend, tmp_path, WEAVER_TELEMETRY_ENVIRONMENT="production")
        assert _without_times(recording.outcome.console, recording.outcome.result["name"]) == [
            "WARN something is odd  trace=<id>",
            "ERROR broken  <time>  ValueError: no such thing  trace=<id>",
        ]
        assert [span.name for span in recording.spans] == ["root", "child", "broken"]
        assert len(recording.logs) == 2

    @pytest.mark.parametrize("switch", [{"WEAVER_TELEMETRY_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}])
    def test_disabled_installs_nothing(self, backend: str, tmp_path: Path, switch: dict[str, str]) -> None:
        recording = Recorded("mode", backend, tmp_path, **switch)
        assert recording.outcome.result == {
            "name": "off",
            "enabled": False,
            "provider": "ProxyTracerProvider",
            "logfire": False,
            "health": {
                "state": "off",
                "queued": 0,
                "exported": 0,
                "dropped": 0,
                "failed": 0,
                "reason": None,
                "latency": None,
            },
            "prometheus": "# telemetry is off (WEAVER_TELEMETRY_ENABLED=false)",
            "flushed": True,
        }
        assert recording.outcome.console == "something is odd\n"
        assert recording.bodies == []

    def test_a_missing_logfire_is_said_once(self, backend: str, tmp_path: Path) -> None:
        outcome = run_scenario("reconfigure", backend, tmp_path)
        assert outcome.console.count(MISSING) == (1 if backend == "opentelemetry" else 0)


class TestLogfireCloud:
    def test_it_gets_spans_logs_metrics_and_open_spans_redacted(self, tmp_path: Path) -> None:
        with OtlpReceiver() as cloud:
            outcome = run_scenario("secrets", "logfire", tmp_path, to_the_cloud(cloud.url))
        ended = [span for span in cloud.spans if span.attributes["logfire.span_type"] == "span"]
        assert [span.name for span in ended] == ["call with [redacted]"]
        assert [log.body for log in cloud.logs] == ["logged [redacted]", "failed", "the key is [redacted]"]
        assert "weaver.telemetry.export.dropped" in cloud.metrics
        for secret in (FAKE_KEY, FAKE_TOKEN, "hunter2", "s3cr3t-value", "correct-horse"):
            assert not any(secret.encode() in body for body in cloud.bodies), secret
        assert outcome.files == ()

    @pytest.mark.parametrize(
        ("environment", "sent", "console"),
        [
            ("development", False, ["INFO all is well", "└─ broken"]),
            ("staging", True, ["INFO all is well", "└─ broken"]),
            ("production", True, ["ERROR broken"]),
        ],
    )
    def test_who_sends_to_it_and_what_the_console_has_beside(
        self, tmp_path: Path, environment: str, sent: bool, console: list[str]
    ) -> None:
        with OtlpReceiver() as cloud:
            env = {**to_the_cloud(cloud.url), "WEAVER_TELEMETRY_ENVIRONMENT": environment}
            outcome = run_scenario("mode", "logfire", tmp_path, env)
        ended = [span.name for span in cloud.spans if span.attributes["logfire.span_type"] == "span"]
        assert sorted(ended) == (["broken", "child", "root"] if sent else [])
        assert sorted(log.body for log in cloud.logs) == (["all is well", "something is odd"] if sent else [])
        shown = outcome.console
        assert [part for part in ("INFO all is well", "└─ broken", "ERROR broken") if part in shown] == console

    def test_its_health_is_known(self, tmp_path: Path) -> None:
        with OtlpReceiver() as cloud:
            health = run_scenario("mode", "logfire", tmp_path, to_the_cloud(cloud.url)).result["health"]
        assert (health["state"], health["failed"], health["reason"]) == ("ok", 0, None)
        assert health["exported"] >= 1

    def test_a_refusal_is_known_too(self, tmp_path: Path) -> None:
        with OtlpReceiver() as cloud:
            cloud.refuses = 401
            health = run_scenario("mode", "logfire", tmp_path, to_the_cloud(cloud.url)).result["health"]
        assert (health["state"], health["reason"]) == ("degraded", "Logfire answered 401 Unauthorized")


@pytest.mark.parametrize(
    ("way", "switch", "line"),
    [
        ("logfire", False, KEPT_BACK),
        ("opentelemetry", False, KEPT_BACK),
        ("host", False, KEPT_BACK),
        ("off", False, KEPT_BACK),
        ("opentelemetry", True, NOT_INSTALLED),
        ("host", True, APPLICATION_SENDS),
    ],
)
def test_what_keeps_the_cloud_from_getting_anything_is_said_whichever_backend_there_is(
    tmp_path: Path, way: str, switch: bool, line: str
) -> None:
    env = {"WEAVER_LOGFIRE_TOKEN": FAKE_TOKEN, "WEAVER_TELEMETRY_ENVIRONMENT": "production"}
    env |= {"WEAVER_LOGFIRE_SEND_TO_CLOUD": "true"} if switch else {}
    env |= {"WEAVER_TELEMETRY_ENABLED": "false"} if way == "off" else {}
    backend = "opentelemetry" if way == "opentelemetry" else "logfire"
    with OtlpReceiver() as cloud:
        scenario = "host" if way == "host" else "mode"
        outcome = run_scenario(scenario, backend, tmp_path, {**env, "LOGFIRE_BASE_URL": cloud.url})
    said = [one for one in outcome.console.splitlines() if "LOGFIRE" in one or "sent to Logfire" in one]
    assert list(dict.fromkeys(said)) == [line]
    assert cloud.bodies == []
    assert FAKE_TOKEN not in outcome.console


def _without_times(console: str, name: str) -> list[str]:
    lines = console.splitlines()
    if lines and lines[0].startswith("WEAVER_LOGFIRE_TOKEN"):
        lines.pop(0)
    if name == "opentelemetry":
        assert lines.pop(0) == MISSING
    text = "\n".join(line.strip() for line in lines)
    text = re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d{3} ", "", text)
    text = re.sub(r"\d+\.\d+ m?s\b", "<time>", text)
    return re.sub(r"trace=[0-9a-f]{32}", "trace=<id>", text).splitlines()
