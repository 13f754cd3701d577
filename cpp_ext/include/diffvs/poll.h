// Waiting without being woken: the audio thread must not signal, so those who wait look again and again.
//
// [worker] [control] and, only where the user asked the callback to wait, [audio].
#pragma once

#include <chrono>
#include <thread>

namespace diffvs {

using Seconds = std::chrono::duration<double>;

// Short beside a hop (10 to 25 ms), and 1 % of a core.
inline constexpr Seconds kPollInterval{0.0005};

// Returns true as soon as ready() is, false when it is not after `timeout`. A timeout of 0 looks once
// and leaves the kernel alone.
template <typename Ready>
bool poll(Ready ready, Seconds timeout) noexcept {
    if (timeout <= Seconds{0}) return ready();
    const auto start = std::chrono::steady_clock::now();
    while (!ready()) {
        if (std::chrono::steady_clock::now() - start >= timeout) return false;
        std::this_thread::sleep_for(kPollInterval);
    }
    return true;
}

}  // namespace diffvs
