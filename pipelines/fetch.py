"""fetch: UCF50's page ▸ data/UCF50.rar, as described in data.dvc.

`dvc repro` can download the archive itself, but this can resume, and supplies a certificate that is missing from the
host's chain. The result is the same: the file, and its md5 in data.dvc.
"""

import argparse
from pathlib import Path

import yaml

from actreel.base.console import exit_cleanly
from actreel.base.places import PARAMS
from actreel.dataset.fetch.adopt import adopt
from actreel.dataset.fetch.download import download
from actreel.dataset.fetch.dvc_internals import edit_params, record_import
from actreel.errors import ConfigError

IMPORT = Path("data.dvc")


def main(arguments: list[str] | None = None) -> None:
    """Gets UCF50's archive from its page, from a mirror, or from a file or folder that you have; prints its path."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.fetch", description=main.__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--url", help="a mirror (default: the address in data.dvc)")
    source.add_argument("--adopt", type=Path, metavar="PATH", help="the archive, or a folder unpacked from it")
    parser.add_argument("--select", action="store_true", help="set params.yaml to train on it")
    options = parser.parse_args(arguments)
    own: Path | None = options.adopt and options.adopt.expanduser()
    path = own.resolve() if own and own.is_dir() else fetch(options.url, own)
    if options.select:
        edit_params(PARAMS, {"dataset": {"name": "ucf50", "path": str(path)}})
    print(path)


def fetch(url: str | None, own: Path | None) -> Path:
    """Gets the archive described in data.dvc, and records its md5 there.

    Args:
        url: A mirror, or None for the address in data.dvc.
        own: The user's own copy of the archive, or None.

    Returns:
        The path of the archive.

    Raises:
        FetchError: The archive is not the expected one, or cannot be downloaded.
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
    record_import(IMPORT)
    return target


if __name__ == "__main__":
    exit_cleanly(main)
