"""One process learns: exactly resumable, deaf to what is not finite, through the sampler that is deployed."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from train_rig import TINY, batch, broken

from diffvs import checkpoint
from diffvs.presets import PRESETS
from diffvs.sampling import StreamingSampler, default_sigmas, frame_noise
from diffvs.spectrum import RunningLevel, analyse
from diffvs.training.objective import Objective
from diffvs.training.processes import Processes
from diffvs.training.state import STATE, SaveError
from diffvs.training.trainer import TrainConfig, Trainer

CONFIG = TrainConfig(batch_size=4, steps=8, warmup_steps=2)
# float32 sums in another order: streaming state against whole sequences
STREAMED = 1e-5


def trained(steps, config=CONFIG, model=TINY):
    trainer = Trainer(model, config)
    return trainer, [trainer.train_step(batch(number)) for number in range(steps)]


def weights_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("preset", ["tiny", "tiny-window"])  # the second one has dropout
def test_a_resumed_run_takes_the_steps_of_an_uninterrupted_one(preset, tmp_path):
    model = PRESETS[preset]
    batches = [batch(number, model=model) for number in range(6)]
    whole = Trainer(model, CONFIG)
    steps = [whole.train_step(one) for one in batches]

    first = Trainer(model, CONFIG)
    halves = [first.train_step(one) for one in batches[:3]]
    first.seconds_trained = 7.0
    first.save(tmp_path, {})
    second = Trainer(model, CONFIG)
    second.resume(tmp_path)
    assert (second.step, second.seconds_heard, second.seconds_trained) == (3, first.seconds_heard, 7.0)
    halves += [second.train_step(one) for one in batches[3:]]

    assert halves == steps  # bit for bit
    assert_same(weights_of(second.denoiser), weights_of(whole.denoiser))
    assert_same(weights_of(second.average), weights_of(whole.average))


def test_the_checkpoint_holds_the_average_and_the_facts(tmp_path):
    trainer, _ = trained(3)
    trainer.save(tmp_path, {"hello": "world"})
    denoiser, facts = checkpoint.load(tmp_path)
    assert_same(weights_of(denoiser), weights_of(trainer.average))
    assert (facts["hello"], facts["step"]) == ("world", 3)
    assert facts["training"]["batch_size"] == 4
    assert not list(tmp_path.glob("*.part"))


def test_the_average_follows_the_weights_with_a_memory_that_grows():
    trainer, _ = trained(1)
    assert_same(weights_of(trainer.average), weights_of(trainer.denoiser))  # one step is all there is to know
    before = weights_of(trainer.average)["network.enter.weight"]
    trainer.train_step(batch(1))
    now, weights = trainer.average.network.enter.weight, trainer.denoiser.network.enter.weight
    torch.testing.assert_close(now, before + (weights - before) / 1.2)  # keeps 1 - 1 / (1 + step / 5)


def test_the_learning_rate_warms_up_and_falls_by_a_cosine():
    config = TrainConfig(learning_rate=1.0, warmup_steps=4, final_share=0.1)
    assert [config.learning_rate_at(step, 0.0) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert config.learning_rate_at(9, 0.5) == pytest.approx(0.55)
    assert config.learning_rate_at(9, 1.0) == pytest.approx(0.1)
    assert config.learning_rate_at(9, 1.5) == pytest.approx(0.1)


def test_progress_is_of_steps_or_minutes_whichever_is_further():
    trainer = Trainer(TINY, dataclasses.replace(CONFIG, steps=10, minutes=2.0))
    trainer.step, trainer.seconds_trained = 5, 30.0
    assert trainer.progress == 0.5
    trainer.seconds_trained = 90.0
    assert trainer.progress == 0.75
    assert Trainer(TINY, dataclasses.replace(CONFIG, steps=None)).progress == 0


def test_what_is_not_finite_leaves_the_weights_alone():
    trainer, _ = trained(2)
    weights, average = weights_of(trainer.denoiser), weights_of(trainer.average)
    step = trainer.train_step(broken(2))
    assert not step.applied
    assert math.isnan(step.loss)
    assert_same(weights_of(trainer.denoiser), weights)
    assert_same(weights_of(trainer.average), average)
    assert (trainer.step, trainer.skipped) == (3, 1)
    losses = trainer.single_losses(broken(2), trainer.noise_seeds(2, 4))
    assert [math.isfinite(loss) for loss in losses] == [True, True, False, True]
    unknown = broken(3)
    unknown.bandwidth_hz[2] = 0  # where the loss does not look, but the network does
    unheard = trainer.train_step(unknown)
    assert math.isfinite(unheard.loss)
    assert not unheard.applied
    assert trainer.train_step(batch(4)).applied


def test_one_example_alone_has_the_loss_it_had_in_the_batch():
    trainer = Trainer(TINY, CONFIG)
    losses = trainer.single_losses(batch(0), trainer.noise_seeds(0, 4))
    assert sum(losses) / 4 == pytest.approx(trainer.train_step(batch(0)).loss, rel=1e-5)


def test_noise_belongs_to_the_place_in_the_global_batch():
    alone = Trainer(TINY, CONFIG).noise_seeds(5, 4)
    assert len(set(alone)) == 4
    assert alone != Trainer(TINY, CONFIG).noise_seeds(6, 4)
    one, two = (Trainer.noise_seeds(_at(Processes(rank, 2)), 5, 2) for rank in range(2))
    assert one + two == alone


def _at(processes):
    trainer = Trainer(TINY, CONFIG)
    trainer.processes = processes
    return trainer


def test_weights_to_start_from_come_with_a_fresh_optimiser(tmp_path):
    source, _ = trained(3)
    source.save(tmp_path, {"stage": "first"})
    trainer = Trainer(TINY, CONFIG)
    trainer.start_from(tmp_path)
    assert_same(weights_of(trainer.denoiser), weights_of(source.average))
    assert_same(weights_of(trainer.average), weights_of(source.average))
    assert trainer.step == 0
    assert not trainer.optimiser.state
    trainer.save(tmp_path / "second", {})
    assert checkpoint.load(tmp_path / "second")[1]["started_from"]["stage"] == "first"


def test_a_state_of_before_the_average_was_kept_in_it_is_read(tmp_path):
    source, _ = trained(2)
    source.save(tmp_path, {})
    state = torch.load(tmp_path / STATE, weights_only=True)
    for name in ("average", "started_from"):
        del state[name]
    del state["counters"]["skipped"]
    torch.save(state, tmp_path / STATE)
    trainer = Trainer(TINY, CONFIG)
    trainer.resume(tmp_path)
    assert_same(weights_of(trainer.average), weights_of(source.average))
    assert trainer.train_step(batch(2)) == source.train_step(batch(2))


def test_states_that_cannot_be_read_are_named(tmp_path):
    trained(1)[0].save(tmp_path, {})
    with pytest.raises(ValueError, match=r"trainer\.pt cannot be read.*--start-from"):
        Trainer(PRESETS["tiny-window"], CONFIG).resume(tmp_path)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:2_000])
    with pytest.raises(ValueError, match=r"trainer\.pt cannot be read"):
        Trainer(TINY, CONFIG).resume(tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of file size are a matter of Unix")
    trainer, _ = trained(2)
    trainer.save(tmp_path, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    trainer.train_step(batch(2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (100_000, 4_000):  # too little for trainer.pt, and too little for the weights
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(SaveError, match="what it held is whole"):
                trainer.save(tmp_path, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "clip_norm", "steps", "minutes"])
def test_settings_that_make_no_sense_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be more than 0, got 0"):
        TrainConfig(**{name: 0})
    with pytest.raises(ValueError, match="more than 0, got nan"):
        TrainConfig(learning_rate=float("nan"))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="batch of 4 does not divide among 3 processes"):
        Trainer(TINY, CONFIG, Processes(0, 3))


# Through the sampler


def objective(model=TINY, **options):
    torch.manual_seed(3)
    trainer = Trainer(model, CONFIG)
    for name, parameter in trainer.denoiser.named_parameters():
        if name.endswith("gain"):  # they are 0 at first: a fresh network answers nothing at all
            nn.init.ones_(parameter)
    return Objective(trainer.denoiser, 1.0, **options)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_sampler_trained_through_is_the_deployed_one(steps):
    one = objective(sampler_steps=steps)
    one.denoiser.eval()
    condition, _ = one.images(*batch(0, examples=1)[:2])
    noise = frame_noise(0, condition.shape[-1], condition.shape[2])
    with torch.no_grad():
        estimate = one.sample(noise, condition, steps)
    deployed = StreamingSampler(one.denoiser, default_sigmas(one.denoiser, steps)).process(condition)
    torch.testing.assert_close(estimate, deployed, rtol=STREAMED, atol=STREAMED)


@pytest.mark.parametrize(
    ("gradient", "learning"), [("all", [True, True, True]), ("last", [False, False, True])]
)
def test_the_gradient_goes_where_it_is_sent(gradient, learning):
    one = objective(sampler_steps=2, sampler_gradient=gradient)
    seen = []
    one.denoiser.register_forward_pre_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    part = batch(0)
    losses = one(part.mixture, part.vocals, part.loss_bins(256, 128), [1, 2, 3, 4])
    losses.total.backward()
    assert seen == learning
    assert all(parameter.grad is not None for parameter in one.denoiser.parameters())


def test_one_evaluation_of_each_example_learns_from_what_those_before_it_made():
    model = dataclasses.replace(TINY, edm=dataclasses.replace(TINY.edm, share_at_max=0.5))
    one = objective(model, sampler_steps=2, sampler_gradient="one")
    seen = []
    one.denoiser.register_forward_hook(
        lambda _, inputs, answer: seen.append((len(answer), answer.requires_grad, inputs[0].requires_grad))
    )
    part, seeds = batch(0), [2, 3, 1, 7]  # which draw the evaluations 0, 0, 1 and 2
    assert one._evaluations(one._draw(part.mixture, seeds)[0], seeds, steps=2).tolist() == [0, 0, 1, 2]
    one(part.mixture, part.vocals, part.loss_bins(256, 128), seeds).total.backward()
    learning, served = (2, True, False), (1, False, False)
    last = (1, True, False)
    assert seen == [learning, served, last, served, served, last]


def test_each_evaluation_judged_is_what_the_deployed_sampler_answers_when_stopped_there():
    cool = dataclasses.replace(TINY, edm=dataclasses.replace(TINY.edm, temperature=0.5))
    one = objective(cool, sampler_steps=2, sampler_gradient="one").eval()
    condition, _ = one.images(*batch(0, examples=1)[:2])
    noise = frame_noise(0, condition.shape[-1], condition.shape[2])
    sigmas, deployed = default_sigmas(one.denoiser, 2), []
    one.denoiser.register_forward_hook(lambda _, inputs, answer: deployed.append(answer))
    StreamingSampler(one.denoiser, sigmas).process(condition)
    for number, answer in enumerate(deployed[-3:]):
        with torch.no_grad():
            judged = one.sample(noise, condition, 2, number)
        torch.testing.assert_close(judged, answer, rtol=STREAMED, atol=STREAMED)


def test_the_last_evaluation_learns_in_bfloat16_too():
    # Autocast keeps its copies of the weights; copies made without a gradient would be used again.
    one = objective(sampler_steps=2, sampler_gradient="last", bfloat16=True)
    part = batch(0)
    one(part.mixture, part.vocals, part.loss_bins(256, 128), [1, 2, 3, 4]).total.backward()
    assert one.denoiser.network.embed_in.weight.grad.abs().sum() > 0


def test_one_step_of_the_sampler_is_one_evaluation_of_noise_alone():
    one = objective(sampler_steps=1)
    seen = []
    one.denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    part, seeds = batch(0), [1, 2, 3, 4]
    losses = [
        one(part.mixture, vocals, part.loss_bins(256, 128), seeds) for vocals in (part.vocals, -part.vocals)
    ]
    (noisy, sigma, _), (again, *_) = seen
    assert sigma.tolist() == [TINY.edm.sigma_max] * 4
    assert_same(noisy, again)  # no trace of the target
    assert noisy.std().item() == pytest.approx(TINY.edm.sigma_max, rel=0.02)
    assert losses[0].total != losses[1].total
    assert losses[0].expanded > 0


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_at_sigma_max_the_denoiser_hears_noise_alone_as_in_the_sampler(temperature):
    at_max = TINY.edm.sigma_max
    edm = dataclasses.replace(TINY.edm, share_at_max=0.5, temperature=temperature)
    one = objective(dataclasses.replace(TINY, edm=edm))
    seen = []
    one.denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    part, seeds = batch(0), [1, 2, 3, 4]
    for vocals in (part.vocals, -part.vocals):
        one(part.mixture, vocals, part.loss_bins(256, 128), seeds)
    (noisy, sigma, _), (again, *_) = seen
    same = [bool((one == other).all()) for one, other in zip(noisy, again, strict=True)]
    assert same == (sigma == at_max).tolist()
    assert len(set(same)) == 2  # both kinds were drawn
    assert noisy[sigma == at_max].std().item() == pytest.approx(temperature * at_max, rel=0.02)


def test_a_denoiser_that_looks_ahead_is_asked_for_what_it_has_heard():
    model = dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, lookahead_frames=2))
    late, prompt = objective(model), objective()
    part = batch(0)
    condition, target = late.images(part.mixture, part.vocals)
    same, whole = prompt.images(part.mixture, part.vocals)
    assert_same(condition, same)
    assert_same(target[..., 2:], whole[..., :-2])
    assert not target[..., :2].any()


def test_a_denoiser_that_follows_the_level_learns_the_same_at_any_level():
    spectrum = dataclasses.replace(TINY.spectrum, level_seconds=0.05)
    one, part = objective(dataclasses.replace(TINY, spectrum=spectrum)), batch(0)
    condition, target = one.images(part.mixture, part.vocals)
    heard = analyse(part.mixture, spectrum)
    assert_same(condition, heard / RunningLevel(spectrum).follow(heard))  # the mixture's level, as in use
    louder = one.images(part.mixture * 8, part.vocals * 8)
    torch.testing.assert_close(louder, (condition, target), rtol=1e-3, atol=1e-3)
    as_it_came = objective().images(part.mixture, part.vocals)
    # The share of the vocals in the mixture stays what it was in every frame.
    torch.testing.assert_close(target * as_it_came[0], as_it_came[1] * condition, rtol=1e-3, atol=1e-3)


def test_it_learns_one_batch_by_heart():
    config = TrainConfig(batch_size=2, learning_rate=0.02, warmup_steps=5, steps=60)
    trainer = Trainer(TINY, config)
    losses = [trainer.train_step(batch(0, examples=2)).loss for _ in range(config.steps)]
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
