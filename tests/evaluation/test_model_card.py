import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams
from actreel.evaluation.model_card import Facts, as_html, as_markdown, write_model_card
from actreel.evaluation.slices import Confusion
from actreel.inference.manifest import ClassifierCard, OnnxEncoder, Provenance
from actreel.training.choice import COLUMNS

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](https://example.org/x.png)",
    "[click](javascript:alert(1))",
    "a | b `c` **d** &lt;",
    "$5 bill\n\n# 1. -",
    "1. ~~one~~",
    "# two",
    "- ***three***",
]
PICTURES = ("confusion", "confused", "reliability", "saliency")
METRICS: dict[str, Any] = {
    "accuracy": 0.875,
    "accuracy_low": 0.75,
    "accuracy_high": 1.0,
    "multi_clip_accuracy": 0.9,
    "top5_accuracy": 1.0,
    "macro_precision": 0.9,
    "macro_recall": 0.8,
    "macro_f1": 0.85,
    "chance": 0.2,
    "balanced_accuracy": 0.86,
    "balanced_accuracy_low": 0.74,
    "balanced_accuracy_high": 0.99,
    "balanced_chance": 0.2,
    "mean_pool_accuracy": 0.5,
    "order_gain": 0.375,
    "order_gain_low": 0.21,
    "order_gain_high": 0.52,
    "calibration_error": 0.04,
    "uncalibrated_error": 0.12,
    "parameters": 62875,
    "flops": 12_000_000_000,
    "ms_per_clip": 2.5,
    "machine": "a <fast> one",
    "protocol": "group_holdout",
    "num_test_clips": 16,
    "num_test_groups": 2,
    "num_classes": 5,
}


@pytest.fixture
def facts(spec: ClipSpec) -> Facts:
    provenance = Provenance(
        dataset="my-clips",
        data_version="abc123",
        run_id="f" * 32,
        git_commit="c" * 40,
        trained_at="2026-01-01T00:00:00",
    )
    network = {"encoder": "small_cnn", "head": "lstm", "weights": "imagenet", "motion": "none", "units": 8}
    return Facts(
        classifier=ClassifierCard(labels=tuple(HOSTILE), clip=spec, provenance=provenance, temperature=1.25),
        model=ModelParams.model_validate(network | {"dropout": 0.0}),
        dataset="folder",
        metrics=METRICS,
        per_class=pd.DataFrame(
            {
                "action": HOSTILE,
                "clips": 3,
                "precision": 0.5,
                "recall": 0.625,
                "f1": 0.55,
                "mean_pool_recall": 0.1,
                "most_confused_with": HOSTILE[::-1],
            }
        ),
        slices=pd.DataFrame(
            {
                "slice": "group",
                "value": HOSTILE[:1],
                "clips": 4,
                "groups": 1,
                "accuracy": 0.25,
                "low": 0.03,
                "high": 0.65,
            }
        ),
        confusions=[
            Confusion(actual, HOSTILE[2], count=2, clips=3, wrong=0, right=None)
            for actual in (HOSTILE[0], *HOSTILE[5:])
        ],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "figures").mkdir()
    for name in PICTURES:
        (tmp_path / "figures" / f"{name}.png").write_bytes(b"picture of " + name.encode())
    return tmp_path


def text_of(page: str) -> str:
    return re.sub(r"<[^>]*>", "", page.partition("<body>")[2])


def test_the_page_shows_the_metrics(facts: Facts, folder: Path) -> None:
    write_model_card(facts, folder)
    text = text_of((folder / "model_card.html").read_text(encoding="utf-8")).replace("\N{NO-BREAK SPACE}", " ")
    for said in (
        "small_cnn + lstm on my-clips",
        "classifies 87.5 % of 16 test clips correctly (95 % interval for new groups: 75.0 % to 100.0 %)",
        "from 2 groups that it was not trained on; with so few groups, the interval is wide",
        "decided by its balanced accuracy, in which all actions count the same: 86.0 %",
        "(95 % interval: 74.0 % to 99.0 %)",
        "62,875 parameters",
        "version abc123",
        "12 GFLOP",
        "2.5 ms",
        "before calibration with a temperature of 1.25 it was 12.0 %",
        "randomly drawn groups are held out",
        "no licence is recorded",
        "The order of frames adds 38 points (95 %: 21 to 52): 87.5 % of the test clips are right with it, 50.0 %",
        "These test clips have judged no other registered model.",
        "2 of 3 clips",
        "cannot reject a video",
    ):
        assert said in text
    assert "87.5\N{NO-BREAK SPACE}%" in (folder / "model_card.html").read_text(encoding="utf-8")
    assert "## Evaluation" in (folder / "model_card.md").read_text(encoding="utf-8")


