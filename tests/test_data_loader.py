"""Batches do not depend on who makes them, resume exactly, and split over processes without overlap."""

import numpy as np
import pytest
import torch
from data_files import make_cache

from diffvs.data.examples import ExampleMaker, Recipe
from diffvs.data.loader import Batch, batches

RECIPE = Recipe(samples=8_192)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_cache(tmp_path_factory.mktemp("cache"), bandwidth_hz=8_000.0).root


def test_workers_make_the_batches_that_one_process_makes(root):
    alone = list(batches(root, RECIPE, 3, seed=5, first_batch=2, end_batch=5, workers=0))
    helped = list(batches(root, RECIPE, 3, seed=5, first_batch=2, end_batch=5, workers=2))
    assert len(alone) == len(helped) == 3
    for one, two in zip(alone, helped, strict=True):
        assert isinstance(two, Batch)
        assert one.mixture.shape == (3, 2, 8_192)
        for mine, theirs in zip(one, two, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_a_run_resumes_at_the_batch_it_had_reached(root):
    whole = list(batches(root, RECIPE, 2, seed=1, end_batch=5, workers=0))
    rest = list(batches(root, RECIPE, 2, seed=1, first_batch=3, end_batch=5, workers=0))
    torch.testing.assert_close(rest[0].mixture, whole[3].mixture, rtol=0, atol=0)
    assert len(rest) == 2


def test_two_processes_share_the_batch_of_one(root):
    whole = next(batches(root, RECIPE, 4, seed=1, first_batch=2, workers=0))
    parts = [
        next(batches(root, RECIPE, 2, seed=1, first_batch=2, workers=0, rank=rank, world_size=2))
        for rank in (0, 1)
    ]
    torch.testing.assert_close(torch.cat([part.vocals for part in parts]), whole.vocals, rtol=0, atol=0)


def test_a_batch_is_the_examples_of_its_indices(root):
    maker = ExampleMaker(make_cache(root, bandwidth_hz=8_000.0), RECIPE, 1)
    batch = next(batches(root, RECIPE, 2, seed=1, first_batch=3, workers=0))
    np.testing.assert_array_equal(batch.vocals[1].numpy(), maker.make(7).vocals)
    assert float(batch.bandwidth_hz[1]) == pytest.approx(maker.make(7).bandwidth_hz)


def test_loss_bins_end_at_the_bandwidth():
    batch = Batch(torch.zeros(3, 2, 8), torch.zeros(3, 2, 8), torch.tensor([8_000.0, 22_050.0, 0.0]))
    # 8000 Hz lies in bin 8000 * 2048 / 44100 = 371.5; full band is cut to the bins that are kept.
    assert batch.loss_bins(n_fft=2048, bins=1024).tolist() == [371, 1024, 0]


def test_a_cache_without_voices_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no vocals"):
        next(batches(tmp_path, RECIPE, 2, workers=0))
