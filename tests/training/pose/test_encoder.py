"""The encoder `pose` from clips to a model folder and answers; on real people where the networks are at hand."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec, ModelParams, TrainParams, load_params
from actreel.dataset.layout import TEST, TRAIN, VAL
from actreel.dataset.records import clips_of, index_videos, labels_of
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.evaluation.served import check_parity, score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.quiet_keras import keras, stderr_closed, tf
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import encode_clips, open_inputs
from actreel.training.folds import Scored
from actreel.training.held_out import hold_out
from actreel.training.pose import networks
from actreel.training.pose.geometry import mirrored
from actreel.training.pose.graph import pose_graph
from actreel.training.rejection import fit_rejection
from actreel.training.train import fitted_part, predict, train
from actreel.video.clips import load_clip
from tests.conftest import ROOT, fading_frames, train_params, write_video_file
from tests.training.pose.networks import real_networks, using_stand_ins

SPEC = ClipSpec(num_frames=8, height=24, width=32)
REAL = ROOT.parent / "shared" / "real-clips"
NETWORK = ModelParams(encoder="pose", weights="imagenet", head="statistics_probe", motion="none", units=8, dropout=0.0)


@dataclass(frozen=True)
class Trained:
    """Landmarks of stand-ins, which see light, and the model folder of a probe on them."""

    data: TrainingData
    folder: ModelFolder
    videos: Path

    @property
    def index(self) -> pd.DataFrame:
        return self.data.index

    @property
    def inputs(self) -> Store:
        return self.data.store


def fit_and_export(network: ModelParams, training: TrainParams, data: TrainingData, path: Path) -> ModelFolder:
    scored: Scored = {}
    fitted, curve = train(network, training, data.store, data.rows, data.labels, scored=scored)
    statistics, held_out = hold_out(fitted, curve, network, training, data, path / "epochs", scored)
    temperature = calibrate(fitted, held_out)
    rejection = fit_rejection(statistics, held_out, 0.95)
    folder = ModelFolder(path / "model")
    _, described = export_model(fitted, network, rejection, data, folder)
    provenance = Provenance(dataset="fading", data_version="1", run_id="2", git_commit="3", trained_at="4")
    write_manifest(data, rejection, temperature, network, provenance, folder, described)
    return folder


@pytest.fixture(scope="module")
def trained(fading_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    path = tmp_path_factory.mktemp("pose")
    index = index_videos(fading_dataset)
    index["split"] = assign_splits(index, load_params(ROOT / "params.yaml").split)
    with using_stand_ins():
        extract_clips(index, fading_dataset, path / "clips", SPEC, keep=False)
        frames = StoredClips(path / "clips", fading_dataset)
        encode_clips(index, frames, path / "features", encoder="pose", weights="imagenet", mirror=True)
        inputs = open_inputs(path / "clips", path / "features", fading_dataset)
        data = TrainingData(index, {split: clips_of(index, split) for split in (TRAIN, VAL)}, labels_of(index), inputs)
        folder = fit_and_export(NETWORK, train_params(epochs=6, batch_size=8, mirror=True), data, path)
    return Trained(data, folder, fading_dataset)


def scores_of_every_form(trained: Trained, folder: ModelFolder) -> NDArray[np.float32]:
    """Fails unless Keras, ONNX and the service give the test clips the same scores, and each clip its own."""
    test, frames = clips_of(trained.index, TEST), trained.inputs.frames
    assert frames is not None
    model = keras.models.load_model(folder.keras)
    expected = predict(fitted_part(model, trained.inputs), trained.inputs, test, 8)
    served = score(ActionClassifier.load(folder.path), trained.inputs, test, trained.videos).probabilities
    parity = check_parity(folder.path, frames, test, trained.videos, served=served, expected=expected, tolerance=1e-4)
    assert parity < min(1e-4, float(np.ptp(expected, axis=0).min()) / 20)
    return expected


def test_every_form_of_the_model_gives_the_same(trained: Trained) -> None:
    expected = scores_of_every_form(trained, trained.folder)
    actions = np.array(labels_of(trained.index))[expected.argmax(axis=1)]
    assert (actions == clips_of(trained.index, TEST)["action"]).all()
    assert trained.inputs.input_shape == (8, 136)


def test_a_head_on_landmarks_is_trained_and_served(trained: Trained, tmp_path: Path) -> None:
    network = NETWORK.model_copy(update={"head": "heatmap_cnn", "motion": "difference"})
    with using_stand_ins():
        folder = fit_and_export(network, train_params(epochs=2, batch_size=16, mirror=True), trained.data, tmp_path)
    scores_of_every_form(trained, folder)


def test_a_long_video_is_the_same_to_the_parts_as_to_the_whole(trained: Trained, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    light = [fading_frames(rng, rising, 50) for rising in (True, False)]
    video = write_video_file(tmp_path / "long.avi", [*light[0], *light[1]])
    parts, whole = (ActionClassifier.load(trained.folder.path, whole=whole) for whole in (False, True))
    seen = []
    for classifier in (parts, whole):
        classifier.card = classifier.card.model_copy(update={"clip_duration_s": 0.5})
        seen.append(classifier.recognise(video))
    np.testing.assert_allclose(seen[0].probabilities, seen[1].probabilities, atol=1e-5)
    assert len(seen[0].distances) > 10
    assert np.ptp(seen[0].distances) > 0.01


def test_the_manifest_says_where_the_networks_come_from(trained: Trained) -> None:
    described = ActionClassifier.load(trained.folder.path).card.encoder
    assert described is not None
    assert described.file == "BlazePose of mediapipe==0.10.21"
    assert described.parameters > 2254 * 12


def test_mirrored_clips_are_mirrored_landmarks(trained: Trained) -> None:
    clips = trained.inputs.clips[:2]
    plain, other = trained.inputs.take(clips), trained.inputs.take(clips, [True, True])
    np.testing.assert_array_equal(other, mirrored(plain))
    assert np.abs(other - plain).max() > 0.5


@cache  # converting takes seconds
def real_onnx() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    detection, landmarks = real_networks()
    return networks.onnx_of(detection), networks.onnx_of(landmarks)


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("number", [0, 1], ids=["detection", "landmarks"])
def test_onnx_gives_what_tflite_gives(number: int) -> None:
    network = real_networks()[number]
    session = opened(real_onnx()[number])
    (taken,) = session.get_inputs()
    picture = np.random.default_rng(0).random(taken.shape, dtype=np.float32)
    with stderr_closed(), pytest.warns(UserWarning, match="Interpreter is deprecated"):
        interpreter = tf.lite.Interpreter(model_content=network)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    found = session.run(None, {taken.name: picture})
    for output, array in list(zip(interpreter.get_output_details(), found, strict=True))[:2]:
        expected = interpreter.get_tensor(output["index"])
        np.testing.assert_allclose(array, expected, atol=1e-4 * max(1.0, np.abs(expected).max()))
        assert np.ptp(expected) > 1 or expected.size == 1


def test_a_real_person_is_found_with_the_joints_where_they_are() -> None:
    videos = sorted((REAL / "weizmann" / "wave1").glob("*g01*"))
    if not videos:
        pytest.skip(f"no clips in {REAL}")
    spec = ClipSpec(num_frames=4, height=128, width=128)
    session, clip = opened(pose_graph(*real_onnx(), spec)), load_clip(videos[0], spec)
    plain, flipped = (session.run(None, {"frames": np.ascontiguousarray(each)})[0] for each in (clip, clip[:, :, ::-1]))
    found = (plain[:, -1] == 1) & (flipped[:, -1] == 1)
    assert found.sum() >= 3
    landmarks = plain[found, :132].reshape(-1, 33, 4)
    nose, shoulders = landmarks[:, 0, 1], landmarks[:, 11:13, 1]
    assert (nose < shoulders.min(axis=1)).all()
    assert (shoulders.max(axis=1) < -0.5).all()
    # The networks see a mirrored person nearly as the mirror image of what they see otherwise.
    difference = np.abs(mirrored(plain) - flipped)[found, :132].reshape(-1, 33, 4)[:, 11:13, 0]
    assert np.median(difference) < 0.4  # shoulders that were not swapped would be about 0.8 apart
    noise = np.random.default_rng(0).integers(0, 256, spec.shape, dtype=np.uint8)
    assert not session.run(None, {"frames": noise})[0].any()
