"""Two processes of one machine, joined by gloo as torchrun would join them, learn what one process learns."""

import json
import os
import signal
import socket
import traceback
import warnings

import pytest
import torch
from rich.console import Console
from torch import multiprocessing
from train_rig import TINY, batch, broken

from diffvs.data.loader import Batch
from diffvs.training.feed import Feed
from diffvs.training.processes import join
from diffvs.training.run import Rhythm, Run, TrainingError
from diffvs.training.screen import Screen
from diffvs.training.state import STATE
from diffvs.training.stop import Stop
from diffvs.training.trainer import TrainConfig, Trainer

CONFIG = TrainConfig(batch_size=4, steps=4, warmup_steps=2)
SAMPLER = TrainConfig(batch_size=4, steps=2, warmup_steps=2, finetune_sampler=2)
# Sums of float32 in another order; the gradient passes through some twenty layers.
ORDER = 1e-4
PATIENCE_S = 300


def part_of(whole, processes):
    """This process's share of a global batch."""
    share = len(whole.mixture) // processes.world_size
    return Batch(*(x[processes.rank * share : (processes.rank + 1) * share] for x in whole))


def learn(config, processes=None):
    trainer = Trainer(TINY, config, processes)
    steps = [trainer.train_step(part_of(batch(n), trainer.processes)) for n in range(config.steps)]
    return trainer, [list(step[:4]) for step in steps]


def run_of(trainer, out, make, stop):
    feed = Feed(lambda first: (part_of(make(n), trainer.processes) for n in range(first, 99)))
    return Run(trainer, feed, out, Rhythm(log_every=1), None, stop, Screen(trainer, Console(quiet=True)))


def together(rank, port, out, results):
    """What each of the two processes does; the first one tells."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    warnings.simplefilter("error")  # "Grad strides do not match bucket view strides" is one
    processes = join("cpu")
    said = {}
    try:
        scenarios(processes, out, said)
    except BaseException:
        said["error"] = traceback.format_exc()
    (results / f"{rank}.json").write_text(json.dumps(said))
    os._exit(0)  # the process group is broken on purpose: nobody is left to part from


def scenarios(processes, out, said):
    trainer, said["losses"] = learn(CONFIG, processes)
    weights = torch.cat([p.detach().flatten() for p in trainer.denoiser.parameters()])
    said["weights"] = weights.double().sum().item(), weights.double().square().sum().item()
    said["sampler"] = learn(SAMPLER, processes)[1]

    # Only the second process is asked to stop, only the second lacks a batch, only it has a broken one.
    def make(number):
        if processes.rank == 1 and number == 1:
            raise OSError("no disk")
        if processes.rank == 1 and number == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return broken(number) if number == 3 else batch(number)

    trainer = Trainer(TINY, TrainConfig(batch_size=4, minutes=60), processes)
    with Stop() as stop:
        run = run_of(trainer, out / "stopped", make, stop)
        said["stopped"] = [run.run(), trainer.step, trainer.skipped, trainer.seconds_trained]

    # What only the first process can read reaches both, and so does what it cannot read.
    again = Trainer(TINY, TrainConfig(batch_size=4, minutes=60), processes)
    again.resume(out / "stopped" if processes.first else out / "nowhere")
    said["resumed"] = [again.step, again.seconds_trained]
    with pytest.raises(ValueError, match="cannot be read") as refusal:
        again.resume(out / "nowhere")
    said["refusal"] = type(refusal.value).__name__

    # The second process dies in the middle of a step; this scenario is the last.
    def deadly(number):
        if processes.rank == 1 and number == 2:
            os._exit(1)
        return batch(number)

    (out / "results" / f"{processes.rank}.json").write_text(json.dumps(said))
    trainer = Trainer(TINY, TrainConfig(batch_size=4, steps=9), processes)
    with pytest.raises(TrainingError, match=r"another process of this run is gone.*step 2 is saved") as lost:
        run_of(trainer, out / "lost", deadly, Stop()).run()
    said["lost"] = str(lost.value)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder in which two processes have done everything above."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "results").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=together, args=(rank, port, folder, folder / "results")) for rank in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE_S)
    for process in both:
        if process.is_alive():
            process.kill()
    return folder


@pytest.fixture(scope="module")
def said(out):
    first, second = (json.loads((out / "results" / f"{rank}.json").read_text()) for rank in range(2))
    assert "error" not in first, first["error"]
    assert "error" not in second, second["error"]
    return first, second


def test_the_same_global_batch_gives_the_same_losses(said):
    trainer, losses = learn(CONFIG)
    for one in said:
        torch.testing.assert_close(torch.tensor(one["losses"]), torch.tensor(losses), rtol=ORDER, atol=ORDER)
    weights = torch.cat([p.detach().flatten() for p in trainer.denoiser.parameters()]).double()
    alone = [weights.sum().item(), weights.square().sum().item()]
    assert said[0]["weights"] == said[1]["weights"]
    assert said[0]["weights"] == pytest.approx(alone, rel=1e-3)


def test_so_does_training_through_the_sampler(said):
    _, losses = learn(SAMPLER)
    for one in said:
        torch.testing.assert_close(torch.tensor(one["sampler"]), torch.tensor(losses), rtol=ORDER, atol=ORDER)


def test_what_happens_to_one_happens_to_both(said):
    assert said[0]["stopped"] == said[1]["stopped"]  # the clock, too, is the first one's
    finished, step, skipped, seconds = said[0]["stopped"]
    assert (finished, step, skipped) == (False, 5, 2)
    assert seconds > 0


def test_only_the_first_process_writes(out, said):
    kept = json.loads((out / "stopped" / "bad_batches" / "batch_00000003.json").read_text())
    assert [example["example"] for example in kept["examples"]] == [14]  # made by the second process
    assert (out / "stopped" / STATE).is_file()


def test_only_the_first_process_needs_to_see_the_run(said):
    step, seconds = said[0]["stopped"][1], said[0]["stopped"][3]
    assert said[0]["resumed"] == said[1]["resumed"] == [step, seconds]
    assert said[0]["refusal"] == said[1]["refusal"] == "ToldError"


def test_a_process_that_is_left_alone_saves_and_says_so(out, said):
    assert "run the same command again" in said[0]["lost"]
    state = torch.load(out / "lost" / STATE, weights_only=True)
    assert state["counters"]["step"] == 2
