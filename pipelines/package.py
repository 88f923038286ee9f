"""package: the champion that reports/champion.json names ▸ BentoML's store and artifacts/bento."""

import argparse
import html
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from actreel.base.console import exit_cleanly
from actreel.base.faults import reading
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import (
    BENTO,
    INDEX,
    MODEL,
    MODEL_TAG,
    NOT_PACKAGED,
    PACKAGE_WARNINGS,
    REPORTS,
    VERDICT,
    VIDEOS,
)
from actreel.config import Params, load_params
from actreel.dataset.demo.motions import ORDERED_PAIRS
from actreel.dataset.records import read_index
from actreel.errors import ModelError
from actreel.evaluation.int8 import serve_in_int8, unseen_test_clips
from actreel.inference.browser_runtime import fetch_runtime
from actreel.inference.classifier import ActionClassifier, ClassifierCard
from actreel.inference.model_folder import MODEL_CARD_FILE, ModelFolder
from actreel.inference.on_device import RUNTIME, why_not
from actreel.inference.samples import make_samples, pick_samples
from actreel.tracking import registry
from actreel.tracking.promotions import BY_HAND
from pipelines.bento_store import MODEL_NAME, delete_old, project_label
from pipelines.champion import read_champion
from pipelines.summary import closing_line

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

log = logging.getLogger(__name__)

SERVED = (
    "__init__.py", "base", "config", "errors.py", "feedback.py", "inference", "statistics.py", "video", "youtube",
)  # fmt: skip
"""The parts of `actreel` that the service imports, without the training code; a test checks it."""

FRAMES = re.compile(r'<img [^>]*alt="Frames of [^>]*>')
"""The model card's pictures of clips."""


