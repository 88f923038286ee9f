"""The Bento: what it contains, and that it serves from its exported folder, without BentoML's store."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bentoml
import grimp
import httpx
import mlflow
import psutil
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketNetworkError, connect_ws

from actreel.base.places import CHAMPION, MODEL, NOT_PACKAGED, REPORTS, VERDICT
from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier, ClassifierCard
from actreel.inference.model_folder import MODEL_CARD_FILE
from actreel.inference.on_device import runtime_files
from actreel.tracking import registry
from actreel.tracking.promotions import Promotion
from actreel.video.clips import load_clip
from pipelines import package
from pipelines.package import SERVED
from serving.bentoml_internals import WORKER_MODULE
from serving.camera.messages import HEADER
from tests.browser_runtime import add_stand_in
from tests.conftest import (
    ROOT,
    children_running,
    free_port,
    grey_frames,
    patience,
    write_model_folder,
    write_video_file,
)
from tests.pipelines.build_bento import LABELS, build_apart
from tests.serving.conftest import NO_CERTIFICATES, wait_for
from tests.warm_python import Started, warm_python

NUM_VISITORS = 2


def test_the_bento_holds_what_the_service_imports() -> None:
    graph = grimp.build_graph("actreel", "serving", cache_dir=None)
    modules = graph.find_descendants("serving")
    imported = {upstream for module in modules for upstream in graph.find_upstream_modules(module)}
    # yt-dlp's process is started by name, not imported.
    started = {"actreel.youtube.download"}
    rooms = {name.split(".")[1] for name in imported | started if name.startswith("actreel.")}
    folders = {room for room in rooms if (ROOT / "src" / "actreel" / room).is_dir()}
    assert folders | {f"{file}.py" for file in rooms - folders} | {"__init__.py"} == set(SERVED)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTREEL_")},
        "BENTOML_HOME": str(home / "store"),
        "BENTOML_DO_NOT_TRACK": "True",
        "ACTREEL_STATE_DIR": str(home / "state"),
        "ACTREEL_FEEDBACK_DIR": str(home / "feedback"),
        "ACTREEL_STATISTICS_DIR": str(home / "statistics"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }


@pytest.fixture(scope="module")
def video(home: Path) -> Path:
    return write_video_file(home / "grey.avi", grey_frames([128] * 20))


@pytest.fixture(scope="module")
def bento(home: Path, environment: dict[str, str], video: Path) -> Path:
    spec = ClipSpec(num_frames=8, height=32, width=32)
    model = write_model_folder(home / "model", spec, ("dark", "middle", "bright"), in_parts=True)
    card = ClassifierCard.model_validate_json((model / "classifier.json").read_text(encoding="utf-8"))
    card.model_copy(update={"clip_duration_s": 1.0}).save(model)
    (model / "model_card.html").write_text("<h1>About it</h1>", encoding="utf-8")
    add_stand_in(model)
    target = home / "artifacts" / "bento"
    queued = home / ".dvc" / "tmp" / "exps" / "copy"  # where DVC's queue runs a pipeline
    for part in ("pipelines", "serving", "src"):
        shutil.copytree(ROOT / part, queued / part)
    build_apart(queued, environment, model, video, target)
    return target


def test_without_a_champion_the_note_says_why_and_what_else_can_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, name)
    VERDICT.parent.mkdir()
    VERDICT.write_text(json.dumps({"promoted": False, "reason": "it may be guessing."}), encoding="utf-8")
    CHAMPION.write_text("null", encoding="utf-8")
    package.main([])
    note = NOT_PACKAGED.read_text(encoding="utf-8")
    assert note == "No model of the dataset 'demo' is champion: it may be guessing.\n"
    client = mlflow.MlflowClient()
    client.create_registered_model("actreel-mine")
    client.create_model_version("actreel-mine", source=str(tmp_path))
    registry.set_champion("actreel-mine", "1", None)
    package.main([])
    assert NOT_PACKAGED.read_text(encoding="utf-8") == (
        "No model of the dataset 'demo' is champion (make serve MODEL=actreel-mine serves another one): it may be "
        "guessing.\n"
    )
    VERDICT.write_text(json.dumps({"promoted": True, "reason": "it is right.", "champion": "3"}), encoding="utf-8")
    package.main([])
    said = NOT_PACKAGED.read_text(encoding="utf-8")
    assert "taken away since actreel-demo@3 got it" in said
    assert "actreel models promote actreel-demo@3 --reason" in said


def test_the_model_card_says_that_a_person_made_it_champion_and_why(tmp_path: Path) -> None:
    card = tmp_path / "model_card.html"
    card.write_text("<h1>Grey</h1><p>Good.</p>", encoding="utf-8")
    version = registry.ModelVersion.from_labels(LABELS)
    package.say_who_promoted(version, card)
    assert card.read_text(encoding="utf-8") == "<h1>Grey</h1><p>Good.</p>", "the rules did"
    promoted = Promotion("3", "2026-11-26T10:00:00.5+00:00", "hand", "<b>&", None)
    by_hand = registry.ModelVersion.from_labels(LABELS | dict([promoted.tag]))
    for version in (by_hand, registry.ModelVersion.from_labels(by_hand.labels)):  # from the registry, and as DVC has it
        card.write_text("<h1>Grey</h1><p>Good.</p>", encoding="utf-8")
        package.say_who_promoted(version, card)
        told = "<p><strong>This model was made champion by hand on 2026-11-26: &lt;b&gt;&amp;</strong></p>"
        assert card.read_text(encoding="utf-8") == f"<h1>Grey</h1>\n{told}<p>Good.</p>"
    package.say_who_promoted(version, tmp_path / "none.html")


def test_a_champion_of_another_registry_is_packaged_from_the_model_that_dvc_has_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    version = registry.ModelVersion.from_labels(LABELS)
    with pytest.raises(ModelError, match=r"does not hold 'actreel-grey' version 3.*MLFLOW_TRACKING_URI"):
        package.model_folder(version).__enter__()
    write_model_folder(MODEL, ClipSpec(num_frames=8, height=32, width=32), ("dark", "bright"))
    (MODEL / "model.onnx").chmod(0o444)  # as DVC protects what it links
    REPORTS.mkdir()
    (REPORTS / MODEL_CARD_FILE).write_text("<h1>About it</h1>", encoding="utf-8")
    with package.model_folder(version) as folder:
        assert ActionClassifier.load(folder).card.labels == ("dark", "bright")
        assert (folder / MODEL_CARD_FILE).read_text(encoding="utf-8") == "<h1>About it</h1>"
        (folder / "model.onnx").write_bytes(b"")
    assert (MODEL / "model.onnx").stat().st_size, "the folder is a copy"
    other = registry.ModelVersion.from_labels(LABELS | {"run_id": "another"})
    with pytest.raises(ModelError, match="artifacts/model is another model"):
        package.model_folder(other).__enter__()


@dataclass
class Served:
    """A running `bentoml serve`."""

    address: str
    pid: int

    @property
    def workers(self) -> dict[int, psutil.Process]:
        """Its workers by process id."""
        return {child.pid: child for child in children_running(self.pid, WORKER_MODULE)}

    def client(self) -> httpx.Client:
        """A client that waits for an answer for as long as a busy machine needs."""
        return httpx.Client(base_url=self.address, timeout=patience(30), verify=NO_CERTIFICATES)


@contextmanager
def served(
    command: list[str], folder: Path, environment: Mapping[str, str], log: Path, *, warm: bool = False
) -> Iterator[Served]:
    """Starts a server from a module and its arguments; a warm one and its workers are forks of `warm_python`."""
    port = free_port()
    arguments = [*command, "--host", "127.0.0.1", "--port", str(port)]
    process: subprocess.Popen[bytes] | Started
    with log.open("wb") as output:
        if warm:
            module, *others = arguments
            process = warm_python().start(module, others, folder, warm_python().added_to(environment), output.fileno())
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + patience(30)
        while process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{address}/readyz", verify=NO_CERTIFICATES).status_code == 200:
                    break
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield Served(address, process.pid)
    finally:
        with suppress(ProcessLookupError):  # it did not start
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(patience(15))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_nothing_that_trains_is_in_the_bento(bento: Path) -> None:
    assert {path.name for path in (bento / "src" / "actreel").iterdir()} == set(SERVED)
    locked = (bento / "env" / "python" / "requirements.txt").read_text(encoding="utf-8")
    for name in ("tensorflow", "mlflow", "dvc", "great-expectations", "pandas"):
        assert f"\n{name}==" not in locked
    assert "\nonnxruntime==" in locked


def test_the_network_is_in_the_bento_once(bento: Path) -> None:
    (card,) = (bento / "models").rglob("classifier.json")
    assert {path.name for path in card.parent.glob("*.onnx")} == {"encoder.onnx", "head.onnx"}


def test_what_browsers_run_the_network_with_is_in_the_bento(bento: Path) -> None:
    (card,) = (bento / "models").rglob("classifier.json")
    assert [file.read_bytes() for file in runtime_files(card.parent).values()] == [
        b"ort.wasm.bundle.min.mjs", b"ort-wasm-simd-threaded.wasm.gz",
    ]  # fmt: skip


def test_the_runtime_is_fetched_for_models_that_browsers_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr(package, "fetch_runtime", fetched.append)
    folder = write_model_folder(tmp_path / "model", ClipSpec(num_frames=8, height=32, width=32), ("dark", "bright"))
    card = ActionClassifier.load(folder).card
    package.add_runtime(folder, card)
    assert fetched == [folder / "onnxruntime-web"]
    package.add_runtime(folder, card.model_copy(update={"clip": card.clip.model_copy(update={"colour": "equalised"})}))
    assert len(fetched) == 1
    assert "visitors' browsers cannot run this model: clip.colour is 'equalised'" in caplog.text


def test_the_model_card_is_in_the_bento(bento: Path) -> None:
    (page,) = (bento / "models").rglob("model_card.html")
    assert page.read_text(encoding="utf-8") == "<h1>About it</h1>"


def through_the_camera(client: httpx.Client, address: str, video: Path, model: Path) -> tuple[dict[str, Any], bool]:
    """What a camera is answered that shows a video's clip, and whether a message of 2 MB ends the connection."""
    card = ActionClassifier.load(model).card
    with connect_ws(address, client) as session:
        for number, frame in enumerate(load_clip(video, card.clip)):
            header = HEADER.pack(number * 1000 / card.clip.num_frames, card.clip.width, card.clip.height)
            session.send_bytes(header + frame.tobytes())
            said = json.loads(session.receive_text(timeout=patience(10)))
        try:
            session.send_bytes(bytes(2**21))
            session.receive_text(timeout=patience(10))
        except (WebSocketDisconnect, WebSocketNetworkError):
            return said["answer"], True
    return said["answer"], False


