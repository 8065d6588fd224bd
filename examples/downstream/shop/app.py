"""The service. Nothing here knows of Weaver, or of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, Field

tracer = trace.get_tracer("shop")
sold = metrics.get_meter("shop").create_counter("shop.items.sold", unit="{item}")

STOCK = {"tea": 5, "coffee": 0}


class Order(BaseModel):
    """What a customer wants."""

    item: str
    count: Annotated[int, Field(ge=1)] = 1


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Configure OpenTelemetry as in production; an exporter would be added here."""
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "shop"})))
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def place(order: Order) -> dict[str, int]:
    """Take an order, if there is enough."""
    with tracer.start_as_current_span("reserve", attributes={"shop.item": order.item, "shop.count": order.count}):
        left = reserve(order)
    with tracer.start_as_current_span("charge", kind=trace.SpanKind.CLIENT) as span:
        span.set_attribute("shop.price", 3 * order.count)
    sold.add(order.count, {"shop.item": order.item})
    return {"left": left}


def reserve(order: Order) -> int:
    """Take the items off the shelf.

    Raises:
        HTTPException: 409, there aren't enough.
    """
    left = STOCK.get(order.item, 0) - order.count
    if left < 0:
        trace.get_current_span().add_event("out of stock", {"shop.missing": -left})
        raise HTTPException(409, "out of stock")
    return left
