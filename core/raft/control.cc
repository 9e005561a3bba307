#include "core/raft/control.h"

#include "core/protocol/messages/quorum_control_records.h"
#include "core/record/builder.h"

namespace klamm::raft {

namespace {

using record::ControlType;

struct ControlEncoder {
    ControlType type = ControlType::unknown;

    Bytes operator()(const LeaderChange& change) {
        type = ControlType::leader_change;
        protocol::LeaderChangeMessage message;
        message.leader_id = change.leader;
        for (const BrokerId id : change.voters) message.voters.push_back({id, {}});
        for (const BrokerId id : change.granting) message.granting_voters.push_back({id, {}});
        return protocol::encode(message, 0).bytes;
    }
    Bytes operator()(const VersionChange& change) {
        type = ControlType::kraft_version;
        return protocol::encode(protocol::KRaftVersionRecord{0, change.version}, 0).bytes;
    }
    Bytes operator()(const VotersChange& change) {
        type = ControlType::kraft_voters;
        protocol::VotersRecord message;
        for (const Voter& voter : change.voters.voters()) {
            auto& row = message.voters.emplace_back();
            row.voter_id = voter.key.id;
            row.voter_directory_id = voter.key.directory;
            for (const Endpoint& one : voter.endpoints)
                row.endpoints.push_back({one.name, one.host, one.port});
            row.kraft_version_feature = {voter.version_min, voter.version_max};
        }
        return protocol::encode(message, 0).bytes;
    }
};

Result<std::optional<ControlValue>> read_voters(ByteView value) {
    const auto message = protocol::decode<protocol::VotersRecord>(value, 0);
    KLAMM_TRY(message);
    std::vector<Voter> voters;
    for (const auto& row : message->voters) {
        Voter voter{{row.voter_id, row.voter_directory_id},
                    {},
                    row.kraft_version_feature.min_supported_version,
                    row.kraft_version_feature.max_supported_version};
        for (const auto& one : row.endpoints)
            voter.endpoints.push_back({std::string(one.name), std::string(one.host), one.port});
        for (const Voter& other : voters)
            if (other.key.id == voter.key.id)
                return Error{Failure::invalid, "a voters record names an id twice"};
        voters.push_back(std::move(voter));
    }
    return std::optional<ControlValue>(VotersChange{VoterSet(std::move(voters))});
}

}  // namespace

std::vector<std::pair<ControlType, Bytes>> encode_control_values(
    const std::vector<ControlValue>& records) {
    std::vector<std::pair<ControlType, Bytes>> values;
    for (const ControlValue& record : records) {
        ControlEncoder encoder;
        Bytes value = std::visit(encoder, record);
        values.emplace_back(encoder.type, std::move(value));
    }
    return values;
}

Bytes encode_control_batch(const ControlAppend& append, Timestamp timestamp) {
    KLAMM_ASSERT(!append.records.empty());
    record::BatchOptions options;
    options.base_offset = append.base;
    options.leader_epoch = append.epoch;
    options.control = true;
    record::BatchBuilder builder(options);
    for (const auto& [type, value] : encode_control_values(append.records)) {
        const auto key = record::encode_control_key(type);
        builder.append(timestamp, key, value);
    }
    return builder.build();
}

Result<std::optional<ControlValue>> decode_control_value(ControlType type, ByteView value) {
    switch (type) {
        case ControlType::leader_change: {
            const auto message = protocol::decode<protocol::LeaderChangeMessage>(value, 0);
            KLAMM_TRY(message);
            LeaderChange change{message->leader_id, {}, {}};
            for (const auto& voter : message->voters) change.voters.push_back(voter.voter_id);
            for (const auto& voter : message->granting_voters)
                change.granting.push_back(voter.voter_id);
            return std::optional<ControlValue>(std::move(change));
        }
        case ControlType::kraft_version: {
            const auto message = protocol::decode<protocol::KRaftVersionRecord>(value, 0);
            KLAMM_TRY(message);
            return std::optional<ControlValue>(VersionChange{message->kraft_version});
        }
        case ControlType::kraft_voters: return read_voters(value);
        default: return std::optional<ControlValue>();
    }
}

}  // namespace klamm::raft
