"""The table of answers on a real disk, and in a store of objects."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

from actreel.batch.job import Outcome
from actreel.batch.table import Answers, Failures, Place, read_answers
from actreel.errors import FileError


def row(label: str) -> dict[str, Any]:
    return {
        "label": label, "confidence": 0.5, "known": True, "top": [{"label": label, "confidence": 0.5}],
        "segments": [{"start_s": 0.0, "end_s": 1.0, "label": label, "confidence": 0.5, "known": True}],
        "duration_s": 1.0, "fps": 25.0, "num_frames": 25, "width": 64, "height": 48, "codec": "MJPG",
    }  # fmt: skip


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def answers(out: str) -> Answers:
    return Answers(Place(out), "v1", {"actreel.run_id": "r"})


def read(out: Path) -> list[tuple[str, str]]:
    table = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    assert set(table["model"].to_pylist()) <= {"v1"}
    return sorted(zip(table["source"].to_pylist(), table["label"].to_pylist(), strict=True))


@pytest.fixture(params=["disk", "memory"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "out") if request.param == "disk" else f"memory://{tmp_path}/out"


def test_rows_are_found_again_and_a_new_content_replaces_its_source_s_row(out: str) -> None:
    table = answers(out)
    for name in "abc":
        table.add(name, sha(name), row("Jump"))
    table.flush()
    table = answers(out)
    assert len(table) == 3
    assert table.sha256_of("a") == sha("a")
    table.add("a", sha("new"), row("Wave"))
    table.flush()
    table = answers(out)
    assert (len(table), table.sha256_of("a"), set(table.contents)) == (
        3, sha("new"), {bytes.fromhex(sha(each)) for each in ("new", "b", "c")},
    )  # fmt: skip
    assert len(Place(out).names("model=v1")) == 2
    for name in "bc":
        table.add(name, sha(name + "2"), row("Wave"))
    table.flush()
    assert len(Place(out).names("model=v1")) == 2, "a file whose rows are all replaced is removed"


def test_equal_content_under_another_name_takes_the_answer(out: str, tmp_path: Path) -> None:
    table = answers(out)
    table.add("a", sha("x"), row("Jump"))
    assert table.copy("b", sha("x")), "of a row that is not written yet"
    table.flush()
    table = answers(out)
    assert table.copy("c", sha("x")), "of a row on the disk"
    assert table.copy("c", sha("x"))
    assert not table.copy("d", sha("y"))
    table.flush()
    if "memory" not in out:
        assert read(tmp_path / "out") == [("a", "Jump"), ("b", "Jump"), ("c", "Jump")]


def test_a_run_killed_before_it_removed_the_old_row_leaves_the_new_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = answers(str(out))
    for name in "ab":
        table.add(name, sha(name), row("Jump"))
    table.flush()
    first = (out / "model=v1/part-00000.parquet").read_bytes()
    table.add("a", sha("new"), row("Wave"))
    table.flush()
    (out / "model=v1/part-00000.parquet").write_bytes(first)  # as it was before its row was removed
    assert read(out) == [("a", "Jump"), ("a", "Wave"), ("b", "Jump")]
    table = answers(str(out))
    assert table.sha256_of("a") == sha("new")
    table.flush()
    assert read(out) == [("a", "Wave"), ("b", "Jump")]


def test_a_content_that_cannot_be_answered_any_more_loses_its_row(tmp_path: Path) -> None:
    table = answers(str(tmp_path / "out"))
    for name in "ab":
        table.add(name, sha(name), row("Jump"))
    table.discard("b")
    table.flush()
    table.discard("a")
    table.discard("never there")
    table.flush()
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert len(answers(str(tmp_path / "out"))) == 0


def test_readers_see_the_model_and_no_failures(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table, failures = answers(str(out)), Failures(Place(str(out)), "v1")
    table.add("a", sha("a"), row("Jump"))
    failures.add(Outcome("b", sha("b"), failure="damaged", permanent=True))
    failures.add(Outcome("c", None, failure="no network"))
    table.flush()
    failures.flush()
    found = pyarrow.dataset.dataset(out, partitioning="hive")
    assert found.schema.metadata[b"actreel.run_id"] == b"r"
    assert found.to_table()["top"].to_pylist() == [[{"label": "Jump", "confidence": 0.5}]]
    failures = Failures(Place(str(out)), "v1")
    assert (len(failures), list(failures.contents)) == (2, [bytes.fromhex(sha("b"))])
    assert (failures.reason_of(sha("b")), failures.reason_of(sha("c"))) == ("damaged", None)
    failures.discard("b")
    failures.flush()
    assert len(Failures(Place(str(out)), "v1")) == 1


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    table = answers(str(tmp_path / "out"))
    table.add("a", sha("a"), row("Jump"))
    table.flush()
    part = tmp_path / "out/model=v1/part-00000.parquet"
    os.truncate(part, 100)
    with pytest.raises(FileError, match=r"'model=v1/part-00000.parquet' of the batch is damaged.* Delete it"):
        answers(str(tmp_path / "out"))


def test_answers_are_read_of_one_model_version(out: str) -> None:
    with pytest.raises(FileError, match="holds no answers of a batch"):
        list(read_answers(out, ["source"]))
    table = answers(out)
    for name in "ab":
        table.add(name, sha(name), row("Jump"))
        table.flush()
    expected = [{"source": name, "label": "Jump"} for name in "ab"]
    assert list(read_answers(out, ["source", "label"])) == expected
    other = Answers(Place(out), "v2", {})
    other.add("c", sha("c"), row("Run"))
    other.flush()
    with pytest.raises(FileError, match=r"answers of 2 model versions.*model=v1', '.*model=v2'"):
        list(read_answers(out, ["source"]))
    assert list(read_answers(f"{out}/model=v2/", ["label"])) == [{"label": "Run"}]
