// The audio thread's side of the engine: mixture out to the worker, vocals back, mixed at the device's pace.
//
// Everything goes by absolute position, counted in samples from the first input sample. The output at
// position p is made of mixture[p - latency], from the delay line, and vocals[p - latency], from the
// worker. Vocals that are not there in time are late: LateMixer plays on without them, and they are
// discarded when they come, so the latency never moves.
//
// [audio]   process(), callback()
// [worker]  wait_mixture(), read_mixture(), write_vocals(), resync()
// [control] set_levels and the other setters      [any] stats(), broken(), and all constants
//
// Nothing on the audio thread allocates, locks, logs, throws or calls the system; the one exception is
// the bounded wait of set_wait_for_worker(true). Denormal numbers are left alone: nothing here feeds
// back, so none can linger, and flushing them would break "bit for bit".
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "diffvs/audio_stats.h"
#include "diffvs/delay_line.h"
#include "diffvs/late_mixer.h"
#include "diffvs/portaudio_abi.h"
#include "diffvs/resync.h"
#include "diffvs/spsc_ring.h"

namespace diffvs {

struct AudioPortConfig {
    std::size_t channels;
    std::size_t latency;       // samples from input to output, any number
    std::size_t max_block;     // larger blocks are mixed in pieces of this size
    std::size_t ring_samples;  // how far the worker may fall behind before the stream breaks
    std::size_t ramp_samples;  // for a level to go from 0 to 1
    std::size_t fade_samples;  // from wet to dry and back
};

class AudioPort {
public:
    using Seconds = std::chrono::duration<double>;

    explicit AudioPort(const AudioPortConfig& config)
        : config_(checked(config)),
          mixture_(config.ring_samples, config.channels),
          vocals_(config.ring_samples, config.channels),
          delay_(config.latency, config.channels),
          mixer_(config.channels, config.ramp_samples, config.fade_samples),
          dry_block_(config.max_block * config.channels),
          vocals_block_(config.max_block * config.channels),
          silence_(config.max_block * config.channels) {}

    const AudioPortConfig& config() const noexcept { return config_; }

    // [audio] (samples, channels) in and out; null input is silence. The two may be the same block.
    void process(const float* input, float* output, std::size_t samples) noexcept {
        if (resync_.requested()) answer_resync();
        if (position_ == 0) mixer_.jump(levels());
        // The whole block goes to the worker before any of it is mixed: with no slack, its vocals
        // are due in this very block.
        send(input, samples);
        meter(peak_input_, input, samples);
        for (std::size_t done = 0; done < samples;) {
            const auto piece = std::min(samples - done, config_.max_block);
            const auto offset = done * config_.channels;
            mix(input ? input + offset : nullptr, output + offset, piece);
            done += piece;
        }
        meter(peak_output_, output, samples);
        count(samples);
    }

    // [audio] A portaudio::StreamCallback; user is the AudioPort.
    static int callback(const void* input, void* output, unsigned long samples, const portaudio::CallbackTimeInfo* time,
                        portaudio::CallbackFlags flags, void* user) noexcept {
        auto& port = *static_cast<AudioPort*>(user);
        if (!output) return portaudio::kAbort;  // an input-only stream has nothing to play
        if (flags & portaudio::kInputOverflow) port.input_overflows_.add(1);
        if (flags & portaudio::kOutputUnderflow) port.output_underflows_.add(1);
        if (time) port.device_latency_s_.set(time->output_dac_s - time->input_adc_s);
        port.process(static_cast<const float*>(input), static_cast<float*>(output), samples);
        return port.finished_.get() ? portaudio::kComplete : portaudio::kContinue;
    }

    // [worker] Waits until that many samples can be read; false when the time is over first.
    bool wait_mixture(std::size_t samples, Seconds timeout) const noexcept {
        return poll([&] { return !resyncing_ && mixture_.available() >= samples; }, timeout);
    }
    // [worker] As SpscRing::read and write. 0 while a resync is under way: the positions are not agreed.
    std::size_t read_mixture(float* block, std::size_t samples) noexcept {
        return resyncing_ ? 0 : mixture_.read(block, samples);
    }
    std::size_t write_vocals(const float* block, std::size_t samples) noexcept {
        return resyncing_ ? 0 : vocals_.write(block, samples);
    }

