"""`train.variants`: other clips that the chosen head is tried on, for held-out groups of the training clips.

A variant of the clip is cropped or stretched, in other colours, or learned both ways. Each has features of its own, and
encoding is what costs. So the head is chosen first, on the clip as params.yaml has it; then one setting after the other
is varied, with that head.

A variant is taken if it is clearly better on held-out clips than what was there before (`folds.clearly_better`);
otherwise the clip stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.base.places import VIDEOS
from actreel.config import ClipSpec, ModelParams, Params, TrainParams, picture_encoders
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.training.features import OpenEncoders, StoredFeatures, encode_clips, open_inputs
from actreel.training.folds import FoldScores, Scored, clearly_better
from actreel.training.targets import targets_of

MOST_CLIPS = 300
"""Training clips up to which variants are tried: each costs as much as encoding these clips, 50 s at 6 clips/s."""

VALUES = {
    "fit": ("stretch", "center_crop"),
    "colour": ("rgb", "grey", "equalised"),
    "mirror": (False, True),
}  # fmt: skip
"""What each setting can be, in the order in which they are tried."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A clip, as a network may learn it.

    Attributes:
        clip: Its settings.
        mirror: As `train.mirror`.
    """

    clip: ClipSpec
    mirror: bool

    @property
    def settings(self) -> dict[str, Any]:
        """The values of what `train.variants` may name."""
        return {"fit": self.clip.fit, "colour": self.clip.colour, "mirror": self.mirror}

    @property
    def name(self) -> str:
        """As in `stretch-grey` or `center_crop-rgb-mirrored`: the name of a folder."""
        return "-".join([self.clip.fit, self.clip.colour, *(["mirrored"] if self.mirror else [])])

    def is_part_of(self, other: Variant) -> bool:
        """Whether the features of another variant hold those of this one: mirrored ones come beside the others."""
        return self.clip == other.clip and self.mirror <= other.mirror

    def applied_to(self, params: Params) -> Params:
        """The parameters with these settings."""
        train = params.train.model_copy(update={"mirror": self.mirror})
        return params.model_copy(update={"clip": self.clip, "train": train})

    def others(self, setting: str) -> Iterator[Variant]:
        """The variants that differ in one setting."""
        for value in VALUES[setting]:
            if value == self.settings[setting]:
                continue
            if setting == "mirror":
                yield Variant(self.clip, bool(value))
            else:
                yield Variant(self.clip.model_copy(update={setting: value}), self.mirror)


OpenVariant = Callable[[Variant], Store]
"""Gives the features of a variant, at least of the training and validation clips."""


@dataclass(frozen=True)
class Try:
    """What the network says of held-out groups if it learns a variant.

    Attributes:
        variant: The variant.
        scores: By the folds.
    """

    variant: Variant
    scores: FoldScores

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better: accuracy on the held-out clips, then a lower loss."""
        best = self.scores.by_penalty[self.scores.best]
        return best["accuracy"], -best["loss"]


def choose_variant(
    network: ModelParams,
    params: TrainParams,
    store: Store,
    every: pd.DataFrame,
    labels: list[str],
    scored: Scored,
    open_variant: OpenVariant,
) -> tuple[Variant, pd.DataFrame]:
    """Chooses a variant of the clip for a network, on held-out groups of the training clips.

    Args:
        network: The network, whose head is a named probe.
        params: As for `train`.
        store: Features of the clips as params.yaml has them.
        every: Index rows of the training and validation clips.
        labels: As for `train`.
        scored: As `choose_head` filled it. If another clip than that of params.yaml is chosen, only the network's
            scores with it stay here.
        open_variant: Gives the features of the variants.

    Returns:
        The variant, and a table with one row for each that was tried, that of params.yaml first: `fit`, `colour`,
        `mirror`, `accuracy` and `loss` on held-out clips, and `chosen`. It is empty if none may be tried.

    Raises:
        ActreelError: A clip cannot be read or encoded, or as for `score_probe`.
    """
    if not _affordable(network, len(every)):
        return Variant(store.spec, params.mirror), pd.DataFrame()
    # Imported here: it loads TensorFlow, which `open_chosen` does not need.
    from actreel.training.train import score_probe

    if network not in scored:
        scored[network] = score_probe(network, params, store, every, labels)
    best = Try(Variant(store.spec, params.mirror), scored[network])
    tries = [best]
    for setting in (name for name in VALUES if name in params.variants):
        if best.rank[0] == 1:
            log.info("no more clips are tried: no held-out clip is wrong")
            break
        found = []
        for variant in best.variant.others(setting):
            learning = params.model_copy(update={"mirror": variant.mirror})
            log.info(f"trying other clips: {variant.name.replace('-', ', ')}")
            found.append(Try(variant, score_probe(network, learning, open_variant(variant), every, labels)))
        tries += found
        best = _better(best, found, every, labels)
    if best is not tries[0]:
        scored.clear()
        scored[network] = best.scores
    return best.variant, _table(tries, best)


