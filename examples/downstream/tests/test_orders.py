"""What an order does, told by the trace it leaves. The fixtures `spans` and `metrics` come with weaver-ai."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from shop.app import Order, app, reserve, tracer

from weaver_ai.testing import Metrics, Spans, event, span, tree


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def test_an_order_is_reserved_then_charged(client: TestClient, spans: Spans, metrics: Metrics) -> None:
    client.post("/orders", json={"item": "tea", "count": 2})

    order = spans.one("POST /orders", kind="server", resource={"service.name": "shop"})
    order.expect(
        tree(
            "POST /orders",
            ...,
            tree("fastapi.endpoint", "reserve", span("charge", {"shop.price": 6}, kind="client")),
            ...,
        )
    )
    assert metrics.total("shop.items.sold", {"shop.item": "tea"}) == 2


def test_nothing_is_charged_when_the_shelf_is_empty(client: TestClient, spans: Spans, metrics: Metrics) -> None:
    assert client.post("/orders", json={"item": "coffee"}).status_code == 409

    spans.one("reserve", {"shop.item": "coffee"}, event=event("out of stock", {"shop.missing": 1}))
    spans.none("charge")
    metrics.none("shop.items.sold")


def test_a_part_of_it_without_the_service(spans: Spans) -> None:
    with tracer.start_as_current_span("shelf"):
        assert reserve(Order(item="tea", count=5)) == 0
    assert spans.one().name == "shelf"
