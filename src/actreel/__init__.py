"""Actreel: human action recognition, reproducible from raw video to a served model."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("actreel")
except PackageNotFoundError:  # in a Bento, which carries the source without installing it
    __version__ = "unknown"
