#include "sim/run/trace_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <variant>

namespace klamm::sim {

namespace {

using json = nlohmann::ordered_json;

template <class Tag, class Rep>
json plain(Id<Tag, Rep> id) {
    return id.value;
}
json plain(bool value) { return value; }
template <class Number>
    requires std::is_integral_v<Number>
json plain(Number value) {
    return value;
}
template <class Enum>
    requires std::is_enum_v<Enum>
json plain(Enum value) {
    return static_cast<int>(value);
}
json plain(const std::string& text) { return text; }
json plain(const TopicPartition& partition) { return partition.partition.value; }
json plain(const facts::PolledRecord& record) { return {record.offset.value, record.value}; }
json plain(const facts::GroupOffset& one) { return {one.topic, one.partition, one.offset.value}; }
template <class T>
json plain(const std::vector<T>& list) {
    json out = json::array();
    for (const T& one : list) out.push_back(plain(one));
    return out;
}

/// FIELD(name): the fact's member under its own name.
#define KLAMM_FIELD(name) out[#name] = plain(fact.name)

void fill(json& out, const facts::BatchAppended& fact) {
    out["fact"] = "BatchAppended";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(base_offset);
    KLAMM_FIELD(last_offset);
    KLAMM_FIELD(crc);
    KLAMM_FIELD(producer_id);
    KLAMM_FIELD(producer_epoch);
    KLAMM_FIELD(base_sequence);
    KLAMM_FIELD(as_leader);
    KLAMM_FIELD(segment_base);
    KLAMM_FIELD(position);
    KLAMM_FIELD(size);
}
void fill(json& out, const facts::LogTruncated& fact) {
    out["fact"] = "LogTruncated";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(end);
    KLAMM_FIELD(reason);
}
void fill(json& out, const facts::LogStartMoved& fact) {
    out["fact"] = "LogStartMoved";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(start);
    KLAMM_FIELD(reason);
}
void fill(json& out, const facts::LogOpened& fact) {
    out["fact"] = "LogOpened";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(start);
    KLAMM_FIELD(end);
    KLAMM_FIELD(recovery_point);
    KLAMM_FIELD(clean);
    KLAMM_FIELD(created);
}
void fill(json& out, const facts::LogFlushed& fact) {
    out["fact"] = "LogFlushed";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(end);
}
void fill(json& out, const facts::LogOffline& fact) {
    out["fact"] = "LogOffline";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(file);
    KLAMM_FIELD(position);
    KLAMM_FIELD(offset);
}
void fill(json& out, const facts::Leading& fact) {
    out["fact"] = "Leading";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(start);
}
void fill(json& out, const facts::Following& fact) {
    out["fact"] = "Following";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(leader);
}
void fill(json& out, const facts::HighWatermarkMoved& fact) {
    out["fact"] = "HighWatermarkMoved";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(from);
    KLAMM_FIELD(to);
    KLAMM_FIELD(committed_isr);
    KLAMM_FIELD(maximal_isr);
    KLAMM_FIELD(min_isr);
}
void fill(json& out, const facts::IsrProposed& fact) {
    out["fact"] = "IsrProposed";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(isr);
    KLAMM_FIELD(joining);
    KLAMM_FIELD(joining_log_end);
    KLAMM_FIELD(high_watermark);
    KLAMM_FIELD(epoch_start);
}
void fill(json& out, const facts::ProduceAnswered& fact) {
    out["fact"] = "ProduceAnswered";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(base_offset);
    KLAMM_FIELD(last_offset);
    KLAMM_FIELD(acks);
    KLAMM_FIELD(error);
    KLAMM_FIELD(duplicate);
    KLAMM_FIELD(committed_isr);
    KLAMM_FIELD(min_isr);
}
void fill(json& out, const facts::ConsumerServed& fact) {
    out["fact"] = "ConsumerServed";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(from);
    KLAMM_FIELD(to);
    KLAMM_FIELD(high_watermark);
}
void fill(json& out, const facts::CorruptReceived& fact) {
    out["fact"] = "CorruptReceived";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(offset);
    KLAMM_FIELD(from);
}
void fill(json& out, const facts::FollowerFetched& fact) {
    out["fact"] = "FollowerFetched";
    KLAMM_FIELD(partition);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(replica);
    KLAMM_FIELD(offset);
    KLAMM_FIELD(diverging);
}
void fill(json& out, const facts::PartitionCommitted& fact) {
    out["fact"] = "PartitionCommitted";
    KLAMM_FIELD(metadata_offset);
    KLAMM_FIELD(partition);
    KLAMM_FIELD(leader);
    KLAMM_FIELD(leader_epoch);
    KLAMM_FIELD(partition_epoch);
    KLAMM_FIELD(replicas);
    KLAMM_FIELD(isr);
    KLAMM_FIELD(elr);
    KLAMM_FIELD(last_known_elr);
    KLAMM_FIELD(elr_enabled);
    KLAMM_FIELD(unclean_enabled);
    KLAMM_FIELD(min_isr);
    KLAMM_FIELD(flush_messages);
    KLAMM_FIELD(cause);
}
void fill(json& out, const facts::BrokerRegistered& fact) {
    out["fact"] = "BrokerRegistered";
    KLAMM_FIELD(metadata_offset);
    KLAMM_FIELD(broker);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(proven);
}
void fill(json& out, const facts::BrokerFencing& fact) {
    out["fact"] = "BrokerFencing";
    KLAMM_FIELD(metadata_offset);
    KLAMM_FIELD(broker);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(fenced);
}
void fill(json& out, const facts::QuorumStarted& fact) {
    out["fact"] = "QuorumStarted";
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(voted);
    KLAMM_FIELD(leader);
}
void fill(json& out, const facts::QuorumVoted& fact) {
    out["fact"] = "QuorumVoted";
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(candidate);
}
void fill(json& out, const facts::QuorumLeading& fact) {
    out["fact"] = "QuorumLeading";
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(start);
}
void fill(json& out, const facts::QuorumCommitted& fact) {
    out["fact"] = "QuorumCommitted";
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(from);
    KLAMM_FIELD(to);
    KLAMM_FIELD(leads);
}
void fill(json& out, const facts::MetadataDecided& fact) {
    std::visit([&](const auto& what) { fill(out["what"], what); }, fact.what);
    out["fact"] = "MetadataDecided";
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(offset);
}
void fill(json& out, const facts::SendInvoked& fact) {
    out["fact"] = "SendInvoked";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(partition);
    KLAMM_FIELD(value);
    KLAMM_FIELD(acks);
}
void fill(json& out, const facts::SendReturned& fact) {
    out["fact"] = "SendReturned";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(outcome);
    KLAMM_FIELD(offset);
    KLAMM_FIELD(error);
}
void fill(json& out, const facts::PollInvoked& fact) {
    out["fact"] = "PollInvoked";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(partition);
    KLAMM_FIELD(offset);
}
void fill(json& out, const facts::PollReturned& fact) {
    out["fact"] = "PollReturned";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(partition);
    KLAMM_FIELD(outcome);
    KLAMM_FIELD(error);
    KLAMM_FIELD(log_start);
    KLAMM_FIELD(high_watermark);
    KLAMM_FIELD(reset);
    KLAMM_FIELD(records);
}
void fill(json& out, const facts::LatestInvoked& fact) {
    out["fact"] = "LatestInvoked";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(partition);
}
void fill(json& out, const facts::LatestReturned& fact) {
    out["fact"] = "LatestReturned";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(partition);
    KLAMM_FIELD(outcome);
    KLAMM_FIELD(error);
    KLAMM_FIELD(epoch);
    KLAMM_FIELD(offset);
}
void fill(json& out, const facts::GroupAssigned& fact) {
    out["fact"] = "GroupAssigned";
    KLAMM_FIELD(group);
    KLAMM_FIELD(generation);
    KLAMM_FIELD(member);
    KLAMM_FIELD(owned);
}
void fill(json& out, const facts::GroupRevoked& fact) {
    out["fact"] = "GroupRevoked";
    KLAMM_FIELD(group);
    KLAMM_FIELD(generation);
    KLAMM_FIELD(member);
    KLAMM_FIELD(given_up);
    KLAMM_FIELD(lost);
}
void fill(json& out, const facts::GroupCommitInvoked& fact) {
    out["fact"] = "GroupCommitInvoked";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(group);
    KLAMM_FIELD(generation);
    KLAMM_FIELD(member);
    KLAMM_FIELD(offsets);
}
void fill(json& out, const facts::GroupCommitReturned& fact) {
    out["fact"] = "GroupCommitReturned";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(group);
    KLAMM_FIELD(outcome);
    KLAMM_FIELD(error);
    KLAMM_FIELD(doubtful);
}
void fill(json& out, const facts::GroupOffsetsAsked& fact) {
    out["fact"] = "GroupOffsetsAsked";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(group);
}
void fill(json& out, const facts::GroupOffsetsReturned& fact) {
    out["fact"] = "GroupOffsetsReturned";
    KLAMM_FIELD(operation);
    KLAMM_FIELD(group);
    KLAMM_FIELD(outcome);
    KLAMM_FIELD(error);
    KLAMM_FIELD(from);
    KLAMM_FIELD(offsets);
}

#undef KLAMM_FIELD

}  // namespace

std::string trace_line(const EventRecord& record) {
    json out;
    out["event"] = record.number;
    out["time"] = record.time.nanoseconds;
    if (record.node != no_node) {
        out["node"] = record.node.value;
        out["shard"] = record.shard;
    }
    out["kind"] = record.kind;
    out["id"] = record.id;
    out["disk_calls"] = record.disk_calls;
    out["effects"] = record.effects;
    out["hash"] = fmt::format("{:016x}", record.hash);
    return out.dump() + "\n";
}

std::string trace_line(Instant time, const std::string& node, const facts::Fact& fact) {
    json out;
    out["fact"] = "";
    out["time"] = time.nanoseconds;
    out["node"] = node;
    std::visit([&](const auto& one) { fill(out, one); }, fact);
    return out.dump() + "\n";
}

std::string trace_line(Instant time, const FaultEvent& fault) {
    json out;
    out["fault"] = fault.id;
    out["kind"] = to_string(fault.kind);
    out["time"] = time.nanoseconds;
    out["text"] = to_string(fault);
    return out.dump() + "\n";
}

std::string trace_line(const Truth& truth) {
    json out;
    out["truth"] = truth.what;
    out["time"] = truth.time.nanoseconds;
    out["node"] = fmt::format("broker-{}", truth.node.value);
    out["fault"] = truth.fault;
    for (const Damage& one : truth.damages) {
        json ranges = json::array();
        for (const DamagedBytes& range : one.ranges) ranges.push_back({range.from, range.to});
        out["damages"].push_back({{"partition", plain(one.partition)},
                                  {"segment_base", plain(one.segment_base)},
                                  {"ranges", std::move(ranges)},
                                  {"synced", one.synced_length},
                                  {"before", one.length_before},
                                  {"after", one.length_after}});
    }
    for (const UndoneTruncate& one : truth.undone)
        out["undone"].push_back({{"partition", plain(one.partition)},
                                 {"segment_base", plain(one.segment_base)},
                                 {"cut_to", one.cut_to},
                                 {"length_now", one.length_now}});
    for (const TopicPartition& one : truth.lost) out["lost"].push_back(plain(one));
    return out.dump() + "\n";
}

std::string trace_line(const Bill& bill) {
    json out;
    out["bill"] = to_json(bill);
    return out.dump() + "\n";
}

}  // namespace klamm::sim