def test_a_temperature_that_does_not_fit_the_test_groups_is_explained(facts: Facts) -> None:
    assert "may fit that of others worse" not in as_markdown(facts)
    worse = replace(facts, metrics=METRICS | {"calibration_error": 0.13})
    assert "may fit that of others worse" in as_markdown(worse)


def test_what_was_tried_is_listed(facts: Facts) -> None:
    assert "held-out groups of the training clips; the test clips took no part" not in as_markdown(facts)
    tried = pd.DataFrame(
        [
            ("mean_probe", "none", "center_crop", "rgb", False, 0.75, 0.5, False),
            ("mean_probe", "none", "center_crop", "grey", True, 0.875, 0.25, True),
        ],
        columns=COLUMNS,
    )
    text = as_markdown(replace(facts, candidates=tried)).replace("\N{NO-BREAK SPACE}", " ").replace("\\_", "_")
    assert "| mean_probe | none | centre crop, RGB | 75.0 % | 0.500 |  |" in text
    assert "| mean_probe | none | centre crop, greyscale, mirrored too | 87.5 % | 0.250 | chosen |" in text
    assert "then other clips were tried with it" in text
    text = as_markdown(replace(facts, candidates=tried[:1]))
    assert "Other clips, such as stretched, grey or mirrored ones, were not tried" in text


