"""Two sites that share sums and no clips: from their folders to one registered model, and to one that forgets."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.cli import main
from actreel.config import LDA, RIDGE, SUM_PROBES, Params, load_params, override
from actreel.errors import ConfigError, ModelError
from actreel.federation.forget import without_group
from actreel.federation.merge import Merged, check_sites, merge
from actreel.federation.site_file import Site, read_site
from actreel.federation.stats import hashed, made_with, pool_folder, read_salt, sum_params
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import MODEL_CARD_FILE, ModelFolder
from actreel.models import PROBABILITIES, embedding_of
from actreel.tracking import registry
from actreel.training.data import TrainingData
from actreel.training.folds import Scored
from actreel.training.held_out import hold_out
from actreel.training.train import train
from tests.conftest import ROOT, EditCode, write_fading_dataset
from tests.training.onnx_files.files import image_encoder
from tests.warm_python import warm_python


@pytest.fixture(scope="module", autouse=True)
def _quick_stores(quick_stores: None) -> None:
    """New stores of MLflow are copies."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with clips of eight people, the same in two parts, an encoder, and a file of each."""
    folder = tmp_path_factory.mktemp("sites")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder / name)
    image_encoder(folder / "e.onnx")
    for clip in sorted(write_fading_dataset(folder / "all").rglob("*.avi")):
        part = folder / ("east" if int(clip.stem.split("_g")[1][:2]) <= 4 else "west") / clip.parent.name
        part.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, part)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        for name in ("all", "east", "west"):
            run("stats", name, "--out", f"{name}.npz", "--named")
    return folder


