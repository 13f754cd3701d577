"""The processes that train one model together: who this one is, and what they tell each other.

torchrun sets RANK, WORLD_SIZE and LOCAL_RANK; without them there is one process and nothing to tell.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed

from diffvs.device import choose_device

T = TypeVar("T")

# While the first process validates or saves, the others wait for it in their next collective call.
PATIENCE = datetime.timedelta(hours=2)


CPU = torch.device("cpu")


class ToldError(ValueError):
    """The first process has failed at this and will say so: the others need not."""


@dataclass(frozen=True)
class Processes:
    """This process among `world_size`. All must call `sums`, `gather` and `share` at the same time."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the processes."""
        if self.world_size == 1:
            return list(values)
        # float64: seconds and counters are summed as well. MPS, which has no float64, is never distributed.
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def gather(self, thing: Any) -> list[Any]:
        """The thing of every process, in the order of their ranks."""
        if self.world_size == 1:
            return [thing]
        things: list[Any] = [None] * self.world_size
        distributed.all_gather_object(things, thing)
        return things

    def share(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, which alone must be able to read the run's files.

        A ValueError of its becomes a ToldError in every process.
        """
        if self.world_size == 1:
            return make()
        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = make()
            except ValueError as error:
                box[1] = str(error)
        distributed.broadcast_object_list(box)
        if box[1] is not None:
            raise ToldError(box[1])
        made: T = box[0]
        return made

    def close(self) -> None:
        if self.world_size > 1:
            distributed.destroy_process_group()


def join(device: str | None = None) -> Processes:
    """Join the processes that torchrun started, or be alone.

    `device` is cpu or cuda; without it, cuda where there is one. Raises ValueError when it is not there.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    place = choose_device(device)
    if place.type == "cuda":
        index, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if index >= there:
            raise ValueError(
                f"process {index} of this machine needs a GPU of its own, PyTorch finds {there}: "
                "start fewer processes, or use --device cpu"
            )
        torch.cuda.set_device(index)
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        place = torch.device("cuda", index)
    if world_size > 1:
        distributed.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    return Processes(rank, world_size, place)


def is_lost_peer(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in ("gloo", "nccl"))
