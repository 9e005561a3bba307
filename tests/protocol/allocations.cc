#include "tests/protocol/allocations.h"

#include <cstdlib>
#include <new>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define KLAMM_ADDRESS_SANITIZER
#include <sanitizer/allocator_interface.h>
#endif
#endif

namespace klamm::protocol::test {

namespace {
std::size_t allocated = 0;
}

std::size_t bytes_allocated() { return allocated; }

}  // namespace klamm::protocol::test

#ifdef KLAMM_ADDRESS_SANITIZER
// It has operators of its own, of which some would stay: then both ends of an allocation differ.
namespace {
void count(const volatile void*, std::size_t size) { klamm::protocol::test::allocated += size; }
void ignore(const volatile void*) {}
[[maybe_unused]] const int hooks = __sanitizer_install_malloc_and_free_hooks(&count, &ignore);
}  // namespace
#else
void* operator new(std::size_t size) {
    klamm::protocol::test::allocated += size;
    if (void* memory = std::malloc(size)) return memory;
    std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif
