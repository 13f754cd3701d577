"""The streaming STFT in C++, held to the same tests as a plain one in NumPy."""

import numpy as np
import pytest

from cpp_ext import StftAnalysis, StftSynthesis

RESIDUAL_DB = -120.0
BIN_TOLERANCE = 2e-6  # of the largest bin: single precision through log2(n_fft) butterflies
# n_fft, hop_length and the length of the synthesis window
WHOLE = [(2048, 1024, 2048), (2048, 512, 2048), (960, 240, 960), (16, 4, 16), (4, 1, 4)]
SHORT = [(4096, 1024, 2048), (4096, 1024, 3072), (2048, 256, 512), (960, 240, 480), (16, 4, 8), (4, 1, 3)]
SIZES = WHOLE + SHORT


def sqrt_hann(length):
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def windows(n_fft, length):
    """Both square-root Hann over the last `length` samples; before, the analysis rises in a straight line."""
    end = sqrt_hann(length)
    rise = np.linspace(0, 1, n_fft - length, dtype=np.float32)
    return np.concatenate([rise, end]), end


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class NumpyAnalysis:
    """The definition: frame i holds the last n_fft samples up to the end of hop i."""

    def __init__(self, n_fft, hop_length, channels, window):
        self.n_fft, self.hop_length, self.channels, self.n_bins = n_fft, hop_length, channels, n_fft // 2 + 1
        self.window = window.astype(np.float64)
        self.reset()

    def reset(self):
        self.history = np.zeros((self.n_fft, self.channels))

    def process(self, samples, spectra):
        for hop, spectrum in zip(samples.reshape(-1, self.hop_length, self.channels), spectra, strict=True):
            self.history = np.concatenate([self.history, hop])[-self.n_fft :]
            spectrum[:] = np.fft.rfft(self.window * self.history.T)


class NumpySynthesis:
    """Inverse transform, synthesis window on the end, overlap-add, divided by the sum of the products."""

    def __init__(self, n_fft, hop_length, channels, analysis_window, synthesis_window):
        self.n_fft, self.hop_length, self.channels, self.n_bins = n_fft, hop_length, channels, n_fft // 2 + 1
        self.length = len(synthesis_window)
        self.latency = self.length - hop_length
        product = analysis_window[-self.length :].astype(np.float64) * synthesis_window
        sums = np.bincount(np.arange(self.length) % hop_length, product)
        if np.ptp(sums) > 2e-6 * sums.mean():
            raise ValueError("the overlap-add sum must be constant")
        self.window = synthesis_window / sums.mean()
        self.reset()

    def reset(self):
        self.partial = np.zeros((self.length, self.channels))

    def process(self, spectra, samples):
        for spectrum, hop in zip(spectra, samples.reshape(-1, self.hop_length, self.channels), strict=True):
            self.partial += (self.window * np.fft.irfft(spectrum, self.n_fft)[:, -self.length :]).T
            hop[:] = self.partial[: self.hop_length]
            self.partial = np.concatenate([self.partial[self.hop_length :], np.zeros_like(hop)])


def there_and_back(analysis, synthesis, samples, hops_at_a_time=None):
    hop_length = analysis.hop_length
    hops = len(samples) // hop_length
    spectra = np.empty((hops, analysis.channels, analysis.n_bins), np.complex64)
    output = np.empty_like(samples)
    done = 0
    for count in hops_at_a_time or [hops]:
        frames, part = slice(done, done + count), slice(done * hop_length, (done + count) * hop_length)
        analysis.process(samples[part], spectra[frames])
        synthesis.process(spectra[frames], output[part])
        done += count
    assert done == hops
    return spectra, output


class StftContract:
    """What every streaming STFT must do; `analysis` and `synthesis` are the classes under test."""

    analysis: type
    synthesis: type

    def pair(self, n_fft, hop_length, length=None, channels=2):
        analysis, synthesis = windows(n_fft, length or n_fft)
        return self.analysis(n_fft, hop_length, channels, analysis), self.synthesis(
            n_fft, hop_length, channels, analysis, synthesis
        )

    @pytest.mark.parametrize(("n_fft", "hop_length", "length"), SIZES)
    def test_output_is_the_input_exactly_the_synthesis_minus_hop_late(self, n_fft, hop_length, length):
        samples = noise(20 * n_fft // hop_length * hop_length, 2)
        analysis, synthesis = self.pair(n_fft, hop_length, length)
        _, output = there_and_back(analysis, synthesis, samples)
        latency = length - hop_length
        assert synthesis.latency == latency
        residual = output[latency:] - samples[:-latency]
        assert 10 * np.log10(np.sum(residual**2) / np.sum(samples**2)) < RESIDUAL_DB
        assert np.abs(output[:latency]).max() < 1e-5  # nothing comes before its time

    @pytest.mark.parametrize("length", [256, 128])
    def test_any_partition_gives_the_same_bits(self, length):
        samples = noise(64 * 30, 2)
        whole = there_and_back(*self.pair(256, 64, length), samples)
        for partition in ([1] * 30, [7, 0, 1, 13, 9], [29, 1]):
            for part, reference in zip(
                there_and_back(*self.pair(256, 64, length), samples, partition), whole, strict=True
            ):
                assert part.tobytes() == reference.tobytes()

    @pytest.mark.parametrize("length", [256, 128])
    def test_channels_do_not_mix(self, length):
        samples = noise(64 * 30, 3)
        samples[:, 1] = 0
        spectra, output = there_and_back(*self.pair(256, 64, length, channels=3), samples)
        assert not spectra[:, 1].any()
        assert not output[:, 1].any()
        for channel in (0, 2):
            alone = np.ascontiguousarray(samples[:, channel : channel + 1])
            _, lonely = there_and_back(*self.pair(256, 64, length, channels=1), alone)
            assert lonely[:, 0].tobytes() == output[:, channel].tobytes()

    @pytest.mark.parametrize("length", [256, 128])
    def test_reset_is_as_new(self, length):
        samples = noise(64 * 10, 2)
        analysis, synthesis = self.pair(256, 64, length)
        first = there_and_back(analysis, synthesis, samples)
        analysis.reset()
        synthesis.reset()
        again = there_and_back(analysis, synthesis, samples)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))

    def test_silence_stays_silence(self):
        spectra, output = there_and_back(*self.pair(256, 64), np.zeros((640, 2), np.float32))
        assert not spectra.any()
        assert not output.any()

    @pytest.mark.parametrize("hop_length", [96, 200, 255])  # none divides 256
    def test_windows_that_do_not_add_up_are_refused(self, hop_length):
        with pytest.raises(ValueError, match="must be constant"):
            self.pair(256, hop_length)

    def test_windows_that_add_up_elsewhere_than_at_the_end_are_refused(self):
        analysis, synthesis = windows(256, 128)
        with pytest.raises(ValueError, match="must be constant"):
            self.synthesis(256, 64, 2, np.roll(analysis, -128), synthesis)

    def test_a_hop_that_does_not_divide_n_fft_works_when_the_windows_add_up(self):
        # Ones over the first 192 = 2 * 96 samples: every sample lies under exactly two hops of 96.
        window = (np.arange(256) < 192).astype(np.float32)
        analysis, synthesis = self.analysis(256, 96, 1, window), self.synthesis(256, 96, 1, window, window)
        samples = noise(96 * 20, 1)
        _, output = there_and_back(analysis, synthesis, samples)
        residual = output[160:] - samples[:-160]
        assert 10 * np.log10(np.sum(residual**2) / np.sum(samples**2)) < RESIDUAL_DB