    // [worker] A fresh start: what is in both rings is forgotten, and the next mixture sample read has
    // the position of the next vocals sample written. False when no callback has answered in time:
    // then the request stands, and the call is to be repeated until it is true.
    bool resync(Seconds timeout) noexcept {
        if (!resyncing_) {
            mixture_.discard(mixture_.available());  // makes room for what comes before the answer
            resync_.request();
            resyncing_ = true;
        }
        if (!poll([&] { return resync_.answered(); }, timeout)) return false;
        mixture_.discard(resync_.take() - mixture_.read_total());
        resyncing_ = false;
        return true;
    }

    // [control] Targets; the levels get there by their ramps. Before the first block, at once.
    void set_vocals_level(float level) noexcept { vocals_level_.set(level); }
    void set_accompaniment_level(float level) noexcept { accompaniment_level_.set(level); }
    void set_dry_when_late(bool dry) noexcept { dry_when_late_.set(dry); }
    // [control] The callback waits for its vocals: for hosts that outrun the clock, and for files.
    void set_wait_for_worker(bool wait) noexcept { wait_for_worker_.set(wait); }
    // [control] The callback completes the stream when position reaches this; 0 is never.
    void set_stop_after(std::uint64_t position) noexcept { stop_after_.set(position); }

    // [any]
    float vocals_level() const noexcept { return vocals_level_.get(); }
    float accompaniment_level() const noexcept { return accompaniment_level_.get(); }
    bool dry_when_late() const noexcept { return dry_when_late_.get(); }
    bool wait_for_worker() const noexcept { return wait_for_worker_.get(); }
    std::uint64_t stop_after() const noexcept { return stop_after_.get(); }
    // [any] Input was lost, so positions no longer agree: only dry, until a resync.
    bool broken() const noexcept { return broken_.get(); }

    // [any] Each number is recent; together they may straddle a block. Peaks start anew.
    AudioStats stats() noexcept {
        AudioStats stats;
        stats.blocks = blocks_.get();
        stats.samples = stats.position = samples_.get();
        stats.late_samples = late_samples_.get();
        stats.late_events = late_events_.get();
        stats.dropped_samples = dropped_samples_.get();
        stats.input_overflows = input_overflows_.get();
        stats.output_underflows = output_underflows_.get();
        stats.resyncs = resyncs_.get();
        stats.largest_block = largest_block_.get();
        stats.peak_input = peak_input_.take();
        stats.peak_output = peak_output_.take();
        stats.peak_vocals = peak_vocals_.take();
        stats.device_latency_s = device_latency_s_.get();
        stats.finished = finished_.get();
        return stats;
    }

private:
    static constexpr Seconds kPoll{0.0005};     // 1 % of a core while waiting, far below a hop
    static constexpr Seconds kPatience{5.0};    // then a waiting callback takes the worker for dead

    static AudioPortConfig checked(const AudioPortConfig& config) {
        if (!config.channels || !config.max_block || !config.ring_samples || !config.ramp_samples || !config.fade_samples)
            throw std::invalid_argument(
                "AudioPort: channels, max_block, ring_samples, ramp_samples and fade_samples must be at least 1");
        return config;
    }

    template <typename Ready>
    static bool poll(Ready ready, Seconds timeout) noexcept {
        const auto start = std::chrono::steady_clock::now();
        while (!ready()) {
            if (std::chrono::steady_clock::now() - start >= timeout) return false;
            std::this_thread::sleep_for(kPoll);
        }
        return true;
    }

    // [audio] Waits for the worker where that is wanted, and not again after it has let us down.
    template <typename Ready>
    bool await(Ready ready) noexcept {
        if (!wait_for_worker_.get()) return ready();
        const auto met = poll([&] { return ready() || !wait_for_worker_.get(); }, given_up_ ? Seconds{} : kPatience);
        given_up_ = !met;
        return ready();
    }

    // [audio] Forgets all vocals on their way and agrees on the next sample as the new start.
    void answer_resync() noexcept {
        vocals_.discard(vocals_.available());
        next_vocals_ = position_;
        broken_.set(false);
        resyncs_.add(1);
        resync_.answer(mixture_.written_total());
    }

    // [audio] Input to the worker. What does not fit is lost, and with it the agreement on positions.
    void send(const float* input, std::size_t samples) noexcept {
        std::size_t sent = 0;
        while (sent < samples && !broken_.get()) {
            const auto piece = std::min(samples - sent, config_.max_block);
            const auto* source = input ? input + sent * config_.channels : silence_.data();
            const auto fitted = mixture_.write(source, piece);
            sent += fitted;
            if (fitted < piece && !await([&] { return mixture_.available() < mixture_.capacity(); })) broken_.set(true);
        }
        dropped_samples_.add(samples - sent);
    }

