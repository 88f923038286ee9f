"""Variants of the clip: on real videos with a tiny encoder, and on made-up features where they say it all."""

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.base.kept import publish
from actreel.base.places import CHOSEN, CLIPS, FEATURES, TRAINING, VARIANTS, VIDEOS
from actreel.config import ClipSpec, ModelParams, Params, load_params
from actreel.dataset.records import clips_of, index_videos, labels_of, usable
from actreel.dataset.store import StoredClips, extract_clips, write_store
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import PRETRAINED
from actreel.training import features, variants
from actreel.training.choice import COLUMNS, choose
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import StoredFeatures, encode_clips, open_inputs
from actreel.training.held_out import hold_out
from actreel.training.rejection import fit_rejection
from actreel.training.train import predict, train
from actreel.training.variants import EncodedVariants, Variant, open_chosen
from pipelines.train import choose_network
from tests.conftest import ROOT, train_params, write_video_file
from tests.models.networks import tiny_encoder

SPEC = ClipSpec(num_frames=2, height=16, width=16)
NETWORK = ModelParams(
    encoder="efficientnet_lite0", weights="imagenet", head="mean_probe", motion="none", units=8, dropout=0.0
)
LABELS = ["Dark", "Pale"]
GREY = SPEC.model_copy(update={"colour": "grey"})


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRETRAINED, NETWORK.encoder, tiny_encoder)
        patch.setattr(features, "_open", cache(features._open))  # an export takes a second
        yield


