"""What models cost is counted right, stays within the budgets, and the table in the docs is the command's."""

from pathlib import Path

import pytest
import torch

import diffvs.cost
from diffvs.config import DdpmppConfig
from diffvs.cost import cost, count_macs, main, markdown
from diffvs.ddpmpp import Block, SelfAttention
from diffvs.presets import PRESETS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def costs():
    return {name: cost(model) for name, model in PRESETS.items()}


def test_the_causal_count_is_that_of_pencil_and_paper(costs):
    # One frame of `tiny`: 9 input channels in 4 bands of 32 bins, widths 8 and 16.
    def block(channels, bins):  # 3x3, 1x1, embedding, and the mixer's two maps over a quarter of the bins
        return channels * (9 * channels * bins + channels * bins + 16 + 2 * (bins // 4) * bins)

    enter, leave, embedding = 9 * 4 * 8 * 32, 8 * 8 * 4 * 32, 64 * 16 + 16 * 16
    down, up = 2 * 8 * 16 * 16, 16 * 16 * 16
    join = 16 * 8 * 32 + 32 * 16 * 16
    frame = enter + leave + embedding + down + up + join + 2 * block(8, 32) + 4 * block(16, 16)
    assert costs["tiny"].macs_per_second == pytest.approx(frame * 44_100 / 128)


@pytest.mark.parametrize("along", ["pixels", "time", "frequency"])
def test_attention_is_counted(along):
    layer = SelfAttention(8, 2, along)
    pixels, heard = 6 * 4, {"pixels": 6 * 4, "time": 4, "frequency": 6}[along]
    expected = pixels * (8 * 24 + 8 * 8) + 2 * pixels * heard * 8
    with torch.device("meta"):
        assert count_macs(layer.to("meta"), torch.zeros(1, 8, 6, 4)) == expected


def test_a_block_that_halves_is_counted_after_halving():
    with torch.device("meta"):
        block = Block(8, 8, DdpmppConfig(width=4), resample="down")
        macs = count_macs(block, torch.zeros(1, 8, 6, 4), torch.zeros(1, 16))
    assert macs == (2 * 9 + 1) * 8 * 8 * 3 * 2 + 16 * 8


def test_the_budgets_are_kept(costs):
    assert costs["live"].macs_per_second <= 3e9
    assert costs["live-large"].macs_per_second <= 10e9
    assert costs["paper"].parameters == pytest.approx(57e6, rel=0.03)
    assert costs["paper"].evaluations == 13
    assert costs["tiny"].parameters < 20_000
    assert costs["tiny-window"].parameters < 20_000


def test_what_a_model_hears_is_counted_in_seconds(costs):
    tiny = PRESETS["tiny"].network
    assert costs["tiny"].hears_s == pytest.approx((tiny.context_frames + 1) * 128 / 44_100)
    assert costs["paper"].hears_s == pytest.approx(256 * 1024 / 44_100)


def test_the_docs_hold_the_table(costs):
    page = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
    assert markdown(costs.values()) in page, "python -m diffvs.cost --markdown prints the table"


@pytest.fixture
def two_presets(monkeypatch):
    monkeypatch.setattr(diffvs.cost, "PRESETS", {name: PRESETS[name] for name in ("tiny", "tiny-window")})


@pytest.mark.usefixtures("two_presets")
def test_the_command_prints_a_table_or_its_markdown(capsys, costs):
    assert main([]) == 0
    printed = capsys.readouterr().out
    for word in ("tiny", "tiny-window", "evaluations", "0.017"):
        assert word in printed
    assert main(["--markdown"]) == 0
    assert capsys.readouterr().out == markdown([costs["tiny"], costs["tiny-window"]])


def test_the_command_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit) as refused:
        main(["--html"])
    assert refused.value.code == 2
    assert "unrecognized arguments: --html" in capsys.readouterr().err
