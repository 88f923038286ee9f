"""One thin file a stage, named as the stage: where things lie and what is logged; `actreel` knows how."""

import sys
from pathlib import Path

# The code beside this file, and not that of the folder which the environment was made for: a project may be a copy,
# as each one is that `dvc exp run --temp` works in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from actreel.base.console import explain_failed_imports

explain_failed_imports()
