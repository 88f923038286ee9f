"""Builds a Bento as the stage does, in a process of its own: MODEL, VIDEO and TARGET are its arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import patience
from tests.warm_python import warm_python

LABELS = {"registered_model": "actreel-grey", "version": "3", "run_id": "none", "accuracy": "0.8750"}


def build_apart(folder: Path, env: Mapping[str, str], model: Path, video: Path, target: Path) -> None:
    """Builds the Bento of a model with one sample, by the code that lies in `folder`."""
    log = target.with_name(f"{target.name}-built.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        arguments = [str(path) for path in (model, video, target)]
        done = warm_python().start("tests.pipelines.build_bento", arguments, folder, env, output.fileno())
        assert done.wait(patience(60)) == 0, log.read_text(encoding="utf-8")


if __name__ == "__main__":
    from pipelines.package import build_bento

    model, video, target = map(Path, sys.argv[1:])
    build_bento(model, "grey-bento", LABELS, {"middle": video}, target)
