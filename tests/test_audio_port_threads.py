"""The audio port between its threads: overflow and resync, waiting, the C callback, and what it refuses."""

import ctypes
import threading

import numpy as np
import pytest
from port_rig import FADE, LATENCY, TOLERANCE, Rig, delayed, noise, same_bits, wet

from cpp_ext import AudioPort

SIZES = {
    "channels": 2,
    "latency": 10,
    "max_block": 64,
    "ring_samples": 128,
    "ramp_samples": 8,
    "fade_samples": 8,
}


class TestOverflowAndResync:
    def broken_rig(self):
        rig = Rig(noise(30_000, 1), noise(30_000, 2), ring_samples=1024, levels=(0, 1))
        rig.play(1000)
        for _ in range(10):
            rig.block(200)  # nobody reads: 1024 samples fit
        return rig

    def test_overflow_breaks_the_stream_and_leaves_it_dry(self):
        rig = self.broken_rig()
        assert rig.port.broken
        assert rig.port.stats().dropped_samples == 2000 - 1024
        rig.play(1000, prompt=False)  # read again, but what came in between is lost
        assert rig.port.stats().dropped_samples == 2000 - 1024 + 1000
        assert same_bits(rig.output[3000:4000], delayed(rig.mixture, LATENCY)[3000:4000])

    def test_vocals_written_while_broken_never_play(self):
        rig = self.broken_rig()
        for _ in range(20):
            assert rig.port.write_vocals(noise(1000, 3)) == 1000  # and never fill the ring
            rig.block(64)
        played = slice(3000, rig.position)
        assert same_bits(rig.output[played], delayed(rig.mixture, LATENCY)[played])

    @pytest.mark.parametrize("broken", [True, False])
    def test_resync_agrees_on_the_next_block_as_the_new_start(self, broken):
        rig = self.broken_rig() if broken else Rig(noise(9000, 1), noise(9000, 2), levels=(0, 1))
        if not broken:
            rig.play(1000)
            rig.block(200)
        start = rig.position
        rig.resync()
        assert not rig.port.broken
        assert rig.port.stats().resyncs == 1
        late = rig.port.stats().late_samples
        rig.take()  # checks that this is the mixture from `start` on
        rig.give()
        rig.play(2000)
        assert rig.port.stats().late_samples - late == LATENCY - 64  # what was asked for before `start`
        # From its first sample on, the fade takes the right vocals in.
        since = slice(start + LATENCY, rig.position)
        w = np.minimum(1, np.arange(rig.position - start - LATENCY) / FADE)[:, None]
        dry = delayed(rig.mixture, LATENCY)
        wanted = dry[since] + w * (wet(rig, 0, 1) - dry)[since]
        assert np.abs(rig.output[since] - wanted).max() < 10 * TOLERANCE  # FADE steps of 1 / FADE, added up

    def test_vocals_from_before_a_resync_never_play(self):
        rig = Rig(noise(9000, 1), noise(9000, 2), levels=(0, 1))
        rig.play(1000)
        rig.port.write_vocals(noise(500, 3))  # wrong, but of before
        rig.resync()
        rig.play(2000)
        settled = slice(rig.position - 1000, rig.position)
        assert np.abs(rig.output - wet(rig, 0, 1))[settled].max() < TOLERANCE

    def test_until_the_answer_nothing_moves(self):
        rig = self.broken_rig()
        block = np.zeros((100, 2), np.float32)
        assert not rig.port.resync(0)
        rig.block(64)  # answers; but the worker does not know yet
        assert not rig.port.wait_mixture(1, 0)
        assert rig.port.read_mixture(block) == 0
        assert rig.port.write_vocals(block) == 0
        assert rig.port.resync(0)
        assert rig.port.read_mixture(block) == 64

    def test_a_full_ring_is_not_broken_again_by_the_resync(self):
        rig = Rig(noise(9000, 1), noise(9000, 2), ring_samples=1024)
        rig.block(1024)  # full to the brim, not broken
        rig.resync(1000)
        assert not rig.port.broken
        assert rig.port.stats().dropped_samples == 0
        rig.take()
        assert rig.taken == 2024

    def test_mixture_sent_between_request_and_answer_is_skipped(self):
        rig = Rig(noise(9000, 1), noise(9000, 2), ring_samples=1024)
        rig.port.wait_for_worker = True
        audio = threading.Thread(target=rig.block, args=(1900,))
        audio.start()
        assert rig.port.wait_mixture(1024, 10.0)  # full: the callback waits for room
        assert not rig.port.resync(0)  # makes room: the rest of the block follows
        audio.join()
        rig.block(64)
        assert rig.port.resync(0)
        rig.taken = rig.given = 1900
        rig.take()  # checks that this is the mixture from 1900 on
        assert rig.taken == 1964