def tinted(lightness: float, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Frames of one lightness (Y of YCbCr) in any colour."""
    blue, red = rng.uniform(-60, 60, 2)
    colour = np.array([lightness + 1.402 * red, lightness - 0.344 * blue - 0.714 * red, lightness + 1.772 * blue])
    return [np.broadcast_to(colour.clip(0, 255), (32, 32, 3)).astype(np.uint8)] * 3


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and pale clips, each in a colour of its own, as the stages leave them; group 7 is for the test."""
    folder = tmp_path_factory.mktemp("stages")
    rng = np.random.default_rng(0)
    for group in range(1, 8):
        for clip in (1, 2):
            for label in LABELS:
                lightness = (118 if label == "Dark" else 134) + rng.uniform(-4, 4)
                file = folder / VIDEOS / label / f"v_{label}_g{group:02d}_c{clip:02d}.avi"
                write_video_file(file, tinted(lightness, rng))
    index = index_videos(folder / VIDEOS)
    index["split"] = index["group"].str[-2:].map(lambda group: {"06": "val", "07": "test"}.get(group, "train"))
    index.to_parquet(folder / "index.parquet")
    extract_clips(index, folder / VIDEOS, folder / CLIPS, SPEC, keep=False)
    frames = StoredClips(folder / CLIPS, folder / VIDEOS)
    encode_clips(index, frames, folder / FEATURES, encoder=NETWORK.encoder, weights="imagenet", mirror=False)
    return folder


@pytest.fixture
def project(stages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Params, TrainingData]:
    """A copy of the folder to work in, its parameters and its clips."""
    shutil.copytree(stages, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    index = pd.read_parquet("index.parquet")
    rows = {split: clips_of(index, split) for split in ("train", "val")}
    learning = train_params(variants=("fit", "colour", "mirror"))
    params = load_params(ROOT / "params.yaml").model_copy(update={"clip": SPEC, "model": NETWORK, "train": learning})
    return params, TrainingData(index, rows, labels_of(index), open_inputs(CLIPS, FEATURES))


def test_grey_clips_are_taken_where_colours_mislead_and_go_with_the_model(
    project: tuple[Params, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, given = project
    choice, data = choose_network(params, given)
    assert choice.variant == Variant(GREY, mirror=False)
    table = choice.table.set_index(["fit", "colour", "mirror"])
    assert list(choice.table.columns) == list(COLUMNS)
    assert set(choice.table["head"]) == {"mean_probe"}
    assert table.index[table["chosen"]].tolist() == [("stretch", "grey", False)]
    assert table["accuracy"]["stretch", "grey", False] > table["accuracy"]["stretch", "rgb", False] + 0.1

    # As `train` does.
    params = choice.variant.applied_to(params)
    model, curve = train(
        choice.network, params.train, data.store, data.rows, data.labels,
        epoch_weights=TRAINING / "epochs", scored=choice.scored,
    )  # fmt: skip
    np.testing.assert_allclose(curve["val_accuracy"][curve["val_loss"].argmin()], table["accuracy"][table["chosen"]])
    statistics, held_out = hold_out(
        model, curve, choice.network, params.train, data, TRAINING / "epochs", choice.scored
    )
    temperature, folder = calibrate(model, held_out), ModelFolder(Path("model"))
    rejection = fit_rejection(statistics, held_out, 0.95)
    _, encoder = export_model(model, choice.network, rejection, data, folder)
    made = Provenance(dataset="folder", data_version="v", run_id="r", git_commit="c", trained_at="now")
    write_manifest(data, rejection, temperature, choice.network, made, folder, encoder)
    publish(CHOSEN, keep=True)

    # As `evaluate`, the service and `actreel predict` do.
    test, inputs = clips_of(data.index, "test"), open_chosen(CLIPS, FEATURES, CHOSEN)
    classifier = ActionClassifier.load(folder.path)
    assert classifier.card.clip == inputs.spec == GREY
    assert inputs.frames is not None
    frames = inputs.frames.take(test["clip"].tolist())
    np.testing.assert_array_equal(frames[..., 0], frames[..., 2])
    expected = predict(model, inputs, test, 4)
    assert (expected.argmax(axis=1) == [LABELS.index(label) for label in test["action"]]).all()
    for clip, probabilities in zip(test["clip"], expected, strict=True):
        answer = {each.label: each.confidence for each in classifier.predict(VIDEOS / clip)}
        np.testing.assert_allclose([answer[label] for label in LABELS], probabilities, atol=1e-4)

    # Another run finds everything.
    monkeypatch.setattr(features, "_open", None)
    again, _ = choose_network(project[0], given)
    pd.testing.assert_frame_equal(again.table, choice.table)


MADE_UP = pd.DataFrame(
    [(f"{label}{group}{clip}", label, f"g{group}") for group in range(6) for label in LABELS for clip in range(2)],
    columns=["clip", "action", "group"],
).assign(sha256=lambda rows: rows["clip"])
ROWS = {"train": MADE_UP[:20], "val": MADE_UP[20:].reset_index(drop=True)}
Make = Callable[[str, str, int], list[list[float]]]
"""From a clip's name, action and group to its features, and those of its mirrored frames if there are any."""


def made_up(folder: Path, spec: ClipSpec, make: Make) -> StoredFeatures:
    """A store of the features that `make` gives."""

    def of(names: Any) -> Iterator[NDArray[np.float32]]:
        for name in names:
            views = np.array(make(name, name[:4], int(name[4])), dtype=np.float32)
            yield np.repeat(views[:, np.newaxis], SPEC.num_frames, axis=1)

    write_store(MADE_UP, folder, {"clip": spec.model_dump(), "encoder": "none"}, of)
    return StoredFeatures(folder)


def sides(name: str, action: str, group: int) -> list[list[float]]:
    """A feature tells the action; many tell the sides of the picture, of which a few clips show anything."""
    rng = np.random.default_rng(list(name.encode()))
    told = rng.normal(2 if action == "Dark" else -2, 1)
    right = rng.normal(0, 1, 40)
    return [[told, *right], [told, *-right]]


def test_mirrored_clips_are_learned_where_a_side_misleads(tmp_path: Path) -> None:
    store = made_up(tmp_path, SPEC, sides)
    choice = choose(NETWORK, train_params(variants=("mirror",)), store, ROWS, LABELS, lambda variant: store)
    assert choice.variant == Variant(SPEC, mirror=True)
    before, after = choice.table["accuracy"]
    assert after > before + 0.1
    assert choice.encoded
    assert list(choice.scored) == [NETWORK]


def flawed(mistakes: str) -> Make:
    """A feature tells the action, but of the named clips the wrong one."""

    def make(name: str, action: str, group: int) -> list[list[float]]:
        rng = np.random.default_rng(list(name.encode()))
        return [[(4 if (action == "Dark") != (name in mistakes) else -4) + rng.normal(), rng.normal()]]

    return make


@pytest.mark.parametrize(
    ("plain", "grey", "chosen"),
    [
        ("Dark00 Pale20", "Pale20", "rgb"),  # one clip more may be luck
        ("Dark00 Pale20", "", "grey"),
        ("Dark00 Pale20 Dark40", "Pale50", "rgb"),  # 3 gained, 1 lost
        ("Dark00", "Pale20", "rgb"),
    ],
)
def test_the_clip_stays_as_it_is_unless_another_is_clearly_better(
    tmp_path: Path, plain: str, grey: str, chosen: str
) -> None:
    stores = {
        colour: made_up(tmp_path / colour, SPEC.model_copy(update={"colour": colour}), flawed(mistakes))
        for colour, mistakes in (("rgb", plain), ("grey", grey), ("equalised", plain))
    }
    params = train_params(variants=("colour",))
    choice = choose(NETWORK, params, stores["rgb"], ROWS, LABELS, lambda variant: stores[variant.clip.colour])
    assert choice.table["accuracy"].tolist() == [1 - len(each.split()) / 24 for each in (plain, grey, plain)]
    assert choice.variant.clip.colour == chosen
    assert choice.table["colour"][choice.table["chosen"]].tolist() == [chosen]
    assert choice.encoded == (chosen == "grey")


def never(variant: Variant) -> StoredFeatures:
    raise AssertionError(variant)


@pytest.mark.parametrize(
    ("change", "limit", "says"), [("", 300, "no held-out clip is wrong"), ("Dark00 Pale20", 23, "There are 24")]
)
def test_nothing_is_encoded_where_no_clip_is_wrong_or_there_are_too_many(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: str,
    limit: int,
    says: str,
) -> None:
    caplog.set_level("INFO", logger="actreel")
    monkeypatch.setattr(variants, "MOST_CLIPS", limit)
    store = made_up(tmp_path, SPEC, flawed(change))
    params = train_params(variants=("fit", "colour", "mirror"))
    choice = choose(NETWORK, params, store, ROWS, LABELS, never)
    assert choice.variant == Variant(SPEC, mirror=False)
    assert says in caplog.text
    assert choice.table.empty


def test_heads_and_variants_are_in_one_table(tmp_path: Path) -> None:
    stores = {
        colour: made_up(tmp_path / colour, SPEC.model_copy(update={"colour": colour}), flawed(mistakes))
        for colour, mistakes in (("rgb", "Dark00 Pale20 Dark11"), ("grey", ""), ("equalised", "Dark00 Pale20 Dark11"))
    }
    auto = NETWORK.model_copy(update={"head": "auto"})
    params = train_params(variants=("colour",))
    choice = choose(auto, params, stores["rgb"], ROWS, LABELS, lambda variant: stores[variant.clip.colour])
    assert len(choice.table) == 6 + 2
    (best,) = choice.table[choice.table["chosen"]].to_dict("records")
    assert (best["colour"], best["accuracy"], best["head"]) == ("grey", 1.0, choice.table["head"][0])


def test_what_was_encoded_before_is_taken_and_a_killed_run_goes_on_with_its_clip(
    project: tuple[Params, TrainingData], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, data = project
    few = usable(data.index).groupby("action").head(3)
    encoded = []
    real = features._open

    def counting(*arguments: Any) -> Any:
        run, mirrored = real(*arguments)

        def encode(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            if len(encoded) == 4:
                raise KeyboardInterrupt
            encoded.append(frames)
            return run(frames)

        return encode, mirrored

    monkeypatch.setattr(features, "_open", counting)
    monkeypatch.setattr(features, "num_cores", lambda: 1)
    mirrored = Variant(SPEC, mirror=True)
    with pytest.raises(KeyboardInterrupt):
        EncodedVariants(few, data.store, NETWORK, VARIANTS)(mirrored)
    assert len(encoded) == 4, "the mirrored frames only"
    encoded[:] = [None] * 5
    ours = EncodedVariants(few, data.store, NETWORK, VARIANTS)
    store = ours(mirrored)
    assert len(encoded) == 5 + 2
    whole = ours.encode(mirrored, few[:4], tmp_path / "whole")
    assert len(encoded) == 5 + 2
    encode_clips(few, StoredClips(CLIPS), tmp_path / "again", encoder=NETWORK.encoder, weights="imagenet", mirror=True)
    names, again = few["clip"].tolist(), StoredFeatures(tmp_path / "again")
    for flags in ([False] * 6, [True] * 6):
        np.testing.assert_array_equal(store.take(names, flags), again.take(names, flags))
        np.testing.assert_array_equal(whole.take(names[:4], flags[:4]), again.take(names[:4], flags[:4]))

    # What was learned both ways holds the clips as recorded too.
    assert EncodedVariants(few, store, NETWORK, VARIANTS)(Variant(SPEC, mirror=False)) is store
    assert not Variant(GREY, mirror=False).is_part_of(mirrored)
