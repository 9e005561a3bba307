#pragma once
// Why a log is out of service, as a value.

#include <cstdint>
#include <string>

#include "core/base/ids.h"
#include "core/base/result.h"

namespace klamm::storage {

/// Why a log went offline. `position` and `offset` are those of the first bad batch, or of where
/// the failing write would have gone.
struct OfflineReason {
    Error error;
    std::string file;
    std::uint64_t position = 0;
    Offset offset = no_offset;
    bool disk_failed = false;  // the whole directory is suspect, not these bytes alone
};

}  // namespace klamm::storage
