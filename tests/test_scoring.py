from pathlib import Path

import numpy as np
import pandas as pd

from actreel.classifier import ActionClassifier
from actreel.clips import load_clip, load_views
from actreel.config import ClipSpec
from actreel.dataset.store import StoredClips, write_store
from actreel.scoring import score, score_views
from tests.conftest import grey_frames, write_model_folder, write_video_file


def test_stored_frames_and_videos_give_the_same_scores(tmp_path: Path, spec: ClipSpec) -> None:
    levels = {"a.avi": range(85, 165, 4), "b.avi": range(175, 95, -4)}
    for name, light in levels.items():
        write_video_file(tmp_path / "videos" / name, grey_frames(light))
    rows = pd.DataFrame({"clip": list(levels), "action": "x", "sha256": ["0", "1"]})
    frames = [load_clip(tmp_path / "videos" / name, spec) for name in levels]
    write_store(rows, tmp_path / "clips", {"clip": spec.model_dump()}, lambda _: iter(frames))
    store = StoredClips(tmp_path / "clips")
    model = write_model_folder(tmp_path / "model", spec, ("dark", "bright"))
    stored = score(ActionClassifier.load(model), store, rows, tmp_path / "videos").probabilities
    assert stored.argmax(axis=1).tolist() == [0, 1]

    # Another size, so that the store does not serve; grey frames are the same in any size.
    larger = write_model_folder(tmp_path / "larger", spec.model_copy(update={"height": 40}), ("dark", "bright"))
    decoded = score(ActionClassifier.load(larger), store, rows, tmp_path / "videos").probabilities
    np.testing.assert_allclose(decoded, stored, atol=1e-3)

    videos = [tmp_path / "videos" / name for name in levels]
    np.testing.assert_allclose(score_views(model, videos, 1), stored, atol=1e-6)
    classifier = ActionClassifier.load(model)
    expected = [classifier.score(load_views(video, spec, 3)).probabilities.mean(axis=0) for video in videos]
    np.testing.assert_allclose(score_views(model, videos, 3), expected, atol=1e-6)
    assert not np.allclose(expected, stored, atol=1e-5)
