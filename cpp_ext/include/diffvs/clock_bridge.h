// Between an input and an output with clocks of their own: two streams, two callbacks, one delay.
//
//     input callback ──▶ ring ──▶ interpolation, at a rate that holds the delay ──▶ AudioPort ──▶ output
//          └── stamps ──────────▶ DriftControl
//
// The engine runs on the output's clock, behind the bridge: so levels act at once, stems still add up to the
// mix, only the channels that are heard are resampled, and the music plays on when the input is gone.
// What the input does not deliver in time is silence, faded in and out, and is skipped when it comes.
//
// [input audio]  write(), input_callback()
// [output audio] read(), output_callback()      [any] stats()
//
// Nothing here allocates, locks, logs, throws or calls the system. The callbacks read the steady clock, which
// the common systems answer without entering the kernel; PortAudio's own times will not do, for they come
// from different clocks on different hosts.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "diffvs/audio_port.h"
#include "diffvs/bridge_window.h"
#include "diffvs/drift_control.h"
#include "diffvs/stamp_queue.h"

namespace diffvs {

struct ClockBridgeConfig {
    double input_rate, output_rate;
    std::size_t input_block, output_block;  // samples per callback; larger blocks are taken in pieces
    double margin_s;                        // how late a callback may come
    std::size_t fade_samples;
    Patch patch;  // only its inputs matter
};

struct BridgeStats {
    bool playing;        // the clocks are known
    double drift;        // of the input's clock against the output's: 1e-6 is 1 ppm faster
    double delay_s;      // from the input callback to the engine, as it is
    std::uint64_t gaps;  // runs of samples that did not come in time
    std::uint64_t gap_samples;
    std::uint64_t jumps;            // fresh starts, after samples were lost
    std::uint64_t input_overflows;  // reported by the device, or the ring was full
    double input_latency_s;         // the driver's word: age of a block's first sample
    double output_latency_s;        // until a block's first sample plays
};

class ClockBridge {
public:
    ClockBridge(AudioPort& port, const ClockBridgeConfig& config)
        : port_(port),
          config_(config),
          kernel_(config.input_rate / config.output_rate),
          control_(config.input_rate, config.output_rate, target_of(config, kernel_)),
          window_(config.patch.channels(), kernel_, room_for(config, kernel_),
                  4 * room_for(config, kernel_) + static_cast<std::size_t>(2 * config.input_rate),
                  config.fade_samples),
          selected_(config.input_block * config.patch.channels()),
          block_(config.output_block * config.patch.channels()) {}

    // Of the signal between input callback and engine, block included, in samples of the input.
    double target() const noexcept { return control_.target(); }
    const ClockBridgeConfig& config() const noexcept { return config_; }

    // [input audio] (samples, device_inputs); null is silence.
    void write(const float* input, std::size_t samples, double time_s) noexcept {
        for (std::size_t done = 0; done < samples;) {
            const auto piece = std::min(samples - done, config_.input_block);
            if (input)
                config_.patch.select(input + done * config_.patch.device_inputs(), selected_.data(), piece);
            else
                std::fill(selected_.begin(), selected_.end(), 0.0f);
            if (window_.write(selected_.data(), piece) < piece) input_overflows_.add(1);
            done += piece;
        }
        stamps_.push({time_s, window_.written()});
    }

    // [output audio] (samples, channels), at most output_block of them.
    void read(float* block, std::size_t samples, double time_s) noexcept {
        for (Stamp stamp; stamps_.pop(stamp);) control_.written(stamp);
        window_.play(control_.read(time_s, samples), block, samples);
        playing_.set(control_.playing());
        drift_.set(control_.drift());
        delay_s_.set(control_.delay_s());
        jumps_.set(control_.jumps());
    }

    // [input audio], [output audio] Of type portaudio::StreamCallback; `user` is the ClockBridge.
    static int input_callback(const void* input, void*, unsigned long samples,
                              const portaudio::TimeInfo* time, portaudio::Flags flags, void* user) noexcept {
        auto& bridge = *static_cast<ClockBridge*>(user);
        const auto now_s = now();
        if (flags & portaudio::kInputOverflow) bridge.input_overflows_.add(1);
        if (time) bridge.input_latency_s_.set(time->current_s - time->input_adc_s);
        bridge.write(static_cast<const float*>(input), samples, now_s);
        return portaudio::kContinue;
    }
    static int output_callback(const void*, void* output, unsigned long samples,
                               const portaudio::TimeInfo* time, portaudio::Flags flags, void* user) noexcept {
        auto& bridge = *static_cast<ClockBridge*>(user);
        auto now_s = now();
        if (!output) return portaudio::kAbort;
        if (time) bridge.output_latency_s_.set(time->output_dac_s - time->current_s);
        auto* played = static_cast<float*>(output);
        auto verdict = portaudio::kContinue;
        for (std::size_t done = 0; done < samples && verdict == portaudio::kContinue;) {
            const auto piece = std::min<std::size_t>(samples - done, bridge.config_.output_block);
            bridge.read(bridge.block_.data(), piece, now_s);
            verdict = AudioPort::callback(bridge.block_.data(), played, static_cast<unsigned long>(piece),
                                          nullptr, flags, &bridge.port_);
            played += piece * bridge.port_.patch().device_outputs();
            done += piece;
            now_s += static_cast<double>(piece) / bridge.config_.output_rate;
            flags = 0;
        }
        std::fill(played, static_cast<float*>(output) + samples * bridge.port_.patch().device_outputs(),
                  0.0f);
        return verdict;
    }

    BridgeStats stats() const noexcept {
        return {playing_.get(),         drift_.get(),           delay_s_.get(),
                window_.gaps(),         window_.gap_samples(),  jumps_.get(),
                input_overflows_.get(), input_latency_s_.get(), output_latency_s_.get()};
    }

private:
    static double now() noexcept {
        return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    }

    // Samples of the input that one block of the output takes, at most.
    static std::size_t room_for(const ClockBridgeConfig& config, const SincKernel& kernel) {
        const auto step = config.input_rate / config.output_rate * (1 + 2 * kMostDrift);
        return kernel.taps() +
               static_cast<std::size_t>(std::ceil(static_cast<double>(config.output_block) * step)) + 1;
    }
    // The delay below which a block could be wanted before it has come.
    static double target_of(const ClockBridgeConfig& config, const SincKernel& kernel) {
        const auto step = config.input_rate / config.output_rate;
        return static_cast<double>(config.input_block) + static_cast<double>(config.output_block) * step +
               static_cast<double>(kernel.half()) + config.margin_s * config.input_rate;
    }

    AudioPort& port_;
    const ClockBridgeConfig config_;
    SincKernel kernel_;
    DriftControl control_;  // the output's
    BridgeWindow window_;
    StampQueue stamps_;
    std::vector<float> selected_;  // the input's, (input_block, channels)
    std::vector<float> block_;     // the output's, (output_block, channels)
    Shared<bool> playing_{false};
    Shared<double> drift_, delay_s_, input_latency_s_, output_latency_s_;
    Shared<std::uint64_t> jumps_, input_overflows_;
};

}  // namespace diffvs
