// Wait-free ring of audio between exactly one producer thread and one consumer thread.
//
// A sample is one instant of all channels; values of one sample lie side by side.
//
// [producer]  write()
// [consumer]  read(), discard()
// [any]       available(), written_total(), read_total(), capacity(), channels()
//
// None of them allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace diffvs {

class SpscRing {
public:
    // Holds at least min_samples samples: the next power of two.
    SpscRing(std::size_t min_samples, std::size_t channels)
        : channels_(channels), capacity_(std::bit_ceil(min_samples)), values_(capacity_ * channels) {
        if (min_samples == 0 || channels == 0)
            throw std::invalid_argument("SpscRing: min_samples and channels must be at least 1");
    }

    SpscRing(const SpscRing&) = delete;
    SpscRing& operator=(const SpscRing&) = delete;

    // Copies in up to `samples` samples and returns how many fitted; never overwrites.
    std::size_t write(const float* source, std::size_t samples) noexcept {
        const auto written = written_.load(std::memory_order_relaxed);  // only this thread changes it
        const auto read = read_.load(std::memory_order_acquire);  // what the consumer has copied out is free
        const auto count = std::min(samples, capacity_ - static_cast<std::size_t>(written - read));
        visit(written, count, [source](float* run, std::size_t offset, std::size_t length) {
            std::copy_n(source + offset, length, run);
        });
        written_.store(written + count, std::memory_order_release);  // publishes the copied values
        return count;
    }

    // Copies out up to `samples` samples and returns how many there were.
    std::size_t read(float* target, std::size_t samples) noexcept {
        const auto read = read_.load(std::memory_order_relaxed);        // only this thread changes it
        const auto written = written_.load(std::memory_order_acquire);  // pairs with the release in write()
        const auto count = std::min(samples, static_cast<std::size_t>(written - read));
        visit(read, count, [target](const float* run, std::size_t offset, std::size_t length) {
            std::copy_n(run, length, target + offset);
        });
        read_.store(read + count, std::memory_order_release);  // hands the room back
        return count;
    }

    // Drops up to `samples` of the oldest samples and returns how many there were.
    std::size_t discard(std::uint64_t samples) noexcept {
        const auto read = read_.load(std::memory_order_relaxed);  // only this thread changes it
        const auto written =
            written_.load(std::memory_order_acquire);  // never drop what is not yet published
        const auto count = std::min(samples, written - read);
        read_.store(read + count, std::memory_order_release);  // hands the room back
        return static_cast<std::size_t>(count);
    }

    // Samples waiting. The consumer will find at least this many, the producer at most.
    std::size_t available() const noexcept {
        const auto read = read_.load(std::memory_order_acquire);  // first: written can only be ahead of it
        return static_cast<std::size_t>(written_.load(std::memory_order_acquire) - read);
    }

    // Samples ever written, ever taken out: positions in the stream that flows through the ring.
    std::uint64_t written_total() const noexcept { return written_.load(std::memory_order_acquire); }
    std::uint64_t read_total() const noexcept { return read_.load(std::memory_order_acquire); }

    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t channels() const noexcept { return channels_; }

private:
    // Calls copy(run, offset, length), in values, for the two contiguous runs (the second may
    // be empty) that hold samples [start, start + count).
    template <typename Copy>
    void visit(std::uint64_t start, std::size_t count, Copy copy) noexcept {
        const auto begin = static_cast<std::size_t>(start) & (capacity_ - 1);
        const auto first = std::min(count, capacity_ - begin);
        copy(values_.data() + begin * channels_, 0, first * channels_);
        copy(values_.data(), first * channels_, (count - first) * channels_);
    }

    static constexpr std::size_t kCacheLine = 64;

    const std::size_t channels_;
    const std::size_t capacity_;  // samples, a power of two
    std::vector<float> values_;

    // Samples ever written and ever read. They only grow, so a full ring never looks empty
    // and no slot is spent on telling them apart. One cache line each: no false sharing.
    alignas(kCacheLine) std::atomic<std::uint64_t> written_{0};
    alignas(kCacheLine) std::atomic<std::uint64_t> read_{0};
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
                  "a hidden lock may not reach the audio thread");
};

}  // namespace diffvs
