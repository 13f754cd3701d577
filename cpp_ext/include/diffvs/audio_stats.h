// What the audio thread counts instead of speaking.
//
// [audio] add(), set(), raise()   (one writer)
// [any]   get(), take()
#pragma once

#include <atomic>
#include <cstdint>

namespace diffvs {

// A number that one thread changes and any thread reads. Relaxed throughout: a reader wants a recent
// value, not an order between values, and no other memory hangs on them.
template <typename Number>
class Counter {
public:
    Counter() = default;
    explicit Counter(Number value) noexcept : value_(value) {}

    // One writer, so load and store need not be one step: cheaper than a locked add.
    void add(Number amount) noexcept { set(get() + amount); }
    void set(Number value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void raise(Number value) noexcept {
        if (value > get()) set(value);
    }
    Number get() const noexcept { return value_.load(std::memory_order_relaxed); }
    // Reads and starts again from zero.
    Number take() noexcept { return value_.exchange(Number{}, std::memory_order_relaxed); }

private:
    std::atomic<Number> value_{};
    static_assert(std::atomic<Number>::is_always_lock_free, "a hidden lock may not reach the audio thread");
};

struct AudioStats {
    std::uint64_t blocks = 0;             // callbacks so far
    std::uint64_t samples = 0;            // through them
    std::uint64_t late_samples = 0;       // played without vocals that were due
    std::uint64_t late_events = 0;        // gaps they form
    std::uint64_t dropped_samples = 0;    // input that the worker never got
    std::uint64_t input_overflows = 0;    // reported by the device
    std::uint64_t output_underflows = 0;  // reported by the device
    std::uint64_t resyncs = 0;
    std::uint64_t largest_block = 0;
    float peak_input = 0.0f;  // linear, since the last snapshot
    float peak_output = 0.0f;
    float peak_vocals = 0.0f;
    double device_latency_s = 0.0;  // output DAC time - input ADC time of the last block that told them
    std::uint64_t position = 0;     // of the next input sample
    bool finished = false;          // stop_after was reached
};

}  // namespace diffvs
