"""`python -m chaos` injects every fault, and ends with status 1 if one of them cost an answer, a file or a message.

python -m chaos [stages | service | visitors] [--only WORDS] [--fresh]

It takes about half an hour on two cores, may be interrupted, and continues where it was. As root, it also uses small
real disks in place of limits on files.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos import inject, service, stages, visitors
from chaos.report import Ledger, Outcome
from tests.serving.conftest import launch, stop, write_served_model

PAIRS = 500

Case = tuple[str, Callable[[], Outcome]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Injects faults of the machine.")
    parser.add_argument("parts", nargs="*", help="stages, service, visitors (default: all)")
    parser.add_argument("--only", default="", help="faults whose name has these words")
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "actreel-chaos")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.home, ignore_errors=True)
    options.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(options.home / "outcomes.jsonl")
    mounts = inject.can_mount(options.home / "mount")
    for part in options.parts or PARTS:
        for name, run in PARTS[part](options.home, mounts):
            if options.only not in name or (name in ledger.outcomes and ledger.outcomes[name].good):
                continue
            outcome = run()
            ledger.add(outcome)
            print(f"{len(ledger.outcomes):3} {'ok  ' if outcome.good else 'BAD '} {name} | {outcome.note}", flush=True)
    print(ledger.summary())
    if not all(outcome.good for outcome in ledger.outcomes.values()):
        sys.exit(f"error: some faults were not met well: {options.home / 'outcomes.jsonl'}")


def stage_cases(home: Path, mounts: bool) -> Iterator[Case]:
    # A new one each time: it must be of the code that is there now.
    shutil.rmtree(home / "stages", ignore_errors=True)
    (home / "stages").mkdir()
    bench: list[stages.Bench] = []

    def run(stage: str, fault: inject.Fault) -> Outcome:
        if not bench:
            print("running each stage once", flush=True)
            bench.append(stages.Bench.build(home / "stages"))
        return stages.run_case(bench[0], stage, fault)

    for stage, fault in stages.cases(mounts=mounts):
        yield f"{stage}: {fault.name}", lambda stage=stage, fault=fault: run(stage, fault)  # type: ignore[misc]


def service_cases(home: Path, mounts: bool) -> Iterator[Case]:
    folder = home / "service"
    for name, trouble in service.troubles(mounts=mounts):
        shutil.rmtree(folder, ignore_errors=True)
        yield f"service: {name}", lambda name=name, trouble=trouble: service.run_trouble(folder, name, trouble)  # type: ignore[misc]


def visitor_cases(home: Path, mounts: bool) -> Iterator[Case]:
    def run() -> Outcome:
        folder = home / "visitors"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        films = visitors.write_films(folder, every_kind=True)
        server = launch(write_served_model(folder / "model"), folder, max_upload_bytes=50 * 2**20)
        try:
            wrong = []
            for number, found in enumerate(visitors.mixed_up(server, films, PAIRS), 1):
                wrong += [found] if found else []
                if number % 50 == 0:
                    print(f"    {number} of {PAIRS} pairs", flush=True)
        finally:
            stop(server)
        note = "; ".join(wrong) or f"none of {len(films)} files got what belongs to another"
        return Outcome(NAME, note, lost_answers=len(wrong))

    NAME = f"visitors: {PAIRS} pairs"  # noqa: N806
    yield NAME, run


PARTS: dict[str, Callable[[Path, bool], Iterator[Case]]] = {
    "service": service_cases,
    "visitors": visitor_cases,
    "stages": stage_cases,
}

if __name__ == "__main__":
    main()
