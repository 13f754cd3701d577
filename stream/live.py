"""python -m stream.live --input 2 --output 3: vocal isolation between an audio input and an audio output."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stream.audio.clocks import CLOCKS
from stream.audio.devices import DeviceError, describe, list_devices
from stream.audio.line import GONE
from stream.audio.recorder import RecordError
from stream.audio.recording import summary as takes
from stream.control.companion import Companion
from stream.control.memory import starting_values
from stream.control.options import add_control_options, companions, control_options, errand
from stream.control.parameters import MODES
from stream.control.presets import Presets
from stream.control.settings import Settings
from stream.display.keyboard import KeyboardDisplay
from stream.display.keys import Keys
from stream.display.panel import Display, LivePanel, StatusLines, levels, summary
from stream.display.terminal import Terminal, terminal
from stream.latency import SLACK_HOPS, LatencyBudget
from stream.options import add_run_options
from stream.separation.load import NO_MODEL
from stream.separation.separator import ModelError
from stream.session import End, LiveOptions, Session

# How long one Python thread may keep another waiting: the worker should not lose milliseconds to the panel.
SWITCH_INTERVAL_S = 0.0005
QUIET_PERIOD_S = 60.0  # between two plain lines where nobody asked for them

EPILOG = """\
examples:
  python -m stream.live --list-devices
      shows the ids and names to choose from
  python -m stream.live --input 2 --output 3
      karaoke: what comes in at device 2 goes out at device 3 without its vocals
  python -m stream.live --input "USB" --output "USB" --vocals 0.3
      devices by a part of their name; a guide vocal stays audible
  python -m stream.live --input 2 --output 3 --mode acapella --record take1
      vocals only, and take1/vocals.wav and take1/accompaniment.wav on the side
  python -m stream.live --input 2 --output 3 --input-channels 3,4 --route vocals=1,2 accompaniment=3,4
      vocals and accompaniment apart, for a mixer to mix
  python -m stream.live --input 2 --output 3 --latency safe --block-size 2048
      when the panel shows late hops or xruns

Ctrl-C ends it. Whatever happens to the separation, the music goes on: without vocals to mix, the
input is played at the same delay. A device that was unplugged is taken back when it returns. SIGHUP
(kill -HUP) loads the model's file anew, without a gap.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        if parsed.list_devices:
            print(describe(list_devices()))
            return 0
        given = vars(parsed).copy()
        status_s = given.pop("status")
        del given["list_devices"]
        control = control_options(given)
        settings = Settings.load(control.config)
        if errand(control, settings):
            return 0
        options = LiveOptions(**given, start=starting_values(settings, control.preset))
        beside = companions(control, settings)
        try:
            code, clean = _play(options, status_s, beside, settings)
        finally:
            for companion in beside:
                companion.close()
    except (DeviceError, ModelError, RecordError, ValueError) as error:
        print(f"stream.live: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if not clean:
        # PortAudio would hang or abort in its own clean-up when it lost its device.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _play(
    options: LiveOptions, status_s: float | None, beside: Sequence[Companion], settings: Settings
) -> tuple[int, bool]:
    """The exit code, and whether everything could be let go of."""
    if status_s is not None and not status_s > 0:
        raise ValueError(f"--status is {status_s:g}; give the seconds between two lines")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    session = Session(options)
    screen = terminal()

    def stop(*_: object) -> None:
        if screen:
            screen.restore()  # a second signal may end the program on the spot
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if hasattr(signal, "SIGHUP"):
        on_terminal = _has_terminal()

        def hang_up(*_: object) -> None:
            """From a hand it loads the model anew, from a terminal that closes it is the end."""
            stop() if on_terminal and not _has_terminal() else session.reload()

        signal.signal(signal.SIGHUP, hang_up)
    gc.collect()
    gc.freeze()  # what is loaded stays: the collector need not look through it while playing
    end: End = "stopped"
    try:
        session.start()
        budget = session.budget()
        with contextlib.suppress(OSError):  # the terminal may have been closed
            _introduce(session, budget)
        for companion in beside:
            companion.start(session)
        keys = Keys(session.controls, Presets(session.controls, settings), stop)
        display = _display(session, budget, status_s, screen, keys)
        try:
            end = session.run(display)
        finally:
            display.close()
    finally:
        clean = session.close()
    with contextlib.suppress(OSError):
        _conclude(session)
    code = 0
    if end == "lost":
        print(f"stream.live: {GONE}", file=sys.stderr)
        code = 2
    return code, clean


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _introduce(session: Session, budget: LatencyBudget) -> None:
    print(session.title)
    print(f"model {session.model}; {levels(session.controls)}")
    if session.without_model:
        print(f"{NO_MODEL}; playing the mix unless levels are given")
    print(f"latency\n{budget}")
    print("running; Ctrl-C ends", flush=True)


