import logging
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from weaver_ai.errors import SettingsError
from weaver_ai.settings import Settings, load_settings
from weaver_ai.telemetry.export import CountedLogs, CountedSpans
from weaver_ai.telemetry.known_secrets import known_secrets
from weaver_ai.telemetry.otlp_headers import otlp_headers
from weaver_ai.telemetry.pipeline import _OTLP_MISSING, build_pipeline
from weaver_ai.telemetry.redaction import Redactor
from weaver_ai.telemetry.resource import resource_attributes, service_name
from weaver_ai.telemetry.runtime import weaver_version
from weaver_ai.telemetry.sampling import sampler_of

BASE = "http://collector:4318"


def settings(**given: Any) -> Settings:
    return load_settings(env_file=None, **given)


def test_headers_are_decoded() -> None:
    given = settings(otel_exporter_otlp_headers="X-Team=a%20b,api-key=k")
    assert otlp_headers(given, "traces") == {"x-team": "a b", "api-key": "k"}
    assert otlp_headers(settings(), "traces") is None


def test_the_headers_of_a_signal_stand_in_for_those_of_all() -> None:
    given = settings(otel_exporter_otlp_headers="team=all", otel_exporter_otlp_traces_headers="team=traces")
    assert [otlp_headers(given, signal) for signal in ("traces", "metrics", "logs")] == [
        {"team": "traces"},
        {"team": "all"},
        {"team": "all"},
    ]
    assert "for-traces" in known_secrets(settings(otel_exporter_otlp_traces_headers="api-key=for-traces"))


def test_every_secret_of_the_settings_is_known() -> None:
    given = settings(
        openai_api_key="the-openai-key",
        logfire_token="the-logfire-token",
        api_keys="key-one,key-two",
        redis_url="redis://me:the%40pass/word@db:6379/0?sentinel_password=the%2Bother",
        otel_exporter_otlp_endpoint="https://me:the-collectors@h:4318",
        otel_exporter_otlp_headers="authorization=Bearer%20the-header",
    )
    assert set(known_secrets(given)) == {
        "the-openai-key",
        "the-logfire-token",
        "key-one",
        "key-two",
        "redis://me:the%40pass/word@db:6379/0?sentinel_password=the%2Bother",
        "the%40pass/word",
        "the@pass/word",
        "the%2Bother",
        "the+other",
        "the-collectors",
        "authorization=Bearer%20the-header",
        "Bearer the-header",
        "the-header",
    }
    assert known_secrets(settings()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "weaver-ai"),
        ({"otel_resource_attributes": "service.name=listed"}, "listed"),
        ({"otel_resource_attributes": "service.name=listed", "otel_service_name": "named"}, "named"),
        ({"otel_service_name": "named", "telemetry_service_name": "weaver"}, "weaver"),
    ],
)
def test_which_service_name_wins(given: dict[str, Any], expected: str) -> None:
    assert service_name(settings(**given)) == expected


def test_the_resource() -> None:
    listed = "service.version=2.1,team=a%2Cb,malformed,deployment.environment.name=qa"
    attributes = resource_attributes(settings(otel_resource_attributes=listed, telemetry_environment="staging"))
    assert len(attributes.pop("service.instance.id")) == 36
    assert attributes == {
        "service.name": "weaver-ai",
        "service.version": "2.1",
        "deployment.environment.name": "qa",
        "team": "a,b",
    }
    assert resource_attributes(settings())["service.version"] == weaver_version()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"telemetry_sample_rate": 1.0}, "ParentBased{root:AlwaysOnSampler,"),
        ({"telemetry_sample_rate": 0.25}, "ParentBased{root:TraceIdRatioBased{0.25},"),
        ({}, "ParentBased{root:AlwaysOnSampler,"),
    ],
)
def test_samplers(given: dict[str, Any], expected: str) -> None:
    assert sampler_of(settings(**given)).get_description().startswith(expected)


