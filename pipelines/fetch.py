"""fetch: UCF50's page ▸ data/UCF50.rar, as data.dvc describes it.

Where `dvc repro` would import the archive itself, this resumes, and mends the host's certificate chain. The outcome is
the same: the file, and its md5 in data.dvc.
"""

import argparse
from pathlib import Path

import yaml
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from actreel.console import exit_cleanly
from actreel.dataset.fetch.download import adopt, download
from actreel.errors import ConfigError

IMPORT = Path("data.dvc")


def main(arguments: list[str] | None = None) -> None:
    """Brings the archive in, from its page, from a mirror or from where the user has it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.fetch", description=main.__doc__)
    parser.add_argument("--url", help="a mirror (default: the address in data.dvc)")
    parser.add_argument("--adopt", type=Path, metavar="PATH", help="the archive, or a folder unpacked from it")
    parser.add_argument("--select", action="store_true", help="set params.yaml to learn from it")
    options = parser.parse_args(arguments)
    own: Path | None = options.adopt
    path = own.resolve() if own and own.is_dir() else fetch(options.url, own)
    if options.select:
        select(path)
    print(path)


def fetch(url: str | None, own: Path | None) -> Path:
    """Brings in the archive that data.dvc describes, and records its md5 there; gives its path.

    Args:
        url: A mirror, or None for the address in data.dvc.
        own: The user's own copy of the archive, or None.

    Raises:
        FetchError: It is another file, or it cannot be had.
    """
    try:
        described = yaml.safe_load(IMPORT.read_text(encoding="utf-8"))
        address, out = described["deps"][0]["path"], described["outs"][0]
        target = Path(out["path"])
    except (OSError, yaml.YAMLError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{IMPORT} must describe the archive. Received: {error!r}. Try: git checkout {IMPORT}"
        ) from error
    if own:
        adopt(own, target, size=out.get("size"), md5=out.get("md5"))
    else:
        download(url or address, target, size=out.get("size"), md5=out.get("md5"))
    record()
    return target


def record() -> None:
    """Writes the archive's md5 into data.dvc, so that DVC takes the import for done.

    `dvc commit` would ask the server for its headers, and fails where DVC's own HTTP client cannot reach it.
    """
    with Repo() as repo:
        (stage,) = repo.stage.load_file(str(IMPORT))
        (out,) = stage.outs
        with repo.lock:
            out.save()
            stage.md5 = stage.compute_md5()
            stage.dump()


def select(path: Path) -> None:
    """Sets params.yaml to UCF50 and keeps its comments.

    `dvc exp run -S` does this too, but killed it leaves git's index locked, and the next run fails.
    """
    with modify_yaml("params.yaml") as params:
        params["dataset"] |= {"name": "ucf50", "path": str(path)}


if __name__ == "__main__":
    exit_cleanly(main)