@pytest.fixture(scope="module")
def exported(home: Path, bento: Path, environment: dict[str, str]) -> Iterator[Served]:
    """The Bento served from its folder: neither BentoML's store nor the repository's packages are there."""
    elsewhere = {**environment, "BENTOML_HOME": str(home / "empty")}
    elsewhere.pop("PYTHONPATH")
    with served(["bentoml", "serve", str(bento)], home, elsewhere, home / "bento.log") as server:
        yield server


def test_the_exported_bento_serves_without_its_store(home: Path, exported: Served, video: Path) -> None:
    server = exported
    with server.client() as client:
        assert 'actreel_stage_seconds_count{stage="model"} 1.0' in client.get("/metrics").text, "the model is warmed up"
        answer = client.post("/predict_file", files={"video": video.read_bytes()}).json()
        assert answer["label"] == "middle"
        assert (answer["model"]["name"], answer["model"]["version"]) == ("actreel-grey", "3")
        assert answer["model"]["bento"].startswith("grey-bento:")
        live, hung_up = through_the_camera(client, f"{server.address}/camera", video, home / "model")
        assert live["top"] == answer["top"], "the same frames give the same answer"
        assert hung_up, "a long message is cut off before the application sees it"
        film = write_video_file(home / "film.avi", grey_frames([5] * 70 + [128] * 30))
        answer = client.post("/predict_file", files={"video": film.read_bytes()}).json()
        classifier = ActionClassifier.load(home / "model", whole=True)
        seen = classifier.recognise(film)
        assert len(seen.segments) > 1
        for got, segment in zip(answer["segments"], seen.segments, strict=True):
            assert got["label"] == classifier.card.labels[segment.action]
            assert got["confidence"] == pytest.approx(segment.confidence, abs=1e-5)
        for got, scored in zip(answer["top"], classifier.ranked(seen.probabilities), strict=True):
            assert (got["label"], got["confidence"]) == (scored.label, pytest.approx(scored.confidence, abs=1e-5))
        with bentoml.SyncHTTPClient(server.address) as ours:
            again = ours.predict_file(video=film)
        assert (again["top"], again["segments"]) == (answer["top"], answer["segments"])
        card = client.get("/model").json()
        assert client.get(card["card"]).text == "<h1>About it</h1>"
        assert (card["metrics"], card["labels"]) == ({"accuracy": 0.875}, ["dark", "middle", "bright"])
        (sample,) = client.get("/samples").json()
        assert sample == {"name": "grey.avi", "label": "middle"}
        assert client.get(f"/samples/{sample['name']}").content == video.read_bytes()
        assert client.get("/livez").status_code == 200
        # A request is counted after its response is sent, which the next request may overtake.
        deadline = time.monotonic() + patience(5)
        while 'route="/samples/{name}"' not in (metrics := client.get("/metrics").text):
            assert time.monotonic() < deadline, metrics
            time.sleep(0.05)
        assert "bentoml_service" not in metrics, "BentoML's own metrics grow with every requested path"
    lines = (home / "bento.log").read_text(encoding="utf-8")
    assert '"route": "/predict_file"' in lines
    assert "GET /model" not in lines, "the server's own access log contains whole URLs"
    assert "Traceback" not in lines


