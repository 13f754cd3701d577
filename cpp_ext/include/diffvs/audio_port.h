// The audio thread's side of the engine: mixture out to the worker, vocals back, mixed at the device's pace.
//
// Everything goes by absolute position, counted in samples from the first input sample. The output at
// position p is made of mixture[p - latency], from the delay line, and vocals[p - latency], from the
// worker. Vocals that are not there in time are late: LateMixer plays on without them, and they are
// discarded when they come, so the latency never moves.
//
// [audio]   process(), callback()
// [worker]  wait_mixture(), read_mixture(), write_vocals(), resync()
// [control] the setters      [any] the getters and stats()
//
// Nothing on the audio thread allocates, locks, logs, throws or calls the system; the one exception is
// the bounded wait of set_wait_for_worker(true). Denormal numbers are left alone: nothing here feeds
// back, so none can linger; a block of nothing else costs 1.5 % of its time; and flushing them would
// break "bit for bit".
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "diffvs/audio_port_config.h"
#include "diffvs/audio_stats.h"
#include "diffvs/delay_line.h"
#include "diffvs/late_mixer.h"
#include "diffvs/patch.h"
#include "diffvs/poll.h"
#include "diffvs/portaudio_abi.h"
#include "diffvs/resync.h"
#include "diffvs/spsc_ring.h"
#include "diffvs/vocals_inbox.h"

namespace diffvs {

class AudioPort {
public:
    explicit AudioPort(const AudioPortConfig& config)
        : config_(config.checked()),
          mixture_(config.ring_samples, config.channels),
          // Twice, since a worker that catches up holds samples besides a full mixture ring: they all fit.
          vocals_(2 * config.ring_samples, config.channels),
          delay_(config.latency, config.channels),
          patch_(config.patch.value_or(Patch(config.channels))),
          mixer_(patch_, config.ramp_samples, config.fade_samples),
          input_block_(config.max_block * config.channels),
          dry_block_(config.max_block * config.channels),
          vocals_block_(config.max_block * config.channels),
          silence_(config.max_block * config.channels) {
        if (patch_.straight_out()) return;
        bus_blocks_.resize(kBuses * config.max_block * config.channels);
        for (const auto bus : {kMix, kVocals, kAccompaniment})
            if (patch_.plays(bus)) buses_[bus] = &bus_blocks_[bus * config.max_block * config.channels];
    }

    const AudioPortConfig& config() const noexcept { return config_; }
    const Patch& patch() const noexcept { return patch_; }

    // [audio] (samples, device_inputs) in, (samples, device_outputs) out; null input is silence. The two
    // may be the same block where the device has as many channels in as out.
    void process(const float* input, float* output, std::size_t samples) noexcept {
        if (resync_.requested()) answer_resync();
        if (position_ == 0) mixer_.jump(levels());
        // The whole block goes to the worker before any of it is mixed: with no slack, its vocals
        // are due in this very block.
        send(input, samples);
        for (std::size_t done = 0; done < samples;) {
            const auto piece = std::min(samples - done, config_.max_block);
            mix(selected(input, done, piece), output + done * patch_.device_outputs(), piece);
            done += piece;
        }
        meter(counters_.peak_output, output, samples * patch_.device_outputs());
        count(samples);
    }

    // [audio] A portaudio::StreamCallback; `user` is the AudioPort.
    static int callback(const void* input, void* output, unsigned long samples,
                        const portaudio::TimeInfo* time, portaudio::Flags flags, void* user) noexcept {
        auto& port = *static_cast<AudioPort*>(user);
        if (!output) return portaudio::kAbort;  // nothing to play into
        if (flags & portaudio::kInputOverflow) port.counters_.input_overflows.add(1);
        if (flags & portaudio::kOutputUnderflow) port.counters_.output_underflows.add(1);
        if (time) port.counters_.device_latency_s.set(time->output_dac_s - time->input_adc_s);
        port.process(static_cast<const float*>(input), static_cast<float*>(output), samples);
        return port.counters_.finished.get() ? portaudio::kComplete : portaudio::kContinue;
    }

    // [worker] Waits until that many samples can be read; false when the time is over first.
    bool wait_mixture(std::size_t samples, Seconds timeout) const noexcept {
        return poll([&] { return !resyncing_ && mixture_.available() >= samples; }, timeout);
    }

