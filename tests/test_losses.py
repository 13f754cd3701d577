"""What training minimises: known errors give known losses, and what is unknown says nothing."""

import pytest
import torch
from denoisers import image

from diffvs.edm import loss_weight
from diffvs.presets import PRESETS
from diffvs.spectrum import expand
from diffvs.training.losses import QUIET_LOUDNESS, training_loss

TINY_MODEL = PRESETS["tiny"]
AT_MAX = TINY_MODEL.edm.sigma_max
FRAMES = 6


def example(batch=1, seed=0):
    """estimate, target, mixture, and every bin known."""
    images = [image(TINY_MODEL, FRAMES, seed=10 * seed + i, batch=batch) for i in range(3)]
    return *images, torch.full((batch,), TINY_MODEL.spectrum.bins)


def test_the_denoising_loss_is_the_weighted_square():
    estimate, target, mixture, bins = example(batch=2)
    sigma = torch.tensor([0.3, 2.0])
    losses = training_loss(estimate, target, mixture, sigma, bins, TINY_MODEL, 1.0)
    squared = (estimate - target).square()
    expected = sum(loss_weight(sigma, 0.5)[i] * squared[i].mean() for i in range(2)) / 2
    assert float(losses.denoising) == pytest.approx(float(expected), rel=1e-5)
    assert float(losses.expanded) == 0  # no example is at sigma_max
    assert float(losses.total) == float(losses.denoising)


def test_the_expanded_loss_is_the_error_of_linear_spectra_at_sigma_max():
    estimate, target, mixture, bins = example(batch=2)
    sigma = torch.tensor([AT_MAX, 1.0])
    losses = training_loss(estimate, target, mixture, sigma, bins, TINY_MODEL, 0.5)
    e, t, m = (expand(x[:1], TINY_MODEL.spectrum) for x in (estimate, target, mixture))
    error, vocals, whole = (float(x.square().mean().sqrt()) for x in (e - t, t, m))
    expected = error / (0.5 * (vocals + whole) + QUIET_LOUDNESS)
    assert float(losses.expanded) == pytest.approx(expected / 2, rel=1e-5)
    assert float(losses.total) == pytest.approx(float(losses.denoising + 0.5 * losses.expanded))


def test_a_perfect_estimate_costs_nothing():
    _, target, mixture, bins = example()
    losses = training_loss(target, target, mixture, torch.tensor([AT_MAX]), bins, TINY_MODEL, 1.0)
    assert float(losses.denoising) == 0
    assert float(losses.expanded) <= 1e-4  # the root of nothing is not quite nothing


def test_a_batch_is_the_mean_of_its_examples_however_it_is_split():
    estimate, target, mixture, bins = example(batch=4)
    bins = torch.tensor([128, 50, 7, 100])
    sigma = torch.tensor([AT_MAX, AT_MAX, 0.1, 1.0])
    whole = training_loss(estimate, target, mixture, sigma, bins, TINY_MODEL, 1.0)
    for size in (1, 2):
        parts = [
            training_loss(
                *(x[i : i + size] for x in (estimate, target, mixture, sigma, bins)), TINY_MODEL, 1.0
            )
            for i in range(0, 4, size)
        ]
        for name in whole._fields:
            mean = torch.stack([getattr(part, name) for part in parts]).mean()
            torch.testing.assert_close(mean, getattr(whole, name))


def gradient(bins):
    estimate, target, mixture, _ = example()
    estimate.requires_grad_()
    loss = training_loss(
        estimate, target, mixture, torch.tensor([AT_MAX]), torch.tensor([bins]), TINY_MODEL, 1.0
    )
    assert loss.total.isfinite()
    loss.total.backward()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    return estimate.grad[0]


def test_bins_above_the_bandwidth_give_no_gradient():
    given = gradient(bins=40)
    assert not given[:, 40:].any()
    assert given[:, :40].all()


def test_a_narrow_example_counts_as_much_as_a_wide_one():
    estimate, target, mixture, _ = example()
    estimate = target + 0.1  # the same error in every bin
    losses = [
        training_loss(
            estimate, target, mixture, torch.tensor([1.0]), torch.tensor([bins]), TINY_MODEL, 1.0
        ).denoising
        for bins in (128, 10)
    ]
    torch.testing.assert_close(losses[0], losses[1])


def test_an_example_of_unknown_vocals_counts_for_nothing():
    assert not gradient(bins=0).any()


def test_every_frame_counts_from_the_first_on_where_nothing_was_heard_before():
    assert gradient(bins=128).all()


@pytest.mark.parametrize("silent", ["target", "mixture and target", "all"])
def test_silence_has_a_finite_loss_and_gradient(silent):
    estimate, target, mixture, bins = example()
    target = torch.zeros_like(target)
    if silent != "target":
        mixture = torch.zeros_like(mixture)
    if silent == "all":
        estimate = torch.zeros_like(estimate)
    estimate.requires_grad_()
    losses = training_loss(estimate, target, mixture, torch.tensor([AT_MAX]), bins, TINY_MODEL, 1.0)
    losses.total.backward()
    assert losses.total.isfinite()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


def test_the_expanded_loss_does_not_care_how_loud_an_example_is():
    estimate, target, mixture, bins = example()
    sigma = torch.tensor([AT_MAX])
    loud = training_loss(estimate, target, mixture, sigma, bins, TINY_MODEL, 1.0).expanded
    quiet = training_loss(0.3 * estimate, 0.3 * target, 0.3 * mixture, sigma, bins, TINY_MODEL, 1.0).expanded
    assert float(quiet) == pytest.approx(float(loud), rel=2e-2)  # but for the floor of 1e-5
