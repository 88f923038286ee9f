"""The model card's Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser


def card_policy(html: str) -> str:
    """The Content-Security-Policy of a model card, which came with the model: it is shown, and no script in it runs.

    Args:
        html: The card. Its `<style>` elements apply, style attributes do not; only `data:` pictures are shown.
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
