#include "tests/protocol/allocations.h"

#include <cstdlib>
#include <new>

namespace klamm::protocol::test {

namespace {
std::size_t allocated = 0;
}

std::size_t bytes_allocated() { return allocated; }

}  // namespace klamm::protocol::test

void* operator new(std::size_t size) {
    klamm::protocol::test::allocated += size;
    if (void* memory = std::malloc(size)) return memory;
    std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
