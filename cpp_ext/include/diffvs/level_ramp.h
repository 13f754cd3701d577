// A level that follows its target in a straight line, so that a moved knob does not click.
//
// [audio] all of it.
#pragma once

#include <cmath>
#include <cstddef>

namespace diffvs {

class LevelRamp {
public:
    // From 0 to 1 in ramp_samples samples.
    explicit LevelRamp(std::size_t ramp_samples, float level = 0.0f)
        : step_(1.0f / static_cast<float>(ramp_samples)), level_(level) {}

    // One sample towards target. It arrives exactly: 1 is 1 and 0 is 0, bit for bit.
    float next(float target) noexcept {
        const auto distance = target - level_;
        level_ = std::abs(distance) <= step_ ? target : level_ + std::copysign(step_, distance);
        return level_;
    }

    void jump(float target) noexcept { level_ = target; }
    float level() const noexcept { return level_; }

private:
    float step_;
    float level_;
};

}  // namespace diffvs
