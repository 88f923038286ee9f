from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actreel.cli import main
from actreel.config import ClipSpec
from actreel.video.decode import probe
from tests.conftest import ROOT, free_port, grey_frames, patience, write_model_folder, write_video_file
from tests.serving.conftest import write_served_model
from tests.streaming import MOTION_JPEG, filming, jpeg, motion_jpeg


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_served_model(tmp_path_factory.mktemp("model") / "model"))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video_file(tmp_path / "film.avi", grey_frames([250] * 30), fps=50)


def test_watch_prints_a_line_of_json_for_each_window(
    model: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["watch", str(film), "--model", model, "--json"])
    (sight,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (sight["label"], sight["known"], sight["start_s"], sight["end_s"]) == ("bright", True, 0.0, 0.6)
    assert sight["top"][0] == {"label": "bright", "confidence": sight["confidence"]}
    assert sight.keys() >= {"time", "lag_ms", "fps", "dropped", "reconnects"}


def test_watch_prints_changes_for_people(model: str, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["watch", str(film), "--model", model, "--window", "0.1"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[1:4] == ["s", "bright", "100%"]


def test_watch_shows_a_page_and_its_port_is_of_no_use_without_it(
    model: str, film: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    main(["watch", str(film), "--model", model, "--page", "--port", str(port), "--json"])
    assert f"the page: http://127.0.0.1:{port}/" in caplog.text
    assert json.loads(capsys.readouterr().out)["label"] == "bright"
    with pytest.raises(SystemExit, match=r"^error: --port is that of --page\. Received: --port 1 alone"):
        main(["watch", str(film), "--model", model, "--port", "1"])


def test_ctrl_c_ends_watching_without_a_traceback_and_imports_nothing_that_trains(model: str) -> None:
    code = (
        # A shell starts what runs in its background without Ctrl+C, the suite and this process too.
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from actreel.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    print([name for name in ('tensorflow', 'mlflow', 'matplotlib') if name in sys.modules])"
    )
    pictures = [jpeg(frame) for frame in grey_frames([5] * 10)]
    with filming(motion_jpeg(pictures), 0.02, MOTION_JPEG, again=True) as camera:
        command = [sys.executable, "-c", code, "watch", camera.url, "--model", model, "--window", "0.4", "--json"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=patience(20))
            finally:
                process.kill()
    assert first["label"] == "dark"
    assert process.returncode == 130
    assert out.splitlines()[-1] == "[]"
    assert err.splitlines() == [f"watching {camera.url.replace('user:secret@', '')}; end with Ctrl+C"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.mp4", "A source must be a video file, the number of a camera, or an address"),
        ("https://youtu.be/dQw4w9WgXcQ", "A live stream of YouTube cannot be watched. .* actreel predict"),
        ("https://www.youtube.com/@channel/live", "A live stream of YouTube cannot be watched"),
    ],
)
def test_what_cannot_be_watched_is_a_sentence(source: str, message: str, model: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        main(["watch", source, "--model", model])


def test_a_model_that_does_not_say_how_long_clips_are_needs_a_window(tmp_path: Path) -> None:
    model = write_model_folder(tmp_path / "model", ClipSpec(num_frames=8, height=32, width=32), ("a", "b"))
    pictures = [jpeg(frame) for frame in grey_frames([5] * 10)]
    with (
        filming(motion_jpeg(pictures), 0.02, MOTION_JPEG, again=True) as camera,
        pytest.raises(SystemExit, match=r"^error: To watch a stream, .* --window 2"),
    ):
        main(["watch", camera.url, "--model", str(model)])


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_window_must_be_some_seconds_long(
    seconds: str, model: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["watch", str(film), "--model", model, "--window", seconds])
    assert exit_.value.code == 2
    assert "--window" in capsys.readouterr().err


def test_annotate_writes_a_copy_and_says_what_it_shows(
    model: str, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.mp4"
    main(["annotate", str(film), str(out), "--model", model])
    assert capsys.readouterr().out.splitlines()[0] == f"{film} (0.6 s, 64x48): bright"
    assert f"drawn in {out}" in caplog.text
    assert probe(out).num_frames == 30
    with pytest.raises(SystemExit, match=r"^error: An annotated video must not replace a file unasked\..* --force"):
        main(["annotate", str(film), str(out), "--model", model])
    main(["annotate", str(film), str(out), "--model", model, "--force", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["label"], answer["annotated"], answer["segments"][0]["label"]) == ("bright", str(out), "bright")


def test_annotate_refuses_before_it_works(model: str, tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match=r"^error: .*broken\.avi"):
        main(["annotate", str(tmp_path / "broken.avi"), str(tmp_path / "out.mp4"), "--model", model])
    with pytest.raises(SystemExit, match=r"^error: .*ends in \.mp4"):
        main(["annotate", str(tmp_path / "broken.avi"), str(tmp_path / "out.avi"), "--model", "nowhere"])
