"""Bindings as they stand in TOML, read and written.

[[midi.bindings]]
parameter = "vocals"      # or preset = "its name"
cc = 7                    # or note = 36
channel = 1               # left out: any
bits = 14                 # of a CC below 32 whose fine half is CC + 32; left out: 7
action = "move"           # a knob or fader; else toggle, hold or set, of a button or pad
value = "acapella"        # what toggle, hold and set set; not needed for a switch
pick_up = false           # left out: true, a knob does nothing until it meets the present value
light = true              # or { note = 36, channel = 1, on = 127, off = 0 }
label = "fader 1"         # what people call it
port = "LPD8"             # only of ports with these words in their name; left out: of any
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream.control.midi.bindings import ACTIONS, PRESET, Action, Binding, Light, MidiMap
from stream.control.midi.messages import LSB, Kind
from stream.control.parameters import CUSTOM, ControlError, Parameter, Value, parameter

KEYS = {"parameter", "preset", "cc", "note", "channel", "bits", "action", "value", "pick_up", "light"}
KEYS |= {"port", "label"}
LIGHT_KEYS = {"cc", "note", "channel", "on", "off"}
HELD = ("mute",)  # switches that a pad holds, unless told to toggle


def read_map(table: Mapping[str, Any], *, name: str = "", where: str = "[midi]") -> MidiMap:
    """From a TOML table. Raises ControlError that says where and what."""
    unknown = set(table) - {"bindings", "ports", "programmes", "map"}
    if unknown:
        raise ControlError(
            f"{where}: there is no {', '.join(sorted(unknown))}; there are bindings, map, programmes"
        )
    tables = table.get("bindings", [])
    if not isinstance(tables, Iterable) or not all(isinstance(each, Mapping) for each in tables):
        raise ControlError(f"{where}: bindings are tables, each under its own [[midi.bindings]]")
    bindings = tuple(read_binding(each, f"{where} binding {i}") for i, each in enumerate(tables, start=1))
    return MidiMap(
        bindings=bindings,
        name=name,
        ports=tuple(map(str, table.get("ports", ()))),
        programmes=_boolean(table, "programmes", True, where),
        chosen=str(table.get("map", "")),
    )


def read_binding(table: Mapping[str, Any], where: str = "binding") -> Binding:
    """Raises ControlError."""
    if unknown := set(table) - KEYS:
        raise ControlError(
            f"{where}: there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(KEYS))}"
        )
    if ("cc" in table) == ("note" in table):
        raise ControlError(f"{where} needs either cc or note, a number from 0 to 127")
    if ("parameter" in table) == (PRESET in table):
        raise ControlError(f"{where} needs either parameter or preset")
    kind: Kind = "cc" if "cc" in table else "note"
    number = _whole(table, kind, 0, 127, where)
    channel = _whole(table, "channel", 1, 16, where) if "channel" in table else None
    bits = _whole(table, "bits", 7, 14, where) if "bits" in table else 7
    if bits not in (7, 14) or (bits == 14 and (kind != "cc" or number >= LSB)):
        raise ControlError(f"{where}: bits is 7, or 14 of a CC from 0 to {LSB - 1}")
    target, action, value = _effect(table, kind, where)
    return Binding(
        target=target,
        kind=kind,
        number=number,
        channel=channel,
        bits=bits,
        action=action,
        value=value,
        pick_up=_boolean(table, "pick_up", True, where),
        light=_light(table.get("light", False), kind, number, channel, where),
        port=str(table.get("port", "")),
        label=str(table.get("label", "")),
    )


def _effect(table: Mapping[str, Any], kind: Kind, where: str) -> tuple[str, Action, Value | int | None]:
    if PRESET in table:
        preset = table[PRESET]
        if not isinstance(preset, (str, int)) or isinstance(preset, bool) or preset == "":
            raise ControlError(f"{where}: preset is a name, or a number from 0")
        return PRESET, "set", preset if isinstance(preset, int) else str(preset)
    try:
        one = parameter(str(table["parameter"]))
        action = str(table.get("action", default_action(one, kind, "value" in table)))
        for known in ACTIONS:
            if action == known:
                return one.name, known, action_value(one, known, table.get("value"))
        raise ControlError(f"action is {action!r}; it must be one of {', '.join(ACTIONS)}")
    except ControlError as error:
        raise ControlError(f"{where}: {error}") from None


def default_action(one: Parameter, kind: Kind, has_value: bool) -> Action:
    """What is most likely meant by a knob (cc) or a pad (note)."""
    if one.kind == "trigger":
        return "set"
    if one.kind == "switch":
        return "hold" if one.name in HELD else "toggle"
    return "set" if has_value else "move"


def action_value(one: Parameter, action: Action, value: object) -> Value | None:
    """What the action sets. Raises ControlError where it needs a value and has none, or cannot have one."""
    if action == "move":
        if one.kind == "trigger" or value is not None:
            raise ControlError(f"{one.name} cannot be moved{'' if value is None else ' to a value'}; use set")
        return None
    if one.kind == "trigger":
        if action != "set":
            raise ControlError(f"{one.name} happens once and cannot {action}; use set")
        return True
    if value is None:
        if one.kind == "switch":
            return True
        raise ControlError(f"{one.name} needs the value that {action} sets")
    if one.name == "mode" and value == CUSTOM:
        raise ControlError("mode cannot be set to custom: that is the name of any other two levels")
    return one.checked(value)


def _light(given: object, kind: Kind, number: int, channel: int | None, where: str) -> Light | None:
    if given is False:
        return None
    if given is True:
        return Light(kind=kind, number=number, channel=channel or 1)
    if not isinstance(given, Mapping) or set(given) - LIGHT_KEYS or {"cc", "note"} <= set(given):
        raise ControlError(f"{where}: light is true, false, or some of {{ note or cc, channel, on, off }}")
    lit: Kind = "cc" if "cc" in given else "note" if "note" in given else kind
    where = f"{where} light"
    return Light(
        kind=lit,
        number=_whole(given, lit, 0, 127, where) if lit in given else number,
        channel=_whole(given, "channel", 1, 16, where) if "channel" in given else channel or 1,
        on=_whole(given, "on", 0, 127, where) if "on" in given else 127,
        off=_whole(given, "off", 0, 127, where) if "off" in given else 0,
    )


def _whole(table: Mapping[str, Any], name: str, low: int, high: int, where: str) -> int:
    value = table[name]
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return int(value)
    raise ControlError(f"{where}: {name} is {value!r}; it must be a whole number from {low} to {high}")


def _boolean(table: Mapping[str, Any], name: str, usual: bool, where: str) -> bool:
    value = table.get(name, usual)
    if isinstance(value, bool):
        return value
    raise ControlError(f"{where}: {name} is {value!r}; it must be true or false")


def binding_table(binding: Binding) -> dict[str, Any]:
    """What reads back as this binding."""
    table: dict[str, Any]
    if binding.target == PRESET:
        table = {"preset": binding.value, binding.kind: binding.number}
    else:
        table = {"parameter": binding.target, binding.kind: binding.number, "action": binding.action}
        if binding.value is not None and binding.value is not True:
            table["value"] = binding.value
    unusual = {"channel": (binding.channel, None), "bits": (binding.bits, 7), "port": (binding.port, "")}
    unusual |= {"pick_up": (binding.pick_up, True), "label": (binding.label, "")}
    table |= {name: value for name, (value, usual) in unusual.items() if value != usual}
    if light := binding.light:
        table["light"] = {
            light.kind: light.number,
            "channel": light.channel,
            "on": light.on,
            "off": light.off,
        }
    return table
