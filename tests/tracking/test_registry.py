from pathlib import Path

import mlflow
import pandas as pd

from actreel.config import ClipSpec, Params
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
        folder = model_folder(project / "model", spec)
        version = registry.register("actreel-grey", folder, {"accuracy": "0.9"}, model_card=page)
    assert registry.find_champion("actreel-grey") is None  # registered, but not made champion
    registry.set_champion("actreel-grey", version)
    champion = registry.find_champion("actreel-grey")
    assert champion == registry.Champion("actreel-grey", version, run_id)
    with champion.folder() as folder:
        files = {path.name for path in folder.iterdir()}
        assert files == {"model.onnx", "classifier.json", SEEN_FILE, "model_card.html"}

    video = write_video_file(project / "video.avi", grey_frames([250] * 4))
    served = mlflow.pyfunc.load_model("models:/actreel-grey@champion")
    (answer,) = served.predict([str(video)])
    assert answer.label == "bright"
    assert answer.confidence > 0.9
