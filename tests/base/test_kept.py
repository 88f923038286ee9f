from pathlib import Path

import pytest

from actreel.base.kept import borrow, kept_folder, publish, share

OUTPUT = Path("artifacts/clips")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kept folder with files, and an output of an earlier run."""
    monkeypatch.chdir(tmp_path)
    (kept_folder(OUTPUT) / "deep").mkdir(parents=True)
    (kept_folder(OUTPUT) / "deep" / "file").write_text("new", encoding="utf-8")
    OUTPUT.mkdir(parents=True)
    (OUTPUT / "old").touch()
    return kept_folder(OUTPUT)


def test_files_that_are_kept_take_no_more_space(kept: Path) -> None:
    publish(OUTPUT, keep=True)
    assert [file.name for file in OUTPUT.iterdir()] == ["deep"]
    assert (OUTPUT / "deep" / "file").samefile(kept / "deep" / "file")


def test_a_copy_that_dvc_made_is_shared_again_but_no_other_file(kept: Path) -> None:
    for name in ("same.npy", "cut.npy", "clips.json"):
        (kept / name).write_bytes(b"whole")
    publish(OUTPUT, keep=True)
    for name in ("same.npy", "cut.npy", "clips.json", "new.npy"):
        (OUTPUT / name).unlink(missing_ok=True)
        (OUTPUT / name).write_bytes(b"cut" if name == "cut.npy" else b"whole")
    for _ in range(2):
        share(OUTPUT)
        assert [name for name in ("same.npy", "cut.npy", "clips.json") if (kept / name).samefile(OUTPUT / name)] == [
            "same.npy"
        ]
        assert {file.name for file in kept.iterdir()} == {"same.npy", "cut.npy", "clips.json", "deep"}


def test_without_hard_links_the_files_are_copied(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    publish(OUTPUT, keep=True)
    assert (OUTPUT / "deep" / "file").read_text(encoding="utf-8") == "new"
    assert not (OUTPUT / "deep" / "file").samefile(kept / "deep" / "file")
    (OUTPUT / "a.npy").touch()
    (kept / "a.npy").touch()
    share(OUTPUT)
    assert not (OUTPUT / "a.npy").samefile(kept / "a.npy")


def test_files_that_are_not_kept_are_moved(kept: Path) -> None:
    publish(OUTPUT, keep=False)
    assert [file.name for file in OUTPUT.iterdir()] == ["deep"]
    assert not kept.exists()


def test_shards_of_other_work_are_linked_and_those_that_are_there_stay(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / f"{name}.npy").write_text("theirs", encoding="utf-8")
    target = tmp_path / "own"
    target.mkdir()
    (target / "one.npy").write_text("mine", encoding="utf-8")
    borrow(target, [*(tmp_path / "other").glob("*.npy"), tmp_path / "other" / "gone.npy"])
    assert (target / "one.npy").read_text(encoding="utf-8") == "mine"
    assert (target / "two.npy").samefile(tmp_path / "other" / "two.npy")
    assert len(list(target.iterdir())) == 2
