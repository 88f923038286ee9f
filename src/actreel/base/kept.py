"""What a stage keeps between its runs, outside of DVC's outputs.

DVC removes a stage's outputs before it runs the stage. With `persist: true` it leaves them, but then it never brings
them back from its run cache. So a stage that continues after an interruption works in a folder that DVC does not know,
and its output gets the files when they are complete.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from actreel.base.atomic import temporary_name
from actreel.base.places import KEPT


def kept_folder(output: Path) -> Path:
    """The folder that a stage works in until its output is complete."""
    return KEPT / output.name


def publish(output: Path, *, keep: bool) -> None:
    """Replaces an output by the files of its kept folder.

    Args:
        output: The output, a folder.
        keep: Whether the next run starts from these files; the output then holds hard links to them, so they may be
            replaced or removed, but never written to. Otherwise they are moved.
    """
    shutil.rmtree(output, ignore_errors=True)
    folder = kept_folder(output)
    if keep:
        shutil.copytree(folder, output, copy_function=_link)
    else:
        folder.rename(output)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def borrow(target: Path, shards: Iterable[Path]) -> None:
    """Links shards that other work has finished into a folder, where they need not be made again.

    A shard's name holds a digest of all that its content depends on: those that the folder does not need are removed by
    whoever writes it.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in shards:
        with suppress(OSError):  # it is there, has gone by now, or cannot be linked: then it is made
            os.link(file, target / file.name)


def share(output: Path) -> None:
    """Makes the kept shards take no space: they become hard links to those of the output.

    DVC replaces an output's links by copies when the stage has ended, so the stage that reads the output calls this.
    """
    for file in output.glob("*.npy"):  # a shard's name holds a digest of its content
        kept = kept_folder(output) / file.name
        if kept.exists() and not kept.samefile(file) and kept.stat().st_size == file.stat().st_size:
            aside = temporary_name(kept)
            aside.unlink(missing_ok=True)
            try:
                os.link(file, aside)
            except OSError:  # a file system without hard links
                return
            aside.replace(kept)
