"""When Logfire's cloud gets nothing although it seems that it should, and what is said of it."""

from typing import Any

import pytest

from weaver_ai.settings import load_settings
from weaver_ai.telemetry.cloud import cloud_warning, sends_to_cloud

TOKEN = {"logfire_token": "a-token"}
SWITCH = {"logfire_send_to_cloud": True}
BOTH = {**TOKEN, **SWITCH, "telemetry_environment": "staging"}
KEPT_BACK = (
    "WEAVER_LOGFIRE_TOKEN is set, but nothing is sent to Logfire: "
    "set WEAVER_LOGFIRE_SEND_TO_CLOUD=true, or remove the token"
)
NOTHING_TO_SEND_WITH = (
    "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but there is no token: "
    "set WEAVER_LOGFIRE_TOKEN to a write token of the project"
)
NOT_INSTALLED = (
    "WEAVER_LOGFIRE_SEND_TO_CLOUD is true, but Logfire isn't installed, so nothing is sent to it: "
    "pip install 'weaver-ai[logfire]'"
)
DEVELOPMENT = (
    "nothing is sent to Logfire in development: set WEAVER_TELEMETRY_ENVIRONMENT=staging or production to send"
)


@pytest.mark.parametrize(
    ("given", "installed", "line"),
    [
        ({}, True, None),
        ({}, False, None),
        (TOKEN, True, KEPT_BACK),
        (TOKEN, False, KEPT_BACK),
        ({**TOKEN, "telemetry_enabled": False}, True, KEPT_BACK),
        (SWITCH, True, NOTHING_TO_SEND_WITH),
        ({**SWITCH, "otel_sdk_disabled": True}, False, NOTHING_TO_SEND_WITH),
        (BOTH, True, None),
        (BOTH, False, NOT_INSTALLED),
        ({**BOTH, "telemetry_environment": "development"}, True, DEVELOPMENT),
        ({**BOTH, "telemetry_enabled": False}, False, None),  # who switches telemetry off wants nothing sent
    ],
)
def test_what_is_said(given: dict[str, Any], installed: bool, line: str | None) -> None:
    assert cloud_warning(load_settings(env_file=None, **given), installed=installed) == line


@pytest.mark.parametrize(
    ("given", "sends"),
    [
        ({}, False),
        (TOKEN, False),
        (SWITCH, False),
        (BOTH, True),
        ({**BOTH, "telemetry_environment": "development"}, False),
    ],
)
def test_what_sends(given: dict[str, Any], sends: bool) -> None:
    assert sends_to_cloud(load_settings(env_file=None, **given)) is sends
