// Fields are in the order in which Kafka's converter writes them; a reader takes them in any.
#include "core/raft/quorum_state.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace klamm::raft {

std::string encode_quorum_state(const ElectionState& state, int version,
                                const std::vector<BrokerId>& voters) {
    KLAMM_ASSERT(version == 0 || version == 1);
    nlohmann::ordered_json out;
    if (version == 0) out["clusterId"] = "";
    out["leaderId"] = state.leader.value;
    out["leaderEpoch"] = state.epoch.value;
    out["votedId"] = state.voted.has_value() ? state.voted->id.value : -1;
    if (version == 1)
        out["votedDirectoryId"] =
            to_string(state.voted.has_value() ? state.voted->directory : Uuid());
    if (version == 0) {
        out["appliedOffset"] = 0;
        out["currentVoters"] = nlohmann::ordered_json::array();
        for (const BrokerId voter : voters)
            out["currentVoters"].push_back({{"voterId", voter.value}});
    }
    out["data_version"] = version;
    return out.dump();
}

Result<ElectionState> decode_quorum_state(std::string_view text) {
    const auto invalid = [](const char* why) {
        return Error{Failure::invalid, std::string("quorum-state: ") + why};
    };
    const auto in = nlohmann::json::parse(text, nullptr, false);
    if (!in.is_object()) return invalid("not a JSON object");
    bool whole = true;
    const auto number = [&](const char* name) {
        const auto found = in.find(name);
        if (found == in.end() || !found->is_number_integer()) {
            whole = false;
            return std::int32_t{-1};
        }
        const auto value = found->get<std::int64_t>();
        if (value < -1 || value > std::numeric_limits<std::int32_t>::max()) whole = false;
        return static_cast<std::int32_t>(value);
    };
    const std::int32_t version = number("data_version");
    ElectionState state;
    state.leader = BrokerId(number("leaderId"));
    state.epoch = LeaderEpoch(number("leaderEpoch"));
    const BrokerId voted(number("votedId"));
    if (!whole || version < 0) return invalid("a number is missing or out of range");
    if (version > 1)
        return Error{Failure::unsupported, "quorum-state: a version that is not known"};
    if (voted != no_broker) state.voted = ReplicaKey{voted, {}};
    if (version == 1) {
        const auto found = in.find("votedDirectoryId");
        if (found == in.end() || !found->is_string()) return invalid("the directory is missing");
        if (state.voted.has_value())
            state.voted->directory = uuid_from_string(found->get_ref<const std::string&>());
    }
    return state;
}

}  // namespace klamm::raft
