import json
import logging
from contextlib import suppress
from pathlib import Path

import pytest

from actreel.base.kept_warnings import REPAIRED, KeptWarning, keeping_warnings, kept_warnings
from actreel.errors import FileError

log = logging.getLogger("actreel.dataset.sources")


def test_our_own_warnings_are_kept_once_after_those_of_the_stage_before(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "reports" / "second.json"
    with keeping_warnings("ingest", first):
        log.warning("3 files are %s", "left out")
        log.info("nothing to worry about")
        logging.getLogger("urllib3").warning("not ours")
    with keeping_warnings("index", second, earlier=first):
        log.warning("挥手: 2 copies")
        log.warning("挥手: 2 copies")
        log.warning("a file was damaged, and is whole again", extra=REPAIRED)
    log.warning("after the stage")
    assert kept_warnings(second) == [
        KeptWarning("ingest", "3 files are left out"),
        KeptWarning("index", "挥手: 2 copies"),
    ]


def test_the_warnings_of_the_stage_before_are_read_before_the_work_begins(tmp_path: Path) -> None:
    with pytest.raises(FileError), keeping_warnings("index", tmp_path / "w.json", earlier=tmp_path / "missing.json"):
        pytest.fail("hours of work, and then no warnings to add to")


def test_a_stage_that_fails_keeps_nothing(tmp_path: Path) -> None:
    file = tmp_path / "warnings.json"
    with suppress(ValueError), keeping_warnings("index", file):
        log.warning("before it broke")
        raise ValueError("broken")
    assert not file.exists()
    assert not any("Collector" in type(handler).__name__ for handler in logging.getLogger().handlers)


@pytest.mark.parametrize("content", [None, "[{", json.dumps([{"stage": "index"}])])
def test_a_missing_or_damaged_file_is_named_with_the_command(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "warnings.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=r"warnings\.json.*dvc repro"):
        kept_warnings(file)
