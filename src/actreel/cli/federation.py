"""`actreel stats`, `merge` and `forget`: learning from clips in several places that stay there."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from actreel.base.places import GROUP_SALT
from actreel.cli.options import NO_SETTINGS, AsJson, Settings, file_argument, file_option

Salt = Annotated[Path, file_option("--salt", "what names of groups are hashed with; keep it secret", show_default=True)]


def _pair(text: str | None) -> str | None:
    """Checks `EPSILON,DELTA`."""
    try:
        epsilon, delta = map(float, (text or "1,0.5").split(","))
    except ValueError:
        epsilon = delta = -1.0
    if not (0 < epsilon <= 500 and 0 < delta < 1):
        raise typer.BadParameter(f"noise must be EPSILON,DELTA, as in 1,1e-5. Received: '{text}'")
    return text


def stats(
    folder: Annotated[Path, file_argument("FOLDER", "the folder with one sub-folder per action")],
    out: Annotated[Path, file_option("--out", "the file to write", "FILE.npz")],
    named: Annotated[bool, typer.Option("--named", help="tell the names of groups, instead of salted hashes")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="sum all groups as one; none can be forgotten later")] = False,
    noise: Annotated[
        str | None,
        typer.Option(metavar="EPSILON,DELTA", help="add Gaussian noise; implies --whole", callback=_pair),
    ] = None,
    norm: Annotated[
        float | None,
        typer.Option(metavar="LENGTH", min=1e-6, max=1e6, help="with --noise: cut features down to this length"),
    ] = None,
    salt: Salt = GROUP_SALT,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Sum a folder's clips up, for a model of several sites; the clips stay here.

    The file has counts, means and second moments of each group and action. What they reveal is in SECURITY.md.

    Examples:
        actreel stats /path/to/clips --out site.npz --set model.encoder=efficientnet_lite0
        actreel stats /path/to/clips --out site.npz --noise 1,1e-5 --norm 30 --json
    """
    from actreel.config import load_params, override
    from actreel.errors import ConfigError
    from actreel.federation.stats import Privacy, sum_params, write_statistics

    if (noise is None) != (norm is None):
        raise ConfigError("--noise and --norm belong together. Received: one of them.")
    if named and (whole or noise):
        raise ConfigError("--named tells names of groups, which --whole and --noise leave out. Received: both.")
    pair = None if noise is None else tuple(map(float, noise.split(",")))
    with contextlib.redirect_stdout(sys.stderr):
        params = sum_params(override(load_params(), settings), folder, settings)
        site = write_statistics(params, out, Privacy(named, whole, salt, pair, norm))  # type: ignore[arg-type]
    result = {
        "out": str(out), "sha256": site.sha256, "labels": list(site.about.labels), "groups": site.groups,
        "clips": site.clips, "features": site.features,
        "noise": site.about.noise and site.about.noise.model_dump(),
    }  # fmt: skip
    print(json.dumps(result) if as_json else _stats_as_text(result))


def _stats_as_text(result: dict[str, Any]) -> str:
    lines = [
        f"{result['out']}: {result['clips']} clips of {len(result['groups'])} groups, {len(result['labels'])} actions, "
        f"{result['features']} features a clip, sha256 {result['sha256']}"
    ]
    if noise := result["noise"]:
        lines.append(
            f"Noise: epsilon {noise['epsilon']:g}, delta {noise['delta']:g} for one group, sigma {noise['sigma']:.3g}. "
            "Each further file of the same clips adds its epsilon and delta to these."
        )
    else:
        lines.append("No noise: whoever has the file learns much of each clip. Read what, in SECURITY.md.")
    return "\n".join(lines)


def merge(
    files: Annotated[list[Path], file_argument("FILE.npz...", "what actreel stats wrote, one file a site")],
    into: Annotated[Path, file_option("--into", "folder for the model; its name is the registered model's", "DIR")],
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Make the model that the clips of all sites together would have given.

    It is judged on groups that are held out, registered, and champion if the gate lets it.

    Examples:
        actreel merge a.npz b.npz --into hospitals --set model.encoder=efficientnet_lite0
        actreel merge a.npz b.npz --into hospitals --json
    """
    from actreel.config import load_params, override
    from actreel.federation.merge import check_sites
    from actreel.federation.registering import publish
    from actreel.federation.site_file import read_site
    from actreel.federation.stats import sum_params

    with contextlib.redirect_stdout(sys.stderr):
        params = sum_params(override(load_params(), settings), into)
        sites = [read_site(file) for file in files]
        check_sites(sites, params)
        result = publish(sites, params, into)
    print(json.dumps(result) if as_json else _model_as_text(result))


def _model_as_text(result: dict[str, Any]) -> str:
    lines = []
    for site in result["sites"]:
        by_others = f"; the others' model is right on {site['by_others']:.1%}" if "by_others" in site else ""
        lines.append(f"{site['name']:20}  {site['clips']} clips of {site['groups']} groups{by_others}")
    metrics = result["metrics"]
    kind = "exact" if result["exact"] else "estimated on made-up clips with the same sums"
    lines += [
        f"accuracy {metrics['accuracy']:.1%} (95 %: {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}) "
        f"on {metrics['num_test_clips']} clips of held-out groups, {kind}",
        f"{result['model']} version {result['version']} is {'' if result['promoted'] else 'not '}champion: "
        f"{result['reason']}",
        f"Serve it: make serve MODEL={result['model']}@{result['version']}",
    ]
    return "\n".join(lines)


def forget(
    group: Annotated[str, typer.Option(metavar="PERSON", help="its name, or what the files have in place of it")],
    into: Annotated[Path, file_option("--into", "the folder that actreel merge made; it is replaced", "DIR")],
    salt: Salt = GROUP_SALT,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Make the merged model that never saw one group, and say what still holds the group.

    Its sums are taken away and the model is solved again: the same as without its clips.

    Examples:
        actreel forget --group person07 --into hospitals
        actreel forget --group group-0123456789abcdef --into hospitals --json
    """
    from actreel.config import load_params, override
    from actreel.federation.forget import what_remains, without_group
    from actreel.federation.merge import check_sites
    from actreel.federation.registering import publish, read_folder, versions_that_may_know
    from actreel.federation.stats import sum_params

    with contextlib.redirect_stdout(sys.stderr):
        merged, head = read_folder(into)
        params = sum_params(override(load_params(), settings), into, head=head)
        sites, forgotten = without_group(merged, group, salt)
        check_sites(sites, params)
        result = publish(sites, params, into, forgotten)
        older = versions_that_may_know(result["model"], forgotten.group, result["version"])
    remains = what_remains(forgotten, result["model"], older, into)
    if as_json:
        print(json.dumps(result | {"group": forgotten.group, "clips": forgotten.clips, "remains": remains}))
        return
    print(f"forgotten: {forgotten.group}, {forgotten.clips} clips of {', '.join(forgotten.sites)}")
    print(_model_as_text(result))
    print("What may still hold the group:")
    for line in remains:
        print(f"- {line}")
