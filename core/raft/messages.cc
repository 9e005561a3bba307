// Messages as text: short names, only what is there.
#include "core/raft/messages.h"

namespace klamm::raft {

namespace {

std::string text(std::int64_t value) { return std::to_string(value); }
std::string text(const LogId& id) { return text(id.offset.value) + "@" + text(id.epoch.value); }
/// A directory by its last byte: tests and people tell a handful apart.
std::string text(const ReplicaKey& key) {
    if (key.directory.is_zero()) return text(key.id.value);
    return text(key.id.value) + "/" + text(key.directory.bytes.back());
}
std::string text(ErrorCode error) {
    return error == ErrorCode::none ? std::string() : std::string(" ") + to_string(error);
}
std::string text(const QuorumView& view) {
    return " epoch=" + text(view.epoch.value) + " leader=" + text(view.leader.value);
}

struct Printer {
    std::string operator()(const VoteRequest& r) const {
        return std::string(r.pre_vote ? "PreVote" : "Vote") + "(epoch=" + text(r.epoch.value) +
               " candidate=" + text(r.candidate) + " last=" + text(r.last) + ")";
    }
    std::string operator()(const VoteResponse& r) const {
        return "Vote:" + std::string(r.granted ? " granted" : " rejected") + text(r.error) +
               text(r.view);
    }
    std::string operator()(const BeginQuorumEpochRequest& r) const {
        return "BeginQuorumEpoch(epoch=" + text(r.epoch.value) + " leader=" + text(r.leader.value) +
               ")";
    }
    std::string operator()(const BeginQuorumEpochResponse& r) const {
        return "BeginQuorumEpoch:" + text(r.error) + text(r.view);
    }
    std::string operator()(const EndQuorumEpochRequest& r) const {
        std::string successors;
        for (const ReplicaKey& key : r.preferred) successors += " " + text(key);
        return "EndQuorumEpoch(epoch=" + text(r.epoch.value) + " leader=" + text(r.leader.value) +
               " then" + successors + ")";
    }
    std::string operator()(const EndQuorumEpochResponse& r) const {
        return "EndQuorumEpoch:" + text(r.error) + text(r.view);
    }
    std::string operator()(const FetchRequest& r) const {
        return "Fetch(epoch=" + text(r.epoch.value) + " replica=" + text(r.replica) +
               " from=" + text(r.last) + " hw=" + text(r.high_watermark.value) + ")";
    }
    std::string operator()(const FetchResponse& r) const {
        std::string out =
            "Fetch:" + text(r.error) + text(r.view) + " hw=" + text(r.high_watermark.value);
        if (r.diverging.has_value()) out += " diverging=" + text(*r.diverging);
        if (r.snapshot.has_value()) out += " snapshot=" + text(*r.snapshot);
        if (r.has_records) out += " records";
        return out;
    }
    std::string operator()(const FetchSnapshotRequest& r) const {
        return "FetchSnapshot(epoch=" + text(r.epoch.value) + " replica=" + text(r.replica) +
               " id=" + text(r.id) + " position=" + text(static_cast<std::int64_t>(r.position)) +
               ")";
    }
    std::string operator()(const FetchSnapshotResponse& r) const {
        return "FetchSnapshot:" + text(r.error) + text(r.view) + " id=" + text(r.id) +
               " position=" + text(static_cast<std::int64_t>(r.position)) + " +" +
               text(static_cast<std::int64_t>(r.bytes)) + " of " +
               text(static_cast<std::int64_t>(r.size));
    }
    std::string operator()(const AddVoterRequest& r) const {
        return "AddRaftVoter(" + text(r.voter) + ")";
    }
    std::string operator()(const RemoveVoterRequest& r) const {
        return "RemoveRaftVoter(" + text(r.voter) + ")";
    }
    std::string operator()(const ChangeVoterResponse& r) const {
        return "ChangeRaftVoter:" + (r.error == ErrorCode::none ? " done" : text(r.error));
    }
    std::string operator()(const UpdateVoterRequest& r) const {
        return "UpdateRaftVoter(epoch=" + text(r.epoch.value) + " " + text(r.voter.key) + ")";
    }
    std::string operator()(const UpdateVoterResponse& r) const {
        return "UpdateRaftVoter:" + text(r.error) + text(r.view);
    }
    std::string operator()(const ApiVersionsRequest&) const { return "ApiVersions()"; }
    std::string operator()(const ApiVersionsResponse& r) const {
        return "ApiVersions:" + text(r.error) + " kraft.version " + text(r.version_min) + "-" +
               text(r.version_max);
    }
};

}  // namespace

std::string print(const Request& request) { return std::visit(Printer{}, request); }
std::string print(const Response& response) { return std::visit(Printer{}, response); }

}  // namespace klamm::raft
