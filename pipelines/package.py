"""package: the champion of MLflow's registry ▸ BentoML's store and artifacts/bento."""

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from actreel.base.console import exit_cleanly
from actreel.base.faults import reading
from actreel.base.places import BENTO, INDEX, VERDICT, VIDEOS
from actreel.config import load_params
from actreel.dataset.demo.motions import ORDERED_PAIRS
from actreel.dataset.records import TEST, clips_of, read_index
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.inference.samples import make_samples, pick_samples
from actreel.tracking import registry

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

log = logging.getLogger(__name__)

SERVED = ("__init__.py", "base", "config", "errors.py", "feedback.py", "inference", "video", "youtube")
"""The parts of `actreel` that the service imports, without the training code; a test checks it."""

MODEL_NAME = "actreel"
"""The model's name in BentoML's store, as the service asks for it."""

FRAMES = re.compile(r'<img [^>]*alt="Frames of [^>]*>')
"""The model card's pictures of clips."""


def main() -> None:
    """Builds a Bento with the champion, if there is one."""
    params = load_params()
    champion = registry.find_champion(registry.registered_model(params.dataset.label))
    if champion is None:
        with reading(VERDICT, "Make it again with: dvc repro evaluate"):
            reason = json.loads(VERDICT.read_text(encoding="utf-8"))["reason"]
        shutil.rmtree(BENTO, ignore_errors=True)
        BENTO.mkdir(parents=True)
        (BENTO / "NOT_PACKAGED.txt").write_text(reason + "\n", encoding="utf-8")
        log.info(f"nothing is packaged, since there is no champion: {reason}")
        return
    with champion.folder() as folder, tempfile.TemporaryDirectory(prefix="actreel-samples-") as made:
        classifier = ActionClassifier.load(folder)
        card = classifier.card
        seen = ModelFolder(folder).seen_clips.read_text(encoding="utf-8").split()
        # An older champion may have been trained on clips that the present split tests.
        test = clips_of(read_index(INDEX), TEST)
        test = test[~test["sha256"].isin(seen) & test["action"].isin(card.labels)]
        held_out = {str(action): VIDEOS / clip for action, clip in test.groupby("action")["clip"].first().items()}
        if params.package.show_clips:
            picked = pick_samples(held_out, first=[action for pair in ORDERED_PAIRS for action in pair])
            samples = make_samples(classifier, picked, Path(made))
            _tell([picked[action] for action in samples])
        else:
            samples = {}
            without_frames(ModelFolder(folder).model_card)
        tag = build_bento(folder, params.package.name, champion.labels, samples, BENTO)
    log.info(f"packaged {tag}: {champion.registered_model} version {champion.version}, {len(card.labels)} actions")
    log.info("serve it: make serve")


def _tell(samples: list[Path]) -> None:
    names = ", ".join(f"'{clip.relative_to(VIDEOS)}'" for clip in samples) or "none"
    log.info(
        f"visitors of the page can watch these clips as samples: {names}; the model card shows frames of test clips. "
        "To show none of both: dvc exp run -S package.show_clips=false"
    )


def without_frames(model_card: Path) -> None:
    """Takes the pictures of clips out of a model card, HTML; its plots stay. Does nothing if there is no such file."""
    if model_card.exists():
        text = model_card.read_text(encoding="utf-8")
        model_card.write_text(FRAMES.sub("<em>Frames of clips are not shown.</em>", text), encoding="utf-8")


def build_bento(folder: Path, name: str, labels: Mapping[str, str], samples: Mapping[str, Path], target: Path) -> str:
    """Puts a model into BentoML's store, builds a Bento with it there, and exports both to a folder.

    Args:
        folder: A model folder, with `model_card.html` if it is from the registry.
        name: The Bento's name.
        labels: What identifies the model; the service shows them.
        samples: One sample video per action.
        target: Replaced; `bentoml serve` needs only this folder, not the store.

    Returns:
        The Bento's tag.
    """
    with bentoml.models.create(MODEL_NAME, labels=dict(labels)) as model:
        files = ModelFolder(folder)
        page = [files.model_card] if files.model_card.exists() else []  # models registered by early versions have none
        for file in (files.manifest, *files.network_files(), *page):
            shutil.copy(file, model.path_of(file.name))
        for action, video in samples.items():
            sample = Path(model.path_of("samples")) / action / video.name
            sample.parent.mkdir(parents=True)
            shutil.copy(video, sample)
    # Built from a copy: DVC's queue runs below .dvc/, and BentoML finds no requirements below a hidden folder.
    with tempfile.TemporaryDirectory(prefix="actreel-bento-") as context:
        for part in ("serving", "src"):
            shutil.copytree(part, Path(context) / part)
        bento = bentoml.bentos.build(
            "serving.service:Actreel",
            name=name,
            labels=dict(labels),
            models=[str(model.tag)],
            include=["serving/**", *(f"src/actreel/{part}" for part in SERVED)],
            # With is_src_layout the packages in src/ are importable in the Bento.
            python={"requirements_txt": "serving/requirements.lock", "lock_packages": False, "is_src_layout": True},
            build_ctx=context,
        )
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    bento.export(str(target.absolute()), output_format="folder")
    return str(bento.tag)


if __name__ == "__main__":
    exit_cleanly(main)
