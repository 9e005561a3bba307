#pragma once
// The topic that is the metadata log, with one partition. Its name and its id are the same in every
// cluster (KIP-500).

#include <string_view>

#include "core/base/ids.h"

namespace klamm::metadata {

constexpr Uuid metadata_topic{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr std::string_view metadata_topic_name = "__cluster_metadata";

}  // namespace klamm::metadata
