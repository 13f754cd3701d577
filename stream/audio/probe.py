"""Which devices there are now, asked in a process of its own: a driver that hangs or aborts takes only that.

python -m stream.audio.probe prints them as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from stream.audio.devices import Device, DeviceError, Kind, list_devices

PATIENCE_S = 30.0  # a JACK server with a dead client among its living stands still for 5 s at a time
ROOT = Path(__file__).resolve().parents[2]


def probe(patience_s: float = PATIENCE_S) -> list[Device]:
    """Raises DeviceError where there is no answer."""
    command = [sys.executable, "-m", "stream.audio.probe"]
    try:
        answer = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience_s,
            check=True,
        )
        return [Device(**entry) for entry in json.loads(answer.stdout)]
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"the audio system has not answered within {patience_s:.0f} s; restart it, or unplug the device"
        ) from error
    except (OSError, subprocess.CalledProcessError, ValueError, TypeError) as error:
        raise DeviceError("the audio system cannot be asked for its devices; is it running?") from error


@dataclasses.dataclass(frozen=True)
class Place:
    """A device by what stays when it is unplugged and comes back; its id does not."""

    name: str
    host: str
    kind: Kind
    turn: int  # among devices that share the name

    @classmethod
    def of(cls, device: Device, kind: Kind, devices: list[Device]) -> Place:
        alike = [one.id for one in cls(device.name, device.host, kind, 0)._alike(devices)]
        return cls(device.name, device.host, kind, alike.index(device.id) if device.id in alike else 0)

    def find(self, devices: list[Device]) -> Device:
        """Raises DeviceError."""
        alike = self._alike(devices)
        if not alike:
            raise DeviceError(f"waiting for {self.name}, {self.host}")
        return alike[min(self.turn, len(alike) - 1)]

    def _alike(self, devices: list[Device]) -> list[Device]:
        mine = (self.name, self.host)
        return [one for one in devices if (one.name, one.host) == mine and one.channels(self.kind) > 0]


def main() -> int:
    try:
        devices = list_devices()
    except DeviceError as error:
        print(f"stream.audio.probe: {error}", file=sys.stderr)
        return 2
    print(json.dumps([dataclasses.asdict(device) for device in devices]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
