#pragma once
// The quorum-state file: Kafka's JSON on one line, version 0 (static voters) or 1 (KIP-853). It is
// what a replica must not forget: its epoch, whom it voted for, who leads. It is written to a
// temporary file, synced and renamed; nothing that rests on it leaves the node before.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/raft/types.h"

namespace klamm::raft {

/// The version of the file that goes with a kraft.version.
[[nodiscard]] constexpr int quorum_state_version(std::int16_t kraft_version) {
    return kraft_version >= 1 ? 1 : 0;
}

/// The file's text. Version 0 keeps no directory, and lists `voters`, which only people read.
[[nodiscard]] std::string encode_quorum_state(const ElectionState& state, int version,
                                              const std::vector<BrokerId>& voters);

/// The reverse, for both versions. Failure::invalid when a field is missing or of another type,
/// Failure::unsupported for a version above 1.
[[nodiscard]] Result<ElectionState> decode_quorum_state(std::string_view text);

}  // namespace klamm::raft