def test_names_stay_text_and_nothing_is_fetched(facts: Facts, folder: Path) -> None:
    page = as_html(as_markdown(facts), folder)
    for label in HOSTILE:
        shown = " ".join(label.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert page.count(shown) >= 3, "in the list of actions and in two columns of the table"
    assert "<script" not in page
    assert page.count("<li>") == 4
    assert page.count("<ol") + page.count("<em>") + page.count("<s>") + page.count("<h1>") == 1
    assert "<a " not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    pictures = [b"picture of " + name.encode() for name in PICTURES]
    assert [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources] == pictures
    columns = {len(re.findall("<t[hd]", row)) for row in re.findall("<tr>(.*?)</tr>", page, re.S) if "62.5" in row}
    assert columns == {7}, "a bar in a name does not end a cell"


def test_rejection_is_shown_if_it_was_evaluated(facts: Facts, folder: Path) -> None:
    rejection = {
        "num_unknown_clips": 12,
        "num_unknown_groups": 3,
        "rejection_auroc": 0.9312,
        "rejection_tar_at_5_far": 0.7,
        "true_accept_rate": 0.66,
        "true_accept_rate_low": 0.41,
        "true_accept_rate_high": 0.83,
        "false_accept_rate": 0.04,
    }
    text = as_markdown(replace(facts, metrics={**METRICS, **rejection}))
    assert "12 clips of 3 groups that show none of the actions" in text
    assert "3.0\N{NO-BREAK SPACE}% to 65.0\N{NO-BREAK SPACE}%" in text
    assert "few groups" not in as_markdown(replace(facts, metrics={**METRICS, "num_test_groups": 25}))
    for value in ("0.931", "70.0", "66.0", "41.0", "83.0", "4.0"):
        assert value in text
    assert "cannot reject a video" not in text


def test_without_unknown_clips_the_card_says_what_was_not_measured(facts: Facts) -> None:
    text = as_markdown(replace(facts, metrics={**METRICS, "true_accept_rate": 0.93}))
    assert "was not measured" in text
    assert "93.0" in text
    assert "cannot reject a video" not in text


def test_a_leaky_accuracy_is_called_too_high_and_no_confusion_is_a_sentence(facts: Facts) -> None:
    assert "too high" not in as_markdown(facts)
    text = as_markdown(replace(facts, metrics={**METRICS, "protocol": "random"}, confusions=[]))
    assert "This accuracy is too high" in text
    assert "No test clip was misclassified." in text
    assert "confused.png" not in text


def test_weights_from_imagenet_are_named(facts: Facts) -> None:
    assert "ImageNet" not in as_markdown(facts)
    pretrained = facts.model.model_copy(update={"encoder": "efficientnet_lite0"})
    assert "ImageNet" in as_markdown(replace(facts, model=pretrained))


def test_a_network_that_ignores_order_was_not_chosen_between_two(facts: Facts) -> None:
    assert "became this model" in as_markdown(facts)
    alone = {name: value for name, value in METRICS.items() if not name.startswith("order_gain")}
    text = as_markdown(replace(facts, metrics=alone))
    assert "what the order would add was not measured" in text
    assert "became this model" not in text


def test_the_card_counts_the_models_that_its_test_clips_have_judged(facts: Facts) -> None:
    assert "have judged 7 models by now" in as_markdown(replace(facts, models_judged=7))


def test_the_learning_curve_over_groups_is_told_where_it_was_measured(facts: Facts) -> None:
    assert "this network would have to be trained again for each number" in as_markdown(facts)
    probe = replace(facts, model=facts.model.model_copy(update={"encoder": "efficientnet_lite0", "head": "mean_probe"}))
    assert "there are too few groups of each action" in as_markdown(probe)
    rows = [(size, size, group, 10, size) for size in (2, 4) for group in "ab"]
    curve = pd.DataFrame(rows, columns=["size", "groups", "group", "clips", "right"])
    text = as_markdown(replace(probe, group_curve=curve))
    assert "| 2.0 | 20.0\N{NO-BREAK SPACE}% |" in text
    assert "| 4.0 | 40.0\N{NO-BREAK SPACE}% |" in text
    assert "What more groups would bring cannot be told" in text


def test_an_encoder_from_an_onnx_file_is_named_and_gives_no_saliency(facts: Facts, folder: Path) -> None:
    encoder = OnnxEncoder(
        file="<b>movinet.onnx", file_sha256="a" * 64, sha256="b" * 64, parameters=3, frames=16, stride=2
    )
    network = facts.model.model_copy(update={"encoder": "onnx", "weights": "movinet.onnx"})
    classifier = facts.classifier.model_copy(update={"encoder": encoder, "network": network})
    card = as_markdown(replace(facts, classifier=classifier, model=network))
    assert "movinet.onnx', which sees 16 frames at a stride of 2, sha256 aaaa" in card
    assert "which gives no gradients" in card
    assert "saliency.png" not in card
    assert "the baseline ignores the order of these vectors" in card
    assert "their licence and the data that they were trained on are its source's" in card
    assert "\n\n## Data and licence" in card
    assert "movinet" in text_of(as_html(card, folder))
    assert "Weights of the encoders" not in card
    assert "ONNX file" not in as_markdown(facts)


def test_blazepose_is_named_with_its_licence(facts: Facts) -> None:
    encoder = OnnxEncoder(file="BlazePose of mediapipe", file_sha256="a" * 64, sha256="b" * 64, parameters=3)
    network = facts.model.model_copy(update={"encoder": "pose"})
    classifier = facts.classifier.model_copy(update={"encoder": encoder, "network": network})
    card = as_markdown(replace(facts, classifier=classifier, model=network))
    assert "BlazePose of mediapipe: landmarks of the largest person, sha256 aaaa" in card
    assert "from MediaPipe (Apache-2.0)" in card
    assert "Frames of misclassified clips, drawn as skeletons, each above" in card
    assert "skeletons.png" not in card
    moving = as_markdown(replace(facts, model=network, skeletons=["Wave", "Push & Pull"]))
    assert "in rows from the left: Wave, Push \\& Pull. The picture moves twice." in moving
    assert "![Frames of test clips, drawn as skeletons that move](figures/skeletons.png)" in moving
    assert "ImageNet" not in card
    assert "its source's" not in card


def test_joined_encoders_are_named_with_their_weights(facts: Facts) -> None:
    encoder = OnnxEncoder(
        file="efficientnet_lite0 + BlazePose of mediapipe", file_sha256="aaaa + bbbb", sha256="c" * 64, parameters=3
    )
    network = facts.model.model_copy(
        update={"encoder": "efficientnet_lite0+pose", "weights": "imagenet", "fusion": (0.5, 1.0)}
    )
    classifier = facts.classifier.model_copy(update={"encoder": encoder, "network": network})
    card = as_markdown(replace(facts, classifier=classifier, model=network)).replace("\\", "")
    assert "one ONNX graph of efficientnet_lite0 + BlazePose of mediapipe, sha256 aaaa + bbbb" in card
    assert "| Weights of the encoders | efficientnet_lite0 0.5, pose 1 |" in card
    assert "from MediaPipe (Apache-2.0)" in card
    assert "trained on ImageNet's photographs" in card
    assert "came as an ONNX file" not in card
