// The bridge between two clocks, and its parts, which tests take to pieces.
#include <cmath>
#include <cstdint>
#include <memory>

#include "bindings.h"
#include "diffvs/clock_bridge.h"

using namespace py::literals;

namespace {

void bind_kernel(py::module_& m) {
    using diffvs::SincKernel;
    using Places = py::array_t<double, py::array::c_style>;
    py::class_<SincKernel>(m, "SincKernel", "A signal between its samples.")
        .def(py::init([](double step) {
                 if (!(step > 0 && step <= 64)) throw py::value_error("step must be above 0 and at most 64");
                 return std::make_unique<SincKernel>(step);
             }),
             "step"_a, "step: samples of the input per sample of the output.")
        .def_property_readonly("half", &SincKernel::half, "Samples needed to either side.")
        .def(
            "at",
            [](SincKernel& kernel, const Block& input, const Places& places, Block& output) {
                const auto channels = static_cast<std::size_t>(input.ndim() == 2 ? input.shape(1) : 0);
                const auto samples = samples_in(input, channels);
                const auto count = static_cast<std::size_t>(places.size());
                if (samples_in(output, channels) != count)
                    throw py::value_error("the output has shape " + shape_of(output) + "; it must be (" +
                                          std::to_string(count) + ", " + std::to_string(channels) + ")");
                const auto half = static_cast<double>(kernel.half());
                for (std::size_t i = 0; i < count; ++i) {
                    const auto place = places.data()[i];
                    const auto whole = std::floor(place);
                    if (!(whole - half + 1 >= 0 && whole + half < static_cast<double>(samples)))
                        throw py::value_error("there is nothing around " + std::to_string(place));
                    const auto from = static_cast<std::size_t>(whole - half + 1);
                    kernel.interpolate(input.data() + from * channels, place - whole, channels,
                                       output.mutable_data() + i * channels);
                }
            },
            "input"_a.noconvert(), "places"_a.noconvert(), "output"_a.noconvert(),
            "(samples, channels) at (n,) places -> writes (n, channels).");
}

void bind_control(py::module_& m) {
    using diffvs::DriftControl, diffvs::Reading;
    py::class_<Reading>(m, "Reading", "What one block of the reader takes from the writer's stream.")
        .def_readonly("plays", &Reading::plays)
        .def_readonly("jumps", &Reading::jumps)
        .def_readonly("first", &Reading::first)
        .def_readonly("fraction", &Reading::fraction)
        .def_readonly("begin", &Reading::begin)
        .def_readonly("end", &Reading::end);
    py::class_<DriftControl>(m, "DriftControl", "Where to read a stream whose writer has another clock.")
        .def(py::init<double, double, double>(), py::kw_only(), "writer_rate"_a, "reader_rate"_a, "target"_a)
        .def(
            "written",
            [](DriftControl& control, double time_s, std::uint64_t position) {
                control.written({time_s, position});
            },
            "time_s"_a, "position"_a, "So many samples had been written by then.")
        .def("read", &DriftControl::read, "time_s"_a, "samples"_a, "A block is wanted now.")
        .def_property_readonly("drift", &DriftControl::drift)
        .def_property_readonly("delay_s", &DriftControl::delay_s)
        .def_property_readonly("jumps", &DriftControl::jumps);
}

using diffvs::ClockBridge;
using BridgeClass = py::class_<ClockBridge>;

void bind_stats(py::module_& m) {
    using diffvs::BridgeStats;
    py::class_<BridgeStats>(m, "BridgeStats", "One snapshot of what the bridge counted.")
        .def_readonly("playing", &BridgeStats::playing)
        .def_readonly("drift", &BridgeStats::drift)
        .def_readonly("delay_s", &BridgeStats::delay_s)
        .def_readonly("gaps", &BridgeStats::gaps)
        .def_readonly("gap_samples", &BridgeStats::gap_samples)
        .def_readonly("jumps", &BridgeStats::jumps)
        .def_readonly("input_overflows", &BridgeStats::input_overflows)
        .def_readonly("input_latency_s", &BridgeStats::input_latency_s)
        .def_readonly("output_latency_s", &BridgeStats::output_latency_s);
}

void bind_streams(BridgeClass& bridge_class) {
    bridge_class
        .def(
            "write",
            [](ClockBridge& bridge, const Block& block, double time_s) {
                const auto samples = samples_in(block, bridge.config().patch.device_inputs());
                const auto* from = block.data();
                py::gil_scoped_release release;
                bridge.write(from, samples, time_s);
            },
            "block"_a.noconvert(), "time_s"_a, "What the input's callback does. [input audio]")
        .def(
            "read",
            [](ClockBridge& bridge, Block& block, double time_s) {
                const auto samples = samples_in(block, bridge.config().patch.channels());
                if (samples > bridge.config().output_block)
                    throw py::value_error("a block may have up to " +
                                          std::to_string(bridge.config().output_block) + " samples");
                auto* to = block.mutable_data();
                py::gil_scoped_release release;
                bridge.read(to, samples, time_s);
            },
            "block"_a.noconvert(), "time_s"_a, "What the output's callback gives the engine. [output audio]")
        .def_property_readonly("input_callback_address",
                               [](const ClockBridge&) {
                                   diffvs::portaudio::StreamCallback* callback = &ClockBridge::input_callback;
                                   return reinterpret_cast<std::uintptr_t>(callback);
                               })
        .def_property_readonly("output_callback_address",
                               [](const ClockBridge&) {
                                   diffvs::portaudio::StreamCallback* callback =
                                       &ClockBridge::output_callback;
                                   return reinterpret_cast<std::uintptr_t>(callback);
                               })
        .def_property_readonly(
            "userdata_address",
            [](const ClockBridge& bridge) { return reinterpret_cast<std::uintptr_t>(&bridge); },
            "What both callbacks want as their userData; keep the bridge alive as long as the streams.");
}

}  // namespace

