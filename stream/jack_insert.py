"""python -m stream.jack_insert SEND RETURN: puts a running stream.live between two ends of a JACK client.

A program that plays through JACK or PipeWire (a digital audio workstation, a DJ program) sends what it plays
there, and gets it back without its vocals. Uses the tools jack_lsp, jack_connect and jack_disconnect, which
come with JACK and with PipeWire's replacement for it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

OURS = "diffvs"  # our client; PortAudio is its stand-in, for blocks of another size than the server's
STAND_IN = "PortAudio"
TOOLS = ("jack_lsp", "jack_connect", "jack_disconnect")
PATIENCE_S = 10.0


class InsertError(Exception):
    """What cannot be connected; the text says why and what to do."""


@dataclass
class Port:
    name: str
    output: bool = False
    connections: list[str] = field(default_factory=list)


def ports() -> list[Port]:
    """All audio ports of the server, in its order."""
    found: list[Port] = []
    for line in _run("jack_lsp", "-c", "-p", "-t").splitlines():
        if not line[:1].isspace():
            found.append(Port(line))
        elif line.strip().startswith("properties:"):
            found[-1].output = "output" in line
        elif "audio" not in line and "midi" in line:
            found.pop()
        elif line.startswith("   "):
            found[-1].connections.append(line.strip())
    return found


def insert(send: str, back: str, client: str = OURS) -> list[tuple[str, str]]:
    """Connects the ports whose names begin like this, in their order; the pairs. Raises InsertError."""
    there = ports()
    names = {port.name.partition(":")[0] for port in there}
    if client == OURS and OURS not in names:
        client = min((name for name in names if name.startswith(STAND_IN)), default=OURS)
    inputs = _choose(there, f"{client}:", output=False, role="of a running stream.live")
    outputs = _choose(there, f"{client}:", output=True, role="of a running stream.live")
    sends = _choose(there, send, output=True, role="to send from")
    returns = _choose(there, back, output=False, role="to return to")
    pairs = [*_pairs(sends, inputs), *_pairs(outputs, returns)]
    wanted = set(pairs)
    for port in inputs + outputs:  # what was connected at the start: the devices
        for other in port.connections:
            pair = (port.name, other) if port.output else (other, port.name)
            if pair not in wanted:
                _run("jack_disconnect", *pair)
    connected = {(port.name, other) for port in there if port.output for other in port.connections}
    for pair in pairs:
        if pair not in connected:
            _run("jack_connect", *pair)
    return pairs


def _choose(there: list[Port], start: str, *, output: bool, role: str) -> list[Port]:
    chosen = [port for port in there if port.output == output and port.name.startswith(start)]
    if not chosen:
        fitting = "\n".join(f"  {port.name}" for port in there if port.output == output)
        raise InsertError(f"no port {role} begins with {start!r}; there are:\n{fitting or '  (none)'}")
    return chosen


def _pairs(sources: list[Port], sinks: list[Port]) -> list[tuple[str, str]]:
    """In order; a single source goes to every sink."""
    if len(sources) == 1:
        sources = sources * len(sinks)
    return [(source.name, sink.name) for source, sink in zip(sources, sinks, strict=False)]


def _run(tool: str, *arguments: str) -> str:
    if not shutil.which(tool):
        raise InsertError(f"the program {tool} is missing: install {', '.join(TOOLS)} (Debian: jackd2)")
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise InsertError("the JACK server does not answer") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["is its server running?"]
        raise InsertError(f"{' '.join([tool, *arguments])} failed: {words[-1]}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stream.jack_insert",
        description="Puts a running stream.live between two ends of a program on JACK or PipeWire.",
        epilog='example: python -m stream.jack_insert "ardour:Song/send" "ardour:Song/return"',
    )
    parser.add_argument("send", metavar="SEND", help="how the names of the ports begin that play to it")
    parser.add_argument("back", metavar="RETURN", help="how the names of the ports begin that it plays to")
    parser.add_argument("--client", default=OURS, help=f"its own name on JACK (default: {OURS})")
    options = parser.parse_args(arguments)
    try:
        for source, sink in insert(options.send, options.back, options.client):
            print(f"{source} -> {sink}")
    except InsertError as error:
        print(f"stream.jack_insert: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
