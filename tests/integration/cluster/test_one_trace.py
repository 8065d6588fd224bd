"""One trace from a request to a task on another process, in a cluster that has exported nothing else."""

from __future__ import annotations

from tests.fixtures.traced import Trace
from tests.integration.cluster.conftest import Cluster


def test_it_is_one_trace_across_the_processes(cluster: Cluster) -> None:
    trace = Trace(cluster.receiver)
    body = {"capability": "chore", "input": {"name": "traced"}}
    response = cluster.gateway.post("/v1/tasks", body, headers={"traceparent": trace.traceparent})
    task = cluster.finished(response.json()["task_id"])
    spans = trace.wait_for("task chore")
    names = {span.name: span for span in spans}
    submit, consumer, workflow = names["submit chore"], names["task chore"], names["workflow chore"]
    assert task["trace_id"] == trace.trace_id
    assert (submit.kind, consumer.kind) == ("producer", "consumer")
    assert submit.parent_id == names["POST /v1/tasks"].span_id
    assert consumer.parent_id == submit.span_id
    assert workflow.parent_id == consumer.span_id
    assert consumer.resource["process.pid"] != submit.resource["process.pid"]
    docket_s = [span.name for span in spans if span.scope.name.startswith("docket")]
    assert docket_s == []
