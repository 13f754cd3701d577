"""python -m bench: runs every measurement and writes docs/bench.md."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import callback, engine, machine, model, peer, presets, report

ROOT = Path(__file__).resolve().parent.parent
MEASUREMENTS: dict[str, Callable[[], str]] = {
    "callback": callback.measure,
    "engine": engine.measure,
    "model": model.measure,
    "presets": presets.measure,
    "peer": peer.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures this machine and writes docs/bench.md."
    )
    parser.add_argument("--only", choices=MEASUREMENTS, help="print one section and write nothing")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "docs" / "bench.md",
        metavar="FILE",
        help="default: docs/bench.md",
    )
    args = parser.parse_args()
    if args.only:
        print(MEASUREMENTS[args.only]())
        return 0
    sections = ["# Measurements", "Written by `python -m bench`; edit nothing here.", machine.head()]
    for name, measure in MEASUREMENTS.items():
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        sections.append(measure())
    report.write(args.output, "\n\n".join(sections) + "\n")
    print(f"written: {args.output}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