    // [worker] As read and write of the ring. 0 while a resync is under way: positions are not agreed.
    // Vocals always fit as long as no more than ring_samples of the mixture read are still to come back.
    std::size_t read_mixture(float* block, std::size_t samples) noexcept {
        return resyncing_ ? 0 : mixture_.read(block, samples);
    }
    std::size_t write_vocals(const float* block, std::size_t samples) noexcept {
        return resyncing_ ? 0 : vocals_.write(block, samples);
    }

    // [worker] A fresh start: what is on its way, both ways, is forgotten, and the next sample read from
    // the mixture has the position of the next sample written to the vocals. False when no callback has
    // answered in time: the request stands, call again until it is true.
    bool resync(Seconds timeout) noexcept {
        if (!resyncing_) {
            mixture_.discard(mixture_.available());  // makes room for what comes until the answer
            resync_.request();
            resyncing_ = true;
        }
        if (!poll([&] { return resync_.answered(); }, timeout)) return false;
        mixture_.discard(resync_.take() - mixture_.read_total());
        resyncing_ = false;
        return true;
    }

    // [control] Targets, 1 is as it came; the levels get there by their ramps. Before the first block: at
    // once.
    void set_vocals_level(float level) noexcept { vocals_level_.set(level); }
    void set_accompaniment_level(float level) noexcept { accompaniment_level_.set(level); }
    // [control] What plays when vocals are late: the mixture, or silence.
    void set_dry_when_late(bool dry) noexcept { dry_when_late_.set(dry); }
    // [control] The mixture as if its vocals were late, and never silence: with two equal levels, the
    // original.
    void set_bypass(bool on) noexcept { bypass_.set(on); }
    // [control] Whether the callback waits for its vocals: for files, and for hosts that outrun the clock.
    void set_wait_for_worker(bool wait) noexcept { wait_for_worker_.set(wait); }
    // [control] The callback ends the stream when its position reaches this; 0 is never.
    void set_stop_after(std::uint64_t position) noexcept { stop_after_.set(position); }

    // [any]
    float vocals_level() const noexcept { return vocals_level_.get(); }
    float accompaniment_level() const noexcept { return accompaniment_level_.get(); }
    bool dry_when_late() const noexcept { return dry_when_late_.get(); }
    bool bypass() const noexcept { return bypass_.get(); }
    bool wait_for_worker() const noexcept { return wait_for_worker_.get(); }
    std::uint64_t stop_after() const noexcept { return stop_after_.get(); }
    // [any] Input was lost on the way to the worker: only dry, until a resync.
    bool broken() const noexcept { return broken_.get(); }
    // [any] The peaks start again with each call.
    AudioStats stats() noexcept { return counters_.snapshot(); }

private:
    // [audio] Whether ready(), after a wait where that is wanted. Not for a worker that is dead, or that
    // waits for us: its resync is answered in the next block.
    template <typename Ready>
    bool await(Ready ready) noexcept {
        const auto over = [&] {
            return ready() || !wait_for_worker_.get() || resync_.requested();
        };
        if (wait_for_worker_.get()) worker_dead_ = !poll(over, worker_dead_ ? Seconds{} : config_.patience);
        return ready();
    }

    // [audio] The next sample is the new start, for both rings.
    void answer_resync() noexcept {
        vocals_.restart(position_);
        worker_dead_ = false;
        broken_.set(false);
        counters_.resyncs.add(1);
        resync_.answer(mixture_.written_total());
    }

    // [audio] Input to the worker. What does not fit is lost, and with it the agreement on positions.
    void send(const float* input, std::size_t samples) noexcept {
        std::size_t sent = 0;
        while (sent < samples && !broken_.get()) {
            const auto piece = std::min(samples - sent, config_.max_block);
            const auto* block = selected(input, sent, piece);
            const auto fitted = mixture_.write(block ? block : silence_.data(), piece);
            sent += fitted;
            const auto room = [&] {
                return mixture_.available() < mixture_.capacity();
            };
            if (fitted < piece && !await(room)) broken_.set(true);
        }
        counters_.dropped_samples.add(samples - sent);
    }

    // [audio] The engine's channels of a piece of the device's block, valid until the next call.
    const float* selected(const float* device, std::size_t begin, std::size_t samples) noexcept {
        if (!device) return nullptr;
        device += begin * patch_.device_inputs();
        if (patch_.straight_in()) return device;
        patch_.select(device, input_block_.data(), samples);
        return input_block_.data();
    }

