"""YouTube through the real yt-dlp, with a double of YouTube on loopback in place of the network."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from actreel.video.decode import probe
from actreel.youtube import fetch as youtube
from actreel.youtube.access import YouTubeAccess
from actreel.youtube.cache import VideoCache
from actreel.youtube.errors import YouTubeError
from actreel.youtube.fetch import FetchedVideo, FetchLimits, fetch
from tests import youtube_double
from tests.conftest import EditCode, grey_frames, patience, write_video_file
from tests.warm_python import WARM, WarmPython
from tests.youtube.test_links import HOSTILE
from tests.youtube_double import Uploaded, YouTubeDouble

ID = "dQw4w9WgXcQ"
LIMITS = FetchLimits(max_duration_s=60, max_bytes=2_000_000, timeout_s=30)


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("content") / "video.mp4"
    write_video_file(path, grey_frames(range(0, 200, 4), 144, 256), codec="mp4v")
    return path.read_bytes()


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[YouTubeDouble]:
    with YouTubeDouble().running() as running:
        monkeypatch.setattr(youtube, "DOWNLOADER", running.downloader)
        yield running


@pytest.fixture(scope="module")
def warm() -> WarmPython:
    return WarmPython(Path(mkdtemp(prefix="warm-yt-dlp-")), ["yt_dlp", "yt_dlp.extractor.youtube"])


@pytest.fixture
def warm_downloader(double: YouTubeDouble, warm: WarmPython, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads start as forks of a process that has imported yt-dlp: for tests that are not about its process."""
    command = (str(warm.launchers / "python"), "-m", "tests.youtube_double", *double.downloader[3:])
    monkeypatch.setenv(WARM, str(warm.address))
    monkeypatch.setattr(youtube, "DOWNLOADER", command)


def try_fetch(folder: Path, limits: FetchLimits = LIMITS, min_side: int = 100, **options: object) -> FetchedVideo:
    return fetch(f"https://youtu.be/{ID}", folder, limits=limits, min_side=min_side, **options)


