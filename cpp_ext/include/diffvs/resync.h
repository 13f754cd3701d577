// The handshake by which worker and audio thread agree on a fresh start, without waiting for each other.
//
//     idle --request()--> requested --answer()--> answered --take()--> idle
//
// Each arrow has one owner, so plain loads and stores suffice.
//
// [worker] request(), answered(), take()
// [audio]  requested(), answer()
#pragma once

#include <atomic>
#include <cstdint>

namespace diffvs {

class Resync {
public:
    // release: the audio thread must find everything that the worker wrote before it asked.
    void request() noexcept { state_.store(kRequested, std::memory_order_release); }
    // acquire: pairs with the release in request().
    bool requested() const noexcept { return state_.load(std::memory_order_acquire) == kRequested; }

    // The stream goes on at this index of the mixture ring. release: publishes the index.
    void answer(std::uint64_t mixture_index) noexcept {
        mixture_index_ = mixture_index;
        state_.store(kAnswered, std::memory_order_release);
    }
    // acquire: pairs with the release in answer().
    bool answered() const noexcept { return state_.load(std::memory_order_acquire) == kAnswered; }

    // Only after answered(). relaxed: the audio thread reads nothing that hangs on idle.
    std::uint64_t take() noexcept {
        const auto index = mixture_index_;
        state_.store(kIdle, std::memory_order_relaxed);
        return index;
    }

private:
    enum State : int { kIdle, kRequested, kAnswered };
    std::atomic<int> state_{kIdle};
    std::uint64_t mixture_index_ = 0;  // guarded by state_
    static_assert(std::atomic<int>::is_always_lock_free, "a hidden lock may not reach the audio thread");
};

}  // namespace diffvs
