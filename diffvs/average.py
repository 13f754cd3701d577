"""python -m diffvs.average: one checkpoint of the mean weights of several.

Fine-tuning gains some kinds of songs and loses others; the mean of the weights before and after keeps most of
both, at the cost of one network (Wortsman et al. 2022, "Model soups", https://arxiv.org/abs/2203.05482).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from diffvs import checkpoint
from diffvs.machine import provenance


def average(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of checkpoints of one architecture; sampler and name are the first one's.

    Raises ValueError for what is no checkpoint or another network.
    """
    loaded = [checkpoint.load(folder) for folder in folders]
    first = loaded[0][0].config
    for folder, (denoiser, _) in zip(folders, loaded, strict=True):
        config = denoiser.config
        if (config.network, config.spectrum) != (first.network, first.spectrum):
            raise ValueError(f"{folder} and {folders[0]} are different networks, which have no mean")
    weights = [denoiser.state_dict() for denoiser, _ in loaded]
    mean = {name: torch.stack([each[name] for each in weights]).mean(0) for name in weights[0]}
    facts = {**provenance(torch.device("cpu")), "mean_of": [facts for _, facts in loaded]}
    checkpoint.save(out, first, mean, facts)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m diffvs.average",
        description="Averages the weights of checkpoints that come from one another, such as those that a "
        "run started from and those that it ended with: often better than each. One that is named twice "
        "counts twice. Measure what comes out: python -m diffvs.evaluate.",
    )
    result.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    result.add_argument("--out", type=Path, required=True, metavar="CHECKPOINT", help="folder to write")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        average(options.checkpoints, options.out)
    except (ValueError, OSError) as error:
        print(f"average: {error}", file=sys.stderr)
        return 2
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
