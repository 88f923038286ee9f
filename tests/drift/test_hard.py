"""Which videos are worth a label."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from actreel.drift.hard import Hard, from_answers, from_feedback, rank
from actreel.feedback import Feedback, FeedbackStore


def answer(source: str, best: float, second: float, label: str = "run", *, known: bool = True) -> dict[str, object]:
    top = [{"label": label, "confidence": best}, {"label": "walk", "confidence": second}]
    return {"source": source, "sha256": source, "label": label, "known": known, "top": top}


def test_doubtful_and_unknown_videos_of_a_batch_come_first() -> None:
    rows = [answer("sure", 0.9, 0.1), answer("close", 0.41, 0.4), answer("other", 0.9, 0.1, known=False)]
    first, second, third = rank(from_answers(rows, None), 3)
    assert (first.path, second.path, third.path) == ("other", "close", "sure")
    assert first.reason == "the model knows no such action; the nearest is 'run'"
    assert second.reason == "'run' 41%, but 'walk' 40%"
    assert second.hardness == pytest.approx(0.9 * 0.99)


def test_what_the_dataset_contains_needs_no_label(tmp_path: Path) -> None:
    (video := tmp_path / "v").write_bytes(b"RIFF")
    store = FeedbackStore(tmp_path / "kept")
    for name in ("one", "two"):
        store.add(Feedback(name, "run", 0.5, "m", False, "jump"), video)
    (tmp_path / "kept" / "videos" / "three.avi").touch()
    store.add(Feedback("three", "run", 0.5, "m", False, "jump"))
    index = pd.DataFrame({"clip": ["jump/feedback_one.avi"], "sha256": ["close"]})
    assert [Path(each.path).name for each in from_feedback(tmp_path / "kept", index)] == ["two.avi"]
    assert [each.path for each in from_answers([answer("close", 0.5, 0.4), answer("new", 0.5, 0.4)], index)] == ["new"]
    assert list(from_feedback(tmp_path / "none", None)) == []
    assert not (tmp_path / "none").exists()


def test_a_visitors_word_counts_most(tmp_path: Path) -> None:
    (video := tmp_path / "v").write_bytes(b"RIFF")
    store = FeedbackStore(tmp_path / "kept")
    store.add(Feedback("agreed", "run", 0.6, "m", True, None), video)
    store.add(Feedback("wrong", "run", 0.99, "m", False, None), video)
    store.add(Feedback("unknown", "_unknown", 0.0, "m", True, None), video)
    ranked = rank(from_feedback(tmp_path / "kept", None), 3)
    assert [Path(each.path).stem for each in ranked] == ["wrong", "unknown", "agreed"]
    assert [each.said for each in ranked] == ["_unknown", "_unknown", "run"]


def test_one_label_does_not_fill_the_list() -> None:
    many = [Hard(f"run {place:03}", "", "run", 0.95 - place / 10_000, None) for place in range(500)]
    few = [Hard(f"{label} {place}", "", label, 0.7, None) for label in ("jump", "walk", "swim") for place in range(5)]
    chosen = rank(many + few, 12)
    counts = Counter(each.label for each in chosen)
    assert chosen[0].path == "run 000"
    assert set(counts) == {"run", "jump", "walk", "swim"}
    assert counts["run"] <= 5
    assert [each.path for each in chosen if each.label == "run"] == sorted(
        each.path for each in chosen if each.label == "run"
    )
    assert len(rank(many, 20)) == 20  # where there is nothing else
