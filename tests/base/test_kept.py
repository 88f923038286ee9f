from pathlib import Path

import pytest

from actreel.base.kept import kept_folder, publish, share

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
