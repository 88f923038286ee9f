"""The command line: `actreel predict clip.avi https://youtu.be/…`, `actreel crossval`, `actreel tune`."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from actreel.console import exit_cleanly
from actreel.errors import MOST_NAMED, FetchError, VideoError
from actreel.feedback import default_folder, export_dataset
from actreel.inference.classifier import ActionClassifier, Scored
from actreel.inference.recognition import Recognition
from actreel.video.info import VideoInfo
from actreel.youtube.fetch import FetchLimits, fetch

BAR_WIDTH = 24


def main(arguments: list[str] | None = None) -> None:
    """Runs the command that `arguments` (by default the program's own) ask for."""
    parser = argparse.ArgumentParser(prog="actreel", description="Human action recognition.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="name the action in videos")
    predict.add_argument("sources", nargs="+", metavar="SOURCE", help="a video file or a YouTube link")
    predict.add_argument("--json", action="store_true", help="print one JSON object a line, one for each SOURCE")
    predict.set_defaults(run=lambda options: _predict(options.sources, options.model, options.json))

    saliency = commands.add_parser("saliency", help="draw what the answers on videos lean on")
    saliency.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="a video file")
    saliency.add_argument("--out", required=True, type=_picture, metavar="FILE.png", help="the picture to write")
    saliency.set_defaults(run=_saliency)

    for command in (predict, saliency):
        command.add_argument(
            "--model",
            type=Path,
            default=Path("artifacts/model"),
            metavar="DIR",
            help="model folder (default: %(default)s)",
        )

    crossval = commands.add_parser("crossval", help="test every clip once, by a model that has not seen its group")
    crossval.add_argument(
        "--folds", required=True, type=_folds, metavar="logo|K", help="leave one group out, or K parts of the groups"
    )
    crossval.add_argument(
        "--choose", type=Path, metavar="FILE", help="let each fold's training groups choose among settings: a YAML list"
    )
    crossval.add_argument(
        "--inner-folds", type=_parts, default=4, metavar="K", help="folds that the choice is made on (default: 4)"
    )
    crossval.set_defaults(run=_crossval)

    leakage = commands.add_parser("leakage", help="what a random split adds to the accuracy of the same model")
    leakage.add_argument("--repeats", type=_positive, default=3, metavar="N", help="pairs of models (default: 3)")
    leakage.set_defaults(run=_leakage)

    tune = commands.add_parser("tune", help="search for settings, on clips that the split does not test")
    tune.add_argument("--trials", type=_positive, default=20, metavar="N", help="finished in all (default: 20)")
    tune.add_argument("--sampler", choices=("tpe", "nsga2"), default="tpe", help="nsga2 weighs size against accuracy")
    tune.add_argument("--space", type=Path, metavar="FILE", help="what is searched, as YAML (default: the head's)")
    tune.add_argument(
        "--folds", type=_parts, metavar="K", help="score trials on K inner folds (default: on the validation clips)"
    )
    tune.set_defaults(run=_tune)

    for command in (crossval, leakage, tune):
        command.add_argument(
            "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="replaces a value of params.yaml"
        )
        command.add_argument("--json", action="store_true", help="print the result as JSON")

    compare = commands.add_parser("compare", help="MLflow runs side by side, and a paired test on the same test clips")
    compare.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="an id, the beginning of one, a name, or champion; the first is compared with",
    )
    compare.add_argument("--json", action="store_true", help="print the result as JSON")
    compare.set_defaults(run=_compare)

    feedback = commands.add_parser("feedback", help="what visitors of the service said")
    verbs = feedback.add_subparsers(dest="verb", required=True)
    export = verbs.add_parser("export", help="make a dataset folder of the videos that visitors gave")
    export.add_argument("target", type=Path, metavar="DIR", help="the folder to make or complete")
    export.set_defaults(run=lambda options: _export(options.target))

    options = parser.parse_args(arguments)
    exit_cleanly(lambda: options.run(options))


def _folds(text: str) -> int | None:
    """None for `logo`, which leaves one group out at a time."""
    if text == "logo":
        return None
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"folds must be 'logo' or a number from 2 on. Received: '{text}'")
    return int(text)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".png" or path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a .png file in a folder that exists. Received: '{text}'")
    return path


def _parts(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a number from 2 on. Received: '{text}'")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on. Received: '{text}'")
    return int(text)


def _crossval(options: argparse.Namespace) -> None:
    # Imported here, since what trains takes seconds to load and `predict` needs none of it.
    from actreel.config import load_params, override
    from actreel.experiments.crossval import cross_validate
    from actreel.experiments.nested import read_candidates

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), options.set)
        candidates = read_candidates(options.choose, params) if options.choose else []
        result = cross_validate(params, options.folds, candidates=candidates, inner_folds=options.inner_folds)
    if options.json:
        print(json.dumps(result))
        return
    for fold in result["folds"]:
        groups = ", ".join(fold["groups"]) if len(fold["groups"]) <= MOST_NAMED else f"{len(fold['groups'])} groups"
        print(f"fold {fold['fold']:3d}  accuracy {fold['accuracy']:.3f}  {fold['num_test_clips']} clips of {groups}")
        if "choice" in fold:
            print(f"          chosen: {json.dumps(fold['choice']['settings'])}")
    print(f"mean accuracy {result['mean_accuracy']:.3f} ± {result['std_accuracy']:.3f} over the folds")
    print(f"balanced accuracy {result['balanced_accuracy']:.3f} over all {result['num_clips']} clips")
    if result["leaky"]:
        print("leaky: clips of one group stood on both sides, so this flatters the model")


