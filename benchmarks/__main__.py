"""`python -m benchmarks` runs each benchmark in a process of its own, one after the other.

`benchmarks.full_size`, `benchmarks.against_sklearn` and `benchmarks.table` are not among them: they need folders of
real clips.
"""

import subprocess
import sys

BENCHMARKS = {
    "training": "the paper's LRCN: TimeDistributed around every layer, against ours",
    "decoding": "clips a second against OpenCV, and frames against ffmpeg",
    "encoding": "a frozen encoder: the bare runtime against the stage; and training a head on stored features",
    "choice": "the choice among six probes, for 100 clips and for as many as UCF50 has",
    "heads": "every head on the demo: accuracy, on all clips and on the ordered pairs; needs make repro",
    "gestures": "heads on landmarks, on synthetic gestures that differ only in timing; and TD-GCN's published size",
    "intervals": "how often 95 % intervals hold the truth, with few groups and correlated clips",
    "temperature": "when the temperature makes the calibration error of new groups larger, on simulated clips",
    "forecasts": "how often the forecast for more groups holds the truth, on simulated learning curves",
    "index": "indexing as many clips as UCF50 has",
    "interruptions": "download, unpack, index and extract, killed ten times on the way",
    "batch": "an archive: one process against two, against decoding, and killed five times",
    "teaching": "actreel teach with 10 clips of a new action, and what takes the time",
    "watch": "a file played as live: lag, latency and memory over time",
    "annotate": "a copy with the answer drawn in: times faster than real time, and memory",
    "serving": "the service: start-up, latency, throughput, load",
}


def main() -> None:
    """Runs the benchmarks named on the command line, or all of them."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"error: unknown benchmark: {', '.join(sorted(unknown))}. Choose from: {', '.join(BENCHMARKS)}")
    for name in chosen:
        print(f"\n# {name}: {BENCHMARKS[name]}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
