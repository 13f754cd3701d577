// Nothing on the audio thread allocates or frees, and neither does the STFT; and the counter notices if it
// does.
//
// With glibc every malloc of the process is counted, elsewhere every operator new.
#include <complex>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "bridge_paths.h"
#include "check.h"
#include "diffvs/streaming_stft.h"
#include "port_paths.h"

namespace {

thread_local bool counting = false;
thread_local int allocations = 0;

void note() noexcept {
    if (counting) ++allocations;
}

}  // namespace

#if defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
    return note(), __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    return note(), __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
    return note(), __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return note(), __libc_memalign(alignment, size);
}
void free(void* old) {
    note(), __libc_free(old);
}
}
#else
void* operator new(std::size_t size) {
    note();
    if (auto* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    note(), std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    note(), std::free(memory);
}
#endif

namespace {

template <typename Action>
int allocations_in(Action action) {
    allocations = 0;
    counting = true;
    action();
    counting = false;
    return allocations;
}

void the_counter_notices() {
    std::unique_ptr<int> kept;  // outlives the action, so that no compiler leaves it out
    CHECK(allocations_in([&] { kept = std::make_unique<int>(1); }) > 0);
    CHECK(allocations_in([&] { kept.reset(); }) > 0);
    std::vector<float> grown;
    CHECK(allocations_in([&] { grown.resize(1000); }) > 0);
#if defined(__GLIBC__)
    void* memory = nullptr;
    CHECK(allocations_in([&] { memory = std::malloc(100); }) == 1);
    CHECK(allocations_in([&] { memory = std::realloc(memory, 1000); }) == 1);
    CHECK(allocations_in([&] { std::free(memory); }) == 1);
    struct alignas(256) Wide {
        char bytes[256];
    };
    std::unique_ptr<Wide> wide;
    CHECK(allocations_in([&] { wide = std::make_unique<Wide>(); }) > 0);
#endif
    CHECK(allocations_in([] {}) == 0);
}

void the_port_does_not_allocate() {
    const auto watch = [](auto callback) {
        CHECK(allocations_in(callback) == 0);
    };
    PortPaths().run(watch);
    PortPaths::routed().run(watch);
}

void the_bridge_does_not_allocate() {
    const auto watch = [](auto callback) {
        CHECK(allocations_in(callback) == 0);
    };
    BridgePaths paths;
    paths.run(watch);
    paths.call(watch);
}

void the_stft_does_not_allocate(std::size_t n_fft) {
    const diffvs::StftSizes sizes{n_fft, n_fft / 2, 2};
    const std::vector<float> window(n_fft, 1.0f);
    diffvs::StftAnalysis analysis(sizes, window);
    diffvs::StftSynthesis synthesis(sizes, window, window);
    std::vector<float> samples(3 * sizes.hop_length * sizes.channels, 0.5f);
    std::vector<std::complex<float>> spectra(3 * sizes.n_bins() * sizes.channels);
    CHECK(allocations_in([&] {
              analysis.process(samples.data(), spectra.data(), 3);
              synthesis.process(spectra.data(), samples.data(), 3);
              analysis.reset();
              synthesis.reset();
          }) == 0);
}

}  // namespace

int main() {
    the_counter_notices();
    the_port_does_not_allocate();
    the_bridge_does_not_allocate();
    for (const std::size_t n_fft : {4u, 6u, 10u, 960u, 2048u, 4096u}) the_stft_does_not_allocate(n_fft);
}
