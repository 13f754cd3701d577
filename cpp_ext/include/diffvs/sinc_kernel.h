// A signal between its samples: windowed-sinc interpolation at any position.
//
// Kaiser's window for -110 dB (beta after J. F. Kaiser, 1974), 48 samples to either side; at 44.1 kHz all is
// flat to 20 kHz. The kernel is tabulated at kPhases positions between two samples and interpolated in a
// straight line. Where samples are taken further apart than they came, its band is narrowed accordingly.
//
// [audio] interpolate(). It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

namespace diffvs {

class SincKernel {
public:
    // step: samples of the input per sample of the output.
    explicit SincKernel(double step)
        : half_(2 * static_cast<std::size_t>(std::ceil(kHalf / 2 * std::max(1.0, step)))),
          table_((kPhases + 1) * taps()),
          weights_(taps()) {
        const auto band = 1 / std::max(1.0, step);
        for (std::size_t phase = 0; phase <= kPhases; ++phase) {
            auto* row = &table_[phase * taps()];
            auto sum = 0.0;
            std::vector<double> exact(taps());
            for (std::size_t j = 0; j < taps(); ++j) {
                const auto x = static_cast<double>(j) - static_cast<double>(half_ - 1) -
                               static_cast<double>(phase) / kPhases;
                exact[j] = sinc(band * x) * kaiser(x / static_cast<double>(half_));
                sum += exact[j];
            }
            for (std::size_t j = 0; j < taps(); ++j)
                row[j] = static_cast<float>(exact[j] / sum);  // constants pass
        }
    }

    std::size_t half() const noexcept { return half_; }
    std::size_t taps() const noexcept { return 2 * half_; }

    // The sample `fraction` (0 .. 1) after input[half - 1]; input is (taps, channels), output (channels,).
    void interpolate(const float* input, double fraction, std::size_t channels, float* output) noexcept {
        const auto place = fraction * kPhases;
        const auto phase = std::min(static_cast<std::size_t>(place), kPhases - 1);
        const auto share = static_cast<float>(place - static_cast<double>(phase));
        const auto* row = &table_[phase * taps()];
        const auto* next = row + taps();
        for (std::size_t j = 0; j < taps(); ++j) weights_[j] = row[j] + share * (next[j] - row[j]);
        for (std::size_t c = 0; c < channels; ++c) output[c] = weighted(input + c, channels);
    }

private:
    static constexpr double kHalf = 48;
    static constexpr std::size_t kPhases = 512;
    static constexpr double kBeta = 0.1102 * (110 - 8.7);
    static constexpr std::size_t kLanes = 4;

    // Four sums side by side, which the compiler may keep in one register.
    float weighted(const float* input, std::size_t stride) const noexcept {
        float sums[kLanes] = {};
        for (std::size_t j = 0; j < taps(); j += kLanes)
            for (std::size_t k = 0; k < kLanes; ++k) sums[k] += weights_[j + k] * input[(j + k) * stride];
        return (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }

    static double sinc(double x) noexcept {
        return x == 0 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
    }
    // x is -1 .. 1
    static double kaiser(double x) noexcept {
        return std::abs(x) >= 1 ? 0.0 : bessel_i0(kBeta * std::sqrt(1 - x * x)) / bessel_i0(kBeta);
    }
    // By its power series; std::cyl_bessel_i is not everywhere.
    static double bessel_i0(double x) noexcept {
        auto sum = 1.0, term = 1.0;
        for (auto k = 1; term > 1e-17 * sum; ++k) {
            term *= (x / (2 * k)) * (x / (2 * k));
            sum += term;
        }
        return sum;
    }

    std::size_t half_;
    std::vector<float> table_;    // (kPhases + 1, taps)
    std::vector<float> weights_;  // (taps,)
};

}  // namespace diffvs
