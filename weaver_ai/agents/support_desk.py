"""The built-in example: a support desk. A classifier, two specialists with tools, and a workflow over them.

Its data is made up and lives in this module; nothing is refunded.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry

from weaver_ai.agents.offline import OfflineRule, OfflineRules
from weaver_ai.agents.registry import Weaver
from weaver_ai.agents.workflows import Run

__all__ = ["Ticket", "support", "weaver"]

_ORDERS = {7: ("espresso machine", 249.0), 12: ("milk jug", 19.5), 31: ("grinder", 129.9)}
_SERVICES = {"checkout": "operational", "login": "degraded: slow sign-in since this morning", "shipping": "operational"}


class Ticket(BaseModel):
    """What a customer's message is about."""

    team: Literal["billing", "technical"] = Field(description="Who should answer.")
    urgent: bool = Field(default=False, description="Whether the customer can't go on without an answer.")


weaver = Weaver("support-desk")

classifier = weaver.agent(
    Agent(
        name="classifier",
        output_type=Ticket,
        instructions="Decide which team answers the customer: billing for orders, money and refunds, else technical.",
    ),
    capability="classify",
    description="Decides which team answers.",
    offline=OfflineRules(
        [
            OfflineRule(when=r"refund|order|invoice|charge|pay|price|money", output={"team": "billing"}),
            OfflineRule(when=r"", output={"team": "technical"}),
        ]
    ),
)

billing = weaver.agent(
    Agent(name="billing", instructions="You answer questions about orders, and refund them. Use the tools."),
    description="Looks orders up and refunds them.",
    offline=OfflineRules(
        [
            OfflineRule(when=r"refund\D*(?P<order>\d+)", call="refund", reply="{result}"),
            OfflineRule(when=r"refund", reply="Which order is to be refunded? I need its number."),
            OfflineRule(when=r"order\D*(?P<order>\d+)", call="look_up_order", reply="{result}"),
        ],
        otherwise="I can look an order up and refund it. Tell me its number, as in: refund order 7.",
    ),
)

technical = weaver.agent(
    Agent(name="technical", instructions="You help with services and sign-in. Use the tools."),
    description="Knows how the services are, and sends password links.",
    offline=OfflineRules(
        [
            OfflineRule(
                when=r"password.{0,200}?(?P<email>[\w.+-]{1,64}@[\w.-]{1,200}\w)",
                call="send_password_link",
                reply="{result}",
            ),
            OfflineRule(when=r"password", reply="Which e-mail address is the account under?"),
            OfflineRule(when=r"(?P<service>checkout|login|shipping)", call="service_status", reply="{result}"),
        ],
        otherwise="I can tell how checkout, login and shipping are, and send a password link to an e-mail address.",
    ),
)


@billing.tool_plain
def refund(order: int) -> str:
    """Refund an order in full."""
    item, price = _order(order)
    return f"Order {order} ({item}) is refunded: {price:.2f} EUR."


@billing.tool_plain
def look_up_order(order: int) -> str:
    """Say what was ordered, and for how much."""
    item, price = _order(order)
    return f"Order {order} is one {item} for {price:.2f} EUR."


@technical.tool_plain
def service_status(service: Literal["checkout", "login", "shipping"]) -> str:
    """Say how a service is."""
    return f"{service} is {_SERVICES[service]}."


@technical.tool_plain
def send_password_link(email: str) -> str:
    """Send a link to set a new password."""
    return f"A link to set a new password is on its way to {email}."


@weaver.workflow("support")
async def support(run: Run, input: str) -> str:  # noqa: A002 - the word of the API
    """Classifies a customer's message and lets the right specialist answer it."""
    ticket = await run(classifier, input)
    answer = await run(ticket.output.team, input)
    return answer.text


def _order(number: int) -> tuple[str, float]:
    if number not in _ORDERS:
        raise ModelRetry(f"There is no order {number}; there are {', '.join(map(str, _ORDERS))}.")
    return _ORDERS[number]
