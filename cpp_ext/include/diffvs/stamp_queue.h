// Stamps on their way from one audio thread to another, wait-free. A full queue drops: positions are
// absolute, so a lost stamp loses nothing but itself.
//
// [producer] push()      [consumer] pop()
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "diffvs/clock_filter.h"

namespace diffvs {

class StampQueue {
public:
    void push(const Stamp& stamp) noexcept {
        const auto pushed = pushed_.load(std::memory_order_relaxed);  // only this thread changes it
        // acquire: the slot must have been read before it is written again.
        if (pushed - popped_.load(std::memory_order_acquire) == kSlots) return;
        slots_[pushed % kSlots] = stamp;
        pushed_.store(pushed + 1, std::memory_order_release);  // publishes the slot
    }

    // False when there is none.
    bool pop(Stamp& stamp) noexcept {
        const auto popped = popped_.load(std::memory_order_relaxed);  // only this thread changes it
        if (popped == pushed_.load(std::memory_order_acquire))
            return false;  // pairs with the release in push()
        stamp = slots_[popped % kSlots];
        popped_.store(popped + 1, std::memory_order_release);  // hands the slot back
        return true;
    }

private:
    static constexpr std::size_t kSlots = 256;
    std::array<Stamp, kSlots> slots_{};
    std::atomic<std::size_t> pushed_{0}, popped_{0};
};

}  // namespace diffvs
