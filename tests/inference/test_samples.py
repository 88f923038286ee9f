"""Sample videos: which clips, and that the model answers them as it answers the originals."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.config import ClipSpec
from actreel.dataset.demo.motions import ACTIONS, ORDERED_PAIRS
from actreel.inference import samples
from actreel.inference.classifier import ActionClassifier
from actreel.inference.samples import make_samples, pick_samples
from actreel.video.clips import load_clip
from tests.conftest import grey_frames, write_model_folder, write_video_file
from tests.pose_model import SPEC, write_pose_model

LABELS = ("dark", "middle", "bright")


@pytest.fixture
def classifier(tmp_path: Path, spec: ClipSpec) -> ActionClassifier:
    return ActionClassifier.load(write_model_folder(tmp_path / "model", spec, LABELS, max_distance=0.1))


def test_six_actions_with_the_ordered_pairs_among_them() -> None:
    clips = {action: Path(action) for action in ACTIONS}
    pairs = [action for pair in ORDERED_PAIRS for action in pair]
    picked = pick_samples(clips, first=pairs)
    assert list(picked) == ["SitDown", "StandUp", "Push", "Pull", "JumpingJack", "Kick"]
    assert picked["Kick"] == Path("Kick")
    assert pick_samples({"Wave": Path("w")}, first=pairs) == {"Wave": Path("w")}


def test_samples_get_the_answers_of_their_originals(classifier: ActionClassifier, tmp_path: Path) -> None:
    levels = {"dark": 5, "middle": 128, "bright": 250, "none of them": 64}
    clips = {
        action: write_video_file(tmp_path / f"{action}.avi", grey_frames([at] * 20)) for action, at in levels.items()
    }
    made = make_samples(classifier, clips, tmp_path / "made")
    assert list(made) == list(clips)
    for action, copy in made.items():
        here, there = classifier.recognise(clips[action]), classifier.recognise(copy)
        assert here.probabilities == pytest.approx(there.probabilities, abs=0.1)
        assert classifier.knows(here.distances) == classifier.knows(there.distances) == (action in LABELS)
        assert copy.suffix == ".webm"
        assert clips[action].stem not in copy.name, "a file's name may say who is in it"


def test_a_clip_that_is_answered_otherwise_once_converted_is_no_sample(
    classifier: ActionClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clips = {
        "dark": write_video_file(tmp_path / "dark.avi", grey_frames([5] * 20)),
        "bright": write_video_file(tmp_path / "bright.avi", grey_frames([250] * 20)),
    }
    # An encoder that spoils one of them.
    spoilt = samples.write_webm
    monkeypatch.setattr(samples, "write_webm", lambda source, target: spoilt(clips["bright"], target))
    assert list(make_samples(classifier, clips, tmp_path)) == ["bright"]
    assert "dark.avi' is no sample on the page" in caplog.text


def test_samples_of_a_model_of_landmarks_are_drawn_skeletons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    classifier = ActionClassifier.load(write_pose_model(tmp_path / "model"))
    clips = {
        action: write_video_file(tmp_path / f"{action}.avi", grey_frames([level] * 20))
        for action, level in {"right": 200, "left": 60}.items()
    }
    # The stand-in takes the drawing's light ground for somebody on the right.
    made = make_samples(classifier, clips, tmp_path / "made")
    assert list(made) == ["right"]
    assert "left.avi' is no sample on the page" in caplog.text
    assert "once it is drawn as a skeleton" in caplog.text
    frames = load_clip(made["right"], SPEC.model_copy(update={"height": 240, "width": 320}))
    assert frames.std(axis=(1, 2)).min() > 10  # somebody is drawn
    assert frames[:, :20, :20].mean() == pytest.approx(230, abs=4)  # on the drawing's ground, not the clip's
