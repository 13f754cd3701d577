// What the files of the Python module share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <string>
#include <vector>

namespace py = pybind11;

// No forcecast: a float64 or strided array is refused, not silently copied.
using Block = py::array_t<float, py::array::c_style>;  // (samples, channels)

inline std::string shape_of(const py::array& array) {
    return py::str(array.attr("shape")).cast<std::string>();
}

inline std::size_t samples_in(const Block& block, std::size_t channels) {
    if (block.ndim() != 2 || static_cast<std::size_t>(block.shape(1)) != channels)
        throw py::value_error("the block has shape " + shape_of(block) + "; it must be (samples, " +
                              std::to_string(channels) + ")");
    return static_cast<std::size_t>(block.shape(0));
}

using Inputs = std::vector<std::size_t>;  // of each channel, the device's

void bind_stft(py::module_& m);
void bind_bridge(py::module_& m);
void bind_jack(py::module_& m);
