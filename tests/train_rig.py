"""What the tests of training share: tiny batches, a tiny cache with a validation song, and a run's log."""

import csv
import itertools

import numpy as np
import torch
from data_files import make_cache, tone

from diffvs.data.cache import Entry
from diffvs.data.loader import Batch
from diffvs.presets import PRESETS

TINY = PRESETS["tiny"]
# Columns of log.csv that are a matter of time, not of what was learned.
CLOCKS = ("minutes", "audio_per_second")


def batch(number, examples=4, model=TINY):
    """Batch `number`: a gliding tone is the vocals, noise the accompaniment."""
    rng = np.random.default_rng(number)
    time = np.arange(model.segment) / model.spectrum.sample_rate
    pitch = rng.uniform(300, 3_000, (examples, 2, 1))
    vocals = 0.3 * np.sin(2 * np.pi * pitch * time * (1 + time))
    mixture = vocals + 0.1 * rng.standard_normal(vocals.shape)
    return Batch(
        torch.from_numpy(mixture).float(), torch.from_numpy(vocals).float(), torch.full((examples,), 22_050.0)
    )


def broken(number):
    """A batch whose third example is not a number at one sample."""
    whole = batch(number)
    whole.mixture[2, 0, -7] = float("nan")
    return whole


def numbered(make=batch):
    """A stand-in for diffvs.data.loader.batches that yields make(number), never from a worker process."""

    def batches(cache, recipe, batch_size, seed=0, first_batch=0, **_):
        return (make(number) for number in itertools.count(first_batch))

    return batches


def training_cache(root):
    """A cache to train and validate on, with a second of song."""
    cache = make_cache(root)
    for part, role in enumerate(("vocals", "accompaniment")):
        entry = Entry("eif", f"Song/{role}", role, "Song", role, "song.flac")
        cache.add("valid", entry, tone(7 + part, seconds=0.5))
    return cache.root


def log_rows(run, name="log.csv", without=CLOCKS):
    """The rows of a run's log as dicts, without what depends on the clock."""
    with (run / name).open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in without} for row in csv.DictReader(file)]
