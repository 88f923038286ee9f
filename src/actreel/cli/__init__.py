"""The command line: `actreel predict clip.avi https://youtu.be/…`, `actreel crossval`, `actreel tune` and others.

Results go to stdout, everything else to stderr. What trains takes seconds to import and needs the extra `pipeline`, so
the functions of such commands import it themselves.
"""

from actreel.base.console import explain_failed_imports

explain_failed_imports()

from actreel.cli.program import main  # noqa: E402

__all__ = ["main"]
