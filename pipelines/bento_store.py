"""This project's Bentos and models in BentoML's store: all projects of a user share it, so they carry a label."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

import bentoml
import psutil

from actreel.base.places import BENTO, MODEL_TAG
from actreel.base.processes import command_line

log = logging.getLogger(__name__)

MODEL_NAME = "actreel"
"""The model's name in BentoML's store. All projects of a user share it, so the service asks for an exact tag."""

KEPT = 5
"""As many of a project's newest Bentos stay in the store, with their models."""

_PROJECT = "actreel_project"


def project_label() -> dict[str, str]:
    """The label that says whose a Bento is: a digest of the project's folder, as a Bento may be given away."""
    return {_PROJECT: hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:16]}


def delete_old() -> None:
    """Deletes this project's older Bentos and models from BentoML's store.

    These stay: the newest `KEPT`; what a running process names in its command line or works in; the model of
    `artifacts/bento`, which plain `bentoml serve` takes from the store; every model that a remaining Bento needs,
    whosever Bento that is; and what has no label of this project. What `make serve` serves is a copy of its own.
    """
    everything = bentoml.bentos.list()
    own = sorted((bento for bento in everything if _is_own(bento)), key=lambda bento: bento.info.creation_time)
    running = _running()
    packaged = BENTO / "src" / MODEL_TAG
    served = packaged.read_text(encoding="utf-8").strip() if packaged.is_file() else ""
    old = [bento for bento in own[:-KEPT] if not _is_used(bento, running)]
    for bento in old:
        bentoml.bentos.delete(bento.tag)
    gone = {bento.tag for bento in old}
    needed = {str(model.tag) for bento in everything if bento.tag not in gone for model in bento.info.all_models}
    models = sorted(filter(_is_own, bentoml.models.list(MODEL_NAME)), key=lambda model: model.info.creation_time)
    for model in models[:-KEPT]:
        if str(model.tag) not in {*needed, served} and not _is_used(model, running):
            bentoml.models.delete(model.tag)
    if old:
        log.info(f"deleted this project's older Bentos from BentoML's store: {len(old)}; the newest {KEPT} stay")


def _is_own(item: bentoml.Bento | bentoml.Model) -> bool:
    return bool(project_label().items() <= item.info.labels.items())


def _is_used(item: bentoml.Bento | bentoml.Model, running: str) -> bool:
    return str(item.tag) in running or item.path in running


def _running() -> str:
    """The command lines and working folders of this user's processes, one a line."""
    lines = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # another user's, or just ended
            lines += [*command_line(process), process.cwd()]
    return "\n".join(lines)
