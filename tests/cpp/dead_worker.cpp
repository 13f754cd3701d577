// A waiting callback waits for a dead worker once, not block after block, and waits again when it is back.
//
// If it waited each time, this would take minutes and run into ctest's time limit.
#include <thread>
#include <vector>

#include "check.h"
#include "diffvs/audio_port.h"

int main() {
    constexpr std::size_t samples = 64;
    diffvs::AudioPort port({1, 0, samples, 100 * samples, 1, 1, diffvs::Seconds{0.5}});
    port.set_accompaniment_level(0.0f);
    port.set_wait_for_worker(true);
    std::vector<float> block(samples, 0.5f), output(samples);

    for (int i = 0; i < 1000; ++i) port.process(block.data(), output.data(), samples);
    CHECK(port.broken());
    CHECK(port.stats().late_samples == 1000 * samples);

    CHECK(!port.resync(diffvs::Seconds{0}));
    port.process(block.data(), output.data(), 0);  // answers
    CHECK(port.resync(diffvs::Seconds{0}));
    std::thread worker([&] {
        std::vector<float> mixture(samples);
        for (int i = 0; i < 100; ++i) {
            while (!port.wait_mixture(samples, diffvs::Seconds{1})) {
            }
            CHECK(port.read_mixture(mixture.data(), samples) == samples);
            std::this_thread::sleep_for(diffvs::Seconds{0.001});
            CHECK(port.write_vocals(mixture.data(), samples) == samples);
        }
    });
    for (int i = 0; i < 100; ++i) port.process(block.data(), output.data(), samples);
    worker.join();
    CHECK(port.stats().late_samples == 1000 * samples);
}