class TestCppStft(StftContract):
    analysis, synthesis = StftAnalysis, StftSynthesis


class TestNumpyStft(StftContract):
    analysis, synthesis = NumpyAnalysis, NumpySynthesis


@pytest.mark.parametrize(("n_fft", "hop_length", "length"), SIZES)
def test_both_give_the_same_spectra_and_samples(n_fft, hop_length, length):
    samples = noise(10 * hop_length * (n_fft // hop_length), 2)
    ours = there_and_back(*TestCppStft().pair(n_fft, hop_length, length), samples)
    numpys = there_and_back(*TestNumpyStft().pair(n_fft, hop_length, length), samples)
    for got, wanted in zip(ours, numpys, strict=True):
        assert np.abs(got - wanted).max() <= BIN_TOLERANCE * np.abs(wanted).max()


def test_a_tone_stands_in_its_bin():
    analysis = StftAnalysis(256, 64, 1, np.ones(256, np.float32))
    tone = np.cos(2 * np.pi * 8 * np.arange(256) / 256).astype(np.float32)[:, None]
    spectra = np.empty((4, 1, 129), np.complex64)
    analysis.process(tone, spectra)
    assert np.abs(spectra[-1, 0, 8] - 128) < 1e-3
    assert np.abs(np.delete(spectra[-1, 0], 8)).max() < 1e-3


@pytest.mark.parametrize("n_fft", [0, 1, 2, 7, 14, 2046])
def test_lengths_the_transform_would_allocate_for_are_refused(n_fft):
    with pytest.raises(ValueError, match=f"n_fft is {n_fft}; it must be"):
        StftAnalysis(n_fft, 1, 1, np.ones(n_fft, np.float32))


@pytest.mark.parametrize(
    ("samples", "spectra", "words"),
    [
        ((65, 2), (1, 2, 129), "65 samples given; whole hops of 64 are needed"),
        ((64, 1), (1, 2, 129), r"shape \(64, 1\); it must be \(samples, 2\)"),
        ((128, 2), (1, 2, 129), r"128 samples need \(2, 2, 129\)"),
        ((64, 2), (1, 2, 128), r"64 samples need \(1, 2, 129\)"),
        ((64, 2), (2, 129), r"64 samples need \(1, 2, 129\)"),
    ],
)
def test_shapes_that_disagree_are_refused_with_both(samples, spectra, words):
    window = sqrt_hann(256)
    block, bins = np.zeros(samples, np.float32), np.zeros(spectra, np.complex64)
    with pytest.raises(ValueError, match=words):
        StftAnalysis(256, 64, 2, window).process(block, bins)
    with pytest.raises(ValueError, match=words):
        StftSynthesis(256, 64, 2, window, window).process(bins, block)


def test_wrong_dtypes_and_windows_are_refused():
    analysis = StftAnalysis(256, 64, 2, sqrt_hann(256))
    with pytest.raises(TypeError):
        analysis.process(np.zeros((64, 2)), np.zeros((1, 2, 129), np.complex64))
    with pytest.raises(TypeError):
        analysis.process(np.zeros((64, 2), np.float32), np.zeros((1, 2, 129), np.complex128))
    with pytest.raises(ValueError, match="the window has 255 values; n_fft is 256"):
        StftAnalysis(256, 64, 2, sqrt_hann(255))
    for length in (63, 257):
        with pytest.raises(
            ValueError, match=rf"has {length} values; it must have from hop_length \(64\) to n_fft"
        ):
            StftSynthesis(256, 64, 2, sqrt_hann(256), sqrt_hann(length))
    with pytest.raises(ValueError, match=r"shape \(256, 1\); it must have one axis"):
        StftAnalysis(256, 64, 2, sqrt_hann(256)[:, None])
    for hop_length, channels in ((0, 2), (257, 2), (64, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            StftAnalysis(256, hop_length, channels, sqrt_hann(256))
