"""package: the champion of MLflow's registry ▸ BentoML's store and artifacts/bento."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from actreel.config import load_params
from actreel.console import exit_cleanly
from actreel.dataset.records import TEST, clips_of, read_index
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.places import BENTO, INDEX, VERDICT, VIDEOS
from actreel.tracking import registry

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

SERVED = (
    "__init__.py",
    "atomic.py",
    "config",
    "console.py",
    "errors.py",
    "feedback.py",
    "inference",
    "video",
    "youtube",
)
"""What the service imports of `actreel`, and nothing that trains: a test holds this list against the import graph."""

MODEL_NAME = "actreel"
"""The model's name in BentoML's store: the one that the service asks for."""

NUM_SAMPLES = 6


def main() -> None:
    """Builds a Bento around the champion, if there is one."""
    params = load_params()
    verdict = json.loads(VERDICT.read_text(encoding="utf-8"))
    champion = registry.find_champion(registry.registered_model(params.dataset.label))
    if champion is None:
        shutil.rmtree(BENTO, ignore_errors=True)
        BENTO.mkdir(parents=True)
        (BENTO / "NOT_PACKAGED.txt").write_text(verdict["reason"] + "\n", encoding="utf-8")
        print(f"nothing is packaged, there is no champion: {verdict['reason']}")
        return
    # Clips that the model has not learned from, for visitors to try.
    held_out = clips_of(read_index(INDEX), TEST).groupby("action")["clip"].first()
    samples = {str(action): VIDEOS / clip for action, clip in held_out.head(NUM_SAMPLES).items()}
    with champion.folder() as folder:
        card = ActionClassifier.load(folder).card
        tag = build_bento(folder, params.package.name, champion.labels, samples, BENTO)
    print(f"packaged {tag}: {champion.registered_model} version {champion.version}, {len(card.labels)} actions")
    print("serve it: make serve")


def build_bento(folder: Path, name: str, labels: Mapping[str, str], samples: Mapping[str, Path], target: Path) -> str:
    """Puts a model into BentoML's store, builds the Bento around it there, and exports both to a folder.

    Args:
        folder: A model folder and, as the registry gives it, `model_card.html` in it.
        name: The Bento's.
        labels: Which model it is; the service tells them.
        samples: A video of each of a few actions.
        target: Made anew; `bentoml serve` takes it without the store that it came from.

    Returns:
        The Bento's tag.
    """
    with bentoml.models.create(MODEL_NAME, labels=dict(labels)) as model:
        files = ModelFolder(folder)
        page = [files.model_card] if files.model_card.exists() else []  # earlier models were registered without one
        for file in (files.manifest, *files.network_files(), *page):
            shutil.copy(file, model.path_of(file.name))
        for action, video in samples.items():
            sample = Path(model.path_of("samples")) / action / video.name
            sample.parent.mkdir(parents=True)
            shutil.copy(video, sample)
    # Not built where it lies: DVC's queue runs below .dvc/, and BentoML reads no requirements below a hidden folder.
    with tempfile.TemporaryDirectory(prefix="actreel-bento-") as context:
        for part in ("serving", "src"):
            shutil.copytree(part, Path(context) / part)
        bento = bentoml.bentos.build(
            "serving.service:Actreel",
            name=name,
            labels=dict(labels),
            models=[str(model.tag)],
            include=["serving/**", *(f"src/actreel/{part}" for part in SERVED)],
            # The packages below src/ move to the Bento's own top, which is where its service finds them.
            python={"requirements_txt": "serving/requirements.lock", "lock_packages": False, "is_src_layout": True},
            build_ctx=context,
        )
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    bento.export(str(target.absolute()), output_format="folder")
    return str(bento.tag)


if __name__ == "__main__":
    exit_cleanly(main)