def _display(
    session: Session, budget: LatencyBudget, status_s: float | None, screen: Terminal | None, keys: Keys
) -> Display:
    """In place where there is a screen for it, else in lines."""
    console = Console()
    in_place = status_s is None and console.is_terminal and not console.is_dumb_terminal
    display: Display = StatusLines(status_s or QUIET_PERIOD_S, levels(session.controls))
    if in_place and console.encoding.startswith("utf"):
        display = LivePanel(console, session.title, budget, keys if screen else None)
    return KeyboardDisplay(display, screen, keys) if screen else display


def _conclude(session: Session) -> None:
    print(summary(session.stats()))
    for line in takes(session.recording, session.stats().sample_rate):
        print(line)
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stream.live",
        usage="python -m stream.live --input DEVICE --output DEVICE [options]",
        description="Live vocal isolation between an audio input and an audio output.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    devices = parser.add_argument_group("devices")
    devices.add_argument("--input", metavar="DEVICE", help="id, or words of its name (default: the system's)")
    devices.add_argument(
        "--output", metavar="DEVICE", help="id, or words of its name (default: the system's)"
    )
    devices.add_argument("--list-devices", action="store_true", help="show all devices, and end")
    devices.add_argument(
        "--block-size",
        type=int,
        metavar="N",
        help="samples per callback (default: a hop; a quarter between two clocks)",
    )
    devices.add_argument(
        "--sample-rate", type=int, metavar="HZ", help="default: 44100, or what the device has"
    )
    devices.add_argument(
        "--channels", type=int, metavar="N", help="the first N (default: 2, or 1 where there is only one)"
    )
    devices.add_argument(
        "--input-channels", metavar="N,N", help="which to hear, counted from 1: 3,4 (or 3 for a mono source)"
    )
    devices.add_argument(
        "--route",
        nargs="+",
        metavar="NAME=N,N",
        help="what plays where: vocals=1,2 accompaniment=3,4 mix=5,6; each at its level, which starts at 1 "
        "(default: the mix to the first two)",
    )

    devices.add_argument(
        "--clocks",
        choices=CLOCKS,
        default="auto",
        help="of input and output; the drift between two is corrected (default: auto, two where they are not "
        "known to share one)",
    )

    sound = parser.add_argument_group("sound")
    sound.add_argument("--mode", choices=list(MODES), help="shorthand for both levels (at first: karaoke)")
    sound.add_argument("--vocals", type=float, metavar="LEVEL", help="0 to 1")
    sound.add_argument("--accompaniment", type=float, metavar="LEVEL", help="0 to 1")
    sound.add_argument("--gain", type=float, metavar="DB", help="of the output, -60 to 12 (default: 0)")
    add_run_options(
        parser.add_argument_group("model"),
        default_steps="the model's own number, or fewer when time is short",
    )

    add_control_options(parser)

    timing = parser.add_argument_group("timing")
    hops = ", ".join(f"{name} {count:g}" for name, count in SLACK_HOPS.items())
    timing.add_argument(
        "--latency",
        choices=list(SLACK_HOPS),
        default="normal",
        help=f"time that a hop gets, in hops: {hops} (default: normal)",
    )
    timing.add_argument(
        "--on-late",
        choices=["dry", "mute"],
        default="dry",
        help="what plays when vocals are late (default: dry)",
    )
    timing.add_argument(
        "--wait", action="store_true", help="wait for the worker: for hosts that outrun the clock"
    )

    session = parser.add_argument_group("session")
    session.add_argument("--seconds", type=float, metavar="S", help="end after this much audio")
    session.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="write vocals.wav and accompaniment.wav there, from the start (the control 'record' without "
        "it: diffvs/DATE in the folder for music)",
    )
    session.add_argument(
        "--split-minutes", type=float, metavar="M", help="go on recording in new files after so many minutes"
    )
    session.add_argument(
        "--give-up",
        type=float,
        metavar="S",
        help="end with exit code 2 when the device was gone for so long (default: keep trying)",
    )
    session.add_argument(
        "--status", type=float, nargs="?", const=1.0, metavar="S", help="plain lines, every S seconds (1)"
    )
    return parser


def let_go_of_stdout() -> None:
    """Python would end with 120 when what is left to print has nowhere to go: a terminal that was closed."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # whoever reads our pipe waits for whole lines only
    code = main()
    let_go_of_stdout()
    sys.exit(code)
