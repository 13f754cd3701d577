"""Checkpoints come back as they were written, or are refused with the file and the reason."""

import dataclasses
import json

import pytest
import torch
from denoisers import awake, image

from diffvs import checkpoint
from diffvs.checkpoint import CONFIG, FACTS, WEIGHTS, config_from_json, load, save
from diffvs.presets import PRESETS

TINY = PRESETS["tiny"]


def written(folder, model=TINY):
    denoiser = awake(model)
    save(folder, model, denoiser.state_dict(), {"step": 7, "songs": ["a", "b"]})
    return denoiser


@pytest.mark.parametrize("name", ["tiny", "tiny-window"])
def test_a_checkpoint_comes_back_as_it_was(tmp_path, name):
    folder = tmp_path / "a" / "run"
    before = written(folder, PRESETS[name])
    after, facts = load(folder)
    assert after.config == PRESETS[name]
    assert facts == {"step": 7, "songs": ["a", "b"]}
    assert not after.training
    noisy, mixture = image(after.config, 32, seed=1), image(after.config, 32, seed=2)
    assert torch.equal(after(noisy, torch.ones(1), mixture), before(noisy, torch.ones(1), mixture))
    assert sorted(path.name for path in folder.iterdir()) == sorted([WEIGHTS, CONFIG, FACTS])


@pytest.mark.parametrize("name", PRESETS)
def test_configurations_go_through_json(name):
    model = PRESETS[name]
    assert config_from_json(json.dumps(dataclasses.asdict(model))) == model


def test_weights_in_another_memory_format_come_back(tmp_path):
    denoiser = awake(TINY).to(memory_format=torch.channels_last)
    save(tmp_path, TINY, denoiser.state_dict(), {})
    for name, tensor in load(tmp_path)[0].state_dict().items():
        assert torch.equal(tensor, denoiser.state_dict()[name])


def test_facts_are_optional(tmp_path):
    written(tmp_path)
    (tmp_path / FACTS).unlink()
    assert load(tmp_path)[1] == {}


def test_a_newer_checkpoint_takes_the_place_of_the_older(tmp_path):
    written(tmp_path)
    newer = awake(TINY, seed=1)
    save(tmp_path, TINY, newer.state_dict(), {"step": 8})
    after, facts = load(tmp_path)
    assert facts == {"step": 8}
    assert torch.equal(after.network.leave.weight, newer.network.leave.weight)


def test_a_failed_write_leaves_the_older_checkpoint_whole(tmp_path):
    before = written(tmp_path)
    with pytest.raises(TypeError):
        save(tmp_path, TINY, awake(TINY, seed=1).state_dict(), {"no JSON": object()})
    after, facts = load(tmp_path)
    assert facts["step"] == 7
    assert torch.equal(after.network.leave.weight, before.network.leave.weight)


@pytest.mark.parametrize("missing", [WEIGHTS, CONFIG])
def test_a_folder_without_its_parts_is_no_checkpoint(tmp_path, missing):
    written(tmp_path)
    (tmp_path / missing).rename(tmp_path / (missing + ".part"))  # as a write that was broken off leaves it
    with pytest.raises(ValueError, match=f"is not a checkpoint: it has no {missing}"):
        load(tmp_path)


def test_what_is_not_there_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a checkpoint"):
        load(tmp_path / "nowhere")


def change(values, **changes):
    return json.dumps({**values, **changes})


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda v: "", "JSONDecodeError"),
        (lambda v: json.dumps(v)[:100], "JSONDecodeError"),
        (lambda v: "[]", "does not describe a model"),
        (lambda v: "{}", "KeyError: 'network'"),
        (lambda v: change(v, network={**v["network"], "kind": "quantum"}), "KeyError: 'quantum'"),
        (lambda v: change(v, network={**v["network"], "colour": 1}), "unexpected keyword argument 'colour'"),
        (lambda v: change(v, network={**v["network"], "bands": 48}), "128 bins do not split into 48 bands"),
        (lambda v: change(v, network={**v["network"], "bands": 0}), "does not describe a model"),
        (lambda v: change(v, network=None), "does not describe a model"),
        (lambda v: change(v, spectrum={**v["spectrum"], "bins": 999}), r"1\.\.129 for n_fft 256, got 999"),
        (lambda v: change(v, spectrum={**v["spectrum"], "n_fft": "big"}), "does not describe a model"),
    ],
)
def test_a_broken_configuration_is_refused_with_the_reason(tmp_path, broken, reason):
    written(tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(broken(values))
    with pytest.raises(ValueError, match=reason) as refused:
        load(tmp_path)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("size", [0, 4, 200, 5_000])
def test_truncated_weights_are_refused(tmp_path, size):
    written(tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(content[:size])
    with pytest.raises(ValueError, match=f"{WEIGHTS} does not hold the weights of tiny"):
        load(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path):
    written(tmp_path / "tiny")
    written(tmp_path / "window", PRESETS["tiny-window"])
    (tmp_path / "window" / WEIGHTS).replace(tmp_path / "tiny" / WEIGHTS)
    with pytest.raises(ValueError, match=r"does not hold the weights of tiny: .*Missing key"):
        load(tmp_path / "tiny")


def test_broken_facts_are_refused(tmp_path):
    written(tmp_path)
    (tmp_path / FACTS).write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match="UnicodeDecodeError"):
        load(tmp_path)


def test_weights_are_not_pickled(tmp_path):
    written(tmp_path)
    content = (tmp_path / checkpoint.WEIGHTS).read_bytes()
    header = int.from_bytes(content[:8], "little")
    assert set(json.loads(content[8 : 8 + header])) == set(awake(TINY).state_dict())
