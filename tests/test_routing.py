"""Which channels are heard and what plays where: the user's words, and the port sample by sample."""

import numpy as np
import pytest
from port_rig import FADE, LATENCY, RAMP, TOLERANCE, delayed, noise, same_bits

from cpp_ext import AudioPort
from stream.audio.devices import Device
from stream.audio.routing import Routing, plan, straight

STEMS = ["vocals=1,2", "accompaniment=3,4"]
# One rounding of the accompaniment (m - s) and one of the sum, of values below 2 in single precision.
SUM_TOLERANCE = 2 * 2.0**-24


def device(inputs: int, outputs: int) -> Device:
    return Device(
        id=7,
        name="Interface",
        host="ALSA",
        input_channels=inputs,
        output_channels=outputs,
        default_sample_rate=44_100,
        low_input_latency_s=0.0,
        low_output_latency_s=0.0,
    )


def routing(inputs: int = 2, outputs: int = 8, **asked: object) -> Routing:
    return plan(device(inputs, 0), device(0, outputs), **asked)


class Desk:
    """A port with a routing, and a worker that is prompt or does not come."""

    def __init__(self, mixture, vocals, routing, *, levels=(1.0, 1.0), heard=None):
        self.port = AudioPort(
            channels=routing.channels,
            latency=LATENCY,
            max_block=64,
            ring_samples=4096,
            ramp_samples=RAMP,
            fade_samples=FADE,
            inputs=routing.inputs,
            outputs=routing.outputs,
        )
        self.port.vocals_level, self.port.accompaniment_level = levels
        self.mixture, self.vocals, self.heard = mixture, vocals, heard
        self.output = np.full((len(mixture), routing.device_outputs), np.nan, np.float32)
        self.position = self.given = 0

    def play(self, samples, *, prompt=True, block=100):
        end = self.position + samples
        while self.position < end:
            part = slice(self.position, min(self.position + block, end))
            self.port.process(self.mixture[part], self.output[part])
            self.position = part.stop
            taken = np.empty((8192, self.port.channels), np.float32)
            count = self.port.read_mixture(taken)
            if self.heard is not None:
                assert np.array_equal(taken[:count], self.heard[self.position - count : self.position])
            if prompt:
                self.port.write_vocals(np.ascontiguousarray(self.vocals[self.given : self.position]))
                self.given = self.position

    def bus(self, first):
        return np.ascontiguousarray(self.output[:, first : first + 2])


class TestWords:
    def test_stereo_goes_straight_through_by_default(self):
        assert routing(2, 2) == straight(2)
        assert routing(8, 8) == straight(2)
        assert routing(4, 4, channels=4) == straight(4)

    def test_a_mono_input_plays_on_both_sides(self):
        assert routing(1, 2).outputs == (("mix", 0), ("mix", 0))
        assert routing(1, 1) == straight(1)

    def test_a_single_output_plays_both_sides(self):
        assert routing(2, 1).outputs == (("mix", None),)

    def test_channels_are_named_from_1(self):
        asked = routing(4, 6, input_channels="3,4", route=["vocals=1,2", "accompaniment=5,6"])
        assert asked.inputs == (2, 3)
        assert asked.outputs == (
            *(("vocals", 0), ("vocals", 1), ("silence", None), ("silence", None)),
            *(("accompaniment", 0), ("accompaniment", 1)),
        )
        assert (asked.device_inputs, asked.device_outputs, asked.channels) == (4, 6, 2)
        assert str(asked) == "channels 3,4 to vocals=1,2 accompaniment=5,6"
        assert asked.has_stems
        assert not routing(route=["mix=3,4"]).has_stems

    def test_one_output_channel_takes_the_mean_and_one_input_channel_goes_to_all(self):
        assert routing(route=["vocals=1", "accompaniment=2"]).outputs == (
            ("vocals", None),
            ("accompaniment", None),
        )
        assert routing(input_channels="2", route=["mix=1,2,3"]).outputs == (("mix", 0),) * 3

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({"channels": 4}, "device 7 (Interface, ALSA) has 2 input channels, 4 were asked for"),
            ({"input_channels": "3,4"}, "has 2 input channels; choose from 1 to 2, or another --input"),
            ({"input_channels": "0"}, "choose from 1 to 2"),
            ({"input_channels": "1,1"}, "--input-channels 1,1 names a channel twice"),
            ({"input_channels": "left"}, "give the numbers of channels, counted from 1, such as 3,4"),
            ({"input_channels": ""}, "give the numbers of channels"),
            ({"input_channels": "1", "channels": 1}, "--channels and --input-channels were both given"),
            (
                {"route": ["vocals=7,9"]},
                "--route vocals=7,9: device 7 (Interface, ALSA) has 8 output channels",
            ),
            ({"route": ["vocals=1,2,3"]}, "names 3 channels for the 2 that are heard; name 2, or 1"),
            (
                {"route": ["drums=1,2"]},
                "there is no 'drums' to route; choose from vocals, accompaniment, mix",
            ),
            ({"route": ["vocals"]}, "--route vocals: give NAME=CHANNELS, such as vocals=1,2"),
            ({"route": ["vocals=1,2", "mix=2,3"]}, "--route mix=2,3: channel 2 plays vocals already"),
        ],
    )
    def test_what_cannot_be_is_one_sentence(self, asked, words):
        with pytest.raises(ValueError) as refusal:  # noqa: PT011 (the words are what matters)
            routing(**asked)
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_too_few_outputs_for_all_channels(self):
        with pytest.raises(ValueError, match="has 2 output channels, 4 were asked for; give --channels 2"):
            routing(4, 2, channels=4)


