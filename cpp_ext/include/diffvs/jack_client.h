// A client of a JACK server that plays an AudioPort, in blocks of the server's own period.
//
// PortAudio plays over JACK too, but tells the server nothing of the time that we take. A client of our
// own does, so a host that sends its sound through us can compensate.
//
// [audio]   process()
// [server]  the other callbacks: a thread of JACK's library
// [control] everything else
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "diffvs/audio_port.h"
#include "diffvs/jack_abi.h"

namespace diffvs {

class JackClient {
public:
    // Joins the server that the environment names. Throws std::runtime_error.
    explicit JackClient(const std::string& name) : jack_(jack::Library::get()) {
        int status = 0;
        client_ = jack_.client_open(name.c_str(), jack::kNoStartServer, &status);
        if (!client_) throw std::runtime_error("the JACK server does not answer; is it running?");
        name_ = jack_.get_client_name(client_);
        sample_rate_ = jack_.get_sample_rate(client_);
        period_ = jack_.get_buffer_size(client_);
    }
    JackClient(const JackClient&) = delete;
    JackClient& operator=(const JackClient&) = delete;
    ~JackClient() { close(); }

    const std::string& name() const noexcept { return name_; }  // another one where ours was taken
    std::uint32_t sample_rate() const noexcept { return sample_rate_; }
    std::uint32_t period() const noexcept { return period_; }

    // Plays between the clients `source` and `sink`, port by port in their order. Once; the port must
    // outlive the client. Throws std::runtime_error.
    void start(AudioPort& port, const std::string& source, const std::string& sink) {
        if (port_ || !client_) throw std::runtime_error("a JackClient starts once, and not after its end");
        port_ = &port;
        latency_ = static_cast<std::uint32_t>(port.config().latency);
        add_ports(inputs_, "in_", jack::kIsInput, port.patch().device_inputs());
        add_ports(outputs_, "out_", jack::kIsOutput, port.patch().device_outputs());
        input_block_.resize(period_ * inputs_.size());
        output_block_.resize(period_ * outputs_.size());
        jack_.set_process_callback(
            client_,
            [](std::uint32_t samples, void* user) {
                static_cast<JackClient*>(user)->process(samples);
                return 0;
            },
            this);
        jack_.set_xrun_callback(
            client_,
            [](void* user) {
                static_cast<JackClient*>(user)->xruns_.fetch_add(1, std::memory_order_relaxed);
                return 0;
            },
            this);
        jack_.set_latency_callback(
            client_, [](int mode, void* user) { static_cast<JackClient*>(user)->tell_latency(mode); }, this);
        jack_.on_shutdown(
            client_,
            [](void* user) {
                auto& client = *static_cast<JackClient*>(user);
                client.gone_ = true;
                client.running_ = false;
            },
            this);
        running_ = true;
        if (jack_.activate(client_)) {
            running_ = false;
            throw std::runtime_error("the JACK server does not let " + name_ + " play");
        }
        connect(ports_of(source, jack::kIsOutput), inputs_, true);
        connect(ports_of(sink, jack::kIsInput), outputs_, false);
    }

    // False once the port has finished, the server is gone, or its period is another one.
    bool running() const noexcept { return running_; }

    // Samples from the world to our inputs, and from our outputs to the world: the longest way.
    std::uint32_t input_latency() const { return range(inputs_, jack::kCaptureLatency).max; }
    std::uint32_t output_latency() const { return range(outputs_, jack::kPlaybackLatency).max; }

    // A client whose server is gone is left to the system: its library may wait for an answer for ever.
    void close() noexcept {
        running_ = false;
        if (client_ && !gone_) {
            jack_.deactivate(client_);
            jack_.client_close(client_);
        }
        client_ = nullptr;
    }

private:
    using Ports = std::vector<jack::Port*>;

