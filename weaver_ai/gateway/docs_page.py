"""The OpenAPI document as a page for people: one file, without script, that asks no other host for anything."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final, TypeAlias

__all__ = ["docs_page"]

Node: TypeAlias = Mapping[str, Any]

_STYLE: Final = """
:root{color-scheme:light dark;--ink:light-dark(#1b1f24,#e6e9ee);--dim:light-dark(#57606a,#9aa4b0);
--paper:light-dark(#fff,#14171b);--soft:light-dark(#f3f5f7,#1e2329);--line:light-dark(#d5dae0,#343b44);
--link:light-dark(#0b57d0,#8ab4f8)}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem}
body>div{display:grid;grid-template-columns:minmax(14rem,19rem) minmax(0,1fr);max-width:80rem;margin:auto}
nav{padding:1.5rem 1rem;border-right:1px solid var(--line);position:sticky;top:0;height:100vh;overflow:auto}
nav ul{list-style:none;margin:0 0 1rem;padding:0}nav li{margin:.15rem 0}
nav strong{display:block;margin-top:.75rem;color:var(--dim)}
main{padding:1.5rem 2rem;min-width:0}
h1{margin:0}h2{margin-top:3rem}h3{font-size:1.05rem;margin:0 0 .25rem}h4{margin:1rem 0 .25rem;font-size:1rem}
article{border:1px solid var(--line);border-radius:.5rem;padding:1rem 1.25rem;margin:1rem 0;scroll-margin-top:1rem}
code,pre{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--soft);padding:.75rem;border-radius:.35rem;overflow-x:auto;margin:.5rem 0}
p code,td code,li code,dd code{background:var(--soft);padding:.05rem .25rem;border-radius:.2rem;overflow-wrap:anywhere}
nav code,div>code{white-space:nowrap}.line{white-space:pre-wrap}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-top:1px solid var(--line)}
thead th{border:0;color:var(--dim);font-weight:600}
tbody th{font-weight:400;white-space:nowrap}
summary{cursor:pointer;color:var(--link)}
.dim{color:var(--dim)}
@media(max-width:50rem){body>div{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}
"""
_LIMITS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "over {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "under {}",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "minItems": "{} items or more",
    "maxItems": "up to {} items",
    "pattern": "matches {}",
    "format": "{}",
}


def docs_page(document: Node, base_url: str) -> str:
    """The page of an OpenAPI 3.1 document; its `curl` lines go to `base_url`."""
    return "".join(_page(document, base_url))


def _page(document: Node, base_url: str) -> Iterator[str]:
    info, tags = document["info"], list(_by_tag(document))
    schemas: Node = document["components"]["schemas"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f'<style>{_STYLE}</style></head><body><a class="skip" href="#main">Skip to the routes</a><div>'
    yield '<nav aria-label="Routes and schemas">'
    for tag, operations in tags:
        yield f"<strong>{escape(tag['name'])}</strong><ul>"
        for method, path, operation in operations:
            yield f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["summary"])}</a><br>'
            yield f'<code class="dim">{method} {escape(path)}</code></li>'
        yield "</ul>"
    yield '<strong>more</strong><ul><li><a href="#schemas">Schemas</a></li>'
    yield '<li><a href="/openapi.json">openapi.json</a></li></ul></nav>'
    yield f'<main id="main"><h1>{title}</h1>{_text(info.get("description", ""))}'
    for tag, operations in tags:
        yield f"<section><h2>{escape(tag['name'])}</h2>{_text(tag.get('description', ''))}"
        for method, path, operation in operations:
            yield from _operation(method, path, operation, schemas, base_url)
        yield "</section>"
    yield '<section id="schemas"><h2>Schemas</h2>'
    for name, schema in sorted(schemas.items()):
        yield f'<article id="schema-{escape(name)}"><h3><code>{escape(name)}</code></h3>'
        yield f"{_text(schema.get('description', ''))}{''.join(_fields(schema))}</article>"
    yield "</section></main></div></body></html>"


def _by_tag(document: Node) -> Iterator[tuple[Node, list[tuple[str, str, Node]]]]:
    found = [
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    for tag in document["tags"]:
        yield tag, [each for each in found if tag["name"] in each[2]["tags"]]


def _operation(method: str, path: str, operation: Node, schemas: Node, base_url: str) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}"><h3>{escape(operation["summary"])}</h3>'
    yield f"<code>{method} {escape(path)}</code>{_text(operation.get('description', ''))}"
    if operation.get("security") and {} not in operation["security"]:
        yield "<p>Needs a key: <code>Authorization: Bearer &lt;key&gt;</code>.</p>"
    if parameters := operation.get("parameters"):
        yield "<h4>Parameters</h4>"
        yield _table(
            ("Name", "In", "Type", "What"),
            (
                (
                    f"<code>{escape(each['name'])}</code>",
                    escape(each["in"]) + (", required" if each.get("required") else ""),
                    _type(each["schema"]),
                    _inline(each.get("description", "")),
                )
                for each in parameters
            ),
        )
    if body := operation.get("requestBody"):
        (schema,) = (content["schema"] for content in body["content"].values())
        yield f"<h4>Body</h4><p>{_type(schema)}</p>"
    yield f'<h4>Try it</h4><pre class="line">{escape(_curl(method, path, operation, schemas, base_url))}</pre>'
    yield "<h4>Answers</h4>"
    yield _table(
        ("Status", "When", "Body"),
        (
            (f"<code>{status}</code>", _inline(answer["description"]), "".join(_contents(answer, schemas)))
            for status, answer in sorted(operation["responses"].items())
        ),
    )
    yield "</article>"


def _contents(answer: Node, schemas: Node) -> Iterator[str]:
    for media_type, content in answer.get("content", {}).items():
        schema = content.get("schema")
        shown = f"<code>{escape(media_type)}</code>{f' {_type(schema)}' if schema else ''}"
        example = content.get("example", _example(schema or {}, schemas))
        if example is None:
            yield f"<div>{shown}</div>"
            continue
        text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
        yield f"<div>{shown}<details><summary>Example</summary><pre tabindex=0>{escape(text)}</pre></details></div>"


def _fields(schema: Node) -> Iterator[str]:
    properties: Node = schema.get("properties", {})
    if not properties:
        yield f"<p>{_type({key: value for key, value in schema.items() if key != 'description'})}</p>"
        return
    required = schema.get("required", ())
    yield _table(
        ("Field", "Type", "What"),
        (
            (
                f"<code>{escape(name)}</code>{' (required)' if name in required else ''}",
                _type(each),
                _inline(each.get("description", "")),
            )
            for name, each in properties.items()
        ),
    )


def _curl(method: str, path: str, operation: Node, schemas: Node, base_url: str) -> str:
    for each in operation.get("parameters", ()):
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each["schema"].get("examples", [each["name"]])[0]))
    command = ["curl", *([] if method == "GET" else ["-X", method]), base_url + path]
    if operation.get("security") and {} not in operation["security"]:
        command += ["-H", "Authorization: Bearer <key>"]
    if body := operation.get("requestBody"):
        (schema,) = (content["schema"] for content in body["content"].values())
        example = json.dumps(_example(schema, schemas), ensure_ascii=False)
        command = ["curl", base_url + path, *command[4:], "-H", "Content-Type: application/json", "-d", example]
    return shlex.join(command)


def _example(schema: Node, schemas: Node) -> Any:
    found = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found.get("examples", [None])[0]


def _type(schema: Node) -> str:
    """What values fit, in words, with links to the schemas that it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    kind = schema.get("type", "anything")
    shown = escape(kind if isinstance(kind, str) else " or ".join(kind))
    if kind == "array" and "items" in schema:
        shown = f"array of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        shown = f"object of {_type(schema['additionalProperties'])}"
    limits = [
        words.format(f"<code>{escape(str(schema[key]))}</code>") for key, words in _LIMITS.items() if key in schema
    ]
    if schema.get("default") is not None:
        limits.append(f"<code>{escape(json.dumps(schema['default']))}</code> unless given")
    return ", ".join([shown, *limits])


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    head = "".join(f"<th scope=col>{each}</th>" for each in heads)
    body = "".join(
        f"<tr><th scope=row>{first}</th>{''.join(f'<td>{each}</td>' for each in rest)}</tr>" for first, *rest in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(markdown: str) -> str:
    """Paragraphs with code in them: all that the document's descriptions have of Markdown."""
    return "".join(f"<p>{_inline(each)}</p>" for each in markdown.split("\n\n") if each.strip())


def _inline(markdown: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(markdown))
