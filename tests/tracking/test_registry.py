import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from actreel.config import ClipSpec, Params
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import SEEN_FILE, ModelFolder
from actreel.tracking import registry, runs
from tests.conftest import grey_frames, write_model_folder, write_video_file


def model_folder(path: Path, spec: ClipSpec) -> Path:
    folder = write_model_folder(path, spec, ("dark", "bright"))
    ModelFolder(folder).seen_clips.write_text("0\n", encoding="utf-8")
    return folder


def test_a_champion_is_registered_crowned_found_and_loaded(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec
) -> None:
    assert registry.find_champion("actreel-grey") is None
    with runs.training_run(params, params.split, index, "abc") as run_id:
        page = project / "reports" / "model_card.html"
        page.parent.mkdir()
        page.write_text("a page", encoding="utf-8")
        card = "# Grey\n\nIt knows dark and bright.\n\n## Evaluation\n\n90 %\n\n## Results by action\n\nmany"
        page.with_suffix(".md").write_text(card, encoding="utf-8")
        folder = model_folder(project / "model", spec)
        version = registry.register("actreel-grey", folder, {"accuracy": "0.9"}, model_card=page)
    assert registry.find_champion("actreel-grey") is None  # registered, but not made champion
    registry.set_champion("actreel-grey", version, None)
    champion = registry.find_champion("actreel-grey")
    assert champion == registry.ModelVersion("actreel-grey", version, run_id)
    stored = mlflow.MlflowClient().get_model_version("actreel-grey", version)
    usage, _, card = stored.description.partition("\n# ")
    assert 'load_model("models:/actreel-grey/1").predict(["wave.mp4"' in usage
    assert card == "Grey\n\nIt knows dark and bright.\n\n## Evaluation\n\n90 %\n"
    signature = mlflow.models.get_model_info("models:/actreel-grey/1").signature
    assert [column.type.name for column in signature.inputs] == ["string"]
    (answer,) = signature.outputs.to_dict()
    assert answer["properties"].keys() == {"label", "confidence", "known"}
    model = mlflow.pyfunc.load_model("models:/actreel-grey/1")
    (answer,) = model.predict(model.input_example)
    assert answer.label == "dark"
    with champion.folder() as folder:
        files = {path.name for path in folder.iterdir()}
        assert files == {"model.onnx", "classifier.json", SEEN_FILE, "model_card.html"}

    video = write_video_file(project / "video.avi", grey_frames([250] * 4))
    served = mlflow.pyfunc.load_model("models:/actreel-grey@champion")
    (answer,) = served.predict([str(video)])
    assert answer.label == "bright"
    assert answer.confidence > 0.9


def test_nothing_watches_what_threads_read_while_a_model_is_logged(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would walk through a set of these names while another thread adds to it."""
    original, watched = os._Environ.get, []
    load = ActionClassifier.load

    def loading(folder: Path) -> ActionClassifier:
        watched.append(os._Environ.get is not original)
        return load(folder)

    monkeypatch.setattr(ActionClassifier, "load", loading)
    with runs.training_run(params, params.split, index, "abc"):
        registry.register("actreel-grey", model_folder(project / "model", spec), {})
    assert watched
    assert not any(watched)


def test_versions_are_found_by_name_number_and_alias(project: Path) -> None:
    with pytest.raises(ModelError, match=r"mlflow.db holds no model 'actreel-grey'. It is empty.*make repro"):
        registry.find_version("actreel-grey")
    client = mlflow.MlflowClient()
    client.create_registered_model("actreel-grey")
    for _ in range(3):
        client.create_model_version("actreel-grey", source=str(project))
    with pytest.raises(ModelError, match=r"no alias 'champion'. Its newest version is 3, its aliases: none.*grey@3"):
        registry.find_version("actreel-grey")
    assert registry.champions() == []
    client.set_registered_model_alias("actreel-grey", "champion", "2")
    client.set_registered_model_alias("actreel-grey", "trial", "3")
    for asked, number in (("actreel-grey", "2"), ("actreel-grey@champion", "2"), ("actreel-grey@trial", "3"),
                          ("actreel-grey@1", "1")):  # fmt: skip
        assert registry.find_version(asked).version == number
    assert registry.champions() == ["actreel-grey"]
    for unknown in ("4", "best", "-1"):
        with pytest.raises(ModelError, match=rf"no version or alias '{unknown}'.* its aliases: champion, trial"):
            registry.find_version(f"actreel-grey@{unknown}")
    with pytest.raises(ModelError, match=r"no model 'grey'. It holds: actreel-grey"):
        registry.find_version("grey")


def test_a_version_that_was_deleted_is_a_sentence(project: Path) -> None:
    labels = {"registered_model": "actreel-grey", "version": "7", "run_id": "none", "accuracy": "0.9"}
    version = registry.ModelVersion.from_labels(labels)
    assert version.labels == labels
    with pytest.raises(ModelError, match=r"does not hold 'actreel-grey' version 7.*dvc repro"), version.folder():
        pass


@pytest.mark.parametrize(("believed", "words"), [(None, "no champion"), ("1", "version 1")])
def test_a_champion_that_another_process_made_meanwhile_is_not_overwritten(
    project: Path, believed: str | None, words: str
) -> None:
    registry.find_champion("actreel-grey")
    client = mlflow.MlflowClient()
    client.create_registered_model("actreel-grey")
    for _ in range(3):
        client.create_model_version("actreel-grey", source=str(project))
    registry.set_champion("actreel-grey", "2", None)
    with pytest.raises(ModelError, match=rf"version 3 was compared with {words}: it is version 2 now.*dvc repro"):
        registry.set_champion("actreel-grey", "3", believed)
    assert registry.find_version("actreel-grey").version == "2"
    registry.set_champion("actreel-grey", "3", "2")
    client.delete_registered_model_alias("actreel-grey", "champion")
    with pytest.raises(ModelError, match="it is no version now"):
        registry.set_champion("actreel-grey", "1", "3")


def test_of_two_processes_that_crown_at_once_one_is_told(project: Path) -> None:
    registry.find_champion("actreel-grey")
    client = mlflow.MlflowClient()
    client.create_registered_model("actreel-grey")
    for _ in range(2):
        client.create_model_version("actreel-grey", source=str(project))

    def crown(version: str) -> str:
        try:
            registry.set_champion("actreel-grey", version, None)
        except ModelError:
            return "told"
        return version

    with ThreadPoolExecutor(2) as pool:
        winner, loser = sorted(pool.map(crown, ("1", "2")))
    assert loser == "told"
    assert registry.find_version("actreel-grey").version == winner
