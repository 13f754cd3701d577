// The sizes of an AudioPort, all fixed when it is made.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "diffvs/patch.h"
#include "diffvs/poll.h"

namespace diffvs {

struct AudioPortConfig {
    std::size_t channels;
    std::size_t latency;           // samples from input to output
    std::size_t max_block;         // larger blocks are mixed in pieces of this size
    std::size_t ring_samples;      // how far the worker may fall behind before the stream breaks
    std::size_t ramp_samples;      // for a level to go from 0 to 1
    std::size_t fade_samples;      // from wet to dry, and back
    Seconds patience{5.0};         // a waiting callback that waited so long takes the worker for dead
    std::optional<Patch> patch{};  // to the device's channels; channel by channel where there is none

    const AudioPortConfig& checked() const {
        if (!channels || !max_block || !ring_samples || !ramp_samples || !fade_samples)
            throw std::invalid_argument(
                "AudioPort: channels, max_block, ring_samples, ramp_samples and fade_samples must be at "
                "least 1");
        if (ring_samples < latency)
            throw std::invalid_argument("AudioPort: ring_samples is " + std::to_string(ring_samples) +
                                        "; vocals wait there for up to the latency, so it must be at least " +
                                        std::to_string(latency));
        if (patch && patch->channels() != channels)
            throw std::invalid_argument("AudioPort: the patch is for " + std::to_string(patch->channels()) +
                                        " channels, the port has " + std::to_string(channels));
        return *this;
    }
};

}  // namespace diffvs