void bind_bridge(py::module_& m) {
    bind_kernel(m);
    bind_control(m);
    bind_stats(m);
    BridgeClass bridge_class(m, "ClockBridge", "An input and an output with clocks of their own.");
    bridge_class
        .def(py::init([](diffvs::AudioPort& port, double input_rate, double output_rate,
                         std::size_t input_block, std::size_t output_block, double margin_s,
                         std::size_t fade_samples, const Inputs& inputs) {
                 if (!(input_rate > 0 && output_rate > 0 && input_rate / output_rate <= 64 && margin_s >= 0))
                     throw py::value_error(
                         "ClockBridge: rates must be above 0 and no more than 64 times one another, and "
                         "margin_s at least 0");
                 if (!input_block || !output_block || !fade_samples)
                     throw py::value_error(
                         "ClockBridge: input_block, output_block and fade_samples must be at least 1");
                 const auto channels = port.patch().device_inputs();
                 std::vector<diffvs::Outlet> outlets(1);
                 return std::make_unique<ClockBridge>(
                     port,
                     diffvs::ClockBridgeConfig{input_rate, output_rate, input_block, output_block, margin_s,
                                               fade_samples, diffvs::Patch(channels, inputs, outlets)});
             }),
             py::keep_alive<1, 2>(), "port"_a, py::kw_only(), "input_rate"_a, "output_rate"_a,
             "input_block"_a, "output_block"_a, "margin_s"_a, "fade_samples"_a, "inputs"_a,
             "inputs: of each of the port's inputs, the channel of the input device; they count from 0.")
        .def("stats", &ClockBridge::stats, "Counters and the state of the clocks. [any]")
        .def_property_readonly("target", &ClockBridge::target,
                               "Samples of the input between its callback and the engine, block included.")
        .def_property_readonly("input_channels", [](const ClockBridge& bridge) {
            return bridge.config().patch.device_inputs();
        });
    bind_streams(bridge_class);
}
