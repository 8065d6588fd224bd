"""What can be run here, as GET /v1/agents tells it."""

from __future__ import annotations

from weaver_ai.agents import RegisteredAgent
from weaver_ai.agents.models import is_offline, leaves
from weaver_ai.gateway.schemas import AgentInfo, Catalogue, WorkflowInfo
from weaver_ai.gateway.service import Service

__all__ = ["catalogue"]


def catalogue(service: Service) -> Catalogue:
    """Every agent with its models, and every workflow with its input, in the order of their registration."""
    return Catalogue(
        agents=[_agent(entry, service) for entry in service.weaver.agents.values()],
        workflows=[
            WorkflowInfo(
                name=entry.name,
                capability=entry.capability,
                description=entry.description,
                input_schema=entry.input_schema,
            )
            for entry in service.weaver.workflows.values()
        ],
    )


def _agent(entry: RegisteredAgent, service: Service) -> AgentInfo:
    models = list(leaves(service.runner.models.of(entry)))
    return AgentInfo(
        name=entry.name,
        capability=entry.capability,
        description=entry.description,
        models=[model.model_name for model in models],
        offline=all(is_offline(model) for model in models),
        remarks=list(service.runner.models.remarks(entry)),
    )