def test_the_sdks_own_sampler_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert sampler_of(settings()).get_description() == "AlwaysOffSampler"
    assert sampler_of(settings(telemetry_sample_rate=1.0)).get_description().startswith("ParentBased")


def test_a_pipeline_redacts_first_and_exports_last() -> None:
    pipeline = build_pipeline(settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9"), Redactor())
    try:
        kinds = [type(processor).__name__ for processor in pipeline.span_processors]
        assert kinds == ["RedactingSpans", "InboundLinks", "AttemptErrors", "ConsoleSpans", "CountedSpans"]
        kinds = [type(processor).__name__ for processor in pipeline.log_processors]
        assert kinds == ["RedactingLogs", "ValidationErrors", "ConsoleLogs", "CountedLogs"]
        assert [type(batch) for batch in pipeline.batches] == [CountedSpans, CountedLogs]
    finally:
        for batch in pipeline.batches:
            batch.shutdown()
        for reader in pipeline.metric_readers:
            reader.shutdown(timeout_millis=1)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "OTEL_BSP_SCHEDULE_DELAY: schedule_delay_millis must be positive."),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "OTEL_BSP_MAX_QUEUE_SIZE: max_queue_size must be a positive integer."),
        (
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
            "100000",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: max_export_batch_size must be less than or equal to max_queue_size.",
        ),
    ],
)
def test_a_batch_that_cannot_be_names_its_variable(
    variable: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        build_pipeline(settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9"), Redactor())
    assert str(caught.value) == line


def test_a_reader_that_is_taken_off_its_provider_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = build_pipeline(settings(otel_metrics_exporter="console"), Redactor())
    (reader,) = pipeline.metric_readers
    provider = MeterProvider(shutdown_on_exit=False)
    provider.add_metric_reader(reader)
    provider.remove_metric_reader(reader)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({}, ([], False)),
        ({"otel_traces_exporter": "console"}, (["work"], False)),
        ({"otel_logs_exporter": "console"}, (["hello"], False)),
        ({"otel_metrics_exporter": "console"}, ([], True)),
        ({"telemetry_environment": "staging", "otel_traces_exporter": "none"}, (["hello", "work"], False)),
    ],
)
def test_a_console_that_is_asked_for_is_there_in_production_too(
    given: dict[str, Any], written: tuple[list[str], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = build_pipeline(settings(**{"telemetry_environment": "production", **given}), Redactor())
    tracer, logger = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    for span_processor in pipeline.span_processors:
        tracer.add_span_processor(span_processor)
    for log_processor in pipeline.log_processors:
        logger.add_log_record_processor(log_processor)
    meter = MeterProvider(pipeline.metric_readers, shutdown_on_exit=False)
    meter.get_meter("x").create_counter("counted").add(1)
    logger.get_logger("x").emit(body="hello", severity_text="INFO")
    tracer.get_tracer("x").start_span("work").end()
    tracer.shutdown()
    logger.shutdown()
    meter.shutdown()
    assert pipeline.console is not None
    assert pipeline.console.flush(30.0)
    report = capsys.readouterr().err
    assert ([word for word in ("hello", "work") if word in report], '"counted"' in report) == written


def test_what_is_not_done_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    build_pipeline(settings(otel_logs_exporter="kafka"), Redactor())
    assert caplog.messages == [
        "OTEL_LOGS_EXPORTER has kafka, to which weaver sends no logs: it takes otlp, console and none"
    ]


def test_without_the_exporter_an_endpoint_is_said_to_be_useless(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    pipeline = build_pipeline(settings(otel_exporter_otlp_endpoint=BASE), Redactor())
    assert (pipeline.batches, pipeline.metric_readers) == ((), ())
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.WARNING,
        _OTLP_MISSING,
    )
    assert _OTLP_MISSING.endswith("nothing is sent - install with: pip install opentelemetry-exporter-otlp-proto-http")
