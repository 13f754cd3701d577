// A waiting callback: with a dead worker it waits once, not block after block, and again when the worker is
// back; and it can be let go, also by a worker that wants a fresh start.
//
// If one of these were not so, this would take minutes and run into ctest's time limit.
#include <functional>
#include <thread>
#include <vector>

#include "check.h"
#include "diffvs/audio_port.h"

namespace {

constexpr std::size_t kSamples = 64;

class Rig {
public:
    explicit Rig(diffvs::Seconds patience) : port({1, 0, kSamples, 100 * kSamples, 1, 1, patience}) {
        port.set_accompaniment_level(0.0f);
        port.set_wait_for_worker(true);
    }
    void blocks(int count) {
        for (int i = 0; i < count; ++i) port.process(block.data(), output.data(), kSamples);
    }

    diffvs::AudioPort port;
    std::vector<float> block = std::vector<float>(kSamples, 0.5f), output = block;
};

void work(diffvs::AudioPort& port, int blocks) {
    std::vector<float> mixture(kSamples);
    for (int i = 0; i < blocks; ++i) {
        while (!port.wait_mixture(kSamples, diffvs::Seconds{1})) {
        }
        CHECK(port.read_mixture(mixture.data(), kSamples) == kSamples);
        std::this_thread::sleep_for(diffvs::Seconds{0.001});
        CHECK(port.write_vocals(mixture.data(), kSamples) == kSamples);
    }
}

void a_dead_worker_is_waited_for_once() {
    Rig rig(diffvs::Seconds{0.5});
    rig.blocks(1000);
    CHECK(rig.port.broken());
    CHECK(rig.port.stats().late_samples == 1000 * kSamples);

    CHECK(!rig.port.resync(diffvs::Seconds{0}));
    rig.port.process(rig.block.data(), rig.output.data(), 0);  // answers
    CHECK(rig.port.resync(diffvs::Seconds{0}));
    std::thread worker(work, std::ref(rig.port), 100);
    rig.blocks(100);
    worker.join();
    CHECK(rig.port.stats().late_samples == 1000 * kSamples);
}

void it_can_be_let_go() {
    Rig rig(diffvs::Seconds{3600});
    std::thread audio([&] { rig.blocks(1); });
    CHECK(rig.port.wait_mixture(kSamples, diffvs::Seconds{10}));
    CHECK(rig.port.stats().blocks == 0);
    rig.port.set_wait_for_worker(false);
    audio.join();
    CHECK(rig.port.stats().late_samples == kSamples);
}

void a_resync_frees_it() {
    Rig rig(diffvs::Seconds{3600});
    std::thread audio([&] { rig.blocks(2); });  // the second one answers
    CHECK(rig.port.wait_mixture(kSamples, diffvs::Seconds{10}));
    while (!rig.port.resync(diffvs::Seconds{1})) {
    }
    work(rig.port, 1);
    audio.join();
    CHECK(rig.port.stats().late_samples == kSamples);
}

}  // namespace

int main() {
    a_dead_worker_is_waited_for_once();
    it_can_be_let_go();
    a_resync_frees_it();
}
