#pragma once
// Errors of the operating system as the seam's failures. The mapping is the one place where errno
// is looked at by kind; the text keeps what the system said, for a person.

#include <string_view>

#include "core/base/result.h"

namespace klamm::runtime {

/// The failure that `number` (an errno) means to a node.
Failure failure_from_errno(int number);

/// That failure, with a sentence "<what> '<path>': <what the system says>".
Error error_from_errno(int number, std::string_view what, std::string_view path);

}  // namespace klamm::runtime
