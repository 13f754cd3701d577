// Mixes by two levels, and bends to the dry signal and back where vocals are missing.
//
//     v, a   vocal and accompaniment level            m   mixture, delayed         s   vocals, aligned with m
//     g      dry gain: what plays without vocals      w   wet fade, 0 .. 1
//
// Each bus is out = d m + w diff, with a dry gain d of its own:
//
//     mix             d = g    diff = (a - g) m + (v - a) s
//     vocals          d = 0    diff = v s
//     accompaniment   d = g    diff = (a - g) m - a s
//
// With w = 1 the dry gain cancels: vocals are v s, the accompaniment a (m - s), the mix their sum. With w = 0
// the mixture is in exactly one of the two; and for every w between, the two add up to the mix. Where only
// vocals play, they carry the mixture: d = g, diff = v s - g m.
//
// With v = a = g the mix has no difference to add: out = g m, bit for bit at 1, whatever the vocals are.
// Where vocals are missing, or nobody wants them (bypass), w falls to 0 with diff held at its last value: no
// click. It rises only from 0, where a new diff cannot click.
//
// [audio] all of it. It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "diffvs/level_ramp.h"
#include "diffvs/patch.h"

namespace diffvs {

struct Levels {
    float vocals = 1.0f;
    float accompaniment = 1.0f;
    bool dry_when_late = true;  // else silent when late
    bool bypass = false;        // as if vocals were missing, but never silent

    float dry_gain(bool stems_play) const noexcept {
        // Equal levels ask for no separation, so nothing is ever missing and nothing is ever muted;
        // unless somebody listens to the stems themselves.
        if (bypass || (vocals == accompaniment && !stems_play)) return vocals;
        return dry_when_late ? std::max(vocals, accompaniment) : 0.0f;
    }
};

class LateMixer {
public:
    LateMixer(const Patch& patch, std::size_t ramp_samples, std::size_t fade_samples)
        : channels_(patch.channels()),
          stems_play_(patch.plays(kVocals) || patch.plays(kAccompaniment)),
          vocals_carry_dry_(!patch.plays(kAccompaniment) && !patch.plays(kMix)),
          vocals_(ramp_samples),
          accompaniment_(ramp_samples),
          dry_(ramp_samples),
          wet_(fade_samples, 1.0f),
          diff_(kBuses * channels_) {}

    // Starts at these levels, without a ramp.
    void jump(const Levels& levels) noexcept {
        vocals_.jump(levels.vocals);
        accompaniment_.jump(levels.accompaniment);
        dry_.jump(levels.dry_gain(stems_play_));
        if (levels.bypass) wet_.jump(0.0f);
    }

    // Mixes (samples, channels) towards these levels; null vocals are missing.
    void process(const Levels& levels, const float* mixture, const float* vocals, const BusBlocks& buses,
                 std::size_t samples) noexcept {
        const auto dry_target = levels.dry_gain(stems_play_);
        const auto wanted = vocals && !levels.bypass;
        for (std::size_t i = 0; i < samples; ++i) {
            const auto v = vocals_.next(levels.vocals);
            const auto a = accompaniment_.next(levels.accompaniment);
            const auto g = dry_.next(dry_target);
            if (!wanted) falling_ = true;
            const auto w = wet_.next(falling_ ? 0.0f : 1.0f);
            if (wanted && w == 0.0f) falling_ = false;
            const auto offset = i * channels_;
            const auto* m = mixture + offset;
            const auto* s = falling_ ? nullptr : vocals + offset;
            const auto d = vocals_carry_dry_ ? g : 0.0f;
            if (buses[kMix]) mix(kMix, {g, w, a - g, v - a}, m, s, buses[kMix] + offset);
            if (buses[kVocals]) mix(kVocals, {d, w, -d, v}, m, s, buses[kVocals] + offset);
            if (buses[kAccompaniment])
                mix(kAccompaniment, {g, w, a - g, -a}, m, s, buses[kAccompaniment] + offset);
        }
    }

private:
    struct Gains {
        float dry, wet, mixture, vocals;
    };

    // One sample of one bus; null vocals hold its difference.
    void mix(Bus bus, const Gains& gain, const float* mixture, const float* vocals, float* output) noexcept {
        auto* diff = diff_.data() + bus * channels_;
        for (std::size_t c = 0; c < channels_; ++c) {
            if (vocals) diff[c] = scaled(gain.mixture, mixture[c]) + scaled(gain.vocals, vocals[c]);
            output[c] = sum(scaled(gain.dry, mixture[c]), scaled(gain.wet, diff[c]));
        }
    }

    // Zero times anything is nothing, even if anything is infinite.
    static float scaled(float gain, float value) noexcept { return gain == 0.0f ? 0.0f : gain * value; }

    // Adding 0 would turn -0 into +0, which is not bit for bit.
    static float sum(float dry, float wet) noexcept { return wet == 0.0f ? dry : dry + wet; }

    std::size_t channels_;
    bool stems_play_, vocals_carry_dry_;
    LevelRamp vocals_, accompaniment_, dry_, wet_;
    std::vector<float> diff_;  // (kBuses, channels)
    bool falling_ = false;
};

}  // namespace diffvs
