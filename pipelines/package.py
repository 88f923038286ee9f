"""package: the champion of MLflow's registry ▸ BentoML's store and artifacts/bento."""

import json
import os
import shutil

from actreel import tracking
from actreel.classifier import CARD_FILE, ONNX_FILE, ActionClassifier
from actreel.config import load_params
from actreel.errors import exit_cleanly
from pipelines.places import BENTO, VERDICT

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

# What the service imports, and nothing that trains: a test holds this list against the import graph.
SERVED = ("__init__", "classifier", "clips", "config", "errors", "video")


def main() -> None:
    """Builds a Bento around the champion, if there is one."""
    params = load_params()
    verdict = json.loads(VERDICT.read_text(encoding="utf-8"))
    champion = tracking.find_champion(tracking.registered_model(params.dataset.label))
    shutil.rmtree(BENTO, ignore_errors=True)
    if champion is None:
        BENTO.mkdir(parents=True)
        (BENTO / "NOT_PACKAGED.txt").write_text(verdict["reason"] + "\n", encoding="utf-8")
        print(f"nothing is packaged, there is no champion: {verdict['reason']}")
        return

    name = params.package.name
    with champion.folder() as folder, bentoml.models.create(name, labels=champion.labels) as model:
        card = ActionClassifier.load(folder).card
        for file in (ONNX_FILE, CARD_FILE):
            shutil.copy(folder / file, model.path_of(file))
    bento = bentoml.bentos.build(
        "serving.service:Actreel",
        name=name,
        labels=champion.labels,
        models=[str(model.tag)],
        include=["serving/*.py", *(f"src/actreel/{module}.py" for module in SERVED)],
        python={"requirements_txt": "serving/requirements.lock", "lock_packages": False},
    )
    shutil.copytree(bento.path, BENTO)
    print(f"packaged {bento.tag}: {champion.registered_model} version {champion.version}, {len(card.labels)} actions")
    print("serve it: make serve")


if __name__ == "__main__":
    exit_cleanly(main)