class TestChannels:
    def test_the_named_inputs_are_heard_in_their_order(self):
        sound = noise(1000, 1), noise(1000, 2)
        inputs = np.ascontiguousarray(np.hstack(sound))  # four channels
        desk = Desk(
            inputs,
            sound[1],
            routing(4, 2, input_channels="4,3"),
            heard=np.ascontiguousarray(inputs[:, [3, 2]]),
        )
        desk.play(1000)
        assert same_bits(desk.output, delayed(np.ascontiguousarray(inputs[:, [3, 2]]), LATENCY))
        assert desk.port.stats().peak_input == np.abs(sound[1]).max()

    def test_mono_to_both_sides_bit_for_bit(self):
        mono = np.ascontiguousarray(noise(1000, 1)[:, :1])
        desk = Desk(mono, mono, routing(1, 2))
        desk.play(1000)
        assert same_bits(desk.output, delayed(np.hstack([mono, mono]), LATENCY))

    def test_stereo_to_one_side_is_the_mean(self):
        desk = Desk(mixture := noise(1000, 1), mixture, routing(2, 1))
        desk.play(1000)
        assert np.abs(desk.output[:, 0] - delayed(mixture, LATENCY).mean(1)).max() < TOLERANCE

    def test_channels_that_nobody_routed_are_silent(self):
        desk = Desk(mixture := noise(1000, 1), mixture, routing(route=["mix=3,4"]))
        desk.play(1000)
        assert not desk.bus(0).any()
        assert same_bits(desk.bus(2), delayed(mixture, LATENCY))

    def test_blocks_of_other_widths_are_refused(self):
        desk = Desk(noise(10, 1), noise(10, 2), routing(route=STEMS))
        with pytest.raises(ValueError, match=r"it must be \(samples, 4\)"):
            desk.port.process(noise(10, 1), np.zeros((10, 2), np.float32))