    // [audio] Mixes one piece, at most max_block samples.
    void mix(const float* input, float* output, std::size_t samples) noexcept {
        meter(counters_.peak_input, input, samples * config_.channels);
        delay_.process(input, dry_block_.data(), samples);
        // Before the first input sample there was silence, vocals included: nothing is late.
        const auto priming =
            position_ < config_.latency ? std::min<std::uint64_t>(samples, config_.latency - position_) : 0;
        const auto skip = static_cast<std::size_t>(priming);
        std::fill_n(vocals_block_.data(), skip * config_.channels, 0.0f);
        const auto [begin, end] = receive(skip, samples);
        if (patch_.straight_out()) buses_[kMix] = output;
        play(0, skip, true);
        play(skip, begin, false);  // only just after a resync
        play(begin, end, true);
        play(end, samples, false);
        if (!patch_.straight_out()) patch_.scatter(buses_, output, samples);
        position_ += samples;
    }

    // [audio] Fetches the vocals due in samples [skip, samples) of this piece to their place in its block.
    VocalsInbox::Received receive(std::size_t skip, std::size_t samples) noexcept {
        if (skip == samples) return {skip, skip};  // all priming: its position would be below 0
        const auto position = position_ + skip - config_.latency;
        if (broken_.get()) {
            vocals_.restart(position);  // so that the worker does not meet a full ring
            return {skip, skip};
        }
        await([&] { return vocals_.reach(position) >= position + samples - skip; });
        auto* block = vocals_block_.data() + skip * config_.channels;
        const auto [begin, end] = vocals_.receive(position, block, samples - skip);
        meter(counters_.peak_vocals, block + begin * config_.channels, (end - begin) * config_.channels);
        return {skip + begin, skip + end};
    }

    // [audio] Mixes and counts the run [begin, end) of a piece; its vocals are all there or all missing.
    void play(std::size_t begin, std::size_t end, bool vocals_there) noexcept {
        if (begin == end) return;
        const auto offset = begin * config_.channels;
        const auto* vocals = vocals_there ? vocals_block_.data() + offset : nullptr;
        auto buses = buses_;
        for (auto& bus : buses)
            if (bus) bus += offset;
        mixer_.process(levels(), dry_block_.data() + offset, vocals, buses, end - begin);
        if (!vocals_there) {
            counters_.late_samples.add(end - begin);
            if (!late_) counters_.late_events.add(1);
        }
        late_ = !vocals_there;
    }

    // [audio]
    void count(std::size_t samples) noexcept {
        counters_.blocks.add(1);
        counters_.samples.set(position_);
        counters_.largest_block.raise(samples);
        const auto stop_after = stop_after_.get();
        if (stop_after > 0 && position_ >= stop_after) counters_.finished.set(true);
    }

    // [audio]
    void meter(Shared<float>& peak, const float* block, std::size_t values) const noexcept {
        if (!block) return;
        auto highest = 0.0f;
        for (std::size_t i = 0; i < values; ++i) highest = std::max(highest, std::abs(block[i]));
        peak.raise(highest);
    }

    Levels levels() const noexcept {
        return {vocals_level_.get(), accompaniment_level_.get(), dry_when_late_.get(), bypass_.get()};
    }

    const AudioPortConfig config_;
    SpscRing mixture_;    // audio to worker
    VocalsInbox vocals_;  // worker to audio
    Resync resync_;
    bool resyncing_ = false;  // the worker's own

    // The audio thread's own.
    DelayLine delay_;
    const Patch patch_;
    LateMixer mixer_;
    std::vector<float> input_block_, dry_block_, vocals_block_, silence_;  // (max_block, channels)
    std::vector<float> bus_blocks_;                                        // (kBuses, max_block, channels)
    BusBlocks buses_{};                                                    // where each bus that plays goes
    std::uint64_t position_ = 0;                                           // of the next input sample
    bool late_ = false;
    bool worker_dead_ = false;

    // Control to audio.
    Shared<float> vocals_level_{1.0f}, accompaniment_level_{1.0f};
    Shared<bool> dry_when_late_{true}, bypass_{false}, wait_for_worker_{false};
    Shared<std::uint64_t> stop_after_{0};

    // Audio to any.
    AudioCounters counters_;
    Shared<bool> broken_{false};
};

}  // namespace diffvs