@pytest.fixture
def project(sites: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(sites)
    return sites


SETTINGS = [
    "clip.num_frames=8", "clip.height=12", "clip.width=16", "model.encoder=onnx", "model.weights=e.onnx",
    "train.mirror=true", "train.balance=true",
]  # fmt: skip


def run(*words: str) -> None:
    main([*words, *(word for setting in SETTINGS for word in ("--set", setting))])


def params_for(folder: Path, head: str = RIDGE) -> Params:
    return sum_params(override(load_params(), [*SETTINGS, f"model.head={head}"]), folder)


def merged(*sites: Site, into: Path, head: str = RIDGE) -> Merged:
    params = params_for(into, head)
    check_sites(sites, params)
    return merge(sites, params)


def weights(model: Merged) -> list[NDArray[np.float32]]:
    return list(model.model.get_weights())


def assert_same(first: Merged, second: Merged) -> None:
    """Weights, penalty, distances' whitening and centres are the same to 1e-6."""
    assert first.penalty == second.penalty
    for ours, theirs in zip(weights(first), weights(second), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=1e-6)
    some = np.random.default_rng(0).normal(0.3, 0.1, (5, 8)).astype(np.float32)
    ours, theirs = (model.rejection.statistics.distances(some) for model in (first, second))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("head", SUM_PROBES)
def test_sums_of_two_sites_give_the_model_of_all_clips(project: Path, head: str) -> None:
    east, west, every = (read_site(project / f"{name}.npz") for name in ("east", "west", "all"))
    assert (east.clips, west.clips, every.clips) == (16, 16, 32)
    both, one = (merged(*sites, into=project / "m", head=head) for sites in ((east, west), (every,)))
    assert_same(both, one)
    assert both.exact
    assert both.answered["by_others"].mean() > 0.8
    assert "by_others" not in one.answered

    # The pipeline's own training, on the clips themselves, without any file.
    params = params_for(project / "all", head)
    from actreel.dataset.layout import TRAIN, VAL
    from actreel.experiments.heldout import prepare

    index, inputs = prepare(params, Path("artifacts/crossval"))
    rows = {TRAIN: index[index["group"] < "g05"], VAL: index[index["group"] >= "g05"]}
    scored: Scored = {}
    labels, store = ["Brighten", "Darken"], inputs(params.clip)
    fitted, curve = train(params.model, params.train, store, rows, labels, scored=scored)
    statistics, held_out = hold_out(
        fitted, curve, params.model, params.train, TrainingData(index, rows, labels, store), Path("none"), scored
    )
    assert scored[params.model].by_penalty[scored[params.model].best]["loss"] == pytest.approx(both.loss, abs=1e-6)
    kernel, bias = fitted.get_layer(PROBABILITIES).get_weights()
    ours = [both.temperature * each for each in both.model.get_layer(PROBABILITIES).get_weights()]
    np.testing.assert_allclose(ours[0], kernel, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(ours[1], bias, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(np.sort(both.distances), np.sort(held_out.distances), rtol=1e-3)
    clips = store.take(index["clip"].tolist())
    some = np.asarray(embedding_of(fitted)(clips))
    np.testing.assert_allclose(
        both.rejection.statistics.distances(some), statistics.distances(some), rtol=1e-3, atol=1e-3
    )
    assert params.model.head == head


@pytest.mark.parametrize("head", SUM_PROBES)
def test_without_a_group_the_model_is_that_of_the_others_clips(project: Path, head: str) -> None:
    east, west = (read_site(project / f"{name}.npz") for name in ("east", "west"))
    left, forgotten = without_group([east, west], "g06", project / "no_salt")
    assert (forgotten.clips, forgotten.sites, forgotten.labels) == (4, ("west",), ())
    others = project / "others"
    shutil.copytree(project / "west", others, dirs_exist_ok=True)
    for clip in others.rglob("*_g06_*"):
        clip.unlink()
    run("stats", "others", "--out", "others.npz", "--named")
    ours, theirs = (
        merged(*sites, into=project / "m", head=head) for sites in (left, (east, read_site(project / "others.npz")))
    )
    assert_same(ours, theirs)
    with pytest.raises(ModelError, match=r"No site.s file has the group 'g06', by its name.*They have 7 groups: 'g01'"):
        without_group(left, "g06", project / "no_salt")


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("training/encoding.py", "intra_op_num_threads = 1", "intra_op_num_threads = 2"),
        (
            "training/joined_encoder.py",
            "frame_by_frame: ClassVar[bool] = True",
            "frame_by_frame: ClassVar[bool] = False",
        ),
        ("federation/parts.py", "return ", "return 1 + "),
    ],
)
def test_sites_with_other_code_differ(edit_code: EditCode, file: str, before: str, after: str) -> None:
    params = sum_params(override(load_params(ROOT / "params.yaml"), ["model.encoder=efficientnet_lite0"]), ROOT, [])
    made = made_with(params, 20)
    edit_code(file, before, after)
    assert made_with(params, 20) != made


def test_from_files_to_a_champion_and_to_its_successor_that_forgot(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("merge", "east.npz", "west.npz", "--into", "town", "--json", "--set", f"model.head={LDA}")
    first = json.loads(capsys.readouterr().out)
    assert (first["model"], first["version"], first["promoted"], first["exact"]) == ("actreel-town", "1", True, True)
    assert first["metrics"]["accuracy"] > 0.8
    assert [(site["name"], site["sha256"]) for site in first["sites"]] == [
        (name, read_site(project / f"{name}.npz").sha256) for name in ("east", "west")
    ]
    frames = np.random.default_rng(0).integers(0, 255, (2, 8, 12, 16, 3), dtype=np.uint8)
    champion = registry.find_version("actreel-town")
    with champion.folder() as folder:
        card = (folder / MODEL_CARD_FILE).read_text(encoding="utf-8")
        answers = [ActionClassifier.load(folder, whole=whole).score(frames) for whole in (False, True)]
        seen = ModelFolder(folder).seen_clips.read_text().split()
    assert len(seen) == 32
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=1e-5)
    assert champion.tags["sites"].startswith(f"east {first['sites'][0]['sha256'][:12]}, west")
    assert "Right, by the model of the other sites" in card
    assert "The accuracy is exact too" in card

    run("forget", "--group", "g06", "--into", "town", "--json")
    second = json.loads(capsys.readouterr().out)
    assert (second["version"], second["champion"], second["forgotten"]) == ("2", "2", ["g06"])
    assert (second["group"], second["clips"]) == ("g06", 4)
    assert (first["head"], second["head"]) == (LDA, LDA), "what forgets must be the model that was merged"
    told = "\n".join(second["remains"])
    assert "delete_model_version('actreel-town', '1')" in told
    assert champion.run_id in told
    with pytest.raises(SystemExit, match=r"must not come back\. Received: 'west', which has 'g06'"):
        run("merge", "east.npz", "west.npz", "--into", "town")
    (command,) = (line.partition(": ")[2] for line in second["remains"] if line.startswith("version 1 "))
    files = registry.logged_model(champion)
    assert list(Path("mlartifacts").rglob(f"{files}/**/head.onnx"))
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True, env=warm_python().added_to(os.environ))
    assert [version.version for version in registry.versions("actreel-town")] == ["2"]
    assert not [path for name in (files, champion.run_id) for path in Path("mlartifacts").glob(f"**/{name}/**/*.*")]
    with registry.find_version("actreel-town").folder() as folder:
        assert "Forgotten: the group g06, 4 clips of west" in (folder / MODEL_CARD_FILE).read_text(encoding="utf-8")
        left = ModelFolder(folder).seen_clips.read_text().split()
    assert len(left) == 28
    assert set(left) < set(seen)
    assert b"g06" not in b"".join(file.read_bytes() for file in Path("town/sites").iterdir())