def main(arguments: list[str] | None = None) -> None:
    """Builds a Bento with the champion, if there is one, or with the registered model that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.package", description=main.__doc__)
    parser.add_argument("--model", metavar="NAME[@VERSION|@ALIAS]", help="a registered model, in place of the champion")
    parser.add_argument("--into", type=Path, default=BENTO, metavar="DIR", help="replaced (default: %(default)s)")
    options = parser.parse_args(arguments)
    params = load_params()
    if options.model:
        package(registry.find_version(options.model), params, options.into)
        return
    with keeping_warnings("package", PACKAGE_WARNINGS):
        if (champion := read_champion()) is not None:
            package(registry.ModelVersion.from_labels(champion), params, options.into)
        else:
            say_why_not(params.dataset.label)
    log.info(closing_line())


def say_why_not(dataset: str) -> None:
    """Puts the reason why no model is champion in place of the Bento, and how to serve another model."""
    with reading(VERDICT, "Make it again with: dvc repro evaluate"):
        verdict = json.loads(VERDICT.read_text(encoding="utf-8"))
    reason = verdict["reason"]
    if verdict["promoted"]:
        name = f"{registry.registered_model(dataset)}@{verdict['champion']}"
        reason = (
            f"the alias, or the version, was taken away since {name} got it. Give it back: actreel models promote "
            f"{name} --reason '...'; or evaluate again: dvc repro --force evaluate"
        )
    if BENTO.exists():
        shutil.rmtree(BENTO)
    BENTO.mkdir(parents=True)
    others = "".join(f" (make serve MODEL={name} serves another one)" for name in registry.champions()[:1])
    text = f"No model of the dataset '{dataset}' is champion{others}: {reason}"
    NOT_PACKAGED.write_text(text + "\n", encoding="utf-8")


def package(version: registry.ModelVersion, params: Params, target: Path) -> None:
    """Builds a Bento with a registered model, and exports it to `target`.

    Its samples are test clips of the present dataset, so a model of another dataset gets none.
    """
    with model_folder(version) as folder, tempfile.TemporaryDirectory(prefix="actreel-samples-") as made:
        labels = version.labels
        if params.package.precision == "int8":
            labels = {**labels, **serve_in_int8(folder, params.dataset.label, params.package)}
        classifier = ActionClassifier.load(folder)
        card = classifier.card
        samples: dict[str, Path] = {}
        if not params.package.show_clips:
            without_frames(ModelFolder(folder).model_card)
        elif card.provenance.dataset == params.dataset.label and INDEX.is_file():
            picked = pick_samples(held_out(folder, card), first=[name for pair in ORDERED_PAIRS for name in pair])
            samples = make_samples(classifier, picked, Path(made))
            _tell([picked[action] for action in samples])
        if params.package.on_device:
            add_runtime(folder, card)
        say_who_promoted(version, ModelFolder(folder).model_card)
        tag = build_bento(folder, params.package.name, labels, samples, target)
    log.info(f"packaged {tag}: {version.registered_model} version {version.version}, {len(card.labels)} actions")


@contextmanager
def model_folder(version: registry.ModelVersion) -> Iterator[Path]:
    """A copy of a registered version's model folder, from the registry, or from what `dvc pull` has brought.

    Raises:
        ModelError: Neither holds it.
    """
    if registry.holds(version):
        with version.folder() as folder:
            yield folder
        return
    pulled = ModelFolder(MODEL)
    if not pulled.manifest.exists() or ActionClassifier.load(MODEL).card.provenance.run_id != version.run_id:
        raise ModelError(
            f"MLflow's registry here does not hold '{version.registered_model}' version {version.version}, and "
            f"{MODEL} is another model. Ask the registry that holds it: MLFLOW_TRACKING_URI=ADDRESS dvc repro"
        )
    with tempfile.TemporaryDirectory() as scratch:
        copy = ModelFolder(Path(shutil.copytree(MODEL, Path(scratch) / MODEL.name, copy_function=shutil.copyfile)))
        shutil.copyfile(REPORTS / MODEL_CARD_FILE, copy.model_card)
        yield copy.path


def held_out(folder: Path, card: ClassifierCard) -> dict[str, Path]:
    """A test clip of each action that the model in `folder` knows, which it was not trained on."""
    test = unseen_test_clips(read_index(INDEX), folder, card)
    return {str(action): VIDEOS / clip for action, clip in test.groupby("action")["clip"].first().items()}


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


def say_who_promoted(version: registry.ModelVersion, model_card: Path) -> None:
    """Adds to a model card, HTML, that and why a person made the model champion; nothing if the rules did."""
    if (said := version.labels.get(BY_HAND)) and model_card.exists():
        text = model_card.read_text(encoding="utf-8")
        told = f"<p><strong>This model was made champion {html.escape(said)}</strong></p>"
        model_card.write_text(text.replace("</h1>", f"</h1>\n{told}", 1), encoding="utf-8")


def add_runtime(folder: Path, card: ClassifierCard) -> None:
    """Puts what browsers need to run the model beside it, if they can."""
    if reason := why_not(card, folder):
        log.warning(f"visitors' browsers cannot run this model: {reason}; the page sends videos to the service")
        return
    fetch_runtime(folder / RUNTIME)


def build_bento(folder: Path, name: str, labels: Mapping[str, str], samples: Mapping[str, Path], target: Path) -> str:
    """Puts a model into BentoML's store, builds a Bento with it there, and exports both to a folder.

    Older Bentos and models of this project are deleted from the store; see `pipelines.bento_store`.

    Args:
        folder: A model folder, with `model_card.html` if it is from the registry, and what browsers run it with if
            they are handed it.
        name: The Bento's name.
        labels: What identifies the model; the service shows them.
        samples: One sample video per action.
        target: Replaced; `bentoml serve` needs only this folder, not the store.

    Returns:
        The Bento's tag.
    """
    labels = {**labels, **project_label()}
    with bentoml.models.create(MODEL_NAME, labels=labels) as model:
        files = ModelFolder(folder)
        page = [files.model_card] if files.model_card.exists() else []  # models registered by early versions have none
        for file in (files.manifest, *files.network_files(), *page):
            shutil.copy(file, model.path_of(file.name))
        if (folder / RUNTIME).is_dir():
            shutil.copytree(folder / RUNTIME, model.path_of(RUNTIME))
        for action, video in samples.items():
            sample = Path(model.path_of("samples")) / action / video.name
            sample.parent.mkdir(parents=True)
            shutil.copy(video, sample)
    # Built from a copy: DVC's queue runs below .dvc/, and BentoML finds no requirements below a hidden folder.
    with tempfile.TemporaryDirectory(prefix="actreel-bento-") as context:
        for part in ("serving", "src"):
            shutil.copytree(part, Path(context) / part)
        (Path(context) / MODEL_TAG).write_text(f"{model.tag}\n", encoding="utf-8")
        bento = bentoml.bentos.build(
            "serving.service:Actreel",
            name=name,
            labels=labels,
            models=[str(model.tag)],
            include=["serving/**", *(f"src/actreel/{part}" for part in SERVED)],
            # With is_src_layout the packages in src/ are importable in the Bento.
            python={"requirements_txt": "serving/requirements.lock", "lock_packages": False, "is_src_layout": True},
            build_ctx=context,
        )
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    bento.export(str(target.absolute()), output_format="folder")
    delete_old()
    return str(bento.tag)


if __name__ == "__main__":
    exit_cleanly(main)
