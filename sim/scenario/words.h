#pragma once
// The words of scenario files that name one of a few things, in the order of the values they mean.

#include <array>
#include <cstdint>
#include <string_view>

#include "core/base/maybe.h"

namespace klamm::sim {

using namespace std::string_view_literals;

/// Where a word stands in its list; its size if it does not.
template <std::size_t size>
constexpr std::size_t index_of(const std::array<std::string_view, size>& words,
                               std::string_view word) {
    std::size_t at = 0;
    while (at < size && words[at] != word) ++at;
    return at;
}

/// In the order of facts::Fact, with BrokerFencing twice; then what the world itself tells.
inline constexpr std::array fact_words{
    "appended"sv,
    "truncated"sv,
    "log_start_moved"sv,
    "opened"sv,
    "flushed"sv,
    "log_offline"sv,
    "leads"sv,
    "follows"sv,
    "watermark_advanced"sv,
    "isr_proposed"sv,
    "produce_answered"sv,
    "consumer_served"sv,
    "partition_changed"sv,
    "registered"sv,
    "fenced"sv,
    "unfenced"sv,
    "sent"sv,
    "send_returned"sv,
    "polled"sv,
    "poll_returned"sv,
    "latest_asked"sv,
    "latest_returned"sv,
    "corrupt_received"sv,
    "fetched"sv,
    "quorum_started"sv,
    "quorum_voted"sv,
    "quorum_leads"sv,
    "quorum_committed"sv,
    "decided"sv,
    "group_assigned"sv,
    "group_revoked"sv,
    "group_commits"sv,
    "group_commit_returned"sv,
    "group_offsets_asked"sv,
    "group_offsets_returned"sv,
    "started"sv,
    "ended"sv,
};

inline constexpr std::array truncate_words{"divergence"sv, "recovery"sv, "out_of_range"sv,
                                           "reset"sv, "failed_write"sv};
inline constexpr std::array log_words{"new"sv, "clean"sv, "recovered"sv};
inline constexpr std::array cause_words{
    "created"sv,           "isr_changed"sv,         "broker_fenced"sv, "broker_unfenced"sv,
    "broker_registered"sv, "controlled_shutdown"sv, "elected"sv,       "last_known"sv,
    "unclean"sv,           "by_administrator"sv,    "moved"sv,         "configuration"sv,
};
inline constexpr std::array outcome_words{"ok"sv, "failed"sv, "unknown"sv};
inline constexpr std::array answer_words{"drawn"sv, "none"sv, "all"sv};
/// In the order of DiskAim::File and DiskAim::Batch, without `any`.
inline constexpr std::array disk_file_words{
    "log"sv,           "index"sv,    "timeindex"sv,       "snapshot"sv,
    "leader_epochs"sv, "metadata"sv, "recovery_points"sv, "high_watermarks"sv,
};
inline constexpr std::array batch_words{"plain"sv,   "idempotent"sv, "compressed"sv,
                                        "control"sv, "first"sv,      "last"sv};
inline constexpr std::array batch_part_words{"header"sv, "leader_epoch"sv, "records"sv};
inline constexpr std::array api_words{
    "produce"sv,
    "fetch"sv,
    "list_offsets"sv,
    "metadata"sv,
    "api_versions"sv,
    "init_producer_id"sv,
    "offset_for_leader_epoch"sv,
    "alter_partition"sv,
    "broker_registration"sv,
    "broker_heartbeat"sv,
};
/// Their keys in Kafka's protocol, in the same order.
inline constexpr std::array<std::int16_t, api_words.size()> api_keys{0,  1,  2,  3,  18,
                                                                     22, 23, 56, 62, 63};
inline constexpr std::array point_words{"before_it_is_applied"sv, "after_it_was_applied"sv};
/// In the order of Site.
inline constexpr std::array site_words{
    "fetch_answered_short"sv, "follower_rests"sv, "produce_given_up"sv, "isr_shrinks_early"sv,
    "segment_rolled_early"sv, "heartbeat_late"sv, "stop_unmarked"sv,    "line_gives_up"sv,
    "partition_denied"sv,     "election_hasty"sv, "snapshot_early"sv,
};
static_assert(site_words.size() == site_count);
inline constexpr std::array timer_words{"short"sv, "default"sv};
inline constexpr std::array unsynced_words{"drawn"sv, "lost"sv, "torn"sv, "kept"sv};
inline constexpr std::array journal_words{"posix"sv, "ordered"sv};
inline constexpr std::array skew_words{"even"sv, "first"sv};
inline constexpr std::array acks_words{"0"sv, "1"sv, "all"sv};
inline constexpr std::array goal_words{"always"sv, "sometimes"sv, "reachable"sv};
inline constexpr std::array amount_words{"none"sv, "some"sv, "any"sv};

}  // namespace klamm::sim