def test_names_are_hashed_unless_they_are_asked_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("stats", "west", "--out", "hashed.npz", "--json")
    told = json.loads(capsys.readouterr().out)
    salt = project / "artifacts/group_salt"
    assert told["groups"] == sorted(hashed(f"g{number:02}", read_salt(salt)) for number in range(5, 9))
    assert salt.stat().st_mode & 0o777 == 0o600
    assert b"g06" not in (project / "hashed.npz").read_bytes()
    _, forgotten = without_group([read_site(project / "hashed.npz")], "g06", salt)
    assert forgotten.clips == 4
    run("stats", "west", "--out", "whole.npz", "--whole", "--json")
    whole = read_site(project / "whole.npz")
    assert [(part.action, part.mirrored, part.clips) for part in whole.parts] == [
        ("Brighten", False, 8), ("Darken", False, 8), ("Brighten", True, 8), ("Darken", True, 8)
    ]  # fmt: skip
    both = merged(whole, read_site(project / "east.npz"), into=project / "m")
    assert not both.exact
    run("stats", "west", "--out", "noisy.npz", "--noise", "500,0.5", "--norm", "3")
    assert "epsilon 500, delta 0.5 for one group" in capsys.readouterr().out
    noisy = read_site(project / "noisy.npz")
    assert noisy.about.clip_duration_s is None
    assert not any(part.seen for part in noisy.about.parts)
    assert not merged(noisy, read_site(project / "east.npz"), into=project / "m").exact
    with pytest.raises(ModelError, match="counts as one group"):
        merged(noisy, into=project / "m")


def test_sums_that_were_made_otherwise_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            run(*words)
        return str(end.value)

    main(["stats", "west", "--out", "large.npz", "--named", *flags(*SETTINGS, "clip.height=16")])
    said = refused("merge", "east.npz", "large.npz", "--into", "m")
    assert "'east' and 'large', which differ in height 12 and 16. Use the same params.yaml" in said
    assert "differ in height 16 and 12" in refused("merge", "large.npz", "--into", "m")
    assert "the same file twice" in refused("merge", "east.npz", "east.npz", "--into", "m")
    (project / "mine").mkdir()
    (project / "mine/file").touch()
    assert "which has no merge.json" in refused("merge", "east.npz", "west.npz", "--into", "mine")
    assert "Make it with: actreel merge" in refused("forget", "--group", "g01", "--into", "nowhere")
    assert "belong together" in refused("stats", "west", "--out", "x.npz", "--noise", "1,1e-5")
    with pytest.raises(ConfigError, match=r"need a frozen encoder.*--set model\.encoder=efficientnet_lite0"):
        sum_params(load_params(), project / "west")


def flags(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_other_labels_are_refused(project: Path) -> None:
    east, west = (read_site(project / f"{name}.npz") for name in ("east", "west"))
    changes: dict[str, Any] = {"labels": ("Brighten", "Darken", "Fly")}
    other = Site(west.name, west.sha256, west.about.model_copy(update=changes), west.parts)
    with pytest.raises(ModelError, match="labels, of which only one has 'Fly'"):
        check_sites([east, other], params_for(project / "m"))


def test_a_folder_is_pooled_with_its_mirrored_views_last(project: Path) -> None:
    clips, rows, labels, made = pool_folder(params_for(project / "west"))
    assert (len(clips.targets), clips.num_clips, len(rows)) == (32, 16, 16)
    assert (labels, made.steps, made.mirror) == (["Brighten", "Darken"], 8, True)
