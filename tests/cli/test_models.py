import json
from pathlib import Path

import mlflow
import pytest

from actreel.cli import main
from actreel.config import ClipSpec
from actreel.tracking import registry
from tests.tracking.test_registry import model_folder

NAME = "actreel-demo"
TAGS = {"accuracy": "0.875", "accuracy_low": "0.7", "accuracy_high": "0.95", "num_test_clips": "40",
        "num_test_groups": "8", "trained_at": "2026-11-26T10:00:00+00:00"}  # fmt: skip


def test_users_mistakes_are_sentences(settings_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, said, code in (
        ([], "There is no model registry here yet", 1),
        (["list"], "There is no model registry here yet", 1),
        (["rollback"], "There is no model registry here yet", 1),
        (["promote", "1", "--reason", "x"], "There is no model registry here yet", 1),
        (["promote", "1"], "--reason", 2),
    ):
        with pytest.raises(SystemExit) as end:
            main(["models", *command])
        said_now = f"{end.value.code} {capsys.readouterr().err}"
        assert said in said_now
        assert end.value.code == code or (code == 1 and isinstance(end.value.code, str))
    assert not (settings_folder / "mlflow.db").exists()


def test_a_version_is_promoted_listed_and_rolled_back(
    settings_folder: Path, spec: ClipSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model_folder(settings_folder / "stored" / "artifacts" / "model", spec)
    registry.connect()
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    run_id = "0123456789abcdef"
    for tags in (TAGS, {"accuracy": "0.5"}):  # the second as early versions registered
        client.create_model_version(NAME, (settings_folder / "stored").as_uri(), run_id, tags=tags)
    registry.set_champion(NAME, "1", None, reason="88 % of 40 test clips are right.")
    main(["models", "promote", "2", "--reason", "it sees more at night"])
    out = capsys.readouterr().out
    assert out.startswith(f"Version 2 of {NAME} is champion now, in place of version 1.\n")
    assert "make repro && make serve (or, while a server runs: make repro && make reload)" in out
    main(["models", "list"])
    title, header, second, first = capsys.readouterr().out.splitlines()
    assert title == f"{NAME}; * is champion"
    assert second.startswith("2*       unknown ")
    assert second.endswith(": it sees more at night")
    assert second.index(run_id[:8]) == header.index("run")
    assert first.startswith("1        87.5% (70.0% to 95.0%)  40 of 8 groups  2026-11-26T10:00  ")
    assert ": 88 % of 40 test clips are right." in first

    main(["models", "list", NAME, "--json"])
    newest, oldest = json.loads(capsys.readouterr().out)
    assert newest["champion"] is True
    assert newest["trained_at"] is None
    assert newest["registered_at"].startswith("20")
    main(["models", "--json"])
    assert json.loads(capsys.readouterr().out) == [newest, oldest]
    (promotion,) = newest["promotions"]
    assert (promotion["how"], promotion["instead_of"]) == ("hand", "1")
    assert (oldest["champion"], oldest["accuracy"], oldest["dataset"]) == (False, 0.875, "demo")

    main(["models", "rollback", "--reason", "false alarm", "--json"])
    done = json.loads(capsys.readouterr().out)
    assert (done["name"], done["version"], done["how"], done["reason"]) == (NAME, "1", "rollback", "false alarm")
    for wrong, said in ((f"{NAME}@7", "no version or alias '7'"), ("actreel-x@1", "holds no model 'actreel-x'")):
        with pytest.raises(SystemExit) as end:
            main(["models", "promote", wrong, "--reason", "x"])
        assert said in str(end.value.code)
