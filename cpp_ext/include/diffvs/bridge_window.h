// The stretch of a stream that a bridge reads from: a ring from its writer, and around the read position a
// window in one piece. It plays what DriftControl asks for, as far as it is there.
//
// What is missing falls silent from the last value played, and sound rises only from silence: no click.
//
// [input audio] write()      [output audio] play()      [any] written(), gaps(), gap_samples()
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "diffvs/audio_stats.h"
#include "diffvs/drift_control.h"
#include "diffvs/level_ramp.h"
#include "diffvs/sinc_kernel.h"
#include "diffvs/spsc_ring.h"

namespace diffvs {

class BridgeWindow {
public:
    // room: samples that one block spans at most, kernel included. The kernel must outlive the window.
    BridgeWindow(std::size_t channels, SincKernel& kernel, std::size_t room, std::size_t ring_samples,
                 std::size_t fade_samples)
        : channels_(channels),
          kernel_(kernel),
          ring_(ring_samples, channels),
          room_(2 * room),
          values_(room_ * channels),
          held_(channels),
          wet_(fade_samples) {}

    std::size_t write(const float* block, std::size_t samples) noexcept {
        return ring_.write(block, samples);
    }
    std::uint64_t written() const noexcept { return ring_.written_total(); }
    std::uint64_t gaps() const noexcept { return gaps_.get(); }
    std::uint64_t gap_samples() const noexcept { return gap_samples_.get(); }

    // (samples, channels); silence where nothing is to be played yet.
    void play(const Reading& reading, float* block, std::size_t samples) noexcept {
        if (samples == 0) return;
        if (!reading.plays) {
            const auto waiting = ring_.available();  // half a ring of it is more than will be wanted
            begin_ = end_ +=
                static_cast<std::int64_t>(ring_.discard(waiting - std::min(waiting, ring_.capacity() / 2)));
            std::fill_n(block, samples * channels_, 0.0f);
            return;
        }
        if (reading.jumps) falling_ = true;
        const auto half = static_cast<std::int64_t>(kernel_.half());
        const auto last = reading.first + static_cast<std::int64_t>(std::floor(reading.at(samples - 1)));
        load(reading.first - half + 1, last + half + 1);
        for (std::size_t i = 0; i < samples; ++i) {
            const auto place = reading.at(i);
            const auto whole = std::floor(place);
            const auto from = reading.first + static_cast<std::int64_t>(whole) - half + 1;
            const auto there = from >= begin_ && from + 2 * half <= end_;
            const auto* around =
                there ? &values_[static_cast<std::size_t>(from - begin_) * channels_] : nullptr;
            sample(around, place - whole, block + i * channels_);
        }
    }

private:
    // Has as much of [begin, end) in the window as there is.
    void load(std::int64_t begin, std::int64_t end) noexcept {
        if (begin >= end_) {  // all of it is too old, and so is what comes next in the ring
            const auto behind = static_cast<std::uint64_t>(begin - end_);
            begin_ = end_ = end_ + static_cast<std::int64_t>(ring_.discard(behind));
        } else if (begin > begin_) {
            const auto old = static_cast<std::size_t>(begin - begin_) * channels_;
            const auto kept = static_cast<std::size_t>(end_ - begin) * channels_;
            std::copy_n(values_.data() + old, kept, values_.data());
            begin_ = begin;
        }
        if (end_ < begin) return;  // what is in the ring has not come so far
        const auto size = end_ - begin_;
        const auto wanted = std::min(end - end_, static_cast<std::int64_t>(room_) - size);
        if (wanted <= 0) return;
        auto* free = values_.data() + static_cast<std::size_t>(size) * channels_;
        end_ += static_cast<std::int64_t>(ring_.read(free, static_cast<std::size_t>(wanted)));
    }

    // One sample; null when it is missing.
    void sample(const float* around, double fraction, float* output) noexcept {
        if (!around) {
            gap_samples_.add(1);
            if (!missing_) gaps_.add(1);
            falling_ = true;
        }
        missing_ = !around;
        const auto wet = wet_.next(falling_ ? 0.0f : 1.0f);
        if (around && wet == 0.0f) falling_ = false;
        if (!falling_) kernel_.interpolate(around, fraction, channels_, held_.data());
        for (std::size_t c = 0; c < channels_; ++c) output[c] = wet * held_[c];
    }

    std::size_t channels_;
    SincKernel& kernel_;
    SpscRing ring_;
    std::size_t room_;
    std::vector<float> values_;         // (room, channels), samples [begin, end) in front
    std::int64_t begin_ = 0, end_ = 0;  // end: also the position of the ring's next sample
    std::vector<float> held_;           // (channels,)
    LevelRamp wet_;
    bool falling_ = false, missing_ = false;
    Shared<std::uint64_t> gaps_, gap_samples_;
};

}  // namespace diffvs
