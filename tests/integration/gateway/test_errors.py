"""Whatever is wrong with a request, the answer is a problem with its own type, its ids, and nothing internal."""

from __future__ import annotations

import gzip
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from tests.integration.gateway.conftest import Serve, Served

JSON = {"content-type": "application/json"}


def problem_in(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of `response`, checked against its status line and headers."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["type"]) == (status, f"urn:weaver:problem:{code}"), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["trace_id"] == response.headers["traceparent"].split("-")[1]
    assert body["instance"] == response.request.url.path
    assert body["error"]["code"] == code
    return body


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"input": ', "EOF while parsing a value at line 1 column 10"),
        (b'{"input": NaN}', "expected value at line 1 column 11"),
        (b'{"input": -Infinity}', "invalid number at line 1 column 12"),
        (b'{"input": "\\ud800"}', "unexpected end of hex escape at line 1 column 18"),
        (b'{"input": {"\\udfff": 1}}', "lone leading surrogate in hex escape at line 1 column 18"),
        (b'{"input": ' + b"[" * 5000 + b"]" * 5000 + b"}", "recursion limit exceeded at line 1 column 211"),
        (b"{'input': 1}", "key must be a string at line 1 column 2"),
    ],
)
def test_malformed_json(gateway: Served, body: bytes, says: str) -> None:
    response = gateway.client.post("/v1/agents/echo/run", content=body, headers=JSON)
    problem = problem_in(response, 400, "malformed-json")
    assert problem["detail"] == f"the body isn't valid JSON: {says}"
    assert problem["errors"] == [{"location": "body", "message": says, "type": "json_invalid"}]
    assert "param" not in problem["error"]


def test_a_body_that_is_not_utf_8(gateway: Served) -> None:
    response = gateway.client.post("/v1/agents/echo/run", content=b'{"input": "\xff"}', headers=JSON)
    problem = problem_in(response, 400, "malformed-json")
    says = problem["errors"][0]["message"]
    assert says in {f"invalid unicode code point at line 1 column {n}" for n in (12, 13)}  # pydantic 2.12 says 13
    assert problem["detail"] == f"the body isn't valid JSON: {says}"
    assert problem["errors"] == [{"location": "body", "message": says, "type": "json_invalid"}]


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v1/agents/echo/run", {}, "body.input: Field required"),
        ("/v1/agents/echo/run", {"input": "a", "imput": "b"}, "body.imput: unknown field; did you mean 'input'?"),
        ("/v1/agents/echo/run", [], "body: Input should be a valid dictionary or object to extract fields from"),
        ("/v1/workflows/sum/run", {"input": "hunter2"}, "body.input: Input should be a valid list"),
        ("/v1/agents/echo/run", {"input": None}, "body.input: the agent 'echo' needs an input"),
        ("/v1/tasks", {"capability": "sum", "input": "hunter2"}, "body.input: Input should be a valid list"),
        (
            "/v1/tasks",
            {"capability": "sum", "input": [1, "hunter2"]},
            "body.input.1: Input should be a valid integer, unable to parse string as an integer",
        ),
        ("/v1/tasks", {"capability": "echo", "input": " "}, "body.input: the input of the agent 'echo' is empty"),
        (
            "/v1/chat/completions",
            {"model": "echo", "messages": [{"role": "hunter2", "content": "hi"}]},
            (
                "body.messages.0: Input tag found using 'role' does not match any of the expected tags: "
                "'system', 'developer', 'user', 'assistant', 'tool'"
            ),
        ),
        (
            "/v1/tasks",
            {"capability": "echo", "input": 1, "priority": "urgent"},
            "body.priority: Input should be 'low', 'normal' or 'high'",
        ),
        (
            "/v1/tasks",
            {"capability": "echo", "input": 1, "retries": "1"},
            "body.retries: Input should be a valid integer",
        ),
        (
            "/v1/tasks",
            {"capability": "echo", "input": 1, "retries": True},
            "body.retries: Input should be a valid integer",
        ),
        (
            "/v1/tasks",
            {"capability": "echo", "input": 1, "delay_seconds": "9"},
            "body.delay_seconds: Input should be a valid number",
        ),
        (
            "/v1/chat/completions",
            {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "stream": "no"},
            "body.stream: Input should be a valid boolean",
        ),
    ],
)
def test_input_that_does_not_fit(gateway: Served, path: str, body: object, detail: str) -> None:
    problem = problem_in(gateway.client.post(path, json=body), 422, "invalid-input")
    assert problem["detail"] == detail
    assert [f"{each['location']}: {each['message']}" for each in problem["errors"]] == [detail]
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not-found"),
        ("GET", "/v1/agents/", 404, "not-found"),
        ("PUT", "/v1/tasks", 405, "method-not-allowed"),
        ("OPTIONS", "/v1/agents", 405, "method-not-allowed"),
        ("GET", "/v1/tasks/t-1", 404, "task-not-found"),
        ("DELETE", "/v1/tasks/t-1", 404, "task-not-found"),
        ("GET", "/v1/tasks/t-1/events", 404, "task-not-found"),
        ("GET", "/v1/models/nobody", 404, "agent-not-found"),
    ],
)
def test_what_is_not_there(gateway: Served, method: str, path: str, status: int, code: str) -> None:
    response = gateway.client.request(method, path)
    problem_in(response, status, code)
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/tasks", "POST"),
        ("PUT", "/v1/tasks/t-1", "GET, HEAD, DELETE"),
        ("HEAD", "/v1/tasks/t-1/events", "GET"),
        ("POST", "/health", "GET, HEAD"),
        ("HEAD", "/v1/chat/completions", "POST"),
    ],
)
def test_a_refused_method_is_told_every_one_that_is_not(gateway: Served, method: str, path: str, allowed: str) -> None:
    response = gateway.client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("/v1/agents/ecko/run", "agent-not-found", "did you mean 'echo'?"),
        ("/v1/workflows/holt/run", "workflow-not-found", "did you mean 'hold'?"),
        ("/v1/workflows/echo/run", "workflow-not-found", "'echo' is an agent"),
        ("/v1/agents/sum/run", "agent-not-found", "'sum' is a workflow"),
    ],
)
def test_what_was_meant_is_guessed(gateway: Served, path: str, code: str, hint: str) -> None:
    problem = problem_in(gateway.client.post(path, json={"input": "hi"}), 404, code)
    assert problem["hint"] == hint