class TestWorkerSide:
    def test_a_worker_that_catches_up_has_room_for_all_its_vocals(self):
        rig = Rig(noise(9000, 1), noise(9000, 2), ring_samples=1024)
        for _ in range(2):
            rig.block(1024)
            rig.take()  # a full ring in its hands, and room for another
        rig.give()
        rig.play(1000)
        assert not rig.port.broken

    def test_wait_mixture(self):
        rig = Rig(noise(1000, 1), noise(1000, 2))
        assert not rig.port.wait_mixture(1, 0.001)
        rig.block(100)
        assert rig.port.wait_mixture(100, 0)
        assert not rig.port.wait_mixture(101, 0)
        later = threading.Timer(0.02, rig.block, (1,))
        later.start()
        assert rig.port.wait_mixture(101, 10.0)
        later.join()

    def test_a_waiting_callback_is_never_late(self):
        # Blocks larger than the latency: their vocals can only come while the callback runs.
        rig = Rig(noise(20_000, 1), noise(20_000, 2), latency=100, levels=(0.2, 0.7))
        rig.port.wait_for_worker = True

        played = threading.Event()

        def work():
            while not played.is_set():
                rig.port.wait_mixture(1, 0.01)
                block = np.empty((150, 2), np.float32)
                rig.taken += rig.port.read_mixture(block)
                rig.give()

        worker = threading.Thread(target=work)
        worker.start()
        for samples in [1000] * 19 + [999, 1]:
            rig.block(samples)
        played.set()
        worker.join()
        m, s = delayed(rig.mixture, 100), delayed(rig.vocals, 100)
        assert np.abs(rig.output - (0.2 * s + 0.7 * (m - s))).max() < TOLERANCE
        assert rig.port.stats().late_samples == 0


class TestCallback:
    FUNCTION = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.POINTER(ctypes.c_double * 3),
        ctypes.c_ulong,
        ctypes.c_void_p,
    )
    CONTINUE, COMPLETE, ABORT = 0, 1, 2
    INPUT_OVERFLOW, OUTPUT_UNDERFLOW = 2, 4
    OTHER_FLAGS = (1, 8, 16, 0)  # input underflow, output overflow, priming, none

    def call(self, port, mixture, output, *, samples=100, times=None, flags=0):
        address = [None if block is None else block.ctypes.data for block in (mixture, output)]
        return self.FUNCTION(port.callback_address)(*address, samples, times, flags, port.userdata_address)

    def test_it_does_what_process_does(self):
        rig, twin = (Rig(noise(100, 1), noise(100, 2), latency=30) for _ in range(2))
        assert self.call(rig.port, rig.mixture, rig.output) == self.CONTINUE
        assert same_bits(rig.output, twin.block(100))

    def test_no_input_is_silence(self):
        rig = Rig(np.zeros((600, 2), np.float32), noise(600, 2), latency=50)
        output = np.full((600, 2), 9, np.float32)
        assert self.call(rig.port, None, output, samples=600) == self.CONTINUE
        assert not output.any()
        rig.take()  # as zeros
        assert rig.taken == 600

    def test_no_output_ends_the_stream(self):
        rig = Rig(noise(100, 1), noise(100, 2))
        assert self.call(rig.port, rig.mixture, None) == self.ABORT

    def test_it_completes_when_the_position_is_reached(self):
        rig = Rig(noise(100, 1), noise(100, 2))
        rig.port.stop_after = 200
        results = [self.call(rig.port, rig.mixture, rig.output) for _ in range(4)]
        assert results == [self.CONTINUE, self.COMPLETE, self.COMPLETE, self.COMPLETE]
        assert rig.port.stats().finished

    def test_xruns_are_counted_and_the_device_latency_is_kept(self):
        rig = Rig(noise(100, 1), noise(100, 2))
        times = (ctypes.c_double * 3)(1.25, 1.3, 1.5)
        for flags in (*[self.INPUT_OVERFLOW] * 2, *[self.OUTPUT_UNDERFLOW] * 3, 31, *self.OTHER_FLAGS):
            self.call(rig.port, rig.mixture, rig.output, times=times, flags=flags)
        stats = rig.port.stats()
        assert (stats.input_overflows, stats.output_underflows, stats.device_latency_s) == (3, 4, 0.25)


class TestRefusals:
    @pytest.mark.parametrize("name", [name for name in SIZES if name != "latency"])
    def test_sizes_of_0(self, name):
        with pytest.raises(ValueError, match="at least 1"):
            AudioPort(**{**SIZES, name: 0})

    def test_a_ring_shorter_than_the_latency(self):
        with pytest.raises(ValueError, match=r"ring_samples is 128; .* at least 129"):
            AudioPort(**{**SIZES, "latency": 129})

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros((64, 2)),
            np.zeros((64, 1), np.float32),
            np.zeros(64, np.float32),
            np.zeros((64, 4), np.float32)[:, ::2],
        ],
        ids=["float64", "mono", "flat", "strided"],
    )
    def test_blocks_of_another_kind(self, bad):
        port, good = AudioPort(**SIZES), np.zeros((64, 2), np.float32)
        for call in (port.read_mixture, port.write_vocals):
            with pytest.raises((TypeError, ValueError)):
                call(bad)
        for blocks in ((bad, good), (good, bad), (good, good[:-1])):
            with pytest.raises((TypeError, ValueError)):
                port.process(*blocks)
        assert port.stats().blocks == 0

    def test_a_block_that_may_not_be_written(self):
        port, block = AudioPort(**SIZES), np.zeros((64, 2), np.float32)
        locked = block.copy()
        locked.flags.writeable = False
        with pytest.raises(ValueError, match="not writeable"):
            port.process(block, locked)
        port.process(locked, block)
