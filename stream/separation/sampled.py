"""SampledSeparator: what the separators around an exported model share, whatever the kind of model."""

from __future__ import annotations

from typing import ClassVar

from stream.separation.anytime import Anytime
from stream.separation.model import OnnxModel
from stream.separation.schedules import Schedule, Schedules
from stream.separation.separator import ModelError
from stream.separation.spectrum import transforms


class SampledSeparator:
    """The stream that a model asks for, its transforms, and how many steps of the sampler it makes.

    With `anytime` it makes fewer evaluations when time is short; then what comes out depends on the load.
    Up to `most_steps` can be set while it runs: always so many then, until None is set again.
    """

    kind: ClassVar[str]  # of model that it is for

    def __init__(
        self,
        model: OnnxModel,
        *,
        steps: int | None = None,
        anytime: Anytime | None = None,
        most_steps: int = 0,
    ):
        spec = model.spec
        if spec.kind != self.kind:
            raise ModelError(
                f"the model {spec.name} is of kind {spec.kind}: this needs one of kind {self.kind}"
            )
        self.model = model
        self.sample_rate = spec.sample_rate
        self.channels = spec.channels
        self.hop_length = spec.hop_length
        self.lookahead = spec.lookahead
        self.latency = spec.latency
        self._spec = spec
        self._adaptive = anytime
        self._schedules = Schedules(spec, steps, most_steps)
        self._start_sigma = spec.temperature * self._schedules.levels[0]  # of the noise to start from
        self._wanted: int | None = None
        self._follow()
        self._analysis, self._synthesis = transforms(spec)

    @property
    def status(self) -> str:
        """What separates, where, and how well at present."""
        evaluations, anytime = len(self._schedule.places), self._anytime  # the worker may change it meanwhile
        quality = f"{evaluations} evaluation{'s' if evaluations > 1 else ''}"
        if anytime:
            quality = f"{anytime.ceiling} of {quality}"
        return f"{self._spec.name} on {self.model.provider} ({self.model.device_name}), {quality}"

    def set_steps(self, steps: int | None) -> bool:
        """Whether there can be so many; they are made from the next run of the network on."""
        if steps not in self._schedules:
            return False
        self._wanted = steps
        return True

    def _follow(self) -> None:
        """Makes the number of steps that is wanted the one that is made."""
        self._steps = self._wanted
        self._schedule: Schedule = self._schedules[self._steps]
        self._anytime = self._adaptive if self._steps is None else None