    // [audio]
    void process(std::uint32_t samples) noexcept {
        const auto plays = running_.load(std::memory_order_relaxed) && samples == period_;
        if (!plays) {
            running_ = false;
            for (auto* port : outputs_) std::fill_n(buffer(port, samples), samples, 0.0f);
            return;
        }
        for (std::size_t c = 0; c < inputs_.size(); ++c) {
            const auto* from = buffer(inputs_[c], samples);
            for (std::size_t i = 0; i < samples; ++i) input_block_[i * inputs_.size() + c] = from[i];
        }
        const auto xruns = xruns_.exchange(0, std::memory_order_relaxed);
        const auto flags = xruns ? portaudio::kInputOverflow | portaudio::kOutputUnderflow : 0;
        const auto next =
            AudioPort::callback(input_block_.data(), output_block_.data(), samples, nullptr, flags, port_);
        for (std::size_t c = 0; c < outputs_.size(); ++c) {
            auto* to = buffer(outputs_[c], samples);
            for (std::size_t i = 0; i < samples; ++i) to[i] = output_block_[i * outputs_.size() + c];
        }
        if (next != portaudio::kContinue) running_ = false;
    }

    // [server] What comes out is later by our latency than what goes in; seen from the other end likewise.
    void tell_latency(int mode) const noexcept {
        const auto capture = mode == jack::kCaptureLatency;
        auto told = range(capture ? inputs_ : outputs_, mode);
        told.min += latency_;
        told.max += latency_;
        for (auto* port : capture ? outputs_ : inputs_) jack_.port_set_latency_range(port, mode, &told);
    }

    jack::LatencyRange range(const Ports& ports, int mode) const noexcept {
        jack::LatencyRange whole{};
        for (auto* port : client_ ? ports : Ports{}) {
            jack::LatencyRange one{};
            jack_.port_get_latency_range(port, mode, &one);
            whole.min = port == ports.front() ? one.min : std::min(whole.min, one.min);
            whole.max = std::max(whole.max, one.max);
        }
        return whole;
    }

    float* buffer(jack::Port* port, std::uint32_t samples) const noexcept {
        return static_cast<float*>(jack_.port_get_buffer(port, samples));
    }

    void add_ports(Ports& ports, const std::string& name, unsigned long direction, std::size_t count) {
        for (std::size_t i = 1; i <= count; ++i) {
            const auto full = name + std::to_string(i);
            auto* port = jack_.port_register(client_, full.c_str(), jack::kAudio, direction, 0);
            if (!port) throw std::runtime_error("the JACK server has no room for " + name_ + ":" + full);
            ports.push_back(port);
        }
    }

    std::vector<std::string> ports_of(const std::string& client, unsigned long direction) const {
        const auto free = [this](const char** list) {
            jack_.free(list);
        };
        const std::unique_ptr<const char*, decltype(free)> list(
            jack_.get_ports(client_, nullptr, jack::kAudio, direction), free);
        std::vector<std::string> found;
        for (const auto* name = list.get(); name && *name; ++name)
            if (std::string(*name).starts_with(client + ":")) found.emplace_back(*name);
        if (found.empty()) throw std::runtime_error("the JACK client " + client + " is gone");
        return found;
    }

    void connect(const std::vector<std::string>& others, const Ports& ours, bool to_us) const {
        for (std::size_t i = 0; i < std::min(others.size(), ours.size()); ++i) {
            const auto* other = others[i].c_str();
            const auto* own = jack_.port_name(ours[i]);
            if (jack_.connect(client_, to_us ? other : own, to_us ? own : other))
                throw std::runtime_error("JACK cannot connect " + others[i] + " with " + own);
        }
    }

    const jack::Library& jack_;
    jack::Client* client_ = nullptr;
    std::string name_;
    std::uint32_t sample_rate_ = 0, period_ = 0, latency_ = 0;
    AudioPort* port_ = nullptr;
    Ports inputs_, outputs_;
    std::vector<float> input_block_, output_block_;  // (period, channels)
    std::atomic<bool> running_{false}, gone_{false};
    std::atomic<std::uint32_t> xruns_{0};
};

}  // namespace diffvs