    // [audio] One piece, at most max_block samples, in up to four runs.
    void mix(const float* input, float* output, std::size_t samples) noexcept {
        delay_.process(input, dry_block_.data(), samples);
        std::size_t done = 0;
        const auto run = [&](std::uint64_t length, const float* vocals) {
            const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, samples - done));
            const auto offset = done * config_.channels;
            mixer_.process(levels(), dry_block_.data() + offset, vocals, output + offset, n);
            if (n > 0) count_late(vocals ? 0 : n);
            done += n;
        };
        // Priming: before the first input sample there was silence, vocals included.
        if (position_ < config_.latency) {
            std::fill(vocals_block_.begin(), vocals_block_.end(), 0.0f);
            run(config_.latency - position_, vocals_block_.data());
        }
        if (done < samples) {
            const auto wanted = position_ + done - config_.latency;
            const auto got = receive(wanted, samples - done);
            if (next_vocals_ - got > wanted) run(next_vocals_ - got - wanted, nullptr);  // before a resync's start
            meter(peak_vocals_, vocals_block_.data(), got);
            run(got, vocals_block_.data());
            run(samples - done, nullptr);
        }
        position_ += samples;
    }

    // [audio] Fetches the vocals for positions [wanted, wanted + samples) that are there, discards older
    // ones, and returns how many it got: they end where next_vocals_ then stands.
    std::size_t receive(std::uint64_t wanted, std::size_t samples) noexcept {
        if (broken_.get()) return vocals_.discard(vocals_.available()), 0;  // keeps the worker from a full ring
        const auto end = wanted + samples;
        await([&] {
            if (next_vocals_ < wanted) next_vocals_ += vocals_.discard(wanted - next_vocals_);
            return next_vocals_ + vocals_.available() >= end;
        });
        if (next_vocals_ < wanted || next_vocals_ >= end) return 0;
        const auto got = vocals_.read(vocals_block_.data(), static_cast<std::size_t>(end - next_vocals_));
        next_vocals_ += got;
        return got;
    }

    // [audio] Counts the missing vocals of one run, and the gaps that runs form.
    void count_late(std::size_t missing) noexcept {
        if (missing > 0 && !late_) late_events_.add(1);
        late_ = missing > 0;
        late_samples_.add(missing);
    }

    void count(std::size_t samples) noexcept {
        blocks_.add(1);
        samples_.set(position_);
        largest_block_.raise(samples);
        const auto stop_after = stop_after_.get();
        if (stop_after > 0 && position_ >= stop_after) finished_.set(true);
    }

    void meter(Counter<float>& peak, const float* block, std::size_t samples) const noexcept {
        if (!block) return;
        auto highest = 0.0f;
        for (std::size_t i = 0; i < samples * config_.channels; ++i) highest = std::max(highest, std::abs(block[i]));
        peak.raise(highest);
    }

    Levels levels() const noexcept { return {vocals_level_.get(), accompaniment_level_.get(), dry_when_late_.get()}; }

    const AudioPortConfig config_;
    SpscRing mixture_, vocals_;
    Resync resync_;
    bool resyncing_ = false;  // the worker's own

    // The audio thread's own.
    DelayLine delay_;
    LateMixer mixer_;
    std::vector<float> dry_block_, vocals_block_, silence_;  // (max_block, channels)
    std::uint64_t position_ = 0;                             // of the next input sample
    std::uint64_t next_vocals_ = 0;                          // position of the next sample in the vocals ring
    bool late_ = false;
    bool given_up_ = false;

    // Control to audio.
    Counter<float> vocals_level_{1.0f}, accompaniment_level_{1.0f};
    Counter<bool> dry_when_late_{true}, wait_for_worker_{false};
    Counter<std::uint64_t> stop_after_{0};

    // Audio to any.
    Counter<std::uint64_t> blocks_, samples_, late_samples_, late_events_, dropped_samples_, input_overflows_,
        output_underflows_, resyncs_, largest_block_;
    Counter<float> peak_input_, peak_output_, peak_vocals_;
    Counter<double> device_latency_s_;
    Counter<bool> finished_, broken_;
};

}  // namespace diffvs
