"""The options that every command shares which runs a model."""

from __future__ import annotations

import argparse

from stream.separation.load import RunOptions
from stream.separation.providers import AUTO, PROVIDERS

PARTS = ("provider", "steps", "threads")


def add_run_options(parser: argparse._ArgumentGroup | argparse.ArgumentParser, *, default_steps: str) -> None:
    parser.add_argument(
        "--model", metavar="FILE", help="an .onnx model, or 'identity' (default: the bundled one)"
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help=f"of the sampler, always so many (default: {default_steps})"
    )
    parser.add_argument(
        "--provider",
        choices=["auto", *PROVIDERS],
        default="auto",
        help=f"what runs the model (default: auto, the first there is of {', '.join(AUTO)})",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="of the processor, for the model (default: 1)"
    )


def run_options(options: argparse.Namespace) -> RunOptions:
    """Raises ModelError."""
    return RunOptions(**{name: getattr(options, name) for name in PARTS})
