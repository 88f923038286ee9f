"""`python -m benchmarks`: each benchmark in a process of its own, one after the other: none disturbs another."""

import subprocess
import sys

BENCHMARKS = {
    "training": "the paper's LRCN: layer by layer through TimeDistributed, against ours",
    "decoding": "clips a second, against OpenCV, and the frames against ffmpeg",
    "encoding": "a frozen encoder: the bare runtime against the stage, and a head trained anew on its features",
    "heads": "every head on the demo: accuracy, and on the pairs that differ in order only; needs make repro",
    "index": "the index of as many clips as UCF50 has",
    "interruptions": "fetch, unpack, index and extract, killed again and again",
    "serving": "the service: start-up, latency, throughput",
}


def main() -> None:
    """Runs the benchmarks that are named, or all of them."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"error: a benchmark must be one of {', '.join(BENCHMARKS)}. Received: {', '.join(sorted(unknown))}")
    for name in chosen:
        print(f"\n# {name}: {BENCHMARKS[name]}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
