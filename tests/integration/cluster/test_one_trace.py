"""One trace from a request to a task on another process, in a cluster that has exported nothing else."""

from __future__ import annotations

import pytest

from tests.fixtures.traced import Trace
from tests.integration.cluster.conftest import Cluster

pytestmark = pytest.mark.timeout(240)


def test_it_is_one_trace_across_the_processes(cluster: Cluster) -> None:
    trace = Trace(cluster.receiver)
    body = {"capability": "chain", "input": {"name": "traced"}}
    response = cluster.gateway.post("/v1/tasks", body, headers={"traceparent": trace.traceparent})
    task = cluster.finished(response.json()["task_id"])
    spans = trace.wait_for("task chain")
    names = {span.name: span for span in spans}
    submit, consumer, workflow = names["submit chain"], names["task chain"], names["workflow chain"]
    assert task["trace_id"] == trace.trace_id
    assert (submit.kind, consumer.kind) == ("producer", "consumer")
    assert submit.parent_id == names["POST /v1/tasks"].span_id
    assert consumer.parent_id == submit.span_id
    assert workflow.parent_id == consumer.span_id
    agents = [span for span in spans if span.parent_id == workflow.span_id and span.name == "invoke_agent echo"]
    assert len(agents) == 2
    assert {span.parent_id for span in spans if span.name == "chat echo"} == {span.span_id for span in agents}
    redis_s = [span for span in spans if span.attributes.get("db.system.name", span.attributes.get("db.system"))]
    assert submit.resource["process.pid"] in {span.resource["process.pid"] for span in redis_s}
    assert consumer.resource["process.pid"] != submit.resource["process.pid"]
    docket_s = [span.name for span in spans if span.scope.name.startswith("docket")]
    assert docket_s == []
