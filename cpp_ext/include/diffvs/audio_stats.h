// What the audio thread counts instead of speaking.
//
// [audio] add(), set(), raise(): one writer      [any] get(), take(), snapshot()
#pragma once

#include <atomic>
#include <cstdint>

namespace diffvs {

// A number that one thread changes and any thread reads. Relaxed throughout: a reader wants a recent
// value, not an order between values, and no other memory hangs on them.
template <typename Number>
class Shared {
public:
    Shared() = default;
    explicit Shared(Number value) noexcept : value_(value) {}

    Number get() const noexcept { return value_.load(std::memory_order_relaxed); }
    void set(Number value) noexcept { value_.store(value, std::memory_order_relaxed); }
    // One writer, so load and store need not be one step.
    void add(Number amount) noexcept { set(get() + amount); }
    void raise(Number value) noexcept {
        if (value > get()) set(value);
    }
    // Reads and starts again from zero; one step, since the writer may raise it meanwhile.
    Number take() noexcept { return value_.exchange(Number{}, std::memory_order_relaxed); }

private:
    std::atomic<Number> value_{};
    static_assert(std::atomic<Number>::is_always_lock_free, "a hidden lock may not reach the audio thread");
};

struct AudioStats {
    std::uint64_t blocks;             // callbacks so far
    std::uint64_t samples;            // through them
    std::uint64_t late_samples;       // played without the vocals that were due
    std::uint64_t late_events;        // the gaps they form
    std::uint64_t dropped_samples;    // input that the worker never got
    std::uint64_t input_overflows;    // blocks before which the device lost input
    std::uint64_t output_underflows;  // blocks before which the device had a gap
    std::uint64_t resyncs;            // fresh starts
    std::uint64_t largest_block;
    float peak_input;  // linear, over all channels, since the last snapshot
    float peak_output;
    float peak_vocals;
    double device_latency_s;  // output DAC time - input ADC time of the last block; 0 without a device
    std::uint64_t position;   // of the next input sample
    bool finished;            // stop_after was reached
};

// The same numbers, shared.
struct AudioCounters {
    Shared<std::uint64_t> blocks, samples, late_samples, late_events, dropped_samples, input_overflows,
        output_underflows, resyncs, largest_block;
    Shared<float> peak_input, peak_output, peak_vocals;
    Shared<double> device_latency_s;
    Shared<bool> finished;

    // Each number is recent; together they may straddle a block. The peaks start again.
    AudioStats snapshot() noexcept {
        const auto position = samples.get();
        return {blocks.get(),
                position,
                late_samples.get(),
                late_events.get(),
                dropped_samples.get(),
                input_overflows.get(),
                output_underflows.get(),
                resyncs.get(),
                largest_block.get(),
                peak_input.take(),
                peak_output.take(),
                peak_vocals.take(),
                device_latency_s.get(),
                position,
                finished.get()};
    }
};

}  // namespace diffvs
