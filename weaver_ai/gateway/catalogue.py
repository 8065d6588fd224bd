"""What can be run here, as GET /v1/agents tells it."""

from __future__ import annotations

from weaver_ai.agents import RegisteredAgent
from weaver_ai.agents.models import is_offline
from weaver_ai.gateway.schemas import AgentInfo, Bounds, Catalogue, TaskTerms, WorkflowInfo
from weaver_ai.gateway.service import Service
from weaver_ai.settings import Settings
from weaver_ai.tasks import TaskPolicy
from weaver_ai.tasks.schedule import MAX_DEADLINE_SECONDS, MAX_DELAY_SECONDS

__all__ = ["catalogue"]


def catalogue(service: Service) -> Catalogue:
    """Every agent with its models and every workflow with its input, in the order of their registration, and limits."""
    return Catalogue(
        agents=[_agent(entry, service) for entry in service.weaver.agents.values()],
        workflows=[
            WorkflowInfo(
                name=entry.name,
                capability=entry.capability,
                description=entry.description,
                input_schema=entry.input_schema,
                tasks=_terms(entry.tasks),
            )
            for entry in service.weaver.workflows.values()
        ],
        bounds=_bounds(service.settings),
    )


def _agent(entry: RegisteredAgent, service: Service) -> AgentInfo:
    models = service.runner.models.answering(entry)
    return AgentInfo(
        name=entry.name,
        capability=entry.capability,
        description=entry.description,
        models=[model.model_name for model in models],
        offline=all(is_offline(model) for model in models),
        remarks=list(service.runner.models.remarks(entry)),
        tasks=_terms(entry.tasks),
    )


def _terms(policy: TaskPolicy) -> TaskTerms:
    retry = policy.retry
    return TaskTerms(
        retries=retry.retries,
        retried_on=list(retry.on),
        pause_seconds=retry.pause_seconds,
        longest_pause_seconds=retry.longest_pause_seconds,
        concurrency=policy.concurrency,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        run_timeout_seconds=settings.run_timeout_seconds,
        provider_timeout_seconds=settings.provider_timeout_seconds,
        provider_retries=settings.provider_max_retries,
        longest_deadline_seconds=MAX_DEADLINE_SECONDS,
        longest_delay_seconds=MAX_DELAY_SECONDS,
        body_bytes=settings.max_body_bytes,
    )
