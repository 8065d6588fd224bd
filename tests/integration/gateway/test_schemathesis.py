"""Generated requests over the OpenAPI document: no 5xx, and nothing that it doesn't document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.integration.gateway.conftest import Desk, Served, make_settings, served
from weaver_ai.gateway.application import create_app

# Hypothesis asks that nothing draws from `random` while it makes an example. A strategy doesn't here; the gateway, in a
# thread of this process, may be making the ids of a span at that moment.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    desk = Desk()
    desk.release.set()
    with served(make_settings(), desk.weaver) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def task_id(running: Served) -> str:
    """A task that there is."""
    made = running.client.post("/v1/tasks", json={"capability": "sum", "input": [1, 2]})
    found: str = made.json()["task_id"]
    return found


def _operations() -> dict[str, schemathesis.schemas.APIOperation]:
    document = create_app(make_settings(telemetry_enabled=False), Desk().weaver).openapi()
    schema = schemathesis.openapi.from_dict(document)
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = _operations()


def test_every_route_is_in_the_document() -> None:
    assert sorted(OPERATIONS) == [
        "DELETE /v1/tasks/{task_id}",
        "GET /",
        "GET /health",
        "GET /metrics",
        "GET /ready",
        "GET /v1/agents",
        "GET /v1/models",
        "GET /v1/models/{name}",
        "GET /v1/tasks/{task_id}",
        "GET /v1/tasks/{task_id}/events",
        "POST /v1/agents/{name}/run",
        "POST /v1/chat/completions",
        "POST /v1/tasks",
        "POST /v1/workflows/{name}/run",
    ]


def _generated() -> list[tuple[str, GenerationMode]]:
    """Each operation with requests that fit it, and with ones that don't where there is anything that couldn't."""
    without_input = [label for label in OPERATIONS if label.startswith("GET") and "{" not in label]
    return [
        (label, mode)
        for label in sorted(OPERATIONS)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if not (mode is GenerationMode.NEGATIVE and label in without_input)
    ]


@pytest.mark.parametrize(("label", "mode"), _generated(), ids=lambda value: getattr(value, "value", value))
def test_generated_requests(label: str, mode: GenerationMode, running: Served, task_id: str) -> None:
    operation = OPERATIONS[label]
    real = {"name": {"/v1/agents": "echo", "/v1/workflows": "sum", "/v1/models": "echo"}, "task_id": task_id}

    @given(case=operation.as_strategy(generation_mode=mode), use_real=st.booleans())
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case, use_real: bool) -> None:
        if use_real:  # a random name is never one that there is
            _put_real_names(case, label, real)
        case.call_and_validate(base_url=running.url, timeout=10, checks=CHECKS)

    check()


def _put_real_names(case: schemathesis.Case, label: str, real: dict[str, Any]) -> None:
    if "{name}" in label:
        case.path_parameters["name"] = next(name for prefix, name in real["name"].items() if prefix in label)
    if "{task_id}" in label:
        case.path_parameters["task_id"] = real["task_id"]
    if isinstance(case.body, dict):
        for field in ("model", "capability"):
            if field in case.body:
                case.body[field] = "echo"
