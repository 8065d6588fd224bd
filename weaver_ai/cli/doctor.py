"""`weaver doctor`: the effective configuration, where each value comes from, and what is wrong with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from weaver_ai.errors import SettingsError, WeaverError

if TYPE_CHECKING:
    from weaver_ai.settings import Settings

__all__ = ["add_to", "findings", "run"]

Level: TypeAlias = Literal["error", "warning"]
Source: TypeAlias = Literal["environment", ".env", "default"]

MASK = "**********"
_EXTRAS: Mapping[str, tuple[tuple[str, str], ...]] = {
    # extra -> (module that shows that it is there, distribution that tells the version)
    "gateway": (("fastapi", "fastapi"), ("uvicorn", "uvicorn"), ("pydantic_ai", "pydantic-ai-slim")),
    "logfire": (("logfire", "logfire"),),
    "redis": (("redis", "redis"), ("docket", "pydocket")),
    "testing": (("pytest", "pytest"),),
    "fakes": (("fakeredis", "fakeredis"), ("respx", "respx"), ("time_machine", "time-machine")),
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong (exit code 1) or that a person would want to know (exit code 0)."""

    level: Level
    text: str


def add_to(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "doctor",
        help="print the effective configuration and what is wrong with it",
        description="Print every setting, where its value comes from (secrets are masked), which optional parts are "
        "installed, and what is wrong. Exit code 1 when something is.",
    )
    parser.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Print it. Returns 1 when something is wrong."""
    environment = dict(os.environ)
    env_file = _read_env_file(Path(".env"))
    settings, found = _load()
    print("Settings")
    for line in _setting_lines(settings, environment, env_file):
        print(f"  {line}")
    print("Optional parts")
    for line in _extra_lines():
        print(f"  {line}")
    found += list(_misspelt({**env_file, **environment}))
    found += list(_only_in_the_file(environment, env_file))
    if settings is not None:
        found += list(findings(settings))
        if settings.redis_url is not None and {each.level for each in _redis_settings(settings)} == {"warning"}:
            from weaver_ai.cli.redis_findings import redis_findings

            found += list(redis_findings(settings))
    print("Findings")
    for finding in found:
        print(f"  {finding.level}: {finding.text}")
    if not found:
        print("  none")
    return 1 if any(finding.level == "error" for finding in found) else 0


def _load() -> tuple[Settings | None, list[Finding]]:
    from weaver_ai.settings import load_settings

    try:
        return load_settings(), []
    except SettingsError as error:
        if str(error).startswith(".env"):
            return None, [Finding("error", f"{error.message}{f': {error.hint}' if error.hint else ''}")]
        return None, [Finding("error", line) for line in error.message.split("; ")]


def _read_env_file(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    from weaver_ai.settings import ENV_FILE_ENCODING

    try:
        values = dotenv_values(path, encoding=ENV_FILE_ENCODING)
    except (OSError, UnicodeDecodeError):
        return {}  # load_settings has said it
    return {name: value for name, value in values.items() if value is not None}


def _setting_lines(
    settings: Settings | None, environment: Mapping[str, str], env_file: Mapping[str, str]
) -> Iterator[str]:
    from weaver_ai.settings import Settings, variable_of

    rows = []
    for field, info in Settings.model_fields.items():
        variable = variable_of(field)
        raw, source = _source(variable, environment, env_file)
        value = info.default if settings is None and raw is None else raw
        shown = _shown(value if settings is None else getattr(settings, field), info)
        if field == "telemetry_capture_payloads" and settings is not None and value is None:
            shown = f"(not set: {settings.capture_payloads})"  # what is in force follows from the environment
        rows.append((variable, shown, source))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows)
    for name, value, source in rows:
        yield f"{name:<{name_width}}  {value:<{value_width}}  {source}"


def _source(variable: str, environment: Mapping[str, str], env_file: Mapping[str, str]) -> tuple[str | None, Source]:
    # As pydantic-settings reads them: names in any case, an empty value, or one of blanks, counts as unset.
    for values, source in ((environment, "environment"), (env_file, ".env")):
        for name, value in values.items():
            if name.upper() == variable and value.strip():
                return value, source  # type: ignore[return-value] # the tuple's literals widen to str
    return None, "default"


def _shown(value: Any, info: Any) -> str:
    if value is None:
        return "(not set)"
    if "Secret" in str(info.annotation):
        count = len(value) if isinstance(value, tuple) else 1
        return ", ".join([MASK] * count) or "(not set)"
    return _without_password(str(value))


def _without_password(text: str) -> str:
    from weaver_ai.telemetry.redaction import REDACTED, Redactor

    scheme, mark, rest = Redactor().text(text).partition("://")
    authority, slash, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    shown = f"{scheme}{mark}{MASK}{at}{host}{slash}{path}" if userinfo else f"{scheme}{mark}{rest}"
    return shown.replace(REDACTED, MASK)


def _extra_lines() -> Iterator[str]:
    for extra, modules in _EXTRAS.items():
        missing = [module for module, _ in modules if find_spec(module) is None]
        if missing:
            yield f"{extra:<8}  not installed: pip install 'weaver-ai[{extra}]'"
        else:
            yield f"{extra:<8}  " + ", ".join(f"{name} {metadata.version(name)}" for _, name in modules)


def _misspelt(environment: Mapping[str, str]) -> Iterator[Finding]:
    import difflib

    from weaver_ai.settings import Settings, variable_of

    known = [variable_of(field) for field in Settings.model_fields]
    for name in sorted(environment):
        if name.startswith("WEAVER_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            yield Finding("warning", f"{name} is set, but it is no setting of Weaver{guess}")


def _only_in_the_file(environment: Mapping[str, str], env_file: Mapping[str, str]) -> Iterator[Finding]:
    """OpenTelemetry's SDK knows the environment only."""
    from weaver_ai.settings import Settings, variable_of

    known = {variable_of(field) for field in Settings.model_fields}
    for name in sorted(env_file.keys() - environment.keys()):
        if name.startswith("OTEL_") and name not in known:
            text = f"{name} is set in .env, where OpenTelemetry doesn't read it: set it in the environment"
            yield Finding("warning", text)


