// Mixes by two levels, and bends to the dry signal and back where vocals are missing.
//
//     v, a   vocal and accompaniment level            m   mixture, delayed         s   vocals, aligned with m
//     g      dry gain: what plays without vocals      w   wet fade, 0 .. 1
//
//     out = g m + w diff,   diff = (v - g) s + (a - g) (m - s) = (a - g) m + (v - a) s
//
// With w = 1 the dry gain cancels: out = v s + a (m - s). With v = a = g there is no difference to
// add: out = g m, bit for bit at 1, whatever the vocals are. Where vocals are missing w falls to 0
// with diff held at its last value: no click. It rises only from 0, where a new diff cannot click.
//
// [audio] all of it. It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "diffvs/level_ramp.h"

namespace diffvs {

struct Levels {
    float vocals = 1.0f;
    float accompaniment = 1.0f;
    bool dry_when_late = true;  // else silent when late

    // Equal levels ask for no separation, so nothing is ever missing and nothing is ever muted.
    float dry_gain() const noexcept {
        if (vocals == accompaniment) return vocals;
        return dry_when_late ? std::max(vocals, accompaniment) : 0.0f;
    }
};

class LateMixer {
public:
    LateMixer(std::size_t channels, std::size_t ramp_samples, std::size_t fade_samples)
        : vocals_(ramp_samples),
          accompaniment_(ramp_samples),
          dry_(ramp_samples),
          wet_(fade_samples, 1.0f),
          diff_(channels) {}

    // Starts at these levels, without a ramp.
    void jump(const Levels& levels) noexcept {
        vocals_.jump(levels.vocals);
        accompaniment_.jump(levels.accompaniment);
        dry_.jump(levels.dry_gain());
    }

    // Mixes (samples, channels) towards these levels; null vocals are missing.
    void process(const Levels& levels, const float* mixture, const float* vocals, float* output,
                 std::size_t samples) noexcept {
        const auto channels = diff_.size();
        const auto dry_target = levels.dry_gain();
        for (std::size_t i = 0; i < samples; ++i) {
            const auto v = vocals_.next(levels.vocals);
            const auto a = accompaniment_.next(levels.accompaniment);
            const auto g = dry_.next(dry_target);
            if (!vocals) falling_ = true;
            const auto w = wet_.next(falling_ ? 0.0f : 1.0f);
            if (vocals && w == 0.0f) falling_ = false;
            for (std::size_t c = 0; c < channels; ++c) {
                const auto k = i * channels + c;
                if (!falling_) diff_[c] = scaled(a - g, mixture[k]) + scaled(v - a, vocals[k]);
                output[k] = sum(g * mixture[k], scaled(w, diff_[c]));
            }
        }
    }

private:
    // Zero times anything is nothing, even if anything is infinite.
    static float scaled(float gain, float value) noexcept { return gain == 0.0f ? 0.0f : gain * value; }

    // Adding 0 would turn -0 into +0, which is not bit for bit.
    static float sum(float dry, float wet) noexcept { return wet == 0.0f ? dry : dry + wet; }

    LevelRamp vocals_, accompaniment_, dry_, wet_;
    std::vector<float> diff_;  // (channels,)
    bool falling_ = false;
};

}  // namespace diffvs
