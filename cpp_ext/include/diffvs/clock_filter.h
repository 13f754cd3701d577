// A device's clock, seen through the times at which its callbacks come.
//
// Time is a straight line over the samples that have gone by, disturbed by callbacks that come late. An
// alpha-beta filter follows that line: at the start with the gains of a growing memory (least squares over
// all there was), then with those of a fading one. Both: E. Brookner, Tracking and Kalman Filtering Made
// Easy (1998), chapter 1. A delay of more than kOutlierS is taken for that much; one of more than kStepS is
// not believed at all, until it has lasted: then samples were lost, and the line is moved.
//
// [audio] all of it. It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace diffvs {

// When so many samples of a stream had gone by.
struct Stamp {
    double time_s;
    std::uint64_t position;
};

inline constexpr double kMostDrift = 0.02;  // of the nominal rate; no audio clock is further off

class ClockFilter {
public:
    explicit ClockFilter(double sample_rate) : nominal_s_(1 / sample_rate), period_s_(nominal_s_) {}

    void add(const Stamp& stamp) noexcept {
        // Drivers fill their buffers by a burst of callbacks: they tell nothing yet.
        if (seen_ == 0) first_s_ = stamp.time_s;
        ++seen_;
        if (stamp.time_s - first_s_ < kSettleS) return start(stamp);
        if (stamp.position == last_.position) return;
        const auto samples = static_cast<double>(stamp.position - last_.position);
        const auto predicted_s = last_.time_s + samples * period_s_;
        last_ = {predicted_s, stamp.position};
        correct(stamp.time_s - predicted_s, stamp.time_s, samples);
    }

    // Enough has been seen to go by it.
    bool locked() const noexcept { return memory_ >= kLeastMemory && last_.time_s - start_s_ >= kLearnS; }

    // When the stream is, or was, at that position.
    double time_at(std::uint64_t position) const noexcept {
        return last_.time_s +
               static_cast<double>(static_cast<std::int64_t>(position - last_.position)) * period_s_;
    }
    // Samples from `position` to where the stream is at that time.
    double samples_since(std::uint64_t position, double time_s) const noexcept {
        return static_cast<double>(static_cast<std::int64_t>(last_.position - position)) +
               (time_s - last_.time_s) / period_s_;
    }

private:
    static constexpr double kSettleS = 0.25, kLearnS = 1.0;
    static constexpr int kLeastMemory = 8;
    static constexpr double kBandwidth = 0.3;  // rad/s, of the fading memory
    static constexpr double kOutlierS = 0.001, kStepS = 0.005, kLastingS = 0.1;
    static constexpr int kLasting = 4;

    void start(const Stamp& stamp) noexcept {
        last_ = stamp;
        start_s_ = stamp.time_s;
        memory_ = phase_memory_ = 1;
    }

    void correct(double late_s, double now_s, double samples) noexcept {
        if (std::abs(late_s) > kStepS && locked()) {
            if (outliers_ == 0 || (late_s > 0) != (outlier_s_ > 0)) since_s_ = now_s, outliers_ = 0;
            outlier_s_ = late_s;
            if (++outliers_ < kLasting || now_s - since_s_ < kLastingS) return;
            last_.time_s += late_s;
            phase_memory_ = 1;
            outliers_ = 0;
            return;
        }
        outliers_ = 0;
        if (locked()) late_s = std::clamp(late_s, -kOutlierS, kOutlierS);
        const auto n = static_cast<double>(++memory_), m = static_cast<double>(++phase_memory_);
        const auto fading = std::exp(-kBandwidth * samples * nominal_s_);
        const auto alpha = std::max(2 * (2 * m - 1) / (m * (m + 1)), 1 - fading * fading);
        const auto beta = std::max(6 / (n * (n + 1)), (1 - fading) * (1 - fading));
        last_.time_s += std::min(alpha, 1.0) * late_s;
        period_s_ = std::clamp(period_s_ + std::min(beta, 1.0) * late_s / samples,
                               nominal_s_ * (1 - kMostDrift), nominal_s_ * (1 + kMostDrift));
    }

    double nominal_s_, period_s_;  // of one sample
    Stamp last_{0.0, 0};           // on the line
    double first_s_ = 0.0, start_s_ = 0.0;
    std::uint64_t seen_ = 0;
    int memory_ = 0, phase_memory_ = 0;  // stamps behind the rate, and behind the phase
    double outlier_s_ = 0.0, since_s_ = 0.0;
    int outliers_ = 0;
};

}  // namespace diffvs
