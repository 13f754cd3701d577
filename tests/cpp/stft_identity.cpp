// Analysis and synthesis give the signal back at the reported latency; built to run under the sanitizers.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <vector>

#include "check.h"
#include "diffvs/streaming_stft.h"

namespace {

constexpr double kTolerance = 1e-12;  // energy of the residual over energy of the signal: -120 dB

std::vector<float> sqrt_hann(std::size_t length) {
    std::vector<float> window(length);
    for (std::size_t i = 0; i < length; ++i)
        window[i] = static_cast<float>(
            std::sin(std::numbers::pi * static_cast<double>(i) / static_cast<double>(length)));
    return window;
}

// Both windows are square-root Hann in the last `length` samples; before, the analysis window is 1.
void check_identity(const diffvs::StftSizes& sizes, std::size_t length) {
    const auto end = sqrt_hann(length);
    std::vector<float> window(sizes.n_fft - length, 1.0f);
    window.insert(window.end(), end.begin(), end.end());
    diffvs::StftAnalysis analysis(sizes, window);
    diffvs::StftSynthesis synthesis(sizes, window, end);
    CHECK(synthesis.latency() == length - sizes.hop_length);
    const std::size_t hops = 40, values = hops * sizes.hop_length * sizes.channels;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> input(values), output(values);
    for (auto& value : input) value = normal(random);
    std::vector<std::complex<float>> spectra(hops * sizes.channels * sizes.n_bins());
    for (std::size_t hop = 0; hop < hops;) {
        const auto count = std::min<std::size_t>(random() % 4, hops - hop);
        const auto at = hop * sizes.hop_length * sizes.channels;
        analysis.process(input.data() + at, spectra.data(), count);
        synthesis.process(spectra.data(), output.data() + at, count);
        hop += count;
    }
    double signal = 0, residual = 0;
    const auto delay = synthesis.latency() * sizes.channels;
    for (std::size_t i = delay; i < values; ++i) {
        const double wanted = input[i - delay];
        signal += wanted * wanted;
        residual += (output[i] - wanted) * (output[i] - wanted);
    }
    CHECK(signal > 0 && residual < kTolerance * signal);
}

}  // namespace

int main() {
    check_identity({2048, 1024, 2}, 2048);
    check_identity({2048, 512, 1}, 2048);
    check_identity({4, 1, 3}, 4);
    check_identity({960, 240, 2}, 960);
    check_identity({4096, 1024, 2}, 2048);
    check_identity({960, 240, 1}, 720);
    check_identity({16, 2, 3}, 4);
}
