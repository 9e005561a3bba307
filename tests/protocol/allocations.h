#pragma once
// What this test program asks the heap for. Its operator new is replaced, in a file of its own: a
// compiler that saw both ends of an allocation would call them mismatched.

#include <cstddef>

namespace klamm::protocol::test {

/// Bytes asked for since the program began.
std::size_t bytes_allocated();

}  // namespace klamm::protocol::test
