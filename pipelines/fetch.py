"""fetch: UCF50's page ▸ data/UCF50.rar, as data.dvc describes it; prints what dataset.path must be.

Where `dvc repro` would import the archive itself, this resumes, and mends the host's certificate chain. The outcome is
the same: the file, and its md5 in data.dvc.
"""

import argparse
from pathlib import Path

import yaml
from dvc.repo import Repo

from actreel.dataset.download import adopt, download
from actreel.errors import ConfigError, exit_cleanly

IMPORT = Path("data.dvc")


def main(arguments: list[str] | None = None) -> None:
    """Brings the archive in, from its page, from a mirror or from where the user has it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.fetch", description=main.__doc__)
    parser.add_argument("--url", help="a mirror (default: the address in data.dvc)")
    parser.add_argument("--adopt", type=Path, metavar="PATH", help="the archive, or a folder unpacked from it")
    options = parser.parse_args(arguments)
    if options.adopt and options.adopt.is_dir():
        print(options.adopt.resolve())
        return
    try:
        described = yaml.safe_load(IMPORT.read_text(encoding="utf-8"))
        url, out = described["deps"][0]["path"], described["outs"][0]
        target = Path(out["path"])
    except (OSError, yaml.YAMLError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{IMPORT} must describe the archive. Received: {error!r}. Try: git checkout {IMPORT}"
        ) from error
    if options.adopt:
        adopt(options.adopt, target, size=out.get("size"), md5=out.get("md5"))
    else:
        download(options.url or url, target, size=out.get("size"), md5=out.get("md5"))
    record(target)
    print(target)


def record(target: Path) -> None:
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


if __name__ == "__main__":
    exit_cleanly(main)
