// The streaming Fourier transform.
#include <complex>
#include <memory>
#include <string>
#include <vector>

#include "bindings.h"
#include "diffvs/streaming_stft.h"

using namespace py::literals;

namespace {

using Spectra = py::array_t<std::complex<float>, py::array::c_style>;  // (hops, channels, n_bins)

std::size_t hops_in(const Block& samples, const Spectra& spectra, const diffvs::StftSizes& sizes) {
    const auto count = samples_in(samples, sizes.channels);
    const auto hops = count / sizes.hop_length;
    if (count % sizes.hop_length != 0)
        throw py::value_error(std::to_string(count) + " samples given; whole hops of " +
                              std::to_string(sizes.hop_length) + " are needed");
    const auto size = [&](py::ssize_t axis) {
        return static_cast<std::size_t>(spectra.shape(axis));
    };
    if (spectra.ndim() != 3 || size(0) != hops || size(1) != sizes.channels || size(2) != sizes.n_bins())
        throw py::value_error("the spectra have shape " + shape_of(spectra) + "; " + std::to_string(count) +
                              " samples need (" + std::to_string(hops) + ", " +
                              std::to_string(sizes.channels) + ", " + std::to_string(sizes.n_bins()) + ")");
    return hops;
}

std::vector<float> window_from(const Block& window) {
    if (window.ndim() != 1)
        throw py::value_error("the window has shape " + shape_of(window) + "; it must have one axis");
    return {window.data(), window.data() + window.size()};
}

template <typename Stft, typename Class>
void bind_stft_sizes(Class& c) {
    c.def("reset", &Stft::reset, "As new, in place.")
        .def_property_readonly("n_fft", [](const Stft& stft) { return stft.sizes().n_fft; })
        .def_property_readonly("hop_length", [](const Stft& stft) { return stft.sizes().hop_length; })
        .def_property_readonly("channels", [](const Stft& stft) { return stft.sizes().channels; })
        .def_property_readonly("n_bins", [](const Stft& stft) { return stft.sizes().n_bins(); });
}

}  // namespace

void bind_stft(py::module_& m) {
    using diffvs::StftAnalysis, diffvs::StftSynthesis;
    py::class_<StftAnalysis> analysis(m, "StftAnalysis",
                                      "Short-time Fourier transform of a stream, whole hops at a time.");
    analysis
        .def(py::init(
                 [](std::size_t n_fft, std::size_t hop_length, std::size_t channels, const Block& window) {
                     return std::make_unique<StftAnalysis>(diffvs::StftSizes{n_fft, hop_length, channels},
                                                           window_from(window));
                 }),
             "n_fft"_a, "hop_length"_a, "channels"_a, "window"_a.noconvert())
        .def(
            "process",
            [](StftAnalysis& stft, const Block& samples, Spectra& spectra) {
                const auto hops = hops_in(samples, spectra, stft.sizes());
                const auto* from = samples.data();
                auto* to = spectra.mutable_data();
                py::gil_scoped_release release;
                stft.process(from, to, hops);
            },
            "samples"_a.noconvert(), "spectra"_a.noconvert(),
            "(k * hop_length, channels) float32 -> writes (k, channels, n_bins) complex64.");
    bind_stft_sizes<StftAnalysis>(analysis);

    py::class_<StftSynthesis> synthesis(
        m, "StftSynthesis",
        "Inverse of StftAnalysis by overlap-add of the end of each frame: as much as the synthesis window "
        "has values.");
    synthesis
        .def(py::init([](std::size_t n_fft, std::size_t hop_length, std::size_t channels,
                         const Block& analysis_window, const Block& synthesis_window) {
                 return std::make_unique<StftSynthesis>(diffvs::StftSizes{n_fft, hop_length, channels},
                                                        window_from(analysis_window),
                                                        window_from(synthesis_window));
             }),
             "n_fft"_a, "hop_length"_a, "channels"_a, "analysis_window"_a.noconvert(),
             "synthesis_window"_a.noconvert())
        .def(
            "process",
            [](StftSynthesis& stft, const Spectra& spectra, Block& samples) {
                const auto hops = hops_in(samples, spectra, stft.sizes());
                const auto* from = spectra.data();
                auto* to = samples.mutable_data();
                py::gil_scoped_release release;
                stft.process(from, to, hops);
            },
            "spectra"_a.noconvert(), "samples"_a.noconvert(),
            "(k, channels, n_bins) complex64 -> writes (k * hop_length, channels) float32, `latency` samples "
            "late.")
        .def_property_readonly("latency", &StftSynthesis::latency,
                               "Samples: values of the synthesis window minus hop_length.");
    bind_stft_sizes<StftSynthesis>(synthesis);
}
