"""The built-in support desk without a key: each endpoint's answer and the trace that it leaves."""

from __future__ import annotations

import pytest

from tests.fixtures.traced import Caller, ancestors, children, named
from tests.integration.service import sse
from tests.integration.service.problem import assert_problem

pytest_plugins = ["tests.fixtures.providers"]

REFUND = "Please refund order 7, it arrived broken."


def test_agents_are_listed_with_what_they_can_do(keyless: Caller) -> None:
    response, trace = keyless.get("/v1/agents")
    assert response.status_code == 200
    body = response.json()
    agents = {agent["name"]: agent for agent in body["agents"]}
    assert len(agents) == 3
    assert all(agent["capability"] and agent["description"] for agent in agents.values())
    assert [workflow["name"] for workflow in body["workflows"]] == ["support"]
    assert trace.server().name == "GET /v1/agents"


def test_an_agent_runs(keyless: Caller) -> None:
    response, trace = keyless.post("/v1/agents/billing/run", {"input": REFUND})
    body = response.json()
    assert response.status_code == 200, body
    assert (body["name"], body["kind"], body["offline"], body["cost"]) == ("billing", "agent", True, None)
    assert body["trace_id"] == trace.trace_id
    assert body["usage"]["requests"] == 2
    assert body["usage"]["tool_calls"] == 1
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"] > 0
    assert [(call["name"], call["failed"]) for call in body["tool_calls"]] == [(body["tool_calls"][0]["name"], False)]
    assert "offline" in body["text"]


def test_an_agents_trace_is_the_documented_tree(keyless: Caller) -> None:
    response, trace = keyless.post("/v1/agents/billing/run", {"input": REFUND})
    tool = response.json()["tool_calls"][0]["name"]
    server = trace.server()
    agent = trace.one("invoke_agent billing")
    assert server.name == "POST /v1/agents/{name}/run"
    assert server in ancestors(trace.spans, agent)
    assert [span.name for span in children(trace.spans, agent)] == [
        "chat offline",
        f"execute_tool {tool}",
        "chat offline",
    ], trace.shape()
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert agent.attributes["gen_ai.agent.name"] == "billing"
    chats = named(trace.spans, "chat *")
    usage = response.json()["usage"]
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in chats) == usage["input_tokens"]
    assert sum(span.attributes["gen_ai.usage.output_tokens"] for span in chats) == usage["output_tokens"]
    assert {span.status.code for span in trace.spans} == {"unset"}


def test_an_agents_run_is_streamed(keyless: Caller) -> None:
    whole = keyless.post("/v1/agents/billing/run", {"input": REFUND})[0].json()
    response, trace = keyless.post("/v1/agents/billing/run", {"input": REFUND}, headers={"accept": "text/event-stream"})
    events = sse.read(response)
    names = [event.name for event in events]
    assert names[0] == "run.started"
    assert names[-1] == "run.finished"
    assert [name for name in names if name.startswith("tool")] == ["tool.call", "tool.result"]
    finished = events[-1].data
    assert "".join(event.data["text"] for event in events if event.name == "text.delta") == finished["text"]
    assert finished["text"] == whole["text"]
    assert finished["usage"] == whole["usage"]
    assert events[0].data["trace_id"] == finished["trace_id"] == trace.trace_id
    assert trace.one("invoke_agent billing").status.code == "unset"
    assert trace.server().attributes["http.response.status_code"] == 200


def test_a_workflow_runs_as_one_trace(keyless: Caller) -> None:
    response, trace = keyless.post("/v1/workflows/support/run", {"input": REFUND})
    body = response.json()
    assert response.status_code == 200, body
    assert (body["name"], body["kind"], body["offline"]) == ("support", "workflow", True)
    assert body["trace_id"] == trace.trace_id
    workflow = trace.one("workflow support")
    assert trace.server() in ancestors(trace.spans, workflow)
    steps = [span.name for span in children(trace.spans, workflow)]
    assert steps == ["invoke_agent classifier", "invoke_agent billing"], trace.shape()
    assert workflow.attributes["weaver.workflow.name"] == "support"
    assert workflow.attributes["weaver.run.id"] == body["run_id"]
    chats = named(trace.spans, "chat *")
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in chats) == body["usage"]["input_tokens"]
    assert sum(span.attributes["gen_ai.usage.output_tokens"] for span in chats) == body["usage"]["output_tokens"]


def test_a_workflow_routes_on_the_result(keyless: Caller) -> None:
    _, trace = keyless.post("/v1/workflows/support/run", {"input": "The app crashes with an error when I log in."})
    steps = [span.name for span in children(trace.spans, trace.one("workflow support"))]
    assert steps[0] == "invoke_agent classifier"
    assert len(steps) == 2
    assert steps[1] != "invoke_agent billing"


