// Every sample arrives once and in order, whatever the block sizes. Most telling under ThreadSanitizer.
#include <algorithm>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "diffvs/spsc_ring.h"

namespace {

constexpr std::size_t kChannels = 2, kTotal = 2'000'000;

float value_at(std::size_t index) {
    return static_cast<float>(index % 16'000'000);
}  // exact in a float

void produce(diffvs::SpscRing& ring) {
    std::mt19937 random(1);
    std::vector<float> block(700 * kChannels);
    for (std::size_t sent = 0; sent < kTotal;) {
        const auto want = std::min<std::size_t>(random() % 700 + 1, kTotal - sent);
        for (std::size_t i = 0; i < want * kChannels; ++i) block[i] = value_at(sent * kChannels + i);
        for (std::size_t done = 0; done < want;) {
            const auto fitted = ring.write(block.data() + done * kChannels, want - done);
            if (fitted == 0) std::this_thread::yield();  // on one core, spinning would keep the reader away
            done += fitted;
        }
        sent += want;
    }
}

}  // namespace

int main() {
    diffvs::SpscRing ring(1000, kChannels);
    std::thread producer(produce, std::ref(ring));
    std::mt19937 random(2);
    std::vector<float> block(900 * kChannels);
    for (std::size_t got = 0; got < kTotal;) {
        if (random() % 50 == 0) {
            got += ring.discard(random() % 100);
            continue;
        }
        CHECK(ring.available() <= ring.capacity());
        const auto count = ring.read(block.data(), random() % 900 + 1);
        if (count == 0) std::this_thread::yield();
        for (std::size_t i = 0; i < count * kChannels; ++i) CHECK(block[i] == value_at(got * kChannels + i));
        got += count;
    }
    producer.join();
    CHECK(ring.read_total() == kTotal && ring.written_total() == kTotal && ring.available() == 0);
}
