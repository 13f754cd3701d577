// Which channels of the device the engine hears, and what each channel of the device plays.
//
//     device in ──select()──▶ engine ──buses──▶ scatter()──▶ device out
//
// [audio] select(), scatter(). They never allocate, lock, throw or log.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace diffvs {

// What can be played. Mix is vocals plus accompaniment, at every instant and at any levels.
enum Bus : std::size_t { kMix, kVocals, kAccompaniment, kBuses, kSilence = kBuses };

using BusBlocks = std::array<float*, kBuses>;  // (samples, channels) each; null is not wanted

struct Outlet {
    Bus bus = kSilence;
    std::optional<std::size_t> channel;  // of the engine; none is the mean of all
};

class Patch {
public:
    // Channel by channel, the mix to the same channels that are heard.
    explicit Patch(std::size_t channels) : Patch(channels, numbered(channels), mix_of(channels)) {}

    // inputs: of each channel of the engine, the device's. outlets: of each of the device's, what it plays.
    Patch(std::size_t channels, std::vector<std::size_t> inputs, std::vector<Outlet> outlets)
        : channels_(channels), inputs_(std::move(inputs)), outlets_(std::move(outlets)) {
        if (inputs_.size() != channels)
            throw std::invalid_argument("AudioPort: " + std::to_string(inputs_.size()) +
                                        " inputs were given for " + std::to_string(channels) + " channels");
        if (outlets_.empty()) throw std::invalid_argument("AudioPort: there must be at least one output");
        for (const auto& outlet : outlets_) {
            if (outlet.channel && *outlet.channel >= channels)
                throw std::invalid_argument("AudioPort: an output plays channel " +
                                            std::to_string(*outlet.channel) + " of " +
                                            std::to_string(channels) + "; they count from 0");
            if (outlet.bus != kSilence) plays_[outlet.bus] = true;
        }
        straight_in_ = inputs_ == numbered(channels);
        straight_out_ = outlets_.size() == channels;
        for (std::size_t c = 0; c < outlets_.size(); ++c)
            straight_out_ = straight_out_ && outlets_[c].bus == kMix && outlets_[c].channel == c;
    }

    std::size_t channels() const noexcept { return channels_; }
    // What the device must have.
    std::size_t device_inputs() const noexcept {
        return inputs_.empty() ? 0 : *std::max_element(inputs_.begin(), inputs_.end()) + 1;
    }
    std::size_t device_outputs() const noexcept { return outlets_.size(); }

    bool plays(Bus bus) const noexcept { return plays_[bus]; }
    bool straight_in() const noexcept { return straight_in_; }    // select() would copy as it is
    bool straight_out() const noexcept { return straight_out_; }  // scatter() would copy the mix as it is

    // (samples, device_inputs) -> (samples, channels)
    void select(const float* device, float* block, std::size_t samples) const noexcept {
        const auto stride = device_inputs();
        for (std::size_t i = 0; i < samples; ++i)
            for (std::size_t c = 0; c < channels_; ++c)
                block[i * channels_ + c] = device[i * stride + inputs_[c]];
    }

    // (samples, channels) of each bus -> (samples, device_outputs)
    void scatter(const BusBlocks& buses, float* device, std::size_t samples) const noexcept {
        const auto stride = outlets_.size();
        for (std::size_t c = 0; c < stride; ++c) {
            const auto& outlet = outlets_[c];
            for (std::size_t i = 0; i < samples; ++i) {
                auto& value = device[i * stride + c];
                if (outlet.bus == kSilence)
                    value = 0.0f;
                else if (const auto* sample = buses[outlet.bus] + i * channels_; outlet.channel)
                    value = sample[*outlet.channel];
                else
                    value = mean(sample);
            }
        }
    }

private:
    static std::vector<std::size_t> numbered(std::size_t count) {
        std::vector<std::size_t> numbers(count);
        for (std::size_t c = 0; c < count; ++c) numbers[c] = c;
        return numbers;
    }
    static std::vector<Outlet> mix_of(std::size_t channels) {
        std::vector<Outlet> outlets(channels);
        for (std::size_t c = 0; c < channels; ++c) outlets[c] = {kMix, c};
        return outlets;
    }

    float mean(const float* sample) const noexcept {
        auto sum = 0.0f;
        for (std::size_t c = 0; c < channels_; ++c) sum += sample[c];
        return sum / static_cast<float>(channels_);
    }

    std::size_t channels_;
    std::vector<std::size_t> inputs_;
    std::vector<Outlet> outlets_;
    std::array<bool, kBuses> plays_{};
    bool straight_in_ = false, straight_out_ = false;
};

}  // namespace diffvs
