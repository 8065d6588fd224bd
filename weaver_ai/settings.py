"""Settings of the service, from `WEAVER_*` variables and `.env`.

Composition roots call `load_settings` once and pass the object down; nothing below them reads the
environment. Provider keys and OpenTelemetry keep the names that their own documentation gives them
(`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `OTEL_*`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from weaver_ai.errors import SettingsError

__all__ = ["Settings", "TelemetryEnvironment", "export_provider_variables", "load_settings"]

_OF_PROVIDERS: Final = ("_API_KEY", "_BASE_URL")

TelemetryEnvironment = Literal["development", "staging", "production"]

ENV_FILE_ENCODING: Final = "utf-8-sig"  # with the mark at its beginning that Windows' editors leave, or without

_HEADER: Final = re.compile(  # what OpenTelemetry takes, names and values encoded as in URLs or not
    r"[\x21\x23-\x27*+\-.0-9A-Z^_`a-z|~]+[ \t]*=[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e\t]*"
)

_LONGEST: Final = 315_360_000.0  # ten years: what a clock and Redis can still count with


def _otel(variable: str, default: Any, description: str) -> Any:
    return Field(
        default=default,
        validation_alias=AliasChoices(variable, variable.lower()),
        description=f"`{variable}`: {description}",
    )


class Settings(BaseSettings):
    """What can be set, each as `WEAVER_<NAME>` unless its description gives another variable."""

    model_config = SettingsConfigDict(
        env_prefix="WEAVER_",
        env_file=".env",
        env_file_encoding=ENV_FILE_ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    # Telemetry
    telemetry_enabled: bool = Field(default=True, description="Emit telemetry at all.")
    telemetry_service_name: str = Field(
        default="weaver-ai", min_length=1, description="`service.name` of the resource."
    )
    telemetry_environment: TelemetryEnvironment = Field(
        default="development", description="`deployment.environment.name`; decides about console and cloud."
    )
    logfire_token: SecretStr | None = Field(default=None, description="Write token of a Logfire project.")
    logfire_send_to_cloud: bool = Field(default=False, description="Send to Logfire; needs the token.")
    telemetry_sample_rate: float = Field(
        default=1.0, ge=0.0, le=1.0, description="Share of traces kept, decided at the root (parent-based)."
    )
    telemetry_capture_payloads: bool | None = Field(
        default=None,
        description="Record prompts, completions, tool arguments and provider bodies. Unset: only in development.",
    )
    telemetry_trace_health: bool = Field(default=False, description="Trace /health, /ready and /metrics too.")
    telemetry_inbound_trace: Literal["continue", "link"] = Field(
        default="continue", description="An inbound `traceparent` becomes the parent, or a link from a new trace."
    )

    # OpenTelemetry's own variables; its SDK reads the others (OTEL_BSP_*, OTEL_EXPORTER_OTLP_TIMEOUT, ...) itself
    otel_sdk_disabled: bool = _otel("OTEL_SDK_DISABLED", False, "No telemetry at all, as if it weren't enabled.")
    otel_service_name: str | None = _otel(
        "OTEL_SERVICE_NAME", None, "Used unless WEAVER_TELEMETRY_SERVICE_NAME is set."
    )
    otel_resource_attributes: str | None = _otel("OTEL_RESOURCE_ATTRIBUTES", None, "`key=value,...` of the resource.")
    otel_propagators: str | None = _otel(
        "OTEL_PROPAGATORS", None, "Unset: `tracecontext`, so that no baggage comes in or goes to providers."
    )
    otel_exporter_otlp_endpoint: str | None = _otel(
        "OTEL_EXPORTER_OTLP_ENDPOINT", None, "Base URL that traces, metrics and logs are sent to, over HTTP."
    )
    otel_exporter_otlp_traces_endpoint: str | None = _otel(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None, "Full URL for traces."
    )
    otel_exporter_otlp_metrics_endpoint: str | None = _otel(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", None, "Full URL for metrics."
    )
    otel_exporter_otlp_logs_endpoint: str | None = _otel("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", None, "Full URL for logs.")
    otel_exporter_otlp_protocol: str | None = _otel(
        "OTEL_EXPORTER_OTLP_PROTOCOL", None, "`http/protobuf` is what is done; anything else is warned of."
    )
    otel_exporter_otlp_traces_protocol: str | None = _otel(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None, "The same for traces."
    )
    otel_exporter_otlp_metrics_protocol: str | None = _otel(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", None, "The same for metrics."
    )
    otel_exporter_otlp_logs_protocol: str | None = _otel("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", None, "The same for logs.")
    otel_exporter_otlp_headers: SecretStr | None = _otel(
        "OTEL_EXPORTER_OTLP_HEADERS", None, "`key=value,...` sent with each export."
    )
    otel_exporter_otlp_traces_headers: SecretStr | None = _otel(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS", None, "For traces, instead of these."
    )
    otel_exporter_otlp_metrics_headers: SecretStr | None = _otel(
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS", None, "For metrics, instead of these."
    )
    otel_exporter_otlp_logs_headers: SecretStr | None = _otel(
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS", None, "For logs, instead of these."
    )
    otel_traces_exporter: str | None = _otel(
        "OTEL_TRACES_EXPORTER", None, "List of `otlp`, `console`; or `none`. Unset: `otlp`, where an endpoint is set."
    )
    otel_metrics_exporter: str | None = _otel(
        "OTEL_METRICS_EXPORTER", None, "List of `otlp`, `console`; or `none`. Unset: `otlp`, where an endpoint is set."
    )
    otel_logs_exporter: str | None = _otel(
        "OTEL_LOGS_EXPORTER", None, "List of `otlp`, `console`; or `none`. Unset: `otlp`, where an endpoint is set."
    )
    no_color: str | None = _otel("NO_COLOR", None, "Set to anything: no colours on the console.")
    force_color: str | None = _otel("FORCE_COLOR", None, "Set to anything: colours although it is no terminal.")

    # Gateway
    host: str = Field(default="127.0.0.1", description="Address that `weaver serve` binds.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that `weaver serve` binds; 0 takes a free one.")
    target: str | None = Field(
        default=None, description="`module:attribute` of the Weaver object to serve; unset: the built-in support desk."
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="Comma-separated keys that clients send as `Authorization: Bearer`; empty: no check."
    )
    max_body_bytes: int = Field(default=1_048_576, ge=1, description="Largest request body taken.")
    stream_stall_seconds: float = Field(
        default=60.0,
        gt=0.0,
        le=_LONGEST,
        description="How long the client of a stream may read nothing until its run is cancelled.",
    )
    shutdown_grace_seconds: float = Field(
        default=20.0, ge=0.0, le=_LONGEST, description="How long running work may go on after SIGTERM."
    )

    # Runs
    model: str | None = Field(
        default=None,
        description="Model of agents that were made without one, as pydantic-ai names it, e.g. `openai:gpt-5-mini`.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key"),
        description="`OPENAI_API_KEY`: Key for OpenAI's models.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url"),
        description="`OPENAI_BASE_URL`: Where OpenAI's API is, if it is elsewhere.",
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("ANTHROPIC_API_KEY", "anthropic_api_key"),
        description="`ANTHROPIC_API_KEY`: Key for Anthropic's models.",
    )
    anthropic_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("ANTHROPIC_BASE_URL", "anthropic_base_url"),
        description="`ANTHROPIC_BASE_URL`: Where Anthropic's API is, if it is elsewhere.",
    )
    run_timeout_seconds: float = Field(default=120.0, gt=0.0, le=_LONGEST, description="Longest a run may take.")
    provider_timeout_seconds: float = Field(
        default=60.0, gt=0.0, le=_LONGEST, description="Longest one model call may take."
    )
    provider_max_retries: int = Field(
        default=2, ge=0, le=10, description="Retries of one model call; 0 for agents with fallback models."
    )

    # Tasks
    redis_url: SecretStr | None = Field(default=None, description="Redis; a secret, for it may hold a password.")
    task_concurrency: int = Field(default=16, ge=1, description="Tasks that run at the same time.")
    task_queue_size: int = Field(default=1000, ge=1, description="Tasks that may wait; more are refused with 429.")
    task_lease_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=_LONGEST,
        description="How long a worker may be silent until its tasks go to others; on Redis.",
    )
    task_memory_mb: int = Field(
        default=256, ge=1, description="Memory that tasks may hold without Redis; roughly, and the oldest go first."
    )
    task_ttl_seconds: float = Field(
        default=86_400.0, gt=0.0, le=_LONGEST, description="How long a finished task can be read."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        """Around a value they go, as from the end of a key's file; a value of nothing else counts as unset."""
        if not isinstance(given, dict):
            return given
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in stripped.items() if value != "" or given[name] == ""}

    @field_validator(
        "otel_exporter_otlp_headers",
        "otel_exporter_otlp_traces_headers",
        "otel_exporter_otlp_metrics_headers",
        "otel_exporter_otlp_logs_headers",
    )
    @classmethod
    def _are_headers(cls, value: SecretStr | None) -> SecretStr | None:
        # OpenTelemetry's exporters print what they can't read of them, secrets or not.
        parts = [] if value is None else value.get_secret_value().split(",")
        if all(_HEADER.fullmatch(part.strip()) for part in parts if part.strip()):
            return value
        raise PydanticCustomError("otlp_headers", "Input should be a list of name=value with commas between")

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(key for part in value.split(",") if (key := part.strip()))
        return value

    @property
    def capture_payloads(self) -> bool:
        """The switch as it takes effect: what was set, else whether this is development."""
        if self.telemetry_capture_payloads is None:
            return self.telemetry_environment == "development"
        return self.telemetry_capture_payloads


