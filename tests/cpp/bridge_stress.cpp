// Input and output callbacks on threads of their own, with a third that looks on: built for ThreadSanitizer.
//
// Both threads keep to a common clock that stands in for the real one, the output's a little slower. The
// input is a constant; so must be the output, once it plays, and nothing may be missing.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>

#include "check.h"
#include "diffvs/clock_bridge.h"

namespace {

constexpr double kRate = 44100, kDrift = 150e-6, kSeconds = 6, kMargin_s = 0.02;
constexpr std::size_t kBlock = 512;

// Neither gets further ahead of the other than the margin allows.
class Clock {
public:
    void advance(std::atomic<double>& mine, const std::atomic<double>& other, double time_s) {
        while (time_s > other.load() + kMargin_s && !over.load()) std::this_thread::yield();
        mine.store(time_s);
    }
    std::atomic<double> input_s{0}, output_s{0};
    std::atomic<bool> over{false};
};

}  // namespace

int main() {
    diffvs::AudioPort port({1, 0, kBlock, 4096, 1, 1});
    diffvs::ClockBridge bridge(port, {kRate, kRate, kBlock, kBlock, 2 * kMargin_s, 100, diffvs::Patch(1)});
    Clock clock;
    std::thread input([&] {
        const std::vector<float> block(kBlock, 0.5f);
        for (int i = 1; !clock.over; ++i) {
            const auto time_s = i * kBlock / (kRate * (1 + kDrift));
            clock.advance(clock.input_s, clock.output_s, time_s);
            bridge.write(block.data(), kBlock, time_s);
        }
    });
    std::thread control([&] {
        while (!clock.over) {
            const auto stats = bridge.stats();
            CHECK(std::abs(stats.drift) < 0.02 && stats.jumps == 0);
            std::this_thread::yield();
        }
    });
    std::vector<float> block(kBlock);
    auto playing = 0;
    for (int i = 0; i * kBlock < kSeconds * kRate; ++i) {
        const auto time_s = i * kBlock / kRate;
        clock.advance(clock.output_s, clock.input_s, time_s);
        bridge.read(block.data(), kBlock, time_s);
        playing += bridge.stats().playing;
        for (const auto value : block) CHECK(value >= 0.0f && value < 0.5001f);
        for (const auto value : block) CHECK(playing < 2 || std::abs(value - 0.5f) < 1e-4f);
    }
    clock.over = true;
    input.join();
    control.join();
    const auto stats = bridge.stats();
    CHECK(stats.playing && stats.gaps == 0 && stats.input_overflows == 0);
    CHECK(std::abs(stats.delay_s - bridge.target() / kRate) < 0.001);
    std::printf("drift %.1f ppm, delay %.2f ms\n", 1e6 * stats.drift, 1e3 * stats.delay_s);
}
