"""Commands to paste into a shell, with any value in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

# What Hydra reads as it stands, and as text: no number, and neither `null` nor `true`.
_PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z/][A-Za-z0-9_/.-]*", re.IGNORECASE | re.ASCII)


def exp_run(settings: Mapping[str, str]) -> str:
    """The command that runs the pipeline with some parameters changed to these texts.

    `dvc exp run -S` reads a value by Hydra's grammar (https://hydra.cc/docs/advanced/override_grammar/basic), after the
    shell has read it by its own: `-S 'dataset.path="/my clips"'`.

    Args:
        settings: Values by `section.key`.
    """
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(f'{key}={quoted(text)}')}" for key, text in settings.items())])


def learn(dataset: str, path: str, recipe: str | None = None) -> str:
    """The command that learns from a dataset again.

    Args:
        dataset: `dataset.name`.
        path: `dataset.path`.
        recipe: A recipe's name; None lets the command pick one.
    """
    source = {"folder": f"learn FROM={shlex.quote(path)}", "ucf50": "ucf50"}.get(dataset, "learn")
    return f"make {source}" + (f" RECIPE={recipe}" if recipe else "")


def quoted(text: str) -> str:
    """A text as Hydra reads it in an override."""
    if _PLAIN.fullmatch(text):
        return text
    # Backslashes count before "${", which would refer to another parameter, and before a quote; there they double.
    literal = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)
    literal = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + match[2].replace('"', r"\""), literal)
    return f'"{literal}"'
