"""Every module has its mirror in tests/, or a reason why it has none.

src/actreel/x/y.py is tested in tests/x/test_y.py, pipelines/x.py in tests/pipelines/test_x.py and serving/x/y.py in
tests/serving/x/test_y.py.
"""

from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = {"src/actreel": "tests", "pipelines": "tests/pipelines", "serving": "tests/serving"}

THE_STAGES_RUN = "a thin stage: tests/pipelines/test_pipeline.py runs it on real videos in a DVC repository of its own"
OVER_HTTP = "tested through the running service, over HTTP: "

WITHOUT_MIRROR = {
    "src/actreel/cli/experiments.py": "tests/experiments/test_crossval.py, test_tuning.py and test_compare.py run it",
    "src/actreel/cli/feedback.py": "tests/test_feedback.py exports through it",
    "src/actreel/cli/segments.py": "tests/labelling/test_importing.py imports through it",
    "src/actreel/cli/teach.py": "tests/teaching/test_draft.py teaches through it",
    "src/actreel/teaching/exporting.py": "tests/teaching/test_draft.py reads each file of a draft",
    "src/actreel/teaching/material.py": "tests/teaching/test_draft.py teaches with clips of each kind",
    "src/actreel/teaching/network.py": "tests/teaching/test_draft.py and tests/pipelines/test_teaching.py: both kinds",
    "src/actreel/tracking/lessons.py": "tests/teaching/test_draft.py reads the runs from a real store",
    "src/actreel/cli/saliency.py": "tests/evaluation/test_saliency.py draws through it",
    "src/actreel/inference/answers.py": "classes of fields",
    "src/actreel/drift/detect.py": "tests/cli/test_drift.py asks for drift of each kind, and of none",
    "src/actreel/drift/references.py": "tests/cli/test_drift.py compares with each reference, and where one is missing",
    "src/actreel/tracking/drifts.py": "tests/cli/test_drift.py reads the runs from a real store",
    "src/actreel/federation/forget.py": "tests/cli/test_federation.py forgets a group, and one that no file has",
    "src/actreel/federation/merge.py": "tests/cli/test_federation.py merges sites, and compares with all clips at once",
    "src/actreel/federation/registering.py": "tests/cli/test_federation.py registers, and reads what is registered",
    "src/actreel/federation/stats.py": "tests/cli/test_federation.py sums real clips, with names, hashes and noise",
    "src/actreel/errors.py": "class statements only; each error is tested where it is raised",
    "src/actreel/base/places.py": "constants; tests/tracking/test_store.py looks for the project's top",
    "src/actreel/quiet_keras.py": "tests/pipelines/test_pipeline.py reads what the stages print that import it",
    "src/actreel/experiments/leakage.py": "tests/experiments/test_crossval.py measures leakage on real clips",
    "src/actreel/training/data.py": "one class of fields",
    "src/actreel/training/graph_encoder.py": "tests/training/test_onnx_encoder.py exports with it",
    "src/actreel/training/encoding.py": "tests/dataset/test_cluster.py encodes with it, here and on a cluster",
    "src/actreel/training/folds.py": "tests/training/test_probes.py and test_held_out.py solve real clips by folds",
    "src/actreel/training/fitting.py": "tests/training/test_train.py and test_resume.py fit real networks with it",
    "src/actreel/base/served.py": "tests/serving/test_release.py serves from its folder and replaces what is served",
    "src/actreel/project/facts.py": "tests/project/test_status.py reads each fact",
    "src/actreel/project/findings.py": "one class of fields, and three ways to make it",
    "src/actreel/project/running.py": "tests/pipelines/test_repro.py holds DVC's locks",
    "src/actreel/youtube/errors.py": "tests/youtube/test_fetch.py and test_links.py cause each failure",
    "src/actreel/youtube/download.py": "the child process that tests/youtube/test_fetch.py runs with the real yt-dlp",
    "pipelines/evaluate.py": THE_STAGES_RUN,
    "pipelines/ingest.py": THE_STAGES_RUN,
    "pipelines/pose.py": "no stage: tests/training/pose/test_files.py fetches what it fetches",
    "serving/answers.py": OVER_HTTP + "tests/serving/test_api.py and test_openapi.py",
    "serving/callers.py": OVER_HTTP + "tests/serving/test_guard.py and tests/serving/camera/test_session.py",
    "serving/downloads.py": OVER_HTTP + "tests/serving/page/test_page.py and test_key.py send links and cancel them",
    "serving/metrics.py": OVER_HTTP + "tests/serving/test_api.py reads /metrics",
    "serving/on_device.py": OVER_HTTP + "tests/serving/routes/test_on_device.py",
    "serving/recognition.py": OVER_HTTP + "tests/serving/test_api.py and test_hostile.py",
    "serving/refusals.py": OVER_HTTP + "tests/serving/test_api.py asks for each refusal",
    "serving/routes/camera.py": OVER_HTTP + "tests/serving/camera/test_session.py",
    "serving/routes/model.py": OVER_HTTP + "tests/serving/test_api.py and tests/serving/page/test_page.py",
    "serving/routes/pages.py": OVER_HTTP + "tests/serving/test_api.py and test_guard.py",
    "serving/routes/predictions.py": OVER_HTTP + "tests/serving/test_api.py and test_hostile.py",
    "serving/teaching/answers.py": OVER_HTTP + "tests/serving/routes/test_teach.py",
    "serving/service.py": OVER_HTTP + "tests/pipelines/test_package.py serves the Bento",
}
"""Modules without a mirror, each with the reason: where its tests are, or why it needs none."""