class TestStems:
    def test_at_levels_of_1_they_are_the_vocals_and_what_is_left(self):
        desk = Desk(mixture := noise(2000, 1), vocals := noise(2000, 2), routing(route=STEMS))
        desk.play(2000)
        assert same_bits(desk.bus(0), delayed(vocals, LATENCY))
        assert same_bits(desk.bus(2), delayed(mixture - vocals, LATENCY))

    @pytest.mark.parametrize("on_late", ["dry", "mute"])
    @pytest.mark.parametrize("levels", [(1, 1), (0, 1), (0.3, 0.8)])
    def test_they_add_up_to_the_mix_whatever_happens(self, levels, on_late):
        """Wet, late, half way, bypassed, while the levels move: at every sample."""
        samples = 12_000
        both = routing(route=[*STEMS, "mix=5,6"])
        desk = Desk(noise(samples, 1), noise(samples, 2), both, levels=levels)
        desk.port.on_late = on_late
        for prompt in (True, False, True, False, True):
            desk.play(1000, prompt=prompt)
        for bypass in (True, False):
            desk.port.bypass = bypass
            desk.play(1000)
        desk.port.vocals_level = 0.5
        desk.play(1000)
        assert desk.port.stats().late_samples > 1000
        played = slice(0, desk.position)
        error = desk.bus(0) + desk.bus(2) - desk.bus(4)
        assert np.abs(error[played]).max() <= 4 * SUM_TOLERANCE

    def test_at_levels_of_1_they_add_up_to_the_input_to_float_rounding(self):
        samples = 6000
        desk = Desk(mixture := noise(samples, 1), noise(samples, 2), routing(route=STEMS))
        desk.play(2000)
        desk.play(2000, prompt=False)
        desk.play(2000)
        whole = desk.bus(0).astype(np.float64) + desk.bus(2)
        assert np.abs(whole - delayed(mixture, LATENCY)).max() <= 4 * SUM_TOLERANCE

    def test_a_late_hop_is_the_mixture_in_the_accompaniment_alone(self):
        desk = Desk(mixture := noise(3000, 1), noise(3000, 2), routing(route=STEMS))
        desk.play(1000)
        desk.play(2000, prompt=False)
        dry = slice(1000 + LATENCY + FADE, 3000)
        assert not desk.bus(0)[dry].any()
        assert same_bits(desk.bus(2)[dry], delayed(mixture, LATENCY)[dry])

    def test_vocals_alone_carry_the_mixture_when_late(self):
        desk = Desk(mixture := noise(3000, 1), vocals := noise(3000, 2), routing(route=["vocals=1,2"]))
        desk.play(1000)
        desk.play(2000, prompt=False)
        wet, dry = slice(0, 1000), slice(1000 + LATENCY + FADE, 3000)
        assert np.abs(desk.bus(0)[wet] - delayed(vocals, LATENCY)[wet]).max() < TOLERANCE
        assert same_bits(desk.bus(0)[dry], delayed(mixture, LATENCY)[dry])

    def test_vocals_beside_a_mix_leave_the_mixture_to_it(self):
        desk = Desk(mixture := noise(3000, 1), noise(3000, 2), routing(route=["vocals=1,2", "mix=3,4"]))
        desk.play(1000)
        desk.play(2000, prompt=False)
        dry = slice(1000 + LATENCY + FADE, 3000)
        assert not desk.bus(0)[dry].any()
        assert same_bits(desk.bus(2)[dry], delayed(mixture, LATENCY)[dry])

    def test_muted_when_late_means_both(self):
        desk = Desk(noise(3000, 1), noise(3000, 2), routing(route=STEMS))
        desk.port.on_late = "mute"
        desk.play(1000)
        desk.play(2000, prompt=False)
        assert not desk.output[1000 + LATENCY + FADE :].any()

    @pytest.mark.parametrize("on_late", ["dry", "mute"])
    def test_bypass_is_the_original_in_the_accompaniment_bit_for_bit(self, on_late):
        desk = Desk(mixture := noise(4000, 1), vocals := noise(4000, 2), routing(route=STEMS))
        desk.port.on_late = on_late
        desk.play(1000)
        desk.port.bypass = True
        desk.play(1500)
        desk.port.bypass = False
        desk.play(1500)
        original, wet = slice(1000 + RAMP, 2500), slice(2500 + RAMP, 4000)
        assert not desk.bus(0)[original].any()
        assert same_bits(desk.bus(2)[original], delayed(mixture, LATENCY)[original])
        assert np.abs(desk.bus(0) - delayed(vocals, LATENCY))[wet].max() < TOLERANCE
        assert desk.port.stats().late_samples == 0

    def test_bypass_before_the_first_block_holds_from_its_first_sample(self):
        desk = Desk(mixture := noise(1000, 1), noise(1000, 2), routing(route=STEMS))
        desk.port.bypass = True
        desk.play(1000)
        assert not desk.bus(0).any()
        assert same_bits(desk.bus(2), delayed(mixture, LATENCY))

    @pytest.mark.parametrize("gap", [1, FADE // 2, 2 * FADE])
    @pytest.mark.parametrize("cause", ["late", "bypass"])
    def test_nothing_clicks(self, gap, cause):
        t = np.arange(4000)[:, None] / 44_100
        mixture = (0.8 * np.sin(2 * np.pi * 100 * t) * [1, -1]).astype(np.float32)
        vocals = (0.6 * np.cos(2 * np.pi * 70 * t) * [1, 0.5]).astype(np.float32)
        desk = Desk(mixture, vocals, routing(route=[*STEMS, "mix=5,6"]), levels=(0.9, 0.7))
        desk.play(2000)
        desk.port.bypass = cause == "bypass"
        desk.play(LATENCY + gap, block=1, prompt=cause == "bypass")
        desk.port.bypass = False
        desk.port.write_vocals(vocals[desk.given : desk.position])
        desk.given = desk.position
        desk.play(1000)
        moves = np.abs(np.diff(mixture, axis=0)).max() + np.abs(np.diff(vocals, axis=0)).max()
        steps = np.abs(np.diff(desk.output[LATENCY + 500 : desk.position], axis=0))
        assert steps.max() <= 2 * moves + 1.4 / FADE + 1.4 / RAMP
        assert 2 * moves + 1.4 / FADE + 1.4 / RAMP < 0.1  # far from a click


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"inputs": [0]}, "1 inputs were given for 2 channels"),
        ({"outputs": []}, "at least one output"),
        ({"outputs": [("mix", 2)]}, "an output plays channel 2 of 2"),
        ({"outputs": [("drums", 0)]}, 'an output plays "drums"'),
    ],
)
def test_impossible_patches_are_refused(patch, words):
    sizes = {"channels": 2, "latency": 0, "max_block": 64, "ring_samples": 64}
    with pytest.raises(ValueError, match=words):
        AudioPort(**sizes, ramp_samples=1, fade_samples=1, **patch)
