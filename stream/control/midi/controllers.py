"""MIDI controllers beside a live session: each port on a thread of its own, found again when it was away.

The thread fetches what has come every few milliseconds, moves the controls, and sends the lights. Nobody
waits for it: a change made elsewhere only leaves a name in its queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from stream.control.controls import Controls
from stream.control.midi.bindings import MidiMap
from stream.control.midi.lights import Lights
from stream.control.midi.mapper import Mapper, Recall
from stream.control.midi.messages import Decoder, Message
from stream.control.midi.ports import VIRTUAL, Transport, find_again, find_output, find_port
from stream.control.parameters import ControlError, Value

FETCH_S = 0.004  # below what a hand feels, and a fraction of any usual block
LOOK_S = 1.0  # between two looks whether the port is still there, or back
CLOSE_S = 2.0

logger = logging.getLogger(__name__)


class MidiPort:
    """One controller, in and out. Making it raises ControlError; if it fails later, `look` gets it back."""

    def __init__(self, transport: Transport, wanted: str):
        self._transport = transport
        self._wanted = wanted
        self._dead = False
        self.there = False
        self.lights = ""  # the name of the output, if there is one
        self._decoder = Decoder()
        try:
            self._input, self._output = transport.input(), transport.output()
        except OSError as error:
            raise ControlError(f"MIDI cannot be had: {error}") from None
        try:
            self.name = VIRTUAL if wanted == VIRTUAL else find_port(self._input.names(), wanted)
            self._open()
        except (OSError, ControlError) as error:
            self.close()
            raise ControlError(str(error)) from None

    def receive(self) -> list[Message]:
        if not self.there:
            return []
        try:
            return [message for data in self._input.receive() for message in self._decoder.feed(data)]
        except OSError as error:
            self._lose(str(error))
            return []

    def send(self, messages: Sequence[Message]) -> None:
        if not self.there or not self.lights:
            return
        try:
            for message in messages:
                self._output.send(message.bytes)
        except OSError as error:
            logger.warning("MIDI output %s: %s; its lights stay as they are", self.lights, error)
            self.lights = ""

    def look(self) -> bool:
        """Whether the port has just gone or come back."""
        try:
            if self._dead:
                self._input, self._output = self._transport.input(), self._transport.output()
                self._dead = False
            found = VIRTUAL if self.name == VIRTUAL else find_again(self._input.names(), self.name)
            if self.there and found != self.name:
                self._lose("unplugged, or its program has ended")
                return True
            if self.there or found is None:
                return False
            self.name = found
            self._open()
        except (OSError, ControlError):
            return False  # as good as away: the next look may find it
        logger.warning("MIDI input %s is back", self.name)
        return True

    def give_up(self) -> None:
        """The audio has gone, and maybe the server that MIDI came by: `look` begins with new clients."""
        if self._transport.mortal:
            self._lose("its server has stopped")
            self.close()
            self._dead = True

    def close(self) -> None:
        self.there = False
        self._input.close()
        self._output.close()

    def _open(self) -> None:
        self._input.open(self.name)
        self.there, self._decoder = True, Decoder()
        try:
            lights = VIRTUAL
            if self.name != VIRTUAL:
                lights = find_output(self._output.names(), self._wanted, self.name) or ""
            if lights:
                self._output.open(lights)
            self.lights = lights
        except OSError as error:
            logger.warning("%s; it goes without lights", error)
            self.lights = ""

    def _lose(self, why: str) -> None:
        self.there = False
        logger.warning("MIDI input %s is gone (%s); it is taken up again when it is back", self.name, why)


class PortPlayer:
    """Joins one port to the controls. `step` does what there is to do, and is all that its thread does."""

    def __init__(self, port: MidiPort, midi_map: MidiMap):
        self.port = port
        self.map = midi_map
        self._lights = Lights(midi_map)
        self._changed: deque[tuple[str, Value]] = deque(maxlen=1024)
        self._losses: Callable[[], int] = lambda: 0
        self._lost = 0
        self._fresh = True  # just opened: a controller that is still waking up misses what it is told
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="midi", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None

    def start(
        self, controls: Controls, recall: Recall | None = None, losses: Callable[[], int] = lambda: 0
    ) -> None:
        """`losses` counts how often the audio has gone, since a server that dies takes its MIDI along."""
        self.join(controls, recall, losses)
        self._thread.start()

    def join(
        self, controls: Controls, recall: Recall | None = None, losses: Callable[[], int] = lambda: 0
    ) -> None:
        """All of start but the thread."""
        self._losses, self._lost = losses, losses()
        self.port.receive()  # what was pressed before there was anything to move
        self._controls = controls
        self._mapper = Mapper(self.map, controls, recall)
        self._unsubscribe = controls.subscribe(
            lambda name, value, source: self._changed.append((name, value))
        )
        self._light_all()

    def step(self) -> None:
        """[midi]"""
        for message in self.port.receive():
            self._mapper.handle(message)
        changed = {}
        while self._changed:
            name, value = self._changed.popleft()
            changed[name] = value
        if changed:
            self.port.send(self._lights.show(changed))

    def look(self) -> None:
        """[midi] After the port was away, what was held is let go and all lights are sent, twice."""
        if (losses := self._losses()) != self._lost:
            self._lost = losses
            self.port.give_up()
            self._mapper.let_go()
        if self.port.look():
            self._mapper.let_go()
            self._fresh = self.port.there
            self._light_all()
        elif self._fresh:
            self._fresh = False
            self._light_all()

    def _light_all(self) -> None:
        self._lights.forget()
        self.port.send(self._lights.show(self._controls.snapshot()))

    def close(self) -> None:
        if self._unsubscribe:
            self._unsubscribe()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)  # a driver may hang: then its port is left to the end of the process
        if not self._thread.is_alive():
            self.port.send(self._lights.dark())
            self.port.close()

    def _run(self) -> None:
        """[midi]"""
        looked_s = time.monotonic()
        while not self._closing.wait(FETCH_S):
            self._try(self.step)
            if time.monotonic() - looked_s > LOOK_S:
                self._try(self.look)
                looked_s = time.monotonic()

    def _try(self, work: Callable[[], None]) -> None:
        """The thread outlives whatever a driver comes up with."""
        try:
            work()
        except Exception:
            logger.exception("MIDI port %s", self.port.name)
