import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from actreel.base.places import BENTO, NOT_PACKAGED, VERDICT
from actreel.errors import FileError
from pipelines.summary import closing_line

NEXT = "Next: make serve (or, while a server runs: make reload)"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The closing line of a project with this verdict and this version in its Bento."""
    monkeypatch.chdir(tmp_path)

    def line(packaged: str | None, by_hand: str | None = None, **verdict: Any) -> str:
        BENTO.mkdir(parents=True, exist_ok=True)
        VERDICT.parent.mkdir(exist_ok=True)
        VERDICT.write_text(json.dumps(verdict), encoding="utf-8")
        if packaged is None:
            NOT_PACKAGED.write_text("No model is champion: it may be guessing. Try: make learn\n", encoding="utf-8")
        else:
            labels = {"registered_model": "actreel-mine", "version": packaged}
            labels |= {"promoted_by_hand": by_hand} if by_hand else {}
            (BENTO / "bento.yaml").write_text(yaml.safe_dump({"labels": labels}), encoding="utf-8")
        return closing_line()

    return line


def test_a_new_champion(said: Any) -> None:
    line = said("3", promoted=True, reason="it is better.", version="3", champion="3")
    assert line == f"Ready to serve: actreel-mine version 3; it is better. {NEXT}"
    line = said("3", promoted=True, reason="it is the champion already.", champion="3")
    assert line == f"Ready to serve: actreel-mine version 3; it is the champion already. {NEXT}"


def test_a_model_that_does_not_take_over(said: Any) -> None:
    line = said("2", promoted=False, reason="undecided.", version="3", champion="2")
    assert (
        line == f"Ready to serve: actreel-mine version 2, the champion from before. Version 3 is not: undecided. {NEXT}"
    )


def test_a_champion_by_hand(said: Any) -> None:
    line = said("3", promoted=False, reason="undecided.", version="3", champion="2")
    assert line == f"Ready to serve: actreel-mine version 3; it was given the alias 'champion' by hand. {NEXT}"
    hand = "by hand on 2026-11-26: it sees more at night."
    line = said("3", hand, promoted=False, reason="undecided.", version="3", champion="2")
    assert line == f"Ready to serve: actreel-mine version 3, made champion {hand} {NEXT}"
    line = said("2", hand, promoted=True, reason="it is better.", version="3", champion="3")
    assert line == f"Ready to serve: actreel-mine version 2, made champion {hand} {NEXT}"
    line = said("2", promoted=True, reason="it is better.", version="3", champion="3")
    assert line == f"Ready to serve: actreel-mine version 2; it was given the alias 'champion' by hand. {NEXT}"


def test_no_champion(said: Any) -> None:
    line = said(None, promoted=False, reason="guessing", version="1", champion=None)
    assert line == "Nothing is served. No model is champion: it may be guessing. Try: make learn"


def test_before_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match="dvc repro"):
        closing_line()
