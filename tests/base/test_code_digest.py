import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grimp
import pytest

from actreel.base import code_digest as module
from actreel.base.code_digest import TRAINING, code_digest

CODE = '''"""What it does."""

LIMIT = 3
"""How many."""


def double(number):
    """Twice the number."""
    # As everybody knows.
    return 2 * number
'''


@pytest.fixture
def digest_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Digests a package that holds `video/clips.py` with the given code, and `training/train.py`."""
    monkeypatch.setattr(module, "PACKAGE", tmp_path)

    def digest(code: str, *parts: str, packages: tuple[str, ...] = ()) -> str:
        for name, text in (("video/clips.py", code), ("training/train.py", "EPOCHS = 30\n")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        module._digest.cache_clear()
        return code_digest(*parts, packages=packages)

    return digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2 * number", "3 * number"),
        ("2 * number", "number * 2"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("LIMIT = 3", "LIMIT: int = 3"),
        ("number", "value"),
        ("(number)", "(number=1)"),
        ("(number)", "(*number)"),
        ("(number)", "(number: int)"),
        ("def double", "@print\ndef double"),
    ],
)
def test_another_code_gives_another_digest(digest_of: Callable[..., str], before: str, after: str) -> None:
    assert digest_of(CODE, "video") != digest_of(CODE.replace(before, after), "video")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Twice", "Two times"),
        ("How many", "As many"),
        ("# As everybody knows.\n", "\n"),
        ("2 * number", "(2  *  number)"),
        ("return 2 * number", "return (\n        2\n        * number\n    )"),
    ],
)
def test_words_and_layout_do_not_count(digest_of: Callable[..., str], before: str, after: str) -> None:
    assert digest_of(CODE, "video") == digest_of(CODE.replace(before, after), "video")


def test_every_process_gives_the_same_digest() -> None:
    command = [sys.executable, "-c", "from actreel.base.code_digest import *; print(code_digest('base'))"]
    digests = {
        subprocess.run(command, env=os.environ | changes, check=True, capture_output=True, text=True).stdout.strip()
        for changes in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "PYTHONOPTIMIZE": "2"})
    }
    assert digests == {code_digest("base")}


def test_only_the_parts_that_are_named_count(digest_of: Callable[..., str]) -> None:
    changed = CODE.replace("2 *", "3 *")
    assert digest_of(CODE, "training") == digest_of(changed, "training")
    assert digest_of(CODE, "training/train.py") == digest_of(changed, "training/train.py")
    assert digest_of(CODE) != digest_of(changed)


def test_a_library_counts_by_its_version(digest_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(CODE, "video", packages=("numpy",))
    assert before != digest_of(CODE, "video")
    monkeypatch.setattr(module, "version", lambda name: "0.0.1")
    assert before != digest_of(CODE, "video", packages=("numpy",))


def test_a_part_that_is_gone_is_an_error_and_not_the_digest_of_nothing() -> None:
    with pytest.raises(FileNotFoundError, match="'vidoe'"):
        code_digest("vidoe")


def test_a_training_is_known_by_all_code_that_it_imports() -> None:
    modules = grimp.build_graph("actreel", cache_dir=None).find_upstream_modules("actreel.training.train")
    rooms = {module.split(".")[1] for module in modules if "." in module} - {"base", "errors"}
    assert rooms == {part.removesuffix(".py") for part in TRAINING}