def test_answered_requests_leave_no_memory_behind(exported: Served) -> None:
    (worker,) = exported.workers.values()
    with exported.client() as client:
        used = []
        for requests in (500, 1500):
            for _ in range(requests):
                assert client.get("/nowhere").status_code == 404
            used.append(worker.memory_full_info().uss / 1e6)
    assert used[1] - used[0] < 3, "2 kB a request"


@pytest.fixture(scope="module")
def newest(home: Path, bento: Path) -> str:
    """The tag of another project's model, which is the newest in the store that both share."""
    models = home / "store" / "models" / "actreel"
    (packaged,) = (folder for folder in models.iterdir() if folder.is_dir())
    other = Path(shutil.copytree(packaged, models / "newest"))
    for file, before, after in (
        ("model.yaml", packaged.name, "newest"),
        ("classifier.json", '"middle"', '"another project"'),
    ):
        text = (other / file).read_text(encoding="utf-8")
        (other / file).write_text(text.replace(before, after), encoding="utf-8")
    (models / "latest").write_text("newest", encoding="utf-8")
    return "actreel:newest"


@pytest.mark.parametrize("served_from", ["the source", "the store", "a plain build"])
def test_another_project_s_newer_model_in_the_store_is_not_served(
    home: Path, bento: Path, environment: dict[str, str], video: Path, newest: str, served_from: str
) -> None:
    (name,) = (folder for folder in (home / "store" / "bentos" / "grey-bento").iterdir() if folder.is_dir())
    what, folder = (
        (["serving.service:Actreel", "--working-dir", "."], home)
        if served_from == "the source"
        else ([f"grey-bento:{name.name}"], home / "store")
    )
    if served_from == "a plain build":
        for part in ("serving", "src", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, home / part)
        built = subprocess.run(
            [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
            cwd=home, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        what = re.findall(r"__tag__:(\S+)", built.stdout)
        # Only the Bento's own packages may be imported.
        environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    with (
        served(["bentoml", "serve", *what], folder, environment, home / "stored.log", warm=True) as server,
        server.client() as client,
    ):
        answer = client.post("/predict_file", files={"video": video.read_bytes()}).json()
    assert answer["label"] == "middle"
    assert answer["model"]["bento"] != newest


def test_from_source_a_missing_bento_and_a_missing_model_are_sentences(
    home: Path, bento: Path, environment: dict[str, str]
) -> None:
    def refused(folder: Path, **changes: str) -> str:
        command = [sys.executable, "-c", "import serving.service"]
        done = subprocess.run(command, cwd=folder, env=environment | changes, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    (home / "store").joinpath("empty").mkdir(exist_ok=True)
    nothing = refused(home / "store")
    assert nothing == f"error: There is no Bento in '{home}/store/artifacts/bento'. Build it with: make repro\n"
    gone = refused(home, BENTOML_HOME=str(home / "store" / "empty"))
    assert re.fullmatch(r"error: BentoML's store does not hold the model actreel:\w+ of .*: make serve\n", gone)
    misspelt = refused(home, ACTREEL_MAX_PIXEL="1000")
    assert misspelt.startswith("error: Unknown environment variable: ACTREEL_MAX_PIXEL.")


@dataclass
class Visitors:
    """Clients that send requests all the time, on a connection that stays open or on a new one for each request.

    Attributes:
        server: Whom they ask.
        video: What they send.
        answers: The labels, in the order in which the answers came.
        lost: What happened to requests without an answer.
        renewed: Set by the test when no old worker is left.
        late: The answers to requests that were sent after that.
    """

    server: Served
    video: bytes
    answers: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    renewed: threading.Event = field(default_factory=threading.Event)
    late: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _visit(self, keeps_connection: bool) -> None:
        client = self.server.client()
        while not self._stop.is_set():
            if not keeps_connection:
                client.close()
                client = self.server.client()
            try:
                late = self.renewed.is_set()
                answer = client.post("/predict_file", files={"video": self.video}).raise_for_status()
                label = answer.json()["label"]
                self.answers.append(label)
                if late:
                    self.late.append(label)
            except httpx.HTTPError as error:
                self.lost.append(repr(error))
            time.sleep(0.3)
        client.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._visit, args=(number % 2 == 0,)) for number in range(NUM_VISITORS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, label: str, times: int = 5) -> None:
        """Waits until this label was answered a few more times."""
        begin = len(self.answers)
        deadline = time.monotonic() + patience(30)
        while self.answers[begin:].count(label) < times:
            assert time.monotonic() < deadline, self.answers[-10:]
            time.sleep(0.05)


def test_a_killed_worker_comes_back_while_the_other_answers(
    home: Path, bento: Path, environment: dict[str, str], video: Path
) -> None:
    folders = home / "two" / "workers"
    two = {**environment, "ACTREEL_WORKERS": "2", "ACTREEL_STATE_DIR": str(home / "two")}
    with served(["bentoml", "serve", str(bento)], home, two, home / "two.log") as server:
        wait_for(lambda: len(list(folders.glob("*"))) == 2)  # both workers are up
        visitors = Visitors(server, video.read_bytes())
        with visitors.running():
            visitors.wait_for("middle")
            killed = next(iter(server.workers.values()))
            decoders = killed.children()
            killed.send_signal(signal.SIGKILL)
            visitors.wait_for("middle")
            deadline = time.monotonic() + patience(20)
            while len(server.workers) < 2 or killed.pid in server.workers or len(list(folders.glob("*"))) != 2:
                assert time.monotonic() < deadline, "the worker restarts, and the folder of the dead one is removed"
                time.sleep(0.1)
            visitors.wait_for("middle")
        # Requests on connections of the dead worker; one on a new connection must always be answered.
        assert len(visitors.lost) <= NUM_VISITORS
        # The last responses may be sent a moment before their files are deleted.
        wait_for(lambda: not [path for path in folders.glob("*/*") if path.name != "lock"])
        for decoder in decoders:
            decoder.wait(patience(3))


def renamed(bento: Path, target: Path) -> Path:
    """The Bento, as if built again at `target` with a champion that names its actions differently."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(bento, target)
    (card,) = target.rglob("classifier.json")
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace('"middle"', '"medium"'), encoding="utf-8")
    return target


def test_a_new_champion_takes_over_under_load(
    home: Path, bento: Path, environment: dict[str, str], video: Path
) -> None:
    packaged = Path(shutil.copytree(bento, home / "packaged"))
    # A relative home, as it is by default; on Python 3.12 and later the copies' paths are absolute all the same.
    serving_from = ["--bento", str(packaged), "--home", os.path.relpath(home / "live", ROOT)]
    renew = [sys.executable, "-m", "serving.release", "reload", *serving_from]
    live = {**environment, "ACTREEL_STATE_DIR": str(home / "live-state")}
    with served(["serving.release", "serve", *serving_from], ROOT, live, home / "live.log") as server:
        shutil.rmtree(packaged)  # as the pipeline does before it builds the next
        (worker,) = server.workers.values()
        (decoder,) = worker.children()
        decoder.suspend()  # so that its job takes long; other requests get another decoder
        with server.client() as client:
            job = client.post("/jobs", files={"video": video.read_bytes()}).json()["id"]
            wait_for(lambda: client.get(f"/jobs/{job}").json()["state"] != "queued")
        visitors = Visitors(server, video.read_bytes())
        with visitors.running():
            visitors.wait_for("middle")
            renamed(bento, packaged)
            (broken,) = packaged.rglob("head.onnx")
            whole = broken.read_bytes()
            broken.write_bytes(b"no model")
            refused = subprocess.run(renew, cwd=ROOT, env=live, capture_output=True, text=True, timeout=patience(60))
            assert refused.returncode == 1
            assert "The old Bento is still served." in refused.stderr
            broken.write_bytes(whole)
            with subprocess.Popen(renew, cwd=ROOT, env=live) as renewal:
                visitors.wait_for("medium")
                assert renewal.poll() is None, "the old worker is still draining"
                decoder.resume()
            assert renewal.returncode == 0
            visitors.renewed.set()
            assert server.workers.keys().isdisjoint({worker.pid})
            with server.client() as client:
                answer = client.get(f"/jobs/{job}").json()
                for address in ("/", "/static/page.js"):
                    assert client.get(address).status_code == 200, "the live copy's files are there"
            wait_for(lambda: len(visitors.late) >= 2 * NUM_VISITORS, 30)
        assert (answer["state"], answer["result"]["label"]) == ("done", "middle")
        assert visitors.lost == []
        assert set(visitors.answers) == {"middle", "medium"}
        assert set(visitors.late) == {"medium"}
        assert len(list((home / "live").glob("bento-*"))) == 1

    def left() -> list[int]:
        """The trial server and the service, which end after the process that started them."""
        return [process.pid for process in psutil.process_iter(["cmdline"]) if str(home / "live") in str(process.info)]

    wait_for(lambda: not left())
