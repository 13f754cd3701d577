// Takes one AudioPort through every path of its callback, on one thread.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "diffvs/audio_port.h"

class PortPaths {
public:
    PortPaths() : PortPaths(diffvs::Patch(2)) {}
    // A patch that hears the device's channels 2 and 0 and plays all there is to play.
    static PortPaths routed() {
        using namespace diffvs;
        return PortPaths(Patch(2, {2, 0}, {{kVocals, 0}, {kVocals, 1}, {}, {kAccompaniment, {}}, {kMix, 1}}));
    }

    // Each callback is called through `guard`, which may watch what happens inside.
    template <typename Guard>
    void run(Guard guard) {
        const auto blocks = [&](int count, unsigned long samples, bool with_vocals, const float* input) {
            for (int i = 0; i < count; ++i) {
                guard([&] { callback(input, samples); });
                const auto got = port_.read_mixture(block_.data(), samples);
                if (with_vocals) port_.write_vocals(block_.data(), got);
            }
        };
        const auto* noise = input_.data();
        blocks(10, 128, true, noise);               // normal
        blocks(2, kMaxBlock * 2 - 1, true, noise);  // in two pieces
        blocks(4, 128, true, nullptr);              // no input
        blocks(1, 0, true, noise);
        port_.set_vocals_level(0.0f);
        blocks(4, 128, true, noise);  // ramp
        CHECK(port_.stats().late_samples == 0);
        blocks(10, 128, false, noise);  // late, dry
        port_.set_dry_when_late(false);
        port_.set_accompaniment_level(0.5f);
        blocks(4, 128, false, noise);  // late, mute
        input_[0] = std::numeric_limits<float>::quiet_NaN();
        input_[1] = std::numeric_limits<float>::denorm_min();
        blocks(4, 128, true, noise);
        port_.set_bypass(true);
        blocks(4, 128, true, noise);
        port_.set_bypass(false);
        CHECK(port_.stats().late_samples > 0);
        for (int i = 0; i < 20; ++i) guard([&] { callback(noise, 128); });  // nobody reads: overflow
        CHECK(port_.broken() && port_.stats().dropped_samples > 0);
        CHECK(!port_.resync(diffvs::Seconds{0}));
        blocks(1, 128, true, noise);  // answers
        CHECK(port_.resync(diffvs::Seconds{0}) && !port_.broken());
        const auto late = port_.stats().late_samples;
        blocks(10, 128, true, noise);
        CHECK(port_.stats().late_samples == late + kLatency - 128);  // wet again
        port_.set_stop_after(1);
        guard([&] { callback(noise, 128); });
        CHECK(port_.stats().finished);
    }

private:
    explicit PortPaths(const diffvs::Patch& patch)
        : port_({2, kLatency, kMaxBlock, kRing, 300, 100, diffvs::Seconds{5.0}, patch}) {}

    static constexpr std::size_t kMaxBlock = 256, kLatency = 512, kRing = 2048;

    void callback(const float* input, unsigned long samples) {
        const diffvs::portaudio::TimeInfo time{1.0, 1.0, 1.0};
        const auto flags = diffvs::portaudio::kInputOverflow | diffvs::portaudio::kOutputUnderflow;
        diffvs::AudioPort::callback(input, output_.data(), samples, &time, flags, &port_);
    }

    diffvs::AudioPort port_;
    std::vector<float> input_ = std::vector<float>(5 * 1024, 0.25f), output_ = input_, block_ = input_;
};