def findings(settings: Settings) -> Iterator[Finding]:
    """What is wrong with settings that are each fine by themselves."""
    yield from _telemetry_findings(settings)
    yield from _model_findings(settings)
    yield from _service_findings(settings)


def _telemetry_findings(settings: Settings) -> Iterator[Finding]:
    from weaver_ai.telemetry.cloud import cloud_warning
    from weaver_ai.telemetry.outlets import outlets_of

    if (line := cloud_warning(settings, installed=find_spec("logfire") is not None)) is not None:
        yield Finding("warning", line)
    yield from (Finding("warning", line) for line in outlets_of(settings).undone)


def _model_findings(settings: Settings) -> Iterator[Finding]:
    keys = {"openai": settings.openai_api_key, "anthropic": settings.anthropic_api_key}
    provider = (settings.model or "").partition(":")[0].partition("-")[0]
    if provider in keys and keys[provider] is None:
        yield Finding("error", f"WEAVER_MODEL is {settings.model}, but {provider.upper()}_API_KEY isn't set")
    usable = (*keys.values(), settings.openai_base_url, settings.anthropic_base_url, settings.model)
    if all(each is None for each in usable):
        yield Finding("warning", "no provider key is set: the built-in agents answer from the offline model")


def _service_findings(settings: Settings) -> Iterator[Finding]:
    yield from _redis_settings(settings)
    if settings.host not in _LOOPBACK and not settings.api_keys:
        yield Finding("warning", f"whoever reaches {settings.host} can run the agents: set WEAVER_API_KEYS")
    if find_spec("fastapi") is None:
        yield Finding("error", "'weaver serve' needs the extra 'gateway': pip install 'weaver-ai[gateway]'")
    elif settings.target is not None:
        yield from _target_findings(settings, settings.target)


def _redis_settings(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        return
    if find_spec("redis") is None or find_spec("docket") is None:
        yield Finding(
            "error", "WEAVER_REDIS_URL is set, but its client isn't installed: pip install 'weaver-ai[redis]'"
        )
        return
    from weaver_ai.tasks.choose import shown_redis

    try:
        shown_redis(settings)
    except SettingsError as error:
        yield Finding("error", error.message + (f": {error.hint}" if error.hint else ""))
        return
    yield Finding("warning", "WEAVER_REDIS_URL is set: tasks wait in Redis until a 'weaver worker' runs them")


def _target_findings(settings: Settings, target: str) -> Iterator[Finding]:
    from weaver_ai.agents import Models, load_target
    from weaver_ai.settings import export_provider_variables

    export_provider_variables()
    sys.path.insert(0, str(Path.cwd()))
    try:
        weaver, models = load_target(target), Models(settings)
        for entry in weaver.agents.values():
            for remark in models.remarks(entry):
                yield Finding("warning", f"the agent {entry.name!r}: {remark}")
    except WeaverError as error:
        yield Finding("error", f"WEAVER_TARGET: {error.message}{f': {error.hint}' if error.hint else ''}")
