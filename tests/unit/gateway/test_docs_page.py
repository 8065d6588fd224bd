"""The page of the routes: whole, safe to show, and nothing on it comes from elsewhere."""

from __future__ import annotations

import re
import shlex
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic_ai import Agent

from weaver_ai.agents import Weaver
from weaver_ai.gateway.application import create_app
from weaver_ai.gateway.docs_page import docs_page
from weaver_ai.settings import load_settings

HOST = "http://gateway.test:8000"


class Read(HTMLParser):
    """Tags that are closed in their order, with what they link to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)
        for name, value in attrs:
            assert name in {
                "lang",
                "charset",
                "name",
                "content",
                "class",
                "id",
                "href",
                "aria-label",
                "scope",
                "tabindex",
            }
            (self.ids if name == "id" else self.links if name == "href" else []).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    weaver = Weaver("docs")
    weaver.agent(Agent(name="billing"))
    settings = load_settings(env_file=None, telemetry_enabled=False, api_keys="-".join(["a", "key"]))
    return create_app(settings, weaver).openapi()


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return docs_page(document, HOST)


def test_every_route_and_schema_has_a_place_and_every_link_leads_to_one(document: dict[str, Any], page: str) -> None:
    read = Read(page)
    assert read.open == []
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    schemas = [f"schema-{name}" for name in document["components"]["schemas"]]
    assert sorted(read.ids) == sorted([*operations, *schemas, "main", "schemas"])
    assert {link.removeprefix("#") for link in read.links} - set(read.ids) == {"/openapi.json"}


def test_nothing_comes_from_elsewhere(page: str) -> None:
    assert not {"script", "link", "img", "iframe"} & set(Read(page).names)
    assert "url(" not in page
    assert "@import" not in page


def test_a_line_to_try_each_route(document: dict[str, Any], page: str) -> None:
    lines = [shlex.split(unescape(line)) for line in re.findall(r'<pre class="line">(.*?)</pre>', page)]
    assert len(lines) == sum(map(len, document["paths"].values()))
    assert [
        "curl",
        f"{HOST}/v1/agents/billing/run",
        "-H",
        "Authorization: Bearer <key>",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"input": "refund order 7"}',
    ] in lines
    task = f"{HOST}/v1/tasks/0d696e2e1696422fb694da45e7ee67a8"
    assert ["curl", "-X", "DELETE", task, "-H", "Authorization: Bearer <key>"] in lines
    assert ["curl", f"{HOST}/ready"] in lines


def test_a_reader_with_agents_of_his_own_is_told_whose_names_the_examples_have(page: str) -> None:
    assert "/v1/workflows/support/run" in page  # which this gateway hasn't
    assert "Examples have the names and inputs of the built-in support desk; <code>GET /v1/agents</code> has" in page


def test_what_the_document_says_is_text() -> None:
    evil = "<script>alert(1)</script>"
    operation = {"operationId": "x", "summary": evil, "description": evil, "tags": [evil], "responses": {}}
    document = {
        "info": {"title": evil, "version": "1", "description": evil},
        "tags": [{"name": evil, "description": evil}],
        "paths": {f"/{evil}": {"get": operation}},
        "components": {
            "schemas": {"S": {"description": evil, "properties": {evil: {"pattern": evil, "enum": [evil]}}}}
        },
    }
    assert evil not in docs_page(document, f"http://{evil}")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "string", "maxLength": 4}, "string, up to <code>4</code> characters"),
        ({"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}, "number, at least <code>0</code> or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/S"}}, 'array of <a href="#schema-S">S</a>'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({"enum": ["a", 1], "type": "string"}, "<code>&quot;a&quot;</code> or <code>1</code>"),
        ({"type": "integer", "default": 0}, "integer, <code>0</code> unless given"),
        ({}, "anything"),
    ],
)
def test_types_are_told_in_words(schema: dict[str, Any], says: str) -> None:
    fields = {"type": "object", "properties": {"field": schema}, "required": ["field"]}
    document = {
        "info": {"title": "T", "version": "1"},
        "tags": [],
        "paths": {},
        "components": {"schemas": {"S": {}, "T": fields}},
    }
    assert f"<code>field</code> (required)</th><td>{says}</td>" in docs_page(document, HOST)
