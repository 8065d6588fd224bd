"""The names of weaver's own attributes, spans and metrics; `registry/weaver.yaml` says what they mean."""

from __future__ import annotations

from typing import Final

# Attributes
AGENT_NAME: Final = "weaver.agent.name"
CAPABILITY: Final = "weaver.capability"
MODEL_OFFLINE: Final = "weaver.model.offline"
REQUEST_ID: Final = "weaver.request.id"
RUN_COST: Final = "weaver.run.cost"
RUN_ID: Final = "weaver.run.id"
TASK_ATTEMPT: Final = "weaver.task.attempt"
TASK_CAPABILITY: Final = "weaver.task.capability"
TASK_DELAY: Final = "weaver.task.delay"
TASK_ID: Final = "weaver.task.id"
TASK_PRIORITY: Final = "weaver.task.priority"
TASK_RETRY_DELAY: Final = "weaver.task.retry.delay"
TASK_STATE: Final = "weaver.task.state"
WORKER_STATE: Final = "weaver.worker.state"
WORKFLOW_NAME: Final = "weaver.workflow.name"
PROBLEM_TYPE: Final = "weaver.problem.type"
HTTP_REQUEST_BODY: Final = "weaver.http.request.body"
HTTP_RESPONSE_BODY: Final = "weaver.http.response.body"
VALIDATION_ERRORS: Final = "weaver.validation.errors"
VALIDATION_ERROR_COUNT: Final = "weaver.validation.error_count"

# Spans
SPAN_SUBMIT: Final = "submit {capability}"
SPAN_TASK: Final = "task {capability}"
SPAN_WORKFLOW: Final = "workflow {name}"

# Metrics
METRIC_EXPORT_DROPPED: Final = "weaver.telemetry.export.dropped"
METRIC_EXPORT_FAILED: Final = "weaver.telemetry.export.failed"
METRIC_EXPORT_QUEUED: Final = "weaver.telemetry.export.queued"
METRIC_TASK_QUEUED: Final = "weaver.task.queued"
METRIC_TASK_RUNNING: Final = "weaver.task.running"
METRIC_TASK_SCHEDULED: Final = "weaver.task.scheduled"
METRIC_WORKER_COUNT: Final = "weaver.worker.count"
