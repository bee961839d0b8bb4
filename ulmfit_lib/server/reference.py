"""The page that describes the HTTP interface, made from its OpenAPI document; it needs nothing from the net."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page/style.css">
</head>
<body>
<header><h1>HTTP interface</h1><a href="./">Back to the page</a></header>
<main>
<p class="hint">As a machine reads it: <a href="openapi.json">openapi.json</a>. Where the server asks for a token, add
<code>-H "Authorization: Bearer TOKEN"</code>.</p>
{calls}
</main>
</body>
</html>
"""
CALL = """<article>
<h2 id="{id}"><code>{method} {path}</code></h2>
<p>{summary}</p>
{fields}
<pre tabindex="0" aria-label="Example"><code>{example}</code></pre>
<p class="hint">Answers: {answers}</p>
</article>"""
MEANINGS = {
    "200": "done",
    "202": "accepted",
    "204": "done, with nothing to say",
    "413": "too large",
    "429": "too busy",
    "422": "something in the request is wrong, and the answer says what",
}


def render_reference(document: Mapping[str, Any], address: str) -> str:
    """A page of HTML about FastAPI's OpenAPI document, with a command to copy for each call to an address."""
    calls = [
        _call(method.upper(), path, facts, document, address)
        for path, methods in document["paths"].items()
        for method, facts in methods.items()
    ]
    return PAGE.format(calls="\n".join(calls))


def _call(method: str, path: str, facts: Mapping[str, Any], document: Mapping[str, Any], address: str) -> str:
    content: dict[str, Any] = facts.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    schema = _resolved(content[kind]["schema"], document) if kind else {}
    answers = (f"{status} ({MEANINGS[status]})" for status in facts["responses"] if status in MEANINGS)
    return CALL.format(
        id=escape(facts["operationId"]),
        method=method,
        path=escape(path),
        summary=_prose(facts.get("description", "")),
        fields=_fields(schema),
        example=escape(_example(method, address + path, kind, schema)),
        answers=escape(", ".join(answers)),
    )


def _fields(schema: Mapping[str, Any]) -> str:
    """A table of what a request's body holds."""
    rows = [
        f"<tr><td><code>{escape(name)}</code></td><td>{'needed' if name in schema.get('required', ()) else ''}</td>"
        f"<td>{_prose(facts.get('description', ''))}</td></tr>"
        for name, facts in schema.get("properties", {}).items()
    ]
    if not rows:
        return ""
    head = "<thead><tr><th>Field</th><th></th><th>What it is</th></tr></thead>"
    return f'<div class="wide"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _prose(text: str) -> str:
    """A docstring's text; what stands in backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _example(method: str, url: str, kind: str, schema: Mapping[str, Any]) -> str:
    """A command line that makes the call."""
    asked = "" if method == "GET" else f"-X {method} "
    return " \\\n  ".join([f"curl {asked}{url}", *_sent(kind, schema)])


def _sent(kind: str, schema: Mapping[str, Any]) -> Iterator[str]:
    properties = schema.get("properties", {})
    needed = [name for name in properties if name in schema.get("required", ())]
    if kind == "application/json":
        body = {name: (properties[name].get("examples") or [""])[0] for name in needed}
        yield "-H 'Content-Type: application/json'"
        yield f"-d '{json.dumps(body, ensure_ascii=False)}'"
    for name in needed if kind.startswith("multipart/") else ():
        yield (
            f"-F {name}=@reviews.csv"
            if name == "file"
            else f"-F {name}={(properties[name].get('examples') or [name])[0]}"
        )


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema itself, where it may be a reference to one."""
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return dict(document["components"]["schemas"][name])
    return schema
