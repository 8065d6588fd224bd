"""The OpenAPI document: every route says how it fails, and every example is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_ai import Agent

from weaver_ai.agents import Weaver
from weaver_ai.gateway import examples, openai_schemas, problems, schemas
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


def _bodies(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    parts = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for where, part in parts.items():
        for media_type, body in part.get("content", {}).items():
            yield where, media_type, body


def test_every_body_and_every_parameter_has_an_example(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    for name, operation in _operations(document):
        for where, media_type, body in _bodies(operation):
            model = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
            assert "example" in body or len(models[model]["examples"]) == 1, (name, where, media_type)
        for parameter in operation.get("parameters", ()):
            assert parameter["schema"].get("examples") or parameter.get("examples"), (name, parameter["name"])


def test_examples_are_valid_and_complete(document: dict[str, Any]) -> None:
    checked = set()
    for name, schema in document["components"]["schemas"].items():
        if (model := getattr(schemas, name, None) or getattr(openai_schemas, name, None)) is None:
            continue
        for example in schema.get("examples", ()):
            shown = model.model_validate(example).model_dump(mode="json", exclude_unset=True)
            assert shown == example, name  # nothing in it that the model doesn't have, no null left out
            checked.add(name)
    assert checked == {
        "Catalogue",
        "ChatCompletion",
        "ChatRequest",
        "Health",
        "Index",
        "Model",
        "ModelList",
        "Ready",
        "RunReport",
        "RunRequest",
        "Task",
        "TaskSubmission",
    }


def test_examples_keep_their_nulls(document: dict[str, Any]) -> None:
    (health,) = document["components"]["schemas"]["Health"]["examples"]
    assert health == examples.HEALTH
    (completion,) = document["components"]["schemas"]["ChatCompletion"]["examples"]
    assert completion == examples.CHAT_COMPLETION


def test_examples_of_streams_are_events() -> None:
    for stream in (examples.RUN_STREAM, examples.TASK_STREAM, examples.CHAT_STREAM):
        *blocks, rest = stream.split("\n\n")
        assert rest == ""
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            assert fields["data"] == "[DONE]" or json.loads(fields["data"])


def test_no_schema_is_left_over(document: dict[str, Any]) -> None:
    text = str(document)
    unused = [name for name in document["components"]["schemas"] if f"#/components/schemas/{name}'" not in text]
    assert unused == []


def test_links_lead_to_operations_with_their_parameters(document: dict[str, Any]) -> None:
    operations = {each["operationId"]: each for path in document["paths"].values() for each in path.values()}
    links = operations["submit_task"]["responses"]["202"]["links"]
    assert sorted(links) == ["cancel_task", "follow_task", "read_task"]
    for link in links.values():
        in_path = [each["name"] for each in operations[link["operationId"]]["parameters"] if each["in"] == "path"]
        assert (in_path, link["parameters"]) == (["task_id"], {"task_id": "$response.body#/task_id"})
