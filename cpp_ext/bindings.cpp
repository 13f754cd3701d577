// With its neighbours bindings_*.cpp the only file that knows both Python and the real-time code.
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "diffvs/audio_port.h"
#include "diffvs/spsc_ring.h"

using namespace py::literals;

namespace {

// NaN timeouts and negative ones do not wait.
diffvs::Seconds seconds(double value) {
    return diffvs::Seconds{value > 0 ? value : 0.0};
}

constexpr double kHighestLevel = 4.0;  // 12 dB above what came in

float checked_level(double level) {
    if (!(level >= 0.0 && level <= kHighestLevel))
        throw py::value_error("a level of " + py::str(py::float_(level)).cast<std::string>() +
                              " was given; levels run from 0 to 4, and 1 is as it came");
    return static_cast<float>(level);
}

bool dry_from(const std::string& policy) {
    if (policy != "dry" && policy != "mute")
        throw py::value_error("on_late is \"" + policy + "\"; it must be \"dry\" or \"mute\"");
    return policy == "dry";
}

using Outputs = std::vector<std::pair<std::string, std::optional<std::size_t>>>;

diffvs::Bus bus_from(const std::string& name) {
    if (name == "mix") return diffvs::kMix;
    if (name == "vocals") return diffvs::kVocals;
    if (name == "accompaniment") return diffvs::kAccompaniment;
    if (name == "silence") return diffvs::kSilence;
    throw py::value_error("an output plays \"" + name +
                          "\"; it must be \"mix\", \"vocals\", \"accompaniment\" or \"silence\"");
}

// None of the two: channel by channel.
diffvs::Patch patch_from(std::size_t channels, const std::optional<Inputs>& inputs,
                         const std::optional<Outputs>& outputs) {
    Inputs heard;
    std::vector<diffvs::Outlet> played;
    for (std::size_t c = 0; c < channels; ++c) {
        heard.push_back(c);
        if (!outputs) played.push_back({diffvs::kMix, c});
    }
    if (outputs)
        for (const auto& [name, channel] : *outputs) played.push_back({bus_from(name), channel});
    return {channels, inputs.value_or(heard), played};
}

void bind_ring(py::module_& m) {
    using diffvs::SpscRing;
    py::class_<SpscRing>(m, "SpscRing", "Wait-free ring of audio for one producer and one consumer.")
        .def(py::init<std::size_t, std::size_t>(), "min_samples"_a, "channels"_a)
        .def(
            "write",
            [](SpscRing& ring, const Block& block) {
                return ring.write(block.data(), samples_in(block, ring.channels()));
            },
            "block"_a.noconvert(), "Copy samples in; return how many fitted. [producer]")
        .def(
            "read_into",
            [](SpscRing& ring, Block& block) {
                return ring.read(block.mutable_data(), samples_in(block, ring.channels()));
            },
            "block"_a.noconvert(),
            "Fill the front of `block`; return how many samples there were. [consumer]")
        .def_property_readonly("available", &SpscRing::available, "Samples waiting to be read. [any]")
        .def_property_readonly("capacity", &SpscRing::capacity, "Samples the ring can hold.")
        .def_property_readonly("channels", &SpscRing::channels, "Values per sample.");
}

void bind_stats(py::module_& m) {
    using diffvs::AudioStats;
    py::class_<AudioStats>(m, "AudioStats", "One snapshot of what the audio thread counted.")
        .def_readonly("blocks", &AudioStats::blocks)
        .def_readonly("samples", &AudioStats::samples)
        .def_readonly("late_samples", &AudioStats::late_samples)
        .def_readonly("late_events", &AudioStats::late_events)
        .def_readonly("dropped_samples", &AudioStats::dropped_samples)
        .def_readonly("input_overflows", &AudioStats::input_overflows)
        .def_readonly("output_underflows", &AudioStats::output_underflows)
        .def_readonly("resyncs", &AudioStats::resyncs)
        .def_readonly("largest_block", &AudioStats::largest_block)
        .def_readonly("peak_input", &AudioStats::peak_input)
        .def_readonly("peak_output", &AudioStats::peak_output)
        .def_readonly("peak_vocals", &AudioStats::peak_vocals)
        .def_readonly("device_latency_s", &AudioStats::device_latency_s)
        .def_readonly("position", &AudioStats::position)
        .def_readonly("finished", &AudioStats::finished);
}

using diffvs::AudioPort;
using PortClass = py::class_<AudioPort>;

void bind_audio_side(PortClass& port_class) {
    port_class
        .def_property_readonly(
            "callback_address",
            [](const AudioPort&) {
                diffvs::portaudio::StreamCallback* callback = &AudioPort::callback;
                return reinterpret_cast<std::uintptr_t>(callback);
            },
            "Address of a PaStreamCallback.")
        .def_property_readonly(
            "userdata_address", [](const AudioPort& port) { return reinterpret_cast<std::uintptr_t>(&port); },
            "What the callback wants as its userData; keep the port alive as long as the stream.")
        .def(
            "process",
            [](AudioPort& port, const Block& input, Block& output) {
                const auto samples = samples_in(input, port.patch().device_inputs());
                if (samples_in(output, port.patch().device_outputs()) != samples)
                    throw py::value_error("input and output have shapes " + shape_of(input) + " and " +
                                          shape_of(output) + "; they must have as many samples");
                const auto* from = input.data();
                auto* to = output.mutable_data();
                py::gil_scoped_release release;
                port.process(from, to, samples);
            },
            "input"_a.noconvert(), "output"_a.noconvert(), "What the callback does with one block. [audio]");
}

void bind_worker_side(PortClass& port_class) {
    port_class
        .def(
            "wait_mixture",
            [](const AudioPort& port, std::size_t samples, double timeout_s) {
                py::gil_scoped_release release;
                return port.wait_mixture(samples, seconds(timeout_s));
            },
            "samples"_a, "timeout_s"_a, "True as soon as that many samples can be read, else False. [worker]")
        .def(
            "read_mixture",
            [](AudioPort& port, Block& block) {
                return port.read_mixture(block.mutable_data(), samples_in(block, port.config().channels));
            },
            "block"_a.noconvert(), "Fill the front of `block`; return how many samples there were. [worker]")
        .def(
            "write_vocals",
            [](AudioPort& port, const Block& block) {
                return port.write_vocals(block.data(), samples_in(block, port.config().channels));
            },
            "block"_a.noconvert(), "Copy the next vocals in; return how many samples fitted. [worker]")
        .def(
            "resync",
            [](AudioPort& port, double timeout_s) {
                py::gil_scoped_release release;
                return port.resync(seconds(timeout_s));
            },
            "timeout_s"_a,
            "Start afresh at the next block; False: not answered yet, call again before reading or writing. "
            "[worker]");
}

void bind_controls(PortClass& port_class) {
    port_class.def("stats", &AudioPort::stats, "Counters and peaks; the peaks start anew. [any]")
        .def_property(
            "vocals_level", &AudioPort::vocals_level,
            [](AudioPort& port, double level) { port.set_vocals_level(checked_level(level)); },
            "0 to 1. [control]")
        .def_property(
            "accompaniment_level", &AudioPort::accompaniment_level,
            [](AudioPort& port, double level) { port.set_accompaniment_level(checked_level(level)); },
            "0 to 1. [control]")
        .def_property(
            "on_late", [](const AudioPort& port) { return port.dry_when_late() ? "dry" : "mute"; },
            [](AudioPort& port, const std::string& policy) { port.set_dry_when_late(dry_from(policy)); },
            "What plays when vocals are late: \"dry\" or \"mute\". [control]")
        .def_property(
            "bypass", &AudioPort::bypass, &AudioPort::set_bypass,
            "The mixture instead of vocals and accompaniment, at equal levels the original. [control]")
        .def_property("wait_for_worker", &AudioPort::wait_for_worker, &AudioPort::set_wait_for_worker,
                      "Whether the callback waits for its vocals. [control]")
        .def_property("stop_after", &AudioPort::stop_after, &AudioPort::set_stop_after,
                      "Position at which the callback ends the stream; 0 is never. [control]")
        .def_property_readonly("broken", &AudioPort::broken, "Input was lost: only dry until a resync. [any]")
        .def_property_readonly("channels", [](const AudioPort& port) { return port.config().channels; })
        .def_property_readonly("input_channels",
                               [](const AudioPort& port) { return port.patch().device_inputs(); })
        .def_property_readonly("output_channels",
                               [](const AudioPort& port) { return port.patch().device_outputs(); })
        .def_property_readonly("latency", [](const AudioPort& port) { return port.config().latency; });
}

void bind_port(py::module_& m) {
    PortClass port_class(m, "AudioPort",
                         "The audio thread's side of the engine: mixture out, vocals in, mixed by levels.");
    port_class.def(
        py::init([](std::size_t channels, std::size_t latency, std::size_t max_block,
                    std::size_t ring_samples, std::size_t ramp_samples, std::size_t fade_samples,
                    const std::optional<Inputs>& inputs, const std::optional<Outputs>& outputs) {
            diffvs::AudioPortConfig config{channels,     latency,      max_block,
                                           ring_samples, ramp_samples, fade_samples};
            config.checked();
            config.patch = patch_from(channels, inputs, outputs);
            return std::make_unique<AudioPort>(config);
        }),
        py::kw_only(), "channels"_a, "latency"_a, "max_block"_a, "ring_samples"_a, "ramp_samples"_a,
        "fade_samples"_a, "inputs"_a = py::none(), "outputs"_a = py::none(),
        "inputs: of each channel, the device's. outputs: of each of the device's channels, what plays there, "
        "and which channel of it, None for the mean of all. Channels count from 0.");
    bind_audio_side(port_class);
    bind_worker_side(port_class);
    bind_controls(port_class);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "Real-time primitives; the contracts are in the headers of cpp_ext/include/diffvs.";
    bind_ring(m);
    bind_stft(m);
    bind_stats(m);
    bind_port(m);
    bind_bridge(m);
    bind_jack(m);
}
