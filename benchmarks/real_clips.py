"""The real clips that benchmarks learn from, and how each is cross-validated."""

from dataclasses import dataclass
from pathlib import Path

from actreel.errors import DatasetError

DEFAULT = Path("../shared/real-clips")
"""The folder of all of them; it is no part of the repository."""


@dataclass(frozen=True)
class RealClips:
    """A folder of clips, or some of its actions.

    Attributes:
        name: How it is called.
        folder: Its name among the others.
        actions: Its actions; all if empty.
        folds: Its folds of groups; None leaves one group out at a time.
    """

    name: str
    folder: str
    actions: tuple[str, ...]
    folds: int | None

    def at_hand(self, clips: Path, work: Path) -> Path:
        """The folder to learn from: with links to the chosen actions, below `work`, if these are not all.

        Raises:
            DatasetError: The clips are not there.
        """
        source = clips / self.folder
        missing = [str(path) for path in (source / action for action in self.actions or ("",)) if not path.is_dir()]
        if missing:
            raise DatasetError(f"There is no folder {', '.join(missing)}. Name the parent with --clips FOLDER")
        if not self.actions:
            return source.resolve()
        chosen = work / self.name
        chosen.mkdir(parents=True, exist_ok=True)
        for action in self.actions:
            if not (chosen / action).exists():
                (chosen / action).symlink_to((source / action).resolve())
        return chosen.resolve()


REAL_CLIPS = (
    RealClips("weizmann", "weizmann", (), None),
    RealClips("yoyo_punch", "ucf", ("YoYo", "Punch"), 5),
)
