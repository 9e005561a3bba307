#pragma once
// Assertions for what only a bug can cause. They stay on in every build. In the real world a failed
// assertion prints its place and aborts; the simulator installs a handler that ends the simulated
// world with a report instead. Anything that a peer, a client or a disk can cause is never an
// assertion.

namespace klamm {

struct AssertionPlace {
    const char* condition;
    const char* file;
    int line;
};

/// What to do when an assertion fails. A handler must not return (it may throw, in the simulator
/// only).
using AssertionHandler = void (*)(const AssertionPlace&);

/// Installs `handler` for this process and returns the previous one; nullptr restores
/// print-and-abort.
AssertionHandler install_assertion_handler(AssertionHandler handler);

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace klamm

#define KLAMM_ASSERT(condition)                                        \
    do {                                                               \
        if (!(condition)) [[unlikely]]                                 \
            ::klamm::assertion_failed(#condition, __FILE__, __LINE__); \
    } while (false)

#define KLAMM_UNREACHABLE() ::klamm::assertion_failed("unreachable", __FILE__, __LINE__)
