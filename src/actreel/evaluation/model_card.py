"""The model card: one page for people about what a model is, how good it is and what it is not for.

Rendered from a template to Markdown, and from that to one HTML file that contains its plots and fetches nothing. It
goes with the model into the registry and the service (after Mitchell et al., "Model Cards for Model Reporting", FAT*
2019).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from actreel.config import (
    AUTO,
    IMAGENET,
    ONNX,
    POSE,
    PRETRAINED_ENCODERS,
    ModelParams,
    TrackSpec,
    picture_encoders,
    weights_of,
)
from actreel.evaluation import more_groups
from actreel.evaluation.intervals import FEW_GROUPS
from actreel.evaluation.paired import order_sentence
from actreel.evaluation.slices import Confusion
from actreel.inference.manifest import ClassifierCard, OnnxEncoder
from actreel.inference.model_folder import MODEL_CARD_FILE
from actreel.tracking.runs import short_commit

MAX_SLICES = 8

PROTOCOLS = {
    "group_holdout": "randomly drawn groups are held out",
    "group_kfold": "one of several parts of the groups is held out",
    "logo": "one group is held out",
    "lists": "the clips on official lists are held out",
    "random": "randomly drawn clips are held out, so clips of one group are on both sides of the split",
}
METRICS = {
    "accuracy": "Accuracy",
    "multi_clip_accuracy": "Accuracy, averaged over several samplings of each clip",
    "top5_accuracy": "Top-5 accuracy",
    "macro_precision": "Precision, mean over the actions",
    "macro_recall": "Recall, mean over the actions",
    "macro_f1": "F1, mean over the actions",
    "balanced_accuracy": "Balanced accuracy: the mean of the shares of each action's clips that are correct",
    "balanced_chance": "Balanced accuracy of guessing",
    "mean_pool_accuracy": "Accuracy of the order-blind baseline",
    "chance": "Chance: always the most common action",
}
REJECTION_METRICS = {
    "rejection_tar_at_5_far": "Known clips accepted at the limit that accepts 5 % of unknown clips",
    "true_accept_rate": "Known clips accepted at the model's limit",
    "false_accept_rate": "Unknown clips accepted at the model's limit",
}
LICENCES = {
    "demo": "The clips are drawn by this project's own code (Apache-2.0) and show no real person or place.",
    "ucf50": "UCF50 (Reddy and Shah, 2013) consists of YouTube clips collected for research. They belong to their "
    "authors, and the dataset grants no licence for other uses: ask before you use this model for anything else.",
    "folder": "The clips are from a folder, and no licence is recorded. You may use this model only as far as the "
    "owners of the clips, and the people in them, allow.",
}


@dataclass(frozen=True)
class Facts:
    """The facts on a model card.

    Attributes:
        classifier: Labels, clip settings and provenance.
        model: The network.
        dataset: `dataset.name` of params.yaml.
        metrics: As in reports/metrics.json; without a rate of acceptance, the model is said to reject nothing.
        per_class: As returned by `metrics.per_class`.
        slices: As returned by `accuracy_by_slice`.
        confusions: The most confused actions.
        models_judged: How many models these test clips have judged, this one included.
        candidates: The table of `Choice`; None or empty if there was no choice.
        group_curve: As returned by `group_curve`; None or empty if it was not measured.
        pictured: Whether the clips have pictures, and not signals alone.
        skeletons: The actions in the picture that moves, of a model of landmarks.
    """

    classifier: ClassifierCard
    model: ModelParams
    dataset: str
    metrics: Mapping[str, Any]
    per_class: pd.DataFrame
    slices: pd.DataFrame
    confusions: Sequence[Confusion]
    models_judged: int = 1
    candidates: pd.DataFrame | None = None
    group_curve: pd.DataFrame | None = None
    pictured: bool = True
    skeletons: Sequence[str] = ()


class Markdown(str):
    """Text that is Markdown already, so that the template does not escape it."""

    __slots__ = ()


def write_model_card(facts: Facts, folder: Path, warnings: Sequence[str] = ()) -> None:
    """Writes `model_card.md` and `model_card.html` beside the folder `figures` with their plots.

    Args:
        facts: What the card says.
        folder: The folder of the card.
        warnings: What the stages before warned of.
    """
    text = as_markdown(facts, warnings)
    (folder / MODEL_CARD_FILE).with_suffix(".md").write_text(text, encoding="utf-8")
    (folder / MODEL_CARD_FILE).write_text(as_html(text, folder), encoding="utf-8")


def as_markdown(facts: Facts, warnings: Sequence[str] = ()) -> str:
    """Fills in the template. Names are escaped, since a folder may be called `<script>` or `[x](y)`."""
    card, metrics = facts.classifier, facts.metrics
    text = templates().get_template("model_card.md.jinja").render(
        network=facts.model.title,
        card=card,
        origin=card.provenance,
        metrics=metrics,
        few_groups=FEW_GROUPS,
        order=order_sentence(metrics),
        models_judged=facts.models_judged,
        candidates=_candidates(facts.candidates),
        more_groups=_more_groups(facts),
        solved=facts.model.is_probe,
        description=_description(facts),
        protocol=PROTOCOLS[metrics["protocol"]],
        evaluation=_titled(metrics, METRICS),
        actions=facts.per_class.to_dict("records"),
        num_slices=len(facts.slices),
        slices=facts.slices.head(MAX_SLICES).to_dict("records"),
        confusions=facts.confusions,
        pictured=facts.pictured,
        rejection=_rejection(metrics),
        cost=[
            ("Arithmetic", f"{metrics['flops'] / 1e9:.3g} GFLOP, counting a multiply-add as two"),
            ("Time", f"{metrics['ms_per_clip']:.3g} ms, the median with ONNX Runtime on one thread, without decoding"),
            ("Machine", metrics["machine"]),
        ],
        warnings=warnings,
        licence=LICENCES[facts.dataset],
        imagenet=any(
            weights_of(name, facts.model.encoder, facts.model.weights) == IMAGENET
            for name in facts.model.encoders
            if name in PRETRAINED_ENCODERS
        ),
        pose=POSE in facts.model.encoders,
        own=ONNX in facts.model.encoders,
        skeletons=facts.skeletons,
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _candidates(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """What was tried, each with its `clip` in words."""
    rows = [] if table is None else table.to_dict("records")
    for row in rows:
        mirrored = ", mirrored too" if row["mirror"] else ""
        row["clip"] = f"{_FITS[row['fit']]}, {_COLOURS[row['colour']]}{mirrored}"
    return [{str(key): value for key, value in row.items()} for row in rows]


_FITS = {"stretch": "stretched", "center_crop": "centre crop"}
_COLOURS = {"rgb": "RGB", "grey": "greyscale", "equalised": "RGB with equalised lightness (CLAHE)"}


def _description(facts: Facts) -> list[tuple[str, str]]:
    card = facts.classifier
    origin, spec = card.provenance, card.clip
    motion = ", with the differences between frames" if facts.model.motion != "none" else ""
    size = f"{spec.width}x{spec.height} px ({_FITS[spec.fit]})"
    network = f"{facts.model.title}{motion}, {facts.metrics['parameters']:,} parameters"
    return [
        ("Network", network),
        *([("Encoder", _encoder(facts.model, card.encoder))] if card.encoder else []),
        *([("Weights of the encoders", _weights(facts.model))] if len(facts.model.encoders) > 1 else []),
        ("Input", f"{spec.num_frames} frames spread evenly over the clip, {size}, {_COLOURS[spec.colour]}"),
        *([("Beside the frames", _beside(card.track, facts.model))] if card.track else []),
        ("Clip", f"about {card.clip_duration_s:.1f} s" if card.clip_duration_s else "the whole video"),
        ("Trained", f"{origin.trained_at}, code {short_commit(origin.git_commit)}, MLflow run {origin.run_id}"),
        ("Data", f"{origin.dataset}, version {origin.data_version}"),
    ]


def _beside(track: TrackSpec, model: ModelParams) -> str:
    """What the model takes beside the pictures, in words."""
    taken = []
    if track.sound:
        taken.append("a log-mel spectrogram of the clip's own sound, silence where it has none")
    if track.signals:
        taken.append(f"signals from the file of the clip's name: {', '.join(track.signals.columns)}")
    if not picture_encoders(model.encoder):
        taken.append("the frames are not looked at")
    return "; ".join(taken)


def _weights(model: ModelParams) -> str:
    """How much each of several encoders counts, in words."""
    weights = (1.0,) * len(model.encoders) if model.fusion == AUTO else model.fusion
    return ", ".join(f"{name} {weight:g}" for name, weight in zip(model.encoders, weights, strict=True))


def _encoder(network: ModelParams, encoder: OnnxEncoder) -> str:
    if network.encoder == POSE:
        return f"{encoder.file}: landmarks of the largest person, sha256 {encoder.file_sha256}"
    file = f"the ONNX file '{encoder.file}'" if network.encoder == ONNX else f"one ONNX graph of {encoder.file}"
    sees = f", which sees {encoder.frames} frames at a stride of {encoder.stride}" if encoder.frames else ""
    return f"{file}{sees}, sha256 {encoder.file_sha256}"


def _more_groups(facts: Facts) -> Mapping[str, Any]:
    """Empty if the learning curve over groups was not measured."""
    if facts.group_curve is None or facts.group_curve.empty:
        return {}
    return {
        "points": more_groups.points_of(facts.group_curve).to_dict("records"),
        "forecast": more_groups.in_words(facts.group_curve),
    }


def _rejection(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Empty if the model has no limit and was not evaluated on unknown clips."""
    area = []
    if "rejection_auroc" in metrics:
        area = [("Area under the ROC curve", f"{metrics['rejection_auroc']:.3f}")]
    return [*area, *_titled(metrics, REJECTION_METRICS)]