def test_a_workflow_is_streamed_step_by_step(keyless: Caller) -> None:
    response, trace = keyless.post(
        "/v1/workflows/support/run", {"input": REFUND}, headers={"accept": "text/event-stream"}
    )
    events = sse.read(response)
    steps = [(event.name, event.data["name"]) for event in events if event.name.startswith("step")]
    assert steps == [
        ("step.started", "classifier"),
        ("step.finished", "classifier"),
        ("step.started", "billing"),
        ("step.finished", "billing"),
    ]
    assert events[-1].name == "run.finished"
    assert [span.name for span in children(trace.spans, trace.one("workflow support"))] == [
        "invoke_agent classifier",
        "invoke_agent billing",
    ]


def test_the_same_question_has_the_same_answer_offline(keyless: Caller) -> None:
    answers = [keyless.post("/v1/workflows/support/run", {"input": REFUND})[0].json() for _ in range(2)]
    assert answers[0]["text"] == answers[1]["text"]
    assert answers[0]["usage"] == answers[1]["usage"]
    assert answers[0]["run_id"] != answers[1]["run_id"]


# What can be wrong with a request


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("/v1/agents/biling/run", "agent-not-found", "did you mean 'billing'?"),
        ("/v1/workflows/suport/run", "workflow-not-found", "did you mean 'support'?"),
    ],
)
def test_an_unknown_name(keyless: Caller, path: str, code: str, hint: str) -> None:
    response, trace = keyless.post(path, {"input": "hi"})
    body = assert_problem(response, 404, code)
    assert body["hint"] == hint
    server = trace.server()
    assert server.attributes["http.response.status_code"] == 404
    assert server.attributes["weaver.problem.type"] == code
    assert server.status.code == "unset"


def test_an_unknown_path_and_a_wrong_method(keyless: Caller) -> None:
    assert_problem(keyless.get("/v1/nothing")[0], 404, "not-found")
    response, _ = keyless("PUT", "/v1/agents")
    assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("body", "location", "kind"),
    [
        ({}, "body.input", "missing"),
        ({"input": "hi", "inptu": 1}, "body.inptu", "extra_forbidden"),
        ([], "body", "model_attributes_type"),
    ],
)
def test_a_body_of_the_wrong_shape(keyless: Caller, body: object, location: str, kind: str) -> None:
    response, trace = keyless.post("/v1/agents/billing/run", body)
    problem = assert_problem(response, 422, "invalid-input")
    assert [(each["location"], each["type"]) for each in problem["errors"]] == [(location, kind)]
    assert trace.server().attributes["http.response.status_code"] == 422
    assert named(trace.spans, "invoke_agent*") == []


def test_a_problem_never_quotes_what_was_sent(keyless: Caller) -> None:
    response, _ = keyless.post("/v1/agents/billing/run", {"input": "hi", "extra": "a-private-thing"})
    assert "a-private-thing" not in response.text


@pytest.mark.parametrize("text", ['{"input": ', "", "nonsense", '{"input": NaN}'])
def test_a_body_that_is_no_json(keyless: Caller, text: str) -> None:
    response, _ = keyless("POST", "/v1/agents/billing/run", content=text, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert_problem(response, response.status_code, response.json()["error"]["code"])


def test_another_media_type_is_refused(keyless: Caller) -> None:
    response, _ = keyless("POST", "/v1/agents/billing/run", content="input=hi", headers={"content-type": "text/plain"})
    assert_problem(response, 415, "unsupported-media-type")


def test_an_answer_that_the_client_does_not_take_is_refused_before_the_run(keyless: Caller) -> None:
    response, trace = keyless.post("/v1/agents/billing/run", {"input": "hi"}, headers={"accept": "image/png"})
    assert_problem(response, 406, "not-acceptable")
    assert named(trace.spans, "invoke_agent*") == []


def test_a_body_over_the_limit_is_refused(keyless: Caller) -> None:
    declared, trace = keyless.post("/v1/agents/billing/run", {"input": "x" * 1_100_000})
    assert_problem(declared, 413, "body-too-large")
    assert trace.server().attributes["http.response.status_code"] == 413


def test_a_body_over_the_limit_is_refused_in_chunks_too(keyless: Caller) -> None:
    def chunks():
        yield b'{"input": "'
        for _ in range(20):
            yield b"x" * 65_536
        yield b'"}'

    response, _ = keyless(
        "POST", "/v1/agents/billing/run", content=chunks(), headers={"content-type": "application/json"}
    )
    assert_problem(response, 413, "body-too-large")


def test_deep_json_is_refused_readably(keyless: Caller) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    response, _ = keyless(
        "POST",
        "/v1/agents/billing/run",
        content=f'{{"input": {deep}}}',
        headers={"content-type": "application/json"},
    )
    assert response.status_code in (400, 413, 422)
    assert response.headers["content-type"] == "application/problem+json"