def variable_of(field: str) -> str:
    """The environment variable that sets the field `field` of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"WEAVER_{field.upper()}"


def load_settings(*, env_file: str | Path | None = ".env", **overrides: Any) -> Settings:
    """Read the settings: overrides first, then the environment, then `env_file`.

    Raises:
        SettingsError: one line for each variable that has an unusable value; the value isn't in it. Or `env_file`
            can't be read.

    Example:
        >>> load_settings(env_file=None, telemetry_environment="production").capture_payloads
        False
    """
    try:
        return Settings(_env_file=env_file, **overrides)  # type: ignore[call-arg] # a pydantic-settings argument
    except ValidationError as error:
        lines = [f"{_name(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_input=False)]
        raise SettingsError("; ".join(lines), hint="run 'weaver doctor' to see every setting") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} isn't UTF-8", hint="save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{env_file} can't be read: {error.strerror}") from None


def export_provider_variables(env_file: str | Path = ".env") -> None:
    """Put the keys and base URLs of model providers that are only in `env_file` into the environment.

    For composition roots, before they import the user's module: `Agent("openai:...")` makes its client as it is made,
    and takes the key from the environment. Variables that are set there already stay as they are.

    Args:
        env_file: the file that `load_settings` read. Only variables that end in `_API_KEY` or `_BASE_URL` are taken.
    """
    source = DotEnvSettingsSource(Settings, env_file=env_file, env_file_encoding="utf-8", case_sensitive=True)
    for name, value in source.env_vars.items():
        if value and name.endswith(_OF_PROVIDERS) and not os.environ.get(name):
            os.environ[name] = value


def _name(location: tuple[int | str, ...]) -> str:
    field = str(location[0])
    return variable_of(field) if field in Settings.model_fields else field
