// A fixed delay for blocks of any size: the dry path, as late as the separation.
//
// [audio] process(). It never allocates, locks, throws or logs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace diffvs {

class DelayLine {
public:
    DelayLine(std::size_t delay, std::size_t channels) : values_(delay * channels), channels_(channels) {}

    // Reads and writes (samples, channels); null input is silence. The two may be the same block.
    void process(const float* input, float* output, std::size_t samples) noexcept {
        auto left = samples * channels_;
        if (values_.empty()) return copy(input, output, left);
        while (left > 0) {
            // The oldest values stand where the newest go: swap one contiguous run.
            const auto run = std::min(left, values_.size() - oldest_);
            for (std::size_t i = 0; i < run; ++i) {
                const auto newest = input ? input[i] : 0.0f;
                output[i] = values_[oldest_ + i];
                values_[oldest_ + i] = newest;
            }
            oldest_ = (oldest_ + run) % values_.size();
            left -= run;
            output += run;
            if (input) input += run;
        }
    }

private:
    static void copy(const float* input, float* output, std::size_t values) noexcept {
        if (!input)
            std::fill_n(output, values, 0.0f);
        else if (input != output)
            std::copy_n(input, values, output);
    }

    std::vector<float> values_;
    std::size_t channels_;
    std::size_t oldest_ = 0;
};

}  // namespace diffvs
