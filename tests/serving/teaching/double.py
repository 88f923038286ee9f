"""`actreel` as the service runs it, without TensorFlow; tests/pipelines/test_teaching.py runs the real one.

As a module: `TeachingDouble` makes the project's folder. As a program: it answers as the commands do, from that folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRAFT = {
    "name": "actreel-grey", "version": "4", "base": "3", "run_id": "f" * 32,
    "table": [
        ["action", "taught", "held out", "before", "after (95 % for new groups)"],
        ["Keep still", "6 of 3 groups", "6 of 3 groups", "new", "100% (44% to 100%)"],
        ["TaiChi", "", "4 of 2 groups", "100% (36% to 100%)", "75% (20% to 98%)"],
    ],
    "notes": ["Intervals are wide where there are fewer than 10 groups.", "By the rules it would not be champion."],
    "try": "make try MODEL=actreel-grey@draft",
}  # fmt: skip


@dataclass(frozen=True)
class TeachingDouble:
    """A folder that passes for a project.

    Attributes:
        folder: The folder. While it holds no `answer`, teaching never ends.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> TeachingDouble:
        """Makes a project whose draft is `DRAFT`."""
        folder.mkdir(parents=True)
        (folder / "dvc.yaml").touch()
        double = cls(folder)
        double.answer(json.dumps(DRAFT))
        return double

    @property
    def program(self) -> tuple[str, ...]:
        """What takes the place of `serving.teaching.project.PROGRAM`."""
        return sys.executable, "-S", __file__

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The commands that were run: `words`, and the service's own `settings` that they saw."""
        return [json.loads(line) for line in (self.folder / "asked").read_text(encoding="utf-8").splitlines()]

    @property
    def process(self) -> int:
        """The process that teaches, once there is one; 0 before."""
        file = self.folder / "process"
        return int(file.read_text(encoding="utf-8")) if file.exists() else 0

    def answer(self, out: str, err: str = "") -> None:
        """Sets what teaching prints; with nothing on stdout, it fails."""
        aside = self.folder / "answer.aside"
        aside.write_text(json.dumps([out, err]), encoding="utf-8")
        aside.rename(self.folder / "answer")

    def never_answer(self) -> None:
        """Makes teaching last."""
        (self.folder / "answer").unlink()
        (self.folder / "process").unlink(missing_ok=True)


def main(words: list[str]) -> None:
    """Runs as a program."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("ACTREEL_")}
    with Path("asked").open("a", encoding="utf-8") as asked:
        asked.write(json.dumps({"words": words, "settings": settings}) + "\n")
    if words[0] == "feedback":
        while Path("held").exists():
            time.sleep(0.02)
        (Path(words[2]) / "Keep still").mkdir(parents=True)
        print("warning: feedback on 'b.avi' is left out: it is damaged", file=sys.stderr)
        print("{}")
    elif words[0] == "models":
        name, _, version = words[2].partition("@")
        print(json.dumps({"name": name, "version": version, "instead_of": "3", "how": "hand"}))
    else:
        Path("lesson").write_text("\n".join(path.name for path in Path(words[1]).iterdir()), encoding="utf-8")
        Path("aside").write_text(str(os.getpid()), encoding="utf-8")
        Path("aside").rename("process")
        while not Path("answer").exists():
            time.sleep(60)
        out, err = json.loads(Path("answer").read_text(encoding="utf-8"))
        print("encode: 2/2 clips", err, sep="\n", end="", file=sys.stderr)
        print(out)
        sys.exit(0 if out else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
