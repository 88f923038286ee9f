import csv
import io
import json
import os
import re
from pathlib import Path, PurePath
from typing import get_args
from xml.etree import ElementTree

import pytest

from actreel.cli.answers import Answers, Name
from actreel.cli.sources import Video
from actreel.errors import ConfigError
from actreel.inference.exports import FORMATS
from tests.inference.test_exports import prediction

LINK = "https://youtu.be/dQw4w9WgXcQ"


def write(name: Name, out: Path | None, *below: str, one: bool = False) -> None:
    """Writes an answer for each of these videos below `clips`."""
    videos = [Video(each if each == LINK else f"clips/{each}", PurePath(each)) for each in below]
    with Answers(name, out, videos, one=one).opened() as answered:
        for video in videos:
            answered(video, prediction("Wave", source=video.source))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_format_can_be_named() -> None:
    assert [*get_args(Name)] == ["text", *FORMATS]


@pytest.mark.parametrize("name", get_args(Name))
def test_what_goes_to_a_file_is_what_goes_to_stdout(
    name: Name, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    write(name, None, "a.mp4", one=True)
    write(name, tmp_path / "new/out", "a.mp4", one=True)
    content = (tmp_path / "new/out").read_bytes()
    date = rb'DATE="[^"]*"'  # ELAN's files say when they were written
    assert re.sub(date, b"", content) == re.sub(date, b"", capfdbinary.readouterr().out)
    assert b"Wave" in content
    assert files(tmp_path) == ["new/out"], "nothing is left beside it"


def test_many_answers_are_one_table_or_one_list(tmp_path: Path) -> None:
    write("csv", tmp_path / "a.csv", "a.mp4", "b/c.mp4", LINK)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as table:
        assert [row["source"] for row in csv.DictReader(table)] == ["clips/a.mp4", "clips/b/c.mp4", LINK]
    write("labelstudio", tmp_path / "a.json", "a.mp4", "b/c.mp4")
    tasks = json.loads((tmp_path / "a.json").read_bytes())
    assert [task["data"]["video"] for task in tasks] == ["clips/a.mp4", "clips/b/c.mp4"]
    write("labelstudio", tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_bytes()) == []


def test_one_file_per_video_is_named_as_the_video(tmp_path: Path) -> None:
    below = ("a.mp4", "b/a.mp4", "b/a.v2.mp4", LINK, "a.avi", "A.mov", "a.avi", "a.avi", "no ending")
    write("elan", tmp_path / "out", *below)
    found = files(tmp_path / "out")
    assert found == sorted(
        [
            "a.eaf", "b/a.eaf", "b/a.v2.eaf", "dQw4w9WgXcQ.eaf", "a.avi.eaf", "A.mov.eaf", "a.avi (2).eaf",
            "a.avi (3).eaf", "no ending.eaf",
        ]
    )  # fmt: skip
    for name in found:
        assert ElementTree.parse(tmp_path / "out" / name).getroot().tag == "ANNOTATION_DOCUMENT"  # noqa: S314 - our own


def test_one_video_may_go_to_a_file_or_to_a_folder_that_is_there(tmp_path: Path) -> None:
    write("webvtt", tmp_path, "a.mp4", one=True)
    write("webvtt", tmp_path / "b.vtt", "a.mp4", one=True)
    assert files(tmp_path) == ["a.vtt", "b.vtt"]
    assert (tmp_path / "a.vtt").read_bytes() == (tmp_path / "b.vtt").read_bytes()


def test_what_cannot_be_written_is_refused_before_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").write_bytes(b"a film")
    with pytest.raises(ConfigError, match=r"Received: 2 videos\. Name a folder: --out FOLDER"):
        write("webvtt", None, "a.mp4", "b.mp4")
    with pytest.raises(ConfigError, match=r"--out must be a folder\. Received: the file 'clips/a\.mp4'"):
        write("elan", Path("clips/a.mp4"), "a.mp4", "b.mp4")
    with pytest.raises(ConfigError, match=r"--out must be a file.*Name a file: --out 'clips/answers\.csv'"):
        write("csv", Path("clips"), "a.mp4")
    with pytest.raises(ConfigError, match=r"must not replace its video"):
        write("json", Path("clips/../clips/a.mp4"), "a.mp4", one=True)
    Path("clips/b.vtt").symlink_to("a.mp4")
    with pytest.raises(ConfigError, match=r"must not replace its video"):
        write("webvtt", Path("clips"), "a.mp4", "b.mp4")
    assert (tmp_path / "clips/a.mp4").read_bytes() == b"a film"


def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("old", encoding="utf-8")
    video = Video("clips/a.mp4", PurePath("a.mp4"))

    def interrupted() -> None:
        with Answers("csv", out, [video], one=True).opened() as answered:
            answered(video, prediction("Wave"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.read_text(encoding="utf-8") == "old"
    assert files(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("name", ["json", "labelstudio"])
def test_json_is_json_whatever_the_terminals_encoding(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", terminal)
    video = Video("clips/a.mp4", PurePath("a.mp4"))
    with Answers(name, None, [video], one=True).opened() as answered:
        answered(video, prediction("開ける \U0001f938"))
    terminal.seek(0)
    assert "開ける \U0001f938" in str(json.loads(terminal.read()))


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff.mp4")
    for name, form in FORMATS.items():
        write(name, tmp_path / f"out{form.ending}", odd, one=True)  # type: ignore[arg-type]
        assert (tmp_path / f"out{form.ending}").read_text(encoding="utf-8")
    write("text", tmp_path / "out.txt", odd, one=True)
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").startswith("clips/\\udcff.mp4 (")
