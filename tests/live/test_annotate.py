from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.errors import ActreelError, VideoError
from actreel.inference.classifier import ActionClassifier
from actreel.live.annotate import annotate
from actreel.live.overlay import Overlay
from actreel.video.decode import probe, sample_frames
from tests.browser import chromium
from tests.conftest import grey_frames, write_video_file
from tests.ffmpeg_films import FFMPEG_FILMS, ffmpeg
from tests.films import FILMS, encode


def frames_of(path: Path) -> NDArray[np.uint8]:
    return sample_frames(path, np.arange, lambda frame: frame)[0]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def dark_bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    film = tmp_path_factory.mktemp("film") / "dark_bright.avi"
    return write_video_file(film, grey_frames([5] * 100 + [250] * 100, 120, 160))


def test_the_answer_is_drawn_in_where_it_holds(dark_bright: Path, classifier: ActionClassifier, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    shares: list[float] = []
    seen = annotate(dark_bright, out, classifier, on_progress=shares.append)
    assert list(tmp_path.iterdir()) == [out]
    assert shares == pytest.approx(np.arange(1, 201) / 200)
    overlay = Overlay(160, 120, 8.0, seen.segments, classifier.card.labels)
    expected = [
        overlay.draw(frame, place / 25) for place, frame in enumerate(grey_frames([5] * 100 + [250] * 100, 120, 160))
    ]
    found = frames_of(out)
    assert found.shape == (200, 120, 160, 3)
    for place in (0, 60, 130, 199):
        assert np.abs(found[place].astype(int) - expected[place]).mean() < 6
    # The text, in the rows above the timeline, is nearer to its own than to another one.
    others = Overlay(160, 120, 8.0, seen.segments, ["x", "y", "z"])
    for place in (10, 190):
        level = 5 if place < 100 else 250
        other = others.draw(grey_frames([level], 120, 160)[0], place / 25)
        apart = [np.abs(found[place].astype(int) - each)[-15:-3].sum() for each in (expected[place], other)]
        assert apart[0] < apart[1] / 2


@pytest.mark.parametrize(
    "name",
    [
        "turned_90.mp4",
        "turned_270.mov",
        "mirrored.mp4",
        "h264_odd.mp4",
        "uneven.mkv",
        "edit_list.mp4",
        "h264_open_gop.ts",
    ],
)
def test_it_stands_upright_and_keeps_size_and_times(name: str, classifier: ActionClassifier, tmp_path: Path) -> None:
    film, out = tmp_path / name, tmp_path / "out.mp4"
    FFMPEG_FILMS[name](film)
    annotate(film, out, classifier)
    before, after = probe(film), probe(out)
    assert (after.width, after.height) == (before.width + before.width % 2, before.height + before.height % 2)
    assert after.num_frames == before.num_frames
    assert after.fps == pytest.approx(before.fps, rel=0.01)
    upper = slice(0, before.height // 2)
    theirs, ours = (frames_of(path)[:, upper, : before.width].astype(int) for path in (film, out))
    assert np.abs(theirs - ours).mean() < 8
    with av.open(str(out)) as container:
        assert "DISPLAYMATRIX" not in next(container.decode(video=0)).side_data
    assert np.diff(times_of(out)) == pytest.approx(np.diff(times_of(film)), abs=0.002)


@pytest.mark.parametrize("name", ["interlaced_mpeg2.mpg", "hevc_ten_bit.mp4", "vp9.webm", "animation.gif"])
def test_other_formats_are_copied_as_h264(name: str, classifier: ActionClassifier, tmp_path: Path) -> None:
    film = FILMS[name](tmp_path / name, 0)
    annotate(film, tmp_path / "out.mp4", classifier)
    assert probe(tmp_path / "out.mp4").num_frames == probe(film).num_frames
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.fixture(scope="module")
def with_sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    film = tmp_path_factory.mktemp("film") / "sound.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=320x240:r=30000/1001:d=2", "-f", "lavfi", "-i", "sine=d=2",
        "-c:v", "libx264", "-c:a", "aac", film,
    )  # fmt: skip
    return film


def test_sound_stays_and_a_browser_plays_it(with_sound: Path, classifier: ActionClassifier, tmp_path: Path) -> None:
    annotate(with_sound, tmp_path / "out.mp4", classifier)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.video[0].average_rate == with_rate(with_sound)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out.mp4"]
    page_file = tmp_path / "page.html"
    page_file.write_text('<video src="out.mp4" muted></video>', encoding="utf-8")
    with chromium() as browser:
        page = browser.new_page()
        page.goto(page_file.as_uri())
        played = page.evaluate(
            """() => new Promise((resolve, reject) => {
                const video = document.querySelector("video");
                video.onerror = () => reject(new Error(video.error.message));
                video.onended = () => resolve([video.videoWidth, video.videoHeight, video.duration]);
                if (video.error) video.onerror();
                video.playbackRate = 4;
                video.play().catch(reject);
            })"""
        )
    assert played == [320, 240, pytest.approx(2.0, abs=0.1)]


def with_rate(path: Path) -> object:
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate


def test_without_ffmpeg_it_is_written_without_the_sound(
    with_sound: Path,
    classifier: ActionClassifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    annotate(with_sound, tmp_path / "out.mp4", classifier)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert "is not copied: the program ffmpeg is not on the PATH" in caplog.text


def test_no_file_is_replaced_unasked(dark_bright: Path, classifier: ActionClassifier, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"mine")
    with pytest.raises(ActreelError, match=r"out\.mp4', which exists\. Choose another name, or add --force\."):
        annotate(dark_bright, out, classifier)
    assert out.read_bytes() == b"mine"
    annotate(dark_bright, out, classifier, force=True)
    assert probe(out).num_frames == 200
    for name in ("out.avi", "out", "."):
        with pytest.raises(ActreelError, match=r"ends in \.mp4"):
            annotate(dark_bright, tmp_path / name, classifier)
    with pytest.raises(ActreelError, match="another file than its source"):
        annotate(out, out, classifier, force=True)


def test_of_what_is_no_video_nothing_is_left(classifier: ActionClassifier, tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"broken\.avi"):
        annotate(tmp_path / "broken.avi", tmp_path / "out.mp4", classifier)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.avi"]


def test_who_interrupts_it_keeps_the_old_file_and_nothing_else(
    dark_bright: Path, classifier: ActionClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")

    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(dark_bright, out, classifier, force=True, on_progress=interrupt)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_memory_does_not_grow_with_the_length(classifier: ActionClassifier, tmp_path: Path) -> None:
    peaks = []
    for num_frames in (100, 800):
        film = encode(tmp_path / f"{num_frames}.mp4", grey_frames([5, 250] * (num_frames // 2), 120, 160), "libx264")
        tracemalloc.start()
        annotate(film, tmp_path / f"{num_frames}_out.mp4", classifier)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000, "700 more frames would be 40 MB"
