// Takes one ClockBridge through every path of its callbacks, on one thread and on a clock of its own.
#pragma once

#include <vector>

#include "check.h"
#include "diffvs/clock_bridge.h"

class BridgePaths {
public:
    // Each block of the input and of the output is passed through `guard`, which may watch what happens.
    template <typename Guard>
    void run(Guard guard) {
        const auto both = [&](int blocks, bool input_comes) {
            for (int i = 0; i < blocks; ++i) {
                time_s_ += kBlock / kRate;
                if (input_comes) guard([&] { bridge_.write(input_.data(), kBlock, time_s_); });
                guard([&] { bridge_.read(block_.data(), kBlock, time_s_ + 0.001); });
            }
        };
        both(100, false);  // nothing is known
        both(900, true);
        CHECK(bridge_.stats().playing && bridge_.stats().gaps == 0);
        CHECK(block_[0] > 0.2499f && block_[0] < 0.2501f);
        both(20, false);  // the input stalls,
        CHECK(bridge_.stats().gaps == 1 && block_[0] == 0.0f);
        both(400, true);  // and goes on without what it lost
        CHECK(bridge_.stats().jumps == 1 && block_[0] > 0.2499f);
        for (int i = 0; i < 3000; ++i) guard([&] { bridge_.write(nullptr, kBlock, time_s_); });
        CHECK(bridge_.stats().input_overflows > 0);
        both(400, true);
        guard([&] { bridge_.write(input_.data(), 3 * kBlock - 1, time_s_); });  // in pieces
        guard([&] { bridge_.read(block_.data(), 0, time_s_); });
        const auto gaps = bridge_.stats().gaps;
        both(1, true);
        CHECK(bridge_.stats().gaps == gaps);
    }

    // The callbacks themselves, which ask for the time.
    template <typename Guard>
    void call(Guard guard) {
        const diffvs::portaudio::TimeInfo time{1.0, 1.01, 1.02};
        const auto flags = diffvs::portaudio::kInputOverflow | diffvs::portaudio::kOutputUnderflow;
        guard([&] {
            diffvs::ClockBridge::input_callback(input_.data(), nullptr, kBlock, &time, flags, &bridge_);
        });
        guard([&] {
            const auto verdict = diffvs::ClockBridge::output_callback(nullptr, block_.data(), 2 * kBlock + 1,
                                                                      &time, flags, &bridge_);
            CHECK(verdict == diffvs::portaudio::kContinue);
        });
        port_.set_stop_after(1);
        guard([&] {
            const auto verdict = diffvs::ClockBridge::output_callback(nullptr, block_.data(), 2 * kBlock,
                                                                      nullptr, 0, &bridge_);
            CHECK(verdict == diffvs::portaudio::kComplete);
        });
    }

private:
    static constexpr std::size_t kBlock = 128;
    static constexpr double kRate = 44100;

    diffvs::AudioPort port_{{2, 512, 256, 2048, 300, 100}};
    // The input device has three channels, of which two are heard.
    diffvs::ClockBridge bridge_{
        port_, {kRate, kRate, kBlock, kBlock, 0.005, 100, diffvs::Patch(2, {2, 0}, {diffvs::Outlet{}})}};
    std::vector<float> input_ = std::vector<float>(3 * 3 * kBlock, 0.25f), block_ = input_;
    double time_s_ = 1000.0;
};
