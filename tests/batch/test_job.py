"""One video in a worker."""

import hashlib
from pathlib import Path
from typing import Any

import fsspec
import pytest

from actreel.batch import job
from actreel.batch.job import model_version, pack_job, recognise_item, unpack_job
from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier
from actreel.youtube import fetch
from tests.conftest import EditCode, write_model_folder
from tests.youtube_double import Uploaded, YouTubeDouble

LABELS = ("dark", "middle", "bright")


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "model", spec, LABELS, in_parts=True)


def unpacked(model: Path, folder: Path, known: set[bytes] | None = None) -> Path:
    folder.mkdir()
    unpack_job(pack_job(model, known or set()), folder)
    return folder


def digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def test_the_row_is_the_answer_of_predict(model: Path, video: Path, tmp_path: Path) -> None:
    outcome = recognise_item(unpacked(model, tmp_path / "job"), str(video))
    classifier = ActionClassifier.load(model)
    seen = classifier.recognise(video)
    answer = classifier.answer(seen)
    assert outcome.row is not None
    assert outcome.sha256 == digest(video).hex()
    assert (outcome.row["label"], outcome.row["confidence"], outcome.row["known"]) == (
        "middle",
        answer.confidence,
        True,
    )
    assert [each["label"] for each in outcome.row["top"]] == [scored.label for scored in answer.top]
    assert outcome.row["segments"][-1]["end_s"] == seen.segments[-1].end_s
    assert (outcome.row["num_frames"], outcome.row["width"]) == (30, 64)


def test_what_is_known_is_not_decoded(model: Path, video: Path, tmp_path: Path) -> None:
    others = {hashlib.sha256(bytes([number])).digest() for number in range(50)}
    known = unpacked(model, tmp_path / "known", {digest(video), *others})
    outcome = recognise_item(known, str(video))
    assert (outcome.row, outcome.failure, outcome.sha256) == (None, None, digest(video).hex())
    assert recognise_item(known, str(video), again=True).row is not None
    assert recognise_item(unpacked(model, tmp_path / "others", others), str(video)).row is not None


def test_an_address_is_fetched_and_answers_the_same(
    model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/film.avi", video.read_bytes())
    folder = unpacked(model, tmp_path / "job")
    local, remote = (recognise_item(folder, source) for source in (str(video), "memory://bucket/film.avi"))
    assert remote.row == local.row
    assert remote.sha256 == local.sha256
    monkeypatch.setattr(job, "MAX_BYTES", 100)
    refused = recognise_item(folder, "memory://bucket/film.avi")
    assert "at most" in (refused.failure or "")
    assert not refused.permanent


def test_what_fails_says_why_and_whether_the_content_is_at_fault(model: Path, tmp_path: Path) -> None:
    folder = unpacked(model, tmp_path / "job")
    (tmp_path / "text.avi").write_text("no video", encoding="utf-8")
    broken = recognise_item(folder, str(tmp_path / "text.avi"))
    assert broken.permanent
    assert broken.sha256 == digest(tmp_path / "text.avi").hex()
    for source in (str(tmp_path / "missing.avi"), "memory://missing/film.avi", "nosuch://film.avi"):
        outcome = recognise_item(folder, source)
        assert outcome.failure, source
        assert not outcome.permanent, source


def test_a_version_changes_with_the_model_and_with_the_code(model: Path, tmp_path: Path, edit_code: EditCode) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32)
    same = write_model_folder(tmp_path / "same", spec, LABELS, in_parts=True)
    other = write_model_folder(tmp_path / "other", spec, ("dark", "dim", "bright"), in_parts=True)
    before = model_version(model)
    assert model_version(same) == before
    assert model_version(other) != before
    edit_code("inference/recognition.py", ".mean(axis=0)", ".max(axis=0)")
    assert model_version(model) != before


def test_a_youtube_link_answers_as_its_video_and_is_fetched_large_enough(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetched(*arguments: Any, **options: Any) -> fetch.FetchedVideo:
        asked.append(options["min_side"])
        return download(*arguments, **options)

    download = fetch.fetch
    wide = write_model_folder(tmp_path / "wide", ClipSpec(num_frames=8, height=32, width=64), LABELS)
    folder = unpacked(wide, tmp_path / "job")
    with YouTubeDouble().running() as double:
        monkeypatch.setattr(fetch, "DOWNLOADER", double.downloader)
        monkeypatch.setattr(fetch, "fetch", fetched)
        double.videos["dQw4w9WgXcQ"] = Uploaded(video.read_bytes())
        from_youtube = recognise_item(folder, "https://youtu.be/dQw4w9WgXcQ")
        refused = recognise_item(folder, "https://youtu.be/aaaaaaaaaaA")
    assert from_youtube.row == recognise_item(folder, str(video)).row
    assert asked == [64, 64], "the longer side, as for predict"
    assert refused.failure
    assert not refused.permanent
