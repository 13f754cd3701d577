// The callback never enters the kernel, so it cannot lock, sleep, log or grow the heap.
//
// A child process takes the callback through all its paths in seccomp's strict mode, where the kernel kills
// it for any call but read, write and exit. A second child shows that the kernel notices.
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "bridge_paths.h"
#include "port_paths.h"

namespace {

constexpr int kSkipped = 77;  // what ctest is told to take for "not run"

template <typename Action>
int wait_status_of(Action action) {
    const auto child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        action();
        syscall(SYS_exit, 0);  // _exit() would call exit_group, which is not allowed
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

void enter_strict_mode() {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) syscall(SYS_exit, kSkipped);
}

bool passed(int status) {
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main() {
    const auto allowed = wait_status_of([] { enter_strict_mode(); });
    if (WIFEXITED(allowed) && WEXITSTATUS(allowed) == kSkipped) return kSkipped;
    CHECK(passed(allowed));

    const auto caught = wait_status_of([] {
        enter_strict_mode();
        syscall(SYS_getpid);
    });
    CHECK(WIFSIGNALED(caught) && WTERMSIG(caught) == SIGKILL);

    // Out here: their end may hand memory back to the kernel.
    PortPaths straight, routed = PortPaths::routed();
    for (auto* paths : {&straight, &routed})
        CHECK(passed(wait_status_of([&] {
            enter_strict_mode();
            paths->run([](auto callback) { callback(); });
        })));

    // Where the clock is read without the kernel, as it is nearly everywhere, the callbacks make no call.
    const auto clock_is_free = passed(wait_status_of([] {
        enter_strict_mode();
        (void)std::chrono::steady_clock::now();
    }));
    BridgePaths bridge;
    CHECK(passed(wait_status_of([&] {
        enter_strict_mode();
        bridge.run([](auto callback) { callback(); });
        if (clock_is_free) bridge.call([](auto callback) { callback(); });
    })));
}
