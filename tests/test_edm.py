"""The diffusion mathematics against closed forms: for Gaussian data denoiser and ODE can be solved."""

import dataclasses
import itertools
import math

import pytest
import torch

from diffvs.config import EdmConfig
from diffvs.edm import (
    complex_product,
    draw_sigmas,
    heun,
    karras_sigmas,
    loss_weight,
    preconditioning,
    stochastic_heun,
)

SIGMA_DATA = 0.5
SIGMAS = torch.tensor([1e-4, 0.002, 0.05, 0.5, 5.0, 80.0], dtype=torch.float64)


def gaussian_denoiser(x, sigma):
    """E[y | y + n = x] for y ~ N(0, SIGMA_DATA^2) and n ~ N(0, sigma^2)."""
    sigma = sigma.reshape(-1, *[1] * (x.ndim - 1))
    return x * SIGMA_DATA**2 / (SIGMA_DATA**2 + sigma**2)


def end_point(start, sigma_max):
    """Where the probability-flow ODE of that data takes `start` at noise level 0."""
    return start * SIGMA_DATA / math.hypot(SIGMA_DATA, sigma_max)


def relative_error(steps, sigma_max=1.0):
    start = torch.full((1, 3), sigma_max, dtype=torch.float64)
    sigmas = karras_sigmas(steps, 0.002, sigma_max)
    exact = end_point(start, sigma_max)
    return float(((heun(gaussian_denoiser, start, sigmas) - exact) / exact).abs().max())


class Counted:
    """A denoiser that notes the noise levels it is asked for."""

    def __init__(self):
        self.sigmas = []

    def __call__(self, x, sigma):
        assert sigma.shape == (len(x),)
        self.sigmas.append(float(sigma[0]))
        return gaussian_denoiser(x, sigma)


def test_heun_reaches_the_end_point_of_gaussian_data():
    assert relative_error(steps=64) < 1e-3


def test_heun_is_of_second_order():
    # The last step, Euler's from sigma_min, errs by a constant 1e-5 or so: compare where that is small.
    ratio = relative_error(steps=16) / relative_error(steps=31)  # 15 and 30 steps above sigma_min
    assert ratio == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_n_steps_cost_2n_minus_1_evaluations(steps):
    denoise = Counted()
    sigmas = karras_sigmas(steps, 0.05, 5.0)
    heun(denoise, torch.ones(2, 3), sigmas)
    assert len(denoise.sigmas) == 2 * steps - 1
    # Each step looks at both of its ends; the last ends at 0, where there is nothing to denoise.
    expected = [sigmas[0]] + [sigma for sigma in sigmas[1:-1] for _ in range(2)]
    assert denoise.sigmas == pytest.approx(expected)


