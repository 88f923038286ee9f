from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.errors import FileError
from actreel.teaching.network import Seen
from actreel.teaching.taught import COLUMNS, Taught


def test_lessons_come_back_from_their_file_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "taught.npz"
    rows = pd.DataFrame([("1.avi", "Öffnen", "g1", "ab"), ("2.avi", "nan", "clip 2", "cd")], columns=COLUMNS)
    seen = Seen(np.eye(2, 3, dtype=np.float32), np.ones((2, 4), dtype=np.float32))
    Taught("abc", rows, seen).save(file)
    found = Taught.load(file)
    assert (found.data_version, found.rows.to_dict("list")) == ("abc", rows.to_dict("list"))
    np.testing.assert_array_equal(found.seen.states, seen.states)
    np.testing.assert_array_equal(found.seen.embeddings, seen.embeddings)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FileError, match=r"taught\.npz"):
        Taught.load(file)
