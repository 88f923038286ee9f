"""The model card: one page, for people, that says what a model is, what it is worth and what it is not for.

Written as Markdown and rendered from that to one HTML file that needs nothing else: pictures lie inside, and nothing
is fetched. It goes with the model into the registry and the service (after Mitchell et al., "Model Cards for Model
Reporting", FAT* 2019).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

from actreel.config import IMAGENET, ModelParams
from actreel.evaluation.slices import Confusion
from actreel.inference.classifier import ClassifierCard
from actreel.inference.model_folder import MODEL_CARD_FILE

LOWEST = 8
"""Slices that are shown."""

PROTOCOLS = {
    "group_holdout": "groups drawn at random are held out",
    "group_kfold": "one of several parts of the groups is held out",
    "logo": "one group is held out",
    "lists": "official lists name the clips that are held out",
    "random": "clips are held out at random, so that clips of one group stand on both sides",
}
JUDGED = {
    "accuracy": "Accuracy",
    "multi_clip_accuracy": "Accuracy, several samplings of each clip averaged",
    "top5_accuracy": "Right among the five surest",
    "macro_precision": "Precision, mean over the actions",
    "macro_recall": "Recall, mean over the actions",
    "macro_f1": "F1, mean over the actions",
    "mean_pool_accuracy": "Accuracy of the order-blind baseline",
    "chance": "Chance: always the commonest action",
}
BY_ACTION = ("precision", "recall", "f1", "mean_pool_recall")
REJECTION = {
    "rejection_tar_at_5_far": "Own clips accepted where 5 % of the others are",
    "true_accept_rate": "Own clips accepted at the limit that is used",
    "false_accept_rate": "Others accepted at the limit that is used",
}
LICENCES = {
    "demo": "The clips are drawn by this project's own code (Apache-2.0) and show no real person or place.",
    "ucf50": "UCF50 (Reddy and Shah, 2013) is made of clips from YouTube, gathered for research. They belong to those "
    "who made them, and the dataset grants no licence for other use: ask before you use this model for more.",
    "folder": "The clips came from a folder, and nothing is recorded of their licence: this model may be used as "
    "widely as those who own the clips, and those who are seen in them, allow.",
}
STYLE = """
:root { color-scheme: light dark; --line: #8886; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.wide { overflow-x: auto; } img { max-width: 100%; height: auto; background: #fff; }
body, td, th { overflow-wrap: break-word; }
"""


@dataclass(frozen=True)
class Facts:
    """What a card tells of.

    Attributes:
        classifier: Labels, clip settings and provenance.
        model: The network.
        dataset: `dataset.name` of params.yaml.
        metrics: As in reports/metrics.json; rejection is told of where its figures are among them.
        per_class: As `evaluation.per_class` gives it.
        slices: As `accuracy_by_slice` gives it.
        confusions: The most confused actions.
    """

    classifier: ClassifierCard
    model: ModelParams
    dataset: str
    metrics: Mapping[str, Any]
    per_class: pd.DataFrame
    slices: pd.DataFrame
    confusions: Sequence[Confusion]


def write_card(facts: Facts, folder: Path) -> None:
    """Writes `model_card.md` and `model_card.html` beside the folder `figures` that they show."""
    text = as_markdown(facts)
    (folder / MODEL_CARD_FILE).with_suffix(".md").write_text(text, encoding="utf-8")
    (folder / MODEL_CARD_FILE).write_text(as_html(text, folder), encoding="utf-8")


def as_markdown(facts: Facts) -> str:
    """The card; labels and other names are escaped, since a folder may be called `<script>` or `[x](y)`."""
    card, scores = facts.classifier, facts.metrics
    origin, spec = card.provenance, card.clip
    size = f"{spec.width}x{spec.height} px {'from the middle' if spec.fit == 'center_crop' else '(stretched)'}"
    network = f"{facts.model.encoder} + {facts.model.head}"
    motion = ", with the differences between frames" if facts.model.motion != "none" else ""
    leaky = scores["protocol"] == "random"
    right, low, high = (_share(scores[name]) for name in ("accuracy", "accuracy_low", "accuracy_high"))
    calibrated = card.temperature != 1
    before, after = _share(scores["uncalibrated_error"]), _share(scores["calibration_error"])
    parts = [
        f"# {_plain(network)} on {_plain(origin.dataset)}",
        f"This model names which of {len(card.labels)} actions a short video shows. "
        f"Of {scores['num_test_clips']} clips of {scores['num_test_groups']} groups that it has not learned from, "
        f"it names **{right}** right "
        f"(95 % interval {low} to {high}). Always naming the commonest action would get {_share(scores['chance'])}.",
        "**This figure flatters the model: clips of one group stood on both sides of the split.**" if leaky else "",
        "## What it is",
        _table(
            ("Property", "Value"),
            [
                ("Network", f"{network}{motion}, {scores['parameters']:,} parameters"),
                ("Input", f"{spec.num_frames} frames spread evenly over the clip, {size}, RGB"),
                ("Clip", f"about {card.clip_duration_s:.1f} s" if card.clip_duration_s else "the whole video"),
                ("Trained", f"{origin.trained_at}, code {origin.git_commit[:12]}, MLflow run {origin.run_id}"),
                ("Data", f"{origin.dataset}, version {origin.data_version}"),
            ],
        ),
        f"Its actions: {', '.join(map(_plain, card.labels))}.",
        "## What it is for, and what not",
        "It is for short clips in which one of its actions fills most of the time, filmed as its training clips were. "
        "A long video is seen through windows about as long as they were.",
        "It has been judged on people and scenes that it had not seen, but of one dataset only: other cameras, views, "
        "ages, bodies and clothes may do worse, and nothing here tells how much. It is not for deciding anything about "
        "a person: not for surveillance, safety, medicine or the control of work.",
        "## How it was judged",
        f"Protocol `{scores['protocol']}`: {PROTOCOLS[scores['protocol']]}. A group is one person, scene or recording. "
        "The interval draws whole groups. The order-blind baseline is the same network with the mean over time in "
        "place of its head, trained the same way.",
        _table(("Figure", "Value"), _figures(scores, JUDGED)),
        "## By action",
        _table(
            ("Action", "Clips", "Precision", "Recall", "F1", "Recall of the baseline", "Most confused with"),
            (
                (row["action"], row["clips"], *(_share(row[name]) for name in BY_ACTION), row["most_confused_with"])
                for row in facts.per_class.to_dict("records")
            ),
        ),
        "![Confusion matrix: true actions by row, answers by column](figures/confusion.png)",
        "## Where it is weakest",
        f"The lowest of {len(facts.slices)} slices of the test clips. A slice of few clips says little.",
        _table(
            ("Slice", "Value", "Clips", "Accuracy"),
            (
                (row["slice"].replace("_", " "), row["value"], row["clips"], _share(row["accuracy"]))
                for row in facts.slices.head(LOWEST).to_dict("records")
            ),
        ),
        "## What it confuses",
        "\n".join(
            f"- {_plain(found.actual)} taken for {_plain(found.predicted)}: {found.count} of {found.clips} clips"
            for found in facts.confusions
        ),
        "![Frames of wrongly answered clips, each above a right one](figures/confused.png)"
        if facts.confusions
        else "No test clip was answered wrong.",
        "## Confidence",
        "Of the answers that it gives with a confidence of 80 %, 80 % should be right. "
        f"On average, over all confidences, it is {after} off (expected calibration error)"
        + (f"; it was {before} before a temperature of {card.temperature:.2f} was fitted." if calibrated else "."),
        "![Share of right answers by confidence, before and after calibration](figures/reliability.png)",
        "## Videos of none of its actions",
        *_rejection(scores),
        "## Cost",
        _table(
            ("One clip", "Value"),
            [
                ("Arithmetic", f"{scores['flops'] / 1e9:.3g} GFLOP, two for each multiply-add"),
                ("Time", f"{scores['ms_per_clip']:.3g} ms, the median with ONNX Runtime on one thread, decoding apart"),
                ("Machine", scores["machine"]),
            ],
        ),
        "## Where it looks",
        "What its answers lean on, over time and in the frames: a right and a wrong answer, where there are both.",
        "![Frames of test clips, with what weighed in the answer](figures/saliency.png)",
        "## Data and licence",
        LICENCES[facts.dataset],
        "Its encoder's weights were learned from ImageNet's photographs, which were gathered for research."
        if facts.model.frozen and facts.model.weights == IMAGENET
        else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_html(text: str, folder: Path) -> str:
    """Renders a card, with its pictures inside.

    Args:
        text: Markdown; HTML in it is shown as it stands.
        folder: What the pictures' paths are relative to.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                picture = base64.b64encode((folder / str(child.attrs["src"])).read_bytes()).decode("ascii")
                child.attrs["src"] = f"data:image/png;base64,{picture}"
    body = markdown.renderer.render(tokens, markdown.options, {})
    # Wide tables scroll by themselves, by keyboard too.
    body = body.replace("<table>", '<div class="wide" role="region" aria-label="Table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whatever a name may hold: nothing runs, and nothing is fetched.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>Model card</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _figures(scores: Mapping[str, Any], titles: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(title, _share(scores[name])) for name, title in titles.items() if name in scores]


def _rejection(scores: Mapping[str, Any]) -> list[str]:
    if "rejection_auroc" not in scores:
        return ["It cannot tell them: every video gets one of its actions, however little it shows of it."]
    area = ("Area under the ROC curve", f"{scores['rejection_auroc']:.3f}")
    return [
        "Where a video is far from all that it learned, it says that it knows none of it. Judged on "
        f"{scores['num_unknown_clips']} clips that show none of its actions:",
        _table(("Figure", "Value"), [area, *_figures(scores, REJECTION)]),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(_plain(str(cell)) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing but text."""
    line = re.sub(r"[\x00-\x20\x7f\u2028\u2029]+", " ", text).strip()
    line = re.sub(r"([\\`*_\[\]<>|&!~$])", r"\\\1", line)
    # What makes a heading or a list where a line begins.
    line = re.sub(r"^([-+#=])", r"\\\1", line)
    return re.sub(r"^(\d+)(?=[.)](?: |$))", r"\1\\", line)


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
