"""One thin file a stage, named as the stage: where things lie and what is logged; `actreel` knows how."""

from actreel.base.console import explain_failed_imports

explain_failed_imports()