def _titled(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(title, _with_interval(metrics, name)) for name, title in titles.items() if name in metrics]


def _with_interval(metrics: Mapping[str, Any], name: str) -> str:
    """A share in percent, followed by its interval if it has one."""
    share = _percent(metrics[name])
    if f"{name}_low" not in metrics:
        return share
    return f"{share} ({_percent(metrics[f'{name}_low'])} to {_percent(metrics[f'{name}_high'])})"


def as_html(text: str, folder: Path) -> str:
    """Renders a model card, with its plots embedded.

    Args:
        text: Markdown; HTML in it is shown as text.
        folder: The plots' paths are relative to it.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                plot = base64.b64encode((folder / str(child.attrs["src"])).read_bytes()).decode("ascii")
                child.attrs["src"] = f"data:image/png;base64,{plot}"
    body = markdown.renderer.render(tokens, markdown.options, {})
    # Wide tables scroll on their own, with the keyboard too.
    body = body.replace("<table>", '<div class="wide" role="region" aria-label="Table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    # markdown-it has escaped what is in it.
    return templates().get_template("model_card.html.jinja").render(body=Markdown(body)) + "\n"


def templates(folder: Path = Path(__file__).parent) -> Environment:
    """The templates of a folder: every value is escaped as Markdown, unless it is `Markdown`."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # noqa: S701  escapes HTML, and this is Markdown: `finalize` escapes
        finalize=lambda value: value if isinstance(value, Markdown) else escaped(str(value)),
    )
    environment.filters |= {"percent": _percent, "markdown": Markdown}
    return environment


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    line = re.sub(r"[\x00-\x20\x7f\u2028\u2029]+", " ", text).strip()
    line = re.sub(r"([\\`*_\[\]<>|&!~$])", r"\\\1", line)
    # These start a heading or a list at the start of a line.
    line = re.sub(r"^([-+#=])", r"\\\1", line)
    return re.sub(r"^(\d+)(?=[.)](?: |$))", r"\1\\", line)


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
