import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from actreel.base.places import DVC_LOCK, MODEL
from actreel.config import ClipSpec
from actreel.errors import ConfigError, ModelError, VideoError
from actreel.project import libraries
from actreel.tracking import registry
from actreel.video import clips
from tests.conftest import write_model_folder

SMALL = ClipSpec(num_frames=4, height=32, width=32)


def test_every_common_codec_has_a_film_and_a_codec_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {file.name for file in libraries.CLIPS.iterdir()} == libraries.CODECS.keys()
    assert libraries.codecs().ok
    real = clips.load_clip

    def load(path: Path, spec: ClipSpec) -> object:
        if path.name in ("hevc.mp4", "av1.mp4"):
            raise VideoError("no decoder")
        frames = real(path, spec)
        return frames * 0 if path.name == "vp8.webm" else frames  # decoded to nothing

    monkeypatch.setattr(clips, "load_clip", load)
    found = libraries.codecs()
    assert (found.needed, found.said) == (True, "not decoded: HEVC, VP8, AV1")


def test_the_javascript_runtime_of_yt_dlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = libraries.youtube()
    assert found.ok, found
    assert "JavaScript: deno-2" in found.said
    real = subprocess.run

    def without(*arguments: object, **options: object) -> object:
        done = real(*arguments, **options)  # type: ignore[call-overload]
        done.stderr = "\n".join(
            "[debug] JS runtimes: none" if "JS runtimes" in line else line for line in done.stderr.splitlines()
        )
        return done

    monkeypatch.setattr(subprocess, "run", without)
    found = libraries.youtube()
    assert (found.needed, found.fix) == (True, "make youtube")
    monkeypatch.setattr(libraries, "find_spec", lambda _: None)
    assert not libraries.youtube().needed


def test_settings_with_a_mistake_are_an_error_of_ours(settings_folder: Path) -> None:
    assert libraries.settings().said == "params.yaml: dataset 'demo', small_cnn + lstm"
    (settings_folder / "params.yaml").write_text("dataset: {}", encoding="utf-8")
    with pytest.raises(ConfigError):
        libraries.settings()


def test_mlflow_s_store_new_whole_of_another_version_and_damaged(
    settings_folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert libraries.mlflow().ok
    assert not (settings_folder / "mlflow.db").exists()
    registry.connect()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert libraries.mlflow().said.endswith("mlflow.db: 0 registered models")
    other = shutil.copytree(settings_folder, tmp_path_factory.mktemp("other"), dirs_exist_ok=True)
    with closing(sqlite3.connect(other / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    monkeypatch.chdir(other)  # MLflow keeps a store that it has opened
    found = libraries.mlflow()
    assert (found.needed, found.fix) == (True, f"mlflow db upgrade sqlite:///{other / 'mlflow.db'}")
    assert "out-of-date database schema" in found.said
    monkeypatch.chdir(settings_folder)
    (settings_folder / "mlflow.db").write_bytes(b"nothing" * 100)
    found = libraries.mlflow()
    assert (found.needed, found.fix) == (True, "mv mlflow.db mlflow.db.damaged")


def test_dvc_with_its_cache_and_a_lock_file_that_is_cut_off(
    settings_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    assert libraries.dvc().said.endswith("; no run is in progress")
    DVC_LOCK.write_text("schema: '2.0'\nstages:\n  one:\n    cmd: [", encoding="utf-8")
    found = libraries.dvc()
    assert (found.needed, found.fix) == (True, "make repro")
    DVC_LOCK.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert libraries.dvc().needed


def test_a_model_answers_and_its_files_belong_together(settings_folder: Path) -> None:
    found = libraries.model()
    assert (found.ok, found.needed, found.fix) == (False, False, "make repro")
    write_model_folder(MODEL, SMALL, ("dark", "bright"), in_parts=True)
    assert libraries.model().said == f"{MODEL} knows 2 actions and answers, its files agree"
    other = write_model_folder(settings_folder / "other", SMALL, ("bright", "medium", "dark"), in_parts=True)
    shutil.copy(other / "head.onnx", MODEL)
    with pytest.raises(ModelError, match="belong together"):
        libraries.model()
    # Of the same shape, but another network's.
    write_model_folder(settings_folder / "same", SMALL, ("a", "b"), in_parts=True)
    shutil.copy(settings_folder / "same" / "head.onnx", MODEL)
    data = (MODEL / "head.onnx").read_bytes()
    (MODEL / "head.onnx").write_bytes(
        data.replace(b"\x00\x00\x20\xc2", b"\x00\x00\x20\xc1")
    )  # its sharpness: -40 to -10
    found = libraries.model()
    assert (found.needed, found.fix) == (True, "dvc repro --force train")
    assert "do not belong together: their answers differ by 0." in found.said
