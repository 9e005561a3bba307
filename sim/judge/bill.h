#pragma once
// The bill (CONTRACT.md): what was promised and what became of it. Each entry carries its evidence,
// so that an outside program can recompute the sums from the trace.

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "sim/judge/damage.h"

namespace klamm::sim {

/// Why a leader of a later epoch was without a promised batch.
enum class Rule : std::uint8_t {
    weak_promise,  // O1: acks=1, never below the high watermark
    unclean,       // O2: unclean election, from the new leader's end on
    last_known,    // O3: last known leader elected
    sole_damaged,  // O4: the only ISR member came back short through damage
    forbidden,     // O5: anything else
    count_,
};
constexpr std::size_t rule_count = static_cast<std::size_t>(Rule::count_);

/// "O1" … "O5".
const char* to_string(Rule rule);

enum class PromiseKind : std::uint8_t { none, weak, acks_all, consumer };

/// One promised batch that is lost, with what made it so.
struct Loss {
    TopicPartition partition;
    LeaderEpoch epoch;  // of the batch; with base offset and crc its identity
    Offset base_offset;
    Offset last_offset;
    std::uint32_t crc = 0;
    PromiseKind promise = PromiseKind::none;
    Instant promised;  // when
    BrokerId promised_by = no_broker;
    Rule rule = Rule::forbidden;
    bool avoidable = false;  // O2 to O4: some replica had it, good, at that moment
    Instant lost;            // when the leader without it took up its epoch
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch;
    std::int64_t metadata_offset = -1;  // of the election's record; -1 when none was seen
    FaultId fault = fault_none;  // the latest fault that cost a replica its copy or its place
    Instant fault_time;
    BrokerId fault_node = no_broker;

    [[nodiscard]] std::int64_t records() const { return last_offset - base_offset + 1; }
    [[nodiscard]] bool permitted() const { return rule != Rule::forbidden; }
};

struct Bill {
    std::int64_t records_promised = 0;  // strong promises, each record once
    std::int64_t records_weak = 0;      // weak promises that never became strong
    std::int64_t records_ended = 0;     // whose promise ended lawfully
    std::int64_t records_stranded = 0;  // at the end of the run: no good candidate, yet not lost
    std::array<std::int64_t, rule_count> records_lost{};       // by rule, avoidable ones included
    std::array<std::int64_t, rule_count> records_avoidable{};  // by rule
    std::int64_t forbidden_events = 0;  // red strandings, erasures and overrides
    std::vector<Loss> losses;

    [[nodiscard]] std::int64_t records_permitted() const;  // O1 to O4
    [[nodiscard]] std::int64_t records_forbidden() const {
        return records_lost[static_cast<std::size_t>(Rule::forbidden)];
    }
};

/// "offset 41 of trial-0 was acknowledged with acks=all at 12.304 s and is gone at 15.010 s", then
/// the rule and its evidence. `topic` is the name to print.
std::string to_sentence(const Loss& loss, const std::string& topic);

/// The bill as a table of lines and one sentence for each loss, at most `losses_max` of them.
std::string to_text(const Bill& bill, const std::string& topic, std::size_t losses_max = 20);

nlohmann::json to_json(const Bill& bill);

}  // namespace klamm::sim
