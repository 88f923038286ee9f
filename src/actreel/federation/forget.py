"""Forgetting one group: its sums are taken away, and the model is solved from what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actreel.errors import MOST_NAMED, ModelError
from actreel.federation.site_file import Site
from actreel.federation.stats import hashed, read_salt


@dataclass(frozen=True)
class Forgotten:
    """What was taken away.

    Attributes:
        group: The group, as the files named it.
        clips: How many of its clips were summed.
        sites: The sites that left something of the group out, as they are called here.
        labels: Actions that nobody else shows, which the model no longer knows.
    """

    group: str
    clips: int
    sites: tuple[str, ...]
    labels: tuple[str, ...]


def without_group(sites: Sequence[Site], group: str, salt: Path) -> tuple[list[Site], Forgotten]:
    """The sites without a group's sums.

    Args:
        sites: The sites.
        group: Its name, or what the files have in place of it.
        salt: The file with the salt; it need not exist.

    Raises:
        ModelError: No file has the group by itself.
    """
    names = {group} | ({hashed(group, read_salt(salt))} if salt.exists() else set())
    found = sorted(names & {name for site in sites for name in site.groups})
    if not found:
        raise ModelError(_not_found(sites, group, salt))
    taken = [part for site in sites for part in site.parts if part.group in found]
    kept = [_without(site, set(found)) for site in sites]
    left = {part.action for site in kept for part in site.parts}
    lost = tuple(label for label in sites[0].about.labels if label not in left)
    labels = tuple(label for label in sites[0].about.labels if label in left)
    if len(labels) < 2:
        raise ModelError(
            f"A model needs 2 actions. Without '{group}', clips of {len(labels)} are left. Delete the model instead: "
            "see docs/federation.md"
        )
    remaining = [
        replace(site, about=site.about.model_copy(update={"labels": labels})) for site in kept if len(site.parts)
    ]
    clips = sum(part.clips for part in taken if not part.mirrored)
    touched = tuple(site.name for site in sites if set(found) & set(site.groups))
    return remaining, Forgotten(found[0], clips, touched, lost)


def _without(site: Site, groups: set[str]) -> Site:
    described = tuple(part for part in site.about.parts if part.group not in groups)
    about = site.about.model_copy(update={"parts": described})
    return replace(site, about=about, parts=tuple(part for part in site.parts if part.group not in groups))


def _not_found(sites: Sequence[Site], group: str, salt: Path) -> str:
    known = [name for site in sites for name in site.groups]
    first = ", ".join(f"'{name}'" for name in known[:MOST_NAMED])
    return (
        f"No site's file has the group '{group}', by its name or hashed with '{salt}'. They have {len(known)} groups: "
        f"{first}. The site that hashed the name has the salt: --salt FILE. Where a site counts as one group (--whole, "
        "--noise), it makes a new file from clips without the person, and all files are merged again."
    )


def what_remains(forgotten: Forgotten, model: str, older: Sequence[tuple[str, str, str]], into: Path) -> list[str]:
    """What may still hold the group, each with what to do.

    Args:
        forgotten: What was taken away.
        model: The name of the registered model.
        older: Number, run and MLflow's id of the files of each version that may know the group.
        into: The folder of the merged model.
    """
    lines = [
        f"the files that {_listed(forgotten.sites)} sent, wherever they were copied: delete them, and ask the sites to "
        "delete the clips and to send files without the group",
        "the clips themselves, and what was computed from them at the sites: rm -rf artifacts/crossval; where the "
        "pipeline ran on them too: rm -rf artifacts/videos artifacts/clips artifacts/features artifacts/kept && dvc gc "
        "--workspace --force",
    ]
    for version, run, files in older:
        delete = (
            f"import mlflow; c = mlflow.MlflowClient(); c.delete_model_version('{model}', '{version}'); "
            f"c.delete_logged_model('{files}'); c.delete_run('{run}')"
        )
        lines.append(
            f"version {version} of {model}: export MLFLOW_TRACKING_URI=${{MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}}; "
            f'python -c "{delete}" && mlflow gc --run-ids {run} '
            f"--logged-model-ids {files}"
        )
    lines += [
        f"a Bento or a server with an older version: make reload MODEL={model}, and bentoml list to find others",
        "versions that actreel teach made on the person's clips, whose taught.npz keeps what the last layer saw: "
        "actreel models list",
        f"copies and backups of {into}, of mlflow.db and of mlartifacts/",
    ]
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
