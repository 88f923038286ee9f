"""`actreel groups` from its arguments to the table, on real tiny films."""

import io
import json
from pathlib import Path

import pytest

from actreel.cli import main
from actreel.dataset.grouping.looks import look_at
from actreel.dataset.grouping.proposal import clips_in, propose
from actreel.dataset.groups import groups_of
from tests.dataset.grouping.rooms import write_rooms


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Each room is filmed by two people whose names differ, so that each pair of them is doubtful."""
    room_of = write_rooms(tmp_path / "my clips", rooms=4)
    for number, (clip, room) in enumerate(room_of.items()):
        file = tmp_path / "my clips" / clip
        file.rename(file.with_name(f"person{2 * room + number % 2}_{file.name}"))
    return tmp_path / "my clips"


def table(folder: Path) -> list[str]:
    _, clips, _ = clips_in(folder)
    return groups_of(folder, clips)


def test_answers_at_the_terminal_decide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("what\ny\nn\na\n"))
    base, clips, actions = clips_in(folder)
    doubtful = len(propose(clips, actions, look_at(base, clips)).doubtful)
    assert doubtful == 4
    main(["groups", str(folder)])
    assert len(set(table(folder))) == 8 - doubtful + 1


@pytest.mark.parametrize("keys", ["q\n", "y\n"])
def test_stopping_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(keys))
    with pytest.raises(SystemExit, match="nothing is written"):
        main(["groups", str(folder)])
    assert not (folder / "groups.csv").exists()


def test_scripts_ask_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SystemExit, match=r"no terminal.*actreel groups '.*my clips' --page.*--yes"):
        main(["groups", str(folder)])
    capsys.readouterr()
    main(["groups", str(folder), "--json"])
    proposed = json.loads(capsys.readouterr().out)
    assert proposed["written"] is None
    assert {pair["sureness"] for pair in proposed["doubtful"]} == {"doubtful"}
    assert not (folder / "groups.csv").exists()
    main(["groups", str(folder), "--yes"])
    assert len(set(table(folder))) == 4
    with pytest.raises(SystemExit, match=r"is not replaced.*--force"):
        main(["groups", str(folder), "--yes"])
    answers = folder.parent / "answers.csv"
    lines = [f'"{pair["clip"]}","{pair["other"]}",no' for pair in proposed["doubtful"]]
    answers.write_text("\n".join(["clip,other,same", *lines]), encoding="utf-8")
    main(["groups", str(folder), "--force", "--answers", str(answers)])
    assert len(set(table(folder))) == 8


def test_a_page_is_written_instead_of_the_table(folder: Path) -> None:
    main(["groups", str(folder), "--page", str(folder.parent / "pairs.html")])
    assert "4 of 4" in (folder.parent / "pairs.html").read_text(encoding="utf-8")
    assert not (folder / "groups.csv").exists()


def test_broken_videos_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "A").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "A" / name).write_bytes(b"no video")
    with pytest.raises(SystemExit, match=r"groups need videos that can be read.*Replace or remove"):
        main(["groups", str(tmp_path)])
    write_rooms(tmp_path, rooms=3)
    main(["groups", str(tmp_path), "--yes"])
    assert "videos that cannot be read: 'A/a.mp4', 'A/b.mp4'" in caplog.text
    assert "an action needs 3 groups" in caplog.text