def _leakage(options: argparse.Namespace) -> None:
    from actreel.config import load_params, override
    from actreel.experiments.leakage import measure_leakage

    with contextlib.redirect_stdout(sys.stderr):
        result = measure_leakage(override(load_params(), options.set), options.repeats)
    if options.json:
        print(json.dumps(result))
        return
    print(f"groups held out  {result['group_accuracy']:.3f}")
    print(f"random split     {result['random_accuracy']:.3f}")
    print(f"leakage          {result['difference']:+.3f} ± {result['std_difference']:.3f}, {options.repeats} repeats")


def _compare(options: argparse.Namespace) -> None:
    from actreel.experiments.compare import as_text, compare

    result = compare(options.runs)
    print(json.dumps(result) if options.json else as_text(result))


def _saliency(options: argparse.Namespace) -> None:
    from actreel.evaluation import plots
    from actreel.evaluation.saliency import load_network, saliency_of
    from actreel.video.clips import load_clip

    card = ActionClassifier.load(options.model).card
    network = load_network(options.model)
    clips = {}
    for path in options.clips:
        frames = load_clip(path, card.clip)
        found = saliency_of(network, frames)
        heading = found.heading(str(path), card.labels)
        clips[heading] = (frames, found.over_time, found.maps)
        print(heading.replace("\n", ", "))
    plots.saliency(clips).savefig(options.out)
    print(f"drawn in {options.out}")


def _tune(options: argparse.Namespace) -> None:
    from actreel.config import load_params, override
    from actreel.experiments.nested import flags
    from actreel.experiments.tuning import default_space, read_space, tune

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), options.set)
        space = read_space(options.space, params) if options.space else default_space(params)
        result = tune(params, options.trials, space, options.sampler, options.folds)
    if options.json:
        print(json.dumps(result))
        return
    pruned = sum(trial["state"] == "pruned" for trial in result["trials"])
    print(f"{result['finished']} trials ({pruned} pruned) in {result['study']}, MLflow run {result['run_id']}")
    print(f"best on clips inside the training groups: balanced accuracy {result['balanced_accuracy']:.3f}")
    settings = [*options.set, *flags(result["best"])]
    print("dvc exp run " + " ".join(shlex.quote(word) for setting in settings for word in ("-S", setting)))


def _predict(sources: list[str], model: Path, as_json: bool) -> None:
    classifier = ActionClassifier.load(model)
    failures = 0
    for source in sources:
        try:
            seen = _watch(source, classifier)
        except (VideoError, FetchError) as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
            continue
        top = classifier.ranked(seen.probabilities)
        known = classifier.knows(seen.distances)
        print(_json(source, top, known, seen, classifier) if as_json else _table(source, top, known, seen.info))
    if failures:
        sys.exit(1)


def _watch(source: str, classifier: ActionClassifier) -> Recognition:
    if "://" not in source:
        return classifier.recognise(Path(source))
    clip = classifier.card.clip
    with tempfile.TemporaryDirectory(prefix="actreel-") as folder:
        side = max(clip.height, clip.width)
        fetched = fetch(source, Path(folder), limits=FetchLimits(), min_side=side, on_progress=_show_progress)
        return classifier.recognise(fetched.path)


def _show_progress(share: float) -> None:
    if sys.stderr.isatty():
        print(f"\rdownloading {share:4.0%}", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


def _export(target: Path) -> None:
    count = export_dataset(default_folder(), target)
    print(f"{count} clips in '{target}'. Learn from them with:")
    print(f"dvc exp run -S dataset.name=folder -S dataset.path={target.absolute()}")


def _json(source: str, top: tuple[Scored, ...], known: bool, seen: Recognition, classifier: ActionClassifier) -> str:
    labels = classifier.card.labels
    answer = {
        "source": source,
        **asdict(top[0]),
        "known": known,
        "top": [asdict(scored) for scored in top],
        "segments": [
            {
                "start_s": segment.start_s,
                "end_s": segment.end_s,
                "label": labels[segment.action],
                "confidence": segment.confidence,
            }
            for segment in seen.segments
        ],
        "video": asdict(seen.info),
        "model": classifier.card.provenance.model_dump(),
    }
    return json.dumps(answer, ensure_ascii=False)


def _table(source: str, top: tuple[Scored, ...], known: bool, info: VideoInfo) -> str:
    width = max(len(scored.label) for scored in top)
    answer = top[0].label if known else "none of the actions it knows; the nearest are"
    lines = [f"{source} ({info.duration_s:.1f} s, {info.width}x{info.height}): {answer}"]
    for scored in top:
        bar = "█" * round(scored.confidence * BAR_WIDTH)
        lines.append(f"  {scored.label:<{width}}  {scored.confidence:6.1%}  {bar}".rstrip())
    return "\n".join(lines)