def _affordable(network: ModelParams, num_clips: int) -> bool:
    if num_clips > MOST_CLIPS:
        log.info(
            f"other clips are tried with up to {MOST_CLIPS} training clips, since each has to be encoded. There are "
            f"{num_clips}. To compare by hand: actreel crossval --folds 5 --set clip.colour=grey"
        )
    return num_clips <= MOST_CLIPS and bool(picture_encoders(network.encoder))


def _better(best: Try, found: list[Try], every: pd.DataFrame, labels: list[str]) -> Try:
    """The best of those found that are better than what there was by more than a standard error; else that."""
    targets = targets_of(every, labels)
    clear = [each for each in found if clearly_better(each.scores, best.scores, targets)]
    return max(clear, key=lambda each: each.rank, default=best)


def _table(tries: list[Try], best: Try) -> pd.DataFrame:
    rows = [
        each.variant.settings | {"accuracy": each.rank[0], "loss": -each.rank[1], "chosen": each is best}
        for each in tries
    ]
    table = pd.DataFrame(rows)
    if len(tries) > 1:
        log.info(
            f"clips by accuracy in held-out groups; another than the first is taken if it is better by more than a "
            f"standard error\n{table.round(3).to_string(index=False)}"
        )
    return table


class EncodedVariants:
    """Encodes variants of a dataset's clips, each into a folder of its own, picking up after an interruption.

    Args:
        index: Rows with `clip`, `action` and `sha256` of the clips to choose on.
        store: Features of the clips as params.yaml has them; what is the same is taken from here.
        network: Its encoder is used.
        folder: Of the folders. Those of other variants stay, so that choosing again costs nothing.
    """

    def __init__(self, index: pd.DataFrame, store: Store, network: ModelParams, folder: Path) -> None:
        if not isinstance(store, StoredFeatures) or store.frames is None:
            raise ModelError("train.variants needs features and the clips they are of. Run: dvc repro encode")
        self._index, self._network, self._folder = index, network, folder
        self._frames, self._known = store.frames, [store]
        self._opened: OpenEncoders = {}
        self._plain = Variant(store.spec, bool(store.made_with["mirror"]))

    def __call__(self, variant: Variant) -> StoredFeatures:
        """As `OpenVariant`."""
        if variant.is_part_of(self._plain):
            return self._known[0]
        return self.encode(variant, self._index, self._folder / variant.name)

    def encode(self, variant: Variant, index: pd.DataFrame, target: Path) -> StoredFeatures:
        """Encodes other clips too, or into another folder; what was encoded before is taken from there."""
        frames = self._frames.sampled_as(variant.clip)
        encode_clips(
            index, frames, target,
            encoder=self._network.encoder, weights=self._network.weights, mirror=variant.mirror, known=self._known,
            opened=self._opened,
        )  # fmt: skip
        store = StoredFeatures(target, frames)
        self._known.append(store)
        return store


def open_chosen(clips: Path, features: Path, chosen: Path, videos: Path = VIDEOS) -> Store:
    """Opens what the model was trained on: as `open_inputs`, or the features of the chosen variant where there are any.

    Args:
        clips: As for `open_inputs`.
        features: As for `open_inputs`.
        chosen: Store of the chosen variant, which may be missing.
        videos: As for `open_inputs`.

    Raises:
        FileError: A store is missing or damaged.
    """
    inputs = open_inputs(clips, features, videos)
    if not chosen.exists() or inputs.frames is None:
        return inputs
    return StoredFeatures(chosen, inputs.frames.sampled_as(StoredFeatures(chosen).spec))
