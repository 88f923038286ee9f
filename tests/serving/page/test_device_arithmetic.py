"""What the page computes on the visitor's device, against the same in Python; Deno runs the page's modules."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.segments import segments_of
from actreel.inference.steady import SteadyLabel
from actreel.inference.timed_window import TimedWindow
from actreel.inference.windows import middle_frames, plan_windows
from actreel.video.clips import fit_frame
from actreel.video.info import VideoInfo
from tests.conftest import ROOT

DEVICE = ROOT / "serving" / "web" / "device"
PROGRAM = f"""
import {{ fit }} from "{DEVICE.as_uri()}/fitting.js";
import {{ SteadyLabel, TimedWindow }} from "{DEVICE.as_uri()}/live.js";
import {{ Windows }} from "{DEVICE.as_uri()}/network.js";
import {{ answerFor, middles, plan, segmentsOf }} from "{DEVICE.as_uri()}/windows.js";
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const calls = {{
  fit: ({{ data, ...frame }}, spec) => Array.from(fit({{ ...frame, data: bytes(data) }}, spec)),
  plan, middles, segmentsOf, answerFor,
  steady: (hop, model, scores) => {{
    const label = new SteadyLabel(hop, model);
    return scores.map(([score, end, run]) => label.update(score, end, run));
  }},
  timed: async (clipFrames, windowS, frames) => {{
    const network = {{ encode: (frame) => frame, score: (window) => [...window] }};
    const last = new TimedWindow(new Windows(network, clipFrames, 1), clipFrames, windowS);
    const answers = [];
    for (const [frame, at] of frames) answers.push([await last.push(frame, at), last.filled, last.numStarts]);
    return answers;
  }},
}};
const asked = JSON.parse(await new Response(Deno.stdin.readable).text());
console.log(JSON.stringify(await Promise.all(asked.map(([name, ...given]) => calls[name](...given)))));
"""


def in_javascript(*calls: list[Any]) -> list[Any]:
    """What the page's functions answer; each call is the function's name and what it is given."""
    found = subprocess.run(
        [sys.executable, "-m", "deno", "eval", "--no-config", "--ext=js", PROGRAM],
        input=json.dumps(calls), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not found.returncode, found.stderr
    answers: list[Any] = json.loads(found.stdout)
    return answers


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3)).astype(np.uint8)


def as_canvas(frame: NDArray[np.uint8]) -> dict[str, Any]:
    """A frame as a canvas gives it."""
    height, width = frame.shape[:2]
    rgba = np.concatenate([frame, np.full((height, width, 1), 255, np.uint8)], axis=2)
    return {"data": base64.b64encode(rgba.tobytes()).decode(), "width": width, "height": height}


def test_frames_are_resized_as_the_service_does() -> None:
    sizes = [(48, 64), (24, 32), (96, 128), (37, 101), (64, 64), (20, 90), (11, 13), (24, 320), (240, 31)]
    specs = [
        ClipSpec(num_frames=8, height=24, width=32),
        ClipSpec(num_frames=8, height=24, width=32, colour="grey"),
        ClipSpec(num_frames=8, height=32, width=32, fit="center_crop"),
    ]
    asked = [(size, spec) for spec in specs for size in sizes]
    answers = in_javascript(*(["fit", as_canvas(picture(*size)), spec.model_dump()] for size, spec in asked))
    for (size, spec), answer in zip(asked, answers, strict=True):
        wanted = fit_frame(picture(*size), spec).astype(int)
        apart = np.abs(np.array(answer).reshape(spec.shape[1:]) - wanted)
        assert apart.max() <= 1, (size, spec)
        assert apart.mean() < 0.2, (size, spec)


@pytest.mark.parametrize(("num_frames", "fps", "clip_s"), [(36, 20, 2.2), (500, 25, 2.0), (90, 30, None)])
def test_windows_lie_as_in_the_service(num_frames: int, fps: int, clip_s: float | None) -> None:
    spec = ClipSpec(num_frames=20, height=24, width=32)
    info = VideoInfo(fps, num_frames, num_frames, 64, 48, num_frames / fps, "h264")
    wanted = plan_windows(info, spec, clip_s)
    planned, times = in_javascript(
        ["plan", info.duration_s, spec.model_dump(), clip_s], ["middles", wanted.num_parts, info.duration_s]
    )
    assert planned == {
        "clipFrames": 20, "hop": wanted.hop, "numWindows": wanted.num_windows, "numParts": wanted.num_parts
    }  # fmt: skip
    shown = np.floor(np.array(times) * fps + 1e-6).astype(int)
    assert shown.tolist() == middle_frames(num_frames, wanted.num_parts).tolist()


@pytest.mark.parametrize("max_distance", [None, 0.5])
def test_segments_and_the_answer_are_those_of_the_service(max_distance: float | None) -> None:
    rng = np.random.default_rng(5)
    spec = ClipSpec(num_frames=9, height=24, width=32)
    plan = plan_windows(VideoInfo(25, 500, 500, 64, 48, 20.0, "h264"), spec, 2.0)
    scores = rng.dirichlet([0.2] * 4, plan.num_windows).astype(np.float32)
    distances = rng.uniform(0.2, 0.8, plan.num_windows).astype(np.float32)
    model = {"labels": ["a", "b", "c", "d"], "max_distance": max_distance}
    scored = [
        {"probabilities": row, "distance": far} for row, far in zip(scores.tolist(), distances.tolist(), strict=True)
    ]
    planned = {"clipFrames": 9, "hop": plan.hop, "numWindows": plan.num_windows, "numParts": plan.num_parts}
    found, answer = in_javascript(["segmentsOf", scored, planned, 20.0, model], ["answerFor", scored, model])
    wanted = segments_of(scores, distances, plan, 20.0, max_distance)
    assert [(one["label"], one["known"]) for one in found] == [("abcd"[one.action], one.known) for one in wanted]
    assert len(wanted) > 3
    assert any(not one.known for one in wanted) == (max_distance is not None)
    for name in ("start_s", "end_s", "confidence"):
        assert [one[name] for one in found] == pytest.approx([getattr(one, name) for one in wanted], abs=1e-5)
    means = scores.mean(axis=0)
    assert answer["label"] == "abcd"[int(means.argmax())]
    assert answer["known"] == (max_distance is None or float(np.median(distances)) <= max_distance)
    assert answer["confidence"] == pytest.approx(float(means.max()) if answer["known"] else 0.0, abs=1e-5)
    assert [one["confidence"] for one in answer["top"]] == pytest.approx(sorted(means.tolist(), reverse=True), abs=1e-5)


def test_a_camera_is_watched_as_by_the_service() -> None:
    rng = np.random.default_rng(9)
    model = {"labels": ["a", "b", "c"], "max_distance": 0.5}
    scores = [
        (rng.dirichlet([0.6] * 3).astype(np.float32), float(rng.uniform(0.44, 0.56)), number / 8, number // 40)
        for number in range(80)
    ]
    times = np.cumsum(rng.choice([0.01, 0.11, 0.25, 0.4], 60, p=[0.3, 0.5, 0.15, 0.05])) + 7
    times[40:] += 3  # a gap longer than a window
    shown, timed = in_javascript(
        [
            "steady",
            0.5,
            model,
            [[{"probabilities": p.tolist(), "distance": far}, end, run] for p, far, end, run in scores],
        ],
        ["timed", 5, 0.5, [[number, at] for number, at in enumerate(times.tolist())]],
    )
    label = SteadyLabel(0.5, 0.5)
    wanted = [label.update(*each) for each in scores]
    assert [(one["label"], one["known"]) for one in shown] == [("abc"[one.action], one.known) for one in wanted]
    assert [one["confidence"] for one in shown] == pytest.approx([one.confidence for one in wanted], abs=1e-5)
    assert {one.known for one in wanted} == {True, False}

    window = TimedWindow(5, 0.5, lambda frames: frames, lambda frames: (frames[:, 0], 0.0))
    for number, (at, (scored, filled, starts)) in enumerate(zip(times.tolist(), timed, strict=True)):
        expected = window.push(np.array([number], dtype=np.uint8), at)
        assert scored == (None if expected is None else expected[0].tolist())
        assert (filled, starts) == (pytest.approx(window.filled), window.num_starts)
    assert starts == 2
