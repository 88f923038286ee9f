import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from actreel.cli import main
from actreel.config import ClipSpec
from actreel.youtube import fetch
from tests.conftest import grey_frames, write_model_folder, write_video_file
from tests.youtube_double import Uploaded, YouTubeDouble


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> str:
    return str(write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright")))


def test_table(model: str, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", str(video), "--model", model])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{video} (1.2 s, 64x48): middle"
    assert lines[1].split()[0] == "middle"
    assert len(lines) == 4


def test_without_a_model_named_the_packaged_one_answers(
    video: Path,
    spec: ClipSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model_folder(tmp_path / "artifacts/model", spec, ("dark", "middle", "bright"))
    main(["predict", str(video)])
    assert ": middle" in capsys.readouterr().out
    assert "model: not packaged, trained last, of the dataset" in caplog.text
    write_model_folder(tmp_path / "artifacts/bento/models/actreel/abc", spec, ("a", "packaged", "c"))
    main(["predict", str(video)])
    assert ": packaged" in capsys.readouterr().out
    assert "model: packaged, of the dataset" in caplog.text


def test_outside_of_a_project_it_says_where_to_go(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: Run this from the project's folder, which holds dvc\.yaml"):
        main(["predict", str(video)])
    assert set(tmp_path.iterdir()) <= {video}


def test_json_is_one_object_a_line(model: str, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", str(video), str(video), "--model", model, "--json"])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == second
    assert (first["label"], first["known"], len(first["top"])) == ("middle", True, 3)
    assert first["top"][0] == {"label": "middle", "confidence": first["confidence"]}
    assert first["video"]["num_frames"] == 30


def test_a_video_of_nothing_it_knows(spec: ClipSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("dark", "middle", "bright")
    model = str(write_model_folder(tmp_path / "model", spec, labels, max_distance=0.1))
    between = str(write_video_file(tmp_path / "between.avi", grey_frames([64] * 20)))
    middle = str(write_video_file(tmp_path / "middle.avi", grey_frames([128] * 20)))
    main(["predict", between, middle, "--model", model, "--json"])
    strange, known = map(json.loads, capsys.readouterr().out.splitlines())
    assert (strange["known"], known["known"]) == (False, True)
    assert (strange["confidence"], known["confidence"]) == (0.0, known["top"][0]["confidence"])
    assert strange["label"] == strange["top"][0]["label"]
    main(["predict", between, "--model", model])
    answer = capsys.readouterr().out
    assert answer.splitlines()[0].endswith("unknown, none of the actions that the model knows")
    assert "%" not in answer
    assert "\u2588" not in answer, "no bar"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_other_code_pages_get_what_they_can_show(
    spec: ClipSpec, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    model = str(write_model_folder(tmp_path / "model", spec, ("a", "開ける", "c")))
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", written)
    main(["predict", str(video), "--model", model])
    main(["predict", str(video), "--model", model, "--json"])
    *table, line = written.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert table[0].endswith(": \\u958b\\u3051\\u308b")
    assert "#" in table[1]
    assert json.loads(line)["label"] == "開ける"


def test_help_for_a_reader_that_goes_away() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "from actreel.cli import main; main()", "--help"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_bad_file_among_good_ones_is_named_and_the_rest_answered(
    model: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(tmp_path / "broken.avi"), str(video), "--model", model])
    assert exit_.value.code == 1
    out, err = capsys.readouterr()
    assert "broken.avi" in err
    assert "middle" in out


def test_no_model_is_a_message_not_a_traceback(video: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: A model folder must hold .*dvc repro"):
        main(["predict", str(video), "--model", str(tmp_path)])


def test_a_youtube_link_is_as_good_as_its_file(
    model: str, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "youtu.be/dQw4w9WgXcQ."  # as a sentence ends with it
    with YouTubeDouble().running() as double:
        monkeypatch.setattr(fetch, "DOWNLOADER", double.downloader)
        double.videos["dQw4w9WgXcQ"] = Uploaded(video.read_bytes())
        main(["predict", link, str(video), "--model", model, "--json"])
        from_youtube, from_file = map(json.loads, capsys.readouterr().out.splitlines())
        assert from_youtube["source"] == link
        assert from_youtube["top"] == from_file["top"]

        double.videos["dQw4w9WgXcQ"] = Uploaded(duration_s=100_000)
        with pytest.raises(SystemExit):
            main(["predict", link, "https://127.0.0.1/video.mp4", "--model", model])
    out, err = capsys.readouterr()
    assert not out
    assert "error: The video must last at most" in err
    assert "error: This is not a YouTube link." in err


def test_a_folder_and_a_link_and_a_bad_file_at_once(
    model: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    (folder / "day").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("b.avi", "day/a.avi"):
        (folder / name).write_bytes(video.read_bytes())
    (folder / "day/broken.mp4").write_bytes(b"nothing")
    sources = [str(folder), str(folder / "empty"), "https://127.0.0.1/video.mp4", str(video)]
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as exit_:
        main(["predict", *sources, "--model", model, "--format", "webvtt", "--out", str(out)])
    assert exit_.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["error"] * 3
    assert "empty', which holds no files" in said.err
    assert "broken.mp4" in said.err
    assert "not a YouTube link" in said.err
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.vtt")) == ["b.vtt", "day/a.vtt", "video.vtt"]
    assert (out / "day/a.vtt").read_text(encoding="utf-8").splitlines()[-1].startswith("middle (")


def test_json_in_a_file_is_what_json_prints(
    model: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", str(video), "--model", model, "--json"])
    main(["predict", str(video), "--model", model, "--format", "json", "--out", str(tmp_path / "a.jsonl")])
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == capsys.readouterr().out


def test_json_is_no_other_format(model: str, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(video), "--model", model, "--json", "--format", "csv"])
    assert exit_.value.code == 2
    assert "--json: it is not allowed with --format csv" in capsys.readouterr().err


def test_a_terminal_sees_how_far_it_is(model: str, video: Path) -> None:
    shown = on_a_terminal("predict", str(video), str(video), "--model", model)
    assert "1 of 2 videos" in shown
    assert "\x1b[K" in shown.partition("1 of 2 videos")[2], "and it goes again"


def on_a_terminal(*arguments: str) -> str:
    """What `actreel` shows on a terminal that is its stderr."""
    ours, its = pty.openpty()
    command = [sys.executable, "-c", "from actreel.cli import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=its) as running:
        os.close(its)
        shown = b""
        with suppress(OSError):  # how Linux says that nobody writes any more
            while read := os.read(ours, 4096):
                shown += read
    os.close(ours)
    assert running.returncode == 0
    return shown.decode()
