// The part of JACK's C interface that we use, as its header jack/jack.h (API 1) documents it.
//
// Declared again here, and its library loaded when it is first needed, so that neither is wanted where
// nobody has JACK. PipeWire brings a library of the same name. JACK's "frame" is our sample.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace diffvs::jack {

struct Client;
struct Port;
struct LatencyRange {
    std::uint32_t min, max;
};

inline constexpr int kNoStartServer = 0x01;
inline constexpr unsigned long kIsInput = 0x1, kIsOutput = 0x2;
inline constexpr int kCaptureLatency = 0, kPlaybackLatency = 1;
inline constexpr const char* kAudio = "32 bit float mono audio";

using OnProcess = int(std::uint32_t samples, void* user);
using OnXrun = int(void* user);
using OnShutdown = void(void* user);
using OnLatency = void(int mode, void* user);

// The functions of the library. Loaded once, and never unloaded: its threads may outlive every client.
struct Library {
    Client* (*client_open)(const char* name, int options, int* status, ...);
    int (*client_close)(Client*);
    char* (*get_client_name)(Client*);
    std::uint32_t (*get_sample_rate)(Client*);
    std::uint32_t (*get_buffer_size)(Client*);
    int (*activate)(Client*);
    int (*deactivate)(Client*);
    int (*set_process_callback)(Client*, OnProcess*, void*);
    int (*set_xrun_callback)(Client*, OnXrun*, void*);
    int (*set_latency_callback)(Client*, OnLatency*, void*);
    void (*on_shutdown)(Client*, OnShutdown*, void*);
    Port* (*port_register)(Client*, const char* name, const char* type, unsigned long flags, unsigned long);
    const char* (*port_name)(const Port*);
    void* (*port_get_buffer)(Port*, std::uint32_t samples);
    void (*port_get_latency_range)(Port*, int mode, LatencyRange*);
    void (*port_set_latency_range)(Port*, int mode, LatencyRange*);
    const char** (*get_ports)(Client*, const char* name, const char* type, unsigned long flags);
    int (*connect)(Client*, const char* source, const char* sink);
    void (*free)(void*);

    // Throws std::runtime_error where there is no JACK.
    static const Library& get() {
        static const Library library;
        return library;
    }

private:
    Library() {
        find(client_open, "jack_client_open");
        find(client_close, "jack_client_close");
        find(get_client_name, "jack_get_client_name");
        find(get_sample_rate, "jack_get_sample_rate");
        find(get_buffer_size, "jack_get_buffer_size");
        find(activate, "jack_activate");
        find(deactivate, "jack_deactivate");
        find(set_process_callback, "jack_set_process_callback");
        find(set_xrun_callback, "jack_set_xrun_callback");
        find(set_latency_callback, "jack_set_latency_callback");
        find(on_shutdown, "jack_on_shutdown");
        find(port_register, "jack_port_register");
        find(port_name, "jack_port_name");
        find(port_get_buffer, "jack_port_get_buffer");
        find(port_get_latency_range, "jack_port_get_latency_range");
        find(port_set_latency_range, "jack_port_set_latency_range");
        find(get_ports, "jack_get_ports");
        find(connect, "jack_connect");
        find(free, "jack_free");
    }

    template <typename Function>
    void find(Function& function, const char* name) {
        function = reinterpret_cast<Function>(symbol(name));
        if (!function) throw std::runtime_error(std::string("JACK's library is missing, or has no ") + name);
    }

#ifdef _WIN32
    static FARPROC symbol(const char* name) {
        static const auto library = LoadLibraryA("libjack64.dll");
        return library ? GetProcAddress(library, name) : nullptr;
    }
#else
    static void* symbol(const char* name) {
#ifdef __APPLE__
        static const auto library = dlopen("libjack.0.dylib", RTLD_LAZY);
#else
        static const auto library = dlopen("libjack.so.0", RTLD_LAZY);
#endif
        return library ? dlsym(library, name) : nullptr;
    }
#endif
};

}  // namespace diffvs::jack
