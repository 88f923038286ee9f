"""The security policy of a model card."""

from __future__ import annotations

import base64
import hashlib

import pytest

from serving.card_policy import card_policy


def digest(style: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() + "'"


@pytest.mark.parametrize(
    ("html", "styles"),
    [
        ("<p>plain</p>", ["'none'"]),
        ("<STYLE type='text/css'>\n p > b { color: red }\n</STYLE>", [digest("\n p > b { color: red }\n")]),
        (
            "<style>a{}</style><style>b{} /* &amp; <p> \u00e9 */</style>",
            [digest("a{}"), digest("b{} /* &amp; <p> \u00e9 */")],
        ),
        ("<p style='color: red'>&lt;style&gt;a{}&lt;/style&gt;</p>", ["'none'"]),
        ("<style></style>", [digest("")]),
    ],
)
def test_only_its_own_styles_apply(html: str, styles: list[str]) -> None:
    policy = dict(part.strip().split(" ", 1) for part in card_policy(html).split(";"))
    assert policy["style-src"].split(" ") == styles
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert "unsafe" not in card_policy(html)
