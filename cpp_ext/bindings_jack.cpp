// The JACK client.
#include <memory>
#include <string>

#include "bindings.h"
#include "diffvs/jack_client.h"

using namespace py::literals;

void bind_jack(py::module_& m) {
    using diffvs::JackClient;
    using Unlocked = py::call_guard<py::gil_scoped_release>;  // the server may wait for other clients of ours
    py::class_<JackClient>(m, "JackClient", "A client of a JACK server that plays an AudioPort.")
        .def(py::init<const std::string&>(), "name"_a, Unlocked(),
             "Joins the server that the environment names, or raises RuntimeError.")
        .def("start", &JackClient::start, py::keep_alive<1, 2>(), "port"_a, "source"_a, "sink"_a, Unlocked(),
             "Plays between two other clients, by name. Once; raises RuntimeError.")
        .def("close", &JackClient::close, Unlocked(), "Leaves the server, unless that is gone.")
        .def_property_readonly("name", &JackClient::name)
        .def_property_readonly("sample_rate", &JackClient::sample_rate)
        .def_property_readonly("period", &JackClient::period, "Samples of a block.")
        .def_property_readonly("running", &JackClient::running,
                               "False once the port has finished, the server is gone, or has another period.")
        .def_property_readonly("input_latency", &JackClient::input_latency, "Samples before our inputs.")
        .def_property_readonly("output_latency", &JackClient::output_latency, "Samples after our outputs.");
}
