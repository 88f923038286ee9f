"""Settings of the data: sections `dataset`, `clip`, `split` and `validate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from actreel.config.commands import exp_run
from actreel.config.section import Section, UserPath

DEMO_PATH = "src/actreel/dataset/demo"


def _pattern_with_group(pattern: str) -> str:
    try:
        named = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(
            f"'dataset.group_pattern' must be a regular expression. Received: '{pattern}': {error}"
        ) from error
    if "group" not in named:
        raise ValueError(
            f"'dataset.group_pattern' must have a group named 'group', as in '(?P<group>person\\d+)'. "
            f"Received: '{pattern}'"
        )
    return pattern


class DatasetParams(Section):
    """Section `dataset`: where the clips come from.

    Attributes:
        name: `demo` (rendered by Actreel), `ucf50` (its archive, or a folder unpacked from it) or `folder` (your own
            clips, one sub-folder per action).
        path: What DVC checks for changes: the folder of clips, UCF50's archive, or for the demo the code that renders
            it.
        group_pattern: Regular expression with a group named `group`, searched for in the path of each clip; its match
            is the clip's group. None takes groups from `groups.csv` and UCF-style file names only.
        demo_groups: Number of performers in the demo, at least 3.
        demo_clips: Clips of each action by each performer.
        seed: Seed of the demo.
    """

    name: Literal["demo", "ucf50", "folder"]
    path: UserPath
    group_pattern: Annotated[str, AfterValidator(_pattern_with_group)] | None
    demo_groups: int = Field(ge=3)
    demo_clips: int = Field(ge=1)
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _path_belongs_to_name(self) -> DatasetParams:
        if self.name == "demo" and self.path != DEMO_PATH:
            raise ValueError(
                f"dataset.name 'demo' renders its own clips, and takes no dataset.path. Received: '{self.path}'. For "
                f"your own clips, try: {exp_run({'dataset.name': 'folder', 'dataset.path': self.path})}. "
                "For the demo: git checkout params.yaml"
            )
        if self.name == "folder" and self.path == DEMO_PATH:
            raise ValueError(
                "dataset.name 'folder' needs dataset.path, a folder with one sub-folder per action. "
                f"Try: {exp_run({'dataset.name': 'folder', 'dataset.path': '/path/to/clips'})}"
            )
        if self.name == "ucf50" and self.path == DEMO_PATH:
            raise ValueError("dataset.name 'ucf50' needs dataset.path, the archive or its folder. Try: make ucf50")
        return self

    @property
    def own_folder(self) -> Path | None:
        """The user's own folder of clips, which messages name; None for the demo and UCF50."""
        return Path(self.path) if self.name == "folder" else None

    @property
    def label(self) -> str:
        """A short name that is safe in the names of registered models: `demo`, `ucf50` or the name of the folder.

        A folder that is called like a built-in dataset is `folder-demo`, so that its models never compete with those.
        """
        if self.name != "folder":
            return self.name
        name = re.sub(r"[^a-z0-9]+", "-", Path(self.path).name.lower()).strip("-") or "folder"
        return f"folder-{name}" if name in ("demo", "ucf50") else name


class ClipSpec(Section):
    """Section `clip`: how a video file becomes model input; saved with every model.

    Attributes:
        num_frames: Frames per clip, T: the middle frame of each of T equal parts of the video.
        height: Height in pixels after resizing.
        width: Width in pixels after resizing.
        fit: `stretch` resizes the whole frame and ignores its aspect ratio, as the LRCN project does; `center_crop`
            keeps the aspect ratio and crops two sides.
        colour: `rgb` as it is; `grey`: greyscale, three times; `equalised`: the contrast of the lightness is equalised
            in parts of the frame, up to a limit, against changes in lighting (CLAHE: Zuiderveld, "Contrast limited
            adaptive histogram equalization", Graphics Gems IV, 1994).
    """

    num_frames: int = Field(ge=1, le=1024)
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    fit: Literal["stretch", "center_crop"] = "stretch"  # the default is for models saved before there was a choice
    colour: Literal["rgb", "grey", "equalised"] = "rgb"  # as for fit

    @model_validator(mode="before")
    @classmethod
    def _without_sampling(cls, values: Any) -> Any:
        # classifier.json and params.yaml used to name a sampling, which could only be 'uniform'.
        if isinstance(values, dict) and values.get("sampling") == "uniform":
            return {key: value for key, value in values.items() if key != "sampling"}
        return values

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3), the shape of a clip."""
        return (self.num_frames, self.height, self.width, 3)


class SplitParams(Section):
    """Section `split`: how clips are held out.

    Attributes:
        protocol: `group_holdout`: no group is in two splits. `group_kfold`: tests on one of `folds` folds of groups.
            `logo`: tests on one group (UCF50's official 25 folds). `lists`: official lists name the clips. `random`:
            like `group_holdout`, but clips are shuffled within each action and groups leak into the test; only for
            comparison with papers that split at random, and never champion.
        val: Share of each action's clips for validation.
        test: Share of each action's clips for the test (`group_holdout` and `random`).
        folds: Number of folds of `group_kfold`.
        fold: The fold that `group_kfold` tests on, or the group that `logo` tests on; counts from 0.
        train_list: File with `<Action>/<clip>` lines for `lists`, in the format of UCF101.
        test_list: The same for the test.
        unknown: Actions to exclude from training; like the clips in the folder `_unknown`, their clips are for the
            model to reject.
        seed: Seed of the split.
    """

    protocol: Literal["group_holdout", "group_kfold", "logo", "lists", "random"]
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    fold: int = Field(ge=0)
    train_list: UserPath | None
    test_list: UserPath | None
    unknown: tuple[str, ...] = ()
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> SplitParams:
        if self.val + self.test >= 1:
            raise ValueError(f"split.val + split.test must be below 1. Received: {self.val} + {self.test}")
        if self.protocol == "lists" and not (self.train_list and self.test_list):
            raise ValueError(
                "split.protocol 'lists' needs split.train_list and split.test_list. Received: "
                f"{self.train_list} and {self.test_list}"
            )
        return self

    @property
    def leaky(self) -> bool:
        """Whether clips of one group can be both in train and in test, which makes the accuracy too high."""
        return self.protocol == "random"


class ValidateParams(Section):
    """Section `validate`: a clip outside these ranges stops the pipeline before extraction.

    Attributes:
        min_frames: Fewest frames that decode.
        max_duration_s: Longest duration in seconds.
        min_fps: Lowest frame rate in frames per second.
        max_fps: Highest frame rate in frames per second.
        min_side: Smallest width and height in pixels.
        min_clips: Fewest clips of an action.
        max_imbalance: Largest ratio of clips between the most and the least common action.
        max_unreadable: Largest share of clips that cannot be read; they are listed, and excluded from all splits.
        near_duplicate_bits: Two clips in different splits are reported as near-duplicates if the 64-bit hashes of
            their frames differ by at most this many bits on average.
    """

    min_frames: int = Field(ge=1)
    max_duration_s: float = Field(gt=0)
    min_fps: float = Field(gt=0)
    max_fps: float = Field(gt=0)
    min_side: int = Field(ge=1)
    min_clips: int = Field(ge=1)
    max_imbalance: float = Field(ge=1)
    max_unreadable: float = Field(ge=0, lt=1)
    near_duplicate_bits: int = Field(ge=0, le=64)
