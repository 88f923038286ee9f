"""The API's documentation as a page, made from the OpenAPI document; and the model card's security policy."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from html.parser import HTMLParser
from typing import Any

_EXAMPLES = """curl -F video=@clip.mp4 http://localhost:3000/predict_file
curl -H 'Content-Type: application/json' -d '{"url": "https://youtu.be/..."}' http://localhost:3000/predict_url

# A long video as a job, with its progress
curl -F video=@match.mp4 http://localhost:3000/jobs
curl -N http://localhost:3000/jobs/ID/events

# Python
import httpx
with open("clip.mp4", "rb") as video:
    print(httpx.post("http://localhost:3000/predict_file", files={"video": video}, timeout=60).json()["label"])"""


def docs_page(document: dict[str, Any]) -> str:
    """The documentation page of an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    calls = "\n".join(
        _call(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    words = "\n".join(_schema(name, schema) for name, schema in schemas.items())
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Actreel: API</title><link rel="stylesheet" href="/static/style.css"></head>
<body><main class="docs">
<h1>Actreel: API</h1>
<p>{escape(document["info"]["description"])} OpenAPI document: <a href="/docs.json">/docs.json</a>.
Every error is a 4xx with <code>{{"error": {{"code", "message", "next_step"}}}}</code>; after a 429, wait for as many
seconds as <code>Retry-After</code> says.</p>
<h2>Examples</h2><pre>{escape(_EXAMPLES)}</pre>
<h2>Calls</h2><dl>{calls}</dl>
<h2>Schemas</h2><dl>{words}</dl>
</main></body></html>
"""


def _call(method: str, path: str, operation: dict[str, Any]) -> str:
    takes = ", ".join(operation.get("requestBody", {}).get("content", {}))
    body = f"<br>Body: {escape(takes)}" if takes else ""
    return (
        f"<dt><code>{escape(method.upper())} {escape(path)}</code></dt>"
        f"<dd>{escape(operation.get('description', ''))}{body}</dd>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    fields = ", ".join(schema.get("properties", {}))
    return (
        f"<dt><code>{escape(name)}</code></dt><dd>{escape(schema.get('description', ''))}"
        f"<br><code>{escape(fields)}</code></dd>"
    )


def document_policy(html: str) -> str:
    """The Content-Security-Policy of a document that came with the model: it is shown, and no script in it runs.

    Args:
        html: The document. Its `<style>` elements apply, style attributes do not; only `data:` pictures are shown.
    """
    styles = _Styles(html).found
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    style_src = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; style-src {style_src}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class _Styles(HTMLParser):
    """The texts of a document's `<style>` elements."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Starts a style."""
        if tag == "style":
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """Ends a style."""
        self._inside = self._inside and tag != "style"

    def handle_data(self, data: str) -> None:
        """Adds text to a style."""
        if self._inside:
            self.found[-1] += data
