"""`weaver doctor`: every value, where it comes from, what is wrong; never a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weaver_ai.cli import main
from weaver_ai.cli.doctor import Finding, findings
from weaver_ai.settings import Settings, load_settings, variable_of

SECRET = "hunter2" * 3


def _lines(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """The words of each line of the report, by the first one."""
    return {words[0]: words[1:] for line in capsys.readouterr().out.splitlines() if (words := line.split())}


def test_each_setting_is_shown_with_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text("WEAVER_PORT=9001\nWEAVER_MAX_BODY_BYTES=77\n")
    monkeypatch.setenv("WEAVER_PORT", "9002")
    assert main(["doctor"]) == 0
    shown = _lines(capsys)
    assert shown["WEAVER_PORT"] == ["9002", "environment"]
    assert shown["WEAVER_MAX_BODY_BYTES"] == ["77", ".env"]
    assert shown["WEAVER_HOST"] == ["127.0.0.1", "default"]
    assert {variable_of(field) for field in Settings.model_fields} <= set(shown)


@pytest.mark.parametrize("name", ["weaver_port", "Weaver_Port"])
def test_names_are_read_in_any_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "9003")
    assert main(["doctor"]) == 0
    assert _lines(capsys)["WEAVER_PORT"] == ["9003", "environment"]


def test_no_secret_is_ever_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WEAVER_LOGFIRE_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
    monkeypatch.setenv("WEAVER_API_KEYS", f"{SECRET}1,{SECRET}2")
    monkeypatch.setenv("WEAVER_REDIS_URL", f"redis://:{SECRET}@localhost:6379")
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://user:{SECRET}@proxy.invalid/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://user:a/{SECRET}@other.invalid/v1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://{SECRET}@collector.invalid")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"team=a,password={SECRET}")
    main(["doctor"])
    report = capsys.readouterr().out
    assert SECRET not in report
    assert "https://**********@proxy.invalid/v1" in report
    assert "https://**********@other.invalid/v1" in report
    assert "https://**********@collector.invalid" in report
    assert "team=a,password=**********" in report
    assert "**********, **********" in report


def test_secrets_stay_hidden_when_another_setting_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAVER_PORT", "eighty")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("WEAVER_API_KEYS", SECRET)
    assert main(["doctor"]) == 1
    report = capsys.readouterr().out
    assert SECRET not in report
    assert "error: WEAVER_PORT: Input should be a valid integer" in report


def test_an_env_file_that_is_not_utf_8_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_bytes(b"WEAVER_HOST=caf\xe9\n")
    assert main(["doctor"]) == 1
    assert "error: .env isn't UTF-8: save it as UTF-8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "set_to", "shown"),
    [
        ("development", "", "(not set: True)"),
        ("production", "", "(not set: False)"),
        ("production", "true", "True"),
    ],
)
def test_whether_payloads_are_captured_is_told(
    environment: str, set_to: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAVER_TELEMETRY_ENVIRONMENT", environment)
    monkeypatch.setenv("WEAVER_TELEMETRY_CAPTURE_PAYLOADS", set_to)
    main(["doctor"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "CAPTURE_PAYLOADS" in line]
    assert f"  {shown}  " in line


def test_a_misspelt_variable_is_guessed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_PROT", "9000")
    assert main(["doctor"]) == 0
    assert (
        "warning: WEAVER_PROT is set, but it is no setting of Weaver; did you mean WEAVER_PORT?"
        in capsys.readouterr().out
    )


def test_a_variable_that_the_sdk_does_not_find_in_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    Path(".env").write_text("OTEL_TRACES_SAMPLER=always_off\nOTEL_BSP_MAX_QUEUE_SIZE=5\nOTEL_SERVICE_NAME=shop\n")
    assert main(["doctor"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if "is set in .env" in line]
    assert found == [
        "  warning: OTEL_TRACES_SAMPLER is set in .env, where OpenTelemetry doesn't read it: set it in the environment"
    ]


def test_a_target_that_leads_nowhere_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAVER_TARGET", "no_such_module:weaver")
    assert main(["doctor"]) == 1
    assert (
        "error: WEAVER_TARGET: 'no_such_module:weaver': there is no module 'no_such_module': "
        "run it from the directory that holds the module, or install the package\n"
    ) in capsys.readouterr().out


def _texts(level: str, **settings: Any) -> list[str]:
    found: list[Finding] = list(findings(load_settings(env_file=None, **settings)))
    return [each.text for each in found if each.level == level]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"model": "openai:gpt-5-mini"},
            "WEAVER_MODEL is openai:gpt-5-mini, but OPENAI_API_KEY isn't set",
        ),
        (
            {"model": "openai-responses:gpt-5-mini", "anthropic_api_key": SECRET},
            "WEAVER_MODEL is openai-responses:gpt-5-mini, but OPENAI_API_KEY isn't set",
        ),
    ],
)
def test_what_is_wrong(settings: dict[str, Any], text: str) -> None:
    assert _texts("error", **settings) == [text]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "no provider key is set: the built-in agents answer from the offline model"),
        (
            {"host": "0.0.0.0", "openai_api_key": SECRET},  # noqa: S104 # a value, nothing is bound
            "whoever reaches 0.0.0.0 can run the agents: set WEAVER_API_KEYS",
        ),
        (
            {"redis_url": "redis://localhost", "openai_api_key": SECRET},
            "WEAVER_REDIS_URL is set: tasks wait in Redis until a 'weaver worker' runs them",
        ),
        (
            {"logfire_token": SECRET, "logfire_send_to_cloud": True, "openai_api_key": SECRET},
            "nothing is sent to Logfire in development: set WEAVER_TELEMETRY_ENVIRONMENT=staging or production to send",
        ),
        (
            {"logfire_token": SECRET, "openai_api_key": SECRET},
            (
                "WEAVER_LOGFIRE_TOKEN is set, but nothing is sent to Logfire: "
                "set WEAVER_LOGFIRE_SEND_TO_CLOUD=true, or remove the token"
            ),
        ),
        (
            {"otel_traces_exporter": "zipkin", "openai_api_key": SECRET},
            "OTEL_TRACES_EXPORTER has zipkin, to which weaver sends no traces: it takes otlp, console and none",
        ),
    ],
)
def test_what_is_worth_knowing(settings: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.cli.doctor.find_spec", lambda name: object())
    assert _texts("warning", **settings) == [text]
    assert _texts("error", **settings) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"openai_api_key": SECRET},
        {"openai_base_url": "http://localhost:11434/v1"},
        {"anthropic_api_key": SECRET, "host": "0.0.0.0", "api_keys": SECRET},  # noqa: S104 # a value, nothing is bound
        {"openai_api_key": SECRET, "model": "openai:gpt-5-mini"},
        {
            "logfire_token": SECRET,
            "logfire_send_to_cloud": True,
            "telemetry_environment": "production",
            "model": "offline",
        },
    ],
)
def test_nothing_wrong(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.cli.doctor.find_spec", lambda name: object())
    assert list(findings(load_settings(env_file=None, **settings))) == []


def test_a_cloud_without_logfire_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.cli.doctor.find_spec", lambda name: None if name == "logfire" else object())
    both = {"logfire_token": SECRET, "logfire_send_to_cloud": True, "openai_api_key": SECRET}
    assert _texts("warning", **both) == [
        (
            "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but Logfire isn't installed, so nothing is sent to it: "
            "pip install 'weaver-ai[logfire]'"
        )
    ]


def test_redis_without_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver_ai.cli.doctor.find_spec", lambda name: None if name == "redis" else object())
    assert _texts("error", redis_url="redis://localhost") == [
        "WEAVER_REDIS_URL is set, but its client isn't installed: pip install 'weaver-ai[redis]'"
    ]


def test_a_target_is_loaded_with_the_keys_of_the_file_and_its_models_are_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.delenv("OPENAI_API_KEY")  # so that what is set here is taken back
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={'-'.join(['sk', 'test', '0' * 12])}\n")
    (tmp_path / "agents_of_doctor.py").write_text(
        "from pydantic_ai import Agent\n"
        "from weaver_ai.agents import Weaver\n"
        "weaver = Weaver('test')\n"
        "weaver.agent(Agent('openai:gpt-6-luna', name='a'), fallback=['anthropic:claude-haiku-5-5'])\n"
    )
    monkeypatch.setenv("WEAVER_TARGET", "agents_of_doctor:weaver")
    assert main(["doctor"]) == 0
    assert (
        "warning: the agent 'a': no fallback to 'anthropic:claude-haiku-5-5': ANTHROPIC_API_KEY is not set"
        in capsys.readouterr().out
    )