def test_one_step_is_the_denoiser_itself():
    x = 5 * torch.randn(2, 4, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoised = gaussian_denoiser(x, torch.full((2,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(heun(gaussian_denoiser, x, karras_sigmas(1, 0.05, 5.0)), denoised)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_the_schedule_falls_from_sigma_max_to_sigma_min_to_0(rho):
    sigmas = karras_sigmas(7, 0.002, 80.0, rho)
    assert len(sigmas) == 8
    assert sigmas[0] == pytest.approx(80)
    assert sigmas[-2] == pytest.approx(0.002)
    assert sigmas[-1] == 0
    assert sigmas == sorted(sigmas, reverse=True)
    bent = [sigma ** (1 / rho) for sigma in sigmas[:-1]]
    assert all(a - b == pytest.approx(bent[0] - bent[1]) for a, b in itertools.pairwise(bent))


def test_the_schedule_is_the_published_one():
    # rho 7 from 80 to 0.002 in 4 steps, worked out by hand from equation 5.
    assert karras_sigmas(4, 0.002, 80.0) == pytest.approx([80, 9.72, 0.470, 0.002, 0], rel=1e-3)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        karras_sigmas(0, 0.05, 5.0)


def test_preconditioning_keeps_unit_variance():
    c_skip, c_out, c_in, c_noise = preconditioning(SIGMAS, SIGMA_DATA)
    ones = torch.ones_like(SIGMAS)
    torch.testing.assert_close(c_in**2 * (SIGMAS**2 + SIGMA_DATA**2), ones)  # of the network's input
    # Of its target, (y - c_skip x) / c_out with x = y + n: appendix B of the paper.
    target_variance = ((1 - c_skip) * SIGMA_DATA) ** 2 + (c_skip * SIGMAS) ** 2
    torch.testing.assert_close(target_variance / c_out**2, ones)
    torch.testing.assert_close(loss_weight(SIGMAS, SIGMA_DATA) * c_out**2, ones)
    torch.testing.assert_close(c_noise, SIGMAS.log() / 4)


def test_without_noise_the_denoiser_is_the_identity():
    c_skip, c_out, _, _ = preconditioning(torch.tensor([1e-6]), SIGMA_DATA)
    assert float(c_skip) == pytest.approx(1)
    assert float(c_out) == pytest.approx(0, abs=2e-6)


def test_stochastic_heun_without_churn_is_heun():
    sigmas = karras_sigmas(5, 0.05, 5.0)
    x, *noises = torch.randn(6, 1, 8, generator=torch.Generator().manual_seed(0)).unbind()
    plain = heun(gaussian_denoiser, x, sigmas)
    torch.testing.assert_close(
        stochastic_heun(gaussian_denoiser, x, sigmas, noises, churn=0), plain, rtol=0, atol=0
    )
    outside = stochastic_heun(gaussian_denoiser, x, sigmas, noises, churn=5, churn_min=6.0)
    torch.testing.assert_close(outside, plain, rtol=0, atol=0)
    assert not torch.equal(stochastic_heun(gaussian_denoiser, x, sigmas, noises, churn=5), plain)


def test_churn_raises_the_noise_level_before_each_step_that_it_is_for():
    sigmas = karras_sigmas(4, 0.05, 5.0)
    denoise = Counted()
    noises = torch.zeros(4, 1, 2)
    stochastic_heun(denoise, torch.ones(1, 2), sigmas, noises, churn=0.8, churn_min=0.2, churn_max=4.0)
    starts = denoise.sigmas[0::2]
    raised = [sigma * (1.2 if 0.2 <= sigma <= 4.0 else 1.0) for sigma in sigmas[:-1]]  # 0.8 / 4 steps
    assert starts == pytest.approx(raised)
    assert [a == b for a, b in zip(raised, sigmas, strict=False)] == [True, False, False, True]
    stochastic_heun(most := Counted(), torch.ones(1, 2), sigmas, noises, churn=100)
    assert most.sigmas[0] == pytest.approx(math.sqrt(2) * sigmas[0])


def test_stochastic_heun_draws_gaussian_data():
    generator = torch.Generator().manual_seed(0)
    samples, steps = 20_000, 24
    noises = (torch.randn(1, samples, generator=generator) for _ in range(steps))
    x = torch.randn(1, samples, generator=generator) * math.hypot(5.0, SIGMA_DATA)
    drawn = stochastic_heun(gaussian_denoiser, x, karras_sigmas(steps, 0.01, 5.0), noises, churn=8)
    # 20,000 samples know their standard deviation to 0.5 %, and 24 steps err by about 1 %.
    assert float(drawn.std()) == pytest.approx(SIGMA_DATA, rel=0.03)
    # Each step forgets a part of where the chain began.
    assert abs(float((x * drawn).mean() / (x.std() * drawn.std()))) < 0.8


def test_stochastic_heun_wants_noise_for_each_step():
    with pytest.raises(ValueError, match="shorter"):
        stochastic_heun(
            gaussian_denoiser, torch.ones(1, 2), karras_sigmas(3, 0.05, 5.0), [torch.ones(1, 2)], 1
        )


def test_training_noise_is_log_normal_with_a_share_at_sigma_max():
    config = EdmConfig(p_mean=-0.8, p_std=1.3, share_at_max=0.4, sigma_min=0.002, sigma_max=500.0)
    drawn = draw_sigmas(50_000, config, torch.Generator().manual_seed(0))
    at_max = drawn == config.sigma_max
    assert float(at_max.float().mean()) == pytest.approx(0.4, abs=0.01)
    logs = drawn[~at_max].log()
    assert float(logs.mean()) == pytest.approx(-0.8, abs=0.03)
    assert float(logs.std()) == pytest.approx(1.3, abs=0.03)


def test_training_noise_stays_within_what_sampling_visits():
    config = EdmConfig(sigma_min=0.05, sigma_max=1.0, share_at_max=0.0)
    drawn = draw_sigmas(1_000, config, torch.Generator().manual_seed(0))
    assert drawn.min() >= 0.05 / 10
    assert drawn.max() <= 1.0
    everything = dataclasses.replace(config, share_at_max=1.0)
    assert draw_sigmas(100, everything, torch.Generator().manual_seed(0)).unique().tolist() == [1.0]


def test_complex_product_is_that_of_complex_numbers():
    a, b = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    product = complex_product(a, b)
    for channel in (0, 2):
        expected = torch.complex(a[:, channel], a[:, channel + 1]) * torch.complex(
            b[:, channel], b[:, channel + 1]
        )
        torch.testing.assert_close(product[:, channel], expected.real)
        torch.testing.assert_close(product[:, channel + 1], expected.imag)
