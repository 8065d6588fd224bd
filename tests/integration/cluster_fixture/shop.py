"""What the cluster of these tests serves."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from weaver_ai.agents import Run, Weaver

weaver = Weaver("shop")


class Order(BaseModel):
    number: int
    seconds: float = 0.0


@weaver.workflow("ship")
async def ship(run: Run, order: Order) -> str:
    """Ship it, in time."""
    print(f"shipping {order.number}", flush=True)  # noqa: T201 # for the log
    await asyncio.sleep(order.seconds)
    return f"shipped {order.number}"