def mirrors(root: Path) -> dict[str, str]:
    """The module and its mirror, for every module below `root` but the `__init__.py`, which only name public parts."""
    found = {}
    for folder, tests in FOLDERS.items():
        for module in sorted((root / folder).rglob("*.py")):
            if module.name != "__init__.py":
                below = module.relative_to(root / folder)
                found[module.relative_to(root).as_posix()] = (tests / below.parent / f"test_{below.name}").as_posix()
    return found


def faults(root: Path, without: dict[str, str]) -> list[str]:
    """What is wrong with the mirrors below `root`, one line each."""
    expected = mirrors(root)
    missing = [
        f"{module} has no {mirror}: write it, or add the module to WITHOUT_MIRROR with the reason"
        for module, mirror in expected.items()
        if not (root / mirror).exists() and module not in without
    ]
    stale = [f"{module} is gone: remove it from WITHOUT_MIRROR" for module in without if module not in expected]
    mirrored = [
        f"{module} has {expected[module]}: remove it from WITHOUT_MIRROR"
        for module in without
        if module in expected and (root / expected[module]).exists()
    ]
    return missing + stale + mirrored


def test_every_module_has_its_mirror_or_a_reason() -> None:
    assert faults(ROOT, WITHOUT_MIRROR) == []


@pytest.mark.parametrize("reason", WITHOUT_MIRROR.values())
def test_reasons_name_test_files_that_exist(reason: str) -> None:
    words = reason.replace(",", " ").replace(":", " ").split()
    folder = next((Path(word).parent for word in words if word.startswith("tests/") and word.endswith(".py")), Path())
    named = [Path(word) if "/" in word else folder / word for word in words if word.endswith(".py")]
    assert [path.as_posix() for path in named if not (ROOT / path).is_file()] == []


def test_a_missing_mirror_a_stale_reason_and_a_needless_reason_are_found(tmp_path: Path) -> None:
    for name in ("src/actreel/a/new.py", "serving/old.py", "tests/serving/test_old.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = faults(tmp_path, {"serving/old.py": "", "pipelines/gone.py": ""})
    assert [fault.split(" ")[0] for fault in found] == ["src/actreel/a/new.py", "pipelines/gone.py", "serving/old.py"]
