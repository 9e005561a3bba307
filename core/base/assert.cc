#include "core/base/assert.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace klamm {

namespace {
// The one process-wide hook: an assertion must be able to fire where no world is in reach.
std::atomic<AssertionHandler> installed_handler{nullptr};
}  // namespace

AssertionHandler install_assertion_handler(AssertionHandler handler) {
    return installed_handler.exchange(handler);
}

void assertion_failed(const char* condition, const char* file, int line) {
    const AssertionPlace place{condition, file, line};
    if (AssertionHandler handler = installed_handler.load()) handler(place);
    std::fprintf(stderr, "klamm: assertion failed: %s (%s:%d)\n", condition, file, line);
    std::abort();
}

}  // namespace klamm
