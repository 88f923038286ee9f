"""The contract, over HTTP, from a real server."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from actreel.inference.classifier import ActionClassifier
from serving.uploads import LONGEST_TITLE, title_of
from tests.serving.conftest import LABELS, Server, wait_for

CONTRACT = {
    "label": str,
    "confidence": float,
    "prediction_id": str,
    "known": bool,
    "top": [{"label": str, "confidence": float}],
    "segments": [{"start_s": float, "end_s": float, "label": str, "confidence": float, "known": bool}],
    "people": type(None),  # of this model, which does not see landmarks
    "poses": type(None),
    "video": {"title": str, "duration_s": float, "width": int, "height": int, "fps": float},
    "timings_ms": {"download": float, "decode": float, "model": float, "total": float},
    "model": {"name": str, "version": str, "run_id": str, "git_commit": str, "data_version": str, "bento": str},
}


def check_shape(value: object, shape: object) -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict)
        assert value.keys() == shape.keys()
        for name, inner in shape.items():
            check_shape(value[name], inner)
    elif isinstance(shape, list):
        assert isinstance(value, list)
        assert value
        for item in value:
            check_shape(item, shape[0])
    else:
        assert type(value) is shape


def send(client: httpx.Client, path: Path, address: str = "/predict_file", name: str | None = None) -> httpx.Response:
    return client.post(address, files={"video": (name or path.name, path.read_bytes())})


@pytest.mark.parametrize("name", ["grey.avi", "noisy.avi", "dark_bright.avi", "long.avi"])
def test_the_answer_fits_the_contract_and_equals_the_librarys(
    client: httpx.Client, films: Path, model_folder: Path, name: str
) -> None:
    answer = send(client, films / name)
    assert answer.status_code == 200
    check_shape(answer.json(), CONTRACT)
    seen = ActionClassifier.load(model_folder, whole=True).recognise(films / name)
    got = {entry["label"]: entry["confidence"] for entry in answer.json()["top"]}
    np.testing.assert_allclose([got[label] for label in LABELS], seen.probabilities, atol=1e-6)
    assert answer.json()["video"]["title"] == name
    assert answer.json()["video"]["duration_s"] == pytest.approx(seen.info.duration_s)
    assert len(answer.json()["segments"]) == len(seen.segments)


def test_a_long_video_has_its_actions_in_order(client: httpx.Client, films: Path) -> None:
    segments = send(client, films / "dark_bright.avi").json()["segments"]
    assert [segments[0]["label"], segments[-1]["label"]] == ["dark", "bright"]
    assert segments[0]["end_s"] == pytest.approx(6, abs=1.1)
    assert segments[-1]["end_s"] == pytest.approx(12)


@pytest.mark.parametrize(("name", "known"), [("grey.avi", True), ("odd.avi", False)])
def test_an_unknown_action_is_answered_with_the_nearest_label_and_no_confidence(
    client: httpx.Client, films: Path, model_folder: Path, name: str, known: bool
) -> None:
    answer = send(client, films / name).json()
    classifier = ActionClassifier.load(model_folder)
    assert answer["known"] is known is classifier.knows(classifier.recognise(films / name).distances)
    assert answer["label"] == answer["top"][0]["label"]
    assert answer["confidence"] == (answer["top"][0]["confidence"] if known else 0.0), "no confidence in a label"
    assert answer["top"][0]["confidence"] > 0.3


def test_timings_add_up(client: httpx.Client, films: Path) -> None:
    took = send(client, films / "long.avi").json()["timings_ms"]
    assert took["download"] == 0
    assert 0 < took["decode"] + took["model"] <= took["total"]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\cat.avi", "cat.avi"),
        ("a\x00b\u202ec.avi", "abc.avi"),
        ("<script>alert(1)</script>.avi", "script>.avi"),
        ("x" * 500, "x" * LONGEST_TITLE),
        ("", ""),
    ],
)
def test_a_file_name_is_used_as_a_title_only(name: str, title: str) -> None:
    assert title_of(name) == title


def test_script_in_a_title_comes_back_as_text(client: httpx.Client, films: Path) -> None:
    answer = send(client, films / "grey.avi", name="<img src=x onerror=alert(1)>.avi")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["video"]["title"] == "<img src=x onerror=alert(1)>.avi"


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    for address in ("/", "/static/style.css", "/model", "/nowhere", "/docs", "/docs.json", "/metrics", "/predict_file"):
        answer = client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_no_cors_even_if_asked(client: httpx.Client) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/predict_file", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("address", ["/", "/docs", "/static/style.css", "/static/page.js", "/static/docs.js"])
def test_pages_load_nothing_from_other_hosts(client: httpx.Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    loads = re.findall(r"""(?:src|href)=["']?(https?:)?//|@import|url\(["']?https?:""", answer.text)
    assert loads == []
    assert "<script>" not in answer.text


def test_the_document_names_every_call_and_the_key_where_one_is_needed(client: httpx.Client, locked: Server) -> None:
    document = client.get("/docs.json").json()
    assert {"/predict_file", "/predict_url", "/jobs", "/jobs/{job}/events", "/feedback", "/model"} <= set(
        document["paths"]
    )
    assert "security" not in str(document)
    with locked.client() as other:
        document = other.get("/docs.json").json()
        calls = [(path, method) for path, calls in document["paths"].items() for method in calls]
        for path, method in calls:
            needs_key = "security" in document["paths"][path][method]
            answer = other.request(method, path.replace("{job}", "x" * 22).replace("{number}", "0"))
            assert (answer.status_code == 401) == needs_key, (method, path)


@pytest.mark.parametrize(
    ("method", "address", "body", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "no_such_page"),
        ("GET", "/predict_file", {}, 405, "bad_request"),
        ("PUT", "/jobs", {}, 405, "bad_request"),
        ("POST", "/predict_file", {"content": b"video"}, 422, "bad_request"),
        ("POST", "/predict_file", {"data": {"video": "text"}}, 422, "bad_request"),
        ("POST", "/predict_file", {"files": {"film": b"x"}}, 422, "bad_request"),
        ("POST", "/predict_file", {"files": [("video", b"x"), ("video", b"y")]}, 422, "bad_request"),
        ("POST", "/predict_file", {"files": {"video": b""}}, 422, "empty"),
        ("POST", "/predict_file", {"files": {"video": b"no video"}}, 422, "not_a_video"),
        ("POST", "/predict_url", {"json": {}}, 422, "bad_request"),
        ("POST", "/predict_url", {"content": b"{"}, 422, "bad_request"),
        ("POST", "/predict_url", {"json": {"url": "https://example.com/"}}, 422, "not_youtube"),
        ("POST", "/predict_url", {"json": {"url": "http://127.0.0.1:1/"}}, 422, "not_youtube"),
        ("POST", "/jobs", {"json": {"url": "file:///etc/passwd"}}, 422, "not_youtube"),
        ("POST", "/jobs", {"content": b"[]"}, 422, "bad_request"),
        ("GET", f"/jobs/{'x' * 22}", {}, 404, "no_such_job"),
        ("GET", "/jobs/short", {}, 422, "bad_request"),
        ("GET", "/static/../api.py", {}, 404, "no_such_page"),
        ("GET", "/static/%2e%2e/api.py", {}, 404, "no_such_page"),
        ("GET", "/model/card", {}, 404, "no_model_card"),
        ("GET", "/samples/..%2f..%2fclassifier.json", {}, 404, None),
        ("POST", "/feedback", {"json": {"prediction_id": "?", "correct": True}}, 404, "no_such_prediction"),
        ("POST", "/feedback", {"content": b"x" * 70_000}, 413, "too_large"),
    ],
)
def test_refusals_say_why_and_what_to_do_next(
    client: httpx.Client, method: str, address: str, body: dict[str, object], status: int, code: str | None
) -> None:
    answer = client.request(method, address, **body)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "next_step"}
    assert all(error.values())
    assert code is None or error["code"] == code
    assert "Traceback" not in answer.text


def test_metrics_have_the_stages_and_bounded_labels(server: Server, client: httpx.Client, films: Path) -> None:
    send(client, films / "grey.avi")
    client.get("/secret-path")
    client.get("/static/style.css")
    client.request("BREW", "/model")
    text = client.get("/metrics").text
    for stage in ("upload", "decode", "model", "total"):
        assert f'actreel_stage_seconds_count{{stage="{stage}"}}' in text
    assert "secret" not in text
    assert "BREW" not in text
    assert 'route=""' not in text
    assert 'route="/predict_file",status="200"' in text
    assert "secret" not in server.log  # no digits, which sums of seconds have too


def test_the_log_has_one_line_per_request_without_titles_or_addresses(
    server: Server, client: httpx.Client, films: Path
) -> None:
    answer = send(client, films / "grey.avi", name="my private holiday.avi")
    client.post("/predict_url", json={"url": "https://example.com/my-private-link"})
    # A request is logged when its answer has been sent.
    (line,) = wait_for(lambda: [one for one in server.log.splitlines() if answer.headers["x-request-id"] in one])
    assert '"route": "/predict_file"' in line
    assert "private" not in server.log
