"""A merged model's folder: solved, judged, described, registered and put through the gate."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from actreel.base.faults import reading
from actreel.config import IMAGENET, RIDGE, Params
from actreel.errors import FileError, ModelError
from actreel.evaluation import metrics
from actreel.evaluation.intervals import balanced_interval, interval_over_groups
from actreel.evaluation.model_card import METRICS as TITLES
from actreel.evaluation.model_card import REJECTION_METRICS, as_html, templates
from actreel.evaluation.promotion import Rival, decide
from actreel.federation.forget import Forgotten
from actreel.federation.merge import Merged, export_merged, merge
from actreel.federation.site_file import Site, read_site, write_site
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import MODEL_CARD_FILE, PUBLISHED_METRICS, SEEN_FILE, ModelFolder
from actreel.tracking import registry, runs

MODEL = "model"
SITES = "sites"
RECORD = "merge.json"
FORGOTTEN_TAG = "forgotten"
PROTOCOL = "group_kfold"


def publish(sites: Sequence[Site], params: Params, into: Path, forgotten: Forgotten | None = None) -> dict[str, Any]:
    """Solves the model of some sites, registers it, and lets the gate decide whether it becomes champion.

    Args:
        sites: Checked by `check_sites`.
        params: As from `sum_params` of the folder `into`, whose name is that of the registered model.
        into: The folder for the model, the sites' files and a record; replaced as a whole, in the end.
        forgotten: What was taken away since the version before.

    Returns:
        `model`, `version`, `promoted`, `reason`, `metrics`, `exact`, `sites`, `forgotten` and `into`.

    Raises:
        ModelError: The sites have too few groups or actions, or the alias has been moved meanwhile.
        FileError: The folder holds something else.
    """
    check_folder(into)
    label = params.dataset.label
    name = registry.registered_model(label)
    earlier = _forgotten_before(into)
    check_forgotten(sites, earlier)
    aside = into.with_name(f".part.{into.name}")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / SITES).mkdir(parents=True)
    kept = tuple(write_site(site.about, site.parts, aside / SITES / file) for site, file in _named(sites))
    merged = merge(kept, params)
    scores = scores_of(merged)
    with runs.parent_run(params, f"{label}: {len(kept)} sites", PROTOCOL, False, None) as run_id:
        folder = ModelFolder(aside / MODEL)
        provenance = Provenance(
            dataset=label, data_version=_digest_of(kept), run_id=run_id, git_commit=runs.git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        export_merged(merged, params, provenance, folder)
        gone = [*earlier, *([forgotten.group] if forgotten else [])]
        write_card(merged, scores, params, provenance, folder, forgotten)
        record = {
            "sites": [_about(merged, site) for site in kept], "forgotten": gone, "exact": merged.exact,
            "head": params.model.head, "penalty": merged.penalty, "metrics": scores,
        }  # fmt: skip
        (aside / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        decision = _register(name, aside, scores, provenance, gone)
        runs.log_metrics(scores)
        runs.log_network(params.model)
        runs.log_decision(decision)
        for file in (aside / RECORD, *folder.path.glob("model_card.*")):
            runs.log_file(file, "reports")
    if into.exists():
        shutil.rmtree(into)
    aside.rename(into)
    return {"model": name, "into": str(into), **decision, **record}


def check_folder(into: Path) -> None:
    """Checks that a folder is one of ours, or none.

    Raises:
        FileError: It holds something else.
    """
    if into.exists() and (not into.is_dir() or (any(into.iterdir()) and not (into / RECORD).is_file())):
        raise FileError(
            f"--into must name a new folder, or one that actreel merge made, which is replaced. Received: '{into}', "
            f"which has no {RECORD}."
        )


def check_forgotten(sites: Sequence[Site], gone: Sequence[str]) -> None:
    """Checks that no site's file brings back a group that was forgotten.

    Raises:
        ModelError: One does.
    """
    for site in sites:
        if back := sorted(set(gone) & set(site.groups)):
            raise ModelError(
                f"A group that was forgotten must not come back. Received: '{site.name}', which has '{back[0]}'. Ask "
                "the site for a file without it: actreel stats FOLDER --out FILE.npz. To start over with it: --into "
                "a new folder"
            )


def read_folder(into: Path) -> tuple[list[Site], str]:
    """The files of the sites whose model lies in a folder, and its head.

    Raises:
        FileError: It is no such folder, or a file is damaged.
    """
    with reading(into / RECORD, "Make it with: actreel merge FILE.npz... --into DIR"):
        record = json.loads((into / RECORD).read_text(encoding="utf-8"))
    head = str(record.get("head", RIDGE))  # written before there was another one
    return [read_site(file) for file in sorted((into / SITES).glob("*.npz"))], head


def _forgotten_before(into: Path) -> list[str]:
    record = into / RECORD
    return list(json.loads(record.read_text(encoding="utf-8"))["forgotten"]) if record.is_file() else []


def _named(sites: Sequence[Site]) -> list[tuple[Site, str]]:
    """Each site with a file name of its own: letters and digits of its name, and the start of its digest."""
    named = []
    for site in sites:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", site.name)[:60].strip("-") or "site"
        digest = site.sha256[:8]
        named.append((site, f"{plain.removesuffix(f'-{digest}')}.npz"))
    names = [file for _, file in named]
    return [
        (site, file if names.count(file) == 1 else f"{file.removesuffix('.npz')}-{site.sha256[:8]}.npz")
        for site, file in named
    ]


def _digest_of(sites: Sequence[Site]) -> str:
    return hashlib.sha256("\n".join(sorted(site.sha256 for site in sites)).encode()).hexdigest()[:12]


def _about(merged: Merged, site: Site) -> dict[str, Any]:
    noise = site.about.noise
    return {
        "name": site.name, "sha256": site.sha256, "clips": site.clips, "groups": len(site.groups),
        "noise": noise and noise.model_dump(), **_by_others(merged, site.name),
    }  # fmt: skip


def _by_others(merged: Merged, name: str) -> dict[str, float]:
    if "by_others" not in merged.answered:
        return {}
    right = merged.answered.loc[merged.answered["site"] == name, "by_others"].dropna()
    return {"by_others": float(right.mean())} if len(right) else {}


def scores_of(merged: Merged) -> dict[str, Any]:
    """The metrics of a merged model, by their names in reports/metrics.json where they are there too.

    `squared_error` is that of the held-out scores, `prior_error` that of answering each action's share.
    """
    table, labels = merged.answered, merged.labels
    targets = np.array([labels.index(action) for action in table["action"]])
    right = (table["action"] == table["predicted"]).to_numpy()
    low, high = interval_over_groups(right, table["group"])
    fair_low, fair_high = balanced_interval(right, table["action"], table["group"])
    shares = np.bincount(targets, minlength=len(labels)) / len(targets)
    limit = merged.rejection.max_distance
    known = merged.distances <= (np.inf if limit is None else limit)
    return {
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        **metrics.macro_scores(merged.probabilities, targets),
        "balanced_accuracy": metrics.balanced_accuracy(table["action"].tolist(), table["predicted"].tolist()),
        "balanced_accuracy_low": fair_low,
        "balanced_accuracy_high": fair_high,
        "balanced_chance": 1 / table["action"].nunique(),
        "chance": float(shares.max()),
        "calibration_error": metrics.calibration_error(merged.probabilities, targets),
        "true_accept_rate": float(known.mean()),
        "squared_error": merged.loss,
        "prior_error": float(1 - (shares**2).sum()),
        "protocol": PROTOCOL,
        "num_test_clips": len(table),
        "num_test_groups": int(table["group"].nunique()),
        "num_classes": len(labels),
    }


def write_card(
    merged: Merged, scores: Mapping[str, Any], params: Params, origin: Provenance, folder: ModelFolder,
    forgotten: Forgotten | None,
) -> None:  # fmt: skip
    """Writes the model card into the model folder, as Markdown and as HTML."""
    targets = np.array([merged.labels.index(action) for action in merged.answered["action"]])
    rows = [_about(merged, site) for site in merged.sites]
    for row in rows:
        row["by_others"] = f"{row['by_others']:.1%}" if "by_others" in row else ""
        noise = row["noise"]
        row["noise"] = f"epsilon {noise['epsilon']:g}, delta {noise['delta']:g}" if noise else "none"
    actions = metrics.per_class(merged.probabilities, merged.probabilities, targets, merged.labels)
    titled = {**TITLES, **REJECTION_METRICS}
    text = templates(Path(__file__).parent).get_template("card.md.jinja").render(
        network=params.model.title, labels=merged.labels, origin=origin, metrics=scores, sites=rows,
        by_others=len(rows) > 1, exact=merged.exact, noisy=any(site.about.noise for site in merged.sites),
        folds=len({*merged.answered["group"]}) if scores["num_test_groups"] < 5 else 5,
        forgotten=[_in_words(forgotten)] if forgotten else [],
        values=[(titled[key], f"{scores[key]:.1%}") for key in titled if key in scores],
        actions=actions.to_dict("records"),
        imagenet=params.model.weights == IMAGENET,
    )  # fmt: skip
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    folder.model_card.with_suffix(".md").write_text(text, encoding="utf-8")
    folder.model_card.write_text(as_html(text, folder.path), encoding="utf-8")


def _in_words(forgotten: Forgotten) -> str:
    lost = f"; nobody else shows {', '.join(forgotten.labels)}" if forgotten.labels else ""
    return f"the group {forgotten.group}, {forgotten.clips} clips of {', '.join(forgotten.sites)}{lost}."


def _register(
    name: str, aside: Path, scores: Mapping[str, Any], provenance: Provenance, gone: Sequence[str]
) -> dict[str, Any]:
    """Registers the model folder, and makes it champion if the gate lets it."""
    folder = ModelFolder(aside / MODEL)
    card = shutil.move(folder.model_card, aside / MODEL_CARD_FILE)  # the registry keeps it beside the model
    text = shutil.move(folder.model_card.with_suffix(".md"), Path(card).with_suffix(".md"))
    champion = registry.find_champion(name)
    rival = None if champion is None else _rival(champion, folder)
    tags = {key: f"{scores[key]:.6g}" for key in PUBLISHED_METRICS if key in scores}
    tags |= {"trained_at": provenance.trained_at, "protocol": PROTOCOL, "sites": _digest_of_record(aside)}
    tags |= {FORGOTTEN_TAG: json.dumps(list(gone))}
    version = registry.register(name, folder.path, tags, model_card=Path(card))
    for page in (card, text):
        shutil.move(page, folder.path)
    decision = decide(scores, rival, name=name, version=version, leaky=False)
    if decision.promoted:
        registry.set_champion(name, version, champion.version if champion else None, reason=decision.reason)
    holder = version if decision.promoted else champion and champion.version
    return {"version": version, "promoted": decision.promoted, "reason": decision.reason, "champion": holder}


def _rival(champion: registry.ModelVersion, folder: ModelFolder) -> Rival:
    """The champion, which has learned clips of these sites, so it cannot be compared on them."""
    with champion.folder() as theirs:
        seen = (theirs / SEEN_FILE).read_text(encoding="utf-8").split()
    return Rival(champion.version, None, more_clips=len(folder.seen_clips.read_text().split()) - len(seen))


def _digest_of_record(aside: Path) -> str:
    """Which sites, as a tag: names and the starts of their files' digests."""
    sites = json.loads((aside / RECORD).read_text(encoding="utf-8"))["sites"]
    return ", ".join(f"{site['name']} {site['sha256'][:12]}" for site in sites)[:4000]


def versions_that_may_know(name: str, group: str, but: str) -> list[tuple[str, str, str]]:
    """Number, run and MLflow's id of the files of each version that has not forgotten a group, but for one version."""
    found = []
    for version in registry.versions(name):
        gone = json.loads(version.tags.get(FORGOTTEN_TAG, "[]"))
        if group not in gone and version.version != but:
            found.append((version.version, version.run_id, registry.logged_model(version)))
    return found
