// Where to read a stream whose writer has another clock, so that its age stays the same.
//
// The writer's position at the time of a block, on the filtered line of its clock, minus the position read
// is the delay. A slow proportional-integral loop holds it at its target by the rate of reading. It acts on
// the read position, which is known exactly; so the filters of the clocks are not inside the loop, and may
// be slow. A delay that is far off means that samples were lost on one side: then the reader jumps.
//
//     d error / dt = drift - rate            drift: writer against reader, rate: what the loop adds
//     rate = 2 w error + w^2 integral(error)       both poles at w = kLoop
//
// [audio] all of it, on the reader's thread. It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "diffvs/clock_filter.h"

namespace diffvs {

// A stretch of the writer's stream to be played as one block: from `first` + `fraction`, in steps that go
// from `begin` to `end` in a straight line.
struct Reading {
    bool plays = false;  // else the clocks are not known yet
    bool jumps = false;  // it does not begin where the last one ended
    std::int64_t first = 0;
    double fraction = 0.0;
    double begin = 1.0, end = 1.0;  // samples of the writer per sample of the reader
    std::size_t samples = 0;

    // From `first` to sample i of the block.
    double at(std::size_t i) const noexcept {
        const auto x = static_cast<double>(i);
        return fraction + x * begin + (end - begin) * x * x / static_cast<double>(2 * samples);
    }
};

class DriftControl {
public:
    // target: the delay to keep, in samples of the writer.
    DriftControl(double writer_rate, double reader_rate, double target)
        : writer_rate_(writer_rate),
          reader_rate_(reader_rate),
          target_(target),
          writer_(writer_rate),
          reader_(reader_rate),
          step_(writer_rate / reader_rate) {}

    void written(const Stamp& stamp) noexcept { writer_.add(stamp); }

    // The next block, of so many samples, is wanted now.
    Reading read(double time_s, std::size_t samples) noexcept {
        reader_.add({time_s, position_});
        const auto line_s = reader_.time_at(position_);
        position_ += samples;
        Reading reading;
        reading.samples = samples;
        if (samples == 0 || !reader_.locked() || !writer_.locked()) return reading;
        const auto error =
            writer_.samples_since(static_cast<std::uint64_t>(first_), line_s) - fraction_ - target_;
        reading.jumps = !playing_ || std::abs(error) > kJumpS * writer_rate_;
        if (reading.jumps) {
            jumps_ += playing_ ? 1 : 0;
            go(error);
            smooth_s_ = 0.0;
            delay_s_ = target_ / writer_rate_;
            playing_ = true;
        } else {
            delay_s_ = (target_ + error) / writer_rate_;
        }
        reading.plays = true;
        reading.first = first_;
        reading.fraction = fraction_;
        reading.begin = step_;
        reading.end =
            reading.jumps ? step_ : turned(error / writer_rate_, static_cast<double>(samples) / reader_rate_);
        step_ = reading.end;
        go(static_cast<double>(samples) * (reading.begin + reading.end) / 2);
        return reading;
    }

    bool playing() const noexcept { return playing_; }
    double drift() const noexcept { return integral_; }  // writer against reader: 1e-6 is 1 ppm faster
    double delay_s() const noexcept { return delay_s_; }
    std::uint64_t jumps() const noexcept { return jumps_; }
    double target() const noexcept { return target_; }

private:
    static constexpr double kLoop = 0.2;       // rad/s: 200 ppm all at once move the delay by 0.4 ms
    static constexpr double kSmoothS = 1.0;    // of the error, before it moves the pitch
    static constexpr double kMostPull = 3e-4;  // of the proportional part: half a cent
    static constexpr double kJumpS = 0.003;

    // The new step, after an error that lasts for one block.
    double turned(double error_s, double block_s) noexcept {
        smooth_s_ += (1 - std::exp(-block_s / kSmoothS)) * (error_s - smooth_s_);
        integral_ = std::clamp(integral_ + kLoop * kLoop * smooth_s_ * block_s, -kMostDrift, kMostDrift);
        const auto pull = std::clamp(2 * kLoop * smooth_s_, -kMostPull, kMostPull);
        return writer_rate_ / reader_rate_ * (1 + integral_ + pull);
    }

    // Moves the read position, which is kept in two parts: after a day it must still be exact.
    void go(double samples) noexcept {
        const auto whole = std::floor(fraction_ + samples);
        fraction_ += samples - whole;
        first_ += static_cast<std::int64_t>(whole);
    }

    double writer_rate_, reader_rate_, target_;
    ClockFilter writer_, reader_;
    std::uint64_t position_ = 0;  // of the reader
    std::int64_t first_ = 0;      // the next sample to read, whole and fraction
    double fraction_ = 0.0;
    double step_;
    double integral_ = 0.0, smooth_s_ = 0.0, delay_s_ = 0.0;
    bool playing_ = false;
    std::uint64_t jumps_ = 0;
};

}  // namespace diffvs