def test_a_task_for_nobody_is_refused_at_once(gateway: Served) -> None:
    response = gateway.client.post("/v1/tasks", json={"capability": "dance", "input": 1})
    problem_in(response, 404, "capability-not-found")


@pytest.mark.parametrize("path", ["/v1/agents/echo/run", "/v1/workflows/sum/run", "/v1/tasks", "/v1/chat/completions"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_body_that_is_not_declared_json(gateway: Served, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = gateway.client.post(path, content=b'{"input": "hi"}', headers=headers)
    problem = problem_in(response, 415, "unsupported-media-type")
    assert problem["detail"] == "the body must be JSON: send 'Content-Type: application/json'"


@pytest.mark.parametrize("path", ["/v1/agents/echo/run", "/v1/tasks"])
def test_a_compressed_body_is_not_called_malformed(gateway: Served, path: str) -> None:
    headers = {**JSON, "content-encoding": "gzip"}
    response = gateway.client.post(path, content=gzip.compress(b'{"input": "hi"}'), headers=headers)
    problem = problem_in(response, 415, "unsupported-media-type")
    assert problem["detail"] == "the body must not be compressed: send it without 'Content-Encoding'"
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("asked", "instance"),
    [
        ("/v1/agents/%C3%A9t%C3%A9/run", "/v1/agents/%C3%A9t%C3%A9/run"),
        ("/v1/agents/a%0D%0AX:%20y/run", "/v1/agents/a%0D%0AX:%20y/run"),
        ("/v1/agents/<b>%25/run", "/v1/agents/%3Cb%3E%25/run"),
    ],
)
def test_the_instance_is_a_uri_reference(gateway: Served, asked: str, instance: str) -> None:
    response = gateway.client.post(asked, json={"input": "hi"})
    assert (response.json()["status"], response.json()["instance"]) == (404, instance)


@pytest.mark.parametrize("path", ["/v1/agents/echo/run", "/v1/workflows/sum/run"])
def test_an_answer_that_the_client_cannot_take(gateway: Served, path: str) -> None:
    response = gateway.client.post(path, json={"input": "hi"}, headers={"accept": "text/html"})
    problem = problem_in(response, 406, "not-acceptable")
    assert problem["detail"] == "this is served as application/json or text/event-stream"


def test_events_are_not_to_be_had_as_json(gateway: Served) -> None:
    made = gateway.client.post("/v1/tasks", json={"capability": "sum", "input": [1]}).headers["location"]
    response = gateway.client.get(f"{made}/events", headers={"accept": "application/json"})
    problem_in(response, 406, "not-acceptable")


@pytest.mark.parametrize("path", ["/v1/agents/echo/run", "/v1/tasks", "/nothing/here"])
def test_a_body_over_the_limit(serve: Serve, path: str) -> None:
    gateway = serve(max_body_bytes=64)
    response = gateway.client.post(path, json={"input": "x" * 100})
    problem = problem_in(response, 413, "body-too-large")
    assert problem["detail"] == "the body is larger than 64 bytes"


def test_a_body_over_the_limit_in_chunks_without_a_length(serve: Serve) -> None:
    gateway = serve(max_body_bytes=64)

    def chunks() -> Any:
        yield b'{"input": "'
        for _ in range(10):
            yield b"x" * 10
        yield b'"}'

    response = gateway.client.post("/v1/agents/echo/run", content=chunks(), headers=JSON)
    problem_in(response, 413, "body-too-large")


def test_a_body_over_the_limit_where_none_is_asked_for(serve: Serve) -> None:
    gateway = serve(max_body_bytes=64)
    path = gateway.client.post("/v1/tasks", json={"capability": "hold", "input": ""}).headers["location"]
    chunks = (b"x" * 40 for _ in range(3))
    problem_in(gateway.client.request("GET", f"{path}/events", content=chunks), 413, "body-too-large")
    few = gateway.client.stream("GET", f"{path}/events", content=iter([b"x", b"y"]))
    with few as stream:
        assert next(stream.iter_lines()) == "event: task.queued"


def test_a_body_of_exactly_the_limit_is_taken(serve: Serve) -> None:
    body = b'{"input": "' + b"x" * 51 + b'"}'
    gateway = serve(max_body_bytes=len(body))
    assert gateway.client.post("/v1/agents/echo/run", content=body, headers=JSON).status_code == 200


def test_what_nobody_foresaw_says_nothing_of_itself(gateway: Served) -> None:
    response = gateway.client.post("/v1/workflows/fail/run", json={"input": "hi"})
    problem = problem_in(response, 500, "run-failed")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert problem["error"]["type"] == "server_error"


def test_a_bug_in_the_gateway_itself_is_a_problem_and_the_gateway_goes_on(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("internals at /srv/app.py")

    monkeypatch.setattr("weaver_ai.gateway.routes.agents.catalogue", broken)
    response = gateway.client.get("/v1/agents")
    problem_in(response, 500, "internal-error")
    assert "internals" not in response.text
    assert gateway.client.get("/health").status_code == 200


def test_an_error_inside_a_stream_is_its_last_event(gateway: Served) -> None:
    headers = {"accept": "text/event-stream"}
    response = gateway.client.post("/v1/workflows/fail/run", json={"input": "hi"}, headers=headers)
    assert response.status_code == 200
    *_, last = response.text.strip().split("\n\n")
    assert last.startswith('event: error\ndata: {"type":"urn:weaver:problem:run-failed"')
    assert response.headers["x-request-id"] in last
    assert response.headers["traceparent"].split("-")[1] in last
    assert "hunter2" not in response.text


def test_an_error_before_the_stream_has_its_status(gateway: Served) -> None:
    headers = {"accept": "text/event-stream"}
    response = gateway.client.post("/v1/workflows/sum/run", json={"input": "hi"}, headers=headers)
    problem_in(response, 422, "invalid-input")


def test_keys(serve: Serve, key: SecretStr) -> None:
    gateway = serve(api_keys=(key,))
    refused = gateway.client.get("/v1/agents")
    problem_in(refused, 401, "unauthenticated")
    assert refused.headers["www-authenticate"] == 'Bearer realm="weaver"'
    problem_in(gateway.client.post("/v1/agents/echo/run", content=b"x" * 100), 401, "unauthenticated")
    known = {"authorization": f"Bearer {key.get_secret_value()}"}
    assert gateway.client.get("/v1/agents", headers=known).status_code == 200
    assert [gateway.client.get(path).status_code for path in ("/", "/health", "/ready", "/docs")] == [200] * 4
    document = gateway.client.get("/openapi.json").json()
    assert document["paths"]["/v1/agents"]["get"]["security"] == [{"bearer": []}]
    assert "401" in document["paths"]["/v1/agents"]["get"]["responses"]
    assert document["paths"]["/health"]["get"]["security"] == [{}, {"bearer": []}]
    assert "security" not in document["paths"]["/ready"]["get"]


def test_who_has_no_key_is_told_how_it_is_and_no_names(serve: Serve, key: SecretStr) -> None:
    gateway = serve(api_keys=(key,))
    known = {"authorization": f"Bearer {key.get_secret_value()}"}
    for headers in ({}, {"authorization": "Bearer another"}):
        index, health = (gateway.client.get(path, headers=headers).json() for path in ("/", "/health"))
        assert (index["agents"], index["workflows"], index["links"]["documentation"]) == ([], [], "/docs")
        assert (health["status"], health["agent"], health["components"]) == ("healthy", "ok", {})
    index, health = (gateway.client.get(path, headers=known).json() for path in ("/", "/health"))
    assert (index["agents"], index["workflows"]) == (["echo"], ["hold", "fail", "sum"])
    assert health["components"]["engine"]["state"] == "ok"


def test_a_run_that_takes_too_long(serve: Serve) -> None:
    gateway = serve(run_timeout_seconds=0.2)
    response = gateway.client.post("/v1/workflows/hold/run", json={"input": "hi"})
    problem = problem_in(response, 504, "run-timeout")
    assert problem["detail"] == "the workflow 'hold' took longer than 0.2 seconds"
