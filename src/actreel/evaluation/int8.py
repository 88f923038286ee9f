"""Puts a model folder's network into int8 for serving, where the dataset's held-out clips allow it."""

from __future__ import annotations

import html
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.base.places import CLIPS, INDEX, UNKNOWN, VIDEOS
from actreel.config import PackageParams
from actreel.dataset.layout import TEST, TRAIN
from actreel.dataset.records import clips_of, read_index
from actreel.dataset.store import StoredClips
from actreel.errors import ActreelError, ModelError
from actreel.evaluation.precision import Clips, Comparison, measure
from actreel.evaluation.quantising import quantise
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier, ClassifierCard
from actreel.inference.model_folder import ModelFolder

log = logging.getLogger(__name__)


def serve_in_int8(folder: Path, dataset: str, params: PackageParams) -> dict[str, str]:
    """Replaces the network in a model folder by its int8 form, if that loses little; its model card says so either way.

    Args:
        folder: A copy of a registered version's model folder.
        dataset: The present dataset's label.
        params: `max_drop` matters.

    Returns:
        Labels of the model in int8; none if it stays in float32, with a warning that says why.
    """
    found = None
    try:
        with tempfile.TemporaryDirectory(prefix="actreel-int8-") as made:
            found = compare(folder, Path(made), clips_at_hand(folder, dataset), params.max_drop)
            said = found.in_words
            if not found.too_much:
                for file in Path(made).iterdir():
                    shutil.copyfile(file, folder / file.name)
    except ActreelError as error:
        said = f"The model is served in float32, and not in int8: {error}"
    tell_model_card(ModelFolder(folder).model_card, said, found)
    if found is None or found.too_much:
        log.warning(said)
        return {}
    log.info(said)
    return found.labels


def compare(folder: Path, target: Path, clips: Clips, max_drop: float) -> Comparison:
    """Writes a model folder's int8 form to `target`, and measures both.

    Raises:
        ModelError: The network cannot be rounded.
    """
    classifier, chosen = ActionClassifier.load(folder), clips.calibration
    if classifier.card.track is not None:
        raise ModelError(
            "Only models of pictures alone are rounded. Received: one that takes sound or signals. Set "
            "package.precision to float32"
        )
    quantise(folder, clips.frames(classifier, chosen), chosen["sha256"], target)
    move_limit(classifier, target, clips)
    return Comparison(measure(folder, clips), measure(target, clips), clips.test["group"].tolist(), max_drop)


def move_limit(float32: ActionClassifier, target: Path, clips: Clips) -> None:
    """Moves the rejection limit of an int8 model folder by what rounding adds to distances.

    Rounding shifts embeddings by a vector that hardly depends on how far they are from their action, so it adds about
    the same to the square of every distance: its median over the training clips that the ranges were measured on.
    """
    card, limit = ActionClassifier.load(target).card, float32.card.max_distance
    if limit is None:
        return
    before, after = (
        score(each, clips.store, clips.calibration, clips.videos).distances.astype(np.float64) ** 2
        for each in (float32, ActionClassifier.load(target))
    )
    square = limit**2 + float(np.median(after - before))
    # Where rounding brings clips nearer than the limit is wide, what is measured next refuses the model.
    card.model_copy(update={"max_distance": float(np.sqrt(max(square, 1e-12)))}).save(target)


def clips_at_hand(folder: Path, dataset: str) -> Clips:
    """The present dataset's clips, as far as the model in `folder` was trained on them, or has not seen them.

    Raises:
        ModelError: There are none, because it was trained on another dataset, or on clips that have gone.
        FileError: The index or the store of clips is missing or damaged.
    """
    card = ActionClassifier.load(folder).card
    if card.provenance.dataset != dataset or not INDEX.is_file():
        raise ModelError(
            f"its clips must be at hand, and those here are of another dataset. Received: a model of "
            f"'{card.provenance.dataset}', and the dataset '{dataset}'."
        )
    index = read_index(INDEX)
    train = clips_of(index, TRAIN)
    train = train[train["sha256"].isin(seen_by(folder))]
    test = unseen_test_clips(index, folder, card)
    if train.empty or test.empty:
        raise ModelError(
            f"some clips that it was trained on and some that it was not must be at hand. Received: {len(train)} and "
            f"{len(test)}, in '{VIDEOS}'. Train on these clips: dvc repro --force train"
        )
    return Clips(StoredClips(CLIPS, VIDEOS), VIDEOS, train, test, clips_of(index, UNKNOWN))


def seen_by(folder: Path) -> list[str]:
    """The sha256 of each clip that the model in `folder` was trained or tuned on."""
    return ModelFolder(folder).seen_clips.read_text(encoding="utf-8").split()


def unseen_test_clips(index: pd.DataFrame, folder: Path, card: ClassifierCard) -> pd.DataFrame:
    """Test clips of the actions that the model in `folder` knows.

    An older model may have been trained on clips that the present split tests; these are left out.
    """
    test = clips_of(index, TEST)
    return test[~test["sha256"].isin(seen_by(folder)) & test["action"].isin(card.labels)]


def tell_model_card(model_card: Path, said: str, found: Comparison | None) -> None:
    """Adds to a model card, HTML, in which precision the model is served, and what was measured of both."""
    if not model_card.exists():
        return
    rows = [] if found is None else [("", "float32", "int8"), *found.table]
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    table = "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>" if rows else ""
    told = f"<h2>Precision</h2>\n<p><strong>{html.escape(said)}</strong></p>\n{table}"
    if found is not None and not found.too_much:
        told += "\n<p>Every other number on this page was measured in float32.</p>"
    text = model_card.read_text(encoding="utf-8")
    model_card.write_text(text.replace("</h1>", f"</h1>\n{told}", 1), encoding="utf-8")