@pytest.mark.parametrize("link", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_link_is_refused_before_anything_is_started(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the network or another process was used")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    start = time.process_time()
    with pytest.raises(YouTubeError) as refused:
        fetch(link.replace("{id}", ID), tmp_path, limits=LIMITS, min_side=64)
    assert time.process_time() - start < 2
    assert refused.value.code in ("not_youtube", "not_one_video")
    assert "video file" in refused.value.next_step
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("send", [youtube_double.send_whole, youtube_double.send_without_length])
@pytest.mark.usefixtures("warm_downloader")
def test_a_video_arrives_and_can_be_decoded(
    double: YouTubeDouble, tmp_path: Path, content: bytes, send: youtube_double.Send
) -> None:
    title = "<script>alert('title')</script>"
    double.videos[ID] = Uploaded(content, title=title, send=send)
    shares: list[float] = []
    fetched = try_fetch(tmp_path, on_progress=shares.append)
    assert fetched == FetchedVideo(tmp_path / "video", title, ID)
    assert fetched.path.read_bytes() == content
    assert probe(fetched.path).num_frames == 50
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert list(tmp_path.iterdir()) == [fetched.path]


@pytest.mark.parametrize(
    ("video", "min_side", "taken"),
    [
        (Uploaded(), 100, ("144", "avc1.4d400c")),
        (Uploaded(), 144, ("144", "avc1.4d400c")),
        (Uploaded(), 224, ("240", "avc1.4d400c")),
        (Uploaded(sizes=((144, 256), (240, 426))), 224, ("426", "avc1.4d400c")),  # a short: upright
        (Uploaded(sizes=((256, 144), (320, 180))), 224, ("180", "avc1.4d400c")),  # none is large enough
        (Uploaded(codecs=("av01.0.00M.08", "vp9", "avc1.4d400c")), 224, ("240", "avc1.4d400c")),
        (Uploaded(with_sound=True), 224, ("240", "avc1.4d400c")),  # better than nothing
    ],
)
@pytest.mark.usefixtures("warm_downloader")
def test_the_smallest_stream_that_covers_the_model_is_taken(
    double: YouTubeDouble, tmp_path: Path, content: bytes, video: Uploaded, min_side: int, taken: tuple[str, str]
) -> None:
    video.content = content
    double.videos[ID] = video
    try_fetch(tmp_path, min_side=min_side)
    assert double.downloads == [(ID, *taken)]


def test_only_the_extractor_of_single_videos_is_there(double: YouTubeDouble, tmp_path: Path) -> None:
    # No link leads here: the id is checked before. yt-dlp itself would take this for a playlist.
    double.videos[ID] = Uploaded()
    request = {"video_id": f"{ID}&list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI", "min_side": 100, **vars(LIMITS)}
    request |= YouTubeAccess().for_downloader()
    with subprocess.Popen(
        double.downloader, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, start_new_session=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
        assert "No suitable extractor" in json.loads(child.stdout.readline())["detail"]
    assert double.asked == []


def playability(status: str, reason: str, subreason: str = "") -> Uploaded:
    message = {"reason": {"simpleText": reason}, "subreason": {"simpleText": subreason}}
    screen = {"playerErrorMessageRenderer": message}
    return Uploaded(playability={"status": status, "reason": reason, "errorScreen": screen})


@pytest.mark.parametrize(
    ("video", "code"),
    [
        (playability("LOGIN_REQUIRED", "Private video", "Sign in if you've been granted access to it"), "unavailable"),
        (playability("ERROR", "Video unavailable"), "unavailable"),
        (playability("ERROR", "Video unavailable", "This video has been removed by the uploader"), "unavailable"),
        (
            playability("ERROR", "Video unavailable", "This video is no longer available because the YouTube account "
                        "associated with this video has been terminated."),
            "unavailable",
        ),
        (playability("UNPLAYABLE", "Join this channel to get access to members-only content"), "unavailable"),
        (playability("UNPLAYABLE", "This video requires payment to watch."), "unavailable"),
        (playability("LOGIN_REQUIRED", "Sign in to confirm your age"), "age_restricted"),
        (playability("LOGIN_REQUIRED", "This video may be inappropriate for some users."), "age_restricted"),
        (
            playability("UNPLAYABLE", "Video unavailable", "The uploader has not made this video available in your "
                        "country"),
            "region_restricted",
        ),
        (
            playability("UNPLAYABLE", "Video unavailable", "This video contains content from A, who has blocked it in "
                        "your country on copyright grounds"),
            "region_restricted",
        ),
        (playability("LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot"), "bot_check"),
        (playability("UNPLAYABLE", "This content isn't available, try again later."), "bot_check"),
        (playability("LIVE_STREAM_OFFLINE", "This live event will begin in 3 hours."), "live"),
        (playability("LIVE_STREAM_OFFLINE", "Premieres in 2 hours"), "live"),
        (Uploaded(details={"isLive": True, "isLiveContent": True}), "live"),
        (Uploaded(details={"isUpcoming": True}), "live"),
        (Uploaded(duration_s=61), "too_long"),
        (Uploaded(duration_s=36 * 3600), "too_long"),
        (Uploaded(sizes=()), "out_of_date"),
        (Uploaded(send=youtube_double.refuse), "out_of_date"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("warm_downloader")
def test_each_failure_is_told_in_plain_words(
    double: YouTubeDouble, tmp_path: Path, video: Uploaded, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    double.videos[ID] = video
    with pytest.raises(YouTubeError) as refused, caplog.at_level(logging.WARNING):
        try_fetch(tmp_path)
    assert refused.value.code == code
    assert "video file" in refused.value.next_step
    assert refused.value.message.endswith(".")
    assert str(refused.value) == f"{refused.value.message} {refused.value.next_step}"
    assert not list(tmp_path.iterdir())
    assert ID not in caplog.text
    assert "http" not in caplog.text.replace("HTTP Error", "")
    if code != "out_of_date":
        assert not double.downloads


def test_a_missing_javascript_runtime_is_told(
    double: YouTubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.has_deno = False
    monkeypatch.setattr(youtube, "DOWNLOADER", double.downloader)
    double.videos[ID] = Uploaded(n_challenge=True)
    with pytest.raises(YouTubeError, match="JavaScript") as refused:
        try_fetch(tmp_path)
    assert refused.value.code == "no_javascript"


def test_yt_dlp_finds_deno_by_itself() -> None:
    code = "from yt_dlp import YoutubeDL; print(YoutubeDL()._js_runtimes['deno'].info.supported)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_an_unreachable_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with YouTubeDouble().running() as gone:
        downloader = gone.downloader
    monkeypatch.setattr(youtube, "DOWNLOADER", downloader)
    with pytest.raises(YouTubeError, match="cannot be reached"):
        try_fetch(tmp_path)


@pytest.mark.parametrize("duration_s", [2, None])
@pytest.mark.parametrize("send", [youtube_double.send_whole, youtube_double.send_endlessly])
@pytest.mark.usefixtures("warm_downloader")
def test_bytes_are_counted_as_they_arrive(
    double: YouTubeDouble, tmp_path: Path, send: youtube_double.Send, duration_s: int | None
) -> None:
    double.videos[ID] = Uploaded(bytes(3_000_000), send=send, duration_s=duration_s)
    shares: list[float] = []
    with pytest.raises(YouTubeError, match="at most 2 MB") as refused:
        try_fetch(tmp_path, on_progress=shares.append)
    assert refused.value.code == "too_large"
    if send is youtube_double.send_whole:
        assert shares == [], "what says that it is too large is not taken at all"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("warm_downloader")
def test_a_broken_transfer_is_no_video(double: YouTubeDouble, tmp_path: Path, content: bytes) -> None:
    double.videos[ID] = Uploaded(content, send=youtube_double.send_half)
    with pytest.raises(YouTubeError) as refused:
        try_fetch(tmp_path)
    assert refused.value.code == "no_network"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "video", [Uploaded(player_delay_s=20), Uploaded(bytes(10_000), send=youtube_double.send_and_hang)]
)
def test_the_deadline_is_hard(double: YouTubeDouble, tmp_path: Path, video: Uploaded, children: Children) -> None:
    double.videos[ID] = video
    start = time.monotonic()
    with pytest.raises(YouTubeError, match=r"more than 2 s") as refused:
        try_fetch(tmp_path, FetchLimits(timeout_s=2))
    assert refused.value.code == "timeout"
    assert time.monotonic() - start < 15, "the double would have gone on after 20 s"
    assert not list(tmp_path.iterdir())
    assert not children()


def test_cancel_kills_the_download(double: YouTubeDouble, tmp_path: Path, children: Children) -> None:
    double.videos[ID] = Uploaded(bytes(10_000), send=youtube_double.send_and_hang)
    shares: list[float] = []
    with pytest.raises(YouTubeError) as refused:
        try_fetch(tmp_path, on_progress=shares.append, cancelled=lambda: bool(shares))
    assert refused.value.code == "cancelled"
    assert not list(tmp_path.iterdir())
    assert not children()


def test_a_download_dies_with_the_process_that_wanted_it(double: YouTubeDouble, tmp_path: Path) -> None:
    double.videos[ID] = Uploaded(bytes(10_000), send=youtube_double.send_and_hang)
    program = textwrap.dedent(f"""
        from pathlib import Path
        from actreel.youtube import fetch as youtube
        youtube.DOWNLOADER = {double.downloader}
        youtube.fetch("https://youtu.be/{ID}", Path({str(tmp_path)!r}), limits=youtube.FetchLimits(), min_side=64,
                      on_progress=lambda share: print("arriving", flush=True))
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "arriving\n"
        (child,) = children_of(parent.pid)
        time.sleep(0.5)  # now it waits for the rest in silence, and no report can fail
        parent.kill()
    deadline = time.monotonic() + patience(5)
    while Path(f"/proc/{child}").exists() and "Z" not in state_of(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


Children = Callable[[], list[int]]


@pytest.fixture
def children() -> Children:
    before = set(children_of(os.getpid()))  # servers that other tests keep
    return lambda: [child for child in children_of(os.getpid()) if child not in before]


def children_of(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def state_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.usefixtures("warm_downloader")
def test_a_second_ask_costs_no_download(double: YouTubeDouble, tmp_path: Path, content: bytes) -> None:
    double.videos[ID] = Uploaded(content)
    cache = VideoCache(tmp_path / "cache", max_bytes=10_000_000)
    answers = []
    for ask in range(2):
        folder = tmp_path / str(ask)
        folder.mkdir()
        answers.append(try_fetch(folder, cache=cache))
    assert len(double.downloads) == 1
    assert [answer.path.read_bytes() for answer in answers] == [content, content]
    assert answers[1].title == answers[0].title
    folder = tmp_path / "larger"
    folder.mkdir()
    try_fetch(folder, min_side=224, cache=cache)
    assert len(double.downloads) == 2


@pytest.mark.usefixtures("warm_downloader")
def test_what_other_code_has_chosen_is_downloaded_again(
    double: YouTubeDouble, tmp_path: Path, content: bytes, edit_code: EditCode
) -> None:
    double.videos[ID] = Uploaded(content)
    cache = VideoCache(tmp_path / "cache", max_bytes=10_000_000)
    for ask, downloads in enumerate([1, 1, 2]):
        if ask == 2:
            edit_code("youtube/download.py", "side < min_side", "side <= min_side")
        folder = tmp_path / str(ask)
        folder.mkdir()
        try_fetch(folder, cache=cache)
        assert len(double.downloads) == downloads


def test_the_service_does_not_load_yt_dlp() -> None:
    code = "import sys, actreel.youtube.fetch; sys.exit('yt_dlp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
