"""What is deleted from BentoML's store, in a store of its own: BentoML reads BENTOML_HOME once a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipelines.bento_store import KEPT
from tests.conftest import ROOT

FILL = """
import json, os, subprocess, sys, tempfile
from pathlib import Path
import bentoml
from actreel.base.places import BENTO, MODEL_TAG
from pipelines import bento_store

Path("svc.py").write_text("import bentoml\\n@bentoml.service\\nclass Svc: ...\\n")
number, kept = int(sys.argv[1]), {}

def make(labels, model=None):
    if model is None:
        with bentoml.models.create("actreel", labels=labels) as made:
            pass
        model = str(made.tag)
    built = bentoml.bentos.build(
        "svc:Svc", name="mine", labels=labels, models=[model], include=["svc.py"], build_ctx=".",
        python={"lock_packages": False},
    )
    return str(built.tag), model

own = bento_store.project_label()
made = {}
made["others"] = [make({"actreel_project": "another"}), make({})]
made["own"] = [make(own) for _ in range(number)]
made["borrowing"] = make({"actreel_project": "another"}, made["own"][2][1])
(BENTO / "src" / MODEL_TAG).parent.mkdir(parents=True)
(BENTO / "src" / MODEL_TAG).write_text(made["own"][1][1] + "\\n")
with subprocess.Popen([sys.executable, "-c", "input()", "serve", made["own"][0][0]], stdin=subprocess.PIPE) as server:
    bento_store.delete_old()
    made["while served"] = [str(bento.tag) for bento in bentoml.bentos.list()]
    made["models while served"] = [str(model.tag) for model in bentoml.models.list()]
    server.communicate(b"\\n")
bento_store.delete_old()
made["after"] = [str(bento.tag) for bento in bentoml.bentos.list()]
made["models after"] = [str(model.tag) for model in bentoml.models.list()]
print(json.dumps(made))
"""


def test_older_bentos_of_this_project_go_and_all_others_stay(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BENTOML_HOME": str(tmp_path / "store"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    (tmp_path / "project").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(KEPT + 4)],
        cwd=tmp_path / "project", env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    own = made["own"]
    others = [*made["others"], made["borrowing"]]
    newest = own[-KEPT:]
    assert set(made["while served"]) == {bento for bento, _ in [*others, *newest, own[0]]}
    assert set(made["after"]) == {bento for bento, _ in [*others, *newest]}
    # own[1]: of artifacts/bento; own[2]: another project's Bento needs it
    assert set(made["models while served"]) == {model for _, model in [*others, *newest, *own[:3]]}
    assert set(made["models after"]) == {model for _, model in [*others, *newest, own[1], own[2]]}
