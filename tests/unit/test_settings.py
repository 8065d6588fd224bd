"""Settings: names, defaults, sources, and what a wrong value says."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.util.re import parse_env_headers

from weaver_ai.errors import SettingsError
from weaver_ai.settings import Settings, load_settings, variable_of


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)


def test_the_documented_defaults() -> None:
    settings = load_settings(env_file=None)
    assert settings.telemetry_enabled is True
    assert settings.telemetry_service_name == "weaver-ai"
    assert settings.telemetry_environment == "development"
    assert settings.logfire_token is None
    assert settings.logfire_send_to_cloud is False
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("WEAVER_PORT=9001\nWEAVER_HOST=0.0.0.0\nUNRELATED=1\n")
    monkeypatch.setenv("WEAVER_PORT", "9002")
    settings = load_settings(env_file=env_file)
    assert (settings.host, settings.port) == ("0.0.0.0", 9002)  # noqa: S104 # a value, nothing is bound


def test_every_number_that_is_no_whole_one_has_an_upper_bound() -> None:
    floats = {name: field for name, field in Settings.model_fields.items() if field.annotation is float}
    assert len(floats) > 5
    assert [name for name, field in floats.items() if not any(hasattr(one, "le") for one in field.metadata)] == []


def test_an_env_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"\xef\xbb\xbfWEAVER_PORT=9001\n")
    assert load_settings(env_file=env_file).port == 9001


@pytest.mark.parametrize("content", [b"WEAVER_HOST=caf\xe9\n", "WEAVER_PORT=1\n".encode("utf-16")])
def test_an_env_file_that_is_not_utf_8_is_one_readable_line(tmp_path: Path, content: bytes) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=env_file)
    assert (str(caught.value), caught.value.hint) == (f"{env_file} isn't UTF-8", "save it as UTF-8")


def test_an_env_file_that_cannot_be_read_is_one_readable_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    env_file = tmp_path / ".env"
    env_file.write_text("WEAVER_PORT=9001\n")
    monkeypatch.setattr("dotenv.main.open", refuse, raising=False)
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=env_file)
    assert str(caught.value) == f"{env_file} can't be read: Permission denied"


def test_an_override_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_PORT", "9002")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://environment.invalid")
    settings = load_settings(env_file=None, port=9003, openai_base_url="http://override.invalid")
    assert (settings.port, settings.openai_base_url) == (9003, "http://override.invalid")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_PORT", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    settings = load_settings(env_file=None)
    assert (settings.port, settings.openai_api_key) == (8000, None)


def test_blanks_around_a_value_go_and_one_of_blanks_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-key\n")
    monkeypatch.setenv("WEAVER_TELEMETRY_ENABLED", " false ")
    monkeypatch.setenv("WEAVER_LOGFIRE_TOKEN", " \n")
    monkeypatch.setenv("WEAVER_TELEMETRY_SERVICE_NAME", "  ")
    env_file = tmp_path / ".env"
    env_file.write_text("WEAVER_TARGET='  shop:weaver '\nWEAVER_MODEL='   '\n")
    settings = load_settings(env_file=env_file)
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "the-key"
    assert (settings.telemetry_enabled, settings.logfire_token) == (False, None)
    assert (settings.telemetry_service_name, "telemetry_service_name" in settings.model_fields_set) == (
        "weaver-ai",
        False,
    )
    assert (settings.target, settings.model) == ("shop:weaver", None)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "WEAVER_TELEMETRY_ENVIRONMENT",
            "prod",
            "WEAVER_TELEMETRY_ENVIRONMENT: Input should be 'development', 'staging' or 'production'",
        ),
        (
            "WEAVER_PORT",
            "eighty",
            "WEAVER_PORT: Input should be a valid integer, unable to parse string as an integer",
        ),
        ("WEAVER_TELEMETRY_SAMPLE_RATE", "2", "WEAVER_TELEMETRY_SAMPLE_RATE: Input should be less than or equal to 1"),
        ("WEAVER_TASK_QUEUE_SIZE", "0", "WEAVER_TASK_QUEUE_SIZE: Input should be greater than or equal to 1"),
        ("WEAVER_TASK_TTL_SECONDS", "inf", "WEAVER_TASK_TTL_SECONDS: Input should be a finite number"),
        ("WEAVER_RUN_TIMEOUT_SECONDS", "nan", "WEAVER_RUN_TIMEOUT_SECONDS: Input should be a finite number"),
        ("WEAVER_TELEMETRY_SAMPLE_RATE", "nan", "WEAVER_TELEMETRY_SAMPLE_RATE: Input should be a finite number"),
        (
            "WEAVER_SHUTDOWN_GRACE_SECONDS",
            "1e18",
            "WEAVER_SHUTDOWN_GRACE_SECONDS: Input should be less than or equal to 315360000",
        ),
    ],
)
def test_a_wrong_value_names_its_variable_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=None)
    assert str(caught.value) == message
    assert caught.value.hint == "run 'weaver doctor' to see every setting"


@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_", "LOGS_"])
@pytest.mark.parametrize("value", ["{}", "api-key: {}", "a=b,{}", "a b={}", 'a="{}"', "a={};b"])
def test_headers_that_are_none_are_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, signal: str, value: str
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}HEADERS", value.format("not-for-eyes"))
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=None)
    assert str(caught.value) == (
        f"OTEL_EXPORTER_OTLP_{signal}HEADERS: Input should be a list of name=value with commas between"
    )


@pytest.mark.parametrize("value", ["a=b", "a=", " a = b c , d=e=f,", "authorization=Bearer%20x", "x-api-key=a/b:c"])
def test_headers_that_are_some(caplog: pytest.LogCaptureFixture, value: str) -> None:
    given = load_settings(env_file=None, otel_exporter_otlp_headers=value)
    assert given.otel_exporter_otlp_headers is not None
    assert parse_env_headers(given.otel_exporter_otlp_headers.get_secret_value(), liberal=True)
    assert caplog.messages == []  # where OpenTelemetry says which it doesn't take


def test_two_wrong_values_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_PORT", "-1")
    monkeypatch.setenv("WEAVER_MAX_BODY_BYTES", "0")
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=None)
    assert str(caught.value) == (
        "WEAVER_PORT: Input should be greater than or equal to 0; "
        "WEAVER_MAX_BODY_BYTES: Input should be greater than or equal to 1"
    )


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "-".join(["not", "for", "eyes"])
    for variable in ("WEAVER_LOGFIRE_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WEAVER_API_KEYS"):
        monkeypatch.setenv(variable, secret)
    monkeypatch.setenv("WEAVER_REDIS_URL", f"redis://:{secret}@127.0.0.1/0")
    settings = load_settings(env_file=None)
    assert secret not in repr(settings)
    assert secret not in settings.model_dump_json()
    assert [key.get_secret_value() for key in settings.api_keys] == [secret]


@pytest.mark.parametrize(("text", "keys"), [("a", ["a"]), ("a,b", ["a", "b"]), (" a , ,b,", ["a", "b"]), (",", [])])
def test_api_keys_are_split_at_commas(monkeypatch: pytest.MonkeyPatch, text: str, keys: list[str]) -> None:
    monkeypatch.setenv("WEAVER_API_KEYS", text)
    assert [key.get_secret_value() for key in load_settings(env_file=None).api_keys] == keys


@pytest.mark.parametrize(
    ("environment", "switch", "captured"),
    [
        ("development", None, True),
        ("staging", None, False),
        ("production", None, False),
        ("development", False, False),
        ("production", True, True),
    ],
)
def test_payloads_are_captured_only_in_development_unless_switched(
    environment: str, switch: bool | None, captured: bool
) -> None:
    settings = load_settings(env_file=None, telemetry_environment=environment, telemetry_capture_payloads=switch)
    assert settings.capture_payloads is captured
