// The vocals on their way from worker to audio thread, each sample with its absolute position.
//
// The worker writes vocals for consecutive positions from 0, or from the last restart. The audio thread
// asks for the positions it plays now: what comes too late for them is discarded, never played.
//
// [worker] write()      [audio] restart(), reach(), receive()
#pragma once

#include <cstddef>
#include <cstdint>

#include "diffvs/spsc_ring.h"

namespace diffvs {

class VocalsInbox {
public:
    // Which samples of a block were received: [begin, end).
    struct Received {
        std::size_t begin, end;
    };

    VocalsInbox(std::size_t ring_samples, std::size_t channels) : ring_(ring_samples, channels) {}

    std::size_t write(const float* block, std::size_t samples) noexcept {
        return ring_.write(block, samples);
    }

    // Forgets what is on its way; the next sample written is for `position`.
    void restart(std::uint64_t position) noexcept {
        ring_.discard(ring_.available());
        next_ = position;
    }

    // Discards what is older than `position` and returns up to where vocals have come.
    std::uint64_t reach(std::uint64_t position) noexcept {
        if (next_ < position) next_ += ring_.discard(position - next_);
        return next_ + ring_.available();
    }

    // Copies those of the positions [position, position + samples) that are there to their place in the
    // block.
    Received receive(std::uint64_t position, float* block, std::size_t samples) noexcept {
        reach(position);
        if (next_ < position || next_ >= position + samples) return {0, 0};
        const auto first = static_cast<std::size_t>(next_ - position);  // only after a restart more than 0
        const auto count = ring_.read(block + first * ring_.channels(), samples - first);
        next_ += count;
        return {first, first + count};
    }

private:
    SpscRing ring_;
    std::uint64_t next_ = 0;  // position of the oldest sample in the ring
};

}  // namespace diffvs
