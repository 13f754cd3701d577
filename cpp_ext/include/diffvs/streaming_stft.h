// Short-time Fourier transform of a stream, one hop or several at a time, and its inverse by overlap-add.
//
// Frame i is the transform of the last n_fft samples up to the end of hop i, times the window; before
// the stream began there was silence. Synthesis uses as many samples at the end of each frame as its
// window has, and gives hop i back so many minus hop_length samples late.
//
// [worker] all of it. process() and reset() never allocate, lock, throw or log.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "diffvs/real_fft.h"

namespace diffvs {

struct StftSizes {
    std::size_t n_fft, hop_length, channels;

    std::size_t n_bins() const noexcept { return n_fft / 2 + 1; }

    void check(const std::vector<float>& window) const {
        if (channels == 0 || hop_length == 0 || hop_length > n_fft)
            throw std::invalid_argument(
                "channels and hop_length must be at least 1, and hop_length at most n_fft (" +
                std::to_string(n_fft) + "), not " + std::to_string(hop_length));
        if (window.size() != n_fft)
            throw std::invalid_argument("the window has " + std::to_string(window.size()) +
                                        " values; n_fft is " + std::to_string(n_fft));
    }
};

class StftAnalysis {
public:
    StftAnalysis(StftSizes sizes, std::vector<float> window)
        : sizes_(sizes),
          window_(std::move(window)),
          fft_(sizes.n_fft),
          history_(sizes.channels * sizes.n_fft),
          frame_(sizes.n_fft) {
        sizes_.check(window_);
    }

    const StftSizes& sizes() const noexcept { return sizes_; }

    // (hops * hop_length, channels) samples -> (hops, channels, n_bins) spectra.
    void process(const float* samples, std::complex<float>* spectra, std::size_t hops) noexcept {
        const auto [n_fft, hop_length, channels] = sizes_;
        for (std::size_t hop = 0; hop < hops; ++hop, samples += hop_length * channels)
            for (std::size_t c = 0; c < channels; ++c, spectra += sizes_.n_bins()) {
                auto* history = history_.data() + c * n_fft;
                std::copy(history + hop_length, history + n_fft, history);
                auto* newest = history + n_fft - hop_length;
                for (std::size_t i = 0; i < hop_length; ++i) newest[i] = samples[i * channels + c];
                for (std::size_t i = 0; i < n_fft; ++i) frame_[i] = window_[i] * history[i];
                fft_.forward(frame_.data(), spectra);
            }
    }

    void reset() noexcept { std::fill(history_.begin(), history_.end(), 0.0f); }

private:
    const StftSizes sizes_;
    const std::vector<float> window_;
    RealFft fft_;
    std::vector<float> history_;  // (channels, n_fft): the last n_fft samples
    std::vector<float> frame_;    // (n_fft,)
};

class StftSynthesis {
public:
    // The synthesis window, of hop_length to n_fft values, ends with the frame. Normalises by the overlap-add
    // sum of the two windows' product; throws when it is not constant.
    StftSynthesis(StftSizes sizes, const std::vector<float>& analysis_window,
                  const std::vector<float>& synthesis_window)
        : sizes_(sizes),
          fft_(sizes.n_fft),
          partial_(sizes.channels * synthesis_window.size()),
          frame_(sizes.n_fft) {
        sizes_.check(analysis_window);
        if (synthesis_window.size() < sizes.hop_length || synthesis_window.size() > sizes.n_fft)
            throw std::invalid_argument(
                "the synthesis window has " + std::to_string(synthesis_window.size()) +
                " values; it must have from hop_length (" + std::to_string(sizes.hop_length) +
                ") to n_fft (" + std::to_string(sizes.n_fft) + ")");
        // The inverse FFT is n_fft times too large.
        const auto gain =
            1.0 / (static_cast<double>(sizes_.n_fft) * overlap_sum(analysis_window, synthesis_window));
        for (const auto value : synthesis_window) window_.push_back(static_cast<float>(gain * value));
    }

    const StftSizes& sizes() const noexcept { return sizes_; }

    // Samples by which analysis followed by this delays its input.
    std::size_t latency() const noexcept { return window_.size() - sizes_.hop_length; }

    // (hops, channels, n_bins) spectra -> (hops * hop_length, channels) samples.
    void process(const std::complex<float>* spectra, float* samples, std::size_t hops) noexcept {
        const auto [n_fft, hop_length, channels] = sizes_;
        const auto length = window_.size();
        const auto* end_of_frame = frame_.data() + n_fft - length;
        for (std::size_t hop = 0; hop < hops; ++hop, samples += hop_length * channels)
            for (std::size_t c = 0; c < channels; ++c, spectra += sizes_.n_bins()) {
                auto* partial = partial_.data() + c * length;
                fft_.inverse(spectra, frame_.data());
                for (std::size_t i = 0; i < length; ++i) partial[i] += window_[i] * end_of_frame[i];
                for (std::size_t i = 0; i < hop_length; ++i) samples[i * channels + c] = partial[i];
                std::copy(partial + hop_length, partial + length, partial);
                std::fill(partial + length - hop_length, partial + length, 0.0f);
            }
    }

    void reset() noexcept { std::fill(partial_.begin(), partial_.end(), 0.0f); }

private:
    static constexpr double kRipple = 1e-6;  // relative; -120 dB, and ten times the rounding of float windows

    // The sum over all hops of the end of the analysis window * synthesis window, the same at every sample
    // or refused.
    double overlap_sum(const std::vector<float>& analysis, const std::vector<float>& synthesis) const {
        std::vector<double> sums(sizes_.hop_length);
        const auto first = sizes_.n_fft - synthesis.size();
        for (std::size_t i = 0; i < synthesis.size(); ++i)
            sums[i % sizes_.hop_length] +=
                static_cast<double>(analysis[first + i]) * static_cast<double>(synthesis[i]);
        const auto [low, high] = std::minmax_element(sums.begin(), sums.end());
        const auto mean = (*low + *high) / 2;
        if (!(mean > 0.0) || !(*high - *low <= 2 * kRipple * mean))
            throw std::invalid_argument(
                "the windows' overlap-add sum at hop_length " + std::to_string(sizes_.hop_length) +
                " runs from " + std::to_string(*low) + " to " + std::to_string(*high) +
                "; it must be constant, as with two square-root Hann windows at hops of n_fft / 2");
        return mean;
    }

    const StftSizes sizes_;
    std::vector<float> window_;  // synthesis window with every scale factor in it; ends with the frame
    RealFft fft_;
    std::vector<float> partial_;  // (channels, values of window_): sums that later frames complete
    std::vector<float> frame_;    // (n_fft,)
};

}  // namespace diffvs
