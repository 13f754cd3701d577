// Audio thread, worker and control at once: whatever is late, lost or resynchronised, nothing is misplaced.
//
// The worker hands the mixture back as vocals, and every sample has a value of its own. So at vocal level
// 1 and accompaniment level 0 each output sample must equal the input `latency` samples before it, dry or
// wet, and one vocals sample out of place would show.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "diffvs/audio_port.h"

namespace {

constexpr std::size_t kChannels = 2, kLatency = 900, kMaxBlock = 256, kRing = 4096;
constexpr int kBlocksPerPhase = 1500;

float value_at(std::uint64_t position, std::size_t channel) {
    return static_cast<float>((position * kChannels + channel) * 2'654'435'761u % (1u << 24)) / (1u << 24);
}

// What the worker does with its time, set by the audio thread.
enum Phase : int { kPrompt, kIrregular, kStalled, kDone };
std::atomic<int> phase{kPrompt};

void work(diffvs::AudioPort& port) {
    using namespace std::chrono_literals;
    std::mt19937 random(3);
    std::vector<float> block(500 * kChannels);
    while (phase != kDone) {
        if (phase == kStalled && !port.broken()) {
            std::this_thread::sleep_for(100us);
            continue;
        }
        if (port.broken() || (phase == kIrregular && random() % 200 == 0)) {
            while (!port.resync(diffvs::Seconds{0.001}))
                if (phase == kDone) return;
        }
        if (phase == kIrregular && random() % 8 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
        const auto count = port.read_mixture(block.data(), random() % 500);
        if (count == 0) std::this_thread::yield();  // on one core, spinning would keep the audio thread away
        CHECK(port.write_vocals(block.data(), count) == count);
    }
}

class AudioThread {
public:
    explicit AudioThread(diffvs::AudioPort& port)
        : port_(port), input_(700 * kChannels), output_(700 * kChannels) {}

    void blocks(int count) {
        for (int i = 0; i < count; ++i) {
            const unsigned long samples = random_() % 700;
            for (std::size_t k = 0; k < samples * kChannels; ++k)
                input_[k] = value_at(position_ + k / kChannels, k % kChannels);
            const diffvs::portaudio::TimeInfo time{1.0, 1.01, 1.02};
            CHECK(diffvs::AudioPort::callback(input_.data(), output_.data(), samples, &time, 0, &port_) ==
                  diffvs::portaudio::kContinue);
            for (std::size_t k = 0; k < samples * kChannels; ++k) {
                const auto position = position_ + k / kChannels;
                CHECK(output_[k] ==
                      (position < kLatency ? 0.0f : value_at(position - kLatency, k % kChannels)));
            }
            position_ += samples;
            if (random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }

private:
    diffvs::AudioPort& port_;
    std::mt19937 random_{4};
    std::vector<float> input_, output_;
    std::uint64_t position_ = 0;
};

void stress(const diffvs::Patch& patch) {
    phase = kPrompt;
    diffvs::AudioPort port({kChannels, kLatency, kMaxBlock, kRing, 100, 50, diffvs::Seconds{5.0}, patch});
    port.set_accompaniment_level(0.0f);
    port.set_wait_for_worker(true);
    std::thread worker(work, std::ref(port));
    std::thread control([&] {
        while (phase != kDone) {
            const auto stats = port.stats();
            CHECK(stats.late_samples <= stats.samples + 700 && stats.peak_output <= 1.0f);
            std::this_thread::yield();
        }
    });
    AudioThread audio(port);

    audio.blocks(kBlocksPerPhase);
    const auto prompt = port.stats();
    CHECK(prompt.late_samples == 0 && prompt.dropped_samples == 0 && prompt.largest_block > kMaxBlock);

    port.set_wait_for_worker(false);
    phase = kIrregular;
    audio.blocks(kBlocksPerPhase);

    for (int round = 0; round < 20; ++round) {
        phase = kStalled;
        while (!port.broken()) audio.blocks(1);
        phase = kIrregular;
        while (port.broken()) audio.blocks(1);
        audio.blocks(20);
    }
    const auto stats = port.stats();
    phase = kDone;
    worker.join();
    control.join();
    CHECK(stats.resyncs >= 20 && stats.dropped_samples > 0 && stats.late_events > 0);
    CHECK(stats.device_latency_s > 0.0199 && stats.device_latency_s < 0.0201);
    std::printf("samples %llu, late %llu in %llu gaps, dropped %llu, resyncs %llu\n",
                static_cast<unsigned long long>(stats.samples),
                static_cast<unsigned long long>(stats.late_samples),
                static_cast<unsigned long long>(stats.late_events),
                static_cast<unsigned long long>(stats.dropped_samples),
                static_cast<unsigned long long>(stats.resyncs));
}

}  // namespace

int main() {
    using namespace diffvs;
    stress(Patch(kChannels));
    // Swapped and swapped back.
    stress(Patch(kChannels, {1, 0}, {{kMix, 1}, {kMix, 0}}));
}
