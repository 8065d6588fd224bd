"""The OpenAPI document: every route says how it fails, and every example is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_ai import Agent

from weaver_ai.agents import Weaver
from weaver_ai.gateway import problems, schemas
from weaver_ai.gateway.application import create_app
from weaver_ai.settings import load_settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    weaver = Weaver("desk")
    weaver.agent(Agent(name="billing", model="test"))
    return create_app(load_settings(env_file=None, telemetry_enabled=False), weaver).openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_named_tagged_and_summed_up(document: dict[str, Any]) -> None:
    operations = dict(_operations(document))
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    tags = {tag["name"] for tag in document["tags"]}
    assert all(operation["summary"] and set(operation["tags"]) <= tags for operation in operations.values())


def test_every_failure_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        failures = {int(status): response for status, response in operation["responses"].items() if int(status) >= 400}
        assert 500 in failures, name
        for status, response in failures.items():
            if name == "GET /ready" and status == 503:
                continue  # a report, not an error
            (media_type,) = response["content"]
            example = problems.Problem.model_validate(response["content"][media_type]["example"])
            assert (media_type, example.status) == ("application/problem+json", status), name
            assert response["headers"].keys() >= {"X-Request-ID", "traceparent"}


def test_what_takes_a_body_says_how_bodies_are_refused(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys(), name


@pytest.mark.parametrize("model", ["RunReport", "RunRequest", "Task", "TaskSubmission"])
def test_examples_are_valid(document: dict[str, Any], model: str) -> None:
    (example,) = document["components"]["schemas"][model]["examples"]
    getattr(schemas, model).model_validate(example)


def test_no_schema_is_left_over(document: dict[str, Any]) -> None:
    text = str(document)
    unused = [name for name in document["components"]["schemas"] if f"#/components/schemas/{name}'" not in text]
    assert unused == []
