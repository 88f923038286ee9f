"""What a model was taught after its training, in its folder: what the network makes of those clips, and no frames.

The clips of an earlier lesson are learned again with those of the next one. Their videos need not be kept for that,
since everything below the last layer stays the same from one lesson to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from actreel.base.faults import reading
from actreel.teaching.network import Seen

COLUMNS = ["clip", "action", "group", "sha256"]


@dataclass(frozen=True)
class Taught:
    """The clips of all lessons.

    Attributes:
        data_version: Of the clips that the model was trained on before the first lesson.
        rows: One a clip, with `COLUMNS`.
        seen: What the network makes of them.
    """

    data_version: str
    rows: pd.DataFrame
    seen: Seen

    def save(self, file: Path) -> None:
        """Writes them."""
        arrays: dict[str, Any] = {name: self.rows[name].to_numpy(dtype=str) for name in COLUMNS}
        with file.open("wb") as content:
            np.savez(content, data_version=self.data_version, **vars(self.seen), **arrays)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Reads them.

        Raises:
            FileError: The file is damaged.
        """
        remedy = "Teach the version before it again: actreel models list"
        # Opened here: numpy leaves a damaged file open.
        with reading(file, remedy), file.open("rb") as opened, np.load(opened) as content:
            rows = pd.DataFrame({name: content[name].astype(object) for name in COLUMNS})
            return cls(str(content["data_version"]), rows, Seen(content["states"], content["embeddings"]))
